//! Leases of slots that are still taken.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Cost, Limits},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::Coordinator,
    lease::{Grantor, Lessee},
    timing::{LONG_LEASE, MAX_DELAY},
    wire::{Acquire, Acquired, Lease, RouteHint, Tally},
};
use keyward_testing::NOON;

use crate::common::{MINUTE, ON_THE_WAY, coordinator, limited, ms, one};

fn at(milliseconds: i64) -> Timestamp {
    NOON + ms(milliseconds)
}

/// A request of an isolate that may be granted later slots.
fn of(isolate: u32, now: Timestamp) -> Acquire {
    let tally = Some(Tally { teller: isolate.into(), sent: now, ..Tally::default() });
    let (lease_length, may_defer) = (LONG_LEASE, true);
    Acquire { wants_for_long: 2, lease_length, may_defer, client_id: isolate, tally, ..one(1) }
}

/// A key of which these requests came a second apart.
fn full(limit: u32) -> Coordinator {
    let mut key = coordinator(Some(limit), None);
    for number in 0..limit {
        let asks = Acquire { lease_length: Span::ZERO, ..of(1, at(i64::from(number) * 1_000)) };
        assert!(matches!(key.acquire(&asks, at(i64::from(number) * 1_000)), Acquired::Granted { .. }));
    }
    key
}

/// When a lease that a refused request brought opens, by the coordinator's clock.
fn deferred(key: &mut Coordinator, asks: &Acquire, now: Timestamp) -> Vec<Timestamp> {
    let acquired = key.acquire(asks, now);
    assert!(matches!(acquired, Acquired::Limited { .. }), "{acquired:?}");
    acquired.lease().map_or_else(Vec::new, |lease| lease.opens.iter().map(|wait| now + *wait).collect())
}

#[test]
fn whoever_is_refused_gets_the_next_slots_and_nobody_else_the_same_ones() {
    let mut key = full(16);
    let now = at(30_000);
    let first = deferred(&mut key, &of(1, now), now);
    let opens = at(MINUTE + ON_THE_WAY);
    assert_eq!(first, [opens, opens + ms(1_000)]);
    let Acquired::Limited { retry_after, .. } = key.acquire(&Acquire { may_defer: false, ..of(2, now) }, now)
    else {
        panic!()
    };
    assert_eq!(now + retry_after + ms(ON_THE_WAY), opens + ms(2_000), "the third one to leave");
}

#[test]
fn a_client_is_told_the_moment_from_which_on_it_is_delayed_until_its_slot_opens() {
    let mut key = full(16);
    let Acquired::Limited { retry_after, lease: Some(lease), .. } =
        key.acquire(&of(1, at(30_000)), at(30_000))
    else {
        panic!()
    };
    assert_eq!(retry_after + MAX_DELAY, lease.opens[0]);
}

#[test]
fn what_is_deferred_and_unused_is_never_more_than_an_eighth_of_a_limit_or_one_of_a_small_one() {
    for (limit, most) in [(4, 0), (5, 1), (15, 1), (40, 5), (400, 50)] {
        let mut key = full(limit.min(40));
        let raised = Limits { per_minute: Some(limit), ..Limits::default() };
        if limit > 40 {
            key = limited(raised);
            for _ in 0..limit {
                key.acquire(&Acquire { lease_length: Span::ZERO, ..of(1, at(0)) }, at(0));
            }
        }
        let mut opens = Vec::new();
        for _ in 0..100 {
            let asks = Acquire { wants: 20, ..of(1, at(45_000)) };
            opens.append(&mut deferred(&mut key, &asks, at(45_000)));
        }
        assert_eq!(opens.len(), most, "of {limit}");
    }
}

#[test]
fn of_several_isolates_only_those_with_many_requests_get_later_slots() {
    let mut key = full(40);
    let now = at(45_000);
    assert_eq!(deferred(&mut key, &of(1, now), now).len(), 2);
    let mut key = full(40);
    assert_eq!(deferred(&mut key, &Acquire { may_defer: false, ..of(2, now) }, now), []);
    assert_eq!(deferred(&mut key, &of(1, now), now), []);
    // An equal share of the five.
    assert_eq!(deferred(&mut key, &Acquire { wants: 6, ..of(1, now) }, now).len(), 2);
}

