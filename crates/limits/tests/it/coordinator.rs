//! What a coordinator admits, grants, cancels and keeps.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Cost, Limits, Record},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Keep, store},
    limit::{SlidingWindowLog, Window},
    timing::{FIRST_ANSWER, LONG_LEASE, SECOND_ANSWER, TRAVEL},
    wire::{Acquire, Acquired, Cancelled, CoordinatorCall, LeaseReport, Tally},
};
use keyward_testing::{Database, NOON, record};

use crate::common::{MINUTE, ON_THE_WAY, acquire, coordinator, limited, ms, one, passes};

#[test]
fn a_reservation_whose_answer_came_too_late_is_cancelled_by_the_call_that_asks_again() {
    let mut coordinator = coordinator(Some(1), Some(1));
    let Acquired::Granted { reservation, .. } = acquire(&mut coordinator, NOON) else { panic!() };
    assert!(!passes(&mut coordinator, NOON + ms(600)));
    let again = Acquire { within: SECOND_ANSWER, cancelled: reservation, ..one(1) };
    let (answer, keep) = coordinator.answer(CoordinatorCall::Acquire(again), NOON + ms(600)).unwrap();
    assert!(answer.contains("granted"));
    assert_eq!(keep, Keep::Counts);
    let hour = coordinator.report(NOON).unwrap().hours.remove(0);
    assert_eq!((hour.accepted, hour.refused.values().sum::<u64>()), (1, 1));
    // Only the second reservation counts.
    let leaves = 600 + SECOND_ANSWER.ms() + MINUTE + TRAVEL.ms();
    coordinator.put(Record {
        limits: Limits { per_minute: Some(1), ..Limits::default() },
        version: 2,
        ..record()
    });
    let at_once = Acquire { immediate: false, queued: 1, ..one(2) };
    assert!(matches!(coordinator.acquire(&at_once, NOON + ms(leaves - 1)), Acquired::Limited { .. }));
    assert!(matches!(coordinator.acquire(&at_once, NOON + ms(leaves)), Acquired::Granted { .. }));
}

#[test]
fn cancelling_a_reservation_that_has_left_its_window_takes_no_other_out() {
    let mut coordinator = coordinator(Some(2), None);
    let Acquired::Granted { reservation, .. } = acquire(&mut coordinator, NOON) else { panic!() };
    let later = NOON + ms(2 * MINUTE);
    assert!(passes(&mut coordinator, later) && passes(&mut coordinator, later));
    let again = coordinator.acquire(&Acquire { cancelled: reservation, ..one(1) }, later);
    assert!(matches!(again, Acquired::Limited { .. }));
}

#[test]
fn in_a_crowd_the_leases_of_isolates_leave_room_for_those_of_relays() {
    let mut coordinator = coordinator(Some(1_000_000), None);
    for isolate in 1..1_000 {
        let call = Acquire { queued: 5, lease_length: ms(4_750), client_id: isolate, ..one(1) };
        coordinator.acquire(&call, NOON + ms(isolate.into()));
    }
    for relay in 1_000..1_064 {
        let call = Acquire { isolates: 100, queued: 5, lease_length: ms(4_750), client_id: relay, ..one(1) };
        let answer = coordinator.acquire(&call, NOON + ms(1_000));
        assert!(matches!(answer, Acquired::Granted { lease: Some(_), .. }), "relay {relay}: {answer:?}");
    }
}

#[test]
fn a_lease_is_at_most_a_tenth_of_the_limit_beyond_what_waits_for_it() {
    let lease = |wants, queued| {
        let acquire = Acquire { wants, queued, lease_length: ms(4_750), ..one(1) };
        let Acquired::Granted { lease, .. } = coordinator(Some(100), Some(5_000)).acquire(&acquire, NOON)
        else {
            panic!()
        };
        lease.map(|lease| lease.requests)
    };
    assert_eq!((lease(80, 0), lease(80, 30), lease(4, 0)), (Some(10), Some(30), None));
}

/// A call for a lease, by an isolate that expects a few requests in the next minutes.
fn few(isolate: u32) -> Acquire {
    Acquire { wants_for_long: 2, lease_length: LONG_LEASE, client_id: isolate, ..one(1) }
}

