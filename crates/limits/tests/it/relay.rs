//! What one relay knows: leases, subleases, who told it what, and a clock that is set.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
};
use keyward_limits::{
    relay::Relay,
    tally::REMEMBERED,
    timing::RELAY_ANSWER,
    wire::{Acquire, Acquired, Lease, RouteHint, Tally, TallyHour},
};
use keyward_testing::NOON;

use crate::common::{DAY, HOUR, ms};

/// Milliseconds after the first moment.
fn at(milliseconds: i64) -> Timestamp {
    NOON + ms(milliseconds)
}

pub fn granted(requests: u32) -> Acquired {
    let lease = Some(Lease { id: 1, requests, length: ms(4_750), ..Lease::default() });
    let via = RouteHint { relay: true, age: Span::ZERO, hold: Span::ZERO };
    Acquired::Granted {
        windows: Vec::new(),
        delay: Span::ZERO,
        reservation: None,
        cost: Cost::ONE,
        lease,
        via,
        open: false,
    }
}

pub fn wish() -> Acquire {
    Acquire { version: 1, wants: 10, lease_length: ms(4_750), within: RELAY_ANSWER, ..Acquire::default() }
}

#[test]
fn a_sublease_ends_before_the_lease_it_is_cut_from_and_rests_on_a_recent_confirmation() {
    let mut relay = Relay::new(1);
    let take = Acquire { version: 1, wants: 10, lease_length: ms(4_750), ..Acquire::default() };
    relay.ingest(&take, at(0));
    let ask = relay.ask(1, 0, at(0));
    let lease = Some(Lease { id: 1, requests: 100, length: ms(4_750), ..Lease::default() });
    let granted = Acquired::Granted {
        windows: Vec::new(),
        delay: Span::ZERO,
        reservation: None,
        cost: Cost::ONE,
        lease,
        via: RouteHint { relay: true, age: Span::ZERO, hold: Span::ZERO },
        open: false,
    };
    relay.answered(&ask, Some(&granted), at(0), at(100));
    let Some(Acquired::Granted { lease: Some(part), via, .. }) = relay.answer(&take, at(2_000)) else {
        panic!()
    };
    assert!(part.length <= ms(4_750 - 1_000 - 2_000), "{part:?}");
    assert_eq!(via.age, ms(2_000));
    // Half of the lease length is left to the isolate: the coordinator is asked first.
    assert!(relay.answer(&take, at(2_375)).is_none());
    // A clock that was set back would make its lease longer.
    assert!(relay.answer(&take, at(1_900)).is_none());
}

#[test]
fn a_clock_that_is_set_back_again_and_again_by_a_little_makes_no_sublease_longer() {
    let mut relay = Relay::new(1);
    let take = Acquire { version: 1, wants: 10, lease_length: ms(4_750), ..Acquire::default() };
    relay.ingest(&take, at(0));
    let ask = relay.ask(1, 0, at(0));
    let granted = Acquired::Granted {
        windows: Vec::new(),
        delay: Span::ZERO,
        reservation: None,
        cost: Cost::ONE,
        lease: Some(Lease { id: 1, requests: 100, length: ms(4_750), ..Lease::default() }),
        via: RouteHint { relay: true, age: Span::ZERO, hold: Span::ZERO },
        open: false,
    };
    relay.answered(&ask, Some(&granted), at(0), at(100));
    // Set back by 200 ms, twice: when the clock shows 1,000 for the third time, 1,400 ms have passed.
    for clock in [1_000, 800, 1_000, 800] {
        relay.is_short(at(clock));
        relay.ingest(&Acquire::default(), at(clock));
    }
    let Some(Acquired::Granted { lease: Some(part), via, .. }) = relay.answer(&take, at(1_000)) else {
        panic!()
    };
    assert!(part.length <= ms(4_750 - 1_400 - 1_000), "{part:?}");
    assert_eq!(via.age, ms(1_400));
}

