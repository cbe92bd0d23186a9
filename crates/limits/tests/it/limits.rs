//! Limits: never over, exact on an idle key, `Retry-After` that is enough and not more.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Limits, Record},
    time::{DAY, MINUTE, Timestamp},
};
use keyward_limits::{
    coordinator::{Coordinator, Keep, store},
    limit::{Occupancy, SlidingWindowLog, Window},
    timing::{FIRST_ANSWER_MS, SECOND_ANSWER_MS, TRAVEL_MS},
    wire::{Acquire, Acquired, CoordinatorCall, LeaseReport, Tally, TallyHour},
};
use keyward_testing::{Database, NOON, record};
use proptest::prelude::*;

fn gate(per_minute: Option<u32>, per_day: Option<u32>) -> Coordinator {
    let mut gate = Coordinator::default();
    gate.put(Record { limits: Limits { per_minute, per_day }, ..record() });
    gate
}

/// The longest from asking to the origin.
const ON_THE_WAY: i64 = (FIRST_ANSWER_MS + TRAVEL_MS) as i64;

/// One request at hand, decided on this version.
fn one(version: u64) -> Acquire {
    Acquire { version, immediate: true, within_ms: FIRST_ANSWER_MS, ..Acquire::default() }
}

fn take(gate: &mut Coordinator, now: Timestamp) -> Acquired {
    gate.acquire(&one(1), now)
}

fn passes(gate: &mut Coordinator, now: Timestamp) -> bool {
    matches!(take(gate, now), Acquired::Granted { .. })
}

#[test]
fn admits_the_limit_and_not_one_more() {
    let mut gate = gate(Some(5), None);
    assert_eq!((0..9).filter(|at| passes(&mut gate, NOON.plus(*at))).count(), 5);
}

#[test]
fn waiting_retry_after_lets_the_next_request_through_and_a_millisecond_less_does_not() {
    let mut gate = gate(Some(2), None);
    assert!(passes(&mut gate, NOON) && passes(&mut gate, NOON.plus(20_000)));
    let Acquired::Limited { retry_after_ms, windows, .. } = take(&mut gate, NOON.plus(30_000)) else {
        panic!()
    };
    assert_eq!(retry_after_ms, 30_000);
    assert_eq!((windows[0].limit, windows[0].remaining, windows[0].reset_ms), (2, 0, 30_000));
    assert!(!passes(&mut gate, NOON.plus(59_999)));
    assert!(passes(&mut gate, NOON.plus(60_000)));
}

#[test]
fn a_place_whose_answer_came_too_late_is_given_back_by_the_call_that_asks_again() {
    let mut gate = gate(Some(1), Some(1));
    let Acquired::Granted { reservation, .. } = take(&mut gate, NOON) else { panic!() };
    assert!(!passes(&mut gate, NOON.plus(600)));
    let again = Acquire { within_ms: SECOND_ANSWER_MS, cancelled: reservation, ..one(1) };
    let (answer, keep) = gate.answer(CoordinatorCall::Acquire(again), NOON.plus(600)).unwrap();
    assert!(answer.contains("granted"));
    assert_eq!(keep, Keep::Counts);
    let hour = gate.report(NOON).unwrap().hours.remove(0);
    assert_eq!((hour.accepted, hour.refused.values().sum::<u64>()), (1, 1));
    // Only the second place counts.
    let leaves = 600 + i64::from(SECOND_ANSWER_MS) + MINUTE + i64::from(TRAVEL_MS);
    gate.put(Record { limits: Limits { per_minute: Some(1), per_day: None }, version: 2, ..record() });
    let at_once = Acquire { immediate: false, queued: 1, ..one(2) };
    assert!(matches!(gate.acquire(&at_once, NOON.plus(leaves - 1)), Acquired::Limited { .. }));
    assert!(matches!(gate.acquire(&at_once, NOON.plus(leaves)), Acquired::Granted { .. }));
}

