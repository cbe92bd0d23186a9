//! Quotas: how much of everything one tenant may have, what it is told, and what goes on nevertheless.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{DAY, MINUTE, SECOND},
};
use keyward_policy::{Policy, Quotas};
use keyward_registry::{
    effect::Effect,
    router::{AdminRoute, ROUTES},
};
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, policy_with};
use serde_json::{Value, json};

pub fn policy(change: impl FnOnce(&mut Quotas)) -> &'static Policy {
    let mut policy = policy_with(|_| {});
    let mut quotas = policy.admin.quotas;
    change(&mut quotas);
    let mut changed = Policy { ..*policy };
    changed.admin.quotas = quotas;
    policy = Box::leak(Box::new(changed));
    policy
}

pub fn create(fixture: &RegistryFixture, token: &str, fields: Value) -> Answer {
    let mut body = json!({"name": "a key", "scopes": ["orders:read"]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fixture.post(token, "/api-keys", body)
}

pub fn used(fixture: &RegistryFixture, token: &str, quota: &str) -> (u64, u64) {
    let quota = fixture.get(token, "/quotas").expect(200).body["quotas"][quota].clone();
    (quota["used"].as_u64().unwrap(), quota["limit"].as_u64().unwrap())
}

#[test]
fn a_key_too_many_is_refused_with_what_is_used_of_what_and_who_can_raise_it() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.keys = 3));
    let ids: Vec<String> = (0..3).map(|_| create(&fixture, &owner, json!({})).expect(201).key_id()).collect();
    assert_eq!(used(&fixture, &owner, "keys"), (3, 3));
    let before = fixture.dump();
    let refused = create(&fixture, &owner, json!({}));
    let detail = refused.body["detail"].as_str().unwrap();
    for part in ["has 3 of the 3 keys", "quota keys", "Revoke some", "operator", "PATCH /tenants/"] {
        assert!(detail.contains(part), "{detail}");
    }
    refused.refused(409, "QUOTA_EXCEEDED");
    assert_eq!(fixture.dump(), before, "nothing has changed");
    fixture.post(&owner, &format!("/api-keys/{}/revoke", ids[0]), json!({})).expect(200);
    create(&fixture, &owner, json!({})).expect(201);
    let soon = fixture.now.get().plus(DAY).to_rfc3339();
    fixture.patch(&owner, &format!("/api-keys/{}", ids[1]), json!({"expiresAt": soon})).expect(200);
    create(&fixture, &owner, json!({})).refused(409, "QUOTA_EXCEEDED");
    fixture.later(DAY);
    let owner = fixture.sign_in("owner@example.com");
    create(&fixture, &owner, json!({})).expect(201);
}

