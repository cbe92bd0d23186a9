//! What happens to keys is told to the policy's endpoints: at least once, in order for each key, whatever fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use keyward_core::{
    sql::Sql,
    time::{Span, Timestamp},
};
use keyward_policy::{EventEndpoint, EventType, Policy};
use keyward_registry::events::{notices, queue, retention, sending};
use keyward_testing::{
    fake_registry_platform::Received,
    registry_fixture::{RegistryFixture, policy_with},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const URL: &str = "https://hooks.example.com/keyward?token=hidden";
const DAY: Span = Span::from_days(1);

pub fn endpoint(types: &'static [EventType]) -> EventEndpoint {
    EventEndpoint { name: "main", url: URL, secrets: &["EVENTS_SECRET"], types }
}

pub fn policy_of(endpoints: &[EventEndpoint]) -> &'static Policy {
    let mut policy = *policy_with(|_| {});
    policy.admin.events = endpoints.to_vec().leak();
    Box::leak(Box::new(policy))
}

fn open() -> (RegistryFixture, String) {
    RegistryFixture::open_over(policy_of(&[endpoint(&EventType::ALL)]))
}

fn body(received: &Received) -> Value {
    serde_json::from_str(&received.body).unwrap()
}

fn field<'a>(received: &'a Received, name: &str) -> &'a str {
    &received.fields.iter().find(|(field, _)| *field == name).unwrap().1
}

fn hash_of(fixture: &RegistryFixture, id: &str) -> String {
    let rows = fixture.db.run("SELECT hash FROM keys WHERE id = ?", &[id.into()]).unwrap();
    rows[0]["hash"].as_str().unwrap().to_owned()
}

/// The events that the receiver took, as type and key.
fn taken(fixture: &RegistryFixture) -> Vec<(String, String)> {
    let received = fixture.received.borrow();
    let taken = received.iter().filter(|received| received.status == Some(200));
    let text = |body: &Value, at: &str| body.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    taken.map(|received| (text(&body(received), "/type"), text(&body(received), "/data/keyId"))).collect()
}

/// The `webhook-id` of each, by which a receiver drops repeats.
fn taken_ids(fixture: &RegistryFixture) -> Vec<String> {
    let received = fixture.received.borrow();
    let taken = received.iter().filter(|received| received.status == Some(200));
    let id =
        |fields: &[(&str, String)]| fields.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone();
    taken.map(|received| id(&received.fields)).collect()
}

pub fn types(fixture: &RegistryFixture) -> Vec<String> {
    taken(fixture).into_iter().map(|(kind, _)| kind).collect()
}

fn status(fixture: &RegistryFixture, owner: &str) -> Value {
    fixture.get(owner, "/events/endpoints").expect(200).body["endpoints"][0].clone()
}

#[test]
fn a_key_that_is_made_rotated_and_revoked_is_told_with_since_when_that_holds_everywhere() {
    let (fixture, owner) = open();
    let made = fixture.key(&owner, json!({"name": "Nightly export"}));
    let id = made.key_id();
    let rotated =
        fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true})).expect(201);
    fixture.pass_with_alarms(Span::from_secs(10));

    let next = rotated.key_id();
    let expected = [("key.created", &id), ("key.created", &next), ("key.rotated", &id), ("key.revoked", &id)];
    assert_eq!(taken(&fixture), expected.map(|(kind, id)| (kind.to_owned(), id.clone())));
    let received = fixture.received.borrow();
    let [created, successor, rotation, revoked] = [0, 1, 2, 3].map(|index| body(&received[index]));
    assert_eq!(created["data"]["name"], "Nightly export");
    assert_eq!(created["data"]["by"]["type"], "member");
    assert!(created["data"]["by"].get("email").is_none(), "{created}");
    assert_eq!(successor["data"]["rotatedFrom"], json!(id));
    assert_eq!(rotation["data"]["rotatedTo"], json!(next));
    assert_eq!(revoked["data"]["reason"], "rotated");
    let promised = &rotated.body["previous"]["refusedEverywhereBy"];
    assert_eq!(&revoked["data"]["refusedEverywhereBy"], promised, "what the answer promised");
    assert!(received.iter().all(|received| received.url == URL));
}

