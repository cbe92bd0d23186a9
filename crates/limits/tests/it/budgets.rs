//! Budgets: what a request reserves is there for nobody else until it is settled, what it has used counts from then on, and what
//! is never settled counts as used; whatever messages are lost, late, repeated or out of order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Cost, Limits, Record},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Keep, store},
    timing::{FIRST_ANSWER, LONG_LEASE, TRAVEL},
    wire::{Acquire, Acquired, CoordinatorCall, Found, Tally},
};
use keyward_testing::{Database, NOON, record};
use proptest::prelude::*;

use crate::common::{MINUTE, ON_THE_WAY, limited, ms, one};

const WITHIN: Span = Span::from_mins(2);

fn reserve(call: u64, units: u32, now: Timestamp) -> Acquire {
    let tally = Some(Tally { teller: 7, sent: now, ..Tally::default() });
    Acquire { call, cost: Cost::new(units), budget: WITHIN, tally, ..one(1) }
}

fn begins(coordinator: &mut Coordinator, call: u64, units: u32, now: Timestamp) -> bool {
    match coordinator.acquire(&reserve(call, units, now), now) {
        Acquired::Granted { open, cost, .. } => open && cost == Cost::new(units),
        Acquired::Limited { .. } | Acquired::Busy { .. } => false,
        other => panic!("{other:?}"),
    }
}

fn settle(coordinator: &mut Coordinator, call: u64, used: u32, now: Timestamp) -> bool {
    let (answer, keep) = coordinator.answer(CoordinatorCall::Settle { call, used }, now).unwrap();
    let found = keyward_json::from_str::<Found>(&answer).unwrap().found;
    assert_eq!(keep, if found { Keep::Counts } else { Keep::Nothing });
    found
}

fn left(coordinator: &mut Coordinator, now: Timestamp) -> u32 {
    let ask = Acquire { immediate: false, ..reserve(0, 1, now) };
    let Acquired::Granted { windows, .. } = coordinator.acquire(&ask, now) else { panic!() };
    windows[0].remaining
}

fn per_minute(limit: u32) -> Coordinator {
    limited(Limits { per_minute: Some(limit), ..Limits::default() })
}

#[test]
fn what_is_not_used_is_free_at_once_and_what_is_used_counts_for_a_window_from_when_that_is_said() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 600, NOON));
    assert!(!begins(&mut coordinator, 2, 600, NOON));
    let said = NOON + ms(90_000);
    // It is still reserved, although the window is over since it began.
    assert_eq!(left(&mut coordinator, said), 400);
    assert!(settle(&mut coordinator, 1, 150, said));
    assert_eq!(left(&mut coordinator, said), 850);
    let over = said + TRAVEL + ms(MINUTE);
    let early = over - ms(1_000);
    assert_eq!((left(&mut coordinator, early), left(&mut coordinator, over)), (850, 1_000));
}

#[test]
fn what_is_never_settled_counts_as_used_from_the_last_moment_on() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 600, NOON));
    let end = NOON + FIRST_ANSWER + TRAVEL + WITHIN;
    assert!(!settle(&mut coordinator, 1, 0, end), "it comes too late");
    assert_eq!(left(&mut coordinator, end + ms(MINUTE - 1_000)), 400);
    assert_eq!(left(&mut coordinator, end + ms(MINUTE)), 1_000);
}

#[test]
fn more_than_was_reserved_counts_in_full_and_a_total_never_gets_it_back() {
    let mut coordinator = limited(Limits { total: Some(1_000), ..Limits::default() });
    assert!(begins(&mut coordinator, 1, 100, NOON) && settle(&mut coordinator, 1, 950, NOON));
    assert_eq!(left(&mut coordinator, NOON), 50);
    assert!(!begins(&mut coordinator, 2, 100, NOON));
    assert!(begins(&mut coordinator, 3, 50, NOON) && settle(&mut coordinator, 3, u32::MAX, NOON));
    let spent = coordinator.acquire(&reserve(4, 1, NOON), NOON + ms(1));
    assert!(matches!(spent, Acquired::Limited { .. }));
}

