//! Members, tenants, audit: who may do what, and what is kept of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::TenantStatus,
    sql::Sql,
    time::{MILLISECOND, MINUTE, SECOND, Span},
};
use keyward_policy::Policy;
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture, SETUP_TOKEN};
use keyward_testing::{NOON, policy::POLICY};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn credentials(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

#[test]
fn each_role_does_what_it_is_for() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let id = fixture.key(&admin, json!({})).key_id();
    for path in ["/api-keys", "/realms", "/audit", "/audit/verify", "/members", &format!("/api-keys/{id}")] {
        fixture.get(&viewer, path).expect(200);
    }
    let writes = [
        ("POST", "/api-keys".to_owned()),
        ("PATCH", format!("/api-keys/{id}")),
        ("POST", format!("/api-keys/{id}/revoke")),
        ("POST", format!("/api-keys/{id}/rotate")),
    ];
    for (method, path) in &writes {
        fixture.send(fixture.call(method, &viewer, path, json!({}))).refused(403, "FORBIDDEN");
    }
    let body = json!({"email": "new@example.com", "role": "viewer", "password": PASSWORD});
    for token in [&admin, &viewer] {
        fixture.post(token, "/members", body.clone()).refused(403, "FORBIDDEN");
        fixture.get(token, "/tenants").refused(403, "FORBIDDEN");
    }
    fixture.post(&owner, "/members", body).expect(201);
}

#[test]
fn a_changed_role_counts_at_once_and_ends_the_members_sessions() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, id) = fixture.member(&owner, "admin@example.com", "admin");
    let changed = fixture.patch(&owner, &format!("/members/{id}"), json!({"role": "viewer"})).expect(200);
    assert_eq!(changed.body["member"]["role"], "viewer");
    fixture.get(&admin, "/api-keys").refused(401, "UNAUTHENTICATED");
    let viewer = fixture.sign_in("admin@example.com");
    fixture.post(&viewer, "/api-keys", json!({})).refused(403, "FORBIDDEN");
    fixture.delete(&owner, &format!("/members/{id}")).expect(204);
    fixture.get(&viewer, "/api-keys").refused(401, "UNAUTHENTICATED");
    fixture
        .post("", "/session", credentials("admin@example.com", PASSWORD))
        .refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn the_last_owner_stays() {
    let (fixture, owner) = RegistryFixture::open();
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let path = format!("/members/{me}");
    fixture.delete(&owner, &path).refused(409, "CONFLICT");
    fixture.patch(&owner, &path, json!({"role": "viewer"})).refused(409, "CONFLICT");
    fixture.member(&owner, "second@example.com", "owner");
    fixture.patch(&owner, &path, json!({"role": "viewer"})).expect(200);
    fixture.get(&owner, "/session").refused(401, "UNAUTHENTICATED");
    let viewer = fixture.sign_in("owner@example.com");
    fixture.post(&viewer, "/api-keys", json!({})).refused(403, "FORBIDDEN");
}

#[test]
fn members_change_their_own_password_with_the_present_one() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let second = fixture.sign_in("viewer@example.com");
    let path = format!("/members/{id}");
    let change = |token: &str, body: Value| fixture.patch(token, &path, body);
    assert_eq!(change(&viewer, json!({"password": "another password"})).fields(), ["currentPassword"]);
    change(&viewer, json!({"password": "another password", "currentPassword": "wrong"}))
        .refused(401, "INVALID_CREDENTIALS");
    change(&viewer, json!({"password": "another password", "currentPassword": PASSWORD})).expect(200);
    fixture.get(&viewer, "/session").expect(200);
    fixture.get(&second, "/session").refused(401, "UNAUTHENTICATED");
    fixture
        .post("", "/session", credentials("viewer@example.com", PASSWORD))
        .refused(401, "INVALID_CREDENTIALS");
    fixture.post("", "/session", credentials("viewer@example.com", "another password")).expect(201);
    // Not a role, and nobody else's password.
    change(&viewer, json!({"role": "owner"})).refused(403, "FORBIDDEN");
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    fixture
        .patch(&viewer, &format!("/members/{me}"), json!({"password": PASSWORD}))
        .refused(403, "FORBIDDEN");
    // An owner may set it, which ends the sessions of whoever had it.
    change(&owner, json!({"password": PASSWORD})).expect(200);
    fixture.get(&viewer, "/session").refused(401, "UNAUTHENTICATED");
}

