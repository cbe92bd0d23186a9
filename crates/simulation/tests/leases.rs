//! Leases, over many isolates and a network that delays, loses and reorders: never over the limit,
//! little wasted, few calls, revoked in time. The real pipeline, coordinators and relays run in virtual time
//! against an exact log of what reached the origin.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::{FutureExt, future::LocalBoxFuture};
use keyward_core::{
    record::{Limits, Status},
    time::{DAY, HOUR, MINUTE, SECOND, Timestamp},
    unavailable::Unavailable,
};
use keyward_gate::memory::Memory;
use keyward_limits::{
    lease::{Grantor, Lessee},
    limit::{Window, WindowState},
    relay::{Relay, RelayServer, Upstream},
    tally::REMEMBERED_MS,
    timing::RELAY_ANSWER_MS,
    wire::{Acquire, Acquired, CoordinatorCall, Lease, RouteHint, Tally, TallyHour},
};
use keyward_policy::Realm;
use keyward_simulation::world::{
    BEGIN, World,
    keys::{by_minute, most_in_a_minute},
    network::Network,
    realm,
};
use proptest::prelude::*;

const GOOD: Network = Network { round_trip: (5, 60), lost: 0, kv_lag: 0, skew: 0 };
const FRESHNESS: i64 = 5 * SECOND;

fn per_minute(limit: u32) -> Limits {
    Limits { per_minute: Some(limit), per_day: None }
}

/// Requests with the first key every `step` milliseconds (fractions allowed), each to an isolate by chance.
fn steadily(world: &World, isolates: usize, step: f64, span: i64) {
    let requests = (span as f64 / step) as i64;
    for number in 0..requests {
        world.at((number as f64 * step) as i64, move |cloud| {
            cloud.request(cloud.below(isolates as u64) as usize, 0);
        });
    }
}

fn passed(world: &World) -> Vec<i64> {
    world.cloud().keys.borrow()[0].log.passed.clone()
}

fn calls(world: &World) -> u64 {
    world.cloud().loads.borrow().values().map(|load| load.total).sum()
}

#[derive(Clone, Copy, Debug)]
enum Mishap {
    Isolate,
    Object,
    Limit(u32),
}

/// By how much a clock is set.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![-900_i64..900, -9 * SECOND..9 * SECOND, -5 * MINUTE..5 * MINUTE, Just(DAY), Just(-DAY)]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![Just(Mishap::Isolate), Just(Mishap::Object), (1_u32..700).prop_map(Mishap::Limit)]
}

/// The highest limit of those that held at some time in the span before each moment that passed is
/// never exceeded in the minute before it.
fn never_over(passed: &mut [i64], limits: &[(i64, u32)]) {
    passed.sort_unstable();
    let mut first = 0;
    for (last, at) in passed.iter().enumerate() {
        while at - passed[first] >= MINUTE {
            first += 1;
        }
        let held = |(number, (from, _)): &(usize, &(i64, u32))| {
            let until = limits.get(number + 1).map_or(i64::MAX, |(next, _)| next + FRESHNESS);
            *from <= *at && *at <= until
        };
        let limit = limits.iter().enumerate().filter(held).map(|(_, (_, limit))| *limit).max().unwrap();
        assert!(last + 1 - first <= limit as usize, "{} in a minute, limit {limit}", last + 1 - first);
    }
}

/// By so much at most places leave too early when an object's clock is set ahead: what cannot be told from a
/// message that was on its way for long, and from clocks of isolates that are off.
const UNSEEN: i64 = 21 * SECOND;

/// Where clocks are set a limit holds in spans that are shorter by as much.
fn never_over_but_for_steps(passed: &mut [i64], limit: u32, ahead: &[i64]) {
    passed.sort_unstable();
    for (last, at) in passed.iter().enumerate() {
        let Some(first) = last.checked_sub(limit as usize) else { continue };
        let began = passed[first];
        let steps =
            ahead.iter().filter(|step| (began - 2 * SECOND..*at + 2 * SECOND).contains(step)).count() as i64;
        assert!(at - began >= MINUTE - steps * UNSEEN, "{} in {} ms, limit {limit}", limit + 1, at - began);
    }
}

