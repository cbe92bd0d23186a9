//! What `owner_only`, `step_up` and a fresh password guard is what happens, whichever call does it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{DAY, MINUTE, SECOND, Span};
use keyward_policy::{KeyAction, Policy, Rotation};
use keyward_registry::router::{AdminRoute, ROUTES};
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, policy_with};
use serde_json::{Value, json};

use KeyAction::{Create, Revoke, Rotate};
use keyward_testing::policy::POLICY;

const ALL: [KeyAction; 3] = [Create, Rotate, Revoke];
const KEY: &str = "/api-keys/{key_}";

type Call = (&'static str, String, Value, &'static [KeyAction]);

/// A call on a key made by [`key_of`], and what happens by it.
fn calls(fixture: &RegistryFixture) -> Vec<Call> {
    let at = |span: Span| (fixture.now.get() + span).to_rfc3339();
    let rotate = format!("{KEY}/rotate");
    let edit = |change: Value, effects: &'static [KeyAction]| ("PATCH", KEY.to_owned(), change, effects);
    vec![
        ("POST", "/api-keys".to_owned(), json!({"name": "n", "scopes": ["orders:read"]}), &[Create]),
        ("POST", format!("{KEY}/revoke"), json!({}), &[Revoke]),
        ("POST", format!("{KEY}/pause"), json!({}), &[Revoke]),
        ("POST", format!("{KEY}/resume"), json!({}), &[Create]),
        ("POST", rotate.clone(), json!({}), &[Create, Rotate]),
        ("POST", rotate.clone(), json!({"revokeOld": false}), &[Create, Rotate]),
        ("POST", rotate.clone(), json!({"revokeOld": true}), &[Create, Rotate, Revoke]),
        ("POST", rotate.clone(), json!({"graceSeconds": 0}), &[Create, Rotate, Revoke]),
        ("POST", rotate.clone(), json!({"graceSeconds": 60}), &[Create, Rotate, Revoke]),
        // It ends before that anyway.
        ("POST", rotate, json!({"graceSeconds": 86_400 * 300}), &[Create, Rotate]),
        edit(json!({"name": "m", "tags": ["t"], "metadata": {"a": "b"}}), &[]),
        edit(json!({"scopes": ["orders:write", "orders:read", "admin:read"]}), &[Create]),
        edit(json!({"expiresAt": null}), &[Create]),
        edit(json!({"expiresAt": at(200 * DAY)}), &[Create]),
        edit(json!({"allowedIps": []}), &[Create]),
        edit(json!({"allowedIps": ["192.0.2.0/23"]}), &[Create]),
        edit(json!({"rateLimit": {"perMinute": 20, "perDay": 100}}), &[Create]),
        edit(json!({"strict": true}), &[Create]),
        edit(json!({"expiresAt": at(2 * SECOND)}), &[Create, Revoke]),
        edit(json!({"scopes": ["orders:read"]}), &[Create, Revoke]),
        edit(json!({"allowedIps": ["192.0.2.8/32"]}), &[Create, Revoke]),
        edit(json!({"allowedIps": ["203.0.113.0/24"]}), &[Create, Revoke]),
        edit(json!({"rateLimit": {"perMinute": 1, "perDay": 100}}), &[Create, Revoke]),
        edit(json!({"rateLimit": {"perMinute": 20, "perDay": 1}}), &[Create, Revoke]),
    ]
}

fn key_of(fixture: &RegistryFixture, owner: &str) -> String {
    let settings = json!({
        "scopes": ["orders:write"], "allowedIps": ["192.0.2.0/24"], "rateLimit": {"perMinute": 10, "perDay": 100},
        "expiresAt": fixture.now.get().plus(100 * 86_400 * SECOND).to_rfc3339(),
    });
    fixture.key(owner, settings).key_id()
}

fn step_up(fixture: &RegistryFixture, session: &str) {
    fixture.post(session, "/session/step-up", json!({"password": PASSWORD})).expect(204);
}

fn send(
    fixture: &RegistryFixture,
    session: &str,
    (method, path, body): (&str, &str, Value),
    id: &str,
) -> Answer {
    fixture.send(fixture.call(method, session, &path.replace("{key_}", id), body))
}

#[test]
fn what_a_realm_keeps_for_owners_is_kept_whichever_call_does_it() {
    for guarded in ALL {
        let policy = policy_with(|realm| realm.owner_only = Box::leak(Box::new([guarded])));
        let (fixture, owner) = RegistryFixture::open_over(policy);
        let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
        for (method, path, body, effects) in calls(&fixture) {
            let id = key_of(&fixture, &owner);
            let before = fixture.record(&id);
            let answer = send(&fixture, &admin, (method, &path, body.clone()), &id);
            let refused = answer.status == 403 && answer.code() == "FORBIDDEN";
            let what = format!("{guarded:?} is for owners: {method} {path} {body}: {}", answer.text);
            assert_eq!(refused, effects.contains(&guarded), "{what}");
            assert!(refused || (200..300).contains(&answer.status), "{what}");
            assert!(!refused || fixture.record(&id) == before, "{what}");
            assert!(send(&fixture, &owner, (method, &path, body), &id).status < 400 || !refused, "{what}");
        }
    }
}

