//! Whoever gets a key has one that works everywhere; and no key is live that nobody was shown.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    sql::Sql,
    time::{DAY, MINUTE, SECOND, Span},
};
use keyward_registry::{CallState, Progress, admin_call::AdminCall, publisher};
use keyward_testing::{
    Seeded,
    fake_registry_platform::{AT_ONCE, DOWN, PATIENCE, Script},
    registry_fixture::{Answer, RegistryFixture},
};
use serde_json::{Value, json};

pub fn create(fixture: &RegistryFixture, owner: &str, idempotency_key: Option<&str>) -> AdminCall {
    let body = json!({"name": "new", "scopes": ["orders:read"]});
    AdminCall {
        idempotency_key: idempotency_key.map(str::to_owned),
        ..fixture.call("POST", owner, "/api-keys", body)
    }
}

pub fn rotate(
    fixture: &RegistryFixture,
    owner: &str,
    id: &str,
    ending: Value,
    idempotency_key: Option<&str>,
) -> AdminCall {
    AdminCall {
        idempotency_key: idempotency_key.map(str::to_owned),
        ..fixture.call("POST", owner, &format!("/api-keys/{id}/rotate"), ending)
    }
}

/// Ids of the keys that any coordinator lets pass.
pub fn live_at_the_gate(fixture: &RegistryFixture) -> Vec<String> {
    let gates = fixture.gates.borrow();
    let records = gates.values().filter_map(|gate| gate.record.as_ref());
    records.filter(|record| record.status == Status::Active).map(|record| record.id.clone()).collect()
}