#[test]
fn a_place_that_is_given_back_after_its_window_takes_no_other_out() {
    let mut gate = gate(Some(2), None);
    let Acquired::Granted { reservation, .. } = take(&mut gate, NOON) else { panic!() };
    let later = NOON.plus(2 * MINUTE);
    assert!(passes(&mut gate, later) && passes(&mut gate, later));
    let again = gate.acquire(&Acquire { cancelled: reservation, ..one(1) }, later);
    assert!(matches!(again, Acquired::Limited { .. }));
}

#[test]
fn a_lease_is_at_most_a_tenth_of_the_limit_beyond_what_waits_for_it() {
    let lease = |wants, queued| {
        let take = Acquire { wants, queued, lease_length_ms: 4_750, ..one(1) };
        let Acquired::Granted { lease, .. } = gate(Some(100), Some(5_000)).acquire(&take, NOON) else {
            panic!()
        };
        lease.map(|lease| lease.requests)
    };
    assert_eq!((lease(80, 0), lease(80, 30), lease(4, 0)), (Some(10), Some(30), None));
}

#[test]
fn a_place_is_free_again_one_window_after_it_was_given_out_and_the_request_waits_for_the_one_before() {
    let mut gate = gate(Some(1), None);
    assert!(passes(&mut gate, NOON));
    let Acquired::Granted { delay_ms, .. } = take(&mut gate, NOON.plus(MINUTE + 100)) else { panic!() };
    assert_eq!(i64::from(delay_ms), ON_THE_WAY - 100, "the one before may have come so late");
    let mut idle = self::gate(Some(1), None);
    assert!(passes(&mut idle, NOON));
    let later = take(&mut idle, NOON.plus(MINUTE + ON_THE_WAY));
    assert!(matches!(later, Acquired::Granted { delay_ms: 0, .. }));
}

#[test]
fn an_answer_that_may_be_used_late_counts_as_late() {
    let mut gate = gate(Some(1), None);
    let patient = Acquire { within_ms: SECOND_ANSWER_MS, ..one(1) };
    assert!(matches!(gate.acquire(&patient, NOON), Acquired::Granted { .. }));
    let late = i64::from(SECOND_ANSWER_MS - FIRST_ANSWER_MS);
    assert!(!passes(&mut gate, NOON.plus(MINUTE + late - 1)));
    assert!(passes(&mut gate, NOON.plus(MINUTE + late)));
}

#[test]
fn a_request_that_one_window_refuses_is_counted_in_none() {
    let mut gate = gate(Some(2), Some(3));
    assert!(passes(&mut gate, NOON) && passes(&mut gate, NOON));
    for _ in 0..10 {
        assert!(!passes(&mut gate, NOON));
    }
    assert!(passes(&mut gate, NOON.plus(MINUTE)), "the day window still had one of its three");
    let Acquired::Limited { retry_after_ms, .. } = take(&mut gate, NOON.plus(MINUTE)) else { panic!() };
    assert_eq!(retry_after_ms, (DAY - MINUTE) as u64);
}

#[test]
fn a_key_without_limits_is_never_refused_and_shows_no_windows() {
    let mut gate = gate(None, None);
    for _ in 0..10_000 {
        let Acquired::Granted { windows, delay_ms: 0, .. } = take(&mut gate, NOON) else { panic!() };
        assert_eq!(windows, []);
    }
}

#[test]
fn a_limit_that_an_edit_brings_counts_what_was_admitted_before() {
    let mut gate = gate(None, None);
    for _ in 0..7 {
        assert!(passes(&mut gate, NOON));
    }
    gate.put(Record { limits: Limits { per_minute: Some(5), per_day: None }, version: 2, ..record() });
    assert!(matches!(gate.acquire(&one(2), NOON.plus(1)), Acquired::Limited { .. }));
}

#[test]
fn a_decision_on_another_version_is_sent_back_with_the_record_and_costs_nothing() {
    let mut gate = gate(Some(1), None);
    gate.put(Record { version: 2, ..record() });
    let Acquired::Changed { record } = take(&mut gate, NOON) else { panic!() };
    assert_eq!(record.version, 2);
    assert!(matches!(gate.acquire(&one(2), NOON), Acquired::Granted { .. }));
}

#[test]
fn an_older_record_never_replaces_a_newer_one() {
    let mut gate = gate(None, None);
    assert_eq!(gate.put(Record { version: 3, ..record() }).version, 3);
    assert_eq!(gate.put(Record { version: 2, ..record() }).version, 3);
    assert_eq!(gate.record.as_ref().unwrap().version, 3);
}

