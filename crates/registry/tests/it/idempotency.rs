//! A request that is repeated with its `Idempotency-Key` gets the same answer: status, header fields and body, and a
//! mark that it is a repeat. And every 201 says where what was made is to be found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{HOUR, SECOND},
};
use keyward_policy::KeyAction;
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, SETUP_TOKEN, policy_with};
use keyward_testing::{
    NOON,
    fake_registry_platform::{AT_ONCE, DOWN},
};
use serde_json::{Value, json};

fn send(fixture: &RegistryFixture, token: &str, path: &str, body: Value, idempotency_key: &str) -> Answer {
    let mut call = fixture.call("POST", token, path, body);
    call.idempotency_key = Some(idempotency_key.into());
    fixture.send(call)
}

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(first.header("Idempotent-Replayed"), None);
    assert_eq!(again.header("Idempotent-Replayed"), Some("true"));
    let unmarked = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "Idempotent-Replayed");
        headers.sort();
        headers
    };
    assert_eq!((again.status, unmarked(again), &again.text), (first.status, unmarked(first), &first.text));
}

#[test]
fn a_repeated_create_is_answered_as_the_first_whatever_has_happened_since() {
    let (fixture, owner) = RegistryFixture::open();
    let body =
        json!({"name": "n", "scopes": ["orders:read"], "expiresAt": NOON.plus(60 * SECOND).to_rfc3339()});
    let create = || send(&fixture, &owner, "/api-keys", body.clone(), "c");
    let first = create();
    let path = format!("/api-keys/{}", first.key_id());
    assert_eq!(first.header("ETag"), Some("\"1\""));
    same(&first, &create());
    fixture.patch(&owner, &path, json!({"name": "edited"})).expect(200);
    same(&first, &create());
    fixture.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
    same(&first, &create());
    // What the body asks for is no longer possible: a time to come that has passed.
    fixture.later(HOUR);
    same(&first, &create());
}

#[test]
fn a_repeated_rotation_is_answered_as_the_first_whatever_has_happened_since() {
    for ending in
        [json!({}), json!({"revokeOld": true}), json!({"graceSeconds": 60}), json!({"graceSeconds": 0})]
    {
        let (fixture, owner) = RegistryFixture::open();
        let id = fixture.key(&owner, json!({})).key_id();
        let rotate = || send(&fixture, &owner, &format!("/api-keys/{id}/rotate"), ending.clone(), "r");
        let first = rotate();
        same(&first, &rotate());
        fixture.later(7 * SECOND);
        same(&first, &rotate());
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        fixture.post(&owner, &format!("/api-keys/{}/revoke", first.key_id()), json!({})).expect(200);
        fixture.later(HOUR);
        same(&first, &rotate());
        assert_eq!(fixture.get(&owner, "/api-keys").body["apiKeys"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_rotation_that_could_not_promise_yet_promises_when_it_can_and_the_same_from_then_on() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let rotate = || {
        send(&fixture, &owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true}), "r").expect(201)
    };
    fixture.tells.borrow_mut().extend([AT_ONCE, DOWN, DOWN]);
    let first = rotate();
    assert_eq!(
        first.body["previous"]["refusedEverywhereBy"],
        Value::Null,
        "the old key's object knows nothing yet"
    );
    fixture.later(60 * SECOND);
    let second = rotate();
    assert_eq!(
        second.body["previous"]["refusedEverywhereBy"],
        fixture.now.get().plus(5 * SECOND).to_rfc3339()
    );
    assert_eq!(second.plaintext(), first.plaintext());
    fixture.later(60 * SECOND);
    assert_eq!(rotate().text, second.text);
}

#[test]
fn a_repeat_shows_the_key_only_to_whom_the_realm_would_let_make_one_now() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy_with(|realm| realm.step_up = &[KeyAction::Create]));
    let create = || send(&fixture, &owner, "/api-keys", json!({"name": "n", "scopes": ["*"]}), "c");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    let first = create();
    fixture.later(5 * 60 * SECOND);
    create().refused(403, "STEP_UP_REQUIRED");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    same(&first, &create());
}