#[test]
fn a_confirmation_from_the_future_counts_for_nothing() {
    let mut relay = Relay::new(1);
    relay.ingest(&wish(), NOON);
    let ask = relay.ask(1, 0, NOON);
    relay.answered(&ask, Some(&granted(100)), NOON + ms(1), NOON);
    assert_eq!(relay.answer(&wish(), NOON), None);
    assert!(relay.answer(&wish(), NOON + ms(1)).is_some());
}

#[test]
fn when_the_coordinator_fails_a_window_counts_as_full_only_until_a_request_fits_again() {
    for (retry_after, failed, asked, limited) in [
        // Too long ago to say anything.
        (300, 1_200, 1_300, false),
        (1_400, 900, 1_390, true),
        (1_400, 900, 1_400, false),
        (5_000, 900, 1_890, true),
        (5_000, 900, 1_910, false),
    ] {
        let single = Acquire { immediate: true, ..wish() };
        let mut relay = Relay::new(1);
        relay.ingest(&single, NOON);
        let ask = relay.ask(1, 1, NOON);
        let full = Acquired::Limited {
            lease: None,
            windows: Vec::new(),
            retry_after: ms(retry_after),
            via: RouteHint { relay: true, age: Span::ZERO, hold: Span::ZERO },
        };
        relay.answered(&ask, Some(&full), NOON, NOON);
        let ask = relay.ask(1, 1, at(failed));
        relay.answered(&ask, None, at(failed), at(failed));
        match relay.answer(&single, at(asked)) {
            Some(Acquired::Limited { retry_after: told, .. }) => {
                assert!(limited, "{retry_after} at {asked}");
                assert_eq!(told, ms(retry_after - asked));
            }
            other => assert!(!limited && other.is_none(), "{retry_after} at {asked}: {other:?}"),
        }
    }
}

#[test]
fn what_a_relay_was_told_twice_counts_once_although_its_clock_was_set_between() {
    for by in [-HOUR, -DAY, 2 * REMEMBERED.ms(), DAY] {
        let mut relay = Relay::new(1);
        let tally = |teller, sent: i64| {
            let hour = TallyHour { at: NOON, accepted: 5, ..TallyHour::default() };
            Tally {
                teller,
                number: 1,
                sent: NOON + ms(sent),
                hours: vec![hour],
                cancelled: Vec::new(),
                latest: Vec::new(),
                last_used_from: None,
            }
        };
        let note = |relay: &mut Relay, teller, sent, now: i64| {
            relay.note(&[].into(), &[], Some(&tally(teller, sent)), NOON + ms(now));
        };
        for teller in [7, 8] {
            note(&mut relay, teller, 0, 0);
        }
        for teller in [7, 8] {
            note(&mut relay, teller, 2_000, 2_000 + by);
        }
        let (told, _) = relay.begin_delivery(NOON + ms(2_000 + by)).unwrap();
        assert_eq!(told.hours.iter().map(|hour| hour.accepted).sum::<u64>(), 10, "by {by}");
    }
}

#[test]
fn a_relay_takes_what_a_request_costs_out_of_its_lease_or_asks_for_more() {
    let mut relay = Relay::new(1);
    let single = |cost| Acquire { immediate: true, wants: 0, cost: Cost::new(cost), ..wish() };
    relay.ingest(&single(5), at(0));
    let ask = relay.ask(1, 5, at(0));
    assert_eq!(ask.wants, 3, "three quarters of five");
    relay.answered(&ask, Some(&granted(12)), at(0), at(10));
    for _ in 0..2 {
        let answer = relay.answer(&single(5), at(20));
        assert!(matches!(answer, Some(Acquired::Granted { cost, .. }) if cost == Cost::new(5)), "{answer:?}");
    }
    assert_eq!(relay.answer(&single(5), at(20)), None, "two are left");
    let open = |relay: &mut Relay, now| relay.ask(1, 0, now).leases[0];
    assert_eq!((open(&mut relay, at(30)).used, open(&mut relay, at(30)).open), (0, 12));
    // Both must have been admitted by now, if at all.
    let later = at(20) + RELAY_ANSWER;
    assert_eq!((open(&mut relay, later).used, open(&mut relay, later).open), (10, 2));
    assert!(relay.answer(&single(1), later).is_some());
}