#[test]
fn settling_again_gives_nothing_back_again_and_takes_nothing_of_another_request() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 400, NOON) && begins(&mut coordinator, 2, 400, NOON));
    assert!(settle(&mut coordinator, 1, 100, NOON));
    for used in [0, 50, 400] {
        assert!(!settle(&mut coordinator, 1, used, NOON));
    }
    assert!(!settle(&mut coordinator, 9, 0, NOON));
    assert_eq!(left(&mut coordinator, NOON), 500);
}

#[test]
fn a_call_that_is_delivered_twice_reserves_once() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 400, NOON) && begins(&mut coordinator, 1, 400, NOON));
    assert!(settle(&mut coordinator, 1, 100, NOON));
    assert_eq!(left(&mut coordinator, NOON), 900);
}

#[test]
fn a_request_that_did_not_pass_after_all_reserves_nothing() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 800, NOON));
    let again = Acquire { cancelled_call: 1, ..reserve(2, 800, NOON) };
    assert!(matches!(coordinator.acquire(&again, NOON), Acquired::Granted { .. }));
    assert_eq!(left(&mut coordinator, NOON), 200);
}

#[test]
fn another_version_of_the_record_ends_no_budget() {
    let mut coordinator = per_minute(1_000);
    assert!(begins(&mut coordinator, 1, 800, NOON));
    let limits = Limits { per_minute: Some(1_000), ..Limits::default() };
    coordinator.put(Record { limits, version: 2, ..record() });
    let at = |now| Acquire { version: 2, ..reserve(2, 800, now) };
    let later = NOON + ms(MINUTE);
    assert!(matches!(coordinator.acquire(&at(later), later), Acquired::Busy { limit: 1, .. }));
    assert!(settle(&mut coordinator, 1, 100, later));
    assert!(matches!(coordinator.acquire(&at(later), later), Acquired::Granted { .. }));
}

/// A total never comes back, but what a budget does not use does.
#[test]
fn whoever_only_open_budgets_keep_out_is_told_to_come_back_soon_and_others_are_not() {
    let mut coordinator = Coordinator::default();
    let limits = Limits { total: Some(1_000), ..Limits::default() };
    coordinator.put(Record { limits, ..record() });
    assert!(begins(&mut coordinator, 1, 400, NOON) && begins(&mut coordinator, 2, 400, NOON));
    assert!(matches!(coordinator.acquire(&reserve(3, 400, NOON), NOON), Acquired::Busy { limit: 2, .. }));
    assert!(settle(&mut coordinator, 1, 400, NOON));
    assert!(matches!(coordinator.acquire(&reserve(4, 700, NOON), NOON), Acquired::Limited { .. }));
    assert!(settle(&mut coordinator, 2, 100, NOON));
    assert!(begins(&mut coordinator, 5, 400, NOON));
}

#[test]
fn budgets_take_no_room_from_leases_and_are_bounded_themselves() {
    let mut coordinator = limited(Limits { per_day: Some(1_000_000), ..Limits::default() });
    assert_eq!((1..1_000).filter(|call| begins(&mut coordinator, *call, 1, NOON)).count(), 512);
    let few = Acquire { wants_for_long: 2, lease_length: LONG_LEASE, client_id: 1, ..one(1) };
    assert!(matches!(coordinator.acquire(&few, NOON), Acquired::Granted { lease: Some(_), .. }));
    assert!(settle(&mut coordinator, 5, 1, NOON) && begins(&mut coordinator, 1_001, 1, NOON));
}

/// What happens next; which budget it is about is a number of calls back.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u32),
    /// A message that says this, now or once more.
    Settle(usize, u32),
    Plain,
    Passes(i64),
    WakesUp,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1_u32..30).prop_map(Step::Begin),
        5 => (0_usize..6, 0_u32..60).prop_map(|(which, used)| Step::Settle(which, used)),
        2 => Just(Step::Plain),
        4 => (0_i64..50_000).prop_map(Step::Passes),
        1 => Just(Step::WakesUp),
    ]
}

