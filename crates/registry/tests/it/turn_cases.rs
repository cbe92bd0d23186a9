//! Every route of the admin API, with a call that changes something.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::secret::Secret;
use keyward_policy::{Admin, EventType, KeyRequirement, Policy, Proof, Requirement, Route, Routes};
use keyward_registry::{
    admin_call::{AdminCall, AdminCredential},
    sessions::token,
};
use keyward_testing::{
    IMPORTED, LINK,
    authenticator::{Algorithm, SoftPasskey},
    registry_fixture::{PASSWORD, RegistryFixture, SETUP_TOKEN, policy_with},
};
use serde_json::{Value, json};

const RECOVERY_TOKEN: &str = "q3VbT0xk7RzNw2LdYh8J";

pub fn policy() -> &'static Policy {
    let policy = policy_with(|realm| {
        realm.link = Some(LINK);
        realm.imported = Some(IMPORTED);
        let session = KeyRequirement { by: &[Proof::Session], ..KeyRequirement::ANY_KEY };
        let checkout = Route { requires: Requirement::Key(session), ..realm.routes[0] };
        realm.routes = Routes::new(Vec::leak([&[checkout], &*realm.routes].concat()));
    });
    let events = Vec::leak(vec![crate::events::endpoint(&EventType::ALL)]);
    let (sign_in, leaks) = (Some(crate::code_sign_in::SIGN_IN), Some(crate::leaks::REVOKES));
    let admin = Admin { sign_in, leaks, events, ..policy.admin };
    Box::leak(Box::new(Policy { admin, ..*policy }))
}

/// A deployment with something of everything.
pub struct Stage {
    pub fixture: RegistryFixture,
    pub owner: String,
    pub member: String,
    pub member_id: String,
    pub tenant: String,
    pub key: String,
    pub link: String,
    pub link_token: String,
    /// Tokens of one-time links.
    pub invitation: String,
    pub reset: String,
    pub passkey: SoftPasskey,
    pub passkey_id: String,
}

impl Stage {
    /// Nobody has set it up.
    pub fn empty() -> Self {
        let text = String::new;
        Self {
            fixture: RegistryFixture::over(policy()),
            owner: text(),
            member: text(),
            member_id: text(),
            tenant: text(),
            key: text(),
            link: text(),
            link_token: text(),
            invitation: text(),
            reset: text(),
            passkey: SoftPasskey::new(Algorithm::EdDsa, 1),
            passkey_id: text(),
        }
    }

    pub fn open() -> Self {
        let (mut fixture, owner) = RegistryFixture::open_over(policy());
        fixture.recovery_token = Some(Secret::new(RECOVERY_TOKEN));
        let (member, member_id) = fixture.member(&owner, "admin@example.com", "admin");
        let (_, tenant) = fixture.tenant(&owner, "shop");
        let key = fixture.key(&owner, json!({})).key_id();
        let link = json!({ "url": "https://shop.example/api/public/orders/checkout" });
        let link = fixture.post(&owner, "/links", link).expect(201).body;
        let (link, link_token) = (&link["link"]["id"], &link["token"]);
        let (link, link_token) = (link.as_str().unwrap().into(), link_token.as_str().unwrap().into());
        let token = |path: &str, body: Value| {
            fixture.post(&owner, path, body).expect(201).body["token"].as_str().unwrap().to_owned()
        };
        let invitation = token("/invitations", json!({"email": "invited@example.com", "role": "viewer"}));
        let reset = token(&format!("/members/{member_id}/reset"), json!({}));
        let mut passkey = SoftPasskey::new(Algorithm::EdDsa, 1);
        let passkey_id = crate::passkeys::add(&fixture, &owner, &mut passkey);
        let stage = Self {
            passkey,
            passkey_id,
            fixture,
            owner,
            member,
            member_id,
            tenant,
            key,
            link,
            link_token,
            invitation,
            reset,
        };
        for path in ["/api-keys".to_owned(), format!("/api-keys/{}/rotate", stage.key)] {
            stage.fixture.send(repeatable(&stage, &path, "done")).expect(201);
        }
        stage.fixture.alarm();
        stage
    }

