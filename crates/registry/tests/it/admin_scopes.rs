//! Which keys the admin API takes: those to which a member gave its scopes by name or wildcard while the policy had them,
//! and no other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::sql::Sql;
use keyward_policy::{Grant, Policy, Scope, scope};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use serde_json::{Value, json};

const fn scope(name: &'static str, includes: &'static [&'static str], grant: Grant) -> Scope {
    Scope { name, description: "", includes, grant }
}

const READ: Scope = scope("orders:read", &[], Grant::Anyone);
/// Has nothing of the admin API.
const PLAIN: &[Scope] = &[READ, scope("ops:all", &[], Grant::Anyone)];

fn with(scopes: &'static [Scope]) -> &'static Policy {
    policy_with(|realm| realm.scopes = scopes)
}

fn made(fixture: &RegistryFixture, token: &str, scopes: &[&str]) -> String {
    fixture.post(token, "/api-keys", json!({"name": "n", "scopes": scopes})).expect(201).key_id()
}

/// What a key gets for reading, for changing keys and for making links.
fn rights(fixture: &RegistryFixture, id: &str) -> [u16; 3] {
    let key = format!("key:{id}");
    [
        fixture.get(&key, "/api-keys").status,
        // A body that is looked at only once it may be sent at all.
        fixture.post(&key, "/api-keys", json!({})).status,
        fixture.post(&key, "/links", json!({})).status,
    ]
}

const NONE: [u16; 3] = [403; 3];

#[test]
fn a_key_made_before_the_policy_knew_admin_scopes_has_none_of_them_after() {
    const LATER: &[Scope] = &[
        READ,
        scope("ops:all", &["admin:write", "links:write"], Grant::Admin),
        scope("admin:read", &[], Grant::Admin),
        scope("admin:write", &[], Grant::Admin),
        scope("links:write", &[], Grant::Admin),
    ];
    let (mut fixture, owner) = RegistryFixture::open_over(with(PLAIN));
    let ids = ["*", "ops:all", "ops:*"].map(|held| made(&fixture, &owner, &[held]));
    for id in &ids {
        assert_eq!(rights(&fixture, id), NONE);
    }
    fixture.restart(with(LATER));
    fixture.run(fixture.publisher.open()).unwrap();
    for id in &ids {
        assert_eq!(rights(&fixture, id), NONE, "nobody granted that");
        let path = format!("/api-keys/{id}");
        fixture.patch(&owner, &path, json!({"name": "another", "tags": ["x"]})).expect(200);
        let successor = fixture.post(&owner, &format!("{path}/rotate"), json!({})).expect(201).key_id();
        assert_eq!((rights(&fixture, id), rights(&fixture, &successor)), (NONE, NONE), "nor with that");
        // An owner who puts the scopes on it anew does.
        let scopes = fixture.get(&owner, &path).body["apiKey"]["scopes"].clone();
        fixture.patch(&owner, &path, json!({"scopes": scopes})).expect(200);
        assert_eq!(rights(&fixture, id), [200, 400, 400]);
    }
    fixture.restart(with(PLAIN));
    fixture.run(fixture.publisher.open()).unwrap();
    for id in &ids {
        assert_eq!(rights(&fixture, id), NONE, "the catalogue has to have them now, too");
    }
}

#[test]
fn a_key_that_an_older_build_stored_keeps_what_it_had_and_gets_no_more() {
    const PRESENT: &[Scope] = &[READ, scope("admin:read", &[], Grant::Admin)];
    const LATER: &[Scope] = &[
        READ,
        scope("admin:read", &[], Grant::Admin),
        scope("admin:write", &[], Grant::Admin),
        scope("links:write", &[], Grant::Admin),
    ];
    let (mut fixture, owner) = RegistryFixture::open_over(with(PRESENT));
    let [all, named] = ["*", "admin:read"].map(|held| made(&fixture, &owner, &[held]));
    fixture.db.run("UPDATE keys SET admin_scopes = NULL", &[]).unwrap();
    // Beside a newer build: until the object wakes up only what is named counts.
    assert_eq!([rights(&fixture, &all), rights(&fixture, &named)], [NONE, [200, 403, 403]]);
    for policy in [PRESENT, LATER] {
        fixture.restart(with(policy));
        fixture.run(fixture.publisher.open()).unwrap();
        assert_eq!([rights(&fixture, &all), rights(&fixture, &named)], [[200, 403, 403]; 2]);
    }
    fixture.restart(with(PLAIN));
    fixture.run(fixture.publisher.open()).unwrap();
    assert_eq!([rights(&fixture, &all), rights(&fixture, &named)], [NONE; 2]);
}

#[test]
fn what_the_admin_api_honours_is_granted_by_admins_whatever_the_catalogue_says() {
    const LAX: &[Scope] = &[
        READ,
        scope("ops:all", &["admin:write"], Grant::Anyone),
        scope("ops:deep", &["admin:write", "ops:all"], Grant::Anyone),
        scope("admin:read", &[], Grant::Anyone),
        scope("admin:write", &[], Grant::Anyone),
        scope("admin:later", &[], Grant::Anyone),
        scope("links:write", &[], Grant::Anyone),
    ];
    let (fixture, owner) = RegistryFixture::open_over(with(LAX));
    let machine = format!("key:{}", made(&fixture, &owner, &["admin:write"]));
    let plain = made(&fixture, &machine, &["orders:read"]);
    for held in [
        "admin:read",
        "admin:write",
        "admin:later",
        "admin:*",
        "links:write",
        "links:*",
        "ops:all",
        "ops:deep",
        "ops:*",
        "*",
    ] {
        assert!(scope::needs_admin(LAX, held), "{held}");
        let body = json!({"name": "n", "scopes": [held]});
        assert_eq!(fixture.post(&machine, "/api-keys", body.clone()).fields(), ["scopes[0]"], "{held}");
        assert_eq!(
            fixture.patch(&machine, &format!("/api-keys/{plain}"), body.clone()).fields(),
            ["scopes[0]"]
        );
        fixture.post(&owner, "/api-keys", body).expect(201);
    }
    for held in ["Admin:Write", "ADMIN:*", "admin", "admin:", "admin:write ", "*:write", "admin:**"] {
        let body = json!({"name": "n", "scopes": [held]});
        assert_eq!(fixture.post(&owner, "/api-keys", body).fields(), ["scopes[0]"], "{held:?}");
    }
    let told = fixture.get(&machine, "/realms").body["realms"][0]["scopes"].clone();
    let free: Vec<&Value> =
        told.as_array().unwrap().iter().filter(|scope| scope["grantable"] == true).collect();
    assert_eq!(
        (free.len(), &free[0]["name"], &free[0]["grant"]),
        (1, &json!("orders:read"), &json!("anyone"))
    );
}

#[test]
fn a_publishable_key_holds_no_scope_for_admins_and_does_nothing_here() {
    const SCOPES: &[Scope] = &[
        READ,
        scope("refunds:write", &[], Grant::Admin),
        scope("ops:all", &["admin:read"], Grant::Admin),
        scope("admin:read", &[], Grant::Admin),
        scope("admin:write", &["admin:read"], Grant::Admin),
        scope("links:write", &[], Grant::Admin),
    ];
    let (fixture, owner) = RegistryFixture::open_over(with(SCOPES));
    let new = |scopes: Value| json!({"name": "n", "kind": "publishable", "allowedOrigins": ["https://a.example"], "scopes": scopes});
    let id = fixture.post(&owner, "/api-keys", new(json!(["orders:read"]))).expect(201).key_id();
    let path = format!("/api-keys/{id}");
    for held in [
        "admin:read",
        "admin:write",
        "admin:*",
        "links:write",
        "links:*",
        "ops:all",
        "ops:*",
        "refunds:write",
        "*",
    ] {
        let scopes = json!(["orders:read", held]);
        let refused = fixture.post(&owner, "/api-keys", new(scopes.clone()));
        assert_eq!(refused.fields(), ["scopes[1]"], "{held}");
        assert!(refused.message("scopes[1]").contains("no publishable key can hold"), "{}", refused.text);
        assert_eq!(fixture.patch(&owner, &path, json!({"scopes": scopes})).fields(), ["scopes[1]"], "{held}");
    }
    // One of an older build: it makes no other like it, can be mended, and opens nothing meanwhile.
    let older = r#"UPDATE keys SET scopes = '["admin:write"]', admin_scopes = '["admin:write"]'"#;
    fixture.db.run(older, &[]).unwrap();
    let key = format!("key:{id}");
    for (method, target) in
        [("GET", "/api-keys"), ("POST", "/api-keys"), ("POST", "/links"), ("GET", "/session")]
    {
        fixture.send(fixture.call(method, &key, target, json!({}))).refused(403, "FORBIDDEN");
    }
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
    fixture.patch(&owner, &path, json!({"scopes": ["orders:read"]})).expect(200);
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).expect(201);
}
