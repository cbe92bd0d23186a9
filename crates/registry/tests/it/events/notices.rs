//! Events that no call causes: of keys that expire soon, and of keys that nobody uses.

use keyward_registry::events::notices;

use super::*;

/// A policy of a database of this many bytes.
fn of_size(storage: u64) -> &'static Policy {
    let mut policy = *policy_of(&[endpoint(&EventType::ALL)]);
    policy.admin.storage = storage;
    Box::leak(Box::new(policy))
}

#[test]
fn an_expiry_is_told_30_7_and_1_day_before_once_each() {
    let (fixture, owner) = open();
    let expires = |days: i64| (fixture.now.get() + DAY * days).to_rfc3339();
    let ends = expires(40);
    let long = fixture.key(&owner, json!({"expiresAt": ends})).key_id();
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
    let received = fixture.received.borrow();
    let of_long = received.iter().map(body).rfind(|body| body["type"] == "key.expiring").unwrap();
    assert_eq!(of_long["data"]["expiresAt"], json!(ends), "{of_long}");
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
    let last_used = fixture.now.get();
    let used = json!({"keyId": id, "lastUsedAt": last_used.0, "hours": [], "sent": last_used.0});
    fixture.run(fixture.publisher.take_usage(&serde_json::from_value(used).unwrap(), None)).unwrap();
    fixture.pass_with_alarms(notices::UNUSED_AFTER + DAY);
    assert_eq!(unused(), 2);
    let last = fixture.received.borrow().iter().map(body).rfind(|body| body["type"] == "key.unused").unwrap();
    assert_eq!(last["data"]["lastUsedAt"], json!(last_used.to_rfc3339()));
}

#[test]
fn of_a_key_that_has_ended_meanwhile_neither_its_expiry_nor_that_nobody_uses_it_is_told() {
    let (fixture, owner) = open();
    let expires = |days: i64| json!({"expiresAt": (fixture.now.get() + DAY * days).to_rfc3339()});
    fixture.key(&owner, expires(2));
    // Nobody wakes the object up in between.
    fixture.pass(DAY * 3);
    let owner = fixture.sign_in("owner@example.com");
    fixture.key(&owner, expires(20));
    fixture.pass(notices::UNUSED_AFTER);
    fixture.pass_with_alarms(DAY);
    assert_eq!(types(&fixture), ["key.created", "key.created"]);
}

#[test]
fn an_expiry_waits_until_the_database_has_room_for_its_event() {
    let (mut fixture, owner) = open();
    let expires = (fixture.now.get() + DAY * 3).to_rfc3339();
    fixture.key(&owner, json!({"expiresAt": expires}));
    fixture.restart(of_size(1));
    fixture.run(fixture.publisher.open()).unwrap();
    fixture.pass(DAY * 2 + Span::from_mins(1));
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(types(&fixture), ["key.created"]);
    assert!(sleeps(&fixture), "it does not wake up for what has no room");
    fixture.restart(of_size(1_000_000_000));
    fixture.run(fixture.publisher.open()).unwrap();
    fixture.pass_with_alarms(Span::from_mins(1));
    assert_eq!(types(&fixture), ["key.created", "key.expiring"]);
}

#[test]
fn what_lay_unused_before_there_was_an_endpoint_is_not_told() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    fixture.pass(notices::UNUSED_AFTER * 2);
    fixture.restart(policy_of(&[endpoint(&EventType::ALL)]));
    fixture.run(fixture.publisher.open()).unwrap();
    let owner = fixture.sign_in("owner@example.com");
    fixture.key(&owner, json!({}));
    fixture.pass_with_alarms(DAY);
    assert_eq!(types(&fixture), ["key.created"]);
}

#[test]
fn an_expiry_that_came_close_before_there_was_an_endpoint_is_told_from_the_next_threshold_on() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({"expiresAt": (fixture.now.get() + DAY * 40).to_rfc3339()}));
    fixture.pass_with_alarms(DAY * 20);
    fixture.restart(policy_of(&[endpoint(&EventType::ALL)]));
    fixture.run(fixture.publisher.open()).unwrap();
    fixture.pass_with_alarms(DAY * 25);
    let days: Vec<Value> = fixture
        .received
        .borrow()
        .iter()
        .map(|received| body(received)["data"]["daysBefore"].clone())
        .collect();
    assert_eq!(days, [7, 1]);
}
