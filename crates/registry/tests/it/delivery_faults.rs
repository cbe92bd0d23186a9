//! Calls that make a key while the database, a KeyGate or the alarm fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND},
};
use keyward_registry::{admin_call::AdminCall, call};
use keyward_testing::{
    office::Office,
    outside::{Course, DOWN, PATIENCE},
};
use serde_json::{Value, json};

use crate::delivery::{active, create, live_at_the_gate, rotate, unavailable};

#[test]
fn whatever_statement_of_a_whole_call_fails_its_answer_is_true() {
    let begin = || {
        let (office, owner) = Office::open();
        let old = office.key(&owner, json!({})).key_id();
        office.pass_with_alarms(5 * MINUTE);
        (office, owner, old)
    };
    type Call = fn(&Office, &str, &str) -> AdminCall;
    let calls: [Call; 5] = [
        |office, owner, _| create(office, owner, None),
        |office, owner, _| create(office, owner, Some("k")),
        |office, owner, old| rotate(office, owner, old, json!({"revokeOld": true}), None),
        |office, owner, old| rotate(office, owner, old, json!({"revokeOld": true}), Some("k")),
        |office, owner, old| rotate(office, owner, old, json!({}), None),
    ];
    for call in calls {
        for steps in 0.. {
            let (office, owner, old) = begin();
            let call = call(&office, &owner, &old);
            office.db.fail_after(steps);
            let answer = office.send(call.clone());
            let done = office.db.has_not_failed();
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
            let live = live_at_the_gate(&office);
            assert!(shown.iter().all(|id| live.contains(id)), "{what}");
            let promised = answer.body["previous"].get("refusedEverywhereBy").is_some();
            assert!(live.contains(&old) != promised || (ends_old && !promised), "{what}");
            office.pass_with_alarms(5 * MINUTE);
            if shown.is_empty() && call.idempotency_key.is_some() {
                let again = office.send(call).expect(201);
                assert!(live_at_the_gate(&office).contains(&again.key_id()), "{what}");
            } else {
                let mut live = live_at_the_gate(&office);
                live.sort();
                assert_eq!(live, expected, "{what}");
                let mut listed = active(&office, &owner);
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
    let slow = Course { lands: Some(0), answers: PATIENCE - 100, well: true };
    for second in [slow, Course { answers: 60 * SECOND, ..slow }, DOWN] {
        let (office, owner) = Office::open();
        let old = office.key(&owner, json!({})).key_id();
        office.tells.borrow_mut().extend([slow, second]);
        let before = office.now.get();
        let answer = office.send(rotate(&office, &owner, &old, json!({"revokeOld": true}), None)).expect(201);
        assert!(answer.body["plaintextKey"].is_string());
        assert!(answer.body["previous"].get("refusedEverywhereBy").is_none(), "nothing is promised yet");
        let took = office.now.get().0 - before.0;
        assert!(took <= 8_000 && took < i64::from(call::ANSWERED_WITHIN_MS), "{took}");
        office.pass_with_alarms(MINUTE);
        assert_eq!(live_at_the_gate(&office), [answer.key_id()]);
    }
}

#[test]
fn an_alarm_that_cannot_be_set_takes_no_key_from_whoever_made_it_and_acknowledges_nothing_that_could_be_lost()
{
    let slow = Course { lands: Some(0), answers: 2 * SECOND, well: true };
    for fate in [Value::Null, json!({}), json!({"revokeOld": true})] {
        let (office, owner) = Office::open();
        let old = office.key(&owner, json!({})).key_id();
        office.pass_with_alarms(5 * MINUTE);
        office.tells.borrow_mut().push_back(slow);
        // One before the key is told, none after it.
        office.alarms_left.set(Some(1));
        let call = match fate.is_null() {
            true => create(&office, &owner, None),
            false => rotate(&office, &owner, &old, fate, None),
        };
        let made = office.send(call).expect(201);
        assert!(live_at_the_gate(&office).contains(&made.key_id()));
        office.post(&owner, "/links", json!({})).refused(400, "VALIDATION_FAILED");
        office.kv_is_down.set(true);
        let path = format!("/api-keys/{}/revoke", made.key_id());
        unavailable(&office.post(&owner, &path, json!({})), "Repeat the call");
        assert!(!live_at_the_gate(&office).contains(&made.key_id()), "it is told nevertheless");
        // What has nothing to publish is not concerned.
        office.delete(&owner, "/session").expect(204);
        let owner = office.sign_in("owner@example.com");
        office.alarms_left.set(None);
        office.kv_is_down.set(false);
        office.post(&owner, &path, json!({})).expect(200);
        office.pass_with_alarms(5 * MINUTE);
        assert_eq!(office.published(&made.key_id()).unwrap().status, Status::Revoked);
    }
}
