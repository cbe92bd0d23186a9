//! A revoked key is refused everywhere in time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{MINUTE, SECOND, Span},
};
use keyward_simulation::{BEGIN, Simulation, network::Network, realm};
use proptest::prelude::*;

use crate::{
    common::{FRESHNESS, GOOD, ms, passed, per_minute, span, steadily, travel, travelling},
    never_over::schedules,
};

proptest! {
    #![proptest_config(schedules())]

    #[test]
    fn a_revoked_key_is_refused_everywhere_in_time_however_long_requests_travel(
        seed: u64, at in span(5 * SECOND..40 * SECOND), pace in 2_u32..50, travel in travel(),
    ) {
        let network = Network { round_trip: (ms(5), SECOND), lost: 200, kv_lag: MINUTE, skew: 5 * SECOND };
        let simulation = Simulation::new(seed, 8, network, travelling(travel));
        simulation.cloud().make_key(per_minute(100_000));
        steadily(&simulation, 8, pace.into(), at + 10 * SECOND);
        simulation.at(at, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        simulation.run();
        let last = passed(&simulation).into_iter().max().unwrap();
        prop_assert!(last <= BEGIN + at + FRESHNESS);
        prop_assert!(simulation.cloud().keys.borrow()[0].log.unknown > 0);
    }

    #[test]
    fn with_freshness_0_the_very_next_request_is_refused(seed: u64, at in span(SECOND..20 * SECOND)) {
        let simulation = Simulation::new(seed, 8, Network { kv_lag: MINUTE, ..GOOD }, realm(Span::ZERO));
        simulation.cloud().make_key(per_minute(100_000));
        steadily(&simulation, 8, 7.0, at);
        simulation.at(at, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
        simulation.run();
        let before = passed(&simulation).len();
        steadily(&simulation, 8, 7.0, SECOND);
        simulation.run();
        prop_assert_eq!(passed(&simulation).len(), before);
    }
}
