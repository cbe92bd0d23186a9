//! What asks people for their password again: every row of the table in `docs/admin-api.md` is tried, and every field of
//! every call that writes stands in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::MINUTE;
use keyward_policy::{EventType, KeyAction, KeyRequirement, Policy, Proof, Requirement, Route, Routes, Span};
use keyward_registry::{
    admin_call::AdminCall,
    router::{AdminRoute, ROUTES},
};
use keyward_testing::{
    IMPORTED, LINK,
    authenticator::{Algorithm, SoftPasskey},
    registry_fixture::{PASSWORD, RegistryFixture},
};
use serde_json::{Value, json};

use crate::fresh_password_table::{Row, in_days, listed, rows};

/// What a policy guards, which rows then ask, that policy, and whether somebody has signed in just now.
type Guarded = (&'static str, fn(&str) -> bool, &'static Policy, bool);

fn policy(step_up: &'static [KeyAction], step_up_roles: bool) -> &'static Policy {
    let mut policy = *keyward_testing::registry_fixture::policy_with(|realm| {
        let session = KeyRequirement { by: &[Proof::Session], ..KeyRequirement::ANY_KEY };
        let checkout = Route { requires: Requirement::Key(session), ..realm.routes[0] };
        realm.routes = Routes::new(Vec::leak(vec![checkout]));
        realm.link = Some(LINK);
        realm.imported = Some(IMPORTED);
        realm.key.test_prefix = None;
        realm.step_up = step_up;
    });
    policy.admin.step_up_roles = step_up_roles;
    policy.admin.events = Vec::leak(vec![crate::events::endpoint(&EventType::ALL)]);
    Box::leak(Box::new(policy))
}

/// A deployment with everything that the rows name.
struct Stage {
    fixture: RegistryFixture,
    owner: String,
    names: Vec<(&'static str, String)>,
}

impl Stage {
    fn new(policy: &'static Policy) -> Self {
        let (fixture, owner) = RegistryFixture::open_over(policy);
        fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        let bounds = json!({
            "scopes": ["orders:write"], "allowedIps": ["192.0.2.0/24"], "expiresAt": in_days(10),
            "rateLimit": {"perMinute": 10, "perDay": 100},
        });
        let key = |fields: Value| {
            let mut all = bounds.clone();
            all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            fixture.key(&owner, all).key_id()
        };
        let origins = ["https://a.example", "https://b.example"];
        let mut names = vec![
            ("plain", key(json!({}))),
            ("wild", key(json!({"scopes": ["orders:*"]}))),
            ("public", key(json!({"kind": "publishable", "allowedOrigins": origins}))),
            ("admin", key(json!({"scopes": ["admin:read"], "strict": true}))),
            ("all", key(json!({"scopes": listed("")}))),
            ("area", key(json!({"scopes": listed("admin:")}))),
            ("star", key(json!({"scopes": ["*"]}))),
            ("trial", key(json!({"testMode": true}))),
            ("tested", key(json!({"scopes": ["admin:read"], "testMode": true}))),
        ];
        let mut once = fixture.call("POST", &owner, "/api-keys", json!({"name": "n", "scopes": ["*"]}));
        once.idempotency_key = Some("once".into());
        fixture.send(once).expect(201);
        let mut passkey = SoftPasskey::new(Algorithm::EdDsa, 2);
        names.push(("passkey", crate::passkeys::add(&fixture, &owner, &mut passkey)));
        names.push(("member", fixture.member(&owner, "member@example.com", "viewer").1));
        fixture.member(&owner, "second@example.com", "owner");
        fixture.sign_in("owner@example.com");
        let me = fixture.get(&owner, "/session").expect(200);
        names.push(("me", me.body["member"]["id"].as_str().unwrap().to_owned()));
        let tenant = |name: &str| {
            let body = json!({"name": name, "plan": "small", "rateLimit": {"perMinute": 10, "perDay": 100}});
            let made = fixture.post(&owner, "/tenants", body).expect(201);
            made.body["tenant"]["id"].as_str().unwrap().to_owned()
        };
        names.extend([("shop", tenant("shop")), ("old", tenant("old")), ("idle", tenant("idle"))]);
        let invitation = json!({"email": "invited@example.com", "role": "viewer"});
        let made = fixture.post(&owner, "/invitations", invitation).expect(201);
        names.push(("invitation", made.body["invitation"]["id"].as_str().unwrap().to_owned()));
        let (_, old) = names.iter().find(|(name, _)| *name == "old").unwrap();
        keyward_core::sql::Sql::run(
            &fixture.db,
            "UPDATE tenants SET code = NULL WHERE id = ?",
            &[old.as_str().into()],
        )
        .unwrap();
        let (_, idle) = names.iter().find(|(name, _)| *name == "idle").unwrap();
        fixture.patch(&owner, &format!("/tenants/{idle}"), json!({"status": "INACTIVE"})).expect(200);
        Self { fixture, owner, names }
    }

    fn call(&self, session: &str, method: &str, path: &str, body: &Value) -> AdminCall {
        let own = self.fixture.get(session, "/sessions").expect(200);
        let sessions = own.body["sessions"].as_array().unwrap();
        let other = sessions.iter().find(|session| session["current"] == false);
        let id = other.map(|session| session["id"].as_str().unwrap().to_owned()).unwrap_or_default();
        let mut path = path.replace("{session}", &id);
        for (name, id) in &self.names {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        let mut text = body.to_string();
        for (name, id) in &self.names {
            text = text.replace(&format!("{{{name}}}"), id);
        }
        let mut body: Value = serde_json::from_str(&text).unwrap();
        if path == "/passkeys" && body["passkey"].is_object() {
            let options = self.fixture.post(session, "/passkeys/options", json!({}));
            if options.status == 200 {
                body["passkey"] = SoftPasskey::new(Algorithm::EdDsa, 1).made(&options.body).to_json();
            }
        }
        let mut call = self.fixture.call(method, session, path.trim_end_matches("#once"), body);
        call.idempotency_key = path.ends_with("#once").then(|| "once".to_owned());
        call
    }

    /// Whether the call asks for the password.
    fn asks(&self, session: &str, method: &str, path: &str, body: &Value) -> bool {
        let answer = self.fixture.send(self.call(session, method, path, body));
        let asks = (answer.status, answer.code()) == (403, "STEP_UP_REQUIRED");
        assert!(asks || answer.status < 300, "{method} {path} {body}: {}", answer.text);
        asks
    }

    fn step_up(&self, session: &str) {
        self.fixture.post(session, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    }
}

#[test]
fn every_row_of_the_table_asks_for_what_it_says() {
    let policies: [Guarded; 5] = [
        ("nothing", |asks| asks.contains("always"), policy(&[], false), false),
        ("roles", |asks| asks.contains("always") || asks.contains("roles"), policy(&[], true), false),
        ("create", |asks| asks.contains("create"), policy(&[KeyAction::Create], false), true),
        ("rotate", |asks| asks.contains("rotate"), policy(&[KeyAction::Rotate], false), true),
        ("revoke", |asks| asks.contains("revoke"), policy(&[KeyAction::Revoke], false), true),
    ];
    // Signing in just now is not enough where a realm asks; elsewhere it was too long ago.
    let begin = |policy, fresh: bool| {
        let stage = Stage::new(policy);
        let session = if fresh { stage.fixture.sign_in("owner@example.com") } else { stage.owner.clone() };
        stage.fixture.later(if fresh { Span::ZERO } else { 5 * MINUTE });
        (stage, session)
    };
    for (guarded, expected, policy, fresh) in policies {
        // What is refused changes nothing, so one stage does for all of that.
        let (refusing, refused) = begin(policy, fresh);
        for (call, what, asks, tries) in rows() {
            let of_keys = ["create", "rotate", "revoke"].iter().any(|action| asks.contains(action));
            if ["rotate", "revoke"].contains(&guarded) && !of_keys {
                continue;
            }
            let (method, _) = call.split_once(' ').unwrap();
            for (path, body) in tries {
                let what = format!("where the policy guards {guarded}: {call}, {what}: {body}");
                if expected(asks) {
                    assert!(refusing.asks(&refused, method, path, &body), "{what}");
                }
                if !expected(asks) || guarded == "roles" {
                    let (stage, session) = begin(policy, fresh);
                    if expected(asks) {
                        stage.step_up(&session);
                    }
                    assert!(!stage.asks(&session, method, path, &body), "{what}");
                }
            }
        }
    }
}

#[test]
fn every_field_of_every_call_that_writes_stands_in_the_table_and_the_table_in_the_documentation() {
    let stage = Stage::new(policy(&[], false));
    let rows = rows();
    for AdminRoute { method, path: pattern, .. } in ROUTES.iter().filter(|route| route.method != "GET") {
        let of_strangers = [
            "/setup",
            "/session",
            "/session/code/options",
            "/session/passkey/options",
            "/recover",
            "/invitations/accept",
            "/settlements",
            "/restore",
            "/leaks",
        ];
        if of_strangers.contains(pattern) && *method == "POST" {
            continue;
        }
        let name = pattern
            .replace("{key_}", "{id}")
            .replace("{ses_}", "{id}")
            .replace("{inv_}", "{id}")
            .replace("{pky_}", "{id}")
            .replace("{}", "{id}");
        let call = format!("{method} {name}");
        let of_call: Vec<&Row> = rows.iter().filter(|row| row.0 == call).collect();
        assert!(!of_call.is_empty(), "{call} stands in no row");
        let (path, _) = of_call[0].3[0];
        if *method == "DELETE" {
            continue;
        }
        let answer = stage.fixture.send(stage.call(&stage.owner, method, path, &json!({"no such field": 1})));
        // What is wrong with a line of many stands in an answer that is no refusal.
        let answer = if call.ends_with("/import") { answer } else { answer.expect(400) };
        let fields = answer.message("no such field").split_once("there are ").unwrap().1.to_owned();
        for field in fields.split(", ").filter(|field| *field != "none") {
            let stands = of_call.iter().any(|row| row.1.contains(&format!("`{field}`")));
            assert!(stands, "{call}: {field} stands in no row");
        }
    }
    let document = include_str!("../../../../docs/admin-api.md");
    let section = document.split("## What asks for the password\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let table: Vec<&str> =
        section.lines().filter(|line| line.starts_with("| `")).map(|line| line.trim()).collect();
    for (call, what, asks, _) in &rows {
        let row = format!("| `{call}` | {what} | {asks} |");
        assert!(table.iter().any(|line| line.starts_with(&row)), "docs/admin-api.md lacks\n{row}");
    }
    assert_eq!(table.len(), rows.len());
}
