//! How much of a limit a client gets: nearly all of it, and no refusal below it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::MINUTE;
use keyward_policy::{Realm, Span};
use keyward_simulation::{
    Simulation,
    keys::{by_minute, most_in_a_minute},
    network::Network,
    realm,
};
use proptest::prelude::*;

use crate::common::{FRESHNESS, GOOD, ms, passed, per_minute, span, steadily};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_client_that_saturates_its_limit_gets_at_least_95_percent_of_it(
        seed: u64, limit in 100_u32..2_000, isolates in prop_oneof![Just(1_usize), Just(4), Just(8)], times in 11_u32..30,
    ) {
        let simulation = Simulation::new(seed, isolates, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(limit));
        steadily(&simulation, isolates, MINUTE.ms() as f64 * 10.0 / f64::from(limit) / f64::from(times), 3 * MINUTE);
        simulation.run();
        let mut passed = passed(&simulation);
        let minutes = by_minute(&passed, 3);
        let (all, limits) = (minutes.iter().sum::<usize>(), 3 * limit);
        prop_assert!(all as f64 >= f64::from(limits) * 0.95, "{all} of {limits} in three minutes");
        // A burst of it may lie across the end of a minute.
        for passed in minutes {
            prop_assert!(passed as f64 >= f64::from(limit) * 0.9, "{passed} of {limit} in a minute");
        }
        prop_assert!(most_in_a_minute(&mut passed) <= limit as usize);
    }

    #[test]
    fn a_client_below_its_limit_is_never_refused_because_of_leases(seed: u64, limit in 100_u32..3_000) {
        let simulation = Simulation::new(seed, 8, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(limit));
        steadily(&simulation, 8, MINUTE.ms() as f64 / f64::from(limit) / 0.8, 3 * MINUTE);
        simulation.run();
        prop_assert_eq!(simulation.cloud().keys.borrow()[0].log.limited.len(), 0);
    }

    #[test]
    fn a_burst_gets_the_whole_limit_but_for_what_is_left_of_other_isolates_leases(
        seed: u64, limit in 20_u32..600, isolates in 1_usize..9, concurrency in 1_i64..50,
    ) {
        let simulation = Simulation::new(seed, isolates, GOOD, realm(FRESHNESS));
        simulation.cloud().make_key(per_minute(limit));
        for number in 0..i64::from(limit) * 3 / 2 {
            simulation.at(ms(number / concurrency * 3), move |cloud| {
                cloud.request(number as usize % isolates, 0);
            });
        }
        simulation.run();
        let kept = if isolates == 1 { 0 } else { limit / 8 };
        prop_assert!(is_used_up(&simulation, limit, kept), "{} of {limit}", passed(&simulation).len());
    }

    #[test]
    fn so_it_does_also_where_the_first_answers_come_too_late(seed: u64, limit in 20_u32..600, slowest in span(ms(700)..ms(2_500))) {
        let network = Network { round_trip: (ms(600), slowest), ..GOOD };
        // Two calls of that length do not fit into the usual deadline.
        let simulation = Simulation::new(seed, 8, network, Realm { decision_timeout: Span::from_secs(8), ..realm(FRESHNESS) });
        simulation.cloud().make_key(per_minute(limit));
        for number in 0..limit as usize * 3 / 2 {
            simulation.at(Span::ZERO, move |cloud| {
                cloud.request(number % 8, 0);
            });
        }
        simulation.run();
        // What was granted twice, since the first answer came too late, is free again only once nobody waits any more.
        prop_assert!(is_used_up(&simulation, limit, limit / 4), "{} of {limit}", passed(&simulation).len());
    }
}

/// Whether a limit was used up, but for what isolates may keep for themselves: of leases for minutes an eighth.
fn is_used_up(simulation: &Simulation, limit: u32, kept: u32) -> bool {
    (limit - kept..=limit).contains(&(passed(simulation).len() as u32))
}