/// Ids of the keys that the API lists as active, oldest first.
pub fn active(fixture: &RegistryFixture, owner: &str) -> Vec<String> {
    let listed = fixture.get(owner, "/api-keys?status=ACTIVE").expect(200);
    let ids = listed.body["apiKeys"].as_array().unwrap().iter().rev();
    ids.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

fn actions(fixture: &RegistryFixture, owner: &str) -> Vec<String> {
    let audit = fixture.get(owner, "/audit").expect(200);
    let entries = audit.body["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

pub fn unavailable(answer: &Answer, says: &str) {
    answer.refused(503, "STORE_UNAVAILABLE");
    assert!(answer.header("Retry-After").is_some());
    assert!(answer.body["detail"].as_str().unwrap().contains(says), "{}", answer.text);
    assert!(!answer.text.contains("plaintextKey"));
}

/// How an object can fail to be told: not at all, too late, or with its answer lost.
fn failures() -> [Script; 3] {
    let late = Script { lands: Some(Span::ZERO), answers: PATIENCE + SECOND, succeeds: true };
    [DOWN, late, Script { succeeds: false, ..AT_ONCE }]
}

#[test]
fn a_key_is_answered_only_once_its_object_knows_it() {
    let (fixture, owner) = RegistryFixture::open();
    for id in [fixture.key(&owner, json!({})).key_id(), {
        let old = fixture.key(&owner, json!({})).key_id();
        fixture.send(rotate(&fixture, &owner, &old, json!({}), None)).expect(201).key_id()
    }] {
        assert_eq!(fixture.record(&id).status, Status::Active);
    }
}

#[test]
fn a_key_that_could_not_be_told_is_503_and_no_key_is_left_that_nobody_has() {
    for failure in failures() {
        let (fixture, owner) = RegistryFixture::open();
        fixture.tells.borrow_mut().push_back(failure);
        unavailable(&fixture.send(create(&fixture, &owner, None)), "Repeat the call");
        assert_eq!(active(&fixture, &owner), Vec::<String>::new());
        fixture.pass_with_alarms(10 * SECOND);
        assert_eq!(live_at_the_gate(&fixture), Vec::<String>::new(), "{failure:?}");
        let shown = fixture.get(&owner, "/api-keys").expect(200).body["apiKeys"][0].clone();
        assert_eq!(shown["status"], "REVOKED");
        assert!(shown["revokeReason"].as_str().unwrap().contains("never shown"));
        assert_eq!(actions(&fixture, &owner)[2..], ["key.create", "key.cancel"]);
        let made = fixture.send(create(&fixture, &owner, None)).expect(201);
        assert_eq!(live_at_the_gate(&fixture), [made.key_id()]);
    }
}

#[test]
fn with_its_idempotency_key_the_repeat_gets_the_same_key_once_it_works() {
    for failure in failures() {
        let (fixture, owner) = RegistryFixture::open();
        fixture.tells.borrow_mut().extend([failure, DOWN]);
        unavailable(&fixture.send(create(&fixture, &owner, Some("k"))), "same Idempotency-Key");
        let id = active(&fixture, &owner).remove(0);
        unavailable(&fixture.send(create(&fixture, &owner, Some("k"))), "same Idempotency-Key");
        let made = fixture.send(create(&fixture, &owner, Some("k"))).expect(201);
        assert_eq!(
            (made.key_id(), made.header("Idempotent-Replayed")),
            (id.clone(), None),
            "shown for the first time"
        );
        assert_eq!(fixture.record(&id).status, Status::Active);
        let again = fixture.send(create(&fixture, &owner, Some("k"))).expect(201);
        assert_eq!((&again.text, again.header("Idempotent-Replayed")), (&made.text, Some("true")));
        assert_eq!(active(&fixture, &owner), [id]);
    }
}

#[test]
fn nobody_repeats_it_within_a_day_and_the_key_is_cancelled() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.tells.borrow_mut().push_back(DOWN);
    fixture.send(create(&fixture, &owner, Some("k"))).expect(503);
    fixture.pass_with_alarms(DAY - SECOND);
    assert_eq!(live_at_the_gate(&fixture).len(), 1, "it waits");
    fixture.pass_with_alarms(10 * SECOND);
    assert_eq!(live_at_the_gate(&fixture), Vec::<String>::new());
    let owner = fixture.sign_in("owner@example.com");
    let made = fixture.send(create(&fixture, &owner, Some("k"))).expect(201);
    assert_eq!(active(&fixture, &owner), [made.key_id()], "another");
}

#[test]
fn a_rotation_that_is_answered_503_does_nothing_to_the_old_key() {
    for ending in [json!({}), json!({"revokeOld": true}), json!({"graceSeconds": 0})] {
        for failure in failures() {
            for idempotency_key in [None, Some("r")] {
                let (fixture, owner) = RegistryFixture::open();
                let old = fixture.key(&owner, json!({})).key_id();
                let shown = || fixture.get(&owner, &format!("/api-keys/{old}")).expect(200).text;
                let before = shown();
                fixture.tells.borrow_mut().push_back(failure);
                let send = || fixture.send(rotate(&fixture, &owner, &old, ending.clone(), idempotency_key));
                unavailable(&send(), "goes on");
                assert_eq!(shown(), before);
                fixture.pass_with_alarms(10 * SECOND);
                assert_eq!(shown(), before);
                assert_eq!(fixture.record(&old).version, 1);
                let new = send().expect(201);
                let expected =
                    if ending == json!({}) { vec![old.clone(), new.key_id()] } else { vec![new.key_id()] };
                assert_eq!(active(&fixture, &owner), expected, "{ending} {failure:?}");
                let mut live = live_at_the_gate(&fixture);
                live.retain(|id| *id != old);
                assert_eq!(live, [new.key_id()]);
            }
        }
    }
}

#[test]
fn an_object_that_dies_before_the_key_was_shown_leaves_no_live_key() {
    let (mut fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    for call in
        [create(&fixture, &owner, None), rotate(&fixture, &owner, &old, json!({"revokeOld": true}), None)]
    {
        let progress = fixture.registry().handle(
            &call,
            &CallState::default(),
            fixture.now.get(),
            &mut Seeded::new(fixture.now.get().0.unsigned_abs()),
        );
        assert!(matches!(progress, Progress::Tell(_)));
        fixture.run(fixture.publisher.keep_alarm()).unwrap();
        fixture.restart(fixture.policy);
        fixture.pass_with_alarms(2 * MINUTE);
        assert_eq!(active(&fixture, &owner), [old.as_str()], "{}", call.path);
        assert_eq!(live_at_the_gate(&fixture), [old.as_str()], "{}", call.path);
    }
    assert_eq!(actions(&fixture, &owner)[3..], ["key.create", "key.cancel", "key.create", "key.cancel"]);
    let entry = fixture.get(&owner, "/audit?limit=1").expect(200).body["entries"][0].clone();
    assert_eq!(entry["actor"], json!({"type": "system", "id": null, "email": null}));
    assert_eq!(fixture.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn a_key_that_was_used_is_not_cancelled_whoever_has_shown_it() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.tells.borrow_mut().push_back(DOWN);
    fixture.send(create(&fixture, &owner, Some("k"))).expect(503);
    // An older build showed it, which knows nothing of such keys.
    fixture.db.run("UPDATE keys SET last_used_at = 1", &[]).unwrap();
    fixture.pass_with_alarms(2 * DAY);
    assert_eq!(live_at_the_gate(&fixture).len(), 1);
}

#[test]
fn what_happens_to_a_key_before_it_is_shown_is_told_instead_of_it() {
    let (fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    let send = || fixture.send(rotate(&fixture, &owner, &old, json!({"revokeOld": true}), Some("r")));
    fixture.tells.borrow_mut().push_back(DOWN);
    send().expect(503);
    // The new one is revoked.
    let new = active(&fixture, &owner).remove(1);
    fixture.post(&owner, &format!("/api-keys/{new}/revoke"), json!({})).expect(200);
    send().refused(409, "CONFLICT");
    assert_eq!(active(&fixture, &owner), [old.as_str()]);
    // Then it is a request like any other. The old one is revoked.
    fixture.tells.borrow_mut().push_back(DOWN);
    send().expect(503);
    fixture.post(&owner, &format!("/api-keys/{old}/revoke"), json!({})).expect(200);
    send().refused(409, "CONFLICT");
    fixture.pass_with_alarms(10 * SECOND);
    assert_eq!((active(&fixture, &owner), live_at_the_gate(&fixture)), (vec![], vec![]));
}

#[test]
fn of_two_rotations_at_the_same_time_one_ends_the_old_key() {
    let (fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    let calls = ["a", "b"].map(|name| {
        let call = rotate(&fixture, &owner, &old, json!({"revokeOld": true}), None);
        (call, Seeded::new(name.len() as u64 + u64::from(name.as_bytes()[0])))
    });
    // Both have made their key before either goes on.
    let mut begun = Vec::new();
    for (call, mut entropy) in calls {
        let progress =
            fixture.registry().handle(&call, &CallState::default(), fixture.now.get(), &mut entropy);
        let Progress::Tell(created) = progress else { panic!() };
        begun.push((call, created, entropy));
    }
    let mut statuses = Vec::new();
    for (call, created, mut entropy) in begun {
        assert_eq!(
            fixture
                .run(fixture.publisher.tell_all(std::slice::from_ref(&created.id), publisher::PATIENCE))
                .pending,
            0
        );
        let state = CallState { introduced: Some(created.introduced(true)), ..CallState::default() };
        let Progress::Done(outcome) =
            fixture.registry().handle(&call, &state, fixture.now.get(), &mut entropy)
        else {
            panic!()
        };
        let telling = fixture.run(fixture.publisher.tell_all(&outcome.publish, publisher::PATIENCE));
        statuses.push(outcome.reply(telling, "req-1").status);
    }
    assert_eq!(statuses, [201, 409]);
    fixture.pass_with_alarms(10 * SECOND);
    assert_eq!(active(&fixture, &owner).len(), 1);
    assert_eq!(live_at_the_gate(&fixture), active(&fixture, &owner));
}

#[test]
fn two_repeats_at_the_same_time_get_one_key_whichever_is_told_first() {
    let (fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    let call = rotate(&fixture, &owner, &old, json!({"revokeOld": true}), Some("r"));
    let turn =
        |state: &CallState| fixture.registry().handle(&call, state, fixture.now.get(), &mut Seeded::new(3));
    let begun: Vec<_> = (0..3)
        .map(|_| match turn(&CallState::default()) {
            Progress::Tell(created) => created,
            _ => panic!(),
        })
        .collect();
    fixture.run(fixture.publisher.tell_all(&[begun[0].id.clone()], publisher::PATIENCE));
    let mut answers = Vec::new();
    for (created, told) in begun.into_iter().zip([false, true, true]) {
        let state = CallState { introduced: Some(created.introduced(told)), ..CallState::default() };
        let Progress::Done(outcome) = turn(&state) else { panic!() };
        let telling = fixture.run(fixture.publisher.tell_all(&outcome.publish, publisher::PATIENCE));
        answers.push(outcome.reply(telling, "req-1"));
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [503, 201, 201]);
    assert_eq!(answers[1].body, answers[2].body);
    assert_eq!(active(&fixture, &owner).len(), 1);
}

#[test]
fn a_repeat_that_shows_a_key_again_is_audited_with_who_asked() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, admin_id) = fixture.member(&owner, "admin@example.com", "admin");
    let old = fixture.key(&owner, json!({})).key_id();
    for call in [create(&fixture, &admin, Some("c")), rotate(&fixture, &admin, &old, json!({}), Some("r"))] {
        let made = fixture.send(call.clone()).expect(201);
        let entries =
            || fixture.get(&owner, "/audit").expect(200).body["entries"].as_array().unwrap().clone();
        let before = entries().len();
        for times in 1..=2 {
            fixture.send(call.clone()).expect(201);
            let entries = entries();
            assert_eq!(entries.len(), before + times);
            assert_eq!(
                (&entries[0]["action"], &entries[0]["target"], &entries[0]["actor"]["id"]),
                (&json!("key.replay"), &json!(made.key_id()), &json!(admin_id))
            );
        }
        // Somebody else of the tenant is shown nothing, and nothing is written down as shown.
        let before = fixture.dump();
        let AdminCall { credential, .. } = fixture.call("GET", &owner, "/", Value::Null);
        fixture.send(AdminCall { credential, ..call }).refused(422, "IDEMPOTENCY_MISMATCH");
        assert_eq!(fixture.dump(), before);
    }
}
