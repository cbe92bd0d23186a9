//! The change log: whoever follows it knows of every change that was acknowledged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    changes::{Change, KV_LAG, News, ReadChanges},
    record::TenantStatus,
    sql::Sql as _,
    time::{HOUR, MINUTE, SECOND, Span},
};
use keyward_registry::change_log;
use keyward_testing::{
    Seeded,
    registry_fixture::{RegistryFixture, policy_with},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn read(fixture: &RegistryFixture, log: &str, after: u64) -> News {
    let call = ReadChanges { log: log.into(), after, max_age: Span::ZERO };
    let now = fixture.now.get();
    change_log::read(&fixture.db, &call, now, &mut Seeded::new(now.0 as u64), fixture.policy).unwrap()
}

/// Somebody who follows the log.
#[derive(Default)]
struct Follower {
    log: String,
    after: u64,
    keys: BTreeMap<String, (u64, bool)>,
    tenants: BTreeMap<String, (TenantStatus, Option<String>)>,
    /// How often it had to begin anew.
    begun: u32,
}

impl Follower {
    fn follow(&mut self, fixture: &RegistryFixture) {
        loop {
            let news = read(fixture, &self.log, self.after);
            if news.is_anew {
                *self = Self { begun: self.begun + 1, ..Self::default() };
            }
            (self.log, self.after) = (news.log, news.position);
            for change in news.changes {
                match change {
                    Change::Key { hash, version, revoked } => {
                        self.keys.insert(hash, (version, revoked));
                    }
                    Change::Tenant { tenant, .. } => {
                        self.tenants.insert(tenant.id, (tenant.status, tenant.plan));
                    }
                    Change::Unknown => panic!("nothing unknown is logged"),
                }
            }
            if !news.more {
                return;
            }
        }
    }
}

fn hash_of(fixture: &RegistryFixture, id: &str) -> String {
    let row = fixture.db.run("SELECT hash FROM keys WHERE id = ?", &[id.into()]).unwrap();
    row[0]["hash"].as_str().unwrap().to_owned()
}

#[test]
fn every_change_of_a_key_is_in_the_log_once_it_is_acknowledged_and_a_new_key_is_not() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let mut follower = Follower::default();
    follower.follow(&fixture);
    assert_eq!(follower.keys.len(), 0, "nobody remembers another record of a new key");
    let path = format!("/api-keys/{id}");
    let changes: [(&str, String, Value); 5] = [
        ("PATCH", path.clone(), json!({"scopes": ["orders:*"]})),
        ("POST", format!("{path}/pause"), json!({})),
        ("POST", format!("{path}/resume"), json!({})),
        ("POST", format!("{path}/rotate"), json!({"graceSeconds": 60})),
        ("POST", format!("{path}/revoke"), json!({})),
    ];
    for (version, (method, path, body)) in (2..).zip(changes) {
        // Its coordinator and KV cannot be told: the log knows all the same.
        fixture.kv_is_down.set(true);
        assert!(fixture.send(fixture.call(method, &owner, &path, body)).status < 300, "{path}");
        follower.follow(&fixture);
        assert_eq!(follower.keys[&hash_of(&fixture, &id)], (version, path.ends_with("revoke")), "{path}");
    }
    assert_eq!((follower.keys.len(), follower.begun), (1, 1));
    assert_eq!(read(&fixture, "", 0).changes.len(), 1, "a key has one row, its latest");
}

#[test]
fn a_tenant_that_changes_is_one_change_and_none_of_its_keys() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "acme");
    for _ in 0..3 {
        fixture.key(&owner, json!({}));
    }
    let path = format!("/tenants/{tenant}");
    fixture.patch(&operator, &path, json!({"name": "Acme"})).expect(200);
    assert_eq!(read(&fixture, "", 0).changes, [], "its name is in no record");
    fixture.patch(&operator, &path, json!({"plan": "pro"})).expect(200);
    fixture.patch(&operator, &path, json!({"status": "INACTIVE"})).expect(200);
    let mut follower = Follower::default();
    follower.follow(&fixture);
    assert_eq!(follower.keys.len(), 0);
    assert_eq!(follower.tenants[&tenant], (TenantStatus::Inactive, Some("pro".to_owned())));
}

