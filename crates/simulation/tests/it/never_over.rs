//! No span of a minute has more requests than the limit, whatever is lost, late, dead, edited or off.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Cost,
    time::{DAY, MINUTE, SECOND, Timestamp},
};
use keyward_gate::memory::Memory;
use keyward_limits::timing::{LONG_LEASE, MAX_LEASE_LENGTH};
use keyward_policy::{Realm, Span};
use keyward_simulation::{BEGIN, Simulation, network::Network, realm};
use proptest::prelude::*;

use crate::common::{FRESHNESS, ms, passed, per_minute, span, travel, travelling};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Isolate,
    Object,
    Limit(u32),
}

/// By how much a clock is set.
fn step() -> impl Strategy<Value = Span> {
    let near = |most: Span| span(-most..most);
    prop_oneof![near(ms(900)), near(9 * SECOND), near(5 * MINUTE), Just(DAY), Just(-DAY)]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Isolate), Just(Fault::Object), (1_u32..700).prop_map(Fault::Limit)]
}

/// The highest limit of those that held at some time in the span before each moment that passed is
/// never exceeded in the minute before it.
fn never_over(passed: &mut [Timestamp], limits: &[(Timestamp, u32)]) {
    passed.sort_unstable();
    let mut first = 0;
    for (last, at) in passed.iter().enumerate() {
        while *at - passed[first] >= MINUTE {
            first += 1;
        }
        let held = |(number, (from, _)): &(usize, &(Timestamp, u32))| {
            let is_over = limits.get(number + 1).is_some_and(|(next, _)| *at > *next + FRESHNESS);
            from <= at && !is_over
        };
        let limit = limits.iter().enumerate().filter(held).map(|(_, (_, limit))| *limit).max().unwrap();
        assert!(last + 1 - first <= limit as usize, "{} in a minute, limit {limit}", last + 1 - first);
    }
}

/// By so much at most places leave too early when an object's clock is set ahead: what cannot be told from a
/// message that was on its way for long, and from clocks of isolates that are off.
const UNSEEN: Span = Span::from_secs(21);

/// Where clocks are set a limit holds in spans that are shorter by as much. A lease from before the step may be used for
/// as long as it lasts, and then its last requests leave too early; an isolate uses what is deferred too early.
fn never_over_but_for_steps(passed: &mut [Timestamp], limit: u32, ahead: &[(Timestamp, Span)]) {
    passed.sort_unstable();
    for (last, at) in passed.iter().enumerate() {
        let Some(first) = last.checked_sub(limit as usize) else { continue };
        let began = passed[first];
        let matters = began - LONG_LEASE - 2 * SECOND..*at + 2 * SECOND;
        let steps = ahead.iter().filter(|(step, _)| matters.contains(step));
        let unseen = steps.fold(Span::ZERO, |sum, (_, unseen)| sum + *unseen);
        assert!(*at - began >= MINUTE - unseen, "{} in {:?}, limit {limit}", limit + 1, *at - began);
    }
}

