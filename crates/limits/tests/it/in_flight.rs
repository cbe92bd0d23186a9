//! Requests in flight: never more than the limit, whatever messages are lost, late, repeated or out of order; and each that
//! nobody says anything of heals.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    record::{Limits, Record},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Keep, store},
    timing::{GOES_ON, IN_FLIGHT},
    wire::{Acquire, Acquired, CoordinatorCall, Found, Tally},
};
use keyward_testing::{Database, NOON, record};
use proptest::prelude::*;

use crate::common::{limited, ms, one};

fn begin(call: u64, now: Timestamp) -> Acquire {
    let tally = Some(Tally { teller: 7, sent: now, ..Tally::default() });
    Acquire { call, in_flight: IN_FLIGHT, tally, ..one(1) }
}

fn begins(coordinator: &mut Coordinator, call: u64, now: Timestamp) -> bool {
    match coordinator.acquire(&begin(call, now), now) {
        Acquired::Granted { open, .. } => open,
        Acquired::Busy { .. } => false,
        other => panic!("{other:?}"),
    }
}

fn say(coordinator: &mut Coordinator, call: u64, length: Span, now: Timestamp) -> (bool, Keep) {
    let (answer, keep) = coordinator.answer(CoordinatorCall::InFlight { call, length }, now).unwrap();
    (keyward_json::from_str::<Found>(&answer).unwrap().found, keep)
}

fn of(in_flight: u32) -> Coordinator {
    limited(Limits { in_flight: Some(in_flight), ..Limits::default() })
}

#[test]
fn one_more_than_the_limit_is_busy_until_one_has_ended_and_is_not_counted_meanwhile() {
    let mut coordinator = limited(Limits { in_flight: Some(2), per_minute: Some(3), ..Limits::default() });
    assert!(begins(&mut coordinator, 1, NOON) && begins(&mut coordinator, 2, NOON));
    for _ in 0..5 {
        let Acquired::Busy { windows, limit: 2, by_budgets: false } =
            coordinator.acquire(&begin(3, NOON), NOON)
        else {
            panic!()
        };
        assert_eq!(windows[0].remaining, 1);
    }
    assert_eq!(say(&mut coordinator, 1, Span::ZERO, NOON), (true, Keep::Counts));
    assert!(begins(&mut coordinator, 3, NOON));
    // The window is full as well: that is told, since it takes longer.
    assert!(matches!(coordinator.acquire(&begin(4, NOON), NOON), Acquired::Limited { .. }));
}

#[test]
fn a_request_that_ends_again_frees_no_other() {
    let mut coordinator = of(2);
    assert!(begins(&mut coordinator, 1, NOON) && begins(&mut coordinator, 2, NOON));
    assert!(say(&mut coordinator, 1, Span::ZERO, NOON).0);
    assert_eq!(say(&mut coordinator, 1, Span::ZERO, NOON), (false, Keep::Nothing));
    assert!(begins(&mut coordinator, 3, NOON) && !begins(&mut coordinator, 4, NOON));
    // Nor does one that was given up go on.
    assert!(!say(&mut coordinator, 1, IN_FLIGHT, NOON).0);
}

#[test]
fn a_call_that_is_delivered_twice_takes_one_place() {
    let mut coordinator = of(1);
    assert!(begins(&mut coordinator, 1, NOON) && begins(&mut coordinator, 1, NOON));
    assert!(say(&mut coordinator, 1, Span::ZERO, NOON).0 && begins(&mut coordinator, 2, NOON));
}

#[test]
fn what_nobody_says_anything_of_heals_and_what_goes_on_does_not_end() {
    let mut coordinator = of(2);
    assert!(begins(&mut coordinator, 1, NOON) && begins(&mut coordinator, 2, NOON));
    // Two messages in a row may be lost.
    let third = NOON + GOES_ON * 3;
    assert!(say(&mut coordinator, 1, IN_FLIGHT, third).0);
    assert!(!begins(&mut coordinator, 3, NOON + IN_FLIGHT - ms(1)));
    assert!(begins(&mut coordinator, 3, NOON + IN_FLIGHT));
    assert!(!begins(&mut coordinator, 4, NOON + IN_FLIGHT));
}

#[test]
fn a_request_that_did_not_pass_after_all_is_not_in_flight() {
    let mut coordinator = of(1);
    assert!(begins(&mut coordinator, 1, NOON));
    let again = Acquire { cancelled_call: 1, ..begin(2, NOON) };
    assert!(matches!(coordinator.acquire(&again, NOON), Acquired::Granted { open: true, .. }));
}

#[test]
fn the_clock_that_is_set_moves_what_is_in_flight_and_a_build_that_did_not_know_of_it_keeps_none_for_long() {
    let mut coordinator = of(1);
    assert!(begins(&mut coordinator, 1, NOON));
    let ask = |coordinator: &mut Coordinator, now: Timestamp, call| {
        matches!(coordinator.acquire(&begin(call, now), now), Acquired::Granted { .. })
    };
    let day = Span::from_days(1);
    assert!(!ask(&mut coordinator, NOON, 2));
    // However the object takes that: no longer than a minute of its time.
    assert!(!ask(&mut coordinator, NOON + ms(1) - day, 3));
    assert!(ask(&mut coordinator, NOON + ms(1) - day + IN_FLIGHT + ms(1), 4));
}