#[test]
fn what_a_realm_wants_the_password_for_asks_for_it_whichever_call_does_it() {
    for guarded in ALL {
        let policy = policy_with(|realm| realm.step_up = Box::leak(Box::new([guarded])));
        let (fixture, owner) = RegistryFixture::open_over(policy);
        for (method, path, body, effects) in calls(&fixture) {
            step_up(&fixture, &owner);
            let id = key_of(&fixture, &owner);
            // Signing in is not enough there.
            let session = fixture.sign_in("owner@example.com");
            let answer = send(&fixture, &session, (method, &path, body.clone()), &id);
            let refused = answer.status == 403 && answer.code() == "STEP_UP_REQUIRED";
            let what = format!("{guarded:?} asks: {method} {path} {body}: {}", answer.text);
            assert_eq!(refused, effects.contains(&guarded), "{what}");
            assert!(refused || (200..300).contains(&answer.status), "{what}");
            step_up(&fixture, &session);
            assert!(!refused || send(&fixture, &session, (method, &path, body), &id).status < 400, "{what}");
        }
    }
}

#[test]
fn a_rotation_that_revokes_by_default_is_a_revocation() {
    let policy = policy_with(|realm| (realm.rotation, realm.owner_only) = (Rotation::RevokeOld, &[Revoke]));
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let path = format!("/api-keys/{}/rotate", key_of(&fixture, &owner));
    fixture.post(&admin, &path, json!({})).refused(403, "FORBIDDEN");
    fixture.post(&admin, &path, json!({"revokeOld": false})).expect(201);
}

/// Every call that writes. A new one is put here, and above if it does something to a key.
#[test]
fn every_call_that_writes_is_known_here() {
    let fixture = RegistryFixture::empty();
    let of_keys: Vec<(&str, String)> =
        calls(&fixture).into_iter().map(|(method, path, ..)| (method, path)).collect();
    let others = [
        ("POST", "/setup"),
        ("POST", "/session"),
        ("DELETE", "/session"),
        ("POST", "/session/step-up"),
        // `crates/registry/tests/it/fresh_password.rs`, `crates/registry/tests/it/passkeys.rs`
        ("POST", "/session/step-up/options"),
        ("POST", "/session/code/options"),
        ("POST", "/session/passkey/options"),
        ("POST", "/passkeys/options"),
        ("POST", "/passkeys"),
        ("DELETE", "/passkeys/{pky_}"),
        ("DELETE", "/sessions"),
        ("DELETE", "/sessions/{ses_}"),
        ("DELETE", "/members/{}/sessions"),
        // Changes nothing.
        ("POST", "/explain"),
        // `each_key_is_guarded_as_if_…` in `bulk.rs`
        ("POST", "/api-keys/bulk"),
        ("POST", "/api-keys/bulk-revoke"),
        // `crates/registry/tests/it/fresh_password.rs`, `crates/registry/tests/it/import.rs`
        ("POST", "/api-keys/import"),
        // `what_opens_the_admin_api_asks_…`, `crates/registry/tests/it/links.rs`
        ("POST", "/links"),
        // `people_and_tenants_ask_…`
        ("POST", "/members"),
        ("PATCH", "/members/{}"),
        ("DELETE", "/members/{}"),
        ("POST", "/tenants"),
        ("PATCH", "/tenants/{}"),
        // `crates/registry/tests/it/fresh_password.rs`, `crates/registry/tests/it/invitations.rs`
        ("POST", "/invitations"),
        ("POST", "/members/{}/reset"),
        ("POST", "/tenants/{}/owners"),
        ("DELETE", "/invitations/{inv_}"),
        ("DELETE", "/tenants/{}/sessions"),
        // `crates/registry/tests/it/events.rs`
        ("POST", "/events/endpoints/{}/replay"),
        // Of people who are not signed in.
        ("POST", "/invitations/accept"),
        ("POST", "/recover"),
        // `crates/registry/tests/it/backup.rs`
        ("POST", "/restore"),
        // The gate's.
        ("POST", "/settlements"),
        // A scanner's: `crates/registry/tests/it/leaks.rs`
        ("POST", "/leaks"),
    ];
    for AdminRoute { method, path, .. } in ROUTES.iter().filter(|route| route.method != "GET") {
        let known = others.contains(&(*method, *path))
            || of_keys.iter().any(|(m, p)| (*m, p.as_str()) == (*method, *path));
        assert!(known, "{method} {path}: say which effects it has");
    }
}

