//! Every window, against a second implementation that is slow and plain: it keeps each request, and counts anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Cost, Limits, Record, Window},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Counts},
    timing::{LONG_LEASE, MAX_DELAY, TRAVEL},
    wire::{Acquire, Acquired, LeaseReport, Tally},
};
use keyward_testing::{NOON, record};
use proptest::prelude::*;

use crate::common::{DAY, HOUR, MINUTE, ON_THE_WAY, SECOND, acquire, limited, ms, one, passes};

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// Year and month, found by counting days from 1970 on.
fn month(at: i64) -> (i64, usize) {
    let mut days = at.div_euclid(DAY);
    let (mut year, mut month) = (1970, 0);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        if days < lengths[month] {
            return (year, month + 1);
        }
        days -= lengths[month];
        month += 1;
        if month == 12 {
            (year, month) = (year + 1, 0);
        }
    }
}

/// Whether a request at `then` is in the same window as one at `now`, which is not earlier.
fn is_in(window: Window, then: i64, now: i64) -> bool {
    match window {
        Window::Second => now - then < SECOND,
        Window::Minute => now - then < MINUTE,
        Window::Hour => now - then < HOUR,
        Window::Day => now - then < DAY,
        Window::Month => month(then) >= month(now),
        Window::Total | Window::InFlight => true,
    }
}

fn set(limits: Limits) -> impl Iterator<Item = (Window, usize)> {
    Window::ALL.into_iter().filter_map(move |window| Some((window, limits.get(window)? as usize)))
}

/// The windows of which more arrived than their limit.
fn over(limits: Limits, arrived: &mut [i64]) -> Vec<Window> {
    arrived.sort_unstable();
    let is_over = |window: Window, limit: usize| {
        let with = |last: &usize| {
            arrived[..=*last].iter().filter(|then| is_in(window, **then, arrived[*last])).count()
        };
        (0..arrived.len()).any(|last| with(&last) > limit)
    };
    set(limits).filter(|(window, limit)| is_over(*window, *limit)).map(|(window, _)| window).collect()
}

/// When a request fits into every window of those that count at these moments: by trying. `None` if it never does.
fn opens(limits: Limits, counted: &[i64], cost: Cost, now: i64) -> Option<i64> {
    let fits = |at: i64| {
        let taken = |window: Window| counted.iter().filter(|then| is_in(window, **then, at)).count();
        set(limits).all(|(window, limit)| taken(window) + cost.units() as usize <= limit)
    };
    let leaves = |then: &i64| {
        let mut first = *then;
        while month(first) == month(*then) {
            first = (first.div_euclid(DAY) + 1) * DAY;
        }
        [then + SECOND, then + MINUTE, then + HOUR, then + DAY, first]
    };
    let mut moments: Vec<i64> = counted.iter().flat_map(leaves).filter(|at| *at > now).collect();
    moments.push(now);
    moments.sort_unstable();
    moments.into_iter().find(|at| fits(*at))
}

/// Shortly before a month ends: an ordinary one, a year, a February, one of a leap year, and in the middle of one.
fn begin() -> impl Strategy<Value = i64> {
    let ends = [
        "2026-11-30T23:59:57Z",
        "2026-12-31T23:59:58Z",
        "2027-02-28T23:59:58.500Z",
        "2028-02-28T23:59:59Z",
        "2028-02-29T23:59:58Z",
        "2100-02-28T23:59:59Z",
        "2026-11-14T12:00:00Z",
    ];
    proptest::sample::select(ends.map(|end| at(end).0).to_vec())
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |most: u32| prop_oneof![1 => Just(None), 1 => (1..most).prop_map(Some)];
    (limit(9), limit(30), limit(40), limit(50), limit(60), limit(60)).prop_map(
        |(per_second, per_minute, per_hour, per_day, per_month, total)| Limits {
            per_second,
            per_minute,
            per_hour,
            per_day,
            per_month,
            total,
            in_flight: None,
        },
    )
}

fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => 0_i64..120,
        8 => 0_i64..1_200,
        3 => 0..MINUTE,
        2 => 0..2 * HOUR,
        1 => 0..2 * DAY,
        1 => 0..40 * DAY,
    ]
}

/// Mostly 1; now and then more than a limit.
fn cost() -> impl Strategy<Value = Cost> {
    prop_oneof![3 => Just(1), 2 => 2_u32..7, 1 => 1_u32..30].prop_map(Cost::new)
}