#[test]
fn an_object_that_was_told_of_no_key_says_so_and_stores_nothing() {
    let mut gate = Coordinator::default();
    assert_eq!(take(&mut gate, NOON), Acquired::Unknown);
    let database = Database::new();
    assert_eq!(store::load(&database).unwrap(), Coordinator::default());
    assert_eq!(database.tables(), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_back_and_locks_nobody_out_for_longer_than_a_window() {
    let mut gate = gate(Some(3), None);
    assert!((0..3).all(|second| passes(&mut gate, NOON.plus(second * 10_000))));
    for (back, passed) in [(DAY, 20_000), (MINUTE, 20_000), (1_001, 20_000)] {
        let now = NOON.plus(20_000 - back);
        let mut gate = gate.clone();
        let Acquired::Limited { retry_after_ms, windows, .. } = take(&mut gate, now) else { panic!() };
        assert_eq!((retry_after_ms, windows[0].reset_ms), (40_000, 40_000), "back by {back}");
        assert!(!passes(&mut gate, now.plus(MINUTE - passed - 1)));
        assert!(passes(&mut gate, now.plus(MINUTE - passed)));
    }
    // Less than that is made up for by standing still, and what is said is true by the clock.
    let now = NOON.plus(20_000 - 900);
    let Acquired::Limited { retry_after_ms, .. } = take(&mut gate, now) else { panic!() };
    assert_eq!(retry_after_ms, 40_900);
    assert!(!passes(&mut gate, now.plus(40_899)));
    assert!(passes(&mut gate, now.plus(40_900)));
}

#[test]
fn a_clock_that_moves_ahead_of_those_that_ask_gives_nothing_back_either() {
    for (ahead, waits) in [(DAY, MINUTE), (30_000, MINUTE)] {
        let mut gate = gate(Some(3), None);
        // By the asker's clock, which is some days off.
        let at = |client_id: i64, own: i64| {
            let tally = Tally { teller: 5, sent: NOON.plus(-3 * DAY + client_id), ..Tally::default() };
            (Acquire { tally: Some(tally), ..one(1) }, NOON.plus(own))
        };
        let mut passes = |client_id, own| {
            let (take, now) = at(client_id, own);
            matches!(gate.acquire(&take, now), Acquired::Granted { .. })
        };
        assert!((0..3).all(|ms| passes(ms, ms)));
        assert!(!passes(1_000, ahead + 1_000));
        assert!(!passes(waits - 1, ahead + waits - 1));
        // Its own clock goes on from there.
        assert!(passes(waits + 10, ahead + waits + 10), "{ahead}");
    }
    // One whose asker's clock was set back instead is locked out for no longer than a window.
    let mut gate = gate(Some(3), None);
    let mut passes = |client_id, own| {
        let tally = Tally { teller: 5, sent: NOON.plus(client_id), ..Tally::default() };
        matches!(
            gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON.plus(own)),
            Acquired::Granted { .. }
        )
    };
    assert!((0..3).all(|ms| passes(ms, ms)));
    assert!(!passes(-DAY, 50_000));
    assert!(passes(-DAY + MINUTE, 50_000 + MINUTE));
}

#[test]
fn nor_does_it_where_one_that_was_not_heard_before_is_the_first_to_call_then() {
    for ahead in [DAY, 70_000] {
        let mut gate = gate(Some(3), None);
        let mut passes = |teller, client_id: i64, own: i64| {
            let tally = Tally { teller, sent: NOON.plus(client_id), ..Tally::default() };
            matches!(
                gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON.plus(own)),
                Acquired::Granted { .. }
            )
        };
        assert!((0..3).all(|ms| passes(5, ms, ms)));
        // Clocks of those who ask are a little apart.
        assert!(!passes(6, 1_300, ahead + 1_000));
        assert!(!passes(5, 2_000, ahead + 2_000));
        assert!(!passes(7, MINUTE - 1_000, ahead + MINUTE - 1_000));
        assert!(passes(5, MINUTE + 10, ahead + MINUTE + 10), "{ahead}");
    }
}

