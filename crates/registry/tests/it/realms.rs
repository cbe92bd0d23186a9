//! What a realm's policy asks of those who make keys, and what keys carry of their tenant.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{HostPattern, KeyAction, Rotation, Routes, Span, TenantPart};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use serde_json::json;

fn new_key() -> serde_json::Value {
    json!({"name": "n", "scopes": ["orders:read"]})
}

#[test]
fn what_a_realm_keeps_for_owners_is_refused_to_admins_and_keys() {
    let policy = policy_with(|realm| realm.owner_only = &[KeyAction::Create, KeyAction::Rotate]);
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let manager = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    let id = fixture.post(&owner, "/api-keys", new_key()).expect(201).key_id();
    let path = format!("/api-keys/{id}");
    for token in [&admin, &manager] {
        fixture.post(token, "/api-keys", new_key()).refused(403, "FORBIDDEN");
        fixture.post(token, &format!("{path}/rotate"), json!({})).refused(403, "FORBIDDEN");
        fixture.patch(token, &path, json!({"scopes": ["orders:*"]})).refused(403, "FORBIDDEN");
        fixture.patch(token, &path, json!({"name": "renamed"})).expect(200);
    }
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).expect(201);
    fixture.post(&admin, &format!("{path}/revoke"), json!({})).expect(200);
}

#[test]
fn whoever_is_about_to_become_the_owner_may_make_keys_that_are_for_owners() {
    let fixture = RegistryFixture::over(policy_with(|realm| realm.owner_only = &[KeyAction::Create]));
    fixture
        .post(&format!("setup:{}", keyward_testing::registry_fixture::SETUP_TOKEN), "/api-keys", new_key())
        .expect(201);
}

#[test]
fn a_realm_may_revoke_the_old_key_of_a_rotation_that_does_not_say() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy_with(|realm| realm.rotation = Rotation::RevokeOld));
    let rotate = |body| {
        let id = fixture.key(&owner, json!({})).key_id();
        let answer = fixture.post(&owner, &format!("/api-keys/{id}/rotate"), body).expect(201);
        (
            answer.body["previous"]["status"].clone(),
            answer.body["previous"]["refusedEverywhereBy"].is_string(),
        )
    };
    assert_eq!(rotate(json!({})), (json!("REVOKED"), true));
    assert_eq!(rotate(json!({"revokeOld": false})), (json!("ACTIVE"), false));
    assert_eq!(rotate(json!({"graceSeconds": 60})), (json!("ACTIVE"), true));
}

#[test]
fn realms_tell_the_page_what_they_ask_and_how_keys_of_the_tenant_begin() {
    let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| {
        realm.owner_only = &[KeyAction::Rotate];
        realm.rotation = Rotation::RevokeOld;
        realm.key.tenant = Some(TenantPart::Code);
        realm.routes = Routes::new(&[]);
    }));
    let realm = fixture.get(&owner, "/realms").expect(200).body["realms"][0].clone();
    assert_eq!(realm["ownerOnly"], json!({"create": false, "rotate": true, "revoke": false}));
    assert_eq!((&realm["rotation"], &realm["publishable"]), (&json!("revoke-old"), &json!(false)));
    let plaintext = fixture.key(&owner, json!({"scopes": []})).plaintext();
    let begins = realm["keyPrefixes"]["live"].as_str().unwrap();
    assert!(begins.len() > "kw_live_".len() && plaintext.starts_with(begins), "{begins}");
}

#[test]
fn realms_tell_the_page_where_a_request_goes_and_where_its_key_stands() {
    const ANYWHERE: &[HostPattern] = &[HostPattern::Below(".example.com"), HostPattern::Any];
    const OF_TENANTS: &[HostPattern] = &[HostPattern::Tenant(".example.com")];
    const ONE: &[HostPattern] = &[HostPattern::Any, HostPattern::Exact("api.example.com")];
    let bearer = json!({"header": "authorization", "scheme": "Bearer"});
    for (hosts, host) in [(ANYWHERE, json!(null)), (ONE, json!("api.example.com"))] {
        let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| realm.hosts = hosts));
        let realm = fixture.get(&owner, "/realms").expect(200).body["realms"][0].clone();
        assert_eq!((&realm["host"], &realm["credential"]), (&host, &bearer));
    }
    let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| {
        realm.hosts = OF_TENANTS;
        realm.credentials = &[];
    }));
    let (shop, id) = fixture.tenant(&owner, "shop");
    let tenant = fixture.get(&owner, &format!("/tenants/{id}")).expect(200).body["tenant"].clone();
    let host = format!("{}.example.com", tenant["code"].as_str().unwrap());
    let realm = fixture.get(&shop, "/realms").expect(200).body["realms"][0].clone();
    assert_eq!((&realm["host"], &realm["credential"]), (&json!(host), &json!(null)));
}

#[test]
fn realms_tell_how_long_a_key_may_live_and_whether_it_has_to_end() {
    let told = |max_key_life, keys_must_expire| {
        let policy = policy_with(|realm| {
            (realm.max_key_life, realm.keys_must_expire) = (max_key_life, keys_must_expire)
        });
        let (fixture, owner) = RegistryFixture::open_over(policy);
        let realm = fixture.get(&owner, "/realms").expect(200).body["realms"][0].clone();
        (realm["maxKeyLifeSeconds"].clone(), realm["keysMustExpire"].clone())
    };
    assert_eq!(told(None, false), (json!(null), json!(false)));
    assert_eq!(told(None, true), (json!(null), json!(true)));
    assert_eq!(told(Some(Span::from_days(90)), false), (json!(7_776_000), json!(true)));
}

