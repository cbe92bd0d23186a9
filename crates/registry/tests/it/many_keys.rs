//! A tenant with many keys: what a call costs, and that what the database counts is what there is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::{self, Schema, Sql},
    time::{DAY, MINUTE, SECOND},
};
use keyward_registry::{quotas::Used, schema};
use keyward_testing::{
    Database,
    registry_fixture::{Answer, RegistryFixture},
};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::RngSeed};
use serde_json::{Value, json};

use crate::quotas::policy;

/// Adds copies of a key, and of the requests that are remembered: as many as there are many.
pub fn fill(fixture: &RegistryFixture, key_id: &str, copies: u32) {
    let columns = |table: &str, made: &[(&str, &str)]| {
        let info = fixture.db.run(&format!("PRAGMA table_xinfo({table})"), &[]).unwrap();
        let stored = info.iter().filter(|column| column["hidden"] == 0 && column["name"] != "number");
        let names: Vec<String> = stored.map(|column| column["name"].as_str().unwrap().to_owned()).collect();
        let value = |name: &String| {
            let own = made.iter().find(|(own, _)| own == name);
            own.map_or_else(|| name.clone(), |(_, value)| (*value).to_owned())
        };
        (names.join(", "), names.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let series = "WITH RECURSIVE copies(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copies WHERE i < ?)";
    let made =
        [("id", "keys.id || i"), ("hash", "hash || i"), ("publish_due", "NULL"), ("deliver_by", "NULL")];
    let (names, values) = columns("keys", &made);
    let keys = format!("{series} INSERT INTO keys ({names}) SELECT {values} FROM copies, keys WHERE id = ?");
    fixture.db.run(&keys, &[copies.into(), key_id.into()]).unwrap();
    let (names, values) = columns("idempotency", &[("name", "name || i")]);
    let requests =
        format!("{series} INSERT INTO idempotency ({names}) SELECT {values} FROM copies, idempotency");
    fixture.db.run(&requests, &[copies.into()]).unwrap();
}

fn repeatable(fixture: &RegistryFixture, token: &str, name: &str) -> Answer {
    let body = json!({"name": "a key", "scopes": ["orders:read"]});
    let mut call = fixture.call("POST", token, "/api-keys", body);
    call.idempotency_key = Some(name.into());
    fixture.send(call)
}

/// What each of these calls costs.
fn costs(fixture: &RegistryFixture, owner: &str, round: &str) -> Vec<(&'static str, u64)> {
    let mut costs = Vec::new();
    let mut measured = |name, call: &mut dyn FnMut() -> Answer| {
        let before = fixture.db.work();
        let answer = call();
        costs.push((name, fixture.db.work() - before));
        assert!((200..300).contains(&answer.status), "{name}: {}", answer.text);
        answer
    };
    let id = measured("create", &mut || fixture.key(owner, json!({}))).key_id();
    let path = format!("/api-keys/{id}");
    measured("create with an Idempotency-Key", &mut || repeatable(fixture, owner, round));
    measured("show", &mut || fixture.get(owner, &path));
    let text = fixture.key(owner, json!({})).plaintext();
    let explained = json!({"method": "GET", "path": "/api/orders", "key": text});
    measured("explain", &mut || fixture.post(owner, "/explain", explained.clone()));
    measured("list", &mut || fixture.get(owner, "/api-keys?limit=5"));
    for sort in ["-created", "lastUsed", "-lastUsed", "expires", "-expires", "name", "-name"] {
        let path = format!("/api-keys?limit=1&sort={sort}");
        let page = measured(sort, &mut || fixture.get(owner, &path));
        let cursor = page.body["nextCursor"].as_str().unwrap();
        measured(sort, &mut || fixture.get(owner, &format!("{path}&cursor={cursor}")));
    }
    measured("quotas", &mut || fixture.get(owner, "/quotas"));
    let longer = json!({"metadata": {"note": "so that there are more bytes"}});
    measured("edit", &mut || fixture.patch(owner, &path, longer.clone()));
    let kept = json!({"revokeOld": false});
    measured("rotate", &mut || fixture.post(owner, &format!("{path}/rotate"), kept.clone()));
    measured("revoke", &mut || fixture.post(owner, &format!("{path}/revoke"), json!({})));
    // There are more ended keys than there may be.
    measured("create in place of an ended one", &mut || fixture.key(owner, json!({})));
    costs
}

#[test]
fn no_call_about_one_key_costs_more_because_a_tenant_has_many() {
    let quotas =
        |keys| policy(|quotas| (quotas.keys, quotas.idempotency_keys, quotas.ended_keys) = (keys, keys, 0));
    let (fixture, owner) = RegistryFixture::open_over(quotas(10_000));
    repeatable(&fixture, &owner, "first").expect(201);
    let key = fixture.key(&owner, json!({})).key_id();
    // What is done only once for an object, or for an hour.
    costs(&fixture, &owner, "warm");
    let few = costs(&fixture, &owner, "few");
    fill(&fixture, &key, 3_000);
    costs(&fixture, &owner, "warm-again");
    let many = costs(&fixture, &owner, "many");
    for ((name, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many < few + 1_000, "{name}: {few} steps of SQLite, and with 3,000 keys {many}");
    }
}

/// The same by counting the rows.
fn counted(db: &dyn Sql, tenant_id: &str, now: i64) -> [u64; 4] {
    let count = |what: &str| -> u64 {
        let statement = format!("SELECT COALESCE(SUM({what}), 0) FROM keys WHERE tenant_id = ?");
        sql::scalar(db, &statement, &[tenant_id.into()]).unwrap().unwrap()
    };
    let ended = format!("(status = 'REVOKED' OR COALESCE(expires_at > 0 AND expires_at <= {now}, FALSE))");
    let kept = "SELECT COALESCE(SUM(kept), 0) FROM idempotency WHERE tenant_id = ?";
    let kept: u64 = sql::scalar(db, kept, &[tenant_id.into()]).unwrap().unwrap();
    [count(&format!("NOT {ended}")), count(&ended), count("bytes") + kept, count(&format!("{ended} * bytes"))]
}

fn used_of_keys(db: &dyn Sql, tenant_id: &str, now: i64) -> [u64; 4] {
    let used = Used::of_keys(db, tenant_id, keyward_core::time::Timestamp(now)).unwrap();
    [used.keys, used.ended_keys, used.key_bytes, used.ended_bytes]
}

/// Compares the counts of every tenant with the rows that there are.
#[track_caller]
fn assert_counted(fixture: &RegistryFixture, after: &str) {
    let now = fixture.now.get().0;
    for tenant in fixture.db.run("SELECT id FROM tenants", &[]).unwrap() {
        let id = tenant["id"].as_str().unwrap();
        assert_eq!(used_of_keys(&fixture.db, id, now), counted(&fixture.db, id, now), "after {after}");
        let rows = "SELECT COUNT(*) FROM idempotency WHERE tenant_id = ? AND created_at > ?";
        let lately = [id.into(), (now - DAY.ms()).into()];
        let rows: u64 = sql::scalar(&fixture.db, rows, &lately).unwrap().unwrap();
        let quota = keyward_registry::quotas::Quota::IdempotencyKeys;
        let requests = keyward_registry::quotas::used(&fixture.db, id, quota, fixture.now.get()).unwrap();
        assert_eq!(requests, rows, "requests after {after}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_is_counted_of_a_tenant_is_what_there_is_after_whatever_calls(
        calls in vec((0_u8..11, any::<Index>(), 0_usize..40), 1..40),
    ) {
        let (fixture, operator) = RegistryFixture::open_over(policy(|quotas| {
            (quotas.keys, quotas.ended_keys, quotas.key_bytes) = (12, 3, 4_000);
        }));
        let (owner, _) = fixture.tenant(&operator, "shop");
        let mut ids = vec![fixture.key(&owner, json!({})).key_id()];
        for (call, which, size) in calls {
            let token = if size % 3 == 0 { &operator } else { &owner };
            let id = ids[which.index(ids.len())].clone();
            let path = format!("/api-keys/{id}");
            let soon = || (fixture.now.get() + MINUTE).to_rfc3339();
            let body = |fields: Value| {
                let mut body = json!({"name": "n".repeat(size + 1), "scopes": ["orders:read"]});
                body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
                body
            };
            let answer = match call {
                0 => fixture.post(token, "/api-keys", body(json!({}))),
                1 => fixture.post(token, "/api-keys", body(json!({"expiresAt": soon()}))),
                2 => repeatable(&fixture, token, &format!("call {size}").replace(' ', "-")),
                3 => fixture.patch(token, &path, json!({"metadata": {"a": "x".repeat(size * 10)}})),
                4 => fixture.patch(token, &path, json!({"name": "n".repeat(size + 1), "expiresAt": soon()})),
                5 => fixture.post(token, &format!("{path}/rotate"), json!({"revokeOld": size % 2 == 0})),
                6 => fixture.post(token, &format!("{path}/revoke"), json!({})),
                7 => {
                    fixture.db.fail_after(size as u32);
                    let answer = fixture.post(token, "/api-keys", body(json!({})));
                    fixture.db.has_not_failed();
                    answer
                }
                8 => fixture.post(token, &format!("{path}/pause"), json!({})),
                9 => fixture.post(token, &format!("{path}/resume"), json!({})),
                _ => {
                    fixture.pass_with_alarms(if size == 0 { DAY } else { SECOND * (10 * size as i64) });
                    fixture.get(token, "/quotas")
                }
            };
            if answer.status == 201 {
                ids.push(answer.key_id());
            }
            assert_counted(&fixture, &format!("call {call}: {}", answer.status));
        }
    }
}

#[test]
fn keys_and_requests_that_an_older_build_has_stored_are_counted_once_the_object_wakes_up_under_this_one() {
    let counts = schema::ADDITIONS.iter().position(|addition| addition.name == "counts of a tenant").unwrap();
    let before = &schema::ADDITIONS[..counts];
    let db = Database::new();
    sql::migrate(&db, &Schema { migrations: schema::MIGRATIONS, additions: before }).unwrap();
    let key = |id: &str, tenant_id: &str, status: &str, expires_at: &str| {
        let columns = "id, tenant_id, realm, kind, mode, name, prefix, last4, hash, status, version, scopes, allowed_ips, \
                       allowed_origins, tags, metadata, search, created_at, created_by, updated_at, expires_at";
        let values = format!(
            "'{id}', '{tenant_id}', 'default', 'secret', 'live', 'name of {id}', 'p', 'l', '{id}', '{status}', 1, '[]', \
             '[]', '[]', '[]', '{{}}', '', 0, '{{}}', 0, {expires_at}"
        );
        db.run(&format!("INSERT INTO keys ({columns}) VALUES ({values})"), &[]).unwrap();
    };
    let stored = || {
        for (tenant, keys) in [("one", 3), ("two", 1)] {
            let n: u64 = sql::scalar(&db, "SELECT COUNT(*) FROM keys", &[]).unwrap().unwrap();
            for i in n..n + keys {
                key(&format!("active {i}"), tenant, "ACTIVE", "NULL");
                key(&format!("expired with a longer name {i}"), tenant, "ACTIVE", "5");
                key(&format!("revoked {i}"), tenant, "REVOKED", "NULL");
            }
            db.run(
                "INSERT INTO idempotency (tenant_id, name, request, nonce, key_id, answer, created_at, kept)
                    VALUES (?, ?, '', '', '', '', 0, 7)",
                &[tenant.into(), n.to_string().into()],
            )
            .unwrap();
        }
    };
    let assert_same = || {
        for tenant in ["one", "two", "none"] {
            assert_eq!(used_of_keys(&db, tenant, 10), counted(&db, tenant, 10), "{tenant}");
        }
    };
    stored();
    keyward_registry::migrate(&db).unwrap();
    assert_same();
    // It goes on serving beside this one, and counts without knowing it.
    stored();
    db.run("UPDATE keys SET status = 'REVOKED' WHERE id LIKE 'active%' AND tenant_id = 'one'", &[]).unwrap();
    db.run("UPDATE keys SET name = 'n', tags = '[1]' WHERE id LIKE 'revoked%'", &[]).unwrap();
    db.run("DELETE FROM keys WHERE id LIKE 'expired%' AND tenant_id = 'two'", &[]).unwrap();
    db.run("UPDATE idempotency SET kept = kept + 5 WHERE tenant_id = 'two'", &[]).unwrap();
    assert_same();
    assert_eq!(used_of_keys(&db, "one", 10)[..2], [0, 18]);
}