#[test]
fn the_operator_gives_one_tenant_other_quotas_and_takes_them_back() {
    let (fixture, operator) = RegistryFixture::open_over(policy(|quotas| quotas.keys = 1));
    let (owner, id) = fixture.tenant(&operator, "shop");
    let path = format!("/tenants/{id}");
    create(&fixture, &owner, json!({})).expect(201);
    create(&fixture, &owner, json!({})).refused(409, "QUOTA_EXCEEDED");
    fixture.patch(&owner, &path, json!({"quotas": {"keys": 9}})).refused(403, "FORBIDDEN");
    let changed = fixture.patch(&operator, &path, json!({"quotas": {"keys": 2, "links": 5}})).expect(200);
    assert_eq!(changed.body["tenant"]["quotas"], json!({"keys": 2, "links": 5}));
    create(&fixture, &owner, json!({})).expect(201);
    create(&fixture, &owner, json!({})).refused(409, "QUOTA_EXCEEDED");
    create(&fixture, &operator, json!({})).expect(201);
    create(&fixture, &operator, json!({})).refused(409, "QUOTA_EXCEEDED");
    let shown = fixture.get(&operator, &path).expect(200).body;
    assert_eq!(shown["quotas"]["keys"], json!({"used": 2, "limit": 2}));
    assert_eq!(shown["quotas"]["links"], json!({"used": 0, "limit": 5}));
    assert_eq!(shown["storage"]["used"], fixture.db.size().unwrap());
    assert_eq!(shown["storage"]["limit"], fixture.policy.admin.storage);
    let entry = fixture.get(&owner, "/audit?limit=1").body["entries"][0].clone();
    let entries = fixture.get(&operator, "/audit").body["entries"].as_array().unwrap().clone();
    let edit = entries.iter().find(|entry| entry["action"] == "tenant.edit").unwrap();
    assert_eq!(
        (&edit["before"]["quotas"], &edit["after"]["quotas"]),
        (&json!({}), &json!({"keys": 2, "links": 5}))
    );
    assert_eq!(entry["action"], "key.create");

    let changed = fixture.patch(&operator, &path, json!({"quotas": {"keys": null}})).expect(200);
    assert_eq!(changed.body["tenant"]["quotas"], json!({"links": 5}), "each is named by itself");
    assert_eq!(used(&fixture, &owner, "keys"), (2, 1));
    fixture.patch(&operator, &path, json!({"quotas": null})).expect(200);
    assert_eq!(used(&fixture, &owner, "links"), (0, 10_000));
    let wrong = fixture.patch(&operator, &path, json!({"quotas": {"kyes": 1, "keys": -1, "links": "5"}}));
    assert_eq!(wrong.fields(), ["quotas.keys", "quotas.kyes", "quotas.links"]);
}

#[test]
fn a_tenant_can_rotate_for_ever_and_its_last_ended_keys_stay_in_the_list() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| {
        (quotas.keys, quotas.ended_keys) = (1, 10);
    }));
    let mut id = create(&fixture, &owner, json!({})).expect(201).key_id();
    let mut all = vec![id.clone()];
    let grace = [json!({"revokeOld": true}), json!({"graceSeconds": 60})];
    for n in 0..60 {
        let answer = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), grace[n % 2].clone());
        id = answer.expect(201).key_id();
        all.push(id.clone());
        fixture.later(61 * SECOND);
        let rows = fixture.db.run("SELECT COUNT(*) AS rows FROM keys", &[]).unwrap()[0]["rows"].as_u64();
        assert!(rows.unwrap() <= 13, "{rows:?}");
    }
    fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({})).refused(409, "QUOTA_EXCEEDED");
    let listed = fixture.get(&owner, "/api-keys?limit=100").body["apiKeys"].as_array().unwrap().clone();
    let listed: Vec<&str> = listed.iter().map(|key| key["id"].as_str().unwrap()).collect();
    let newest: Vec<&str> = all.iter().rev().take(listed.len()).map(String::as_str).collect();
    assert_eq!(listed, newest, "those that ended first have gone");
    assert!(listed.len() >= 11, "{}", listed.len());
    let records = fixture.kv.borrow();
    let published = records.keys().filter(|key| key.starts_with("key:")).count();
    assert_eq!(published, all.len(), "each is known at the gate for good");
    let first = records.values().find(|record| record.contains(&all[0])).unwrap();
    assert!(first.contains(r#""status":"REVOKED""#) && first.contains(r#""replaced":true"#), "{first}");
}

#[test]
fn an_ended_key_whose_end_is_not_in_kv_yet_does_not_go() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.ended_keys = 0));
    let first = create(&fixture, &owner, json!({})).expect(201).key_id();
    fixture.kv_is_down.set(true);
    let path = format!("/api-keys/{first}");
    fixture.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
    create(&fixture, &owner, json!({})).expect(201);
    fixture.get(&owner, &path).expect(200);
    fixture.kv_is_down.set(false);
    for _ in 0..20 {
        fixture.later(5 * MINUTE);
        fixture.alarm();
    }
    assert!(fixture.kv.borrow().values().any(|record| record.contains(&first) && record.contains("REVOKED")));
    create(&fixture, &owner, json!({})).expect(201);
    fixture.get(&owner, &path).refused(404, "NOT_FOUND");
}

