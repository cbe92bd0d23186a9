//! What an isolate does with its leases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{record::Cost, time::Timestamp};
use keyward_limits::{
    lease::{Grantor, Lessee},
    limit::{Window, WindowState},
    timing::LONG_LEASE,
    wire::{Acquire, Lease, RouteHint},
};
use keyward_testing::NOON;

use crate::common::ms;

/// Milliseconds after the first moment.
fn at(milliseconds: i64) -> Timestamp {
    NOON + ms(milliseconds)
}

#[test]
fn calls_on_an_older_version_make_nobody_wait() {
    let now = NOON;
    let mut lessee = Lessee::default();
    lessee.plan_call(Grantor::Coordinator, ms(4_750), now);
    assert!(lessee.has_call_in_flight(now));
    lessee.reset();
    assert!(!lessee.has_call_in_flight(now));
}

#[test]
fn what_a_client_is_told_is_left_does_not_fall_and_rise_when_a_lease_ends_unused() {
    let state = WindowState {
        window: Window::Minute,
        limit: 100,
        remaining: 90,
        reset: ms(60_000),
        of_tenant: false,
    };
    let mut lessee = Lessee::default();
    let left = |lessee: &Lessee, after| lessee.windows(at(after))[0].remaining;
    lessee.update_windows(&[state], at(0));
    lessee.add_lease(
        Grantor::Coordinator,
        &Lease { id: 1, requests: 10, length: ms(4_750), ..Lease::default() },
        RouteHint::default(),
        at(0),
        at(0),
    );
    assert_eq!(left(&lessee, 0), 100);
    for _ in 0..4 {
        lessee.consume(Cost::ONE, at(100)).unwrap();
    }
    assert_eq!((left(&lessee, 100), left(&lessee, 4_760)), (96, 96));
    let report = lessee.end_lease(Grantor::Coordinator, 1, at(4_275)).unwrap();
    assert_eq!((report.used, report.open, left(&lessee, 4_275)), (4, 0, 96));
    lessee.report_acked(Grantor::Coordinator, &[report]);
    assert_eq!(left(&lessee, 4_300), 96);
    lessee.update_windows(&[WindowState { remaining: 80, ..state }], at(5_000));
    assert_eq!(left(&lessee, 5_000), 80);
}

#[test]
fn a_clock_that_is_set_back_ends_leases() {
    let mut lessee = Lessee::default();
    lessee.add_lease(
        Grantor::Coordinator,
        &Lease { id: 1, requests: 10, length: ms(4_750), ..Lease::default() },
        RouteHint::default(),
        at(0),
        at(0),
    );
    assert!(lessee.consume(Cost::ONE, at(2_000)).is_some());
    lessee.set_back(ms(1_000));
    assert!(lessee.consume(Cost::ONE, at(1_000)).is_none());
    assert!(lessee.consume(Cost::ONE, at(2_000)).is_none());
}

#[test]
fn what_is_left_is_believed_of_the_latest_answer_also_after_a_clock_was_set_back() {
    for back in [1, 250, 251, 59_999, 3_600_000] {
        let state = |remaining| WindowState {
            window: Window::Minute,
            limit: 100,
            remaining,
            reset: ms(60_000),
            of_tenant: false,
        };
        let mut lessee = Lessee::default();
        lessee.note_arrival(Cost::ONE, at(0));
        lessee.update_windows(&[state(90)], at(0));
        lessee.set_back(ms(back));
        lessee.note_arrival(Cost::ONE, at(-back));
        lessee.update_windows(&[state(80)], at(-back));
        assert_eq!(lessee.windows(at(-back))[0].remaining, 80, "{back}");
        lessee.update_windows(&[state(85)], at(-back - 1));
        assert_eq!(lessee.windows(at(-back))[0].remaining, 80, "an older one, that came later");
    }
}

