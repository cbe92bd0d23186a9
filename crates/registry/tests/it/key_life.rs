//! Keys that have to end, and how long they may live.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{SECOND, Span};
use keyward_testing::{
    NOON,
    registry_fixture::{RegistryFixture, policy_with},
};
use serde_json::{Value, json};

fn days(days: i64) -> Value {
    json!(NOON.plus(Span::from_days(days)).to_rfc3339())
}

fn body(expires_at: Option<Value>) -> Value {
    let mut body = json!({ "name": "A key", "scopes": ["orders:read"] });
    if let Some(expires_at) = expires_at {
        body["expiresAt"] = expires_at;
    }
    body
}

#[test]
fn where_keys_live_a_bounded_time_none_is_made_or_edited_to_live_longer() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy_with(|realm| realm.max_key_life = Some(Span::from_days(90))));
    for wrong in [None, Some(Value::Null), Some(days(91))] {
        let refused = fixture.post(&owner, "/api-keys", body(wrong.clone())).expect(400);
        assert_eq!(refused.body["errors"][0]["field"], "expiresAt", "{wrong:?}: {}", refused.body);
        assert!(refused.body["errors"][0]["message"].as_str().unwrap().contains("90 days"));
    }
    let id = fixture.post(&owner, "/api-keys", body(Some(days(90)))).expect(201).key_id();
    let path = format!("/api-keys/{id}");
    for wrong in [Value::Null, days(100)] {
        fixture.patch(&owner, &path, json!({ "expiresAt": wrong })).expect(400);
    }
    fixture.patch(&owner, &path, json!({ "name": "Another name" })).expect(200);
    fixture.patch(&owner, &path, json!({ "expiresAt": days(10) })).expect(200);
}

#[test]
fn a_key_from_before_the_bound_goes_on_and_the_one_that_replaces_it_ends() {
    let (mut fixture, owner) = RegistryFixture::open_over(policy_with(|_| {}));
    let id = fixture.post(&owner, "/api-keys", body(None)).expect(201).key_id();
    fixture.restart(policy_with(|realm| realm.max_key_life = Some(Span::from_days(90))));
    fixture.later(SECOND);
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({ "name": "Another name" })).expect(200);
    let new = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({})).expect(201);
    assert_eq!(new.body["apiKey"]["expiresAt"], json!(NOON.plus(SECOND + Span::from_days(90)).to_rfc3339()));
}

#[test]
fn where_keys_must_expire_any_end_will_do_but_none() {
    let (mut fixture, owner) = RegistryFixture::open_over(policy_with(|_| {}));
    let endless = fixture.post(&owner, "/api-keys", body(None)).expect(201).key_id();
    fixture.restart(policy_with(|realm| realm.keys_must_expire = true));
    fixture.post(&owner, "/api-keys", body(None)).expect(400);
    fixture.post(&owner, "/api-keys", body(Some(days(3_000)))).expect(201);
    fixture.post(&owner, &format!("/api-keys/{endless}/rotate"), json!({})).expect(409);
    fixture.patch(&owner, &format!("/api-keys/{endless}"), json!({ "expiresAt": days(1) })).expect(200);
    fixture.post(&owner, &format!("/api-keys/{endless}/rotate"), json!({})).expect(201);
}
