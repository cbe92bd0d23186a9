//! Windows: never over, exact on an idle key, `Retry-After` that is enough and not more.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{Span, Timestamp};
use keyward_limits::{
    limit::{Occupancy, SlidingWindowLog, Window},
    wire::Acquired,
};
use keyward_testing::NOON;
use proptest::prelude::*;

use crate::common::{DAY, MINUTE, ON_THE_WAY, acquire, coordinator, most_in_a_minute, ms, passes, within};

#[test]
fn admits_the_limit_and_not_one_more() {
    let mut coordinator = coordinator(Some(5), None);
    assert_eq!((0..9).filter(|at| passes(&mut coordinator, NOON + ms(*at))).count(), 5);
}

#[test]
fn waiting_retry_after_lets_the_next_request_through_and_a_millisecond_less_does_not() {
    let mut coordinator = coordinator(Some(2), None);
    assert!(passes(&mut coordinator, NOON) && passes(&mut coordinator, NOON + ms(20_000)));
    let Acquired::Limited { retry_after, windows, .. } = acquire(&mut coordinator, NOON + ms(30_000)) else {
        panic!()
    };
    assert_eq!(retry_after, ms(30_000));
    assert_eq!((windows[0].limit, windows[0].remaining, windows[0].reset), (2, 0, ms(30_000)));
    assert!(!passes(&mut coordinator, NOON + ms(59_999)));
    assert!(passes(&mut coordinator, NOON + ms(60_000)));
}

#[test]
fn a_request_that_one_window_refuses_is_counted_in_none() {
    let mut coordinator = coordinator(Some(2), Some(3));
    assert!(passes(&mut coordinator, NOON) && passes(&mut coordinator, NOON));
    for _ in 0..10 {
        assert!(!passes(&mut coordinator, NOON));
    }
    assert!(passes(&mut coordinator, NOON + ms(MINUTE)), "the day window still had one of its three");
    let Acquired::Limited { retry_after, .. } = acquire(&mut coordinator, NOON + ms(MINUTE)) else {
        panic!()
    };
    assert_eq!(retry_after, ms(DAY - MINUTE));
}

#[test]
fn a_key_without_limits_is_never_refused_and_shows_no_windows() {
    let mut coordinator = coordinator(None, None);
    for _ in 0..10_000 {
        let Acquired::Granted { windows, delay: Span::ZERO, .. } = acquire(&mut coordinator, NOON) else {
            panic!()
        };
        assert_eq!(windows, []);
    }
}

#[test]
fn an_idle_window_is_open() {
    let idle = Occupancy::new(Window::Minute, 7, &SlidingWindowLog::default(), std::iter::empty());
    assert_eq!((idle.opens_for(1, NOON), idle.free(NOON), idle.state(1, NOON).reset), (NOON, 7, Span::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn no_span_of_a_minute_ever_holds_more_than_the_limit_however_long_each_is_on_its_way(
        limit in 1_u32..400,
        gaps in proptest::collection::vec(
            (prop_oneof![8 => 0_i64..30, 4 => 0_i64..900, 1 => 0_i64..70_000], 0..=ON_THE_WAY), 1..600,
        ),
    ) {
        let mut coordinator = coordinator(Some(limit), None);
        let (mut arrived, mut latest) = (Vec::new(), Vec::new());
        let mut now = NOON.0;
        for (gap, on_the_way) in gaps {
            now += gap;
            match acquire(&mut coordinator, Timestamp(now)) {
                Acquired::Granted { windows, delay, .. } => {
                    let goes_on = now + delay.ms();
                    arrived.push(goes_on + on_the_way);
                    latest.push(goes_on + ON_THE_WAY);
                    let horizon = now + ON_THE_WAY;
                    let taken = within(&latest, horizon - MINUTE, i64::MAX);
                    prop_assert!(windows[0].remaining as usize <= (limit as usize).saturating_sub(taken));
                }
                Acquired::Limited { retry_after, .. } => {
                    prop_assert!(retry_after > Span::ZERO && retry_after <= ms(MINUTE + 2 * ON_THE_WAY));
                    // A request counts for at most a bucket's length (1/64) too long, and not at all where each has a
                    // bucket of its own.
                    let slack = if limit <= 64 { 0 } else { MINUTE / 64 };
                    let horizon = now + ON_THE_WAY;
                    prop_assert!(within(&latest, horizon - MINUTE - slack, i64::MAX) >= limit as usize);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(most_in_a_minute(&mut arrived) <= limit as usize);
    }

    #[test]
    fn waiting_what_a_refusal_says_is_always_enough(
        limit in 1_u32..40,
        gaps in proptest::collection::vec(0_i64..4_000, 1..300),
    ) {
        let mut coordinator = coordinator(Some(limit), Some(limit * 3));
        let mut now = NOON;
        for gap in gaps {
            now = now + ms(gap);
            if let Acquired::Limited { retry_after, .. } = acquire(&mut coordinator, now) {
                let mut early = coordinator.clone();
                prop_assert!(!passes(&mut early, now + retry_after - ms(1)));
                now = now + retry_after;
                prop_assert!(passes(&mut coordinator, now));
            }
        }
    }

    #[test]
    fn a_client_that_saturates_its_limit_gets_nearly_all_of_it(limit in 10_u32..600, step in 20_i64..50) {
        let mut coordinator = coordinator(Some(limit), None);
        let mut admitted = 0_u32;
        let mut at = 0;
        while at < 10 * MINUTE {
            admitted += u32::from(passes(&mut coordinator, NOON + ms(at)));
            at += step;
        }
        prop_assert!(f64::from(admitted) >= f64::from(limit) * 10.0 * 0.95, "{admitted} of {}", limit * 10);
    }
}
