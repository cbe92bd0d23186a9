//! What happens to keys is told to the policy's endpoints: at least once, in order for each key, whatever fails.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod delivery;
mod list;
mod notices;
mod property;
mod reports;
mod signature;

use std::collections::BTreeSet;

use keyward_core::{
    sql::Sql,
    time::{Span, Timestamp},
};
use keyward_policy::{EventEndpoint, EventType, Policy};
use keyward_testing::{
    fake_registry_platform::Received,
    registry_fixture::{RegistryFixture, policy_with},
};
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

/// Whether nothing is due for events at this moment.
fn sleeps(fixture: &RegistryFixture) -> bool {
    fixture.publisher.events_due().unwrap().is_none_or(|due| due > fixture.now.get())
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
    assert_eq!(created["timestamp"], made.body["apiKey"]["createdAt"]);
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
fn revocations_that_waited_are_told_in_the_order_in_which_they_were_made() {
    let (fixture, owner) = open();
    let keys = [(); 5].map(|()| fixture.key(&owner, json!({})).key_id());
    fixture.gates_are_down.set(true);
    let order = [3, 0, 4, 1, 2].map(|index| keys[index].clone());
    for id in &order {
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({}));
    }
    fixture.gates_are_down.set(false);
    fixture.pass_with_alarms(Span::from_mins(10));
    let told = taken(&fixture).into_iter().filter(|(kind, _)| kind == "key.revoked").map(|(_, id)| id);
    assert_eq!(told.collect::<Vec<_>>(), order);
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