#[test]
fn no_event_holds_a_key_or_its_hash() {
    let (fixture, owner) = open();
    let made = fixture.key(&owner, json!({}));
    let hash = hash_of(&fixture, &made.key_id());
    fixture.post(&owner, &format!("/api-keys/{}/revoke", made.key_id()), json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    let told: String = fixture.received.borrow().iter().map(|received| received.body.clone()).collect();
    let listed = fixture.get(&owner, "/events").expect(200).text;
    for text in [told, listed] {
        assert!(text.contains("key.revoked"), "{text}");
        assert!(!text.contains(&made.plaintext()) && !text.contains(&hash), "{text}");
    }
}

#[test]
fn a_revocation_waits_until_the_coordinator_knows_and_other_keys_do_not() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(10));
    fixture.gates_are_down.set(true);
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({}));
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(types(&fixture), ["key.created"], "nobody knows since when");
    fixture.gates_are_down.set(false);
    let other = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_mins(10));
    let last = taken(&fixture).split_off(1);
    assert_eq!(
        BTreeSet::from_iter(last),
        BTreeSet::from([("key.created".into(), other), ("key.revoked".into(), id)])
    );
    let revoked =
        fixture.received.borrow().iter().map(body).find(|body| body["type"] == "key.revoked").unwrap();
    let by = revoked["data"]["refusedEverywhereBy"].as_str().unwrap();
    assert!(by > revoked["timestamp"].as_str().unwrap(), "{revoked}");
}

#[test]
fn without_an_endpoint_nothing_is_written_and_a_new_one_gets_what_happens_from_then_on() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    assert_eq!(fixture.get(&owner, "/events").expect(200).body, json!({"events": [], "nextAfter": null}));
    fixture.restart(policy_of(&[endpoint(&EventType::ALL)]));
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(10));
    assert_eq!(taken(&fixture), [("key.created".to_owned(), id)]);
    fixture.restart(policy_of(&[]));
    fixture.key(&owner, json!({}));
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"].as_array().unwrap().len(), 1);
}

#[test]
fn an_endpoint_gets_only_the_types_that_it_names() {
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint(&[EventType::Revoked])]));
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    assert_eq!(types(&fixture), ["key.revoked"]);
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"].as_array().unwrap().len(), 2);
}

#[test]
fn a_receiver_that_is_down_for_a_day_loses_nothing_and_is_asked_less_and_less_often() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(503) }; 10_000]);
    let ids: Vec<String> = (0..5).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    fixture.pass_with_alarms(Span::from_hours(12));
    let owner = fixture.sign_in("owner@example.com");
    for id in &ids {
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    fixture.pass_with_alarms(Span::from_hours(12));
    let attempts = fixture.received.borrow().len();
    assert!((140..200).contains(&attempts), "{attempts} attempts in a day");
    let failing = status(&fixture, &fixture.sign_in("owner@example.com"));
    assert_eq!((&failing["state"], &failing["error"]), (&json!("failing"), &json!("answered 503")));
    assert_eq!((&failing["waiting"], &failing["lost"]), (&json!(10), &json!(0)));

    fixture.receiver.borrow_mut().clear();
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    for id in &ids {
        let of: Vec<String> =
            taken(&fixture).into_iter().filter(|(_, of)| of == id).map(|(kind, _)| kind).collect();
        assert_eq!(of, ["key.created", "key.revoked"]);
    }
    let well = status(&fixture, &fixture.sign_in("owner@example.com"));
    assert_eq!((&well["state"], &well["waiting"], &well["error"]), (&json!("ok"), &json!(0), &Value::Null));
}