/// Three hundred schedules, or as many as PROPTEST_CASES says.
fn schedules() -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config
    } else {
        ProptestConfig { cases: 300, ..config }
    }
}

proptest! {
    #![proptest_config(schedules())]

    #[test]
    fn never_over_whatever_is_lost_late_dead_edited_or_off(
        seed: u64,
        limit in 1_u32..700,
        isolates in 1_usize..10,
        lost in 0_u64..300,
        slowest in 5_i64..2_500,
        pace in 5_u64..400,
        mishaps in prop::collection::vec((mishap(), 0..4 * MINUTE), 0..12),
        decision_timeout_ms in prop_oneof![Just(2_000_u32), 1_000_u32..8_000],
    ) {
        let network = Network { round_trip: (5, slowest), lost, kv_lag: MINUTE, skew: 5_000 };
        let world = World::new(seed, isolates, network, Realm { decision_timeout_ms, ..realm(5_000) });
        let cloud = world.cloud();
        cloud.make_key(per_minute(limit));
        let mut limits = vec![(BEGIN, limit)];
        let mut now = 0;
        while now < 4 * MINUTE {
            let isolate = cloud.below(isolates as u64) as usize;
            world.at(now, move |cloud| cloud.request(isolate, 0));
            // Bursts and pauses.
            now += match cloud.below(40) {
                0 => cloud.below(8_000),
                1..20 => 0,
                _ => cloud.below(pace),
            } as i64;
        }
        let mut mishaps = mishaps;
        mishaps.sort_by_key(|(_, at)| *at);
        for (mishap, at) in mishaps {
            if let Mishap::Limit(limit) = mishap {
                limits.push((BEGIN + at, limit));
            }
            world.at(at, move |cloud| match mishap {
                Mishap::Isolate => cloud.crash_isolate(cloud.below(isolates as u64) as usize),
                Mishap::Object => cloud.crash_objects(0),
                Mishap::Limit(limit) => cloud.change(0, |record| record.limits = per_minute(limit)),
            });
        }
        world.run();
        never_over(&mut passed(&world), &limits);
        prop_assert!(cloud.keys.borrow()[0].log.longest <= decision_timeout_ms.into(), "it waited for too long");
    }

    #[test]
    fn wherever_a_clock_is_set_limits_hold_and_nobody_is_locked_out_for_longer_than_a_window(
        seed: u64,
        limit in 5_u32..150,
        isolates in 1_usize..6,
        slowest in 5_i64..450,
        pace in 5_u64..300,
        of_objects in prop::collection::vec((step(), 0..4 * MINUTE, any::<bool>()), 0..5),
        of_isolates in prop::collection::vec((-SECOND..SECOND, 0..4 * MINUTE), 0..8),
    ) {
        let network = Network { round_trip: (5, slowest), lost: 0, kv_lag: MINUTE, skew: 0 };
        let world = World::new(seed, isolates, network, realm(5_000));
        let cloud = world.cloud();
        cloud.make_key(per_minute(limit));
        let mut now = 0;
        while now < 6 * MINUTE {
            let isolate = cloud.below(isolates as u64) as usize;
            world.at(now, move |cloud| cloud.request(isolate, 0));
            now += if cloud.below(3) == 0 { 0 } else { cloud.below(pace) as i64 };
        }
        let mut ahead = Vec::new();
        for (by, at, others) in of_objects {
            if by > 0 {
                ahead.push(BEGIN + at);
            }
            world.at(at, move |cloud| {
                cloud.objects_ahead.set(cloud.objects_ahead.get() + by);
                // The first to call is one that the object has never heard of.
                for isolate in (0..isolates).filter(|_| others) {
                    cloud.crash_isolate(isolate);
                }
            });
        }
        for (by, at) in of_isolates {
            world.at(at, move |cloud| cloud.set_clock(cloud.below(isolates as u64) as usize, by));
        }
        world.run();
        let mut passed = passed(&world);
        never_over_but_for_steps(&mut passed, limit, &ahead);
        // All clocks are left alone from the fourth minute on.
        let since = BEGIN + 4 * MINUTE;
        let locked_out_until = passed.iter().find(|at| **at >= since).unwrap();
        // Leases and what is on its way count as used a little later than they are.
        prop_assert!(locked_out_until - since <= MINUTE + 10 * SECOND, "{} ms", locked_out_until - since);
    }

    #[test]
    fn a_revoked_key_is_refused_everywhere_in_time(seed: u64, at in 5 * SECOND..40 * SECOND, pace in 2_u32..50) {
        let network = Network { round_trip: (5, 1_000), lost: 200, kv_lag: MINUTE, skew: 5_000 };
        let world = World::new(seed, 8, network, realm(5_000));
        world.cloud().make_key(per_minute(100_000));
        steadily(&world, 8, pace.into(), at + 10 * SECOND);
        world.at(at, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        world.run();
        let last = passed(&world).into_iter().max().unwrap();
        prop_assert!(last <= BEGIN + at + FRESHNESS);
        prop_assert!(world.cloud().keys.borrow()[0].log.unknown > 0);
    }

    #[test]
    fn with_freshness_0_the_very_next_request_is_refused(seed: u64, at in SECOND..20 * SECOND) {
        let world = World::new(seed, 8, Network { kv_lag: MINUTE, ..GOOD }, realm(0));
        world.cloud().make_key(per_minute(100_000));
        steadily(&world, 8, 7.0, at);
        world.at(at, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        world.run();
        let before = passed(&world).len();
        steadily(&world, 8, 7.0, SECOND);
        world.run();
        prop_assert_eq!(passed(&world).len(), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_client_that_saturates_its_limit_gets_at_least_95_percent_of_it(
        seed: u64, limit in 100_u32..2_000, isolates in prop_oneof![Just(1_usize), Just(4), Just(8)], times in 11_u32..30,
    ) {
        let world = World::new(seed, isolates, GOOD, realm(5_000));
        world.cloud().make_key(per_minute(limit));
        steadily(&world, isolates, MINUTE as f64 * 10.0 / f64::from(limit) / f64::from(times), 3 * MINUTE);
        world.run();
        let mut passed = passed(&world);
        for (minute, passed) in by_minute(&passed, 3).into_iter().enumerate() {
            prop_assert!(passed as f64 >= f64::from(limit) * 0.95, "{passed} of {limit} in minute {minute}");
        }
        prop_assert!(most_in_a_minute(&mut passed) <= limit as usize);
    }

    #[test]
    fn a_client_below_its_limit_is_never_refused_because_of_leases(seed: u64, limit in 100_u32..3_000) {
        let world = World::new(seed, 8, GOOD, realm(5_000));
        world.cloud().make_key(per_minute(limit));
        steadily(&world, 8, MINUTE as f64 / f64::from(limit) / 0.8, 3 * MINUTE);
        world.run();
        prop_assert_eq!(world.cloud().keys.borrow()[0].log.limited.len(), 0);
    }

    #[test]
    fn a_burst_gets_the_whole_limit_however_many_isolates_it_is_spread_over(
        seed: u64, limit in 20_u32..600, isolates in 1_usize..9, concurrency in 1_i64..50,
    ) {
        let world = World::new(seed, isolates, GOOD, realm(5_000));
        world.cloud().make_key(per_minute(limit));
        for number in 0..i64::from(limit) * 3 / 2 {
            world.at(number / concurrency * 3, move |cloud| {
                cloud.request(number as usize % isolates, 0);
            });
        }
        world.run();
        prop_assert_eq!(passed(&world).len(), limit as usize);
    }

    #[test]
    fn so_it_does_where_the_first_answers_come_too_late(seed: u64, limit in 20_u32..600, slowest in 700_i64..2_500) {
        let network = Network { round_trip: (600, slowest), ..GOOD };
        // Two calls of that length do not fit into the usual deadline.
        let world = World::new(seed, 8, network, Realm { decision_timeout_ms: 8_000, ..realm(5_000) });
        world.cloud().make_key(per_minute(limit));
        for number in 0..limit as usize * 3 / 2 {
            world.at(0, move |cloud| {
                cloud.request(number % 8, 0);
            });
        }
        world.run();
        prop_assert_eq!(passed(&world).len(), limit as usize);
    }
}

#[test]
fn while_an_object_hangs_no_request_waits_longer_than_the_deadline_however_many_wait_for_each_other() {
    let network = Network { lost: 1_000, ..GOOD };
    let world = World::new(3, 2, network, realm(5_000));
    world.cloud().make_key(per_minute(100_000));
    steadily(&world, 2, 7.0, 20 * SECOND);
    world.run();
    let keys = world.cloud().keys.borrow();
    assert_eq!((passed(&world).len(), keys[0].log.failed), (0, keys[0].log.came.len() as u64));
    assert!(keys[0].log.longest <= i64::from(realm(5_000).decision_timeout_ms), "{} ms", keys[0].log.longest);
    // Most of them are told at once that it is of no use.
    assert!(keys[0].log.waited < keys[0].log.failed / 2, "{} waited", keys[0].log.waited);
}

#[test]
fn requests_that_have_waited_for_a_call_in_vain_make_none_of_their_own_in_their_last_moment() {
    // Also where the deadline is later than the time for which one waits for others' calls.
    for (decision_timeout_ms, most) in [(2_000, 10), (8_000, 40)] {
        let world = World::new(3, 1, GOOD, Realm { decision_timeout_ms, ..realm(5_000) });
        world.cloud().make_key(per_minute(100_000));
        world.cloud().hangs.set(true);
        for _ in 0..300 {
            world.at(0, |cloud| cloud.request(0, 0));
        }
        world.run();
        assert_eq!(world.cloud().keys.borrow()[0].log.failed, 300);
        assert!(calls(&world) <= most, "{} calls within {decision_timeout_ms} ms", calls(&world));
    }
}

/// Calls of the keys' objects so far.
fn calls_of_objects(cloud: &keyward_simulation::world::Cloud) -> u64 {
    let loads = cloud.loads.borrow();
    loads.iter().filter(|(object, _)| object.relay.is_none()).map(|(_, load)| load.total).sum()
}

#[test]
fn a_crowd_asks_an_object_that_hangs_through_its_relays_only() {
    const ISOLATES: usize = 600;
    let world = World::new(11, ISOLATES, Network { round_trip: (5, 100), ..GOOD }, realm(5_000));
    world.cloud().make_key(per_minute(1_000_000));
    steadily(&world, ISOLATES, 2.0, 60 * SECOND);
    let calls = Rc::new(RefCell::new(Vec::new()));
    for (at, hangs) in [(20 * SECOND, true), (40 * SECOND, false)] {
        let calls = Rc::clone(&calls);
        world.at(at, move |cloud| {
            cloud.hangs.set(hangs);
            calls.borrow_mut().push(calls_of_objects(cloud));
        });
    }
    world.run();
    let calls = calls.borrow()[1] - calls.borrow()[0];
    // Of each of the 64 relays three in a row, then one in five seconds, beside a tally now and then.
    assert!(calls <= 64 * 12, "{calls} calls in 20 s");
    let passed = passed(&world);
    let within =
        |from: i64, to: i64| passed.iter().filter(|at| (BEGIN + from..BEGIN + to).contains(at)).count();
    assert!(within(10 * SECOND, 20 * SECOND) > 4_990, "before");
    assert_eq!(within(26 * SECOND, 40 * SECOND), 0);
    assert!(within(50 * SECOND, 60 * SECOND) > 4_950, "after");
}

#[test]
fn a_hot_key_costs_one_call_for_twenty_requests_waits_for_none_and_reads_kv_once() {
    for isolates in [1, 4] {
        let world = World::new(7, isolates, GOOD, realm(5_000));
        world.cloud().make_key(per_minute(100_000));
        for isolate in 0..isolates {
            for number in 0..MINUTE / 10 {
                world.at(number * 10, move |cloud| cloud.request(isolate, 0));
            }
        }
        world.run();
        let requests = passed(&world).len() as u64;
        assert_eq!(requests, 6_000 * isolates as u64);
        assert!(calls(&world) * 20 <= requests, "{} calls for {requests}", calls(&world));
        let waited = world.cloud().keys.borrow()[0].log.waited;
        assert!(waited <= 110 * isolates as u64, "{waited} waited: more than those of the first second");
        assert!(world.cloud().kv_reads.get() <= 20 * isolates as u64);
    }
}

#[test]
fn a_key_used_once_a_minute_costs_one_call_a_request() {
    let world = World::new(7, 1, GOOD, realm(5_000));
    world.cloud().make_key(per_minute(600));
    for minute in 0..30 {
        world.at(minute * MINUTE, |cloud| cloud.request(0, 0));
    }
    world.run();
    assert_eq!((passed(&world).len(), calls(&world)), (30, 30));
}

#[test]
fn an_edit_costs_an_isolate_a_few_calls_however_many_requests_come_before_the_first_answer() {
    let world = World::new(7, 1, GOOD, realm(5_000));
    world.cloud().make_key(per_minute(600));
    world.at(0, |cloud| cloud.request(0, 0));
    world.at(10 * SECOND, |cloud| cloud.change(0, |record| record.limits = per_minute(500)));
    for _ in 0..50 {
        world.at(20 * SECOND, |cloud| cloud.request(0, 0));
    }
    world.run();
    assert_eq!(passed(&world).len(), 51);
    // The first; four on the old version, as many on the new; a lease for those that wait, and its end.
    assert!(calls(&world) <= 14, "{} calls", calls(&world));
}

#[test]
fn a_crowd_whose_freshness_is_too_short_for_relays_asks_the_object_itself() {
    let world = World::new(3, 100, GOOD, realm(1_500));
    world.cloud().make_key(per_minute(100_000));
    steadily(&world, 100, 2.0, 10 * SECOND);
    world.run();
    assert!(world.cloud().loads.borrow().keys().all(|object| object.relay.is_none()));
    assert_eq!(passed(&world).len(), 5_000);
}

#[test]
fn where_less_freshness_is_asked_for_a_lease_is_used_only_for_so_long() {
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let mut lessee = Lessee::default();
    // A relay's word was 1 s old when it granted this.
    lessee.add_lease(Grantor::Relay, Lease { id: 1, requests: 10, lease_length_ms: 3_750 }, 1_000, at(0));
    assert!(lessee.admit(2_750, at(1_749)).is_some());
    assert!(lessee.admit(2_750, at(1_750)).is_none());
    assert!(lessee.admit(4_750, at(3_749)).is_some());
    assert!(lessee.admit(4_750, at(3_750)).is_none());
}

#[test]
fn calls_on_an_older_version_make_nobody_wait() {
    let now = Timestamp(BEGIN);
    let mut lessee = Lessee::default();
    lessee.plan_call(Grantor::Coordinator, 4_750, now);
    assert!(lessee.has_call_in_flight(now));
    lessee.reset();
    assert!(!lessee.has_call_in_flight(now));
}

#[test]
fn a_crowd_is_spread_over_relays_and_every_promise_holds_through_them() {
    const ISOLATES: usize = 1_500;
    let network = Network { round_trip: (5, 250), lost: 10, kv_lag: MINUTE, skew: 2_000 };
    for limit in [3_000, 600_000] {
        let world = World::new(11, ISOLATES, network, realm(5_000));
        world.cloud().make_key(per_minute(limit));
        for number in 0..150_000_i64 {
            // It gathers over ten seconds.
            world.at(number * 90_000 / 150_000, move |cloud| {
                let isolate = cloud.below(ISOLATES as u64);
                if isolate * 10_000 <= cloud.elapsed() as u64 * ISOLATES as u64 {
                    cloud.request(isolate as usize, 0);
                }
            });
        }
        world.at(80_000, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        world.run();
        let loads = world.cloud().loads.borrow();
        assert!(loads.keys().any(|object| object.relay.is_some()));
        let (object, busiest) = loads.iter().max_by_key(|(_, load)| load.peak).unwrap();
        assert!(busiest.peak <= 500, "{object:?}: {}", busiest.peak);
        let mut passed = passed(&world);
        assert!(most_in_a_minute(&mut passed) <= limit as usize);
        assert!(*passed.last().unwrap() <= BEGIN + 80_000 + FRESHNESS);
        if limit == 3_000 {
            assert!(by_minute(&passed, 1)[0] >= 2_850);
        } else {
            assert_eq!(world.cloud().keys.borrow()[0].log.limited.len(), 0);
        }
    }
}

#[test]
fn what_a_client_is_told_is_left_does_not_fall_and_rise_when_a_lease_ends_unused() {
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let state = WindowState { window: Window::Minute, limit: 100, remaining: 90, reset_ms: 60_000 };
    let mut lessee = Lessee::default();
    let left = |lessee: &Lessee, ms| lessee.windows(at(ms))[0].remaining;
    lessee.update_windows(&[state], at(0));
    lessee.add_lease(Grantor::Coordinator, Lease { id: 1, requests: 10, lease_length_ms: 4_750 }, 0, at(0));
    assert_eq!(left(&lessee, 0), 100);
    for _ in 0..4 {
        lessee.admit(4_750, at(100)).unwrap();
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
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let mut lessee = Lessee::default();
    lessee.add_lease(Grantor::Coordinator, Lease { id: 1, requests: 10, lease_length_ms: 4_750 }, 0, at(0));
    assert!(lessee.admit(4_750, at(2_000)).is_some());
    assert!(lessee.admit(4_750, at(1_000)).is_none());
    assert!(lessee.admit(4_750, at(2_000)).is_none());
}

#[test]
fn a_clock_that_is_set_back_again_and_again_by_a_little_makes_no_lease_longer() {
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let mut lessee = Lessee::default();
    lessee.add_lease(
        Grantor::Coordinator,
        Lease { id: 1, requests: 1_000, lease_length_ms: 4_750 },
        0,
        at(0),
    );
    // Every 100 ms it is looked at, set back by 40, and looked at again.
    let mut passed = 0;
    for moment in (0..10_000).step_by(100) {
        let clock = moment - moment / 100 * 40;
        for clock in [clock, clock - 40] {
            let passes = lessee.admit(4_750, at(clock)).is_some();
            assert!(!passes || moment < 4_750, "after {moment} ms");
            passed += i32::from(passes);
        }
    }
    assert!(passed > 90, "it is not given up: {passed}");
    // What is asked for before and granted after is shorter by as much.
    let mut memory = Memory::default();
    let before = memory.notice(at(9_000));
    assert_eq!([8_900, 9_050, 9_000].map(|clock| memory.notice(at(clock)) - before), [100, 100, 150]);
}

#[test]
fn nor_any_lease_of_a_relays() {
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let mut relay = Relay::new(1);
    let take = Acquire { version: 1, wants: 10, lease_length_ms: 4_750, ..Acquire::default() };
    relay.ingest(&take, at(0));
    let ask = relay.ask(1, 0, at(0));
    let granted = Acquired::Granted {
        windows: Vec::new(),
        delay_ms: 0,
        reservation: None,
        lease: Some(Lease { id: 1, requests: 100, lease_length_ms: 4_750 }),
        via: RouteHint { relay: true, age_ms: 0 },
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
    assert!(part.lease_length_ms <= 4_750 - 1_400 - 1_000, "{part:?}");
    assert_eq!(via.age_ms, 1_400);
}

#[test]
fn what_a_relay_was_told_twice_counts_once_although_its_clock_was_set_between() {
    for by in [-HOUR, -DAY, 2 * REMEMBERED_MS, DAY] {
        let mut relay = Relay::new(1);
        let tally = |teller, sent: i64| {
            let hour = TallyHour { at: Timestamp(BEGIN), accepted: 5, ..TallyHour::default() };
            Tally {
                teller,
                number: 1,
                sent: Timestamp(BEGIN + sent),
                hours: vec![hour],
                cancelled: Vec::new(),
            }
        };
        let note = |relay: &mut Relay, teller, sent, now: i64| {
            relay.note(&[].into(), &[], Some(&tally(teller, sent)), Timestamp(BEGIN + now));
        };
        for teller in [7, 8] {
            note(&mut relay, teller, 0, 0);
        }
        for teller in [7, 8] {
            note(&mut relay, teller, 2_000, 2_000 + by);
        }
        let (told, _) = relay.tell(Timestamp(BEGIN + 2_000 + by)).unwrap();
        assert_eq!(told.hours.iter().map(|hour| hour.accepted).sum::<u64>(), 10, "by {by}");
    }
}

#[test]
fn more_is_asked_for_when_a_quarter_of_a_lease_is_left() {
    let now = Timestamp(BEGIN);
    let mut lessee = Lessee::default();
    lessee.add_lease(Grantor::Coordinator, Lease { id: 1, requests: 20, lease_length_ms: 4_750 }, 0, now);
    let renews: Vec<bool> = (0..20).map(|_| lessee.admit(4_750, now).unwrap().renew).collect();
    assert_eq!(renews.iter().position(|renews| *renews), Some(14));
    assert_eq!(renews.iter().filter(|renews| **renews).count(), 1);
}

#[test]
fn what_a_relay_grants_ends_before_its_own_lease_does_and_stands_on_a_young_word() {
    let at = |ms: i64| Timestamp(BEGIN + ms);
    let mut relay = Relay::new(1);
    let take = Acquire { version: 1, wants: 10, lease_length_ms: 4_750, ..Acquire::default() };
    relay.ingest(&take, at(0));
    let ask = relay.ask(1, 0, at(0));
    let lease = Some(Lease { id: 1, requests: 100, lease_length_ms: 4_750 });
    let granted = Acquired::Granted {
        windows: Vec::new(),
        delay_ms: 0,
        reservation: None,
        lease,
        via: RouteHint { relay: true, age_ms: 0 },
    };
    relay.answered(&ask, Some(&granted), at(0), at(100));
    let Some(Acquired::Granted { lease: Some(part), via, .. }) = relay.answer(&take, at(2_000)) else {
        panic!()
    };
    assert!(2_000 + part.lease_length_ms <= 4_750 - 1_000, "{part:?}");
    assert_eq!(via.age_ms, 2_000);
    // Half of what may be believed is for the way on: the coordinator is asked first.
    assert!(relay.answer(&take, at(2_375)).is_none());
    // A clock that was set back would make its lease longer.
    assert!(relay.answer(&take, at(1_900)).is_none());
}

/// A coordinator that grants what is asked for, and how many requests waited for that.
#[derive(Default)]
struct Generous(Cell<u32>);

impl Upstream for Generous {
    async fn ask(&self, take: &Acquire) -> Result<Acquired, Unavailable> {
        self.0.set(take.queued);
        let lease = Some(Lease { id: 1, requests: take.queued, lease_length_ms: take.lease_length_ms });
        Ok(Acquired::Granted {
            windows: Vec::new(),
            delay_ms: 0,
            reservation: None,
            lease,
            via: RouteHint::default(),
        })
    }

    async fn tell(&self, _: &CoordinatorCall) -> Result<(), Unavailable> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp(BEGIN)
    }

    async fn wait(&self, _: u32) {}

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        work.now_or_never().unwrap();
    }
}

#[test]
fn a_relay_asks_for_all_requests_that_wait_and_not_only_for_calls() {
    let desk = Rc::new(RelayServer::new(Generous::default(), 1));
    let take = Acquire {
        version: 1,
        immediate: true,
        within_ms: RELAY_ANSWER_MS,
        wants: 6,
        queued: 6,
        lease_length_ms: 4_750,
        ..Acquire::default()
    };
    let taken = futures::executor::block_on(desk.acquire(&take));
    assert_eq!(desk.upstream().0.get(), 7);
    let Acquired::Granted { lease: Some(part), .. } = taken else { panic!() };
    assert_eq!(part.requests, 6);
}