#[test]
fn what_is_in_flight_is_stored_and_nothing_is_where_there_is_none() {
    let db = Database::new();
    let mut coordinator = of(1);
    store::keep(&db, &coordinator, Keep::Record).unwrap();
    begins(&mut coordinator, 1, NOON);
    store::keep(&db, &coordinator, Keep::Counts).unwrap();
    let mut again = store::load(&db).unwrap();
    assert!(!begins(&mut again, 2, NOON) && say(&mut again, 1, Span::ZERO, NOON).0);
    assert!(!serde_json::to_string(&again.counts).unwrap().contains("inFlight"));
}

#[test]
fn a_key_without_such_a_limit_keeps_no_list() {
    let mut coordinator = limited(Limits::default());
    assert!(begins(&mut coordinator, 1, NOON));
    assert!(!serde_json::to_string(&coordinator.counts).unwrap().contains("inFlight"));
}

#[test]
fn however_high_the_limit_the_list_is_bounded() {
    let mut coordinator = of(u32::MAX);
    let begun = (1..2_000).filter(|call| begins(&mut coordinator, *call, NOON)).count();
    assert_eq!(begun, 1_000);
}

#[test]
fn what_began_under_a_higher_limit_goes_on_and_counts_under_a_lower_one() {
    let mut coordinator = of(3);
    assert!((1..=3).all(|call| begins(&mut coordinator, call, NOON)));
    let limits = Limits { in_flight: Some(2), ..Limits::default() };
    coordinator.put(Record { limits, version: 2, ..record() });
    let mut asks = |call, ends| {
        let _ = say(&mut coordinator, ends, Span::ZERO, NOON);
        let call = Acquire { version: 2, ..begin(call, NOON) };
        matches!(coordinator.acquire(&call, NOON), Acquired::Granted { .. })
    };
    assert!(!asks(4, 0) && !asks(4, 1) && asks(4, 2));
}

/// What happens next: whichever request it is about, by its number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    GoesOn(usize),
    Ends(usize),
    /// A message from long ago arrives again, or late.
    Replay(usize),
    Passes(i64),
    /// The object is evicted and reads what it has stored.
    WakesUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Begin),
        3 => (0_usize..40).prop_map(Step::GoesOn),
        3 => (0_usize..40).prop_map(Step::Ends),
        3 => (0_usize..40).prop_map(Step::Replay),
        3 => (0_i64..40_000).prop_map(Step::Passes),
        1 => Just(Step::WakesUp),
    ]
}

proptest! {
    /// Beside the naive account: of every request that was admitted, until when somebody has said that it is in flight.
    #[test]
    fn never_over_and_nobody_is_refused_who_fits(limit in 1_u32..5, steps in prop::collection::vec(step(), 1..120)) {
        let db = Database::new();
        let mut coordinator = of(limit);
        store::keep(&db, &coordinator, Keep::Record).unwrap();
        let mut naive: BTreeMap<u64, Timestamp> = BTreeMap::new();
        let mut sent: Vec<CoordinatorCall> = Vec::new();
        let (mut calls, mut now) = (0, NOON);
        for step in steps {
            let message = match step {
                Step::Begin => {
                    naive.retain(|_, until| *until > now);
                    calls += 1;
                    let fits = naive.len() < limit as usize;
                    prop_assert_eq!(begins(&mut coordinator, calls, now), fits);
                    if fits {
                        naive.insert(calls, now + IN_FLIGHT);
                    }
                    store::keep(&db, &coordinator, Keep::Counts).unwrap();
                    None
                }
                Step::GoesOn(which) => Some(CoordinatorCall::InFlight { call: which as u64, length: IN_FLIGHT }),
                Step::Ends(which) => Some(CoordinatorCall::InFlight { call: which as u64, length: Span::ZERO }),
                Step::Replay(which) => sent.get(which).cloned(),
                Step::Passes(milliseconds) => {
                    now = now + ms(milliseconds);
                    None
                }
                Step::WakesUp => {
                    coordinator = store::load(&db).unwrap();
                    None
                }
            };
            let Some(message) = message else { continue };
            sent.push(message.clone());
            let CoordinatorCall::InFlight { call, length } = message else { panic!() };
            naive.retain(|_, until| *until > now);
            let expected = if length == Span::ZERO {
                naive.remove(&call).is_some()
            } else {
                naive.get_mut(&call).map(|until| *until = now + IN_FLIGHT).is_some()
            };
            let (found, keep) = say(&mut coordinator, call, length, now);
            prop_assert_eq!(found, expected);
            store::keep(&db, &coordinator, keep).unwrap();
        }
    }
}