#[test]
fn each_attempt_has_the_same_id_and_body_and_its_own_time_and_signature() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([Some(500), Some(302), None]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(5));
    let received = fixture.received.borrow();
    assert_eq!(
        received.iter().map(|received| received.status).collect::<Vec<_>>(),
        [Some(500), Some(302), None, Some(200)]
    );
    let of = |name: &str| {
        received.iter().map(|received| field(received, name).to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (of("webhook-id").len(), of("webhook-timestamp").len(), of("webhook-signature").len()),
        (1, 4, 4)
    );
    assert_eq!(received.iter().map(|received| &received.body).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn a_slow_receiver_keeps_no_key_from_being_published() {
    let (fixture, owner) = open();
    fixture.key(&owner, json!({}));
    fixture.receiver.borrow_mut().push_back(None);
    fixture.pass_with_alarms(Span::from_secs(2));
    assert_eq!(fixture.received.borrow().len(), 1, "it is asked, and does not answer");
    fixture.kv_is_down.set(true);
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.kv_is_down.set(false);
    fixture.pass_with_alarms(Span::from_secs(5));
    assert!(fixture.published(&id).is_some());
    fixture.pass_with_alarms(sending::PATIENCE);
    assert!(fixture.log.borrow().iter().any(|line| line == "events: endpoint main: no answer within 15 s"));
}

#[test]
fn an_event_that_is_never_taken_holds_up_its_own_key_alone() {
    let (fixture, owner) = open();
    let stuck = fixture.key(&owner, json!({})).key_id();
    fixture.refused_subject.replace(Some(stuck.clone()));
    let other = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(30));
    fixture.post(&owner, &format!("/api-keys/{other}/revoke"), json!({})).expect(200);
    fixture.post(&owner, &format!("/api-keys/{stuck}/revoke"), json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(taken(&fixture), [("key.created".into(), other.clone()), ("key.revoked".into(), other)]);
    fixture.refused_subject.replace(None);
    fixture.pass_with_alarms(queue::LAST_RETRY * 2);
    let last = taken(&fixture).split_off(2);
    assert_eq!(last, [("key.created".into(), stuck.clone()), ("key.revoked".into(), stuck)]);
}

#[test]
fn a_receiver_that_is_gone_is_left_alone_until_somebody_replays() {
    let (fixture, owner) = open();
    let first = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(Span::from_secs(10));
    fixture.receiver.borrow_mut().push_back(Some(410));
    let second = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(DAY);
    assert_eq!(fixture.received.borrow().len(), 2);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(status(&fixture, &owner)["state"], "gone");

    let events = fixture.get(&owner, "/events").expect(200).body;
    let after = json!({"after": events["events"][0]["id"]});
    let answer = fixture.post(&owner, "/events/endpoints/main/replay", after).expect(200);
    assert_eq!(answer.body["endpoint"]["state"], "ok");
    fixture.pass_with_alarms(Span::from_secs(10));
    fixture.post(&owner, "/events/endpoints/main/replay", json!({})).expect(200);
    fixture.pass_with_alarms(Span::from_secs(10));
    let ids: Vec<String> = taken(&fixture).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, [first.clone(), second.clone(), first, second]);
    fixture.post(&owner, "/events/endpoints/other/replay", json!({})).refused(404, "NOT_FOUND");
    let strange = json!({"after": "evt_00"});
    fixture.post(&owner, "/events/endpoints/main/replay", strange).refused(400, "VALIDATION_FAILED");
}

#[test]
fn a_secret_that_is_missing_is_named_and_nothing_is_sent_without_a_signature() {
    let endpoint =
        EventEndpoint { secrets: &["EVENTS_SECRET", "EVENTS_SECRET_OLD"], ..endpoint(&EventType::ALL) };
    let (fixture, owner) = RegistryFixture::open_over(policy_of(&[endpoint]));
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(Span::from_mins(1));
    assert!(fixture.received.borrow().is_empty());
    assert_eq!(status(&fixture, &owner)["error"], "the secret EVENTS_SECRET_OLD is not set");
}

#[test]
fn the_list_goes_on_after_an_event_and_shows_a_tenant_its_own() {
    let (fixture, owner) = open();
    let (other, tenant_id) = fixture.tenant(&owner, "acme");
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
        fixture.key(&other, json!({}));
    }
    let page = fixture.get(&owner, "/events?limit=4").expect(200).body;
    let rest = fixture.get(&owner, &format!("/events?after={}", page["nextAfter"].as_str().unwrap())).body;
    let events = |page: &Value| page["events"].as_array().unwrap().clone();
    assert_eq!((events(&page).len(), events(&rest).len(), &rest["nextAfter"]), (4, 2, &Value::Null));
    let own = fixture.get(&other, "/events").expect(200).body;
    assert_eq!(events(&own).len(), 3);
    assert!(events(&own).iter().all(|event| event["data"]["tenantId"] == json!(tenant_id)));
    let foreign = events(&page)[0]["id"].as_str().unwrap().to_owned();
    fixture.get(&other, &format!("/events?after={foreign}")).refused(400, "VALIDATION_FAILED");
    fixture.get(&other, "/events/endpoints").refused(403, "FORBIDDEN");
    fixture.post(&other, "/events/endpoints/main/replay", json!({})).refused(403, "FORBIDDEN");
}

#[test]
fn an_expiry_is_told_30_7_and_1_day_before_once_each() {
    let (fixture, owner) = open();
    let expires = |days: i64| (fixture.now.get() + DAY * days).to_rfc3339();
    let long = fixture.key(&owner, json!({"expiresAt": expires(40)})).key_id();
    let short = fixture.key(&owner, json!({"expiresAt": expires(3)})).key_id();
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(DAY * 45);
    let told = |id: &str| {
        let received = fixture.received.borrow();
        let bodies = received.iter().map(body).filter(|body| body["type"] == "key.expiring");
        let bodies = bodies.filter(|body| body["data"]["keyId"] == json!(id));
        bodies.map(|body| (body["data"]["daysBefore"].clone(), body["timestamp"].clone())).collect::<Vec<_>>()
    };
    let days: Vec<Value> = told(&long).into_iter().map(|(days, _)| days).collect();
    assert_eq!(days, [30, 7, 1]);
    assert_eq!(told(&short).len(), 1, "an expiry that is nearer than a threshold is not told for it");
}

