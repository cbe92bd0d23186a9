//! Calls that make a key while the database, a coordinator or the alarm fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND, Span},
};
use keyward_registry::{admin_call::AdminCall, call};
use keyward_testing::{
    fake_registry_platform::{DOWN, PATIENCE, Script},
    registry_fixture::RegistryFixture,
};
use serde_json::{Value, json};

use crate::delivery::{active, create, live_at_the_gate, rotate, unavailable};

#[test]
fn whatever_statement_of_a_whole_call_fails_its_answer_is_true() {
    let begin = || {
        let (fixture, owner) = RegistryFixture::open();
        let old = fixture.key(&owner, json!({})).key_id();
        fixture.pass_with_alarms(5 * MINUTE);
        (fixture, owner, old)
    };
    type Call = fn(&RegistryFixture, &str, &str) -> AdminCall;
    let calls: [Call; 5] = [
        |fixture, owner, _| create(fixture, owner, None),
        |fixture, owner, _| create(fixture, owner, Some("k")),
        |fixture, owner, old| rotate(fixture, owner, old, json!({"revokeOld": true}), None),
        |fixture, owner, old| rotate(fixture, owner, old, json!({"revokeOld": true}), Some("k")),
        |fixture, owner, old| rotate(fixture, owner, old, json!({}), None),
    ];
    for call in calls {
        for steps in 0.. {
            let (fixture, owner, old) = begin();
            let call = call(&fixture, &owner, &old);
            fixture.db.fail_after(steps);
            let answer = fixture.send(call.clone());
            let done = fixture.db.has_not_failed();
            let what = format!("{} {:?} after {steps}: {}", call.path, call.idempotency_key, answer.text);
            let shown = match answer.status {
                201 => vec![answer.key_id()],
                503 => vec![],
                _ => panic!("{what}"),
            };
            let ends_old = call.body.contains("revokeOld") && !shown.is_empty();
            let mut expected = if ends_old { vec![] } else { vec![old.clone()] };
            expected.extend(shown.clone());
            expected.sort();
            // At once: whoever was shown a key has one that works, the old one goes on unless it was, and is refused where
            // the answer says from when on.
            let live = live_at_the_gate(&fixture);
            assert!(shown.iter().all(|id| live.contains(id)), "{what}");
            let promised = answer.body["previous"].get("refusedEverywhereBy").is_some();
            assert!(live.contains(&old) != promised || (ends_old && !promised), "{what}");
            fixture.pass_with_alarms(5 * MINUTE);
            if shown.is_empty() && call.idempotency_key.is_some() {
                let again = fixture.send(call).expect(201);
                assert!(live_at_the_gate(&fixture).contains(&again.key_id()), "{what}");
            } else {
                let mut live = live_at_the_gate(&fixture);
                live.sort();
                assert_eq!(live, expected, "{what}");
                let mut listed = active(&fixture, &owner);
                listed.sort();
                assert_eq!(listed, expected, "{what}");
            }
            if done {
                assert_eq!(shown.len(), 1);
                break;
            }
        }
    }
}

#[test]
fn what_a_call_tells_is_told_in_less_time_than_the_gate_waits_for_the_answer() {
    let slow = Script { lands: Some(Span::ZERO), answers: PATIENCE - Span::from_ms(100), succeeds: true };
    for second in [slow, Script { answers: 60 * SECOND, ..slow }, DOWN] {
        let (fixture, owner) = RegistryFixture::open();
        let old = fixture.key(&owner, json!({})).key_id();
        fixture.tells.borrow_mut().extend([slow, second]);
        let before = fixture.now.get();
        let answer =
            fixture.send(rotate(&fixture, &owner, &old, json!({"revokeOld": true}), None)).expect(201);
        assert!(answer.body["plaintextKey"].is_string());
        assert!(answer.body["previous"].get("refusedEverywhereBy").is_none(), "nothing is promised yet");
        let took = fixture.now.get().0 - before.0;
        assert!(took <= 8_000 && took < call::ANSWERED_WITHIN.ms(), "{took}");
        fixture.pass_with_alarms(MINUTE);
        assert_eq!(live_at_the_gate(&fixture), [answer.key_id()]);
    }
}

#[test]
fn an_alarm_that_cannot_be_set_takes_no_key_from_whoever_made_it_and_acknowledges_nothing_that_could_be_lost()
{
    let slow = Script { lands: Some(Span::ZERO), answers: 2 * SECOND, succeeds: true };
    for ending in [Value::Null, json!({}), json!({"revokeOld": true})] {
        let (fixture, owner) = RegistryFixture::open();
        let old = fixture.key(&owner, json!({})).key_id();
        fixture.pass_with_alarms(5 * MINUTE);
        fixture.tells.borrow_mut().push_back(slow);
        // One before the key is told, none after it.
        fixture.alarms_left.set(Some(1));
        let call = match ending.is_null() {
            true => create(&fixture, &owner, None),
            false => rotate(&fixture, &owner, &old, ending, None),
        };
        let made = fixture.send(call).expect(201);
        assert!(live_at_the_gate(&fixture).contains(&made.key_id()));
        fixture.post(&owner, "/links", json!({})).refused(400, "VALIDATION_FAILED");
        fixture.kv_is_down.set(true);
        let path = format!("/api-keys/{}/revoke", made.key_id());
        unavailable(&fixture.post(&owner, &path, json!({})), "Repeat the call");
        assert!(!live_at_the_gate(&fixture).contains(&made.key_id()), "it is told nevertheless");
        // What has nothing to publish is not concerned.
        fixture.delete(&owner, "/session").expect(204);
        let owner = fixture.sign_in("owner@example.com");
        fixture.alarms_left.set(None);
        fixture.kv_is_down.set(false);
        fixture.post(&owner, &path, json!({})).expect(200);
        fixture.pass_with_alarms(5 * MINUTE);
        assert_eq!(fixture.published(&made.key_id()).unwrap().status, Status::Revoked);
    }
}