/// Three hundred schedules, or as many as PROPTEST_CASES says.
pub fn schedules() -> ProptestConfig {
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
    fn never_over_whatever_is_lost_late_dead_edited_or_off_and_however_long_requests_travel(
        seed: u64,
        limit in 1_u32..700,
        isolates in 1_usize..10,
        lost in 0_u64..300,
        slowest in span(ms(5)..ms(2_500)),
        pace in span(ms(5)..ms(400)),
        faults in prop::collection::vec((fault(), span(Span::ZERO..4 * MINUTE)), 0..12),
        decision_timeout in prop_oneof![Just(2 * SECOND), span(SECOND..8 * SECOND)],
        dearest in prop_oneof![Just(1_u64), 2_u64..30],
        travel in travel(),
    ) {
        let network = Network { round_trip: (ms(5), slowest), lost, kv_lag: MINUTE, skew: 5 * SECOND };
        let simulation = Simulation::new(seed, isolates, network, Realm { decision_timeout, ..travelling(travel) });
        let cloud = simulation.cloud();
        cloud.make_key(per_minute(limit));
        let mut limits = vec![(BEGIN, limit)];
        let mut now = Span::ZERO;
        while now < 4 * MINUTE {
            let isolate = cloud.below(isolates as u64) as usize;
            // Half of them cost 1.
            let cost = Cost::new(if dearest > 1 && cloud.below(2) == 0 { 1 + cloud.below(dearest) as u32 } else { 1 });
            simulation.at(now, move |cloud| cloud.request_of(isolate, 0, cost));
            // Bursts and pauses.
            now += match cloud.below(40) {
                0 => cloud.span_below(8 * SECOND),
                1..20 => Span::ZERO,
                _ => cloud.span_below(pace),
            };
        }
        let mut faults = faults;
        faults.sort_by_key(|(_, at)| *at);
        for (fault, at) in faults {
            if let Fault::Limit(limit) = fault {
                limits.push((BEGIN + at, limit));
            }
            simulation.at(at, move |cloud| match fault {
                Fault::Isolate => cloud.crash_isolate(cloud.below(isolates as u64) as usize),
                Fault::Object => cloud.crash_objects(0),
                Fault::Limit(limit) => cloud.change(0, |record| record.limits = per_minute(limit)),
            });
        }
        simulation.run();
        never_over(&mut passed(&simulation), &limits);
        prop_assert!(cloud.keys.borrow()[0].log.longest <= decision_timeout, "it waited for too long");
    }

    #[test]
    fn wherever_a_clock_is_set_limits_hold_and_nobody_is_locked_out_for_longer_than_a_window(
        seed: u64,
        limit in 5_u32..150,
        isolates in 1_usize..6,
        slowest in span(ms(5)..ms(450)),
        pace in span(ms(5)..ms(300)),
        of_objects in prop::collection::vec((step(), span(Span::ZERO..4 * MINUTE), any::<bool>()), 0..5),
        of_isolates in prop::collection::vec((span(-SECOND..SECOND), span(Span::ZERO..4 * MINUTE)), 0..8),
    ) {
        let network = Network { round_trip: (ms(5), slowest), lost: 0, kv_lag: MINUTE, skew: Span::ZERO };
        let simulation = Simulation::new(seed, isolates, network, realm(FRESHNESS));
        let cloud = simulation.cloud();
        cloud.make_key(per_minute(limit));
        let mut now = Span::ZERO;
        while now < 6 * MINUTE {
            let isolate = cloud.below(isolates as u64) as usize;
            simulation.at(now, move |cloud| cloud.request(isolate, 0));
            now += if cloud.below(3) == 0 { Span::ZERO } else { cloud.span_below(pace) };
        }
        // A step back hides from clients that are new as much of later ones as passes between two calls: while an isolate waits for its
        // next slot, up to a minute.
        let backs = of_objects.iter().filter(|(by, ..)| *by < Span::ZERO).map(|(_, at, _)| *at);
        let first_back = backs.min().unwrap_or(DAY);
        let mut ahead = Vec::new();
        for (by, at, others) in of_objects {
            if by > Span::ZERO {
                let hidden = match at > first_back {
                    true if others => MINUTE,
                    true => MAX_LEASE_LENGTH,
                    false => Span::ZERO,
                };
                ahead.push((BEGIN + at, UNSEEN + hidden));
            }
            simulation.at(at, move |cloud| {
                cloud.objects_ahead.set(cloud.objects_ahead.get() + by);
                // The first to call is one that the object has never heard of.
                for isolate in (0..isolates).filter(|_| others) {
                    cloud.crash_isolate(isolate);
                }
            });
        }
        for (by, at) in of_isolates {
            if by > Span::ZERO {
                ahead.push((BEGIN + at, by));
            }
            simulation.at(at, move |cloud| cloud.set_clock(cloud.below(isolates as u64) as usize, by));
        }
        simulation.run();
        let mut passed = passed(&simulation);
        never_over_but_for_steps(&mut passed, limit, &ahead);
        // All clocks are left alone from the fourth minute on.
        let since = BEGIN + 4 * MINUTE;
        let locked_out_until = passed.iter().find(|at| **at >= since).unwrap();
        // Leases and what is on its way count as used a little later than they are.
        prop_assert!(*locked_out_until - since <= MINUTE + 10 * SECOND, "{:?}", *locked_out_until - since);
    }
}

#[test]
fn an_isolate_knows_by_how_much_its_clock_was_set_back_and_so_what_it_asked_for_before_that_lasts_less_long()
{
    let mut memory = Memory::default();
    let before = memory.notice(BEGIN + ms(9_000));
    assert_eq!(
        [8_900, 9_050, 9_000].map(|clock| memory.notice(BEGIN + ms(clock)) - before),
        [100, 100, 150].map(ms)
    );
}