#[test]
fn an_expiry_that_is_moved_is_told_anew_and_of_a_revoked_key_nothing() {
    let (fixture, owner) = open();
    let expires = |days: i64| json!({"expiresAt": (fixture.now.get() + DAY * days).to_rfc3339()});
    let id = fixture.key(&owner, expires(10)).key_id();
    let revoked = fixture.key(&owner, expires(10)).key_id();
    fixture.pass_with_alarms(DAY * 4);
    let owner = fixture.sign_in("owner@example.com");
    fixture.patch(&owner, &format!("/api-keys/{id}"), expires(10)).expect(200);
    fixture.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    fixture.pass_with_alarms(DAY * 20);
    let of =
        |id: &str| taken(&fixture).iter().filter(|(kind, of)| kind == "key.expiring" && of == id).count();
    assert_eq!((of(&id), of(&revoked)), (3, 1), "7 days, then 7 and 1 of the later expiry");
}

#[test]
fn a_key_that_nobody_uses_is_told_once_until_it_is_used_again() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let unused = || types(&fixture).iter().filter(|kind| *kind == "key.unused").count();
    fixture.pass_with_alarms(notices::UNUSED_AFTER - DAY);
    assert_eq!(unused(), 0);
    fixture.pass_with_alarms(DAY * 100);
    assert_eq!(unused(), 1);
    let used =
        json!({"keyId": id, "lastUsedAt": fixture.now.get().0, "hours": [], "sent": fixture.now.get().0});
    fixture.run(fixture.publisher.take_usage(&serde_json::from_value(used).unwrap(), None)).unwrap();
    fixture.pass_with_alarms(notices::UNUSED_AFTER + DAY);
    assert_eq!(unused(), 2);
}

/// A coordinator's report.
fn report(fixture: &RegistryFixture, report: Value) {
    let report = serde_json::from_value(report).unwrap();
    fixture.run(fixture.publisher.take_usage(&report, None)).unwrap();
    fixture.pass_with_alarms(Span::from_secs(5));
}

#[test]
fn each_share_of_a_limit_is_told_once_in_a_window() {
    let (fixture, owner) = open();
    let id = fixture.key(&owner, json!({})).key_id();
    let reach = |window: &str, percent: u64, limit: u64| {
        let reached = json!([{"window": window, "percent": percent, "limit": limit}]);
        report(&fixture, json!({"keyId": id, "lastUsedAt": null, "hours": [], "reached": reached}));
    };
    let told = || -> Vec<Value> {
        let bodies = fixture.received.borrow().iter().map(body).collect::<Vec<_>>();
        let told = bodies.iter().filter(|body| body["type"] == "key.limit_reached");
        let told: Vec<Value> =
            told.map(|body| json!([body["data"]["limit"], body["data"]["percent"]])).collect();
        fixture.received.borrow_mut().clear();
        told
    };
    reach("perDay", 80, 1_000);
    reach("perDay", 80, 1_000);
    assert_eq!(told(), [json!(["perDay", 80])]);
    reach("perDay", 100, 1_000);
    assert_eq!(told(), [json!(["perDay", 95]), json!(["perDay", 100])]);
    reach("perDay", 80, 2_000);
    assert_eq!(told(), [json!(["perDay", 80])], "another limit");
    reach("total", 80, 10);
    reach("perMonth", 80, 10);
    told();
    fixture.pass_with_alarms(DAY * 32);
    for window in ["perDay", "total", "perMonth", "perEon"] {
        reach(window, 80, if window == "perDay" { 2_000 } else { 10 });
    }
    assert_eq!(told(), [json!(["perDay", 80]), json!(["perMonth", 80])], "a total never begins anew");
}

