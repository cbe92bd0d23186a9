//! What somebody would try who wants more than the Registry gives, or wants it to give nothing to
//! anybody. `tests/e2e/attacks.test.mjs` does the same from platform.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{network, time::MINUTE};
use keyward_policy::{Grant, Scope, scope};
use keyward_registry::admin_call::AdminCredential;
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture};
use serde_json::{Value, json};

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

fn idempotent(fixture: &RegistryFixture, token: &str, path: &str, body: Value) -> Answer {
    let mut call = fixture.call("POST", token, path, body);
    call.idempotency_key = Some("deploy-1".into());
    fixture.send(call)
}

fn rows(fixture: &RegistryFixture, table: &str) -> usize {
    fixture.dump().lines().filter(|line| line.starts_with(&format!("{table} "))).count()
}

#[test]
fn nobody_but_who_made_a_key_gets_its_plaintext_again() {
    let (fixture, owner) = RegistryFixture::open();
    let machine = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    let (colleague, _) = fixture.member(&owner, "colleague@example.com", "admin");

    // The owner rotates a key that an API key could neither make nor rotate.
    let admin = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    let path = format!("/api-keys/{admin}/rotate");
    let made = idempotent(&fixture, &owner, &path, json!({})).expect(201);
    for thief in [&machine, &colleague] {
        let answer = idempotent(&fixture, thief, &path, json!({}));
        answer.refused(422, "IDEMPOTENCY_MISMATCH");
        assert!(!answer.text.contains(&made.plaintext()));
    }
    assert_eq!(idempotent(&fixture, &owner, &path, json!({})).expect(201).plaintext(), made.plaintext());
}

#[test]
fn an_api_key_does_not_change_a_key_that_only_people_could_have_made() {
    let (fixture, owner) = RegistryFixture::open();
    let bound = json!({"scopes": ["admin:write"], "allowedIps": ["192.0.2.0/24"], "expiresAt": "2031-01-01T00:00:00Z"});
    let stolen = fixture.key(&owner, bound).key_id();
    let path = format!("/api-keys/{stolen}");
    let (thief, before) = (format!("key:{stolen}"), fixture.record(&stolen));
    for change in
        [json!({"expiresAt": null}), json!({"allowedIps": []}), json!({"rateLimit": {"perMinute": 100_000}})]
    {
        fixture.patch(&thief, &path, change).refused(403, "FORBIDDEN");
    }
    assert_eq!(fixture.record(&stolen), before);
    fixture.patch(&owner, &path, json!({"allowedIps": []})).expect(200);
    // To give it up it may.
    fixture.post(&thief, &format!("{path}/revoke"), json!({})).expect(200);
}

#[test]
fn no_wildcard_holds_what_is_reserved() {
    const SCOPES: [Scope; 2] = [
        Scope { name: "orders:all", description: "", includes: &["orders:purge"], grant: Grant::Anyone },
        Scope { name: "orders:purge", description: "", includes: &[], grant: Grant::Reserved },
    ];
    for held in ["*", "orders:*", "orders:all", "orders:purge"] {
        assert!(!scope::holds(&SCOPES, &[held], "orders:purge"), "{held}");
    }
    assert!(scope::holds(&SCOPES, &["orders:*"], "orders:all"));
}

