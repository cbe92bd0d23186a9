//! Set-up, signing in and out, and what slows those who guess.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secret,
    time::{HOUR, MILLISECOND},
};
use keyward_testing::NOON;
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture, SETUP_TOKEN};
use serde_json::{Value, json};

fn set_up(token: &str) -> Value {
    json!({"token": token, "email": "Owner@Example.com ", "password": PASSWORD})
}

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

#[test]
fn set_up_makes_the_first_owner_once() {
    let fixture = RegistryFixture::empty();
    assert_eq!(fixture.get("", "/setup").expect(200).body, json!({ "open": true }));
    fixture.post("", "/setup", set_up("wrong")).refused(401, "INVALID_CREDENTIALS");
    let made = fixture.post("", "/setup", set_up(SETUP_TOKEN)).expect(201);
    assert_eq!(made.body["member"]["email"], "owner@example.com");
    assert_eq!(made.body["member"]["role"], "owner");
    assert!(made.body["member"]["id"].as_str().unwrap().starts_with("mem_"));
    let tenant = made.body["member"]["tenantId"].as_str().unwrap();
    assert_eq!((tenant.len(), &tenant[14..15]), (36, "4"), "a UUID of version 4: {tenant}");
    for token in [SETUP_TOKEN, "wrong"] {
        fixture.post("", "/setup", set_up(token)).refused(409, "ALREADY_SET_UP");
    }
    assert_eq!(fixture.get("", "/setup").expect(200).body, json!({ "open": false }));
}

