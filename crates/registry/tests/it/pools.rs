//! Limits of a whole tenant, and plans that carry limits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    changes::{Change, ReadChanges},
    record::{Limits, Record, pool_name},
    sql::{Sql as _, scalar},
    time::{MINUTE, SECOND, Span},
};
use keyward_policy::{Plan, Policy, Windows};
use keyward_registry::change_log;
use keyward_testing::{
    Seeded,
    fake_registry_platform::DOWN,
    registry_fixture::{RegistryFixture, policy_with},
};
use serde_json::json;

const PRO: Plan = Plan { name: "pro", limits: minute(50), pool: minute(80) };
const FREE: Plan = Plan { name: "free", limits: minute(5), pool: none() };

const fn minute(limit: u32) -> Windows {
    Windows { per_minute: Some(limit), ..none() }
}

const fn none() -> Windows {
    Windows {
        per_second: None,
        per_minute: None,
        per_hour: None,
        per_day: None,
        per_month: None,
        total: None,
        in_flight: None,
    }
}

fn with_plans(plans: &'static [Plan]) -> &'static Policy {
    Box::leak(Box::new(Policy { plans, ..*policy_with(|_| {}) }))
}

fn told(fixture: &RegistryFixture, tenant: &str) -> Option<Record> {
    fixture.gates.borrow().get(&pool_name(tenant)).and_then(|gate| gate.record.clone())
}

fn of_minute(limits: Limits) -> Option<u32> {
    limits.per_minute
}

/// The tenants that the log says have changed, with the limits of each as a whole.
fn logged(fixture: &RegistryFixture) -> Vec<(u64, Option<u32>)> {
    let call = ReadChanges { log: String::new(), after: 0, max_age: Span::ZERO };
    let (now, policy) = (fixture.now.get(), fixture.policy);
    let news = change_log::read(&fixture.db, &call, now, &mut Seeded::new(1), policy).unwrap();
    let tenants = news.changes.into_iter().filter_map(|change| match change {
        Change::Tenant { number, tenant } => Some((number, tenant.pool.and_then(of_minute))),
        _ => None,
    });
    tenants.collect()
}

#[test]
fn a_pool_is_told_to_its_object_before_it_is_acknowledged_and_stands_in_the_log_and_in_each_key() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    let tenant = fixture.record(&key).tenant.id;
    let path = format!("/tenants/{tenant}");
    let answer = fixture.patch(&owner, &path, json!({"pool": {"perMinute": 7}})).expect(200);
    assert_eq!(answer.body["tenant"]["pool"]["perMinute"], 7);
    assert!(answer.body["effectiveEverywhereBy"].is_string(), "{} {:?}", answer.text, fixture.log.borrow());
    let record = told(&fixture, &tenant).unwrap();
    assert_eq!(of_minute(record.limits), Some(7));
    assert_eq!(logged(&fixture), [(record.version, Some(7))]);
    assert_eq!((record.id.clone(), record.tenant_change), (pool_name(&tenant), record.version));
    let of_key = fixture.record(&key);
    assert_eq!(of_key.tenant.pool.and_then(of_minute), Some(7));
    assert_eq!(of_key.tenant_change, record.version);

    fixture.patch(&owner, &path, json!({"pool": null})).expect(200);
    let later = told(&fixture, &tenant).unwrap();
    assert!(later.version > record.version);
    assert_eq!((later.limits, fixture.record(&key).tenant.pool), (Limits::default(), None));
    fixture.pass_with_alarms(10 * MINUTE);
    assert_eq!(fixture.next_due(), None);
    assert!(!fixture.kv.borrow().keys().any(|place| place.contains("tenant-")), "a pool is not in KV");
}

#[test]
fn a_pool_whose_object_cannot_be_told_is_not_promised_and_is_told_later() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(10 * MINUTE);
    let tenant = fixture.record(&key).tenant.id;
    fixture.tells.borrow_mut().push_back(DOWN);
    let answer =
        fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"pool": {"perDay": 9}})).expect(200);
    assert!(answer.body["effectiveEverywhereBy"].is_null(), "{}", answer.text);
    assert_eq!(answer.body["pendingKeys"], 1);
    fixture.pass_with_alarms(30 * SECOND);
    assert_eq!(told(&fixture, &tenant).unwrap().limits.per_day, Some(9));
    assert_eq!(fixture.next_due(), None);
}

#[test]
fn a_new_tenants_pool_is_told_before_it_can_have_a_key() {
    let (fixture, owner) = RegistryFixture::open();
    let new = json!({"name": "n", "pool": {"perMinute": 3}});
    let answer = fixture.post(&owner, "/tenants", new).expect(201);
    let tenant = answer.body["tenant"]["id"].as_str().unwrap();
    assert_eq!(of_minute(told(&fixture, tenant).unwrap().limits), Some(3));
}

#[test]
fn a_pool_that_contradicts_itself_is_refused() {
    let (fixture, owner) = RegistryFixture::open();
    for (pool, field) in [
        (json!({"perMinute": 10, "perDay": 5}), "pool.perDay"),
        (json!({"perMinute": 0}), "pool.perMinute"),
        (json!({"perWeek": 1}), "pool.perWeek"),
        (json!(5), "pool"),
    ] {
        let answer = fixture.post(&owner, "/tenants", json!({"name": "n", "pool": pool}));
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field]);
    }
    // More than any one key may have.
    let pool = json!({"perMinute": 1_000_000});
    fixture.post(&owner, "/tenants", json!({"name": "n", "pool": pool})).expect(201);
}

