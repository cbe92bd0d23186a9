//! What each field of each call that writes asks for.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::DAY;
use keyward_testing::{policy::POLICY, registry_fixture::PASSWORD};
use serde_json::{Value, json};

/// A row: the call, what of it, what it asks, as they stand in the documentation; and calls that are of this row.
pub type Row = (&'static str, &'static str, &'static str, Vec<(&'static str, Value)>);

const CREATE: &str = "POST /api-keys";

const BULK: &str = "POST /api-keys/bulk";

const IMPORT: &str = "POST /api-keys/import";

const EDIT: &str = "PATCH /api-keys/{id}";

const ROTATE: &str = "POST /api-keys/{id}/rotate";

const LINKS: &str = "POST /links";

const MEMBER: &str = "PATCH /members/{id}";

const TENANT: &str = "PATCH /tenants/{id}";

pub fn listed(area: &str) -> Vec<&'static str> {
    POLICY.realms[0].scopes.iter().map(|scope| scope.name).filter(|name| name.starts_with(area)).collect()
}

pub fn in_days(days: i64) -> String {
    keyward_testing::NOON.plus(days * DAY).to_rfc3339()
}

pub fn rows() -> Vec<Row> {
    let rate = |minute: u32, day: u32| json!({"rateLimit": {"perMinute": minute, "perDay": day}});
    let key = |scopes: Value| json!({"name": "n", "scopes": scopes});
    let imported = |scopes: Value| json!({"hash": "a".repeat(64), "name": "n", "scopes": scopes});
    let person = json!({"email": "new@example.com", "role": "viewer", "password": PASSWORD});
    let founder = json!({"email": "founder@example.com", "password": PASSWORD});
    let mut with_admin = listed("");
    with_admin.retain(|name| *name != "admin:write");
    with_admin.push("admin:*");
    vec![
        (
            CREATE,
            "`realm`, `kind`, `name`, `scopes`, `rateLimit`, `allowedIps`, `allowedOrigins`, `tags`, `metadata`, `expiresAt`, `testMode`, `strict`",
            "create",
            vec![("/api-keys", key(json!(["orders:read"]))), ("/api-keys", key(json!(["orders:*"])))],
        ),
        (
            CREATE,
            "a key that opens this API",
            "always, create",
            ["*", "admin:*", "admin:read", "admin:write"].map(|it| ("/api-keys", key(json!([it])))).into(),
        ),
        (
            CREATE,
            "a repeat that shows such a key again",
            "always, create",
            vec![("/api-keys#once", key(json!(["*"])))],
        ),
        (
            IMPORT,
            "`hash`, `prefix`, `last4`, `createdAt`, and what `POST /api-keys` takes: `realm`, `kind`, `name`, `scopes`, `rateLimit`, `allowedIps`, `allowedOrigins`, `tags`, `metadata`, `expiresAt`, `testMode`, `strict`",
            "create",
            vec![
                ("/api-keys/import", imported(json!(["orders:read"]))),
                ("/api-keys/import?dryRun=true", imported(json!(["orders:*"]))),
            ],
        ),
        (
            IMPORT,
            "a key that opens this API",
            "always, create",
            ["*", "admin:*", "admin:read", "admin:write"]
                .map(|it| ("/api-keys/import", imported(json!([it]))))
                .into(),
        ),
        (
            EDIT,
            "`name`, `tags`, `metadata`",
            "no",
            vec![("/api-keys/{plain}", json!({"name": "m", "tags": ["t"], "metadata": {"a": "b"}}))],
        ),
        (
            EDIT,
            "`scopes`, `rateLimit`, `allowedIps`, `allowedOrigins`, `expiresAt`, `testMode`, `strict`: more or others",
            "create",
            vec![
                ("/api-keys/{plain}", json!({"scopes": ["orders:*"]})),
                ("/api-keys/{plain}", rate(20, 200)),
                ("/api-keys/{plain}", json!({"allowedIps": []})),
                ("/api-keys/{plain}", json!({"expiresAt": null})),
                ("/api-keys/{plain}", json!({"strict": true})),
                (
                    "/api-keys/{public}",
                    json!({"allowedOrigins": ["https://a.example", "https://b.example", "https://c.example"]}),
                ),
                ("/api-keys/{trial}", json!({"testMode": false})),
            ],
        ),
        (
            EDIT,
            "of these less; for a wildcard, the scopes that it covers now",
            "create, revoke",
            vec![
                ("/api-keys/{plain}", json!({"scopes": ["orders:read"]})),
                ("/api-keys/{wild}", json!({"scopes": listed("orders:")})),
                ("/api-keys/{plain}", rate(20, 1)),
                ("/api-keys/{plain}", json!({"allowedIps": ["192.0.2.8/32"]})),
                ("/api-keys/{plain}", json!({"expiresAt": in_days(9)})),
                ("/api-keys/{plain}", json!({"testMode": true})),
                ("/api-keys/{public}", json!({"allowedOrigins": ["https://a.example"]})),
                ("/api-keys/{admin}", rate(1, 1)),
                ("/api-keys/{admin}", json!({"allowedIps": ["192.0.2.8/32"], "expiresAt": in_days(9)})),
                ("/api-keys/{star}", json!({"scopes": listed("")})),
            ],
        ),
        (
            EDIT,
            "of these more, if the key then opens this API: scopes, a wildcard for the scopes that it covers now, requests, addresses, a later end or none, live for test, not strict for strict",
            "always, create",
            vec![
                ("/api-keys/{plain}", json!({"scopes": ["orders:write", "admin:read"]})),
                ("/api-keys/{plain}", json!({"scopes": ["*"]})),
                ("/api-keys/{all}", json!({"scopes": ["*"]})),
                ("/api-keys/{all}", json!({"scopes": with_admin})),
                ("/api-keys/{area}", json!({"scopes": ["admin:*"]})),
                ("/api-keys/{admin}", json!({"scopes": ["admin:read", "admin:write"]})),
                ("/api-keys/{admin}", json!({"scopes": ["admin:read", "orders:read"]})),
                ("/api-keys/{admin}", rate(11, 100)),
                ("/api-keys/{admin}", rate(10, 101)),
                ("/api-keys/{admin}", json!({"rateLimit": null})),
                ("/api-keys/{admin}", json!({"allowedIps": null})),
                ("/api-keys/{admin}", json!({"allowedIps": ["192.0.2.0/23"]})),
                ("/api-keys/{admin}", json!({"allowedIps": ["192.0.2.0/24", "198.51.100.7"]})),
                ("/api-keys/{admin}", json!({"expiresAt": null})),
                ("/api-keys/{admin}", json!({"expiresAt": in_days(11)})),
                ("/api-keys/{admin}", json!({"strict": false})),
                ("/api-keys/{tested}", json!({"testMode": false})),
            ],
        ),
        ("POST /api-keys/{id}/revoke", "`reason`", "revoke", vec![("/api-keys/{plain}/revoke", json!({}))]),
        (
            BULK,
            "`ids`, `filter`, `cursor`, `dryRun`; `action` is `tag` or `untag`, with `tag`",
            "no",
            vec![("/api-keys/bulk", json!({"ids": ["{plain}"], "action": "tag", "tag": "t"}))],
        ),
        (
            BULK,
            "`action` is `revoke`, with `reason`, or `pause`",
            "revoke",
            vec![
                ("/api-keys/bulk", json!({"ids": ["{plain}"], "action": "revoke"})),
                ("/api-keys/bulk", json!({"ids": ["{plain}"], "action": "pause", "dryRun": true})),
            ],
        ),
        (
            BULK,
            "`action` is `expire`, with `expiresAt`: sooner",
            "create, revoke",
            vec![(
                "/api-keys/bulk",
                json!({"ids": ["{plain}"], "action": "expire", "expiresAt": in_days(9)}),
            )],
        ),
        (
            "POST /api-keys/bulk-revoke",
            "`filter`, `cursor`, `reason`, `dryRun`",
            "revoke",
            vec![("/api-keys/bulk-revoke", json!({"filter": {"status": "ACTIVE"}}))],
        ),
        ("POST /api-keys/{id}/pause", "", "revoke", vec![("/api-keys/{plain}/pause", json!({}))]),
        ("POST /api-keys/{id}/resume", "", "create", vec![("/api-keys/{plain}/resume", json!({}))]),
        (
            "POST /api-keys/{id}/resume",
            "a key that opens this API",
            "always, create",
            vec![("/api-keys/{admin}/resume", json!({})), ("/api-keys/{star}/resume", json!({}))],
        ),
        (
            ROTATE,
            "`revokeOld`, `graceSeconds`: the old key stays",
            "create, rotate",
            vec![
                ("/api-keys/{plain}/rotate", json!({})),
                ("/api-keys/{plain}/rotate", json!({"revokeOld": false})),
                ("/api-keys/{plain}/rotate", json!({"graceSeconds": 86_400 * 300})),
            ],
        ),
        (
            ROTATE,
            "the old key ends, at once or sooner than it would",
            "create, rotate, revoke",
            vec![
                ("/api-keys/{plain}/rotate", json!({"revokeOld": true})),
                ("/api-keys/{plain}/rotate", json!({"graceSeconds": 60})),
            ],
        ),
        (
            ROTATE,
            "a key that opens this API",
            "always, create, rotate",
            ["admin", "all", "area", "star", "tested"]
                .map(|name| (&*format!("/api-keys/{{{name}}}/rotate").leak(), json!({})))
                .into(),
        ),
        (
            LINKS,
            "`url`, `subject`, `sessionId`",
            "always",
            vec![("/links", json!({"url": "https://shop.example/api/public/orders"}))],
        ),
        ("POST /members", "`email`, `role`, `password`", "roles", vec![("/members", person)]),
        (
            MEMBER,
            "`role`; the `password` of somebody else",
            "roles",
            vec![
                ("/members/{member}", json!({"role": "owner"})),
                ("/members/{member}", json!({"password": "somebody chose another one"})),
                ("/members/{me}", json!({"role": "viewer"})),
            ],
        ),
        (
            MEMBER,
            "the own `password`, with the present one as `currentPassword`",
            "no",
            vec![(
                "/members/{me}",
                json!({"password": "somebody chose another one", "currentPassword": PASSWORD}),
            )],
        ),
        ("DELETE /members/{id}", "", "roles", vec![("/members/{member}", Value::Null)]),
        (
            "POST /invitations",
            "`email`, `role`",
            "roles",
            vec![("/invitations", json!({"email": "new@example.com", "role": "viewer"}))],
        ),
        ("DELETE /invitations/{id}", "", "no", vec![("/invitations/{invitation}", Value::Null)]),
        ("POST /members/{id}/reset", "", "roles", vec![("/members/{member}/reset", json!({}))]),
        (
            "POST /tenants/{id}/owners",
            "`email`",
            "roles",
            vec![("/tenants/{shop}/owners", json!({"email": "new@example.com"}))],
        ),
        ("DELETE /tenants/{id}/sessions", "", "no", vec![("/tenants/{shop}/sessions", Value::Null)]),
        (
            "POST /events/endpoints/{id}/replay",
            "`after`",
            "no",
            vec![("/events/endpoints/main/replay", json!({}))],
        ),
        (
            "POST /tenants",
            "`name`, `code`, `plan`, `rateLimit`, `pool`",
            "no",
            vec![(
                "/tenants",
                json!({"name": "T", "code": "TT", "plan": "p", "rateLimit": {"perMinute": 1, "perDay": 1}, "pool": {"perDay": 1}}),
            )],
        ),
        ("POST /tenants", "`owner`", "roles", vec![("/tenants", json!({"name": "T", "owner": founder}))]),
        (
            TENANT,
            "`name`, `quotas`",
            "no",
            vec![("/tenants/{shop}", json!({"name": "Another", "quotas": {"keys": 1}}))],
        ),
        (TENANT, "`rateLimit`, `pool`: more", "create", vec![("/tenants/{shop}", rate(20, 200))]),
        (
            TENANT,
            "`rateLimit`, `pool`: less, or those of plan and realm; another `plan`",
            "create, revoke",
            vec![
                ("/tenants/{shop}", rate(20, 99)),
                ("/tenants/{shop}", json!({"rateLimit": null})),
                ("/tenants/{shop}", json!({"plan": "large"})),
                ("/tenants/{shop}", json!({"pool": {"perDay": 5}})),
            ],
        ),
        (TENANT, "`code`", "create", vec![("/tenants/{old}", json!({"code": "OLD"}))]),
        (
            TENANT,
            "`status`: `INACTIVE`",
            "roles, revoke",
            vec![("/tenants/{shop}", json!({"status": "INACTIVE"}))],
        ),
        (
            TENANT,
            "`status`: `ACTIVE`",
            "roles, create",
            vec![("/tenants/{idle}", json!({"status": "ACTIVE"}))],
        ),
        (
            "POST /session/step-up",
            "`password`, `passkey`, `token`, `code`, `state`",
            "no",
            vec![("/session/step-up", json!({"password": PASSWORD}))],
        ),
        ("POST /session/step-up/options", "", "no", vec![("/session/step-up/options", json!({}))]),
        ("POST /passkeys/options", "", "always", vec![("/passkeys/options", json!({}))]),
        (
            "POST /passkeys",
            "`name`, `passkey`",
            "always",
            vec![("/passkeys", json!({"name": "laptop", "passkey": {}}))],
        ),
        ("DELETE /passkeys/{id}", "", "no", vec![("/passkeys/{passkey}", Value::Null)]),
        (
            "POST /explain",
            "`realm`, `host`, `method`, `path`, `keyId`, `key`, `address`, `origin`, `sessionId`",
            "no",
            vec![("/explain", json!({"method": "GET", "path": "/api/orders"}))],
        ),
        ("DELETE /session", "", "no", vec![("/session", Value::Null)]),
        ("DELETE /sessions", "", "no", vec![("/sessions", Value::Null)]),
        ("DELETE /sessions/{id}", "", "no", vec![("/sessions/{session}", Value::Null)]),
        ("DELETE /members/{id}/sessions", "", "no", vec![("/members/{member}/sessions", Value::Null)]),
    ]
}