#[test]
fn a_limit_that_a_tenant_is_given_is_a_change_and_its_keys_records_name_it_once_they_have_it() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "acme");
    let id = fixture.key(&owner, json!({})).key_id();
    assert_eq!(fixture.record(&id).tenant_change, 0);
    for (number, limit) in
        (1..).zip([json!({"perMinute": 7, "perDay": null}), json!({"perMinute": 7, "perDay": 9})])
    {
        fixture.patch(&operator, &format!("/tenants/{tenant}"), json!({"rateLimit": limit})).expect(200);
        let changes = read(&fixture, "", 0).changes;
        assert!(matches!(&changes[..], [Change::Tenant { number: at, .. }] if *at == number), "{changes:?}");
        assert_eq!(fixture.record(&id).tenant_change, number);
    }
    // Also once the log has forgotten it.
    fixture.later(KV_LAG * 2);
    change_log::forget(&fixture.db, fixture.now.get()).unwrap();
    assert_eq!(read(&fixture, "", 0).changes, []);
    let owner = fixture.sign_in("owner@acme.example");
    let later = fixture.key(&owner, json!({})).key_id();
    assert_eq!(fixture.record(&later).tenant_change, 2);
}

#[test]
fn what_is_in_no_record_is_no_change() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let edit = json!({"name": "another", "tags": ["a"], "metadata": {"a": "b"}});
    fixture.patch(&owner, &format!("/api-keys/{id}"), edit).expect(200);
    assert_eq!(read(&fixture, "", 0).changes, []);
}

#[test]
fn a_policy_with_other_limits_begins_another_log_which_covers_nothing_of_before() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    let log = read(&fixture, "", 0).log;
    fixture.later(SECOND);
    fixture.restart(policy_with(|realm| realm.limits.default.per_minute = Some(3)));
    fixture.run(fixture.publisher.open()).unwrap();
    let news = read(&fixture, &log, 0);
    assert!(news.is_anew && news.log != log);
    assert_eq!(news.covers, Span::ZERO);
    fixture.restart(fixture.policy);
    fixture.run(fixture.publisher.open()).unwrap();
    assert!(!read(&fixture, &news.log, 0).is_anew, "the same policy changes nothing");
}

#[test]
fn a_row_of_a_kind_that_only_a_newer_build_knows_is_told_as_such() {
    let (fixture, _) = RegistryFixture::open();
    fixture.db.run("INSERT INTO changes (at) VALUES (0)", &[]).unwrap();
    assert_eq!(read(&fixture, "", 0).changes, [Change::Unknown]);
}

#[test]
fn what_an_older_build_changes_is_in_the_log_too() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    // As builds wrote it that knew no log.
    let edit =
        "UPDATE keys SET status = 'REVOKED', version = 2, updated_at = ?, publish_due = ? WHERE id = ?";
    let now = fixture.now.get();
    fixture.db.run(edit, &[now.into(), now.into(), id.as_str().into()]).unwrap();
    let expected = Change::Key { hash: hash_of(&fixture, &id), version: 2, revoked: true };
    assert_eq!(read(&fixture, "", 0).changes, [expected]);
}

#[test]
fn a_log_that_began_with_keys_does_not_say_that_it_covers_what_was_before_it() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    assert!(read(&fixture, "", 0).covers > KV_LAG, "nothing was before");
    // As the step leaves it where there are keys.
    fixture.db.run("UPDATE change_log SET name = '', complete_since = NULL", &[]).unwrap();
    assert_eq!(read(&fixture, "", 0).covers, Span::ZERO);
    fixture.later(HOUR);
    assert_eq!(read(&fixture, "", 0).covers, HOUR);
}

