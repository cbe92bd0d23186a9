//! What an isolate does with its leases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{Span, Timestamp};
use keyward_limits::{
    lease::{Grantor, Lessee},
    limit::{Window, WindowState},
    wire::Lease,
};
use keyward_testing::NOON;

use crate::common::ms;

/// Milliseconds after the first moment.
fn at(milliseconds: i64) -> Timestamp {
    NOON + ms(milliseconds)
}

#[test]
fn a_route_with_a_shorter_freshness_uses_a_lease_for_a_shorter_time() {
    let mut lessee = Lessee::default();
    // The relay's confirmation was 1 s old when it granted this.
    lessee.add_lease(Grantor::Relay, Lease { id: 1, requests: 10, length: ms(3_750) }, ms(1_000), at(0));
    assert!(lessee.consume(ms(2_750), at(1_749)).is_some());
    assert!(lessee.consume(ms(2_750), at(1_750)).is_none());
    assert!(lessee.consume(ms(4_750), at(3_749)).is_some());
    assert!(lessee.consume(ms(4_750), at(3_750)).is_none());
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
    let state = WindowState { window: Window::Minute, limit: 100, remaining: 90, reset: ms(60_000) };
    let mut lessee = Lessee::default();
    let left = |lessee: &Lessee, after| lessee.windows(at(after))[0].remaining;
    lessee.update_windows(&[state], at(0));
    lessee.add_lease(
        Grantor::Coordinator,
        Lease { id: 1, requests: 10, length: ms(4_750) },
        Span::ZERO,
        at(0),
    );
    assert_eq!(left(&lessee, 0), 100);
    for _ in 0..4 {
        lessee.consume(ms(4_750), at(100)).unwrap();
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
        Lease { id: 1, requests: 10, length: ms(4_750) },
        Span::ZERO,
        at(0),
    );
    assert!(lessee.consume(ms(4_750), at(2_000)).is_some());
    assert!(lessee.consume(ms(4_750), at(1_000)).is_none());
    assert!(lessee.consume(ms(4_750), at(2_000)).is_none());
}

#[test]
fn what_is_left_is_believed_of_the_latest_answer_also_after_a_clock_was_set_back() {
    for back in [1, 250, 251, 59_999, 3_600_000] {
        let state =
            |remaining| WindowState { window: Window::Minute, limit: 100, remaining, reset: ms(60_000) };
        let mut lessee = Lessee::default();
        lessee.note_arrival(at(0));
        lessee.update_windows(&[state(90)], at(0));
        lessee.note_arrival(at(-back));
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
        Lease { id: 1, requests: 1_000, length: ms(4_750) },
        Span::ZERO,
        at(0),
    );
    // Every 100 ms it is looked at, set back by 40, and looked at again.
    let mut passed = 0;
    for moment in (0..10_000).step_by(100) {
        let clock = moment - moment / 100 * 40;
        for clock in [clock, clock - 40] {
            let passes = lessee.consume(ms(4_750), at(clock)).is_some();
            assert!(!passes || moment < 4_750, "after {moment} ms");
            passed += i32::from(passes);
        }
    }
    assert!(passed > 90, "it is not given up: {passed}");
}

#[test]
fn more_is_asked_for_when_a_quarter_of_a_lease_is_left() {
    let now = NOON;
    let mut lessee = Lessee::default();
    lessee.add_lease(Grantor::Coordinator, Lease { id: 1, requests: 20, length: ms(4_750) }, Span::ZERO, now);
    let renews: Vec<bool> = (0..20).map(|_| lessee.consume(ms(4_750), now).unwrap().renew).collect();
    assert_eq!(renews.iter().position(|renews| *renews), Some(14));
    assert_eq!(renews.iter().filter(|renews| **renews).count(), 1);
}

#[test]
fn what_a_renewed_lease_will_hardly_be_used_for_is_given_back_with_the_call_that_renews_it() {
    let state = WindowState { window: Window::Minute, limit: 600, remaining: 570, reset: ms(60_000) };
    let mut lessee = Lessee::default();
    lessee.update_windows(&[state], at(0));
    let lease = Lease { id: 1, requests: 30, length: ms(4_750) };
    lessee.add_lease(Grantor::Coordinator, lease, Span::ZERO, at(0));
    // Five requests a second.
    let renews = (0..19).map(|number| lessee.consume(ms(4_750), at(number * 200)).unwrap().renew);
    assert_eq!(renews.filter(|renews| *renews).count(), 1);
    let report = lessee.report(Grantor::Coordinator, at(3_600));
    // At this rate it would be used for six more.
    assert_eq!((report[0].used, report[0].open), (19, 4));
    let left = |lessee: &Lessee| lessee.windows(at(3_600))[0].remaining;
    assert_eq!(left(&lessee), 581, "what is given back is still the client's");
    lessee.report_acked(Grantor::Coordinator, &report);
    assert_eq!(left(&lessee), 581);
    for number in 19..23 {
        assert!(lessee.consume(ms(4_750), at(number * 200)).is_some());
    }
    assert!(lessee.consume(ms(4_750), at(4_600)).is_none(), "it was given up before it was reported");
    assert_eq!(
        lessee.end_lease(Grantor::Coordinator, 1, at(4_700)),
        None,
        "nothing is left to be given back"
    );
}
