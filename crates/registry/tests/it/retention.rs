//! How long the audit is kept, where the policy says so, with a signed checkpoint in the place of what went; and that
//! every tenant has its turn.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secrets,
    sql::{self, Sql},
    time::{DAY, Timestamp},
};
use keyward_policy::{Policy, Span};
use keyward_registry::audit;
use keyward_testing::{
    NOON, SECRET,
    registry_fixture::{RegistryFixture, policy_with},
};
use proptest::prelude::*;
use serde_json::{Value, json};

pub fn keep_up(fixture: &RegistryFixture) {
    fixture.publisher.keep_up(&fixture.secrets);
}

pub fn count(fixture: &RegistryFixture, table: &str) -> u64 {
    fixture.db.run(&format!("SELECT COUNT(*) AS n FROM {table}"), &[]).unwrap()[0]["n"].as_u64().unwrap()
}

fn forgetful(days: u32) -> &'static Policy {
    let mut policy = Policy { ..*policy_with(|_| {}) };
    policy.admin.audit_retention = Some(Span::from_days(days.into()));
    Box::leak(Box::new(policy))
}

fn verify(fixture: &RegistryFixture) -> Value {
    let owner = fixture.sign_in("owner@example.com");
    fixture.get(&owner, "/audit/verify").expect(200).body
}

/// A chain with an entry a day for `entries` days, of which the last `kept` days are kept.
fn cut_chain(entries: i64, kept: u32) -> RegistryFixture {
    let (fixture, _) = RegistryFixture::open_over(forgetful(kept));
    for _ in 0..entries {
        fixture.later(DAY);
        fixture.sign_in("owner@example.com");
    }
    for _ in 0..5 {
        keep_up(&fixture);
    }
    fixture
}

#[test]
fn what_is_older_than_the_policy_says_is_cut_and_the_rest_verifies_from_a_signed_checkpoint() {
    let fixture = cut_chain(50, 30);
    let left = fixture.db.run("SELECT MIN(seq) AS first, COUNT(*) AS n FROM audit", &[]).unwrap();
    assert_eq!((&left[0]["first"], &left[0]["n"]), (&json!(22), &json!(31)));
    let chain = verify(&fixture);
    assert_eq!((&chain["ok"], &chain["entries"]), (&json!(true), &json!(53)));
    let checkpoint = &chain["checkpoint"];
    assert_eq!(
        (&checkpoint["seq"], &checkpoint["entries"], &checkpoint["signed"]),
        (&json!(21), &json!(21), &json!(true))
    );
    let first = fixture.db.run("SELECT entry FROM audit ORDER BY seq LIMIT 1", &[]).unwrap();
    let first: Value = serde_json::from_str(first[0]["entry"].as_str().unwrap()).unwrap();
    assert_eq!(first["previousHash"], checkpoint["hash"], "as anybody can check");
    assert_eq!(checkpoint["tenantId"], first["tenantId"]);
    assert_eq!(checkpoint["time"], NOON.plus(19 * DAY).to_rfc3339());

    // Everything but the newest is older now.
    fixture.later(500 * DAY);
    for _ in 0..5 {
        keep_up(&fixture);
    }
    assert_eq!(count(&fixture, "audit"), 1);
    let chain = verify(&fixture);
    assert_eq!((&chain["ok"], &chain["entries"]), (&json!(true), &json!(54)));
}

/// How much of the audit is read.
struct Counting<'a>(&'a dyn Sql, std::cell::Cell<usize>);

impl Sql for Counting<'_> {
    fn run(&self, statement: &str, values: &[sql::Value]) -> Result<Vec<Value>, sql::SqlError> {
        let rows = self.0.run(statement, values)?;
        self.1.set(self.1.get() + rows.len());
        Ok(rows)
    }
    fn attempt(&self, turn: &mut dyn FnMut() -> bool) -> Result<(), sql::SqlError> {
        self.0.attempt(turn)
    }
    fn size(&self) -> Result<u64, sql::SqlError> {
        self.0.size()
    }
}

#[test]
fn while_nothing_is_old_enough_to_be_cut_only_the_first_entry_and_the_checkpoint_are_read() {
    let fixture = cut_chain(150, 100);
    let tenant = fixture.db.run("SELECT id FROM tenants", &[]).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let now = fixture.now.get();
    let read = |before: Timestamp| {
        let counting = Counting(&fixture.db, std::cell::Cell::default());
        audit::retention::cut(&counting, &fixture.secrets, &tenant, before, now).unwrap();
        counting.1.get()
    };
    assert_eq!(read(now.plus(-100 * DAY)), 2);
    assert!(read(now.plus(-50 * DAY)) > 50);
    assert_eq!(verify(&fixture)["checkpoint"]["seq"], 101);
}

