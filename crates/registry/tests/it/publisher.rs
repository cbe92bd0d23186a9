//! Publishing to coordinators and a KV that fail, lag, lose answers and write late, through crashes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{MILLISECOND, MINUTE, SECOND, Span},
};
use keyward_registry::publisher;
use keyward_testing::fake_registry_platform::{AT_ONCE, PATIENCE, Script};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Longest that a put which nobody follows is under way.
const LONGEST: Span = Span::from_secs(50);

fn late(span: Span) -> Script {
    Script { lands: Some(span), answers: span, succeeds: true }
}

/// Lets time pass until nothing is left to publish.
fn settle(fixture: &RegistryFixture) {
    fixture.pass_with_alarms(60 * MINUTE);
    assert_eq!((fixture.alarm.get(), fixture.next_due()), (None, None), "it never ends");
}

#[test]
fn a_put_that_lands_after_it_was_given_up_does_not_stay() {
    for hangs in [PATIENCE + MILLISECOND, 20 * SECOND, 300 * SECOND] {
        let (fixture, owner) = RegistryFixture::open();
        fixture.puts.borrow_mut().push_back(late(hangs));
        let id = fixture.key(&owner, json!({})).key_id();
        fixture.pass(PATIENCE);
        assert_eq!(fixture.published(&id), None);
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked, "the next is not held up");
        fixture.pass_with_alarms(hangs);
        settle(&fixture);
        assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked, "{hangs:?}");
    }
}

#[test]
fn a_put_that_a_crash_left_under_way_does_not_stay() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.puts.borrow_mut().push_back(late(LONGEST));
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.pass(SECOND);
    fixture.restart(fixture.policy);
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    fixture.pass(5 * SECOND);
    // A change in between does not make it forget that something is under way.
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    settle(&fixture);
    assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked);
}

#[test]
fn what_goes_well_is_written_once() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    settle(&fixture);
    assert_eq!(fixture.kv_writes.get(), 2);
}

#[test]
fn a_key_is_published_once_at_a_time() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.puts.borrow_mut().push_back(late(PATIENCE - SECOND));
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "other"})).expect(200);
    fixture.alarm();
    assert_eq!(fixture.kv_writes.get(), 1, "the first is under way");
    fixture.pass(PATIENCE);
    assert_eq!(fixture.kv_writes.get(), 2);
    assert_eq!(fixture.published(&id).unwrap().version, 2);
}

#[test]
fn kv_never_gets_what_the_gate_was_not_told_of() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.gates_are_down.set(true);
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "other"})).expect(503);
    fixture.alarm();
    assert_eq!((fixture.kv_writes.get(), fixture.published(&id).unwrap().version), (1, 1));
}

#[test]
fn a_gate_that_holds_an_older_version_after_it_was_told_was_not_told() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let edit = fixture.call("PATCH", &owner, &format!("/api-keys/{id}"), json!({"name": "other"}));
    let outcome = fixture.step(&edit);
    fixture.tells.borrow_mut().push_back(Script { lands: None, ..AT_ONCE });
    assert_eq!(fixture.run(fixture.publisher.tell_all(&outcome.publish, publisher::PATIENCE)).pending, 1);
}

#[test]
fn a_change_holds_from_when_the_gate_was_told_however_late_the_answer_is() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let told = fixture.now.get();
    let revoke = fixture.call("POST", &owner, &format!("/api-keys/{id}/revoke"), json!({}));
    let outcome = fixture.step(&revoke);
    fixture.alarm();
    fixture.pass_with_alarms(Span::from_ms(700));
    let telling = fixture.run(fixture.publisher.tell_all(&outcome.publish, publisher::PATIENCE));
    assert_eq!((telling.at, telling.pending), (told, 0));
    let promised = |reply: &str| serde_json::from_str::<Value>(reply).unwrap()["refusedEverywhereBy"].clone();
    let first = promised(&outcome.reply(telling, "r").body);
    assert_eq!(first, fixture.send(revoke).body["refusedEverywhereBy"]);
}

#[test]
fn an_alarm_that_could_not_be_set_is_not_counted_on() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    settle(&fixture);
    fixture.kv_is_down.set(true);
    fixture.step(&fixture.call("PATCH", &owner, &format!("/api-keys/{id}"), json!({"name": "other"})));
    fixture.alarm_cannot_be_set.set(true);
    assert!(fixture.run(fixture.publisher.keep_alarm()).is_err());
    fixture.alarm_cannot_be_set.set(false);
    fixture.run(fixture.publisher.keep_alarm()).unwrap();
    assert_eq!(fixture.alarm.get(), Some(fixture.now.get().plus(SECOND)));
}