/// A request with this asker's clock.
fn passes_with(gate: &mut Coordinator, teller: u64, sent: Timestamp, now: Timestamp) -> bool {
    let tally = Tally { teller, sent, ..Tally::default() };
    matches!(gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, now), Acquired::Granted { .. })
}

#[test]
fn an_asker_whose_clock_is_wrong_keeps_nobody_out_and_lets_nobody_pass_too_often() {
    // When it calls in each minute, who, and by how much its clock is off in that minute.
    type Call = (i64, u64, fn(i64) -> i64);
    let behind: [Call; 2] = [(0, 1, |_| 0), (30_000, 2, |_| -MINUTE)];
    let set_ahead: [Call; 2] = [(0, 1, |_| 0), (1_000, 2, |minute| if minute < 5 { 0 } else { MINUTE })];
    let set_back: [Call; 2] = [(0, 1, |_| 0), (1_000, 2, |minute| if minute < 5 { 0 } else { -2 * DAY })];
    for calls in [behind, set_ahead, set_back] {
        let (mut large, mut small, mut passed) = (gate(Some(20), None), gate(Some(1), None), Vec::new());
        for minute in 0..60 {
            for (at, teller, off) in calls {
                let now = NOON.plus(minute * MINUTE + at);
                assert!(passes_with(&mut large, teller, now.plus(off(minute)), now), "in minute {minute}");
                if passes_with(&mut small, teller, now.plus(off(minute)), now) {
                    passed.push(now.0);
                }
            }
        }
        assert!(passed.last() >= Some(&(NOON.0 + 57 * MINUTE)), "{passed:?}");
        assert!(
            passed.windows(2).all(|two| (MINUTE..=2 * MINUTE).contains(&(two[1] - two[0]))),
            "{passed:?}"
        );
    }
}

#[test]
fn a_report_frees_no_place_early_however_long_ago_its_requests_were_by_a_clock_that_was_set_ahead() {
    for age_ms in [4_000, 60_000, 86_400_000] {
        let mut gate = gate(Some(3), None);
        let wish = Acquire { queued: 3, lease_length_ms: 4_750, ..Acquire::default() };
        let Acquired::Granted { lease: Some(lease), .. } =
            gate.acquire(&Acquire { version: 1, ..wish }, NOON)
        else {
            panic!()
        };
        let report = LeaseReport { id: lease.id, used: 3, open: 0, age_ms };
        gate.report_of(&[].into(), &[report], None, NOON.plus(3_000));
        let leaves = MINUTE + i64::from(TRAVEL_MS) - ON_THE_WAY;
        assert!(!passes(&mut gate, NOON.plus(leaves - 1)), "{age_ms}");
        assert!(passes(&mut gate, NOON.plus(leaves)), "{age_ms}");
    }
}

#[test]
fn of_those_who_have_told_nothing_but_the_time_only_a_few_are_stored() {
    let mut gate = gate(Some(100_000), None);
    for teller in 1..=600 {
        let tally = Tally { teller, number: u64::from(teller % 100 == 0), sent: NOON, ..Tally::default() };
        gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON);
    }
    let stored = serde_json::to_value(&gate.counts).unwrap();
    let tellers: Vec<u64> =
        stored["tellers"].as_array().unwrap().iter().map(|teller| teller[0].as_u64().unwrap()).collect();
    // Those who told something, of the 512 that are known; and the last eight.
    assert_eq!(tellers, [100, 200, 300, 400, 500, 592, 593, 594, 595, 596, 597, 598, 599, 600]);
}

#[test]
fn counts_and_record_survive_a_restart() {
    let database = Database::new();
    let mut before = gate(Some(3), Some(100));
    store::keep(&database, &before, Keep::Record).unwrap();
    for second in 0..3 {
        assert!(passes(&mut before, NOON.plus(second * 1_000)));
        store::keep(&database, &before, Keep::Counts).unwrap();
    }
    let mut after = store::load(&database).unwrap();
    assert_eq!((&after.record, &after.counts), (&before.record, &before.counts));
    assert!(!passes(&mut after, NOON.plus(59_999)));
    // Being told again, as after an edit, keeps the counts.
    after.put(Record { version: 2, ..record() });
    store::keep(&database, &after, Keep::Record).unwrap();
    assert_eq!(store::load(&database).unwrap().counts, before.counts);
}