#[test]
fn far_below_its_limit_a_key_has_a_small_lease_for_minutes_and_at_its_limit_one_for_a_moment() {
    let mut key = coordinator(Some(600), None);
    let lease = |key: &mut Coordinator, call: &Acquire, now| match key.acquire(call, now) {
        Acquired::Granted { lease, .. } => lease.map(|lease| (lease.requests, lease.length)),
        other => panic!("{other:?}"),
    };
    assert_eq!(lease(&mut key, &few(1), NOON), Some((8, LONG_LEASE)));
    let before = Acquire { wants_for_long: 0, lease_length: ms(4_750), ..few(1) };
    assert_eq!(
        lease(&mut key, &before, NOON),
        None,
        "whoever asks for seconds needs as many as are worth it"
    );
    for _ in 0..570 {
        assert!(passes(&mut key, NOON + ms(1)));
    }
    assert_eq!(lease(&mut key, &few(1), NOON + ms(6_000)), Some((2, ms(2_000))));
}

#[test]
fn leases_for_minutes_keep_an_eighth_of_a_limit_from_others_at_most() {
    for limit in [8, 14, 100, 3_000] {
        let mut key = coordinator(Some(limit), None);
        let mut reserved = 0;
        for isolate in 1..200 {
            // As at the beginning of the window, and no isolate reports.
            if let Acquired::Granted { lease, .. } = key.acquire(&few(isolate), NOON) {
                let long = lease.filter(|lease| lease.length == LONG_LEASE);
                reserved += long.map_or(0, |lease| lease.requests);
            }
        }
        assert!((1..=limit / 8).contains(&reserved), "{reserved} of {limit}");
    }
}

#[test]
fn whoever_gets_the_last_of_a_full_window_is_told_when_it_is_worth_to_ask_again() {
    let mut key = coordinator(Some(100), None);
    let hold = |key: &mut Coordinator, now| match key.acquire(&few(1), now) {
        Acquired::Granted { via, .. } | Acquired::Limited { via, .. } => via.hold,
        other => panic!("{other:?}"),
    };
    let mut holds = (0..100).map(|number| hold(&mut key, NOON + ms(number * 10)));
    assert_eq!(holds.by_ref().take(60).max(), Some(ms(0)));
    assert_eq!(holds.last(), Some(ms(1_000)));
    // The first four of them leave within 30 ms from here on.
    let opens = MINUTE + ON_THE_WAY;
    assert_eq!(hold(&mut key, NOON + ms(opens - 1_500)), ms(1_000));
    let soon = hold(&mut key, NOON + ms(opens - 500));
    assert!(ms(500) <= soon && soon <= ms(1_000), "{soon:?}");
}

#[test]
fn a_slot_is_free_again_one_window_after_it_was_given_out_and_its_request_is_delayed_for_the_one_before() {
    let mut coordinator = coordinator(Some(1), None);
    assert!(passes(&mut coordinator, NOON));
    let Acquired::Granted { delay, .. } = acquire(&mut coordinator, NOON + ms(MINUTE + 100)) else {
        panic!()
    };
    assert_eq!(delay, ms(ON_THE_WAY - 100), "the one before may have come so late");
    let mut idle = self::coordinator(Some(1), None);
    assert!(passes(&mut idle, NOON));
    let later = acquire(&mut idle, NOON + ms(MINUTE + ON_THE_WAY));
    assert!(matches!(later, Acquired::Granted { delay: Span::ZERO, .. }));
}

#[test]
fn an_answer_that_may_be_used_late_counts_as_late() {
    let mut coordinator = coordinator(Some(1), None);
    let patient = Acquire { within: SECOND_ANSWER, ..one(1) };
    assert!(matches!(coordinator.acquire(&patient, NOON), Acquired::Granted { .. }));
    let late = (SECOND_ANSWER - FIRST_ANSWER).ms();
    assert!(!passes(&mut coordinator, NOON + ms(MINUTE + late - 1)));
    assert!(passes(&mut coordinator, NOON + ms(MINUTE + late)));
}