#[test]
fn role_changes_ask_for_a_fresh_password_where_the_policy_says_so() {
    let mut policy = *POLICY;
    policy.admin.step_up_roles = true;
    let policy: &'static Policy = Box::leak(Box::new(policy));
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let member = |email: &str| json!({"email": email, "role": "viewer", "password": PASSWORD});
    // Signing in was typing the password.
    fixture.later(5 * MINUTE - MILLISECOND);
    fixture.post(&owner, "/members", member("soon@example.com")).expect(201);
    fixture.later(MILLISECOND);
    let body = member("new@example.com");
    fixture.post(&owner, "/members", body.clone()).refused(403, "STEP_UP_REQUIRED");
    fixture
        .post(&owner, "/session/step-up", json!({"password": "wrong"}))
        .refused(401, "INVALID_CREDENTIALS");
    fixture.post(&owner, "/members", body.clone()).refused(403, "STEP_UP_REQUIRED");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    let id =
        fixture.post(&owner, "/members", body).expect(201).body["member"]["id"].as_str().unwrap().to_owned();
    fixture.later(5 * MINUTE);
    fixture
        .patch(&owner, &format!("/members/{id}"), json!({"role": "admin"}))
        .refused(403, "STEP_UP_REQUIRED");
    fixture.delete(&owner, &format!("/members/{id}")).refused(403, "STEP_UP_REQUIRED");
    let reset = json!({"password": "somebody else's password"});
    fixture.patch(&owner, &format!("/members/{id}"), reset).refused(403, "STEP_UP_REQUIRED");
    fixture.patch(&owner, &format!("/members/{id}"), json!({"role": "viewer"})).expect(200);
}