#[test]
fn what_is_set_on_keys_is_limited_as_a_whole_and_ended_ones_give_way() {
    let large = |c: &str| json!({"metadata": {"a": c.repeat(500), "b": c.repeat(500)}});
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.key_bytes = 6_000));
    let ids: Vec<String> =
        (0..4).map(|_| create(&fixture, &owner, large("x")).expect(201).key_id()).collect();
    create(&fixture, &owner, large("x")).expect(201);
    let refused = create(&fixture, &owner, large("x"));
    assert!(refused.body["detail"].as_str().unwrap().contains("quota keyBytes"), "{}", refused.text);
    refused.refused(409, "QUOTA_EXCEEDED");
    // Measured by the database itself.
    let bytes = fixture.db.run("SELECT SUM(bytes) AS bytes FROM keys", &[]).unwrap();
    assert_eq!(used(&fixture, &owner, "keyBytes").0, bytes[0]["bytes"]);
    let path = format!("/api-keys/{}", ids[0]);
    let larger = json!({"metadata": {"a": "x".repeat(500), "b": "x".repeat(500), "c": "x".repeat(500), "d": "x".repeat(500)}});
    fixture.patch(&owner, &path, larger).refused(409, "QUOTA_EXCEEDED");
    fixture.patch(&owner, &path, large("y")).expect(200);
    fixture.patch(&owner, &path, json!({"metadata": null})).expect(200);
    create(&fixture, &owner, large("x")).expect(201);
    fixture.post(&owner, &format!("/api-keys/{}/revoke", ids[1]), json!({})).expect(200);
    create(&fixture, &owner, large("x")).expect(201);
    fixture.get(&owner, &format!("/api-keys/{}", ids[1])).refused(404, "NOT_FOUND");
}

#[test]
fn members_and_remembered_requests_are_limited() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| {
        (quotas.members, quotas.idempotency_keys) = (2, 2);
    }));
    let add = |email: &str| {
        fixture.post(&owner, "/members", json!({"email": email, "role": "viewer", "password": PASSWORD}))
    };
    let second = add("a@example.com").expect(201).body["member"]["id"].as_str().unwrap().to_owned();
    add("b@example.com").refused(409, "QUOTA_EXCEEDED");
    fixture.delete(&owner, &format!("/members/{second}")).expect(204);
    add("b@example.com").expect(201);

    let create = |name: &str| {
        let body = json!({"name": "a key", "scopes": ["orders:read"]});
        let mut call = fixture.call("POST", &owner, "/api-keys", body);
        call.idempotency_key = Some(name.to_owned());
        fixture.send(call)
    };
    let first = create("1").expect(201);
    create("2").expect(201);
    create("3").refused(409, "QUOTA_EXCEEDED");
    assert_eq!(create("1").expect(201).text, first.text, "a repeat adds nothing");
    fixture.key(&owner, json!({}));
    fixture.later(DAY);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(used(&fixture, &owner, "idempotencyKeys").0, 0);
}

#[test]
fn a_member_has_so_many_sessions_and_signing_in_ends_the_earliest() {
    let (fixture, first) = RegistryFixture::open();
    let mut last = String::new();
    for _ in 0..100 {
        fixture.later(SECOND);
        last = fixture.sign_in("owner@example.com");
    }
    fixture.get(&first, "/session").refused(401, "UNAUTHENTICATED");
    fixture.get(&last, "/session").expect(200);
    let sessions = fixture.db.run("SELECT COUNT(*) AS sessions FROM sessions", &[]).unwrap();
    assert_eq!(sessions[0]["sessions"], 100);
}

pub fn entries(fixture: &RegistryFixture, of: &str) -> u64 {
    let count = "SELECT COUNT(*) AS n FROM audit WHERE entry LIKE ?";
    fixture.db.run(count, &[of.into()]).unwrap()[0]["n"].as_u64().unwrap()
}