#[test]
fn a_whole_number_may_be_written_with_a_point_or_an_exponent_if_it_is_one() {
    let (fixture, owner) = RegistryFixture::open();
    let key = |per_minute: &str| {
        let text = format!(
            r#"{{"name": "n", "scopes": ["orders:read"], "rateLimit": {{"perMinute": {per_minute}}}}}"#
        );
        fixture.post(&owner, "/api-keys", serde_json::from_str(&text).unwrap())
    };
    for (text, number) in [("30", 30), ("30.0", 30), ("3e1", 30), ("1.5e3", 1_500)] {
        assert_eq!(key(text).expect(201).body["apiKey"]["rateLimit"]["perMinute"], number, "{text}");
    }
    for text in ["1.5", "-1.0", "-1e3", "1e300", "1e-3", "4294967297.0"] {
        assert_eq!(key(text).expect(400).fields(), ["rateLimit.perMinute"], "{text}");
    }
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": 60.0})).expect(201);
    let id = fixture.key(&owner, json!({})).key_id();
    let refused =
        fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": 60.5})).expect(400);
    assert_eq!(refused.fields(), ["graceSeconds"]);
}

#[test]
fn where_no_route_asks_for_a_scope_keys_need_none() {
    let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| realm.routes = Routes::new(&[])));
    let made = fixture.post(&owner, "/api-keys", json!({"name": "n"})).expect(201);
    assert_eq!(made.body["apiKey"]["scopes"], json!([]));
    fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": []})).expect(201);
    let refused = fixture.post(&owner, "/api-keys", json!({"name": "n", "scopes": ["a:b"]})).expect(400);
    assert_eq!(refused.fields(), ["scopes[0]"]);
}

#[test]
fn a_key_carries_its_tenants_code_or_the_beginning_of_its_id() {
    for (part, check) in [(TenantPart::Code, "code"), (TenantPart::Id, "id")] {
        let (fixture, owner) = RegistryFixture::open_over(policy_with(|realm| realm.key.tenant = Some(part)));
        let tenant = &fixture.get(&owner, "/tenants").expect(200).body["tenants"][0];
        let expected: String = tenant[check].as_str().unwrap().chars().take(8).collect();
        let made = fixture.key(&owner, json!({}));
        assert!(made.plaintext().starts_with(&format!("kw_live_{expected}_")), "{}", made.plaintext());
        let prefix = made.body["apiKey"]["keyPrefix"].as_str().unwrap();
        assert!(prefix.starts_with(&format!("kw_live_{expected}_")), "shown: 4 random characters too");
    }
}

#[test]
fn a_request_that_is_repeated_with_its_idempotency_key_gets_the_same_key_with_its_tenants_part() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy_with(|realm| realm.key.tenant = Some(TenantPart::Code)));
    let make = || {
        let mut call = fixture.call("POST", &owner, "/api-keys", new_key());
        call.idempotency_key = Some("once".into());
        fixture.send(call).expect(201)
    };
    assert_eq!(make().plaintext(), make().plaintext());
}

#[test]
fn a_tenants_code_is_its_own_for_good() {
    let (fixture, operator) = RegistryFixture::open();
    let add = |name: &str, code: serde_json::Value| {
        fixture.post(&operator, "/tenants", json!({"name": name, "code": code}))
    };
    let made = add("a", json!("Store-A")).expect(201);
    assert_eq!(made.body["tenant"]["code"], "Store-A");
    assert_eq!(add("b", json!("store-a")).expect(400).fields(), ["code"], "hosts are compared without case");
    for bad in ["", "a", "-a", "a-", "a_b", "a.b", "ü1", &"a".repeat(33)] {
        assert_eq!(add("c", json!(bad)).expect(400).fields(), ["code"], "{bad}");
    }
    let chosen = fixture.post(&operator, "/tenants", json!({"name": "d"})).expect(201);
    assert_eq!(chosen.body["tenant"]["code"].as_str().unwrap().len(), 6);

    let path = format!("/tenants/{}", made.body["tenant"]["id"].as_str().unwrap());
    assert_eq!(fixture.patch(&operator, &path, json!({"code": "other"})).expect(400).fields(), ["code"]);
    fixture.patch(&operator, &path, json!({"code": "Store-A", "name": "again"})).expect(200);
}

#[test]
fn a_tenant_from_before_there_were_codes_gets_one_and_its_records_too() {
    let policy = policy_with(|realm| realm.key.tenant = Some(TenantPart::Code));
    let (fixture, operator) = RegistryFixture::open_over(policy);
    let (owner, id) = fixture.tenant(&operator, "old");
    let key = fixture.key(&owner, json!({})).key_id();
    keyward_core::sql::Sql::run(&fixture.db, "UPDATE tenants SET code = NULL WHERE name = 'old'", &[])
        .unwrap();
    fixture.post(&owner, "/api-keys", new_key()).refused(409, "CONFLICT");
    fixture.patch(&operator, &format!("/tenants/{id}"), json!({"code": "OLD1"})).expect(200);
    assert!(
        fixture.post(&owner, "/api-keys", new_key()).expect(201).plaintext().starts_with("kw_live_OLD1_")
    );
    assert_eq!(fixture.published(&key).unwrap().tenant.code.as_deref(), Some("OLD1"));
}