#[test]
fn the_set_up_token_manages_tenants_and_the_operators_keys_until_there_is_an_owner_and_nothing_else() {
    let fixture = RegistryFixture::empty();
    let holder = format!("setup:{SETUP_TOKEN}");
    fixture.get("setup:wrong", "/api-keys").refused(401, "UNAUTHENTICATED");
    let key = fixture.key(&holder, json!({}));
    let id = key.body["apiKey"]["id"].as_str().unwrap().to_owned();
    assert_eq!(fixture.get(&holder, "/api-keys").expect(200).body["apiKeys"][0]["id"], id.as_str());
    let grasping = json!({"name": "x", "scopes": ["admin:write"]});
    fixture.post(&holder, "/api-keys", grasping).refused(400, "VALIDATION_FAILED");
    for (method, path) in [("POST", "/members"), ("GET", "/session")] {
        fixture.send(fixture.call(method, &holder, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    let tenants = fixture.get(&holder, "/tenants").expect(200);
    let path = format!("/tenants/{}", tenants.body["tenants"][0]["id"].as_str().unwrap());
    fixture.patch(&holder, &path, json!({"plan": "growth"})).expect(200);
    assert_eq!(fixture.published(&id).unwrap().tenant.plan.as_deref(), Some("growth"));
    let with_owner = json!({"name": "n", "owner": {"email": "first@example.com", "password": PASSWORD}});
    let early = fixture.post(&holder, "/tenants", with_owner).expect(400);
    assert_eq!(early.fields(), ["owner"], "it would be the deployment's first member");

    let body = json!({"token": SETUP_TOKEN, "email": "owner@example.com", "password": PASSWORD});
    fixture.post("", "/setup", body).expect(201);
    fixture.get(&holder, "/api-keys").refused(401, "UNAUTHENTICATED");
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(
        fixture.get(&owner, "/api-keys").expect(200).body["apiKeys"][0]["id"],
        id.as_str(),
        "the key is the owner's"
    );
}

#[test]
fn set_up_without_its_secret_says_which_one_is_missing() {
    let mut fixture = RegistryFixture::empty();
    for missing in [None, Some(Secret::new(""))] {
        fixture.setup_token = missing;
        let answer = fixture.post("", "/setup", set_up(""));
        answer.refused(503, "NOT_CONFIGURED");
        assert!(answer.body["detail"].as_str().unwrap().contains("KEYWARD_SETUP_TOKEN"));
    }
}

#[test]
fn set_up_names_every_wrong_field() {
    let answer = RegistryFixture::empty().post(
        "",
        "/setup",
        json!({"email": "nobody", "password": "short", "role": "owner"}),
    );
    answer.refused(400, "VALIDATION_FAILED");
    assert_eq!(answer.fields(), ["role", "token", "email", "password"]);
}

#[test]
fn a_session_is_a_cookie_and_a_token_of_which_only_the_hash_is_stored() {
    let (fixture, _) = RegistryFixture::open();
    let answer = fixture.post("", "/session", credentials(" OWNER@example.com", PASSWORD)).expect(201);
    let token = answer.body["token"].as_str().unwrap();
    assert!(token.starts_with("kws_") && token.len() == 4 + 43, "256 bits in base64url: {token}");
    let cookie =
        format!("__Host-keyward-session={token}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict");
    assert_eq!(answer.header("Set-Cookie"), Some(&*cookie));
    assert_eq!(answer.body["expiresAt"], NOON.plus(12 * HOUR).to_rfc3339());
    assert_eq!(answer.body["member"]["operator"], true);
    assert!(!fixture.dump().contains(token) && !fixture.dump().contains(PASSWORD));

    let me = fixture.get(token, "/session").expect(200);
    assert_eq!(me.body["member"], answer.body["member"]);
    assert_eq!(me.body["steppedUpUntil"], Value::Null);
    let out = fixture.delete(token, "/session").expect(204);
    assert!(out.text.is_empty() && out.header("Set-Cookie").unwrap().contains("Max-Age=0"));
    fixture.get(token, "/session").refused(401, "UNAUTHENTICATED");
}

#[test]
fn while_a_tenant_is_not_active_its_people_can_sign_out_and_do_nothing_else() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, id) = fixture.tenant(&operator, "shop");
    let set = |status: &str| {
        fixture.patch(&operator, &format!("/tenants/{id}"), json!({"status": status})).expect(200);
    };
    let other = fixture.sign_in("owner@shop.example");
    set("INACTIVE");
    for (method, path) in
        [("GET", "/session"), ("GET", "/api-keys"), ("DELETE", "/sessions"), ("GET", "/members")]
    {
        fixture.send(fixture.call(method, &owner, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    let step_up = json!({"password": PASSWORD});
    fixture.post(&owner, "/session/step-up", step_up).refused(403, "FORBIDDEN");
    fixture.post("", "/session", credentials("owner@shop.example", PASSWORD)).refused(403, "FORBIDDEN");
    fixture.delete(&owner, "/session").expect(204);
    set("ACTIVE");
    fixture.get(&owner, "/session").refused(401, "UNAUTHENTICATED");
    fixture.get(&other, "/session").expect(200);
}

#[test]
fn a_session_ends_after_twelve_hours() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.later(12 * HOUR - MILLISECOND);
    fixture.get(&owner, "/session").expect(200);
    fixture.later(MILLISECOND);
    fixture.get(&owner, "/session").refused(401, "UNAUTHENTICATED");
}

#[test]
fn without_a_credential_there_is_a_challenge_and_nothing_else() {
    let (fixture, _) = RegistryFixture::open();
    for (method, path) in
        [("GET", "/api-keys"), ("POST", "/api-keys"), ("GET", "/session"), ("PATCH", "/tenants/x")]
    {
        let answer = fixture.send(fixture.call(method, "", path, Value::Null));
        answer.refused(401, "UNAUTHENTICATED");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer realm=\"keyward-admin\""));
    }
    let stale = fixture.get("kws_made-up", "/api-keys");
    assert_eq!(
        stale.header("WWW-Authenticate"),
        Some("Bearer realm=\"keyward-admin\", error=\"invalid_token\"")
    );
}

#[test]
fn a_wrong_sign_in_does_not_tell_whether_the_address_exists() {
    let (fixture, _) = RegistryFixture::open();
    let before = fixture.derivations.get();
    let mut unknown = fixture.post("", "/session", credentials("nobody@example.com", PASSWORD));
    let derivations = fixture.derivations.get() - before;
    let known = fixture.post("", "/session", credentials("owner@example.com", "a wrong password"));
    unknown.refused(401, "INVALID_CREDENTIALS");
    unknown.body["requestId"] = known.body["requestId"].clone();
    assert_eq!(unknown.body, known.body);
    assert_eq!((derivations, fixture.derivations.get() - before), (1, 2), "both cost one derivation");
}

#[test]
fn a_success_forgives_the_failures_before_it() {
    let (fixture, _) = RegistryFixture::open();
    for _ in 0..3 {
        for _ in 0..4 {
            fixture
                .post("", "/session", credentials("owner@example.com", "wrong"))
                .refused(401, "INVALID_CREDENTIALS");
        }
        fixture.sign_in("owner@example.com");
    }
}