#[test]
fn what_is_nearly_used_up_is_told_once_at_80_and_once_at_95_percent() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.keys = 20));
    for _ in 0..20 {
        create(&fixture, &owner, json!({})).expect(201);
    }
    create(&fixture, &owner, json!({})).refused(409, "QUOTA_EXCEEDED");
    let notices = fixture.notices();
    let told: Vec<&str> = notices.iter().map(|notice| notice.rsplit(" uses ").next().unwrap()).collect();
    let what = "keys that are neither revoked nor expired";
    assert_eq!(
        told,
        [format!("16 of 20 {what}: 80 % of quota keys"), format!("19 of 20 {what}: 95 % of quota keys"),]
    );
}

#[test]
fn every_route_that_is_not_only_read_says_what_it_does_to_the_database() {
    let writes = [
        ("POST", "/setup", Effect::Admits),
        ("POST", "/recover", Effect::Admits),
        ("POST", "/restore", Effect::Admits),
        ("POST", "/settlements", Effect::Reads),
        ("POST", "/leaks", Effect::Ends),
        ("POST", "/session", Effect::Admits),
        ("DELETE", "/session", Effect::Ends),
        ("POST", "/session/step-up", Effect::Admits),
        ("POST", "/session/step-up/options", Effect::Reads),
        ("POST", "/session/passkey/options", Effect::Reads),
        ("POST", "/session/code/options", Effect::Reads),
        ("POST", "/passkeys/options", Effect::Reads),
        ("POST", "/passkeys", Effect::Grows),
        ("DELETE", "/passkeys/{pky_}", Effect::Ends),
        ("DELETE", "/sessions", Effect::Ends),
        ("DELETE", "/sessions/{ses_}", Effect::Ends),
        ("POST", "/api-keys", Effect::Makes),
        ("POST", "/api-keys/bulk", Effect::Grows),
        ("POST", "/api-keys/bulk-revoke", Effect::Ends),
        ("POST", "/api-keys/import", Effect::Makes),
        ("PATCH", "/api-keys/{key_}", Effect::Grows),
        ("POST", "/api-keys/{key_}/revoke", Effect::Ends),
        ("POST", "/api-keys/{key_}/pause", Effect::Helps),
        ("POST", "/api-keys/{key_}/resume", Effect::Grows),
        ("POST", "/api-keys/{key_}/rotate", Effect::Makes),
        ("POST", "/links", Effect::Grows),
        ("POST", "/explain", Effect::Reads),
        ("POST", "/events/endpoints/{}/replay", Effect::Helps),
        ("POST", "/members", Effect::Grows),
        ("PATCH", "/members/{}", Effect::Helps),
        ("DELETE", "/members/{}", Effect::Ends),
        ("DELETE", "/members/{}/sessions", Effect::Ends),
        ("POST", "/members/{}/reset", Effect::Helps),
        ("POST", "/invitations", Effect::Grows),
        ("POST", "/invitations/accept", Effect::Admits),
        ("DELETE", "/invitations/{inv_}", Effect::Ends),
        ("POST", "/tenants", Effect::Grows),
        ("PATCH", "/tenants/{}", Effect::Admits),
        ("POST", "/tenants/{}/owners", Effect::Admits),
        ("DELETE", "/tenants/{}/sessions", Effect::Ends),
    ];
    let (reads, others): (Vec<&AdminRoute>, Vec<&AdminRoute>) =
        ROUTES.iter().partition(|route| route.method == "GET");
    assert!(reads.iter().all(|route| route.effect == Effect::Reads));
    let others: Vec<_> = others.iter().map(|route| (route.method, route.path, route.effect)).collect();
    assert_eq!(others, writes);
}

#[test]
fn a_change_that_makes_a_key_no_larger_counts_no_keys_and_one_that_does_counts_them_once() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"name": "four"})).key_id();
    let counts = |name: &str| {
        fixture.db.watch();
        fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": name})).expect(200);
        fixture.db.watched().iter().filter(|statement| statement.contains("SUM(bytes)")).count()
    };
    assert_eq!(counts("five"), 0, "renamed");
    assert_eq!(counts("six"), 0, "shorter");
    assert_eq!(counts("a longer name"), 1);
}
