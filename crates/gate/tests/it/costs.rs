//! What a request counts as: all of its units or none, in every window of its key.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::RefCell, rc::Rc};

use keyward_core::{
    record::{Cost, Limits, Record},
    secret::Secret,
    time::{MINUTE, SECOND, Span},
};
use keyward_gate::{
    denial::Denial,
    pipeline::{Accepted, Refused},
    refusal::refuse,
};
use keyward_limits::{lease::Grantor, wire::CoordinatorCall};
use keyward_policy::{KeyRequirement, LimitsUnavailable, Realm};
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Fault, READ, published},
    policy::POLICY,
    record,
};
use proptest::prelude::*;

fn limited(per_minute: u32) -> (FakePlatform, Secret) {
    published(&Record { limits: Limits { per_minute: Some(per_minute), ..Limits::default() }, ..record() })
}

fn check(platform: &FakePlatform, realm: &Realm, key: &Secret, cost: u32) -> Result<Accepted, Refused> {
    let requirement = KeyRequirement { cost: Cost::new(cost), ..READ };
    platform.check_for(realm, &requirement, key, CALLER)
}

fn ask(platform: &FakePlatform, key: &Secret, cost: u32) -> Result<Accepted, Denial> {
    check(platform, &POLICY.realms[0], key, cost).map_err(|refused| refused.denial)
}

fn passes(platform: &FakePlatform, key: &Secret, cost: u32) -> bool {
    match ask(platform, key, cost) {
        Ok(accepted) => {
            platform.do_chores(&accepted);
            true
        }
        Err(Denial::RateLimited { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn of_a_limit_of_twenty_four_requests_pass_that_cost_five() {
    let (platform, key) = limited(20);
    assert_eq!((0..9).filter(|_| passes(&platform, &key, 5)).count(), 4);
    assert!(!passes(&platform, &key, 1));
    let gates = platform.gates.borrow();
    let report = gates[&platform.hash(&key)].report(platform.clock.now()).unwrap();
    assert!(report.hours[0].accepted <= 4, "usage counts requests, not units");
}

#[test]
fn a_request_that_is_too_dear_is_told_when_it_fits_and_keeps_no_cheaper_one_out() {
    let (platform, key) = limited(20);
    assert!((0..3).all(|_| passes(&platform, &key, 6)));
    platform.pass_time(10 * SECOND);
    let Err(Denial::RateLimited { windows, cost, retry_after }) = ask(&platform, &key, 6) else { panic!() };
    assert_eq!((windows[0].remaining, cost), (2, Cost::new(6)));
    platform.asked();
    let Err(denial) = ask(&platform, &key, 6) else { panic!() };
    assert!(ask(&platform, &key, 7).is_err());
    assert_eq!(platform.asked(), Vec::<String>::new(), "what is known to be full is not asked for again");
    let answer = refuse(&denial, Some(&POLICY.realms[0]), "1");
    assert!(answer.body.contains("counts as 6") && answer.body.contains(r#""violatedPolicies":["minute"]"#));
    assert!(answer.headers.iter().any(|(name, value)| *name == "RateLimit" && value.contains(";r=2;")));
    assert!(passes(&platform, &key, 1) && passes(&platform, &key, 1) && !passes(&platform, &key, 1));
    assert!(retry_after <= MINUTE);
    platform.pass_time(retry_after);
    assert!(passes(&platform, &key, 6));
}

#[test]
fn what_a_lease_has_left_that_is_too_little_is_given_back_for_a_dear_request() {
    let (platform, key) = limited(24);
    assert!(ask(&platform, &key, 1).unwrap().windows[0].remaining == 23);
    assert!(ask(&platform, &key, 23).is_ok(), "also what is left of its lease");
    assert!(!passes(&platform, &key, 1));
}

#[test]
fn what_costs_more_than_the_limit_is_refused_without_a_time_to_come_back_at() {
    let (platform, key) = limited(4);
    let denial = ask(&platform, &key, 5).unwrap_err();
    assert_eq!(denial.retry_after(), None);
    let answer = refuse(&denial, Some(&POLICY.realms[0]), "1");
    assert!(answer.body.contains("Waiting does not help"), "{}", answer.body);
    assert!(answer.headers.contains(&("X-Should-Retry", "false".to_owned())));
    assert!((0..4).all(|_| passes(&platform, &key, 1)), "nothing was counted");
}

#[test]
fn a_relay_counts_what_a_request_costs() {
    let (platform, key) = limited(4_000);
    assert!(passes(&platform, &key, 1));
    platform.gather(&key);
    platform.pass_time(10 * SECOND);
    assert!((0..40).all(|_| passes(&platform, &key, 50)));
    assert!(platform.asked().iter().any(|asked| asked.contains(&format!("{:?}", Grantor::Relay))));
    assert_eq!((0..90).filter(|_| passes(&platform, &key, 50)).count(), 39, "1 + 79 * 50 of 4,000");
}

#[test]
fn an_object_of_an_older_build_counts_one_and_the_request_does_not_pass() {
    const OLDER: &str = r#"{"outcome":"granted","windows":[],"waitMs":0,"place":1900000000000,"lease":null,"via":{"relay":false,"ageMs":0}}"#;
    let (platform, key) = limited(20);
    platform.gate_fault.set(Some(Fault::Says(OLDER)));
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&calls);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, _| {
        if let CoordinatorCall::Acquire(call) = call {
            seen.borrow_mut().push((call.call, call.cancelled_call));
        }
    }));
    assert_eq!(ask(&platform, &key, 5).unwrap_err(), Denial::StoreUnavailable { store: "KeyGate" });
    assert!(passes(&platform, &key, 1));
    let calls = calls.borrow();
    assert_eq!((calls[0].1, calls[1].1), (0, calls[0].0), "what it counted is taken back");
}

#[test]
fn the_fallback_limit_counts_units() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..POLICY.realms[0] };
    let (platform, key) = limited(120);
    platform.gate_fault.set(Some(Fault::Fails));
    let admitted = |cost| (0..9).filter(|_| check(&platform, &local, &key, cost).is_ok()).count();
    assert_eq!((admitted(5), admitted(1), admitted(1)), (2, 2, 0), "a tenth of 120");
    platform.gate_fault.set(None);
    platform.pass_time(10 * SECOND);
    assert_eq!(check(&platform, &local, &key, 5).unwrap().windows[0].remaining, 120 - 12 - 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_costs_are_mixed_no_minute_has_more_units_than_the_limit(
        limit in 5_u32..60,
        requests in proptest::collection::vec((0_i64..4_000, 1_u32..9), 1..120),
    ) {
        let (platform, key) = limited(limit);
        let mut arrived: Vec<(i64, u32)> = Vec::new();
        for (gap, cost) in requests {
            platform.pass_time(Span::from_ms(gap));
            let accepted = ask(&platform, &key, cost);
            let now = platform.clock.now().0;
            if let Ok(accepted) = accepted {
                arrived.push((now, cost));
                platform.do_chores(&accepted);
            }
            let units: u32 = arrived.iter().filter(|(at, _)| now - at < MINUTE.ms()).map(|one| one.1).sum();
            prop_assert!(units <= limit, "{units} of {limit}");
        }
    }
}
