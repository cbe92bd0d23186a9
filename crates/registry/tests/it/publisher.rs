//! Publishing on KeyGates and a KV that fail, lag, lose answers and write late, through crashes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND},
};
use keyward_testing::office::{Office, policy_with};
use keyward_testing::outside::{AT_ONCE, Course, PATIENCE};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Longest that a put which nobody follows is under way, in milliseconds.
const LONGEST: i64 = 50 * SECOND;

fn late(milliseconds: i64) -> Course {
    Course { lands: Some(milliseconds), answers: milliseconds, well: true }
}

/// Lets time pass until nothing is left to publish.
fn settle(office: &Office) {
    office.pass_with_alarms(60 * MINUTE);
    assert_eq!((office.alarm.get(), office.next_due()), (None, None), "it never ends");
}

#[test]
fn a_put_that_lands_after_it_was_given_up_does_not_stay() {
    for hangs in [PATIENCE + 1, 20 * SECOND, 300 * SECOND] {
        let (office, owner) = Office::open();
        office.puts.borrow_mut().push_back(late(hangs));
        let id = office.key(&owner, json!({})).key_id();
        office.pass(PATIENCE);
        assert_eq!(office.published(&id), None);
        office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        assert_eq!(office.published(&id).unwrap().status, Status::Revoked, "the next is not held up");
        office.pass_with_alarms(hangs);
        settle(&office);
        assert_eq!(office.published(&id).unwrap().status, Status::Revoked, "{hangs}");
    }
}

#[test]
fn a_put_that_a_crash_left_under_way_does_not_stay() {
    let (mut office, owner) = Office::open();
    office.puts.borrow_mut().push_back(late(LONGEST));
    let id = office.key(&owner, json!({})).key_id();
    office.pass(SECOND);
    office.restart(office.policy);
    office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    office.pass(5 * SECOND);
    // A change in between does not make it forget that something is under way.
    office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    settle(&office);
    assert_eq!(office.published(&id).unwrap().status, Status::Revoked);
}

#[test]
fn what_goes_well_is_written_once() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    settle(&office);
    assert_eq!(office.kv_writes.get(), 2);
}

#[test]
fn a_key_is_published_once_at_a_time() {
    let (office, owner) = Office::open();
    office.puts.borrow_mut().push_back(late(PATIENCE - SECOND));
    let id = office.key(&owner, json!({})).key_id();
    office.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "other"})).expect(200);
    office.alarm();
    assert_eq!(office.kv_writes.get(), 1, "the first is under way");
    office.pass(PATIENCE);
    assert_eq!(office.kv_writes.get(), 2);
    assert_eq!(office.published(&id).unwrap().version, 2);
}

#[test]
fn kv_never_gets_what_the_gate_was_not_told_of() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    office.gates_are_down.set(true);
    office.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "other"})).expect(503);
    office.alarm();
    assert_eq!((office.kv_writes.get(), office.published(&id).unwrap().version), (1, 1));
}

#[test]
fn a_gate_that_holds_an_older_version_after_it_was_told_was_not_told() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let edit = office.call("PATCH", &owner, &format!("/api-keys/{id}"), json!({"name": "other"}));
    let outcome = office.step(&edit);
    office.tells.borrow_mut().push_back(Course { lands: None, ..AT_ONCE });
    assert_eq!(office.run(office.publisher.tell_all(&outcome.publish)).pending, 1);
}

#[test]
fn a_change_holds_from_when_the_gate_was_told_however_late_the_answer_is() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let told = office.now.get();
    let revoke = office.call("POST", &owner, &format!("/api-keys/{id}/revoke"), json!({}));
    let outcome = office.step(&revoke);
    office.alarm();
    office.pass_with_alarms(700);
    let telling = office.run(office.publisher.tell_all(&outcome.publish));
    assert_eq!((telling.at, telling.pending), (told, 0));
    let promised = |reply: &str| serde_json::from_str::<Value>(reply).unwrap()["refusedEverywhereBy"].clone();
    let first = promised(&outcome.reply(telling, "r").body);
    assert_eq!(first, office.send(revoke).body["refusedEverywhereBy"]);
}

#[test]
fn an_alarm_that_could_not_be_set_is_not_counted_on() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    settle(&office);
    office.kv_is_down.set(true);
    office.step(&office.call("PATCH", &owner, &format!("/api-keys/{id}"), json!({"name": "other"})));
    office.alarm_cannot_be_set.set(true);
    assert!(office.run(office.publisher.keep_alarm()).is_err());
    office.alarm_cannot_be_set.set(false);
    office.run(office.publisher.keep_alarm()).unwrap();
    assert_eq!(office.alarm.get(), Some(office.now.get().plus(SECOND)));
}