#[test]
fn what_opens_the_admin_api_asks_for_the_password_whatever_the_policy_says() {
    let (fixture, owner) = RegistryFixture::open();
    let admin_key =
        fixture.key(&owner, json!({"scopes": ["admin:write"], "allowedIps": ["192.0.2.0/24"]})).key_id();
    let plain = fixture.key(&owner, json!({})).key_id();
    let mut repeat = fixture.call("POST", &owner, "/api-keys", json!({"name": "n", "scopes": ["*"]}));
    repeat.idempotency_key = Some("once".into());
    fixture.send(repeat.clone()).expect(201);

    fixture.later(5 * MINUTE);
    for scopes in
        [json!(["*"]), json!(["admin:*"]), json!(["admin:read"]), json!(["orders:read", "admin:write"])]
    {
        let body = json!({"name": "n", "scopes": scopes});
        fixture.post(&owner, "/api-keys", body.clone()).refused(403, "STEP_UP_REQUIRED");
        fixture
            .patch(&owner, &format!("/api-keys/{plain}"), json!({"scopes": scopes}))
            .refused(403, "STEP_UP_REQUIRED");
    }
    fixture.send(repeat).refused(403, "STEP_UP_REQUIRED");
    let path = format!("/api-keys/{admin_key}");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(403, "STEP_UP_REQUIRED");
    for more in [json!({"allowedIps": []}), json!({"rateLimit": {"perMinute": 100_000, "perDay": null}})] {
        fixture.patch(&owner, &path, more).refused(403, "STEP_UP_REQUIRED");
    }
    // What opens nothing, or opens less, does not ask.
    fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["orders:*"]})).expect(201);
    fixture.post(&owner, &format!("/api-keys/{plain}/rotate"), json!({})).expect(201);
    fixture.patch(&owner, &path, json!({"allowedIps": ["192.0.2.7/32"]})).expect(200);
    fixture.patch(&owner, &path, json!({"name": "renamed"})).expect(200);

    step_up(&fixture, &owner);
    fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["*"]})).expect(201);
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).expect(201);
}

#[test]
fn a_key_that_manages_keys_makes_none_that_do() {
    let (fixture, owner) = RegistryFixture::open();
    let manager = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    let admin_key = fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id();
    let plain = fixture.key(&manager, json!({})).key_id();
    for scope in ["*", "admin:*", "admin:read", "admin:write"] {
        fixture
            .post(&manager, "/api-keys", json!({"name": "n", "scopes": [scope]}))
            .refused(400, "VALIDATION_FAILED");
        fixture
            .patch(&manager, &format!("/api-keys/{plain}"), json!({"scopes": [scope]}))
            .refused(400, "VALIDATION_FAILED");
    }
    fixture.post(&manager, &format!("/api-keys/{admin_key}/rotate"), json!({})).refused(403, "FORBIDDEN");
    fixture
        .patch(&manager, &format!("/api-keys/{admin_key}"), json!({"expiresAt": null}))
        .refused(403, "FORBIDDEN");
}

#[test]
fn people_and_tenants_ask_for_a_fresh_password_whichever_call_changes_them() {
    let mut policy = *POLICY;
    policy.admin.step_up_roles = true;
    let policy: &'static Policy = Box::leak(Box::new(policy));
    let (fixture, operator) = RegistryFixture::open_over(policy);
    let (_, shop) = fixture.tenant(&operator, "shop");
    let (_, member) = fixture.member(&operator, "m@example.com", "viewer");
    fixture.later(5 * MINUTE);
    let person = json!({"email": "n@example.com", "role": "owner", "password": PASSWORD});
    let tenant = json!({"name": "T", "owner": {"email": "t@example.com", "password": PASSWORD}});
    let calls = [
        ("POST", "/members".to_owned(), person, 201),
        ("PATCH", format!("/members/{member}"), json!({"role": "admin"}), 200),
        ("PATCH", format!("/members/{member}"), json!({"password": "somebody chose another one"}), 200),
        ("DELETE", format!("/members/{member}"), Value::Null, 204),
        ("POST", "/tenants".to_owned(), tenant, 201),
        ("PATCH", format!("/tenants/{shop}"), json!({"status": "INACTIVE"}), 200),
        ("PATCH", format!("/tenants/{shop}"), json!({"status": "ACTIVE"}), 200),
    ];
    fixture
        .patch(&operator, &format!("/tenants/{shop}"), json!({"name": "Another", "status": "ACTIVE"}))
        .expect(200);
    let before = fixture.dump();
    for (method, path, body, _) in calls.iter().filter(|(.., body, _)| body["status"] != "ACTIVE") {
        fixture.send(fixture.call(method, &operator, path, body.clone())).refused(403, "STEP_UP_REQUIRED");
    }
    assert_eq!(fixture.dump(), before, "nothing of it is done");
    step_up(&fixture, &operator);
    for (method, path, body, status) in calls {
        fixture.send(fixture.call(method, &operator, &path, body)).expect(status);
    }
}

#[test]
fn a_tenant_is_stopped_only_with_the_password_where_a_realm_asks_it_for_revoking() {
    let (fixture, operator) = RegistryFixture::open_over(policy_with(|realm| realm.step_up = &[Revoke]));
    let (_, shop) = fixture.tenant(&operator, "shop");
    let path = format!("/tenants/{shop}");
    fixture.patch(&operator, &path, json!({"status": "INACTIVE"})).refused(403, "STEP_UP_REQUIRED");
    step_up(&fixture, &operator);
    fixture.patch(&operator, &path, json!({"status": "INACTIVE"})).expect(200);
}