/// Not every edit is told to isolates: one of a key's name changes nothing for them, and they go on with their leases.
#[test]
fn an_edit_frees_nothing_of_a_lease() {
    let limits = Limits { per_minute: Some(10), ..Limits::default() };
    let mut coordinator = coordinator(limits.per_minute, None);
    let call = Acquire { immediate: false, queued: 10, wants: 10, lease_length: LONG_LEASE, ..one(1) };
    let Acquired::Granted { lease: Some(lease), .. } = coordinator.acquire(&call, NOON) else { panic!() };
    coordinator.put(Record { limits, version: 2, ..record() });
    let asks = Acquire { immediate: false, queued: 1, ..one(2) };
    coordinator.acquire(&asks, NOON);
    // What nobody reports of it counts as used at the latest moment.
    let leaves = NOON + lease.length + TRAVEL + ms(MINUTE);
    assert!(matches!(coordinator.acquire(&asks, leaves - ms(1)), Acquired::Limited { .. }));
    assert!(matches!(coordinator.acquire(&asks, leaves), Acquired::Granted { .. }));
}

#[test]
fn a_limit_that_an_edit_brings_counts_what_was_admitted_before() {
    let mut coordinator = coordinator(None, None);
    for _ in 0..7 {
        assert!(passes(&mut coordinator, NOON));
    }
    coordinator.put(Record {
        limits: Limits { per_minute: Some(5), ..Limits::default() },
        version: 2,
        ..record()
    });
    assert!(matches!(coordinator.acquire(&one(2), NOON + ms(1)), Acquired::Limited { .. }));
}

#[test]
fn from_four_fifths_of_a_limit_on_the_next_report_says_that_it_is_near_and_the_one_after_does_not() {
    let near = |coordinator: &Coordinator, now| coordinator.report(now).unwrap().near_limit_at;
    for (per_minute, per_day) in [(Some(10), None), (Some(1_000), Some(10))] {
        let mut coordinator = coordinator(per_minute, per_day);
        for _ in 0..7 {
            assert!(passes(&mut coordinator, NOON));
        }
        assert_eq!(near(&coordinator, NOON), None);
        assert!(passes(&mut coordinator, NOON + ms(1)));
        let report = coordinator.report(NOON + ms(2)).unwrap();
        assert_eq!(report.near_limit_at, Some(NOON + ms(1)));
        // As long as the report has not arrived, it is still to be told.
        assert_eq!(near(&coordinator, NOON + ms(3)), Some(NOON + ms(1)));
        coordinator.reported(&report, &[], NOON + ms(3));
        assert_eq!(near(&coordinator, NOON + ms(4)), None);
        // What has left the window no longer counts.
        assert!(passes(&mut coordinator, NOON + ms(25 * 60 * MINUTE)));
        assert_eq!(near(&coordinator, NOON + ms(25 * 60 * MINUTE)), None);
    }
}

#[test]
fn the_share_that_is_used_of_each_limit_is_told_with_the_next_report() {
    for (per_minute, per_day, window) in [(Some(10), None, "perMinute"), (None, Some(10), "perDay")] {
        let mut coordinator = coordinator(per_minute, per_day);
        let mut told = |requests| {
            (0..requests).for_each(|_| assert!(passes(&mut coordinator, NOON)));
            let report = coordinator.report(NOON).unwrap();
            coordinator.reported(&report, &[], NOON);
            report.reached.into_iter().map(|it| (it.window, it.percent, it.limit)).collect::<Vec<_>>()
        };
        assert_eq!(told(7), []);
        assert_eq!(told(1), [(window.to_owned(), 80, 10)]);
        assert_eq!(told(2), [(window.to_owned(), 100, 10)]);
    }
}

#[test]
fn what_was_used_of_a_lease_brings_a_limit_near_and_what_was_not_does_not() {
    for (used, expected) in [(70, false), (90, true)] {
        let mut coordinator = coordinator(Some(100), None);
        let acquire = Acquire { queued: 90, lease_length: ms(4_750), ..one(1) };
        let Acquired::Granted { lease: Some(lease), .. } = coordinator.acquire(&acquire, NOON) else {
            panic!()
        };
        let report = LeaseReport { id: lease.id, used, age: ms(0), open: 0 };
        coordinator.report_of(&[].into(), &[report], None, NOON + ms(1));
        assert_eq!(coordinator.report(NOON + ms(1)).unwrap().near_limit_at.is_some(), expected, "{used}");
    }
}

#[test]
fn a_key_without_a_limit_is_near_none() {
    let mut coordinator = coordinator(None, None);
    assert!(passes(&mut coordinator, NOON));
    assert_eq!(coordinator.report(NOON).unwrap().near_limit_at, None);
}

