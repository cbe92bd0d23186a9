//! Links: who makes them, where they may lead, and that each works once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    link::{Redeem, Redeemed},
    time::{DAY, MINUTE},
};
use keyward_policy::{Grant, KeyRequirement, Policy, Proof, Requirement, Route, Routes, Scope};
use keyward_registry::links;
use keyward_testing::{
    LINK, NOON,
    registry_fixture::{Answer, RegistryFixture, policy_with},
};
use serde_json::{Value, json};

const URL: &str = "https://shop.example/api/public/orders/checkout?a=1";

fn policy() -> &'static Policy {
    policy_with(|realm| {
        realm.link = Some(LINK);
        let session = KeyRequirement { by: &[Proof::Session], ..KeyRequirement::ANY_KEY };
        let checkout = Route { requires: Requirement::Key(session), ..realm.routes[0] };
        let key = Route {
            requires: Requirement::Key(KeyRequirement::ANY_KEY),
            methods: &["POST"],
            ..realm.routes[0]
        };
        realm.routes = Routes::new(Vec::leak(vec![checkout, key]));
        let scope = |name| Scope { name, description: "", includes: &[], grant: Grant::Admin };
        realm.scopes =
            Box::leak(Box::new([scope("links:write"), scope("admin:write"), scope("other:write")]));
    })
}

fn new_link(fixture: &RegistryFixture, token: &str, fields: Value) -> Answer {
    let mut body = json!({ "url": URL });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fixture.post(token, "/links", body)
}

fn redeem(fixture: &RegistryFixture, token: &str, realm: &str) -> Redeemed {
    let hash = key::storage_hash(&LINK.token(), &fixture.secrets, token);
    links::redeem(&fixture.db, fixture.policy, &Redeem { hash, realm: realm.into() }, fixture.now.get())
        .unwrap()
}

#[test]
fn a_link_outlives_the_session_it_was_made_in_so_it_asks_people_for_a_fresh_password() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let machine = format!("key:{}", fixture.key(&owner, json!({"scopes": ["links:write"]})).key_id());
    fixture.later(5 * MINUTE);
    new_link(&fixture, &owner, json!({})).refused(403, "STEP_UP_REQUIRED");
    new_link(&fixture, &machine, json!({})).expect(201);
    fixture
        .post(&owner, "/session/step-up", json!({"password": keyward_testing::registry_fixture::PASSWORD}))
        .expect(204);
    new_link(&fixture, &owner, json!({})).expect(201);
}

#[test]
fn a_link_works_once_and_says_for_whom_it_was_made() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let made = new_link(&fixture, &owner, json!({ "subject": "cart-7", "sessionId": "chat-1" })).expect(201);
    let token = made.body["token"].as_str().unwrap();
    assert!(token.starts_with("st_"));
    assert_eq!(made.body["url"], format!("{URL}&token={token}"));
    assert_eq!(made.body["link"]["expiresAt"], NOON.plus(15 * MINUTE).to_rfc3339());
    assert!(!fixture.dump().contains(token), "only its hash is stored");

    let Redeemed::Granted(session) = redeem(&fixture, token, "default") else { panic!() };
    assert_eq!((session.subject.as_deref(), session.session_id.as_deref()), (Some("cart-7"), Some("chat-1")));
    assert_eq!(session.expires_at, NOON.plus(60 * MINUTE));
    assert_eq!(redeem(&fixture, token, "default"), Redeemed::Used);
}

#[test]
fn a_link_is_found_where_its_answer_says_without_its_token_and_by_its_own_tenant_only() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let (other, _) = fixture.tenant(&owner, "other");
    let made = new_link(&fixture, &owner, json!({ "subject": "cart-7" })).expect(201);
    let path = made.header("Location").unwrap().strip_prefix(fixture.policy.admin.api).unwrap();
    let found = fixture.get(&owner, path).expect(200);
    assert_eq!(found.body["link"], made.body["link"]);
    assert_eq!(found.body["link"]["usedAt"], Value::Null);
    assert!(!found.text.contains(made.body["token"].as_str().unwrap()));
    fixture.get(&other, path).refused(404, "NOT_FOUND");
    let (viewer, _) = fixture.member(&owner, "v@example.com", "viewer");
    fixture.get(&viewer, path).refused(403, "FORBIDDEN");
    redeem(&fixture, made.body["token"].as_str().unwrap(), "default");
    assert_eq!(fixture.get(&owner, path).body["link"]["usedAt"], fixture.now.get().to_rfc3339());
}

#[test]
fn a_link_ends_and_is_known_in_its_own_realm_only() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let token = new_link(&fixture, &owner, json!({})).expect(201).body["token"].as_str().unwrap().to_owned();
    assert_eq!(redeem(&fixture, &token, "other"), Redeemed::Unknown);
    fixture.later(15 * MINUTE);
    assert_eq!(redeem(&fixture, &token, "default"), Redeemed::Expired);
    // It is forgotten a day later.
    fixture.later(DAY);
    let owner = fixture.sign_in("owner@example.com");
    new_link(&fixture, &owner, json!({})).expect(201);
    assert_eq!(redeem(&fixture, &token, "default"), Redeemed::Unknown);
}

#[test]
fn a_link_of_a_tenant_that_is_not_active_is_not_used_up() {
    let (fixture, operator) = RegistryFixture::open_over(policy());
    let (owner, id) = fixture.tenant(&operator, "shop");
    let token = new_link(&fixture, &owner, json!({})).expect(201).body["token"].as_str().unwrap().to_owned();
    let set =
        |status| fixture.patch(&operator, &format!("/tenants/{id}"), json!({ "status": status })).expect(200);
    set("INACTIVE");
    assert_eq!(redeem(&fixture, &token, "default"), Redeemed::Unknown);
    set("ACTIVE");
    assert!(matches!(redeem(&fixture, &token, "default"), Redeemed::Granted(_)));
}

#[test]
fn links_are_made_by_owners_and_admins_and_by_keys_that_hold_the_scope() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let holder = |scope: &str| format!("key:{}", fixture.key(&owner, json!({ "scopes": [scope] })).key_id());
    for token in [&owner, &admin, &holder("links:write"), &holder("admin:write")] {
        new_link(&fixture, token, json!({})).expect(201);
    }
    for token in [&viewer, &holder("other:write")] {
        new_link(&fixture, token, json!({})).refused(403, "FORBIDDEN");
    }
    fixture.post(&holder("links:write"), "/api-keys", json!({ "name": "n" })).refused(403, "FORBIDDEN");
}

#[test]
fn a_link_leads_only_where_a_session_of_this_deployment_can_begin() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    for url in [
        "",
        "/api/orders",
        "ftp://shop.example/api/public/orders",
        "https://shop.example/elsewhere",
        "https://shop.example/api/public/orders#a",
        "https://shop.example/api/public/orders?token=st_x",
        "https://shop.example/api/public/orders/ü",
        "javascript:alert(1)",
    ] {
        assert_eq!(new_link(&fixture, &owner, json!({ "url": url })).expect(400).fields(), ["url"], "{url}");
    }
    for (field, bad) in [("subject", "ü"), ("subject", ""), ("sessionId", "a b")] {
        let refused = new_link(&fixture, &owner, json!({ field: bad })).expect(400);
        assert_eq!(refused.fields(), [field], "{bad}");
    }
    let without = policy_with(|_| {});
    let (fixture, owner) = RegistryFixture::open_over(without);
    assert_eq!(new_link(&fixture, &owner, json!({})).expect(400).fields(), ["url"]);
}