#[test]
fn an_alarm_that_was_lost_is_set_again() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.kv_is_down.set(true);
    let id = fixture.key(&owner, json!({})).key_id();
    assert!(fixture.alarm.take().is_some());
    fixture.later(60 * SECOND);
    fixture.get(&owner, &format!("/api-keys/{id}")).expect(200);
    assert!(fixture.alarm.get().is_some());
}

#[test]
fn waking_up_with_another_policy_sets_the_alarm_whoever_wakes_it() {
    let (mut fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    settle(&fixture);
    fixture.restart(policy_with(|realm| realm.limits.maximum.per_minute = Some(100)));
    // Nobody calls the admin API: a coordinator reports.
    fixture.run(fixture.publisher.open()).unwrap();
    settle(&fixture);
    assert_eq!(fixture.published(&id).unwrap().limits.per_minute, Some(100));
}

#[test]
fn one_slow_gate_does_not_keep_the_others_from_being_told() {
    let (fixture, owner) = RegistryFixture::open();
    let ids: Vec<String> = (0..30).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    let tenant = fixture.record(&ids[0]).tenant.id;
    fixture.tells.borrow_mut().push_back(late(60 * SECOND));
    let path = format!("/tenants/{tenant}");
    let answer = fixture.patch(&owner, &path, json!({"plan": "pro"})).expect(200);
    assert_eq!(answer.body["pendingKeys"], 1);
}

/// Any span from this one to below that.
fn span(least: Span, below: Span) -> impl Strategy<Value = Span> {
    (least.ms()..below.ms()).prop_map(Span::from_ms)
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        4 => Just(AT_ONCE),
        2 => span(Span::ZERO, PATIENCE).prop_map(late),
        2 => span(PATIENCE, LONGEST).prop_map(late),
        // Done or not, now or later, and the answer says that it failed.
        2 => (prop::option::of(span(Span::ZERO, LONGEST)), span(Span::ZERO, 2 * PATIENCE))
            .prop_map(|(lands, answers)| Script { lands, answers, succeeds: false }),
    ]
}

/// What happens next, and after what time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Create,
    Edit(usize),
    Revoke(usize),
    Crash,
}

fn event() -> impl Strategy<Value = (Span, Event)> {
    let event = prop_oneof![
        1 => Just(Event::Create),
        4 => (0_usize..3).prop_map(Event::Edit),
        2 => (0_usize..3).prop_map(Event::Revoke),
        2 => Just(Event::Crash),
    ];
    (prop_oneof![Just(Span::ZERO), span(Span::ZERO, 2 * SECOND), span(Span::ZERO, 90 * SECOND)], event)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_kv_and_gates_hold_the_newest_version(
        events in prop::collection::vec(event(), 1..14),
        tells in prop::collection::vec(script(), 0..12),
        puts in prop::collection::vec(script(), 0..12),
    ) {
        let (mut fixture, owner) = RegistryFixture::open();
        let mut ids = vec![fixture.key(&owner, json!({})).key_id()];
        fixture.tells.borrow_mut().extend(tells);
        fixture.puts.borrow_mut().extend(puts);
        for (number, (wait, event)) in events.into_iter().enumerate() {
            fixture.pass_with_alarms(wait);
            let path = |of: usize| format!("/api-keys/{}", ids[of % ids.len()]);
            match event {
                Event::Create => {
                    let answer = fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
                    if answer.status == 201 {
                        ids.push(answer.key_id());
                    }
                }
                Event::Edit(of) => {
                    let limit = json!({"rateLimit": {"perMinute": number + 1}});
                    fixture.patch(&owner, &path(of), limit);
                }
                Event::Revoke(of) => {
                    fixture.post(&owner, &format!("{}/revoke", path(of)), json!({}));
                }
                Event::Crash => fixture.restart(fixture.policy),
            }
        }
        settle(&fixture);
        let listed = fixture.get(&owner, "/api-keys?status=ACTIVE").expect(200).body["apiKeys"].clone();
        for key in listed.as_array().unwrap() {
            prop_assert!(ids.iter().any(|id| key["id"] == *id), "a key that nobody has is live: {key}");
        }
        for id in &ids {
            let shown = fixture.get(&owner, &format!("/api-keys/{id}")).expect(200).body["apiKey"].clone();
            let published = fixture.published(id).unwrap();
            prop_assert_eq!(json!(published.version), shown["version"].clone());
            prop_assert_eq!(json!(published.status), shown["status"].clone());
            prop_assert_eq!(&published, &fixture.record(id));
        }
    }
}