#[test]
fn without_a_retention_nothing_is_cut() {
    let (fixture, _) = RegistryFixture::open();
    fixture.later(3_650 * DAY);
    keep_up(&fixture);
    assert_eq!(verify(&fixture)["entries"], 3);
    assert_eq!(count(&fixture, "audit_checkpoints"), 0);
}

#[test]
fn a_checkpoint_that_was_tampered_with_is_told() {
    for (what, statement) in [
        (
            "its text",
            "UPDATE audit_checkpoints SET checkpoint = replace(checkpoint, '\"seq\":21', '\"seq\":20')",
        ),
        ("its signature", "UPDATE audit_checkpoints SET mac = replace(mac, substr(mac, 1, 1), 'g')"),
        ("is gone", "DELETE FROM audit_checkpoints"),
        ("entries after it are gone", "DELETE FROM audit WHERE seq = 22"),
        ("all entries are gone", "DELETE FROM audit"),
        ("what was cut is back", "INSERT INTO audit SELECT tenant_id, 5, entry, hash FROM audit LIMIT 1"),
        (
            "an entry is another",
            "UPDATE audit SET entry = replace(entry, '192.0.2.1', '192.0.2.9') WHERE seq = 30",
        ),
    ] {
        let fixture = cut_chain(50, 30);
        let owner = fixture.sign_in("owner@example.com");
        fixture.db.run(statement, &[]).unwrap();
        let chain = fixture.get(&owner, "/audit/verify").expect(200).body;
        assert_eq!(chain["ok"], false, "{what}: {chain}");
        assert!(chain["brokenAt"].is_i64(), "{what}: {chain}");
        let tampered = ["its text", "its signature"].contains(&what);
        assert_eq!(chain["checkpoint"]["signed"] == false, tampered, "{what}: {chain}");
        // And what does not fit is not cut away.
        fixture.later(500 * DAY);
        for _ in 0..5 {
            keep_up(&fixture);
        }
        let owner = fixture.sign_in("owner@example.com");
        let chain = fixture.get(&owner, "/audit/verify").expect(200).body;
        assert_eq!(chain["ok"], false, "{what}: {chain}");
    }
}

#[test]
fn a_checkpoint_outlives_a_change_of_the_secret_and_is_signed_anew() {
    let mut fixture = cut_chain(50, 30);
    fixture.secrets = Secrets::new("another-secret-of-the-deployment-123456", Some(SECRET));
    assert_eq!(verify(&fixture)["ok"], true);
    // An upkeep later the old secret is not needed any more.
    for _ in 0..3 {
        keep_up(&fixture);
    }
    fixture.secrets = Secrets::new("another-secret-of-the-deployment-123456", None);
    assert_eq!(verify(&fixture)["ok"], true);
    fixture.secrets = Secrets::new("and-a-third-one-that-never-signed-anything", None);
    let chain = verify(&fixture);
    assert_eq!((&chain["ok"], &chain["checkpoint"]["signed"]), (&json!(false), &json!(false)));
}

#[test]
fn each_tenant_has_a_chain_and_a_checkpoint_of_its_own() {
    let (fixture, operator) = RegistryFixture::open_over(forgetful(30));
    let (_, id) = fixture.tenant(&operator, "shop");
    for _ in 0..40 {
        fixture.later(DAY);
        fixture.sign_in("owner@example.com");
        fixture.sign_in("owner@shop.example");
    }
    for _ in 0..10 {
        keep_up(&fixture);
    }
    assert_eq!(count(&fixture, "audit_checkpoints"), 2);
    let owner = fixture.sign_in("owner@shop.example");
    assert_eq!(fixture.get(&owner, "/audit/verify").body["ok"], true);
    // One of another tenant's does not do.
    let other = "UPDATE audit_checkpoints SET (checkpoint, mac) =
        (SELECT checkpoint, mac FROM audit_checkpoints WHERE tenant_id <> ?) WHERE tenant_id = ?";
    fixture.db.run(other, &[id.as_str().into(), id.as_str().into()]).unwrap();
    assert_eq!(fixture.get(&owner, "/audit/verify").body["ok"], false);
    assert_eq!(verify(&fixture)["ok"], true);
}