#[test]
fn a_viewer_writes_nothing_and_an_admin_makes_nobody_an_owner() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, viewer_id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let (admin, admin_id) = fixture.member(&owner, "admin@example.com", "admin");
    let key = fixture.key(&owner, json!({})).key_id();
    let before = rows(&fixture, "keys");
    let body = json!({"name": "n", "scopes": ["orders:read"]});
    for (method, path, body) in [
        ("POST", "/api-keys".to_owned(), body),
        ("PATCH", format!("/api-keys/{key}"), json!({"name": "x"})),
        ("POST", format!("/api-keys/{key}/revoke"), json!({})),
        ("POST", format!("/api-keys/{key}/rotate"), json!({})),
    ] {
        fixture.send(fixture.call(method, &viewer, &path, body)).refused(403, "FORBIDDEN");
    }
    assert_eq!(rows(&fixture, "keys"), before);
    let new = json!({"email": "mine@example.com", "role": "owner", "password": PASSWORD});
    for (token, id) in [(&viewer, &viewer_id), (&admin, &admin_id)] {
        fixture.patch(token, &format!("/members/{id}"), json!({"role": "owner"})).refused(403, "FORBIDDEN");
        fixture
            .patch(
                token,
                &format!("/members/{id}"),
                json!({"role": "owner", "password": PASSWORD, "currentPassword": PASSWORD}),
            )
            .refused(403, "FORBIDDEN");
        fixture.post(token, "/members", new.clone()).refused(403, "FORBIDDEN");
        fixture.get(token, "/tenants").refused(403, "FORBIDDEN");
    }
}

#[test]
fn addresses_count_as_networks() {
    for (address, caller) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("192.0.2.1, 192.0.2.2", "192.0.2.1, 192.0.2.2"),
        ("", ""),
    ] {
        assert_eq!(network::of(address), caller);
    }
}

#[test]
fn strangers_cannot_fill_the_audit() {
    let (fixture, _) = RegistryFixture::open();
    let guess = |n: u32| {
        fixture.address.replace(format!("198.51.{}.{}", n / 250, n % 250));
        fixture.post("", "/session", credentials(&format!("user{n}@example.com"), "a wrong password"))
    };
    let before = rows(&fixture, "audit");
    for n in 0..200 {
        guess(n).refused(401, "INVALID_CREDENTIALS");
    }
    assert_eq!(rows(&fixture, "audit") - before, 20, "that it happens is written down, not each time");
    fixture.later(15 * MINUTE);
    guess(200).refused(401, "INVALID_CREDENTIALS");
    assert_eq!(rows(&fixture, "audit") - before, 21);
}

#[test]
fn two_owners_who_remove_each_other_leave_one() {
    let (fixture, first) = RegistryFixture::open();
    let (second, second_id) = fixture.member(&first, "second@example.com", "owner");
    let me = fixture.get(&first, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    fixture.delete(&first, &format!("/members/{second_id}")).expect(204);
    fixture.delete(&second, &format!("/members/{me}")).refused(401, "UNAUTHENTICATED");
    fixture.delete(&first, &format!("/members/{me}")).refused(409, "CONFLICT");
    fixture.patch(&first, &format!("/members/{me}"), json!({"role": "viewer"})).refused(409, "CONFLICT");
}

#[test]
fn what_needs_a_credential_is_refused_without_the_database_when_there_is_none() {
    let nobody = AdminCredential::None;
    let code = |method: &str, path: &str| {
        keyward_registry::refuse_at_once(method, path, &nobody).map_err(|refusal| refusal.code.facts().1)
    };
    for (method, path) in
        [("GET", "/session"), ("POST", "/api-keys"), ("POST", "/api-keys/key_1/revoke"), ("GET", "/audit")]
    {
        assert_eq!(code(method, path), Err("UNAUTHENTICATED"), "{method} {path}");
        let someone = AdminCredential::Session { token: "kws_x".into() };
        assert!(keyward_registry::refuse_at_once(method, path, &someone).is_ok());
    }
    assert_eq!(code("POST", "/session"), Ok(()));
    assert_eq!(code("POST", "/setup"), Ok(()));
    assert_eq!(code("GET", "/nothing"), Err("NOT_FOUND"));
    assert_eq!(code("PUT", "/session"), Err("METHOD_NOT_ALLOWED"));
}

#[test]
fn a_small_body_of_nonsense_has_no_large_answer() {
    let body: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("f{n}"), json!(0))).collect();
    let answer = RegistryFixture::empty().post("", "/session", body.into());
    answer.refused(400, "VALIDATION_FAILED");
    assert!(answer.text.len() < 20_000, "{} bytes", answer.text.len());
}