#[test]
fn members_are_checked_field_by_field() {
    let (fixture, owner) = RegistryFixture::open();
    let good = json!({"email": "new@example.com", "role": "viewer", "password": PASSWORD});
    for (field, value) in [
        ("email", json!("new")),
        ("email", json!("a@b@c")),
        ("email", json!("a b@example.com")),
        ("email", json!(format!("{}@example.com", "a".repeat(250)))),
        ("email", json!("@example.com")),
        ("role", json!("root")),
        ("role", json!(null)),
        ("password", json!("12345678901")),
        ("password", json!("x".repeat(201))),
        ("password", json!(123_456_789_012_i64)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert_eq!(fixture.post(&owner, "/members", body).fields(), [field]);
    }
    fixture.post(&owner, "/members", good.clone()).expect(201);
    fixture.post(&owner, "/members", good).refused(409, "CONFLICT");
}

#[test]
fn the_operator_makes_and_changes_tenants() {
    let (fixture, operator) = RegistryFixture::open();
    let body = json!({"name": "Shop", "plan": "pro", "rateLimit": {"perMinute": 60}});
    let made = fixture.post(&operator, "/tenants", body).expect(201);
    assert_eq!(made.body["tenant"]["status"], "ACTIVE");
    assert_eq!(
        made.body["tenant"]["rateLimit"],
        json!({"perSecond": null, "perMinute": 60, "perHour": null, "perDay": null, "perMonth": null, "total": null, "inFlight": null})
    );
    let path = format!("/tenants/{}", made.body["tenant"]["id"].as_str().unwrap());
    let changed = fixture.patch(&operator, &path, json!({"name": "Shop 2", "plan": null})).expect(200);
    assert_eq!(
        (&changed.body["tenant"]["name"], &changed.body["tenant"]["plan"]),
        (&json!("Shop 2"), &Value::Null)
    );
    assert_eq!(fixture.get(&operator, "/tenants").body["tenants"].as_array().unwrap().len(), 2);
    for plan in ["Gr\u{f6}\u{df}e", "\u{30d7}\u{30ed}", "a\nKeyward-Tenant: b", " ", "\u{7f}"] {
        let answer = fixture.patch(&operator, &path, json!({"plan": plan}));
        assert_eq!(answer.status, 400, "{plan:?} could not be sent to an origin as it is");
    }
    let wrong = json!({"name": "", "plan": 7, "rateLimit": {"perMinute": 0}, "status": "GONE"});
    let mut fields = fixture.patch(&operator, &path, wrong).fields().join(" ");
    assert_eq!(fields, "name status plan rateLimit.perMinute");
    let owner = json!({"name": "X", "owner": {"email": "x", "password": "short", "role": "owner"}});
    fields = fixture.post(&operator, "/tenants", owner).fields().join(" ");
    assert_eq!(fields, "owner.role owner.email owner.password");
    let missing = fixture.post(&operator, "/tenants", json!({"name": "X", "owner": {}}));
    let required = |field: &str| json!({"field": field, "message": "is required"});
    assert_eq!(missing.body["errors"], json!([required("owner.email"), required("owner.password")]));
    fixture.patch(&operator, "/tenants/nobody", json!({})).refused(404, "NOT_FOUND");
    let own = fixture.get(&operator, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let own = fixture.patch(&operator, &format!("/tenants/{own}"), json!({"status": "INACTIVE"}));
    assert_eq!(own.fields(), ["status"]);
}

#[test]
fn an_owner_of_another_tenant_is_no_operator() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    assert_eq!(fixture.get(&owner, "/session").body["member"]["operator"], false);
    fixture.get(&owner, "/tenants").refused(403, "FORBIDDEN");
    fixture.post(&owner, "/tenants", json!({"name": "mine"})).refused(403, "FORBIDDEN");
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"plan": "pro"})).refused(403, "FORBIDDEN");
}

#[test]
fn an_inactive_tenant_neither_acts_nor_signs_in_and_its_keys_say_so() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    let holder = fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id();
    let id = fixture.key(&owner, json!({})).key_id();
    let path = format!("/tenants/{tenant}");
    let answer = fixture.patch(&operator, &path, json!({"status": "INACTIVE"})).expect(200);
    assert_eq!(answer.body["effectiveEverywhereBy"], NOON.plus(5 * SECOND).to_rfc3339());
    assert_eq!(fixture.record(&id).tenant.status, TenantStatus::Inactive);
    assert_eq!(fixture.published(&id).unwrap().tenant.status, TenantStatus::Inactive);
    fixture.get(&owner, "/api-keys").refused(403, "FORBIDDEN");
    fixture.get(&format!("key:{holder}"), "/api-keys").refused(403, "FORBIDDEN");
    fixture.post("", "/session", credentials("owner@shop.example", PASSWORD)).refused(403, "FORBIDDEN");
    fixture
        .post("", "/session", credentials("owner@shop.example", "wrong"))
        .refused(401, "INVALID_CREDENTIALS");
    fixture.patch(&operator, &path, json!({"status": "ACTIVE"})).expect(200);
    fixture.get(&owner, "/api-keys").expect(200);
}

