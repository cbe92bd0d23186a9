//! Which keys the admin API takes: those to which a member gave its scopes by name or wildcard while the policy had them,
//! and no other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::sql::Sql;
use keyward_policy::{Grant, Policy, Scope, scope};
use keyward_testing::office::{Office, policy_with};
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

fn made(office: &Office, token: &str, scopes: &[&str]) -> String {
    office.post(token, "/api-keys", json!({"name": "n", "scopes": scopes})).expect(201).key_id()
}

/// What a key gets for reading, for changing keys and for making links.
fn rights(office: &Office, id: &str) -> [u16; 3] {
    let key = format!("key:{id}");
    [
        office.get(&key, "/api-keys").status,
        // A body that is looked at only once it may be sent at all.
        office.post(&key, "/api-keys", json!({})).status,
        office.post(&key, "/links", json!({})).status,
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
    let (mut office, owner) = Office::open_over(with(PLAIN));
    let ids = ["*", "ops:all", "ops:*"].map(|held| made(&office, &owner, &[held]));
    for id in &ids {
        assert_eq!(rights(&office, id), NONE);
    }
    office.restart(with(LATER));
    office.run(office.publisher.open()).unwrap();
    for id in &ids {
        assert_eq!(rights(&office, id), NONE, "nobody granted that");
        let path = format!("/api-keys/{id}");
        office.patch(&owner, &path, json!({"name": "another", "tags": ["x"]})).expect(200);
        let successor = office.post(&owner, &format!("{path}/rotate"), json!({})).expect(201).key_id();
        assert_eq!((rights(&office, id), rights(&office, &successor)), (NONE, NONE), "nor with that");
        // An owner who puts the scopes on it anew does.
        let scopes = office.get(&owner, &path).body["apiKey"]["scopes"].clone();
        office.patch(&owner, &path, json!({"scopes": scopes})).expect(200);
        assert_eq!(rights(&office, id), [200, 400, 400]);
    }
    office.restart(with(PLAIN));
    office.run(office.publisher.open()).unwrap();
    for id in &ids {
        assert_eq!(rights(&office, id), NONE, "the catalogue has to have them now, too");
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
    let (mut office, owner) = Office::open_over(with(PRESENT));
    let [all, named] = ["*", "admin:read"].map(|held| made(&office, &owner, &[held]));
    office.db.run("UPDATE keys SET admin_scopes = NULL", &[]).unwrap();
    // Beside a newer build: until the object wakes up only what is named counts.
    assert_eq!([rights(&office, &all), rights(&office, &named)], [NONE, [200, 403, 403]]);
    for policy in [PRESENT, LATER] {
        office.restart(with(policy));
        office.run(office.publisher.open()).unwrap();
        assert_eq!([rights(&office, &all), rights(&office, &named)], [[200, 403, 403]; 2]);
    }
    office.restart(with(PLAIN));
    office.run(office.publisher.open()).unwrap();
    assert_eq!([rights(&office, &all), rights(&office, &named)], [NONE; 2]);
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
    let (office, owner) = Office::open_over(with(LAX));
    let machine = format!("key:{}", made(&office, &owner, &["admin:write"]));
    let plain = made(&office, &machine, &["orders:read"]);
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
        assert_eq!(office.post(&machine, "/api-keys", body.clone()).fields(), ["scopes[0]"], "{held}");
        assert_eq!(
            office.patch(&machine, &format!("/api-keys/{plain}"), body.clone()).fields(),
            ["scopes[0]"]
        );
        office.post(&owner, "/api-keys", body).expect(201);
    }
    for held in ["Admin:Write", "ADMIN:*", "admin", "admin:", "admin:write ", "*:write", "admin:**"] {
        let body = json!({"name": "n", "scopes": [held]});
        assert_eq!(office.post(&owner, "/api-keys", body).fields(), ["scopes[0]"], "{held:?}");
    }
    let told = office.get(&machine, "/realms").body["realms"][0]["scopes"].clone();
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
    let (office, owner) = Office::open_over(with(SCOPES));
    let new = |scopes: Value| json!({"name": "n", "kind": "publishable", "allowedOrigins": ["https://a.example"], "scopes": scopes});
    let id = office.post(&owner, "/api-keys", new(json!(["orders:read"]))).expect(201).key_id();
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
        let refused = office.post(&owner, "/api-keys", new(scopes.clone()));
        assert_eq!(refused.fields(), ["scopes[1]"], "{held}");
        assert!(refused.message("scopes[1]").contains("no publishable key can hold"), "{}", refused.text);
        assert_eq!(office.patch(&owner, &path, json!({"scopes": scopes})).fields(), ["scopes[1]"], "{held}");
    }
    // One of an older build: it makes no other like it, can be mended, and opens nothing meanwhile.
    let older = r#"UPDATE keys SET scopes = '["admin:write"]', admin_scopes = '["admin:write"]'"#;
    office.db.run(older, &[]).unwrap();
    let key = format!("key:{id}");
    for (method, target) in
        [("GET", "/api-keys"), ("POST", "/api-keys"), ("POST", "/links"), ("GET", "/session")]
    {
        office.send(office.call(method, &key, target, json!({}))).refused(403, "FORBIDDEN");
    }
    office.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "CONFLICT");
    office.patch(&owner, &path, json!({"scopes": ["orders:read"]})).expect(200);
    office.post(&owner, &format!("{path}/rotate"), json!({})).expect(201);
}