#[test]
fn memory_stays_small_whatever_the_limit() {
    let mut gate = gate(Some(100_000), Some(10_000_000));
    let mut at = NOON;
    for request in 0..200_000 {
        at = at.plus(request % 3);
        take(&mut gate, at);
    }
    assert!(serde_json::to_string(&gate.counts).unwrap().len() < 12_000);
}

/// What is promised, without the economy: every moment, one by one.
fn within(log: &[i64], after: i64, until: i64) -> usize {
    log.iter().filter(|at| **at > after && **at <= until).count()
}

/// The most in any span of a minute.
fn most_in_a_minute(log: &mut [i64]) -> usize {
    log.sort_unstable();
    log.iter().map(|last| within(log, last - MINUTE, *last)).max().unwrap_or(0)
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
        let mut gate = gate(Some(limit), None);
        let (mut arrived, mut latest) = (Vec::new(), Vec::new());
        let mut now = NOON.0;
        for (gap, on_the_way) in gaps {
            now += gap;
            match take(&mut gate, Timestamp(now)) {
                Acquired::Granted { windows, delay_ms, .. } => {
                    let goes_on = now + i64::from(delay_ms);
                    arrived.push(goes_on + on_the_way);
                    latest.push(goes_on + ON_THE_WAY);
                    let horizon = now + ON_THE_WAY;
                    let taken = within(&latest, horizon - MINUTE, i64::MAX);
                    prop_assert!(windows[0].remaining as usize <= (limit as usize).saturating_sub(taken));
                }
                Acquired::Limited { retry_after_ms, .. } => {
                    prop_assert!(retry_after_ms > 0 && retry_after_ms <= MINUTE as u64 + 2 * ON_THE_WAY as u64);
                    // A place is held at most a bucket's length (1/64) too long, and not at all
                    // where every request has a bucket of its own.
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
        let mut gate = gate(Some(limit), Some(limit * 3));
        let mut now = NOON;
        for gap in gaps {
            now = now.plus(gap);
            if let Acquired::Limited { retry_after_ms, .. } = take(&mut gate, now) {
                let mut early = gate.clone();
                prop_assert!(!passes(&mut early, now.plus(retry_after_ms as i64 - 1)));
                now = now.plus(retry_after_ms as i64);
                prop_assert!(passes(&mut gate, now));
            }
        }
    }

    #[test]
    fn wherever_the_clock_is_set_a_limit_holds_and_waiting_what_a_refusal_says_is_enough(
        limit in 1_u32..12,
        calls in proptest::collection::vec(
            (
                0_i64..9_000,
                prop_oneof![
                    20 => Just(0),
                    1 => -2_000_i64..2_000,
                    1 => -9_000_i64..9_000,
                    1 => -200_000_i64..-10_000,
                    1 => 60_000_i64..200_000,
                    1 => Just(DAY),
                    1 => Just(-DAY),
                ],
                1_u64..4,
                any::<bool>(),
            ),
            1..150,
        ),
    ) {
        let mut gate = gate(Some(limit), None);
        let (mut now, mut ahead, mut wrong, mut strangers) = (NOON, 0, 0, 100);
        let (mut passed, mut unseen) = (Vec::new(), Vec::new());
        for (gap, step, teller, is_new) in calls {
            now = now.plus(gap);
            ahead += step;
            // Less than 10 s at a time cannot be told from a message that was on its way for long; by as much what is
            // known of clocks may be wrong later.
            if step > 0 {
                let is_seen = step > 10_000 + wrong;
                unseen.push((now.0, if is_seen { wrong } else { step }));
            }
            if step.abs() <= 10_000 {
                wrong += step.abs();
            } else if step < 0 {
                // So much of it cannot be told from the time that has passed.
                wrong += gap + 1_000;
            }
            strangers += u64::from(is_new);
            let teller = if is_new { strangers } else { teller };
            let call = |gate: &mut Coordinator, at: Timestamp| {
                let tally = Tally { teller, sent: at, ..Tally::default() };
                gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, at.plus(ahead))
            };
            match call(&mut gate, now) {
                Acquired::Granted { delay_ms, .. } => passed.push((now.0, now.0 + i64::from(delay_ms))),
                Acquired::Limited { retry_after_ms, .. } => {
                    // The last that passed may wait itself, and the clock stand still for a second.
                    prop_assert!(retry_after_ms <= (MINUTE + ON_THE_WAY) as u64 + 1_000, "{retry_after_ms}");
                    let later = now.plus(retry_after_ms as i64);
                    let is_enough = matches!(call(&mut gate.clone(), later), Acquired::Granted { .. });
                    prop_assert!(is_enough, "{retry_after_ms}");
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        for (last, (_, at)) in passed.iter().enumerate().skip(limit as usize) {
            // The clock may also be set while the first of them waits.
            let (asked, began) = passed[last - limit as usize];
            let early: i64 = unseen.iter().filter(|step| (asked..=*at).contains(&step.0)).map(|step| step.1).sum();
            prop_assert!(at - began >= MINUTE - early, "{} in {} ms", limit + 1, at - began);
        }
    }

    #[test]
    fn whatever_an_askers_clock_shows_others_are_not_kept_out_and_nothing_is_heard_twice(
        clients in proptest::collection::vec(
            prop_oneof![3 => -2_000_i64..2_000, 2 => -2 * MINUTE..2 * MINUTE, 1 => Just(DAY), 1 => Just(-DAY)], 2..=4,
        ),
        step in prop_oneof![-2 * MINUTE..2 * MINUTE, -DAY..DAY],
        after in 0_usize..80,
        calls in proptest::collection::vec((20_000_i64..60_000, 0_usize..4, any::<bool>()), 100),
    ) {
        let mut gate = gate(Some(20), None);
        let (mut now, mut clients) = (NOON, clients);
        let (mut numbers, mut heard) = (vec![0_u64; clients.len()], vec![NOON; clients.len()]);
        for (call, (gap, client_id, repeats)) in calls.into_iter().enumerate() {
            let client_id = client_id % clients.len();
            now = now.plus(gap);
            if call == after {
                clients[0] += step;
            }
            let sent = now.plus(clients[client_id]);
            // Nobody repeats for longer than a quarter of an hour what was not answered.
            if !repeats || now.0 - heard[client_id].0 >= 15 * MINUTE {
                numbers[client_id] += 1;
            }
            heard[client_id] = now;
            let hour = TallyHour { at: sent, accepted: 1, ..TallyHour::default() };
            let (teller, number) = (client_id as u64 + 1, numbers[client_id]);
            let hours = if number > 0 { vec![hour] } else { Vec::new() };
            let tally = Tally { teller, number, sent, hours, ..Tally::default() };
            // Three a minute at most, and a window for each time that the object's clock may have been set.
            let taken = gate.acquire(&Acquire { tally: Some(tally), ..one(1) }, now);
            prop_assert!(matches!(taken, Acquired::Granted { .. }), "call {call}");
            let told: u64 = gate.report(now).unwrap().hours.iter().map(|hour| hour.accepted).sum();
            prop_assert_eq!(told, call as u64 + 1 + numbers.iter().sum::<u64>());
        }
    }

    #[test]
    fn a_client_that_saturates_its_limit_gets_nearly_all_of_it(limit in 10_u32..600, step in 20_i64..50) {
        let mut gate = gate(Some(limit), None);
        let mut admitted = 0_u32;
        let mut at = 0;
        while at < 10 * MINUTE {
            admitted += u32::from(passes(&mut gate, NOON.plus(at)));
            at += step;
        }
        prop_assert!(f64::from(admitted) >= f64::from(limit) * 10.0 * 0.95, "{admitted} of {}", limit * 10);
    }
}

#[test]
fn an_idle_window_is_open() {
    let idle = Occupancy::new(Window::Minute, 7, &SlidingWindowLog::default(), std::iter::empty());
    assert_eq!((idle.opens(NOON), idle.free(NOON), idle.state(NOON).reset_ms), (NOON, 7, 0));
}