#[test]
fn everything_done_is_in_the_audit_without_a_secret() {
    let (fixture, owner) = RegistryFixture::open();
    fixture
        .post("", "/session", credentials("owner@example.com", "a wrong password"))
        .refused(401, "INVALID_CREDENTIALS");
    fixture
        .post("", "/session", credentials("nobody@example.com", "a wrong password"))
        .refused(401, "INVALID_CREDENTIALS");
    let id = fixture.key(&owner, json!({"name": "Shop"})).key_id();
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "Shop 2"})).expect(200);
    fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"revokeOld": true})).expect(201);
    let (_, member) = fixture.member(&owner, "admin@example.com", "admin");
    fixture.delete(&owner, &format!("/members/{member}")).expect(204);
    let audit = fixture.get(&owner, "/audit").expect(200);
    let entries = audit.body["entries"].as_array().unwrap();
    let actions: Vec<&str> = entries.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = "setup session.create session.refused session.refused key.create key.edit key.create key.rotate \
                    member.create session.create member.delete";
    assert_eq!(actions.join(" "), expected);
    let edit = &entries[5];
    assert_eq!(
        (edit["actor"]["email"].as_str(), edit["target"].as_str()),
        (Some("owner@example.com"), Some(&*id))
    );
    assert_eq!((&edit["before"]["name"], &edit["after"]["name"]), (&json!("Shop"), &json!("Shop 2")));
    assert_eq!((edit["address"].as_str(), edit["requestId"].as_str()), (Some("192.0.2.1"), Some("req-1")));
    assert_eq!(entries[7]["actor"], json!({"type": "unknown", "id": null, "email": "nobody@example.com"}));
    for secret in [PASSWORD, "a wrong password", SETUP_TOKEN, "pbkdf2", "kws_", "sha256:"] {
        assert!(!audit.text.contains(secret), "{secret}");
    }
}

#[test]
fn anybody_can_check_the_chain_and_a_change_breaks_it() {
    let (fixture, owner) = RegistryFixture::open();
    for n in 0..3 {
        fixture.key(&owner, json!({"metadata": {"10": "ü\n\u{7}", "9": format!("{n}\"")}}));
    }
    let verify = || fixture.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&verify()["ok"], &verify()["entries"]), (&json!(true), &json!(5)));

    // Another program's check: every entry without its hash, in RFC 8785's form, which for these is
    // what serde_json writes of a sorted map.
    let entries = fixture.get(&owner, "/audit").body["entries"].as_array().unwrap().clone();
    let mut previous = "0".repeat(64);
    for entry in entries.iter().rev() {
        let mut content = entry.as_object().unwrap().clone();
        let hash = content.remove("hash").unwrap();
        assert_eq!(content["previousHash"], previous.as_str());
        previous = keyward_core::key::hex(&Sha256::digest(serde_json::to_string(&content).unwrap()));
        assert_eq!(hash, previous.as_str());
    }
    assert_eq!(verify()["lastHash"], previous.as_str());

    fixture
        .db
        .run("UPDATE audit SET entry = replace(entry, '192.0.2.1', '192.0.2.2') WHERE seq = 3", &[])
        .unwrap();
    assert_eq!((&verify()["ok"], &verify()["brokenAt"]), (&json!(false), &json!(3)));
    fixture
        .db
        .run("UPDATE audit SET entry = replace(entry, '192.0.2.2', '192.0.2.1') WHERE seq = 3", &[])
        .unwrap();
    assert_eq!(verify()["ok"], true);
    fixture.db.run("DELETE FROM audit WHERE seq = 2", &[]).unwrap();
    assert_eq!((&verify()["ok"], &verify()["brokenAt"]), (&json!(false), &json!(2)));
}

#[test]
fn one_call_checks_a_part_of_a_long_chain_and_says_where_to_go_on() {
    let (fixture, owner) = RegistryFixture::open();
    let key = format!("/api-keys/{}", fixture.key(&owner, json!({})).key_id());
    for n in 1..1_500 {
        // More at once are more than a minute's calls.
        fixture.later(Span::from_ms(500));
        fixture.patch(&owner, &key, json!({ "name": n.to_string() })).expect(200);
    }
    let verify = |from: &str| fixture.get(&owner, &format!("/audit/verify{from}"));
    let first = verify("").expect(200).body;
    assert_eq!(
        (&first["ok"], &first["entries"], &first["next"]),
        (&json!(true), &json!(1_000), &json!(1_001))
    );
    let rest = verify("?from=1001").expect(200).body;
    assert_eq!((&rest["ok"], &rest["entries"], &rest["next"]), (&json!(true), &json!(1_502), &Value::Null));
    let newest = fixture.get(&owner, "/audit?limit=1").body["entries"][0]["hash"].clone();
    assert_eq!(rest["lastHash"], newest);
    assert_eq!(verify("?from=1503").expect(200).body["entries"], 1_502, "nothing new is nothing wrong");
    verify("?from=1504").refused(400, "VALIDATION_FAILED");

    fixture.db.run("UPDATE audit SET hash = 'other' WHERE seq = 1000", &[]).unwrap();
    assert_eq!(verify("").body["brokenAt"], 1_000);
    assert_eq!(verify("?from=1001").body["brokenAt"], 1_001, "it does not follow that one");
}

