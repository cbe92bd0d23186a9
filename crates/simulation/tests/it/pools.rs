//! Limits over all keys of a tenant, against an exact log of what reached the origin with any of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Limits,
    time::{MINUTE, SECOND, Timestamp},
};
use keyward_policy::Span;
use keyward_simulation::{
    Simulation,
    keys::{by_minute, most_in_a_minute},
    network::Network,
    realm,
};
use proptest::prelude::*;

use crate::{
    common::{FRESHNESS, GOOD, ms, per_minute, span},
    never_over::schedules,
};

/// What passed with each key.
fn passed(simulation: &Simulation, keys: usize) -> Vec<Vec<Timestamp>> {
    simulation.cloud().keys.borrow()[..keys].iter().map(|key| key.log.passed.clone()).collect()
}

proptest! {
    #![proptest_config(schedules())]

    #[test]
    fn are_never_exceeded_and_no_keys_either_whatever_is_lost_late_or_dead(
        seed: u64,
        pool in 1_u32..300,
        limits in prop::collection::vec(prop::option::of(1_u32..300), 1..6),
        isolates in 1_usize..6,
        lost in 0_u64..300,
        slowest in span(ms(5)..ms(2_500)),
        pace in span(ms(5)..ms(400)),
        faults in prop::collection::vec((any::<bool>(), span(Span::ZERO..3 * MINUTE)), 0..8),
        freshness in prop_oneof![3 => Just(FRESHNESS), 1 => Just(Span::ZERO)],
    ) {
        let network = Network { round_trip: (ms(5), slowest), lost, kv_lag: MINUTE, skew: 5 * SECOND };
        let simulation = Simulation::new(seed, isolates, network, realm(freshness));
        let cloud = simulation.cloud();
        let keys = limits.len();
        for limit in &limits {
            cloud.make_key(limit.map_or(Limits::default(), per_minute));
        }
        let of_pool = cloud.make_pool(per_minute(pool));
        let mut now = Span::ZERO;
        while now < 3 * MINUTE {
            let (isolate, key) = (cloud.below(isolates as u64) as usize, cloud.below(keys as u64) as usize);
            simulation.at(now, move |cloud| cloud.request(isolate, key));
            now += match cloud.below(40) {
                0 => cloud.span_below(8 * SECOND),
                1..20 => Span::ZERO,
                _ => cloud.span_below(pace),
            };
        }
        for (is_isolate, at) in faults {
            simulation.at(at, move |cloud| match is_isolate {
                true => cloud.crash_isolate(cloud.below(isolates as u64) as usize),
                false => cloud.crash_objects(of_pool),
            });
        }
        simulation.run();
        let passed = passed(&simulation, keys);
        prop_assert!(most_in_a_minute(&mut passed.concat()) <= pool as usize);
        for (mut passed, limit) in passed.into_iter().zip(limits) {
            prop_assert!(limit.is_none_or(|limit| most_in_a_minute(&mut passed) <= limit as usize));
        }
    }
}

#[test]
fn a_pool_that_is_saturated_through_many_keys_is_used_and_what_it_refuses_takes_little_of_the_keys() {
    for (seed, isolates) in [(1, 1), (2, 4), (3, 8)] {
        let simulation = Simulation::new(seed, isolates, GOOD, realm(FRESHNESS));
        let cloud = simulation.cloud();
        for _ in 0..5 {
            cloud.make_key(per_minute(400));
        }
        cloud.make_pool(per_minute(600));
        for number in 0..3 * 1_800 {
            let at = Span::from_ms(number * 1_000 / 30);
            simulation.at(at, move |cloud| {
                cloud.request(cloud.below(isolates as u64) as usize, cloud.below(5) as usize);
            });
        }
        simulation.run();
        let passed = passed(&simulation, 5).concat();
        for (minute, passed) in by_minute(&passed, 3).into_iter().enumerate() {
            assert!((540..=600).contains(&passed), "{passed} of 600 in minute {minute}, {isolates} isolates");
        }
    }
}