#[test]
fn a_decision_on_another_version_is_sent_back_with_the_record_and_costs_nothing() {
    let mut coordinator = coordinator(Some(1), None);
    coordinator.put(Record { version: 2, ..record() });
    let Acquired::Changed { record } = acquire(&mut coordinator, NOON) else { panic!() };
    assert_eq!(record.version, 2);
    assert!(matches!(coordinator.acquire(&one(2), NOON), Acquired::Granted { .. }));
}

#[test]
fn an_older_record_never_replaces_a_newer_one() {
    let mut coordinator = coordinator(None, None);
    assert_eq!(coordinator.put(Record { version: 3, ..record() }).version, 3);
    assert_eq!(coordinator.put(Record { version: 2, ..record() }).version, 3);
    assert_eq!(coordinator.record.as_ref().unwrap().version, 3);
}

#[test]
fn a_coordinator_that_was_never_given_a_record_says_so_and_stores_nothing() {
    let mut coordinator = Coordinator::default();
    assert_eq!(acquire(&mut coordinator, NOON), Acquired::Unknown);
    let database = Database::new();
    assert_eq!(store::load(&database).unwrap(), Coordinator::default());
    assert_eq!(database.tables(), Vec::<String>::new());
}

#[test]
fn of_tellers_that_told_nothing_but_the_time_only_a_few_are_stored() {
    let mut coordinator = coordinator(Some(100_000), None);
    for teller in 1..=600 {
        let tally = Tally { teller, number: u64::from(teller % 100 == 0), sent: NOON, ..Tally::default() };
        coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON);
    }
    let stored = serde_json::to_value(&coordinator.counts).unwrap();
    let tellers: Vec<u64> =
        stored["tellers"].as_array().unwrap().iter().map(|teller| teller[0].as_u64().unwrap()).collect();
    // Those that sent counts, of the 512 that are known; and the last eight.
    assert_eq!(tellers, [100, 200, 300, 400, 500, 592, 593, 594, 595, 596, 597, 598, 599, 600]);
}

#[test]
fn counts_and_record_survive_a_restart() {
    let database = Database::new();
    let mut before = coordinator(Some(3), Some(100));
    store::keep(&database, &before, Keep::Record).unwrap();
    for second in 0..3 {
        assert!(passes(&mut before, NOON + ms(second * 1_000)));
        store::keep(&database, &before, Keep::Counts).unwrap();
    }
    let mut after = store::load(&database).unwrap();
    assert_eq!((&after.record, &after.counts), (&before.record, &before.counts));
    assert!(!passes(&mut after, NOON + ms(59_999)));
    // Being told again, as after an edit, keeps the counts.
    after.put(Record { version: 2, ..record() });
    store::keep(&database, &after, Keep::Record).unwrap();
    assert_eq!(store::load(&database).unwrap().counts, before.counts);
}

#[test]
fn memory_stays_small_whatever_the_limit() {
    let mut coordinator = coordinator(Some(100_000), Some(10_000_000));
    let mut at = NOON;
    for request in 0..200_000 {
        at = at + ms(request % 3);
        acquire(&mut coordinator, at);
    }
    assert!(serde_json::to_string(&coordinator.counts).unwrap().len() < 12_000);
}

fn of(cost: u32) -> Acquire {
    Acquire { cost: Cost::new(cost), ..one(1) }
}