#[test]
fn many_requests_with_keys_that_nobody_has_are_told_once_an_hour_for_each_realm() {
    let (fixture, _) = open();
    let hour = fixture.now.get().floor(Span::from_hours(1));
    let guess = |hour: Timestamp, refused: Value| {
        let hours = json!([{"hour": hour.0, "accepted": 0, "refused": refused}]);
        report(&fixture, json!({"keyId": "unattributed", "lastUsedAt": null, "hours": hours}));
    };
    guess(hour, json!({"api INVALID_API_KEY": 99, "api NO_ROUTE": 500}));
    assert!(fixture.received.borrow().is_empty());
    guess(hour, json!({"api INVALID_API_KEY": 100, "other INVALID_API_KEY": 5}));
    guess(hour, json!({"api INVALID_API_KEY": 300}));
    guess(hour, json!({"other INVALID_API_KEY": 300}));
    fixture.pass_with_alarms(Span::from_hours(1));
    guess(hour + Span::from_hours(1), json!({"api INVALID_API_KEY": 300}));
    let told: Vec<Value> = fixture.received.borrow().iter().map(body).collect();
    let told: Vec<Value> = told
        .iter()
        .map(|body| json!([body["type"], body["data"]["realm"], body["data"]["refused"]]))
        .collect();
    let of = |realm: &str, count: u64| json!(["guessing.detected", realm, count]);
    assert_eq!(told, [of("api", 100), of("other", 300), of("api", 300)]);
}

#[test]
fn what_is_older_than_30_days_is_dropped_and_counted_for_who_did_not_get_it() {
    let (fixture, owner) = open();
    fixture.receiver.borrow_mut().extend([const { Some(500) }; 10_000]);
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(retention::KEPT_FOR + DAY);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(status(&fixture, &owner)["lost"], 1);
    assert_eq!(fixture.get(&owner, "/events").expect(200).body["events"], json!([]));
}

/// What a test does with a Registry and its receiver.
#[derive(Clone, Debug)]
enum Step {
    Create,
    Revoke(usize),
    Rotate(usize),
    Answers(Vec<Option<u16>>),
    Pass(i64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer =
        prop_oneof![4 => Just(Some(200)), 2 => Just(Some(500)), 1 => Just(None), 1 => Just(Some(301))];
    let step = prop_oneof![
        3 => Just(Step::Create),
        3 => (0..8usize).prop_map(Step::Revoke),
        2 => (0..8usize).prop_map(Step::Rotate),
        3 => prop::collection::vec(answer, 1..8).prop_map(Step::Answers),
        4 => (0..120_000i64).prop_map(Step::Pass),
        2 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The second reading of the promise: a list of what was done, and of each key what of it came first for the first time.
    #[test]
    fn whatever_fails_and_crashes_each_event_is_delivered_and_those_of_a_key_in_order(steps in steps()) {
        let policy = policy_of(&[endpoint(&EventType::ALL)]);
        let (mut fixture, owner) = RegistryFixture::open_over(policy);
        let mut keys: Vec<String> = Vec::new();
        let mut done: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for step in steps {
            let key = |index: usize| keys.get(index).cloned();
            match step {
                Step::Create => {
                    let id = fixture.key(&owner, json!({})).key_id();
                    done.entry(id.clone()).or_default().push("key.created");
                    keys.push(id);
                }
                Step::Revoke(index) => {
                    let Some(id) = key(index) else { continue };
                    if fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).status == 200 {
                        let of = done.get_mut(&id).unwrap();
                        if !of.contains(&"key.revoked") { of.push("key.revoked"); }
                    }
                }
                Step::Rotate(index) => {
                    let Some(id) = key(index) else { continue };
                    let rotate = json!({"graceSeconds": 3600});
                    let answer = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), rotate);
                    if answer.status == 201 {
                        done.entry(answer.key_id()).or_default().push("key.created");
                        done.get_mut(&id).unwrap().push("key.rotated");
                    }
                }
                Step::Answers(answers) => fixture.receiver.borrow_mut().extend(answers),
                Step::Pass(ms) => fixture.pass_with_alarms(Span::from_ms(ms)),
                Step::Crash => {
                    fixture.restart(policy);
                    fixture.run(fixture.publisher.open()).unwrap();
                }
            }
        }
        fixture.pass_with_alarms(Span::from_hours(6));
        let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut known = BTreeSet::new();
        for ((kind, key), event) in taken(&fixture).into_iter().zip(taken_ids(&fixture)) {
            if known.insert(event) {
                first.entry(key).or_default().push(kind);
            }
        }
        let told = |kinds: Vec<&str>| kinds.into_iter().map(str::to_owned).collect::<Vec<_>>();
        // A rotated key's grace is told as an expiry only where it is longer than a day.
        let done: BTreeMap<String, Vec<String>> = done.into_iter().map(|(id, kinds)| (id, told(kinds))).collect();
        prop_assert_eq!(first, done);
        let at: Timestamp = fixture.now.get();
        prop_assert!(fixture.next_due().is_none_or(|due| due > at));
    }
}
