//! Limits over all keys of a tenant: as exact as a key's, and a request is charged to both or to neither.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    changes::Change,
    record::{Limits, Record, Tenant, pool_name},
    secret::Secret,
    time::{SECOND, Span},
};
use keyward_gate::{Outcome, denial::Denial, pipeline::Accepted, refusal::rate_limit_headers};
use keyward_policy::Realm;
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Request},
    policy::POLICY,
    record,
};

fn per_minute(limit: u32) -> Limits {
    Limits { per_minute: Some(limit), ..Limits::default() }
}

fn tenant(pool: Option<Limits>) -> Tenant {
    Tenant { pool, ..record().tenant }
}

/// A platform with a log, a pool whose object was told, and some keys of its tenant with these limits.
fn with_pool(pool: Limits, limits: Limits, keys: u64) -> (FakePlatform, Vec<Secret>) {
    let platform = FakePlatform::new();
    platform.log.borrow_mut().get_or_insert_default();
    let record = Record { tenant: tenant(Some(pool)), limits, ..record() };
    let keys = (1..=keys).map(|seed| platform.new_key(seed)).collect::<Vec<_>>();
    for key in &keys {
        platform.tell(key, &record);
        platform.publish(key, &record);
    }
    tell_pool(&platform, pool, 0);
    (platform, keys)
}

fn tell_pool(platform: &FakePlatform, pool: Limits, change: u64) {
    let mut gates = platform.gates.borrow_mut();
    gates.entry(pool_name("tenant-1")).or_default().put(Record::of_pool(&tenant(None), pool, change));
}

/// The pool becomes another, as the Registry makes it so.
fn change_pool(platform: &FakePlatform, pool: Option<Limits>) {
    let number = platform.log.borrow().as_ref().unwrap().last + 1;
    platform.log(Change::Tenant { number, tenant: tenant(pool) });
    tell_pool(platform, pool.unwrap_or_default(), number);
}

fn strictly(platform: &FakePlatform, key: &Secret) -> Result<Accepted, Denial> {
    let realm = Realm { freshness: Span::ZERO, ..POLICY.realms[0] };
    platform.check_in(&realm, key, CALLER).map_err(|refused| refused.denial)
}

/// Whether the pool is what is full.
fn is_of_tenant(denial: &Denial) -> bool {
    let Denial::RateLimited { windows, .. } = denial else { panic!("{denial:?}") };
    assert!(!windows.is_empty());
    windows.iter().all(|state| state.of_tenant)
}

#[test]
fn three_keys_share_a_limit_of_two() {
    for (limits, strict) in
        [(per_minute(2), false), (per_minute(2), true), (Limits::default(), false), (Limits::default(), true)]
    {
        let (platform, keys) = with_pool(per_minute(2), limits, 3);
        let check = |key: &Secret| match strict {
            true => strictly(&platform, key),
            false => platform.check(key).map_err(|refused| refused.denial),
        };
        check(&keys[0]).unwrap();
        check(&keys[1]).unwrap();
        assert!(is_of_tenant(&check(&keys[2]).unwrap_err()));
        assert!(is_of_tenant(&check(&keys[0]).unwrap_err()));
        platform.pass_time(61 * SECOND);
        check(&keys[2]).unwrap();
    }
}

#[test]
fn a_request_that_the_pool_refuses_is_not_charged_to_the_key() {
    for strict in [false, true] {
        let (platform, keys) = with_pool(per_minute(2), per_minute(3), 1);
        let check = || match strict {
            true => strictly(&platform, &keys[0]),
            false => platform.check(&keys[0]).map_err(|refused| refused.denial),
        };
        check().unwrap();
        check().unwrap();
        for _ in 0..5 {
            assert!(is_of_tenant(&check().unwrap_err()));
            platform.pass_time(2 * SECOND);
        }
        change_pool(&platform, Some(per_minute(100)));
        platform.pass_time(5 * SECOND);
        check().unwrap();
        assert!(!is_of_tenant(&check().unwrap_err()), "the key's own");
    }
}

#[test]
fn a_request_that_the_key_refuses_is_not_charged_to_the_pool() {
    let (platform, keys) = with_pool(per_minute(3), per_minute(1), 4);
    for _ in 0..4 {
        let _ = strictly(&platform, &keys[0]);
        platform.pass_time(2 * SECOND);
    }
    strictly(&platform, &keys[1]).unwrap();
    strictly(&platform, &keys[2]).unwrap();
    assert!(is_of_tenant(&strictly(&platform, &keys[3]).unwrap_err()));
}

#[test]
fn a_key_without_a_limit_asks_the_pools_object_only_and_with_leases_nobody_asks() {
    let (platform, keys) = with_pool(per_minute(600), Limits::default(), 1);
    platform.check(&keys[0]).unwrap();
    assert_eq!(platform.asked(), ["KV", "changes", "Coordinator take"]);
    platform.check(&keys[0]).unwrap();
    assert_eq!(platform.asked(), [""; 0]);

    let (platform, keys) = with_pool(per_minute(600), per_minute(600), 2);
    platform.check(&keys[0]).unwrap();
    assert_eq!(platform.asked(), ["KV", "changes", "Coordinator take", "Coordinator take"]);
    platform.check(&keys[0]).unwrap();
    assert_eq!(platform.asked(), [""; 0], "both from leases");
    platform.check(&keys[1]).unwrap();
    assert_eq!(platform.asked(), ["KV", "Coordinator take"], "the pool's lease is of all keys");
}

