//! Clocks that are set: a limit holds, and nobody is kept out for longer than a window.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::Timestamp;
use keyward_limits::{
    coordinator::{Clients, Coordinator},
    timing::TRAVEL,
    wire::{Acquire, Acquired, LeaseReport, Tally, TallyHour},
};
use keyward_testing::NOON;
use proptest::prelude::*;

use crate::common::{DAY, MINUTE, ON_THE_WAY, acquire, coordinator, ms, one, passes};

#[test]
fn a_clock_that_is_set_back_gives_nothing_back_and_locks_nobody_out_for_longer_than_a_window() {
    let mut coordinator = coordinator(Some(3), None);
    assert!((0..3).all(|second| passes(&mut coordinator, NOON + ms(second * 10_000))));
    for (back, passed) in [(DAY, 20_000), (MINUTE, 20_000), (1_001, 20_000)] {
        let now = NOON + ms(20_000 - back);
        let mut coordinator = coordinator.clone();
        let Acquired::Limited { retry_after, windows, .. } = acquire(&mut coordinator, now) else { panic!() };
        assert_eq!((retry_after, windows[0].reset), (ms(40_000), ms(40_000)), "back by {back}");
        assert!(!passes(&mut coordinator, now + ms(MINUTE - passed - 1)));
        assert!(passes(&mut coordinator, now + ms(MINUTE - passed)));
    }
    // Less than that is made up for by standing still, and what is said is true by the clock.
    let now = NOON + ms(20_000 - 900);
    let Acquired::Limited { retry_after, .. } = acquire(&mut coordinator, now) else { panic!() };
    assert_eq!(retry_after, ms(40_900));
    assert!(!passes(&mut coordinator, now + ms(40_899)));
    assert!(passes(&mut coordinator, now + ms(40_900)));
}

#[test]
fn what_is_free_is_not_shared_with_clients_that_called_before_the_clock_was_set_back() {
    let call = Acquire { wants: 7, isolates: 3, ..one(1) };
    for back in [1, 400, MINUTE, DAY] {
        let mut clients = Clients::default();
        clients.note(&call, NOON + ms(back));
        assert_eq!((clients.total_wants(NOON + ms(back)), clients.isolates(NOON + ms(back))), (8, 3));
        assert_eq!((clients.total_wants(NOON), clients.isolates(NOON)), (0, 0), "back by {back}");
    }
}

#[test]
fn a_clock_that_is_set_ahead_of_those_of_its_clients_frees_no_slot_early() {
    for (ahead, waits) in [(DAY, MINUTE), (30_000, MINUTE)] {
        let mut coordinator = coordinator(Some(3), None);
        // By the client's clock, which is some days off.
        let at = |client: i64, own: i64| {
            let tally = Tally { teller: 5, sent: NOON + ms(-3 * DAY + client), ..Tally::default() };
            (Acquire { tally: Some(tally), ..one(1) }, NOON + ms(own))
        };
        let mut passes = |client, own| {
            let (acquire, now) = at(client, own);
            matches!(coordinator.acquire(&acquire, now), Acquired::Granted { .. })
        };
        assert!((0..3).all(|at| passes(at, at)));
        assert!(!passes(1_000, ahead + 1_000));
        assert!(!passes(waits - 1, ahead + waits - 1));
        // Its own clock goes on from there.
        assert!(passes(waits + 10, ahead + waits + 10), "{ahead}");
    }
    // If it was the client's clock that was set back, the key is locked out for no longer than a window.
    let mut coordinator = coordinator(Some(3), None);
    let mut passes = |client, own| {
        let tally = Tally { teller: 5, sent: NOON + ms(client), ..Tally::default() };
        matches!(
            coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON + ms(own)),
            Acquired::Granted { .. }
        )
    };
    assert!((0..3).all(|at| passes(at, at)));
    assert!(!passes(-DAY, 50_000));
    assert!(passes(-DAY + MINUTE, 50_000 + MINUTE));
}

#[test]
fn nor_does_it_where_a_new_client_is_the_first_to_call_after_that() {
    for ahead in [DAY, 70_000] {
        let mut coordinator = coordinator(Some(3), None);
        let mut passes = |teller, client: i64, own: i64| {
            let tally = Tally { teller, sent: NOON + ms(client), ..Tally::default() };
            matches!(
                coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, NOON + ms(own)),
                Acquired::Granted { .. }
            )
        };
        assert!((0..3).all(|at| passes(5, at, at)));
        // Clients' clocks differ a little.
        assert!(!passes(6, 1_300, ahead + 1_000));
        assert!(!passes(5, 2_000, ahead + 2_000));
        assert!(!passes(7, MINUTE - 1_000, ahead + MINUTE - 1_000));
        assert!(passes(5, MINUTE + 10, ahead + MINUTE + 10), "{ahead}");
    }
}

/// A request of a client whose clock shows `sent`.
fn passes_with(coordinator: &mut Coordinator, teller: u64, sent: Timestamp, now: Timestamp) -> bool {
    let tally = Tally { teller, sent, ..Tally::default() };
    matches!(coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, now), Acquired::Granted { .. })
}