/// What a client does after a gap.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Sends a request of this cost that takes this long from asking to the origin.
    Request(Cost, i64),
    /// Asks for a lease for this many that wait, and uses so many of it in per cent, each at such a part of its length.
    Lease { isolate: u32, waiting: u32, used: u32, part: i64, reports: bool },
    /// Sends a request and asks for the next slots of a window that is full, and uses so many of them in per cent, each so much
    /// later than it opens.
    Deferred { isolate: u32, wants: u32, used: u32, late: i64, reports: bool },
    /// The answer to the last request came too late.
    Cancel,
    /// The total is raised.
    TopUp(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (cost(), 0..=ON_THE_WAY).prop_map(|(cost, on_the_way)| Event::Request(cost, on_the_way)),
        4 => (1..4_u32, 1..12_u32, 0..=100_u32, 0..=100_i64, any::<bool>())
            .prop_map(|(isolate, waiting, used, part, reports)| Event::Lease { isolate, waiting, used, part, reports }),
        8 => (1..4_u32, 1..12_u32, 0..=100_u32, 0..6_000_i64, any::<bool>())
            .prop_map(|(isolate, wants, used, late, reports)| Event::Deferred { isolate, wants, used, late, reports }),
        1 => Just(Event::Cancel),
        1 => (0..9_u32).prop_map(Event::TopUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_window_ever_holds_more_than_its_limit(
        begin in begin(),
        first in limits(),
        events in proptest::collection::vec((gap(), event()), 1..250),
    ) {
        let (mut limits, mut version) = (first, 1);
        let mut coordinator = limited(limits);
        let (mut arrived, mut last, mut now, mut call) = (Vec::new(), None, begin, 1);
        let mut reports: Vec<(i64, LeaseReport)> = Vec::new();
        for (gap, event) in events {
            now += gap;
            call += 1;
            // What was reported of leases arrives with the next call, or never.
            let leases = reports.extract_if(.., |(at, _)| *at <= now).map(|(at, report)| LeaseReport {
                age: report.age + ms(now - at),
                ..report
            });
            let tally = Some(Tally { teller: 1, sent: Timestamp(now), ..Tally::default() });
            let asks = Acquire { leases: leases.collect(), call, tally, ..one(version) };
            match event {
                Event::Request(cost, on_the_way) => {
                    let asks = Acquire { cost, ..asks };
                    last = None;
                    if let Acquired::Granted { delay, reservation, .. } = coordinator.acquire(&asks, Timestamp(now)) {
                        // A request that counts as five is five that arrive at once.
                        let arrives = now + delay.ms() + on_the_way;
                        arrived.extend((0..cost.units()).map(|_| arrives));
                        last = Some((reservation, cost, call));
                    }
                }
                Event::Lease { isolate, waiting, used, part, reports: is_reported } => {
                    let length = ms(4_750);
                    let asks = Acquire {
                        immediate: false,
                        queued: waiting,
                        wants: waiting,
                        lease_length: length,
                        client_id: isolate,
                        ..asks
                    };
                    let Acquired::Granted { lease: Some(lease), .. } = coordinator.acquire(&asks, Timestamp(now)) else {
                        continue;
                    };
                    let used = lease.requests * used / 100;
                    let at = now + lease.length.ms() * part / 100;
                    for _ in 0..used {
                        arrived.push(at + TRAVEL.ms());
                    }
                    if is_reported {
                        let report = LeaseReport { id: lease.id, used, age: Span::ZERO, open: 0 };
                        reports.push((at, report));
                    }
                }
                Event::Deferred { isolate, wants, used, late, reports: is_reported } => {
                    last = None;
                    let (lease_length, may_defer) = (LONG_LEASE, true);
                    let asks = Acquire { wants, lease_length, may_defer, client_id: isolate, ..asks };
                    let acquired = coordinator.acquire(&asks, Timestamp(now));
                    if let Acquired::Granted { delay, .. } = acquired {
                        arrived.push(now + delay.ms());
                    }
                    let Some(lease) = acquired.lease() else { continue };
                    let at_once = (0..lease.requests as usize - lease.opens.len()).map(|_| Span::ZERO);
                    let opens = at_once.chain(lease.opens.iter().copied());
                    let used = lease.requests * used / 100;
                    let uses: Vec<i64> = opens.take(used as usize).map(|opens| {
                        now + (opens.ms() + late).min(lease.length.ms())
                    }).collect();
                    arrived.extend(uses.iter().map(|at| at + TRAVEL.ms()));
                    if is_reported {
                        let at = uses.last().copied().unwrap_or(now);
                        let report = LeaseReport { id: lease.id, used, age: Span::ZERO, open: 0 };
                        reports.push((at, report));
                    }
                }
                Event::Cancel => {
                    if let Some((Some(reservation), cost, of)) = last.take() {
                        arrived.truncate(arrived.len() - cost.units() as usize);
                        let asks = Acquire { cancelled: Some(reservation), cancelled_call: of, ..asks };
                        let asks = Acquire { immediate: false, ..asks };
                        coordinator.acquire(&asks, Timestamp(now));
                    }
                }
                Event::TopUp(by) => {
                    last = None;
                    version += 1;
                    limits.total = limits.total.map(|total| total + by);
                    coordinator.put(Record { limits, version, ..record() });
                }
            }
        }
        prop_assert_eq!(over(limits, &mut arrived), []);
    }

    #[test]
    fn what_is_granted_and_for_how_long_others_wait_is_exactly_what_a_plain_count_says(
        begin in begin(),
        limits in limits(),
        requests in proptest::collection::vec((gap(), cost()), 1..150),
    ) {
        let mut coordinator = limited(limits);
        let (mut counted, mut now) = (Vec::<i64>::new(), begin);
        for (gap, cost) in requests {
            now += gap;
            let opens = opens(limits, &counted, cost, now);
            match (coordinator.acquire(&Acquire { cost, ..one(1) }, Timestamp(now)), opens) {
                (Acquired::Granted { delay, windows, .. }, Some(opens)) => {
                    prop_assert_eq!(now + delay.ms(), opens);
                    let latest = opens + ON_THE_WAY;
                    let latest = counted.last().map_or(latest, |newest| latest.max(*newest));
                    counted.extend((0..cost.units()).map(|_| latest));
                    let seen = now + MAX_DELAY.ms();
                    for (state, (window, limit)) in windows.iter().zip(set(limits)) {
                        let taken = counted.iter().filter(|then| is_in(window, **then, seen)).count();
                        prop_assert_eq!((state.window, state.remaining as usize), (window, limit.saturating_sub(taken)));
                        prop_assert!(window != Window::Total || state.reset == Span::ZERO);
                    }
                    prop_assert_eq!(windows.len(), set(limits).count());
                }
                (Acquired::Limited { retry_after, .. }, Some(opens)) => {
                    prop_assert_eq!(retry_after, ms(opens - now) - MAX_DELAY);
                }
                (Acquired::Limited { windows, .. }, None) => {
                    prop_assert!(windows.iter().any(|state| state.is_spent(cost)));
                }
                (answer, opens) => prop_assert!(false, "{answer:?} {opens:?}"),
            }
        }
    }

    #[test]
    fn however_a_clock_is_set_back_no_month_of_the_right_time_holds_more_than_its_limit(
        begin in begin(),
        limit in 1..20_u32,
        wrong in proptest::collection::vec((0..4 * DAY, 0..40_usize, 0..2 * DAY, 0..40_usize), 1..6),
    ) {
        let mut coordinator = limited(Limits { per_month: Some(limit), ..Limits::default() });
        let (mut arrived, mut right) = (Vec::new(), begin);
        for (ahead, while_wrong, gap, while_right) in wrong {
            // A clock that is ahead begins the next month too early, which
            // nobody can tell; it never is within reach of one here.
            let ahead = if month(right + ahead + DAY) == month(right) { ahead } else { 0 };
            for (ahead, requests) in [(ahead, while_wrong), (0, while_right)] {
                for _ in 0..requests {
                    right += 10;
                    if let Acquired::Granted { delay, .. } = acquire(&mut coordinator, Timestamp(right + ahead)) {
                        arrived.push(right + delay.ms());
                    }
                }
            }
            right += gap;
        }
        prop_assert_eq!(over(Limits { per_month: Some(limit), ..Limits::default() }, &mut arrived), []);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_kept_of_a_key_with_every_limit_is_bounded_and_read_back_as_it_was(
        seed in proptest::collection::vec((0..3_000_i64, 0..40_i64), 200..300),
    ) {
        let most = 1_000_000_000;
        let mut coordinator = limited(Limits::each(|_| Some(most)));
        let mut now = NOON.0;
        for (gap, repeats) in seed {
            now += gap * gap / 10;
            for _ in 0..repeats {
                now += 7;
                assert!(passes(&mut coordinator, Timestamp(now)));
            }
        }
        let kept = serde_json::to_string(&coordinator.counts).unwrap();
        prop_assert!(kept.len() < 40_000, "{}", kept.len());
        prop_assert_eq!(&keyward_json::from_str::<Counts>(&kept).unwrap(), &coordinator.counts);
    }
}

fn per_month(limit: u32) -> Limits {
    Limits { per_month: Some(limit), ..Limits::default() }
}

#[test]
fn a_request_that_may_arrive_on_either_side_of_a_months_end_counts_in_both() {
    for end in
        ["2027-01-01T00:00:00Z", "2027-03-01T00:00:00Z", "2028-03-01T00:00:00Z", "2026-12-01T00:00:00Z"]
    {
        let end = at(end);
        let mut coordinator = limited(per_month(2));
        assert!(passes(&mut coordinator, end - ms(DAY)));
        assert!(passes(&mut coordinator, end - ms(ON_THE_WAY)), "counts at the end, so in both");
        // The first one has left at the end; of the new month one is taken.
        let Acquired::Granted { delay, windows, .. } = acquire(&mut coordinator, end - ms(100)) else {
            panic!()
        };
        assert_eq!((delay, windows[0].remaining), (ms(100), 0));
        let Acquired::Limited { retry_after, windows, .. } = acquire(&mut coordinator, end + ms(1_000))
        else {
            panic!()
        };
        let days = (end + ms(1_000)).next_month() - end;
        assert_eq!(retry_after, days - ms(1_000) - MAX_DELAY);
        assert_eq!(windows[0].reset, retry_after, "told as the moment at which the next month begins");
        assert!(!passes(&mut coordinator, end + days - MAX_DELAY - ms(1)));
        assert!(passes(&mut coordinator, end + days - MAX_DELAY));
    }
}

#[test]
fn the_next_month_begins_when_the_calendar_says_so() {
    for (then, next) in [
        ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
        ("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"),
        ("2100-02-28T12:00:00Z", "2100-03-01T00:00:00Z"),
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(at(then).next_month(), at(next), "{then}");
    }
    assert_eq!(Timestamp(i64::MAX).next_month(), Timestamp::NEVER);
}

#[test]
fn a_month_is_not_given_back_by_a_clock_that_is_set_and_locks_nobody_out_for_longer() {
    // Set back from the next month, where a clock that was wrong had begun it: what was counted there counts here.
    let mut coordinator = limited(per_month(3));
    let end = at("2026-12-01T00:00:00Z");
    assert!((0..3).all(|step| passes(&mut coordinator, end + ms(step * 10_000))));
    assert!(!passes(&mut coordinator, end - ms(HOUR)));
    assert!(passes(&mut coordinator, end + ms(1_000)), "a new month, by the right time");
    // Set back a year: no longer than to the end of that month.
    let mut coordinator = limited(per_month(1));
    assert!(passes(&mut coordinator, NOON));
    let before = NOON - ms(400 * DAY);
    assert!(!passes(&mut coordinator, before));
    assert!(passes(&mut coordinator, before.next_month()));
    // Set back within a month: what was counted in it does not move out of it.
    let mut coordinator = limited(per_month(1));
    let begin = at("2026-11-01T00:00:05Z");
    assert!(passes(&mut coordinator, begin));
    assert!(!passes(&mut coordinator, begin + ms(10 * DAY)));
    assert!(!passes(&mut coordinator, begin + ms(9 * DAY)));
    // Set ahead, as its client tells: a day's requests may count in the next month as well, and no more.
    let mut coordinator = limited(per_month(10));
    let with =
        |sent: Timestamp| Acquire { tally: Some(Tally { teller: 5, sent, ..Tally::default() }), ..one(1) };
    let mut passes = |sent: Timestamp, now: Timestamp| {
        matches!(coordinator.acquire(&with(sent), now), Acquired::Granted { .. })
    };
    let day = end - ms(10 * DAY);
    assert!((0..8).all(|_| passes(day, day)));
    let evening = end - ms(15_000);
    assert!(passes(evening, evening));
    assert!(passes(evening + ms(1_000), evening + ms(31_000)));
    assert_eq!((0..10).filter(|_| passes(evening + ms(2_000), evening + ms(32_000))).count(), 8);
}

#[test]
fn a_second_or_an_hour_that_is_added_covers_what_was_admitted_before_and_a_month_or_total_begins() {
    let mut coordinator = limited(Limits { per_day: Some(1_000), ..Limits::default() });
    for step in 0..5 {
        assert!(passes(&mut coordinator, NOON + ms(step * 100)));
    }
    let now = NOON + ms(500);
    let edited = |limits: Limits| {
        let mut coordinator = coordinator.clone();
        coordinator.put(Record { limits, version: 2, ..record() });
        (0..20).filter(|_| matches!(coordinator.acquire(&one(2), now), Acquired::Granted { .. })).count()
    };
    let most = |window: Window| edited(Limits::each(|other| (other == window).then_some(7)));
    assert_eq!(Window::ALL.map(most), [2, 2, 2, 2, 7, 7]);
}

#[test]
fn nothing_that_was_counted_before_a_total_began_is_cancelled_in_it() {
    let mut coordinator = limited(Limits::default());
    let Acquired::Granted { reservation, .. } = acquire(&mut coordinator, NOON) else { panic!() };
    let limits = Limits { total: Some(2), per_month: Some(2), ..Limits::default() };
    coordinator.put(Record { limits, version: 2, ..record() });
    let mut passes = |cancelled| {
        let asks = Acquire { cancelled, ..one(2) };
        matches!(coordinator.acquire(&asks, NOON + ms(10)), Acquired::Granted { .. })
    };
    assert!(passes(None) && passes(None));
    assert!(!passes(reservation));
}

#[test]
fn a_total_is_topped_up_by_raising_it_and_begins_anew_where_it_was_taken_away() {
    let mut coordinator = limited(Limits::default());
    let mut version = 1;
    let mut now = NOON;
    let mut passed = |total: Option<u32>| {
        version += 1;
        now = now + ms(400 * DAY);
        coordinator.put(Record { limits: Limits { total, ..Limits::default() }, version, ..record() });
        (0..50)
            .filter(|_| matches!(coordinator.acquire(&one(version), now), Acquired::Granted { .. }))
            .count()
    };
    let edits = [Some(10), Some(10), Some(15), Some(4), Some(16), None, Some(3)];
    assert_eq!(edits.map(&mut passed), [10, 0, 5, 0, 1, 50, 3]);
}

#[test]
fn a_lease_lasts_no_longer_than_the_shortest_window_unless_a_relay_holds_it() {
    let granted = |limits: Limits, isolates: u32| {
        let mut coordinator = limited(limits);
        let asks = Acquire { wants: 40, lease_length: ms(4_750), client_id: 7, isolates, ..one(1) };
        let Acquired::Granted { lease, .. } = coordinator.acquire(&asks, NOON) else { panic!() };
        lease.map(|lease| (lease.requests, lease.length))
    };
    let per_second = |limit| Limits { per_second: Some(limit), ..Limits::default() };
    assert_eq!(granted(per_second(300), 0), Some((30, ms(1_000))));
    assert_eq!(granted(per_second(300), 9), Some((30, ms(4_750))));
    assert_eq!(granted(per_second(49), 0), None, "a tenth of the limit is not worth a call");
    assert_eq!(granted(per_month(10_000), 0), Some((40, ms(4_750))));
}

#[test]
fn what_one_isolate_took_for_those_that_waited_and_never_reported_keeps_another_waiting_for_a_second_and_a_half()
 {
    let mut coordinator = limited(Limits { per_second: Some(5), ..Limits::default() });
    let asks = Acquire { wants: 4, queued: 4, lease_length: ms(4_750), client_id: 7, ..one(1) };
    let Acquired::Granted { lease: Some(_), .. } = coordinator.acquire(&asks, NOON) else { panic!() };
    assert!(!passes(&mut coordinator, NOON));
    assert_eq!((0..9).filter(|_| passes(&mut coordinator, NOON + ms(1_500))).count(), 5);
}

#[test]
fn what_an_older_build_has_stored_is_read_and_what_is_stored_has_what_it_reads() {
    let old = r#"{"minute":[[1900000000000,1900000000000,3]],"day":[[1900000000000,1900000000000,3]],"leases":{"open":[],"lastId":0},"usage":{"lastUsedAt":null,"hours":{},"lastReport":null},"latest":1900000000000}"#;
    let counts: Counts = keyward_json::from_str(old).unwrap();
    assert_eq!(serde_json::to_string(&counts).unwrap(), old);
    let limits = Limits { per_second: Some(9), per_month: Some(9), total: Some(9), ..Limits::default() };
    let mut coordinator = Coordinator::kept(Record { limits, ..record() }, counts);
    assert!(passes(&mut coordinator, NOON));
    let kept = serde_json::to_string(&coordinator.counts).unwrap();
    let logs = r#"{"second":[[1900000000000,1900000000000,3],[1900000000750,1900000000750,1]],"minute":[[1900000000000,1900000000750,4]],"day":[[1900000000000,1900000000750,4]],"month":[[1900000000001,1900000000750,1]],"total":[[1900000000001,1900000000750,1]],"#;
    assert!(kept.starts_with(logs), "{kept}");
}
