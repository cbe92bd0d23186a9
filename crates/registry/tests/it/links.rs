//! Links: who makes them, where they may lead, and that each works once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    link::{Redeem, Redeemed},
    time::{DAY, MINUTE},
};
use keyward_policy::{Grant, KeyRequirement, Link, Policy, Proof, Requirement, Route, Scope};
use keyward_registry::links;
use keyward_testing::NOON;
use keyward_testing::office::{Answer, Office, policy_with};
use serde_json::{Value, json};

const LINK: Link =
    Link { parameter: "token", prefix: "st_", life_s: 900, cookie: "__Host-shop", session_life_s: 3_600 };
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
        realm.routes = Box::leak(Box::new([checkout, key]));
        let scope = |name| Scope { name, description: "", includes: &[], grant: Grant::Admin };
        realm.scopes =
            Box::leak(Box::new([scope("links:write"), scope("admin:write"), scope("other:write")]));
    })
}

fn new_link(office: &Office, token: &str, fields: Value) -> Answer {
    let mut body = json!({ "url": URL });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    office.post(token, "/links", body)
}

fn redeem(office: &Office, token: &str, realm: &str) -> Redeemed {
    let hash = key::storage_hash(&LINK.token(), &office.secrets, token);
    links::redeem(&office.db, office.policy, &Redeem { hash, realm: realm.into() }, office.now.get()).unwrap()
}

#[test]
fn a_link_outlives_the_session_it_was_made_in_so_it_asks_people_for_a_fresh_password() {
    let (office, owner) = Office::open_over(policy());
    let machine = format!("key:{}", office.key(&owner, json!({"scopes": ["links:write"]})).key_id());
    office.later(5 * MINUTE);
    new_link(&office, &owner, json!({})).refused(403, "STEP_UP_REQUIRED");
    new_link(&office, &machine, json!({})).expect(201);
    office
        .post(&owner, "/session/step-up", json!({"password": keyward_testing::office::PASSWORD}))
        .expect(204);
    new_link(&office, &owner, json!({})).expect(201);
}

#[test]
fn a_link_works_once_and_says_for_whom_it_was_made() {
    let (office, owner) = Office::open_over(policy());
    let made = new_link(&office, &owner, json!({ "subject": "cart-7", "sessionId": "chat-1" })).expect(201);
    let token = made.body["token"].as_str().unwrap();
    assert!(token.starts_with("st_"));
    assert_eq!(made.body["url"], format!("{URL}&token={token}"));
    assert_eq!(made.body["link"]["expiresAt"], NOON.plus(15 * MINUTE).to_rfc3339());
    assert!(!office.dump().contains(token), "only its hash is stored");

    let Redeemed::Granted(session) = redeem(&office, token, "default") else { panic!() };
    assert_eq!((session.subject.as_deref(), session.session_id.as_deref()), (Some("cart-7"), Some("chat-1")));
    assert_eq!(session.expires_at, NOON.plus(60 * MINUTE));
    assert_eq!(redeem(&office, token, "default"), Redeemed::Used);
}

#[test]
fn a_link_is_found_where_its_answer_says_without_its_token_and_by_its_own_tenant_only() {
    let (office, owner) = Office::open_over(policy());
    let (other, _) = office.tenant(&owner, "other");
    let made = new_link(&office, &owner, json!({ "subject": "cart-7" })).expect(201);
    let path = made.header("Location").unwrap().strip_prefix(office.policy.admin.api).unwrap();
    let found = office.get(&owner, path).expect(200);
    assert_eq!(found.body["link"], made.body["link"]);
    assert_eq!(found.body["link"]["usedAt"], Value::Null);
    assert!(!found.text.contains(made.body["token"].as_str().unwrap()));
    office.get(&other, path).refused(404, "NOT_FOUND");
    let (viewer, _) = office.member(&owner, "v@example.com", "viewer");
    office.get(&viewer, path).refused(403, "FORBIDDEN");
    redeem(&office, made.body["token"].as_str().unwrap(), "default");
    assert_eq!(office.get(&owner, path).body["link"]["usedAt"], office.now.get().to_rfc3339());
}

#[test]
fn a_link_ends_and_is_known_in_its_own_realm_only() {
    let (office, owner) = Office::open_over(policy());
    let token = new_link(&office, &owner, json!({})).expect(201).body["token"].as_str().unwrap().to_owned();
    assert_eq!(redeem(&office, &token, "other"), Redeemed::Unknown);
    office.later(15 * MINUTE);
    assert_eq!(redeem(&office, &token, "default"), Redeemed::Expired);
    // It is forgotten a day later.
    office.later(DAY);
    let owner = office.sign_in("owner@example.com");
    new_link(&office, &owner, json!({})).expect(201);
    assert_eq!(redeem(&office, &token, "default"), Redeemed::Unknown);
}

#[test]
fn a_link_of_a_tenant_that_is_not_active_is_not_used_up() {
    let (office, operator) = Office::open_over(policy());
    let (owner, id) = office.tenant(&operator, "shop");
    let token = new_link(&office, &owner, json!({})).expect(201).body["token"].as_str().unwrap().to_owned();
    let set =
        |status| office.patch(&operator, &format!("/tenants/{id}"), json!({ "status": status })).expect(200);
    set("INACTIVE");
    assert_eq!(redeem(&office, &token, "default"), Redeemed::Unknown);
    set("ACTIVE");
    assert!(matches!(redeem(&office, &token, "default"), Redeemed::Granted(_)));
}

#[test]
fn links_are_made_by_owners_and_admins_and_by_keys_that_hold_the_scope() {
    let (office, owner) = Office::open_over(policy());
    let (admin, _) = office.member(&owner, "admin@example.com", "admin");
    let (viewer, _) = office.member(&owner, "viewer@example.com", "viewer");
    let holder = |scope: &str| format!("key:{}", office.key(&owner, json!({ "scopes": [scope] })).key_id());
    for token in [&owner, &admin, &holder("links:write"), &holder("admin:write")] {
        new_link(&office, token, json!({})).expect(201);
    }
    for token in [&viewer, &holder("other:write")] {
        new_link(&office, token, json!({})).refused(403, "FORBIDDEN");
    }
    office.post(&holder("links:write"), "/api-keys", json!({ "name": "n" })).refused(403, "FORBIDDEN");
}

#[test]
fn a_link_leads_only_where_a_session_of_this_deployment_can_begin() {
    let (office, owner) = Office::open_over(policy());
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
        assert_eq!(new_link(&office, &owner, json!({ "url": url })).expect(400).fields(), ["url"], "{url}");
    }
    for (field, bad) in [("subject", "ü"), ("subject", ""), ("sessionId", "a b")] {
        let refused = new_link(&office, &owner, json!({ field: bad })).expect(400);
        assert_eq!(refused.fields(), [field], "{bad}");
    }
    let without = policy_with(|_| {});
    let (office, owner) = Office::open_over(without);
    assert_eq!(new_link(&office, &owner, json!({})).expect(400).fields(), ["url"]);
}