#[test]
fn a_client_whose_clock_is_wrong_keeps_nobody_out_and_lets_nobody_pass_too_often() {
    // When in each minute a client calls, which one, and by how much its clock is off in that minute.
    type Call = (i64, u64, fn(i64) -> i64);
    let behind: [Call; 2] = [(0, 1, |_| 0), (30_000, 2, |_| -MINUTE)];
    let set_ahead: [Call; 2] = [(0, 1, |_| 0), (1_000, 2, |minute| if minute < 5 { 0 } else { MINUTE })];
    let set_back: [Call; 2] = [(0, 1, |_| 0), (1_000, 2, |minute| if minute < 5 { 0 } else { -2 * DAY })];
    for calls in [behind, set_ahead, set_back] {
        let (mut large, mut small, mut passed) =
            (coordinator(Some(20), None), coordinator(Some(1), None), Vec::new());
        for minute in 0..60 {
            for (at, teller, off) in calls {
                let now = NOON + ms(minute * MINUTE + at);
                assert!(passes_with(&mut large, teller, now + ms(off(minute)), now), "in minute {minute}");
                if passes_with(&mut small, teller, now + ms(off(minute)), now) {
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
fn a_report_frees_no_slot_early_however_old_its_requests_are_by_a_clock_that_was_set_ahead() {
    for age in [4_000, 60_000, 86_400_000] {
        let mut coordinator = coordinator(Some(3), None);
        let wish = Acquire { queued: 3, lease_length: ms(4_750), ..Acquire::default() };
        let Acquired::Granted { lease: Some(lease), .. } =
            coordinator.acquire(&Acquire { version: 1, ..wish }, NOON)
        else {
            panic!()
        };
        let report = LeaseReport { id: lease.id, used: 3, open: 0, age: ms(age) };
        coordinator.report_of(&[].into(), &[report], None, NOON + ms(3_000));
        let leaves = MINUTE + TRAVEL.ms() - ON_THE_WAY;
        assert!(!passes(&mut coordinator, NOON + ms(leaves - 1)), "{age}");
        assert!(passes(&mut coordinator, NOON + ms(leaves)), "{age}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

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
        let mut coordinator = coordinator(Some(limit), None);
        let (mut now, mut ahead, mut wrong, mut strangers) = (NOON, 0, 0, 100);
        let (mut passed, mut unseen) = (Vec::new(), Vec::new());
        for (gap, step, teller, is_new) in calls {
            now = now + ms(gap);
            ahead += step;
            // A step of less than 10 s cannot be told from a slow message. What is known of clocks is then wrong by that
            // much.
            if step > 0 {
                let is_seen = step > 10_000 + wrong;
                unseen.push((now.0, if is_seen { wrong } else { step }));
            }
            if step.abs() <= 10_000 {
                wrong += step.abs();
            } else if step < 0 {
                // This much of it cannot be told from the time that has passed.
                wrong += gap + 1_000;
            }
            strangers += u64::from(is_new);
            let teller = if is_new { strangers } else { teller };
            let call = |coordinator: &mut Coordinator, at: Timestamp| {
                let tally = Tally { teller, sent: at, ..Tally::default() };
                coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, at + ms(ahead))
            };
            match call(&mut coordinator, now) {
                Acquired::Granted { delay, .. } => passed.push((now.0, now.0 + delay.ms())),
                Acquired::Limited { retry_after, .. } => {
                    // The last that passed may be delayed itself, and time may stand still for a second.
                    prop_assert!(retry_after <= ms(MINUTE + ON_THE_WAY + 1_000), "{retry_after:?}");
                    let later = now + retry_after;
                    let is_enough = matches!(call(&mut coordinator.clone(), later), Acquired::Granted { .. });
                    prop_assert!(is_enough, "{retry_after:?}");
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
    fn whatever_a_clients_clock_shows_others_are_not_kept_out_and_nothing_counts_twice(
        clients in proptest::collection::vec(
            prop_oneof![3 => -2_000_i64..2_000, 2 => -2 * MINUTE..2 * MINUTE, 1 => Just(DAY), 1 => Just(-DAY)], 2..=4,
        ),
        step in prop_oneof![-2 * MINUTE..2 * MINUTE, -DAY..DAY],
        after in 0_usize..80,
        calls in proptest::collection::vec((20_000_i64..60_000, 0_usize..4, any::<bool>()), 100),
    ) {
        let mut coordinator = coordinator(Some(20), None);
        let (mut now, mut clients) = (NOON, clients);
        let (mut numbers, mut heard) = (vec![0_u64; clients.len()], vec![NOON; clients.len()]);
        for (call, (gap, client_id, repeats)) in calls.into_iter().enumerate() {
            let client_id = client_id % clients.len();
            now = now + ms(gap);
            if call == after {
                clients[0] += step;
            }
            let sent = now + ms(clients[client_id]);
            // A tally that is not acknowledged is repeated for at most 15 minutes.
            if !repeats || now - heard[client_id] >= ms(15 * MINUTE) {
                numbers[client_id] += 1;
            }
            heard[client_id] = now;
            let hour = TallyHour { at: sent, accepted: 1, ..TallyHour::default() };
            let (teller, number) = (client_id as u64 + 1, numbers[client_id]);
            let hours = if number > 0 { vec![hour] } else { Vec::new() };
            let tally = Tally { teller, number, sent, hours, ..Tally::default() };
            // Three a minute at most, and a window for each time that the coordinator's clock may have been set.
            let taken = coordinator.acquire(&Acquire { tally: Some(tally), ..one(1) }, now);
            prop_assert!(matches!(taken, Acquired::Granted { .. }), "call {call}");
            let told: u64 = coordinator.report(now).unwrap().hours.iter().map(|hour| hour.accepted).sum();
            prop_assert_eq!(told, call as u64 + 1 + numbers.iter().sum::<u64>());
        }
    }
}