    pub fn call(&self, method: &str, path: &str, body: Value) -> AdminCall {
        self.fixture.call(method, &self.owner, path, body)
    }
}

fn repeatable(stage: &Stage, path: &str, idempotency_key: &str) -> AdminCall {
    let body = if path.ends_with("/rotate") { json!({}) } else { json!({"name": "n", "scopes": ["*"]}) };
    AdminCall {
        idempotency_key: Some(format!("{idempotency_key} {path}").replace(' ', "-")),
        ..stage.call("POST", path, body)
    }
}

type Case = (&'static str, &'static str, fn() -> Stage, fn(&Stage) -> AdminCall);

/// At least one call of each route, and more where it writes in several ways.
pub const CASES: &[Case] = &[
    ("POST", "/leaks", Stage::open, |stage| AdminCall {
        credential: AdminCredential::Scanner,
        ..stage.fixture.call("POST", "", "/leaks", crate::leaks::found(&stage.fixture, &stage.key))
    }),
    ("GET", "/backup", Stage::open, |stage| stage.call("GET", "/backup", Value::Null)),
    ("POST", "/restore", Stage::empty, |stage| {
        let (before, owner) = RegistryFixture::open();
        let page = before.get(&owner, "/backup").expect(200).text;
        let call = stage.fixture.call("POST", &format!("setup:{SETUP_TOKEN}"), "/restore", Value::Null);
        AdminCall { body: page, ..call }
    }),
    ("GET", "/setup", Stage::empty, |stage| stage.call("GET", "/setup", Value::Null)),
    ("POST", "/setup", Stage::empty, |stage| {
        let body = json!({"token": SETUP_TOKEN, "email": "owner@example.com", "password": PASSWORD});
        stage.call("POST", "/setup", body)
    }),
    ("POST", "/session", Stage::open, |stage| sign_in(stage, "admin@example.com", PASSWORD)),
    ("POST", "/session", Stage::open, |stage| sign_in(stage, "admin@example.com", "a wrong password")),
    ("POST", "/session", Stage::open, |stage| sign_in(stage, "stranger@example.com", PASSWORD)),
    ("POST", "/session", Stage::open, |stage| {
        let said = crate::passkeys::used(&stage.fixture, &mut stage.passkey.clone());
        stage.fixture.call("POST", "", "/session", json!({ "passkey": said.to_json() }))
    }),
    ("POST", "/session", Stage::open, |stage| {
        let mut other = SoftPasskey { seed: 2, ..stage.passkey.clone() };
        let said = crate::passkeys::used(&stage.fixture, &mut other);
        stage.fixture.call("POST", "", "/session", json!({ "passkey": said.to_json() }))
    }),
    ("POST", "/session/code/options", Stage::open, |stage| {
        stage.fixture.call("POST", "", "/session/code/options", Value::Null)
    }),
    ("POST", "/session/passkey/options", Stage::open, |stage| {
        stage.fixture.call("POST", "", "/session/passkey/options", Value::Null)
    }),
    ("POST", "/session/step-up/options", Stage::open, |stage| {
        stage.call("POST", "/session/step-up/options", Value::Null)
    }),
    ("POST", "/session/step-up", Stage::open, |stage| {
        let options = stage.fixture.post(&stage.owner, "/session/step-up/options", Value::Null).body;
        let said = stage.passkey.clone().used(&options);
        stage.call("POST", "/session/step-up", json!({ "passkey": said.to_json() }))
    }),
    ("POST", "/passkeys/options", Stage::open, |stage| stage.call("POST", "/passkeys/options", Value::Null)),
    ("POST", "/passkeys", Stage::open, |stage| {
        let options = stage.fixture.post(&stage.owner, "/passkeys/options", Value::Null).body;
        let made = SoftPasskey::new(Algorithm::Es256, 2).made(&options).to_json();
        stage.call("POST", "/passkeys", json!({"name": "n", "passkey": made}))
    }),
    ("GET", "/passkeys", Stage::open, |stage| stage.call("GET", "/passkeys", Value::Null)),
    ("DELETE", "/passkeys/{pky_}", Stage::open, |stage| {
        stage.call("DELETE", &format!("/passkeys/{}", stage.passkey_id), Value::Null)
    }),
    ("GET", "/session", Stage::open, |stage| stage.call("GET", "/session", Value::Null)),
    ("DELETE", "/session", Stage::open, |stage| stage.call("DELETE", "/session", Value::Null)),
    ("POST", "/session/step-up", Stage::open, |stage| {
        stage.call("POST", "/session/step-up", json!({ "password": PASSWORD }))
    }),
    ("POST", "/session/step-up", Stage::open, |stage| {
        stage.call("POST", "/session/step-up", json!({ "password": "a wrong password" }))
    }),
    ("GET", "/sessions", Stage::open, |stage| stage.call("GET", "/sessions", Value::Null)),
    ("DELETE", "/sessions", Stage::open, |stage| stage.call("DELETE", "/sessions", Value::Null)),
    ("DELETE", "/sessions/{ses_}", Stage::open, |stage| {
        let id = &token::token_hash(&stage.member)[..24];
        stage.call("DELETE", &format!("/sessions/ses_{id}"), Value::Null)
    }),
    ("GET", "/members/{}/sessions", Stage::open, |stage| {
        stage.call("GET", &format!("/members/{}/sessions", stage.member_id), Value::Null)
    }),
    ("DELETE", "/members/{}/sessions", Stage::open, |stage| {
        stage.call("DELETE", &format!("/members/{}/sessions", stage.member_id), Value::Null)
    }),
    ("GET", "/api-keys", Stage::open, |stage| stage.call("GET", "/api-keys", Value::Null)),
    ("POST", "/api-keys", Stage::open, |stage| {
        stage.call("POST", "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}))
    }),
    ("POST", "/api-keys", Stage::open, |stage| repeatable(stage, "/api-keys", "new")),
    ("POST", "/api-keys", Stage::open, |stage| repeatable(stage, "/api-keys", "done")),
    ("POST", "/api-keys/bulk", Stage::open, |stage| {
        stage.fixture.call(
            "POST",
            &stage.owner,
            "/api-keys/bulk",
            json!({"ids": [stage.key], "action": "pause"}),
        )
    }),
    ("POST", "/api-keys/bulk-revoke", Stage::open, |stage| {
        let body = json!({"filter": {"status": "ACTIVE"}});
        stage.fixture.call("POST", &stage.owner, "/api-keys/bulk-revoke", body)
    }),
    ("GET", "/api-keys/summary", Stage::open, |stage| stage.call("GET", "/api-keys/summary", Value::Null)),
    ("GET", "/api-keys/export", Stage::open, |stage| stage.call("GET", "/api-keys/export", Value::Null)),
    ("GET", "/api-keys/usage", Stage::open, |stage| {
        stage.call("GET", &format!("/api-keys/usage?ids={}", stage.key), Value::Null)
    }),
    ("POST", "/api-keys/import", Stage::open, |stage| {
        let body = json!({"hash": "0".repeat(64), "name": "n", "scopes": ["orders:read"]});
        stage.fixture.call("POST", &stage.owner, "/api-keys/import", body)
    }),
    ("GET", "/api-keys/{key_}", Stage::open, |stage| of_key(stage, "GET", "", Value::Null)),
    ("PATCH", "/api-keys/{key_}", Stage::open, |stage| of_key(stage, "PATCH", "", json!({"name": "other"}))),
    ("POST", "/api-keys/{key_}/revoke", Stage::open, |stage| of_key(stage, "POST", "/revoke", json!({}))),
    ("POST", "/api-keys/{key_}/pause", Stage::open, |stage| of_key(stage, "POST", "/pause", Value::Null)),
    ("POST", "/api-keys/{key_}/resume", Stage::open, |stage| of_key(stage, "POST", "/resume", Value::Null)),
    ("POST", "/api-keys/{key_}/rotate", Stage::open, |stage| of_key(stage, "POST", "/rotate", json!({}))),
    ("POST", "/api-keys/{key_}/rotate", Stage::open, |stage| {
        of_key(stage, "POST", "/rotate", json!({"revokeOld": true}))
    }),
    ("POST", "/api-keys/{key_}/rotate", Stage::open, |stage| {
        of_key(stage, "POST", "/rotate", json!({"graceSeconds": 60}))
    }),
    ("POST", "/api-keys/{key_}/rotate", Stage::open, |stage| {
        repeatable(stage, &format!("/api-keys/{}/rotate", stage.key), "new")
    }),
    ("POST", "/api-keys/{key_}/rotate", Stage::open, |stage| {
        repeatable(stage, &format!("/api-keys/{}/rotate", stage.key), "done")
    }),
    ("GET", "/refusals", Stage::open, |stage| stage.call("GET", "/refusals", Value::Null)),
    ("GET", "/usage", Stage::open, |stage| stage.call("GET", "/usage", Value::Null)),
    ("GET", "/usage/routes", Stage::open, |stage| stage.call("GET", "/usage/routes", Value::Null)),
    ("GET", "/api-keys/{key_}/usage", Stage::open, |stage| of_key(stage, "GET", "/usage", Value::Null)),
    ("POST", "/links", Stage::open, |stage| {
        stage.call("POST", "/links", json!({ "url": "https://shop.example/api/public/orders/checkout" }))
    }),
    ("GET", "/links/{link_}", Stage::open, |stage| {
        stage.call("GET", &format!("/links/{}", stage.link), Value::Null)
    }),
    ("GET", "/quotas", Stage::open, |stage| stage.call("GET", "/quotas", Value::Null)),
    ("GET", "/metrics", Stage::open, |stage| stage.call("GET", "/metrics", Value::Null)),
    ("GET", "/realms", Stage::open, |stage| stage.call("GET", "/realms", Value::Null)),
    ("GET", "/realms", Stage::empty, |stage| {
        stage.fixture.call("GET", &format!("setup:{SETUP_TOKEN}"), "/realms", Value::Null)
    }),
    ("GET", "/routes", Stage::open, |stage| stage.call("GET", "/routes", Value::Null)),
    ("POST", "/explain", Stage::open, |stage| {
        stage.call("POST", "/explain", json!({"method": "GET", "path": "/api/orders"}))
    }),
    ("GET", "/audit", Stage::open, |stage| stage.call("GET", "/audit", Value::Null)),
    ("GET", "/audit/export", Stage::open, |stage| stage.call("GET", "/audit/export", Value::Null)),
    ("GET", "/audit/verify", Stage::open, |stage| stage.call("GET", "/audit/verify", Value::Null)),
    ("GET", "/events", Stage::open, |stage| stage.call("GET", "/events", Value::Null)),
    ("GET", "/events/endpoints", Stage::open, |stage| stage.call("GET", "/events/endpoints", Value::Null)),
    ("POST", "/events/endpoints/{}/replay", Stage::open, |stage| {
        stage.call("POST", "/events/endpoints/main/replay", json!({}))
    }),
    ("GET", "/members", Stage::open, |stage| stage.call("GET", "/members", Value::Null)),
    ("POST", "/members", Stage::open, |stage| {
        stage.call(
            "POST",
            "/members",
            json!({"email": "b@example.com", "role": "viewer", "password": PASSWORD}),
        )
    }),
    ("GET", "/members/{}", Stage::open, |stage| of_member(stage, "GET", Value::Null)),
    ("PATCH", "/members/{}", Stage::open, |stage| {
        of_member(stage, "PATCH", json!({"role": "viewer", "password": "another long password"}))
    }),
    ("PATCH", "/members/{}", Stage::open, |stage| {
        let body = json!({"password": "another long password", "currentPassword": PASSWORD});
        stage.fixture.call("PATCH", &stage.member, &format!("/members/{}", stage.member_id), body)
    }),
    ("PATCH", "/members/{}", Stage::open, |stage| {
        let body = json!({"password": "another long password", "currentPassword": "a wrong password"});
        stage.fixture.call("PATCH", &stage.member, &format!("/members/{}", stage.member_id), body)
    }),
    ("DELETE", "/members/{}", Stage::open, |stage| of_member(stage, "DELETE", Value::Null)),
    ("POST", "/members/{}/reset", Stage::open, |stage| {
        stage.call("POST", &format!("/members/{}/reset", stage.member_id), json!({}))
    }),
    ("GET", "/invitations", Stage::open, |stage| stage.call("GET", "/invitations", Value::Null)),
    ("POST", "/invitations", Stage::open, |stage| {
        stage.call("POST", "/invitations", json!({"email": "invited@example.com", "role": "admin"}))
    }),
    ("POST", "/invitations/accept", Stage::open, |stage| accept(stage, &stage.invitation)),
    ("POST", "/invitations/accept", Stage::open, |stage| accept(stage, &stage.reset)),
    ("POST", "/invitations/accept", Stage::open, |stage| accept(stage, "kwi_wrong")),
    ("POST", "/settlements", Stage::open, |stage| {
        stage.fixture.call("POST", "", "/settlements", json!({"token": "kwb_x", "used": 1}))
    }),
    ("DELETE", "/invitations/{inv_}", Stage::open, |stage| {
        let open = stage.fixture.get(&stage.owner, "/invitations").expect(200).body;
        let id = open["invitations"][0]["id"].as_str().unwrap();
        stage.call("DELETE", &format!("/invitations/{id}"), Value::Null)
    }),
    ("POST", "/recover", Stage::open, |stage| recover(stage, RECOVERY_TOKEN, "owner@example.com")),
    ("POST", "/recover", Stage::open, |stage| recover(stage, RECOVERY_TOKEN, "new@example.com")),
    ("POST", "/recover", Stage::open, |stage| recover(stage, "wrong", "owner@example.com")),
    ("POST", "/tenants/{}/owners", Stage::open, |stage| {
        let body = json!({"email": "d@example.com"});
        stage.call("POST", &format!("/tenants/{}/owners", stage.tenant), body)
    }),
    ("DELETE", "/tenants/{}/sessions", Stage::open, |stage| {
        stage.call("DELETE", &format!("/tenants/{}/sessions", stage.tenant), Value::Null)
    }),
    ("GET", "/tenants", Stage::open, |stage| stage.call("GET", "/tenants", Value::Null)),
    ("POST", "/tenants", Stage::open, |stage| {
        let owner = json!({"email": "c@example.com", "password": PASSWORD});
        stage.call("POST", "/tenants", json!({ "name": "Another", "owner": owner }))
    }),
    ("GET", "/tenants/{}", Stage::open, |stage| {
        stage.call("GET", &format!("/tenants/{}", stage.tenant), Value::Null)
    }),
    ("PATCH", "/tenants/{}", Stage::open, |stage| {
        stage.call(
            "PATCH",
            &format!("/tenants/{}", stage.tenant),
            json!({"plan": "pro", "status": "INACTIVE"}),
        )
    }),
];

fn sign_in(stage: &Stage, email: &str, password: &str) -> AdminCall {
    stage.fixture.call("POST", "", "/session", json!({"email": email, "password": password}))
}

fn accept(stage: &Stage, token: &str) -> AdminCall {
    let body = json!({"token": token, "password": "another long password"});
    stage.fixture.call("POST", "", "/invitations/accept", body)
}

fn recover(stage: &Stage, token: &str, email: &str) -> AdminCall {
    let body = json!({"token": token, "email": email, "password": "another long password"});
    stage.fixture.call("POST", "", "/recover", body)
}

pub fn of_key(stage: &Stage, method: &str, what: &str, body: Value) -> AdminCall {
    stage.call(method, &format!("/api-keys/{}{what}", stage.key), body)
}

fn of_member(stage: &Stage, method: &str, body: Value) -> AdminCall {
    stage.call(method, &format!("/members/{}", stage.member_id), body)
}