#[test]
fn a_clock_that_is_set_back_again_and_again_by_a_little_makes_no_lease_longer() {
    let mut lessee = Lessee::default();
    lessee.add_lease(
        Grantor::Coordinator,
        &Lease { id: 1, requests: 1_000, length: ms(4_750), ..Lease::default() },
        RouteHint::default(),
        at(0),
        at(0),
    );
    // Every 100 ms it is looked at, set back by 40, and looked at again.
    let mut passed = 0;
    for moment in (0..10_000).step_by(100) {
        let clock = moment - moment / 100 * 40;
        for (clock, back) in [(clock, 0), (clock - 40, 40)] {
            lessee.set_back(ms(back));
            let passes = lessee.consume(Cost::ONE, at(clock)).is_some();
            assert!(!passes || moment < 4_750, "after {moment} ms");
            passed += i32::from(passes);
        }
    }
    assert!(passed > 90, "it is not given up: {passed}");
}

/// When it asks for more, of requests at this pace under a lease of this many: each number of a request that does.
fn renewals(requests: u32, via: RouteHint, pace: i64) -> Vec<i64> {
    let mut lessee = Lessee::default();
    lessee.add_lease(
        Grantor::Coordinator,
        &Lease { id: 1, requests, length: LONG_LEASE, ..Lease::default() },
        via,
        NOON,
        NOON,
    );
    let renews = |number: &i64| lessee.consume(Cost::ONE, at(number * pace)).unwrap().renew;
    (0..i64::from(requests)).filter(renews).collect()
}

#[test]
fn more_is_asked_for_once_when_a_quarter_of_a_large_lease_is_left_or_what_a_small_one_is_needed_for_meanwhile()
 {
    let via = RouteHint::default();
    assert_eq!(renewals(40, via, 1), [29]);
    // Ten seconds lie between any two: what is left lasts until another one is there.
    assert_eq!(renewals(8, via, 10_000), [7]);
    // A call may be lost, which takes two seconds to be seen.
    assert_eq!(renewals(20, via, 1_000), [15]);
    assert_eq!(renewals(8, via, 20), [3], "as of a burst, at half of it");
    assert_eq!(renewals(8, RouteHint { hold: ms(1), ..via }, 20), [0_i64; 0], "no more is free");
}

#[test]
fn a_renewal_that_is_not_answered_is_made_again() {
    let mut lessee = Lessee::default();
    let lease = Lease { id: 1, requests: 8, length: LONG_LEASE, ..Lease::default() };
    lessee.add_lease(Grantor::Coordinator, &lease, RouteHint::default(), NOON, NOON);
    let renews = |lessee: &mut Lessee| (0..2).any(|_| lessee.consume(Cost::ONE, at(1)).unwrap().renew);
    assert!(!renews(&mut lessee) && renews(&mut lessee) && !renews(&mut lessee));
    lessee.end_call(at(1), &Acquire::default(), false, false);
    assert!(renews(&mut lessee));
}

#[test]
fn a_few_requests_for_minutes_are_as_many_as_the_time_since_the_last_lease_says() {
    let wish =
        |lessee: &mut Lessee, now| lessee.plan_call(Grantor::Coordinator, LONG_LEASE, now).wants_for_long;
    assert_eq!(wish(&mut Lessee::default(), NOON), 2, "nothing is known");
    for (used, after, wants) in [(1, 60_000, 2), (3, 30_000, 6), (3, 179_000, 3), (8, 8_000, 20)] {
        let mut lessee = Lessee::default();
        let lease = Lease { id: 1, requests: 10, length: LONG_LEASE, ..Lease::default() };
        lessee.add_lease(Grantor::Coordinator, &lease, RouteHint::default(), NOON, NOON);
        for _ in 0..used {
            lessee.consume(Cost::ONE, NOON).unwrap();
        }
        assert_eq!(wish(&mut lessee, at(after)), wants, "{used} in {after} ms");
    }
    let short = Lessee::default().plan_call(Grantor::Coordinator, ms(4_750), NOON);
    assert_eq!(short.wants_for_long, 0, "what counts for a short time is asked for by the second");
}