#[test]
fn older_builds_strict_keys_crowds_and_dear_requests_get_no_later_slots() {
    let now = at(45_000);
    let none = [
        Acquire { may_defer: false, ..of(1, now) },
        Acquire { lease_length: Span::ZERO, ..of(1, now) },
        Acquire { isolates: 3, ..of(1, now) },
        Acquire { cost: Cost::new(2), ..of(1, now) },
    ];
    for asks in none {
        assert_eq!(deferred(&mut full(40), &asks, now), [], "{asks:?}");
    }
}

#[test]
fn what_would_be_lost_for_a_month_for_good_or_for_many_seconds_is_not_reserved() {
    for limits in [
        Limits { per_minute: Some(40), per_month: Some(40_000), ..Limits::default() },
        Limits { per_minute: Some(40), total: Some(40_000), ..Limits::default() },
        Limits { per_minute: Some(40), per_second: Some(40), ..Limits::default() },
    ] {
        let mut key = limited(limits);
        for _ in 0..40 {
            key.acquire(&Acquire { lease_length: Span::ZERO, ..of(1, at(0)) }, at(0));
        }
        assert_eq!(deferred(&mut key, &of(1, at(45_000)), at(45_000)), []);
    }
}

fn held(opens: &[i64]) -> Lessee {
    let opens: Vec<Span> = opens.iter().map(|wait| ms(*wait)).collect();
    let requests = u32::try_from(opens.len()).unwrap() + 1;
    let lease = Lease { id: 1, requests, length: ms(20_000), opens };
    let mut lessee = Lessee::default();
    lessee.add_lease(Grantor::Coordinator, &lease, RouteHint::default(), at(0), at(100));
    lessee
}

#[test]
fn an_isolate_uses_each_unit_only_once_it_opens_counted_from_the_answer() {
    let mut lessee = held(&[2_000, 3_000]);
    assert!(lessee.consume(Cost::ONE, at(100)).is_some());
    assert_eq!(lessee.opens_in(Cost::ONE, at(100)), Some(ms(2_000)));
    assert!(lessee.consume(Cost::ONE, at(2_099)).is_none());
    assert!(lessee.consume(Cost::ONE, at(2_100)).is_some());
    assert!(lessee.consume(Cost::ONE, at(3_099)).is_none());
    assert!(lessee.consume(Cost::ONE, at(3_100)).is_some());
    assert_eq!(lessee.opens_in(Cost::ONE, at(3_100)), None);
}

#[test]
fn a_dearer_request_waits_for_as_many_units_as_it_costs() {
    let lessee = held(&[2_000, 3_000]);
    assert_eq!(lessee.opens_in(Cost::new(3), at(100)), Some(ms(3_000)));
    assert_eq!(lessee.opens_in(Cost::new(4), at(100)), None);
}

#[test]
fn a_unit_that_opens_after_its_lease_has_ended_is_never_used() {
    let lessee = held(&[2_000, 19_950]);
    assert_eq!(lessee.opens_in(Cost::new(2), at(19_999)), Some(ms(0)));
    assert_eq!(lessee.opens_in(Cost::new(3), at(19_999)), None);
}

#[test]
fn a_clock_that_is_set_back_opens_nothing_earlier() {
    let mut lessee = held(&[2_000]);
    lessee.consume(Cost::ONE, at(100)).unwrap();
    // By the right time it is 1,300 by then.
    lessee.set_back(ms(200));
    assert_eq!(lessee.opens_in(Cost::ONE, at(1_100)), Some(ms(800)));
    let mut lessee = held(&[2_000]);
    lessee.set_back(ms(1_000));
    assert_eq!(lessee.opens_in(Cost::ONE, at(5_000)), None);
}

#[test]
fn what_a_client_sees_as_left_is_what_it_may_use_now() {
    use keyward_limits::limit::{Window, WindowState};
    let mut lessee = held(&[2_000]);
    let state =
        WindowState { window: Window::Minute, limit: 9, remaining: 0, reset: ms(9_000), of_tenant: false };
    lessee.update_windows(&[state], at(0));
    let seen = |lessee: &Lessee, now| {
        let state = lessee.windows(at(now))[0];
        (state.remaining, state.reset.ms())
    };
    assert_eq!(seen(&lessee, 100), (1, 8_900));
    lessee.consume(Cost::ONE, at(100)).unwrap();
    assert_eq!(seen(&lessee, 100), (0, 1_250));
    // As at the object, what opens within 750 ms counts as free.
    assert_eq!(seen(&lessee, 1_350), (1, 7_650));
}