fn left(answer: &Acquired) -> u32 {
    match answer {
        Acquired::Granted { windows, .. } | Acquired::Limited { windows, .. } => windows[0].remaining,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_costs_five_takes_five_units_or_none_and_the_answer_says_so() {
    let mut coordinator = coordinator(Some(12), None);
    for rest in [7, 2] {
        let answer = coordinator.acquire(&of(5), NOON);
        assert!(matches!(answer, Acquired::Granted { cost, .. } if cost == Cost::new(5)));
        assert_eq!(left(&answer), rest);
    }
    let Acquired::Limited { retry_after, windows, .. } = coordinator.acquire(&of(5), NOON + ms(20_000))
    else {
        panic!()
    };
    // Not when the next unit is free, but when the request fits.
    assert_eq!((retry_after, windows[0].remaining, windows[0].reset), (ms(40_000), 2, ms(40_000)));
    assert!(
        (0..2).all(|_| passes(&mut coordinator, NOON + ms(30_000))),
        "the two that are left are not touched"
    );
    assert!(!passes(&mut coordinator, NOON + ms(30_000)));
    assert_eq!(coordinator.report(NOON).unwrap().hours[0].accepted, 4, "usage counts requests");
}

#[test]
fn how_long_a_request_waits_depends_on_what_it_costs() {
    let mut coordinator = coordinator(Some(10), None);
    for second in 0..10 {
        assert!(passes(&mut coordinator, NOON + ms(second * 1_000)));
    }
    for (cost, seconds) in [(1, 60), (2, 61), (5, 64), (10, 69)] {
        let Acquired::Limited { retry_after, .. } = coordinator.acquire(&of(cost), NOON + ms(20_000)) else {
            panic!()
        };
        assert_eq!(retry_after, ms(seconds * 1_000 - 20_000), "{cost}");
        let after = |wait| coordinator.clone().acquire(&of(cost), NOON + ms(20_000) + retry_after - ms(wait));
        assert!(matches!(after(0), Acquired::Granted { .. }) && matches!(after(1), Acquired::Limited { .. }));
    }
}

#[test]
fn what_costs_more_than_a_limit_is_never_granted_not_even_as_the_month_ends() {
    let end = Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap();
    for limits in [
        Limits { per_month: Some(4), ..Limits::default() },
        Limits { per_second: Some(4), ..Limits::default() },
        Limits { total: Some(4), ..Limits::default() },
    ] {
        let mut coordinator = limited(limits);
        for before in [10_000, 700, 1, 0] {
            let answer = coordinator.acquire(&of(5), end - ms(before));
            let Acquired::Limited { windows, .. } = answer else { panic!("{limits:?} {answer:?}") };
            assert!(windows[0].is_spent(Cost::new(5)) && !windows[0].is_spent(Cost::new(4)));
        }
        assert!(matches!(coordinator.acquire(&of(4), end), Acquired::Granted { .. }));
    }
}

#[test]
fn a_reservation_that_is_cancelled_gives_back_all_that_it_took_once() {
    let tally = |number, cancelled| Tally { teller: 9, number, sent: NOON, cancelled, ..Tally::default() };
    let told = |number, cancelled| Some(tally(number, cancelled));
    let with_the_next_call = Acquire { cancelled_call: 7, tally: told(0, vec![]), ..of(6) };
    let cancelled = vec![Cancelled { call: 7, reservation: None }];
    let in_a_tally = Acquire { tally: told(1, cancelled.clone()), ..of(6) };
    let in_both = Acquire { cancelled_call: 7, tally: told(1, cancelled), ..of(6) };
    for again in [with_the_next_call, in_a_tally, in_both] {
        let mut coordinator = coordinator(Some(8), Some(100));
        coordinator.acquire(&Acquire { call: 7, tally: told(0, vec![]), ..of(6) }, NOON);
        assert!(passes(&mut coordinator, NOON + ms(5)) && passes(&mut coordinator, NOON + ms(5)));
        assert!(!passes(&mut coordinator, NOON + ms(5)), "it is full");
        let answer = coordinator.acquire(&again, NOON + ms(10));
        assert!(matches!(answer, Acquired::Granted { .. }), "{answer:?}");
        assert!(!passes(&mut coordinator, NOON + ms(10)), "no more than it took");
    }
}

#[test]
fn cancelling_takes_units_out_of_buckets_that_were_merged_and_never_those_of_others() {
    let mut log = SlidingWindowLog::default();
    let count = |log: &SlidingWindowLog| log.counted().map(|(_, units)| units).sum::<u32>();
    log.count(Window::Minute, true, NOON + ms(10), 3);
    log.count(Window::Minute, true, NOON + ms(20), 4);
    // Counted at the newest moment, which is later than its own.
    log.count(Window::Minute, true, NOON, 5);
    log.cancel(Window::Minute, NOON, NOON, Cost::new(5));
    // What stays counts later than necessary.
    assert_eq!(log.counted().collect::<Vec<_>>(), [(NOON + ms(20), 7)]);
    log.cancel(Window::Minute, NOON + ms(21), NOON, Cost::new(5));
    assert_eq!(count(&log), 7);
}

#[test]
fn a_dear_request_brings_no_lease_that_is_too_small_for_the_next_one() {
    let mut coordinator = coordinator(Some(20), None);
    let asks = Acquire { lease_length: LONG_LEASE, wants_for_long: 2, client_id: 1, ..of(5) };
    for _ in 0..4 {
        let answer = coordinator.acquire(&asks, NOON);
        assert!(matches!(answer, Acquired::Granted { lease: None, .. }), "{answer:?}");
    }
}