#[test]
fn failed_attempts_from_before_they_were_counted_count_for_nothing_and_are_not_taken_off_when_they_are_cut() {
    // What an older build leaves: no row, or one that counts from somewhere on.
    for older in [
        "DELETE FROM audit_refused",
        "UPDATE audit_refused SET total = 5, is_whole = NULL",
        "UPDATE audit_refused SET total = 0, is_whole = NULL",
    ] {
        let (fixture, _) = RegistryFixture::open_over(forgetful(30));
        let own = || {
            let owner = fixture.sign_in("owner@example.com");
            fixture.get(&owner, "/quotas").expect(200).body["quotas"]["auditEntries"]["used"]
                .as_u64()
                .unwrap()
        };
        for n in 0..20 {
            fixture.later(DAY);
            *fixture.address.borrow_mut() = format!("203.0.113.{n}");
            let wrong = json!({"email": "owner@example.com", "password": "a wrong password"});
            fixture.post("", "/session", wrong).expect(401);
        }
        fixture.db.run(older, &[]).unwrap();
        for _ in 0..2 {
            keep_up(&fixture);
        }
        assert_eq!(own(), 3, "{older}");
        fixture.later(DAY);
        let wrong = json!({"email": "owner@example.com", "password": "a wrong password"});
        fixture.post("", "/session", wrong).expect(401);
        assert_eq!(own(), 4, "{older}");
        // All but the last are cut.
        fixture.later(25 * DAY);
        for _ in 0..2 {
            keep_up(&fixture);
        }
        let refused =
            fixture.db.run("SELECT COUNT(*) AS n FROM audit WHERE entry LIKE '%session.refused%'", &[]);
        let refused = refused.unwrap()[0]["n"].as_u64().unwrap();
        assert!((1..21).contains(&refused), "{refused}");
        assert_eq!(own(), count(&fixture, "audit") - refused, "{older}");
    }
}

#[test]
fn every_tenant_is_last_maintained_however_soon_the_object_dies_and_whoever_calls_at_once() {
    let (mut fixture, operator) = RegistryFixture::open_over(forgetful(30));
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        fixture.tenant(&operator, name);
    }
    fixture.later(40 * DAY);
    let owner = fixture.sign_in("owner@e.example");
    let cut = |fixture: &RegistryFixture| count(fixture, "audit_checkpoints");
    // Signing in is nobody's call yet.
    let before = cut(&fixture);
    fixture.restart(fixture.policy);
    fixture.post(&owner, "/api-keys", json!({"name": "k", "scopes": ["orders:read"]})).expect(201);
    let of_e = "SELECT 1 FROM audit_checkpoints JOIN tenants ON id = tenant_id WHERE name = 'e'";
    assert!(before > 1 || !fixture.db.run(of_e, &[]).unwrap().is_empty());
    let mut random = 1_i64;
    for _ in 0..100 {
        fixture.restart(fixture.policy);
        random = (random * 1_103_515_245 + 12_345) % (1 << 31);
        fixture.later(Span::from_ms((random >> 16) % 10_000));
        fixture.run(fixture.publisher.open()).unwrap();
        keep_up(&fixture);
    }
    let last_maintained =
        fixture.db.run("SELECT COUNT(*) AS n FROM audit_checkpoints", &[]).unwrap()[0]["n"].clone();
    assert_eq!(last_maintained, 6, "the operator's, too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_chain_verifies_after_any_cuts(
        gaps in prop::collection::vec(0i64..40, 1..60),
        turns in prop::collection::vec(0u32..3, 60),
        kept in 30u32..90,
    ) {
        let (fixture, _) = RegistryFixture::open_over(forgetful(kept));
        let mut entries = 2;
        for (gap, turns) in gaps.iter().zip(turns) {
            fixture.later(*gap * DAY);
            for _ in 0..turns {
                keep_up(&fixture);
            }
            let chain = verify(&fixture);
            entries += 1;
            prop_assert_eq!((&chain["ok"], &chain["entries"]), (&json!(true), &json!(entries)));
            let left = fixture.db.run("SELECT MAX(seq) - MIN(seq) + 1 AS span, COUNT(*) AS n FROM audit", &[]).unwrap();
            prop_assert_eq!(&left[0]["span"], &left[0]["n"]);
        }
    }
}
