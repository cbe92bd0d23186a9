//! Keys that have ended give way to new ones, however many there are and however little room a tenant has left.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{sql::Sql, time::SECOND};
use keyward_policy::{Policy, Quotas};
use keyward_testing::registry_fixture::{Answer, RegistryFixture, policy_with};
use serde_json::{Value, json};

fn policy(change: impl FnOnce(&mut Quotas)) -> &'static Policy {
    let mut policy = Policy { ..*policy_with(|_| {}) };
    change(&mut policy.admin.quotas);
    Box::leak(Box::new(policy))
}

fn create(fixture: &RegistryFixture, token: &str, metadata: &Value) -> Answer {
    let body = json!({"name": "a key", "scopes": ["orders:read"], "metadata": metadata});
    fixture.post(token, "/api-keys", body)
}

/// Metadata of `hundreds` hundred bytes, at most 100.
fn metadata(hundreds: usize) -> Value {
    let fields = (0..hundreds.div_ceil(5)).map(|n| (format!("f{n}"), "x".repeat(100 * hundreds.min(5))));
    fields.map(|(name, text)| (name, Value::from(text))).collect()
}

fn make_and_revoke(fixture: &RegistryFixture, token: &str, keys: usize, metadata: &Value) {
    for _ in 0..keys {
        fixture.later(SECOND);
        let id = create(fixture, token, metadata).expect(201).key_id();
        fixture.post(token, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
}

fn rows(fixture: &RegistryFixture, ended: bool) -> u64 {
    let count = "SELECT COUNT(*) AS n FROM keys WHERE (status = 'REVOKED') = ?";
    fixture.db.run(count, &[ended.into()]).unwrap()[0]["n"].as_u64().unwrap()
}

#[test]
fn after_a_mass_revocation_keys_are_made_and_rotated_as_before() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(|quotas| (quotas.keys, quotas.ended_keys) = (200, 0)));
    let ids: Vec<String> =
        (0..180).map(|_| create(&fixture, &owner, &json!({})).expect(201).key_id()).collect();
    for id in &ids {
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    assert!(rows(&fixture, true) > 100, "{}", rows(&fixture, true));
    let id = create(&fixture, &owner, &json!({})).expect(201).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true})).expect(201);
    for _ in 0..5 {
        create(&fixture, &owner, &json!({})).expect(201);
    }
    assert!(rows(&fixture, true) <= 1, "{}", rows(&fixture, true));
}

#[test]
fn where_fewer_ended_keys_may_be_kept_than_there_are_the_surplus_goes_a_little_with_each_call() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    make_and_revoke(&fixture, &owner, 360, &json!({}));
    let owner = fixture.sign_in("owner@shop.example");
    let operator = fixture.sign_in("owner@example.com");
    let path = format!("/tenants/{tenant}");
    fixture.patch(&operator, &path, json!({"quotas": {"endedKeys": 10}})).expect(200);
    create(&fixture, &owner, &json!({})).expect(201);
    let before = rows(&fixture, true);
    // Calls that have nothing to do with it.
    for _ in 0..10 {
        fixture
            .post(
                &owner,
                "/session/step-up",
                json!({"password": keyward_testing::registry_fixture::PASSWORD}),
            )
            .expect(204);
    }
    assert!(before > 200, "{before}");
    assert_eq!(rows(&fixture, true), 10);
    // And without any call that makes a key, within an hour.
    make_and_revoke(&fixture, &owner, 100, &json!({}));
    fixture.patch(&operator, &path, json!({"quotas": {"endedKeys": 0}})).expect(200);
    fixture.later(3_600 * SECOND);
    for _ in 0..10 {
        fixture.publisher.keep_up(&fixture.secrets);
    }
    assert_eq!(rows(&fixture, true), 0);
}

#[test]
fn what_is_set_on_ended_keys_gives_way_also_where_each_call_is_refused_until_then() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    make_and_revoke(&fixture, &owner, 300, &metadata(1));
    let owner = fixture.sign_in("owner@shop.example");
    let operator = fixture.sign_in("owner@example.com");
    let kept = create(&fixture, &owner, &json!({})).expect(201).key_id();
    let path = format!("/tenants/{tenant}");
    fixture.patch(&operator, &path, json!({"quotas": {"keyBytes": 20_000}})).expect(200);
    let used = || fixture.get(&owner, "/quotas").body["quotas"]["keyBytes"]["used"].as_u64().unwrap();
    assert!(used() > 50_000, "{}", used());
    // Larger than what fifty of them leave.
    let large = metadata(100);
    let refused = create(&fixture, &owner, &large);
    assert!(refused.body["detail"].as_str().unwrap().contains("ended ones give way"), "{}", refused.text);
    refused.refused(409, "QUOTA_EXCEEDED");
    let tries = (0..10).take_while(|_| create(&fixture, &owner, &large).status != 201).count();
    assert!((1..8).contains(&tries), "{tries}");
    // What could not be made even without them takes none of them away.
    make_and_revoke(&fixture, &owner, 5, &json!({}));
    let before = rows(&fixture, true);
    for _ in 0..5 {
        create(&fixture, &owner, &large).refused(409, "QUOTA_EXCEEDED");
    }
    assert_eq!(rows(&fixture, true), before);
    fixture.get(&owner, &format!("/api-keys/{kept}")).expect(200);
}

#[test]
fn a_change_of_a_key_that_is_larger_is_made_room_for_too() {
    let (fixture, operator) = RegistryFixture::open_over(policy(|quotas| quotas.key_bytes = 30_000));
    let id = create(&fixture, &operator, &json!({})).expect(201).key_id();
    make_and_revoke(&fixture, &operator, 20, &metadata(10));
    let operator = fixture.sign_in("owner@example.com");
    let larger = json!({ "metadata": metadata(100) });
    let path = format!("/api-keys/{id}");
    fixture.patch(&operator, &path, larger.clone()).refused(409, "QUOTA_EXCEEDED");
    fixture.patch(&operator, &path, larger).expect(200);
}

#[test]
fn to_set_less_on_a_key_is_never_refused_although_a_repeat_has_to_keep_more() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.key_bytes = 24_000));
    let create = |name: &str| {
        let body = json!({"name": "a key", "scopes": ["orders:read"], "metadata": metadata(100)});
        let mut call = fixture.call("POST", &owner, "/api-keys", body);
        call.idempotency_key = Some(name.to_owned());
        fixture.send(call)
    };
    let first = create("1").expect(201);
    let second = create("2").expect(201);
    let path = format!("/api-keys/{}", first.key_id());
    fixture.patch(&owner, &path, json!({ "metadata": metadata(75) })).expect(200);
    fixture.patch(&owner, &path, json!({ "name": "b key" })).expect(200);
    // One as large in its place is more, by what is kept of it.
    let second = format!("/api-keys/{}", second.key_id());
    let other = json!({"metadata": metadata(100).to_string().replace('x', "y").parse::<Value>().unwrap()});
    fixture.patch(&owner, &second, other).refused(409, "QUOTA_EXCEEDED");
    let other = json!({"metadata": {"other": "less"}});
    fixture.patch(&owner, &second, other).expect(200);
    fixture.patch(&owner, &path, json!({ "metadata": metadata(80) })).refused(409, "QUOTA_EXCEEDED");
    fixture.patch(&owner, &path, json!({ "metadata": null })).expect(200);
    assert_eq!(create("1").expect(201).text, first.text);
}
