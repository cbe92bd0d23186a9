//! A limit a second, over several isolates and through leases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{record::Limits, time::SECOND};
use keyward_simulation::{Simulation, network::Network, realm};
use proptest::prelude::*;

use crate::common::{FRESHNESS, GOOD, ms, passed, span, steadily};

fn per_second(limit: u32) -> Limits {
    Limits { per_second: Some(limit), ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn is_never_over_whatever_is_lost_or_late_and_whichever_isolates_die(
        seed: u64,
        limit in prop_oneof![1_u32..20, 50_u32..300],
        isolates in 1_usize..9,
        lost in 0_u64..300,
        slowest in span(ms(5)..ms(2_500)),
        step in 2.0..200.0,
        crashes in prop::collection::vec(span(ms(0)..ms(20_000)), 0..6),
    ) {
        let network = Network { round_trip: (ms(5), slowest), lost, ..GOOD };
        let simulation = Simulation::new(seed, isolates, network, realm(FRESHNESS));
        simulation.cloud().make_key(per_second(limit));
        steadily(&simulation, isolates, step, 20 * SECOND);
        for at in crashes {
            simulation.at(at, move |cloud| cloud.crash_isolate(cloud.below(isolates as u64) as usize));
        }
        simulation.run();
        let mut passed = passed(&simulation);
        passed.sort_unstable();
        let limit = limit as usize;
        prop_assert!(passed.windows(limit + 1).all(|some| some[limit] - some[0] >= SECOND));
    }

    #[test]
    fn half_of_it_passes_steadily_and_more_gets_more_than_half(
        seed: u64, limit in prop_oneof![10_u32..20, 20_u32..400], isolates in 1_usize..9, excess in any::<bool>(),
    ) {
        let simulation = Simulation::new(seed, isolates, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_second(limit));
        let share = if excess { 1.5 } else { 0.5 };
        steadily(&simulation, isolates, 1_000.0 / (f64::from(limit) * share), 20 * SECOND);
        simulation.run();
        if excess {
            let passed = passed(&simulation).len();
            prop_assert!(passed >= limit as usize * 20 / 2, "{passed} of {}", limit * 20);
        } else {
            prop_assert_eq!(simulation.cloud().keys.borrow()[0].log.limited.len(), 0);
        }
    }
}
