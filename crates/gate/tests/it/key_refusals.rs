//! Refusals of a key: what they cost, who is told, how long they are remembered.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Limits, Record},
    time::{SECOND, Span},
};
use keyward_gate::denial::Denial;
use keyward_limits::{lease, wire::RefusalCounts};
use keyward_testing::{fake_platform::published, policy::POLICY, record};

#[test]
fn a_refusal_other_than_of_a_limit_costs_no_quota() {
    let limited = Record { limits: Limits { per_minute: Some(1), ..Limits::default() }, ..record() };
    let (platform, key) = published(&Record { scopes: vec!["admin:read".into()], ..limited.clone() });
    for _ in 0..10 {
        assert!(matches!(platform.denial(&key), Denial::InsufficientScope { .. }));
    }
    platform.tell(&key, &Record { version: 2, ..limited });
    platform.pass_time(6 * SECOND);
    assert!(platform.check(&key).is_ok());
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
}

#[test]
fn refusals_of_a_key_reach_its_object_with_the_next_request_that_asks_it() {
    let (platform, key) = published(&Record { scopes: vec!["admin:read".into()], ..record() });
    for _ in 0..3 {
        assert!(platform.check(&key).is_err());
    }
    platform.tell(&key, &Record { version: 2, ..record() });
    platform.pass_time(6 * SECOND);
    platform.check(&key).unwrap();
    let gates = platform.gates.borrow();
    let report = gates[&platform.hash(&key)].report(platform.clock.now()).unwrap();
    let refused: RefusalCounts = [("INSUFFICIENT_SCOPE".to_owned(), 3)].into();
    assert_eq!((report.hours[0].accepted, &report.hours[0].refused), (1, &refused));
    assert_eq!(report.last_used_at, Some(platform.clock.now()));
}

#[test]
fn a_full_window_is_remembered_so_that_hammering_costs_nothing_and_still_ends_on_time() {
    let limited = Record { limits: Limits { per_minute: Some(1), ..Limits::default() }, ..record() };
    let (platform, key) = published(&limited);
    platform.check(&key).unwrap();
    platform.asked();
    // The object has said with the last request that fits that the window is full, and for a second nobody asks again.
    let Denial::RateLimited { retry_after: at_once, .. } = platform.denial(&key) else { panic!() };
    assert_eq!(platform.asked(), Vec::<String>::new());
    platform.pass_time(SECOND);
    let Denial::RateLimited { retry_after: first, .. } = platform.denial(&key) else { panic!() };
    assert_eq!(first, at_once - SECOND);
    assert_eq!(platform.asked(), ["Coordinator take"]);
    platform.pass_time(SECOND);
    let Denial::RateLimited { retry_after, windows, .. } = platform.denial(&key) else { panic!() };
    assert_eq!((retry_after, windows[0].reset), (first - SECOND, first - SECOND));
    assert_eq!(platform.asked(), Vec::<String>::new());
    let hold = lease::FULL_BY_COORDINATOR;
    platform.pass_time(first - SECOND - hold);
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
    platform.pass_time(hold);
    assert!(platform.check(&key).is_ok());
}

#[test]
fn a_request_that_fits_after_a_moment_is_not_refused_since_few_others_would() {
    let limited = Record { limits: Limits { per_minute: Some(2), ..Limits::default() }, ..record() };
    let (platform, key) = published(&limited);
    for _minute in 0..3 {
        platform.check(&key).unwrap();
        platform.check(&key).unwrap();
        let Denial::RateLimited { retry_after, .. } = platform.denial(&key) else { panic!() };
        platform.pass_time(retry_after);
    }
}

#[test]
fn each_of_several_clients_that_were_told_to_come_back_passes_then() {
    let limited = Record { limits: Limits { per_minute: Some(3), ..Limits::default() }, ..record() };
    let (platform, key) = published(&limited);
    for after in [0, 200, 500] {
        platform.pass_time(Span::from_ms(after));
        platform.check(&key).unwrap();
    }
    platform.pass_time(Span::from_ms(58_400));
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }), "back in a second, at 60.1 s");
    platform.pass_time(Span::from_ms(300));
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }), "back in a second, at 60.4 s");
    platform.pass_time(Span::from_ms(700));
    let came = platform.clock.now();
    platform.check(&key).unwrap();
    platform.pass_time(Span::from_ms(300) - (platform.clock.now() - came));
    platform.check(&key).unwrap();
}

#[test]
fn a_higher_limit_ends_a_remembered_refusal_within_the_freshness_bound() {
    let limited = Record { limits: Limits { per_minute: Some(1), ..Limits::default() }, ..record() };
    let (platform, key) = published(&limited);
    platform.check(&key).unwrap();
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
    platform.tell(&key, &Record { version: 2, ..record() });
    platform.pass_time(POLICY.realms[0].freshness);
    assert!(platform.check(&key).is_ok());
}