#[test]
fn an_alarm_that_was_lost_is_set_again() {
    let (office, owner) = Office::open();
    office.kv_is_down.set(true);
    let id = office.key(&owner, json!({})).key_id();
    assert!(office.alarm.take().is_some());
    office.later(60 * SECOND);
    office.get(&owner, &format!("/api-keys/{id}")).expect(200);
    assert!(office.alarm.get().is_some());
}

#[test]
fn waking_up_with_another_policy_sets_the_alarm_whoever_wakes_it() {
    let (mut office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    settle(&office);
    office.restart(policy_with(|realm| realm.limits.maximum.per_minute = Some(100)));
    // Nobody calls the admin API: a KeyGate reports.
    office.run(office.publisher.open()).unwrap();
    settle(&office);
    assert_eq!(office.published(&id).unwrap().limits.per_minute, Some(100));
}

#[test]
fn one_slow_gate_does_not_keep_the_others_from_being_told() {
    let (office, owner) = Office::open();
    let ids: Vec<String> = (0..30).map(|_| office.key(&owner, json!({})).key_id()).collect();
    let tenant = office.record(&ids[0]).tenant.id;
    office.tells.borrow_mut().push_back(late(60 * SECOND));
    let path = format!("/tenants/{tenant}");
    let answer = office.patch(&owner, &path, json!({"plan": "pro"})).expect(200);
    assert_eq!(answer.body["pendingKeys"], 1);
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        4 => Just(AT_ONCE),
        2 => (0..PATIENCE).prop_map(late),
        2 => (PATIENCE..LONGEST).prop_map(late),
        // Done or not, now or later, and the answer says that it failed.
        2 => (prop::option::of(0..LONGEST), 0..2 * PATIENCE)
            .prop_map(|(lands, answers)| Course { lands, answers, well: false }),
    ]
}

/// What happens next, and after how many milliseconds.
#[derive(Clone, Copy, Debug)]
enum Event {
    Create,
    Edit(usize),
    Revoke(usize),
    Crash,
}

fn event() -> impl Strategy<Value = (i64, Event)> {
    let event = prop_oneof![
        1 => Just(Event::Create),
        4 => (0_usize..3).prop_map(Event::Edit),
        2 => (0_usize..3).prop_map(Event::Revoke),
        2 => Just(Event::Crash),
    ];
    (prop_oneof![Just(0), 0..2 * SECOND, 0..90 * SECOND], event)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_kv_and_gates_hold_the_newest_version(
        events in prop::collection::vec(event(), 1..14),
        tells in prop::collection::vec(course(), 0..12),
        puts in prop::collection::vec(course(), 0..12),
    ) {
        let (mut office, owner) = Office::open();
        let mut ids = vec![office.key(&owner, json!({})).key_id()];
        office.tells.borrow_mut().extend(tells);
        office.puts.borrow_mut().extend(puts);
        for (number, (wait, event)) in events.into_iter().enumerate() {
            office.pass_with_alarms(wait);
            let path = |of: usize| format!("/api-keys/{}", ids[of % ids.len()]);
            match event {
                Event::Create => {
                    let answer = office.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
                    if answer.status == 201 {
                        ids.push(answer.key_id());
                    }
                }
                Event::Edit(of) => {
                    let limit = json!({"rateLimit": {"perMinute": number + 1}});
                    office.patch(&owner, &path(of), limit);
                }
                Event::Revoke(of) => {
                    office.post(&owner, &format!("{}/revoke", path(of)), json!({}));
                }
                Event::Crash => office.restart(office.policy),
            }
        }
        settle(&office);
        let listed = office.get(&owner, "/api-keys?status=ACTIVE").expect(200).body["apiKeys"].clone();
        for key in listed.as_array().unwrap() {
            prop_assert!(ids.iter().any(|id| key["id"] == *id), "a key that nobody has is live: {key}");
        }
        for id in &ids {
            let shown = office.get(&owner, &format!("/api-keys/{id}")).expect(200).body["apiKey"].clone();
            let published = office.published(id).unwrap();
            prop_assert_eq!(json!(published.version), shown["version"].clone());
            prop_assert_eq!(json!(published.status), shown["status"].clone());
            prop_assert_eq!(&published, &office.record(id));
        }
    }
}