#[test]
fn a_repeated_rotation_shows_the_key_only_to_whom_what_it_opens_by_now_may_be_shown() {
    let (fixture, owner) = RegistryFixture::open();
    let script =
        fixture.post(&owner, "/api-keys", json!({"name": "s", "scopes": ["admin:write"]})).expect(201);
    let script = format!("key:{}", script.key_id());
    let id = fixture.key(&owner, json!({})).key_id();
    let rotate = || send(&fixture, &script, &format!("/api-keys/{id}/rotate"), json!({}), "r");
    let first = rotate();
    same(&first, &rotate());
    let path = format!("/api-keys/{}", first.key_id());
    fixture.patch(&owner, &path, json!({"scopes": ["orders:read", "admin:write"]})).expect(200);
    rotate().refused(403, "FORBIDDEN");
    fixture.patch(&owner, &path, json!({"scopes": ["orders:read"]})).expect(200);
    same(&first, &rotate());
}

#[test]
fn a_repeated_rotation_is_answered_as_the_first_when_the_old_key_has_left_the_list() {
    for ending in [json!({}), json!({"revokeOld": true}), json!({"graceSeconds": 60})] {
        let (fixture, owner) = RegistryFixture::open();
        let id = fixture.key(&owner, json!({"expiresAt": NOON.plus(2 * HOUR).to_rfc3339()})).key_id();
        let rotate = || send(&fixture, &owner, &format!("/api-keys/{id}/rotate"), ending.clone(), "r");
        let first = rotate();
        fixture.later(HOUR);
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        gone(&fixture, &id);
        fixture.get(&owner, &format!("/api-keys/{id}")).refused(404, "NOT_FOUND");
        same(&first, &rotate());
        send(&fixture, &owner, &format!("/api-keys/{id}/rotate"), ending.clone(), "s")
            .refused(404, "NOT_FOUND");
    }
}

#[test]
fn a_repeat_whose_key_has_left_the_list_is_told_so() {
    let (fixture, owner) = RegistryFixture::open();
    let create = || send(&fixture, &owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}), "c");
    let id = create().expect(201).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    gone(&fixture, &id);
    let again = create();
    again.refused(409, "CONFLICT");
    let detail = again.body["detail"].as_str().unwrap();
    assert!(detail.contains("has left the list") && !detail.contains("secret"), "{detail}");
}

/// As when newer ones need the room.
fn gone(fixture: &RegistryFixture, id: &str) {
    let gone = "DELETE FROM keys WHERE id = ? AND publish_due IS NULL RETURNING id";
    assert_eq!(fixture.db.run(gone, &[id.into()]).unwrap().len(), 1);
}

#[test]
fn every_201_names_where_to_find_what_it_made() {
    let fixture = RegistryFixture::empty();
    let made = |answer: Answer, what: &str, owner: &str| {
        let answer = answer.expect(201);
        let location = answer.header("Location").unwrap_or_else(|| panic!("{what}: no Location"));
        let path = location.strip_prefix(fixture.policy.admin.api).unwrap();
        let found = fixture.get(owner, path).expect(200);
        assert_eq!(found.body[what]["id"], answer.body[what]["id"], "{what}");
        answer
    };
    let set_up = json!({"token": SETUP_TOKEN, "email": "owner@example.com", "password": PASSWORD});
    let answer = fixture.post("", "/setup", set_up);
    let signed_in = fixture.post("", "/session", json!({"email": "owner@example.com", "password": PASSWORD}));
    assert_eq!(signed_in.header("Location"), Some("/api/admin/session"));
    let owner = signed_in.body["token"].as_str().unwrap().to_owned();
    made(answer, "member", &owner);
    made(signed_in, "member", &owner);
    let person = json!({"email": "a@example.com", "role": "viewer", "password": PASSWORD});
    made(fixture.post(&owner, "/members", person), "member", &owner);
    made(fixture.post(&owner, "/tenants", json!({"name": "T"})), "tenant", &owner);
    let key =
        made(fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["*"]})), "apiKey", &owner);
    made(fixture.post(&owner, &format!("/api-keys/{}/rotate", key.key_id()), json!({})), "apiKey", &owner);
}