#[test]
fn a_pool_that_is_known_to_be_full_is_not_asked_again_and_no_key_is() {
    let (platform, keys) = with_pool(per_minute(1), per_minute(600), 3);
    platform.check(&keys[0]).unwrap();
    platform.denial(&keys[1]);
    platform.asked();
    assert!(is_of_tenant(&platform.denial(&keys[1])));
    assert!(is_of_tenant(&platform.denial(&keys[0])));
    assert_eq!(platform.asked(), [""; 0]);
    assert!(is_of_tenant(&platform.denial(&keys[2])));
    assert_eq!(platform.asked(), ["KV"]);
}

#[test]
fn what_the_log_says_of_a_pool_holds_for_all_keys_whatever_their_records_say() {
    let (platform, keys) = with_pool(per_minute(600), Limits::default(), 3);
    platform.check(&keys[0]).unwrap();
    for (pool, passes) in [(Some(per_minute(3)), 3), (Some(per_minute(5)), 5), (None, 9)] {
        change_pool(&platform, pool);
        // Until what was passed before has left.
        platform.pass_time(70 * SECOND);
        for number in 0..passes {
            platform.check(&keys[number % 3]).unwrap();
        }
        if pool.is_some() {
            assert!(is_of_tenant(&platform.denial(&keys[2])), "{pool:?}");
        }
    }
}

#[test]
fn a_pool_that_is_not_told_yet_stops_nobody() {
    let (platform, keys) = with_pool(per_minute(2), Limits::default(), 1);
    platform.gates.borrow_mut().remove(&pool_name("tenant-1"));
    for _ in 0..5 {
        platform.check(&keys[0]).unwrap();
    }
    tell_pool(&platform, per_minute(2), 0);
    platform.pass_time(5 * SECOND);
    platform.check(&keys[0]).unwrap();
    platform.check(&keys[0]).unwrap();
    assert!(is_of_tenant(&platform.denial(&keys[0])));
}

#[test]
fn an_object_that_holds_an_older_pool_than_the_log_names_goes_on_with_that() {
    let (platform, keys) = with_pool(per_minute(2), Limits::default(), 1);
    platform.log(Change::Tenant { number: 1, tenant: tenant(Some(per_minute(9))) });
    platform.check(&keys[0]).unwrap();
    platform.check(&keys[0]).unwrap();
    assert!(is_of_tenant(&platform.denial(&keys[0])));
}

#[test]
fn the_rate_limit_fields_name_the_windows_of_both() {
    let (platform, keys) = with_pool(per_minute(4), per_minute(2), 1);
    let accepted = platform.check(&keys[0]).unwrap();
    let [(_, policy), (_, left)] = <[_; 2]>::try_from(rate_limit_headers(&accepted.windows)).unwrap();
    assert_eq!(policy, "\"minute\";q=2;w=60, \"tenant-minute\";q=4;w=60");
    assert!(left.starts_with("\"minute\";r=1;t=") && left.contains(", \"tenant-minute\";r=3;t="), "{left}");
}

#[test]
fn usage_is_counted_at_the_key_only() {
    let (platform, keys) = with_pool(per_minute(9), per_minute(9), 1);
    for _ in 0..3 {
        strictly(&platform, &keys[0]).unwrap();
    }
    let now = platform.clock.now();
    let gates = platform.gates.borrow();
    let usage = gates[&platform.hash(&keys[0])].report(now).unwrap();
    assert_eq!(usage.hours.iter().map(|hour| hour.accepted).sum::<u64>(), 3);
}

#[test]
fn requests_in_flight_of_all_keys_together_are_told_as_the_tenants() {
    let pool = Limits { in_flight: Some(1), per_minute: Some(100), ..Limits::default() };
    let (platform, keys) = with_pool(pool, per_minute(50), 2);
    let ask = |key: &Secret| {
        let bearer = format!("Bearer {}", key.expose());
        let fields = [("authorization", bearer.as_str()), ("cf-connecting-ip", "192.0.2.1")];
        let url = "https://api.example/api/orders";
        let request = Request { url, fields: &fields, ..Request::default() };
        let Outcome::Answer(refused) = platform.handle(&POLICY, &request).outcome else { return None };
        Some(refused)
    };
    assert_eq!(ask(&keys[0]), None);
    let refused = ask(&keys[1]).unwrap();
    assert!(refused.body.contains("All keys of this organisation together have 1 request in flight"));
    assert!(refused.body.contains(r#"["tenant-in-flight"]"#), "{}", refused.body);
    let (_, left) = refused.headers.iter().find(|(name, _)| *name == "RateLimit").unwrap();
    assert!(left.starts_with(r#""tenant-minute";r=99"#), "{left}");
}
