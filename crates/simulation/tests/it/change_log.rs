//! The change log: what holds for all keys of a tenant holds in time, and few calls are made for that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Limits,
    time::{MINUTE, SECOND, Span},
};
use keyward_simulation::{
    Simulation,
    keys::TENANT,
    network::{Network, Object, Purpose},
    realm,
};
use proptest::prelude::*;

use crate::common::{FRESHNESS, ms, per_minute};

const ISOLATES: u64 = 20;
const KEYS: usize = 2_000;

/// A tenant has many keys, of which some are hot, some have no limit, and most are seldom used. It is deactivated after 20 s.
/// Their objects are told in half a minute, the hot ones last.
fn deactivation(seed: u64, lost: u64) -> Simulation {
    let network = Network { round_trip: (ms(5), ms(250)), lost, kv_lag: MINUTE, skew: 5 * SECOND };
    let simulation = Simulation::new(seed, ISOLATES as usize, network, realm(FRESHNESS));
    for number in 0..KEYS {
        let limits = if number % 4 == 0 { Limits::default() } else { per_minute(100_000) };
        simulation.cloud().make_key(limits);
    }
    simulation.at(20 * SECOND, |cloud| cloud.deactivate(TENANT));
    simulation.each_millisecond(50 * SECOND, |cloud| {
        let key = match cloud.below(4) {
            0 => cloud.below(KEYS as u64) as usize,
            _ => KEYS - 1 - cloud.below(10) as usize,
        };
        cloud.request(cloud.below(ISOLATES) as usize, key);
    });
    simulation
}

/// From the deactivation to the last arrival of each key.
fn delays(simulation: &Simulation) -> Vec<Span> {
    let keys = simulation.cloud().keys.borrow();
    keys.iter().map(|key| key.log.changes[0].last_arrival - key.log.changes[0].at).collect()
}

#[test]
fn a_tenant_with_many_keys_is_deactivated_everywhere_in_time_long_before_their_objects_are_told() {
    let simulation = deactivation(7, 0);
    simulation.run();
    let last = delays(&simulation).into_iter().max().unwrap();
    assert!(Span::ZERO < last && last <= FRESHNESS, "{last:?}");
    assert_eq!(simulation.cloud().keys.borrow().iter().map(|key| key.log.failed).sum::<u64>(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn that_holds_also_when_messages_are_lost_and_isolates_and_relays_die(seed: u64, lost in 1_u64..4) {
        let simulation = deactivation(seed, lost);
        for number in 0..20 {
            simulation.at(number * 2 * SECOND, |cloud| cloud.crash_isolate(cloud.below(ISOLATES) as usize));
            simulation.at(number * 2 * SECOND, |cloud| cloud.crash_log_relay(cloud.below(32) as u32));
        }
        simulation.run();
        let last = delays(&simulation).into_iter().max().unwrap();
        prop_assert!(last <= FRESHNESS, "{:?}", last);
    }
}

#[test]
fn an_isolate_reads_the_log_every_few_seconds_and_each_relay_asks_the_registry_twice_a_second_at_most() {
    let simulation = deactivation(7, 0);
    simulation.run();
    let loads = simulation.cloud().loads.borrow();
    let total = |object: &dyn Fn(Object) -> bool, purpose| {
        let of = loads.iter().filter(|(of, _)| object(**of));
        of.filter_map(|(_, load)| load.total_for.get(&purpose)).sum::<u64>()
    };
    let by_isolates = total(&|object| matches!(object, Object::LogRelay(_)), Purpose::Log);
    // Behind the answers, ahead of need: after three quarters of the time for which it counts.
    assert!((50 / 5 * ISOLATES..50 / 3 * ISOLATES).contains(&by_isolates), "{by_isolates}");
    let by_relays = total(&|object| object == Object::Registry, Purpose::LogForRelay);
    assert!(0 < by_relays && by_relays <= by_isolates, "{by_relays}");
}