#[test]
fn unknown_paths_are_404_and_known_ones_name_their_methods() {
    let (fixture, owner) = RegistryFixture::open();
    for path in ["/", "", "/api-keys/", "/api-keys/key_", "/nothing", "/api-keys/imports", "/usage/"] {
        fixture.post(&owner, path, json!({})).refused(404, "NOT_FOUND");
    }
    let wrong = fixture.delete(&owner, "/api-keys");
    wrong.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.header("Allow"), Some("GET, POST, HEAD"));
    let patched = fixture.patch(&owner, "/api-keys/key_x/revoke", json!({}));
    assert_eq!(patched.header("Allow"), Some("POST"));
    fixture.send(fixture.call("HEAD", &owner, "/api-keys", Value::Null)).expect(200);
}

#[test]
fn realms_show_the_page_what_can_be_granted() {
    let (fixture, owner) = RegistryFixture::open();
    let holder = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id());
    let realm = fixture.get(&owner, "/realms").expect(200).body["realms"][0].clone();
    assert_eq!(realm["id"], "default");
    assert_eq!(realm["freshnessSeconds"], 5.0);
    assert_eq!(realm["keyPrefixes"], json!({"live": "kw_live_", "test": "kw_test_"}));
    assert_eq!(
        realm["limits"]["default"],
        json!({"perSecond": null, "perMinute": 600, "perHour": null, "perDay": null, "perMonth": null, "total": null, "inFlight": null})
    );
    assert_eq!(realm["stepUp"], json!({"create": false, "rotate": false, "revoke": false}));
    assert_eq!(realm["ownerOnly"], json!({"create": false, "rotate": false, "revoke": false}));
    assert_eq!((&realm["rotation"], &realm["publishable"]), (&json!("keep-old"), &json!(true)));
    assert_eq!(realm["link"], Value::Null);
    let grantable = |token: &str| -> Vec<bool> {
        let scopes = fixture.get(token, "/realms").body["realms"][0]["scopes"].as_array().unwrap().clone();
        scopes.iter().map(|scope| scope["grantable"].as_bool().unwrap()).collect()
    };
    let mine = grantable(&owner);
    assert!(mine.iter().all(|grantable| *grantable), "{mine:?}");
    assert_eq!(
        grantable(&holder).iter().filter(|grantable| **grantable).count(),
        mine.len() - 2,
        "not admin:*"
    );
}

#[test]
fn a_key_that_the_gate_found_in_order_does_nothing_here_once_the_registry_knows_that_it_has_ended() {
    let (fixture, owner) = RegistryFixture::open();
    let end = fixture.now.get().plus(MINUTE);
    let expiring =
        fixture.key(&owner, json!({"scopes": ["admin:read"], "expiresAt": end.to_rfc3339()})).key_id();
    let revoked = fixture.key(&owner, json!({"scopes": ["admin:read"]})).key_id();
    let list = |id: &str| fixture.call("GET", &format!("key:{id}"), "/api-keys", Value::Null);
    let calls = [list(&expiring), list(&revoked)];
    for call in &calls {
        fixture.send(call.clone()).expect(200);
    }
    fixture.post(&owner, &format!("/api-keys/{revoked}/revoke"), json!({})).expect(200);
    fixture.later(MINUTE);
    for call in calls {
        fixture.send(call).refused(401, "UNAUTHENTICATED");
    }
}