/// One budget in the naive account: used at some moment between when it began and when that was said, so it is counted at all of
/// them.
#[derive(Clone, Copy)]
struct Spent {
    call: u64,
    units: u32,
    began: i64,
    /// The last moment at which it may have been used; `None` while it is open.
    last: Option<i64>,
    ends: i64,
}

proptest! {
    /// Whenever one is admitted: what all others have used in the window before, or may still use, fits beside it. And nobody is
    /// refused for whom there is room even if all of that counts as late as it may.
    #[test]
    fn never_over_and_nobody_is_refused_who_fits(steps in prop::collection::vec(step(), 1..100)) {
        const LIMIT: u32 = 100;
        let db = Database::new();
        let mut coordinator = per_minute(LIMIT);
        store::keep(&db, &coordinator, Keep::Record).unwrap();
        let mut account: Vec<Spent> = Vec::new();
        let (mut calls, mut now) = (0, 0_i64);
        for step in steps {
            let at = NOON + ms(now);
            for spent in &mut account {
                if spent.last.is_none() && spent.ends <= now {
                    spent.last = Some(spent.ends);
                }
            }
            match step {
                Step::Begin(_) | Step::Plain => {
                    calls += 1;
                    let units = if let Step::Begin(units) = step { units } else { 1 };
                    let counts = |spent: &&Spent, from: i64| spent.last.is_none_or(|last| last > from);
                    let sum = |from| account.iter().filter(|spent| counts(spent, from)).map(|spent| spent.units).sum::<u32>();
                    // What one knows for sure, and with every allowance for the way.
                    let (least, most) = (sum(now + ON_THE_WAY - MINUTE), sum(now - MINUTE - 2 * ON_THE_WAY));
                    let passes = if let Step::Begin(_) = step {
                        begins(&mut coordinator, calls, units, at)
                    } else {
                        let plain = Acquire { budget: Span::ZERO, ..reserve(calls, 1, at) };
                        matches!(coordinator.acquire(&plain, at), Acquired::Granted { .. })
                    };
                    if passes {
                        prop_assert!(least + units <= LIMIT, "{least} and {units}");
                        let latest = now + 2 * ON_THE_WAY;
                        let (last, ends) = match step {
                            Step::Begin(_) => (None, now + ON_THE_WAY + WITHIN.ms()),
                            _ => (Some(now), latest),
                        };
                        account.push(Spent { call: calls, units, began: now, last, ends });
                    } else {
                        prop_assert!(most + units > LIMIT, "{most} and {units}");
                    }
                    store::keep(&db, &coordinator, Keep::Counts).unwrap();
                }
                Step::Settle(which, used) => {
                    let budgets: Vec<u64> = account.iter().filter(|spent| spent.ends - spent.began > WITHIN.ms()).map(|spent| spent.call).collect();
                    let Some(call) = budgets.iter().rev().nth(which).copied() else { continue };
                    let spent = account.iter_mut().find(|spent| spent.call == call).unwrap();
                    let is_open = spent.last.is_none();
                    // A moment's difference in when it ends is no matter here.
                    if is_open && spent.ends - now < ON_THE_WAY {
                        continue;
                    }
                    let found = settle(&mut coordinator, call, used, at);
                    if is_open {
                        prop_assert!(found);
                        (spent.units, spent.last) = (used, Some(now));
                    } else if now > spent.ends + MAX_DELAY_MS || spent.last.is_some_and(|last| last < spent.ends) {
                        prop_assert!(!found);
                    }
                    store::keep(&db, &coordinator, Keep::Counts).unwrap();
                }
                Step::Passes(milliseconds) => now += milliseconds,
                Step::WakesUp => coordinator = store::load(&db).unwrap(),
            }
        }
    }
}

/// Within which the end of a budget may lie later, since its request was delayed.
const MAX_DELAY_MS: i64 = ON_THE_WAY;