#[test]
fn a_change_of_plan_is_one_entry_of_the_log_and_changes_the_limits_of_all_keys() {
    let (fixture, owner) = RegistryFixture::open_over(with_plans(&[PRO, FREE]));
    let keys: Vec<_> = (0..3).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    let own = fixture.key(&owner, json!({"rateLimit": {"perMinute": 20}})).key_id();
    let tenant = fixture.record(&own).tenant.id;
    for (plan, limit, pool) in
        [(json!("pro"), 50, Some(80)), (json!("free"), 5, None), (json!("other"), 600, None)]
    {
        fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"plan": plan})).expect(200);
        assert_eq!(logged(&fixture).len(), 1, "one entry, whatever the number of keys");
        assert_eq!(logged(&fixture)[0].1, pool, "{plan}");
        for key in &keys {
            let record = fixture.record(key);
            assert_eq!(
                (of_minute(record.limits), record.tenant.pool.and_then(of_minute)),
                (Some(limit), pool)
            );
        }
        assert_eq!(of_minute(fixture.record(&own).limits), Some(20), "a key's own comes first");
        assert_eq!(of_minute(told(&fixture, &tenant).unwrap().limits), pool);
    }
    // The tenant's own comes before the plan's, window by window.
    let change = json!({"plan": "pro", "rateLimit": {"perMinute": 30}, "pool": {"perMinute": 40}});
    fixture.patch(&owner, &format!("/tenants/{tenant}"), change).expect(200);
    assert_eq!(of_minute(fixture.record(&keys[0]).limits), Some(30));
    assert_eq!(of_minute(told(&fixture, &tenant).unwrap().limits), Some(40));
    let realm = fixture.get(&owner, "/realms").expect(200).body["realms"][0].clone();
    assert_eq!(realm["limits"]["inherited"]["perMinute"], 30);
    assert_eq!(realm["limits"]["pool"]["perMinute"], 40);
}

#[test]
fn a_policy_that_changes_a_plan_changes_keys_and_pools_of_tenants_on_it() {
    let (mut fixture, owner) = RegistryFixture::open_over(with_plans(&[PRO]));
    let key = fixture.key(&owner, json!({})).key_id();
    let tenant = fixture.record(&key).tenant.id;
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"plan": "pro"})).expect(200);
    for (plans, limit, pool) in [
        (&[Plan { limits: minute(60), pool: minute(70), ..PRO }][..], 60, Some(70)),
        (&[Plan { limits: minute(60), ..FREE }], 600, None),
        (&[], 600, None),
    ] {
        fixture.restart(with_plans(Vec::leak(plans.to_vec())));
        fixture.get(&owner, "/realms").expect(200);
        fixture.pass_with_alarms(10 * MINUTE);
        let record = fixture.record(&key);
        assert_eq!((of_minute(record.limits), record.tenant.pool.and_then(of_minute)), (Some(limit), pool));
        assert_eq!(of_minute(told(&fixture, &tenant).unwrap().limits), pool);
        assert_eq!(fixture.next_due(), None);
        let changed =
            scalar::<u64>(&fixture.db, "SELECT change FROM tenants WHERE id = ?", &[tenant.as_str().into()]);
        assert_eq!(changed.unwrap(), Some(told(&fixture, &tenant).unwrap().version));
    }
}

#[test]
fn no_limit_of_a_plan_lets_a_key_have_more_than_its_realms_maximum() {
    let policy = policy_with(|realm| realm.limits.maximum = minute(40));
    let policy = Box::leak(Box::new(Policy { plans: &[PRO], ..*policy }));
    let (fixture, owner) = RegistryFixture::open_over(policy);
    let key = fixture.key(&owner, json!({})).key_id();
    let tenant = fixture.record(&key).tenant.id;
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"plan": "pro"})).expect(200);
    assert_eq!(of_minute(fixture.record(&key).limits), Some(40));
}

#[test]
fn a_change_of_plan_by_a_build_without_pools_is_told_to_the_pools_object_later() {
    let (fixture, owner) = RegistryFixture::open_over(with_plans(&[PRO]));
    let key = fixture.key(&owner, json!({})).key_id();
    let tenant = fixture.record(&key).tenant.id;
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"pool": {"perMinute": 7}})).expect(200);
    fixture.pass_with_alarms(10 * MINUTE);
    let before = told(&fixture, &tenant).unwrap().version;
    // All that it writes.
    fixture.db.run("UPDATE tenants SET plan = 'pro' WHERE id = ?", &[tenant.as_str().into()]).unwrap();
    assert!(fixture.next_due().is_some());
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"name": "renamed"})).expect(200);
    assert!(told(&fixture, &tenant).unwrap().version > before);
}

#[test]
fn pools_take_no_more_than_half_of_what_is_published_at_once_and_leave_the_rest_to_keys() {
    let (fixture, owner) = RegistryFixture::open();
    let keys: Vec<String> = (0..6).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    for n in 0..9 {
        let new = json!({"name": format!("n{n}"), "pool": {"perMinute": 3}});
        fixture.post(&owner, "/tenants", new).expect(201);
    }
    let now = fixture.now.get();
    for sql in
        ["UPDATE tenants SET pool_due = ? WHERE pool_told IS NOT NULL", "UPDATE keys SET publish_due = ?"]
    {
        fixture.outbox().db.run(sql, &[now.into()]).unwrap();
    }
    let due = |limit| {
        let due = fixture.outbox().due(now, limit).unwrap();
        let (pools, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|id| id.starts_with("tenant-"));
        assert!(others.iter().all(|id| keys.contains(id)));
        (pools.len(), others.len())
    };
    assert_eq!([due(8), due(5), due(1), due(20)], [(4, 4), (3, 2), (1, 0), (9, 6)]);
}