#[test]
fn what_a_renewed_lease_will_hardly_be_used_for_is_given_back_with_the_call_that_renews_it() {
    let state = WindowState {
        window: Window::Minute,
        limit: 600,
        remaining: 570,
        reset: ms(60_000),
        of_tenant: false,
    };
    let mut lessee = Lessee::default();
    lessee.update_windows(&[state], at(0));
    let lease = Lease { id: 1, requests: 30, length: ms(4_750), ..Lease::default() };
    lessee.add_lease(Grantor::Coordinator, &lease, RouteHint::default(), at(0), at(0));
    // Five requests a second.
    let renews = (0..19).map(|number| lessee.consume(Cost::ONE, at(number * 200)).unwrap().renew);
    assert_eq!(renews.filter(|renews| *renews).count(), 1);
    let report = lessee.report(Grantor::Coordinator, at(3_600));
    // At this rate it would be used for six more.
    assert_eq!((report[0].used, report[0].open), (19, 4));
    let left = |lessee: &Lessee| lessee.windows(at(3_600))[0].remaining;
    assert_eq!(left(&lessee), 581, "what is given back is still the client's");
    lessee.report_acked(Grantor::Coordinator, &report);
    assert_eq!(left(&lessee), 581);
    for number in 19..23 {
        assert!(lessee.consume(Cost::ONE, at(number * 200)).is_some());
    }
    assert!(lessee.consume(Cost::ONE, at(4_600)).is_none(), "it was given up before it was reported");
    assert_eq!(
        lessee.end_lease(Grantor::Coordinator, 1, at(4_700)),
        None,
        "nothing is left to be given back"
    );
}

#[test]
fn a_request_is_admitted_under_the_first_lease_that_has_enough_left_for_it() {
    let mut lessee = Lessee::default();
    for (id, requests) in [(1, 4), (2, 12)] {
        let lease = Lease { id, requests, length: LONG_LEASE, ..Lease::default() };
        lessee.add_lease(Grantor::Coordinator, &lease, RouteHint::default(), at(0), at(0));
    }
    let five = Cost::new(5);
    assert!(lessee.consume(five, at(1)).is_some() && lessee.consume(five, at(2)).is_some());
    assert!(lessee.consume(five, at(3)).is_none(), "six are left, but four and two");
    assert_eq!((0..9).filter(|_| lessee.consume(Cost::ONE, at(4)).is_some()).count(), 6);
    let used =
        lessee.report(Grantor::Coordinator, at(5)).iter().map(|report| report.used).collect::<Vec<_>>();
    assert_eq!(used, [4, 12]);
}

#[test]
fn what_waits_and_what_is_expected_is_asked_for_in_units() {
    let mut lessee = Lessee::default();
    for _ in 0..4 {
        lessee.note_arrival(Cost::new(5), at(0));
    }
    lessee.note_arrival(Cost::ONE, at(210));
    lessee.enqueue(Cost::new(7), at(210));
    lessee.enqueue(Cost::ONE, at(210));
    lessee.enqueue(Cost::new(3), at(210));
    lessee.dequeue(Cost::ONE, at(210));
    let wish = lessee.plan_call(Grantor::Coordinator, ms(4_750), at(210));
    assert_eq!((wish.queued, wish.wants), (10, 42), "twice what came lately: 21 units");
}

/// It was granted when nothing more was free, and requests that wait for it have not used it yet.
#[test]
fn a_lease_that_has_just_come_is_not_given_back_by_the_next_call() {
    let mut lessee = Lessee::default();
    let via = RouteHint { hold: ms(1_000), ..RouteHint::default() };
    let lease = Lease { id: 1, requests: 400, length: ms(4_750), ..Lease::default() };
    lessee.add_lease(Grantor::Coordinator, &lease, via, at(0), at(40));
    assert_eq!(lessee.report(Grantor::Coordinator, at(44))[0].open, 400);
}