#[test]
fn what_is_a_day_old_is_forgotten_but_not_while_kv_may_lack_it_and_whoever_missed_it_begins_anew() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    let (mut one, mut other) = (Follower::default(), Follower::default());
    one.follow(&fixture);
    fixture.patch(&owner, &path, json!({"allowedIps": ["192.0.2.1/32"]})).expect(200);
    other.follow(&fixture);
    fixture.later(KV_LAG + HOUR);
    change_log::forget(&fixture.db, fixture.now.get()).unwrap();
    assert_eq!(read(&fixture, "", 0).changes.len(), 1, "not before an hour more than it is needed");
    fixture.later(MINUTE);
    fixture.db.run("UPDATE keys SET publish_due = 1, publish_attempts = 8", &[]).unwrap();
    change_log::forget(&fixture.db, fixture.now.get()).unwrap();
    assert_eq!(read(&fixture, "", 0).changes.len(), 1, "its publication failed again and again");
    fixture.db.run("UPDATE keys SET publish_due = NULL, publish_attempts = 0", &[]).unwrap();
    change_log::forget(&fixture.db, fixture.now.get()).unwrap();
    assert_eq!(read(&fixture, "", 0).changes, []);
    assert!(read(&fixture, "", 0).covers >= KV_LAG);
    for follower in [&mut one, &mut other] {
        follower.follow(&fixture);
    }
    assert_eq!((one.begun, other.begun), (2, 1), "the first had not seen it");
}

#[test]
fn a_log_of_another_name_or_that_is_shorter_than_what_is_known_is_read_anew() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"allowedIps": ["192.0.2.1/32"]})).expect(200);
    let News { log, position, .. } = read(&fixture, "", 0);
    assert!(!read(&fixture, &log, position).is_anew);
    for (log, after) in [("another", position), (log.as_str(), position + 1)] {
        let news = read(&fixture, log, after);
        assert_eq!((news.is_anew, news.changes.len(), news.position), (true, 1, position));
    }
}

#[test]
fn a_long_log_is_read_in_parts() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    let many = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500)
        INSERT INTO changes (hash, version, revoked, at) SELECT 'hash ' || n, 2, 0, 0 FROM numbers";
    fixture.db.run(many, &[]).unwrap();
    let first = read(&fixture, "", 0);
    assert_eq!((first.changes.len(), first.more, first.position), (1_000, true, 1_000));
    let mut follower = Follower::default();
    follower.follow(&fixture);
    assert_eq!((follower.keys.len(), follower.begun, follower.after), (2_500, 1, 2_500));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whenever somebody reads, and whatever is forgotten meanwhile: all keys that have changed since it began are known to
    /// it in their latest version, or it has begun anew.
    #[test]
    fn whoever_follows_the_log_knows_the_latest_version_of_everything_that_changed(
        steps in vec((0..4_usize, 0..5_u8), 1..40),
    ) {
        let (fixture, owner) = RegistryFixture::open();
        let ids: Vec<String> = (0..4).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
        let mut follower = Follower::default();
        follower.follow(&fixture);
        let mut changed = BTreeMap::new();
        for (tag, (index, step)) in steps.into_iter().enumerate() {
            match step {
                0 => fixture.later(KV_LAG / 2),
                1 => change_log::forget(&fixture.db, fixture.now.get()).unwrap(),
                2 => {
                    let begun = follower.begun;
                    follower.follow(&fixture);
                    if follower.begun > begun {
                        // Everything that it remembers is forgotten with that.
                        let kept: Vec<String> = follower.keys.keys().cloned().collect();
                        changed.retain(|hash, _| kept.contains(hash));
                    }
                    prop_assert_eq!(&changed.keys().collect::<Vec<_>>(), &follower.keys.keys().collect::<Vec<_>>());
                    for (hash, version) in &changed {
                        prop_assert_eq!(follower.keys[hash].0, *version);
                    }
                }
                _ => {
                    let tags = json!({"allowedIps": [format!("192.0.2.{tag}/32")]});
                    let answer = fixture.patch(&owner, &format!("/api-keys/{}", ids[index]), tags);
                    // Sessions end meanwhile.
                    if answer.status == 200 {
                        let version = answer.body["apiKey"]["version"].as_u64().unwrap();
                        changed.insert(hash_of(&fixture, &ids[index]), version);
                    }
                }
            }
        }
    }
}
