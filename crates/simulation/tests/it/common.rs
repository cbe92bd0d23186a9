//! What the tests share: a good network, steady traffic, and what the log says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::ops::Range;

use keyward_core::{
    record::Limits,
    time::{Span, Timestamp},
};
use keyward_policy::{Realm, USUAL_TRAVEL};
use keyward_simulation::{Simulation, network::Network, realm};
use proptest::prelude::*;

pub const GOOD: Network = Network {
    round_trip: (Span::from_ms(5), Span::from_ms(60)),
    lost: 0,
    kv_lag: Span::ZERO,
    skew: Span::ZERO,
};

pub const FRESHNESS: Span = Span::from_secs(5);

pub const fn ms(ms: i64) -> Span {
    Span::from_ms(ms)
}

/// Any span within these.
pub fn span(Range { start, end }: Range<Span>) -> impl Strategy<Value = Span> {
    (start.ms()..end.ms()).prop_map(ms)
}

/// Within which time requests reach the origin: usually, or as a policy may say.
pub fn travel() -> impl Strategy<Value = Span> {
    prop_oneof![Just(USUAL_TRAVEL), span(Span::ZERO..FRESHNESS)]
}

/// A realm whose requests reach the origin within this time.
pub fn travelling(travel: Span) -> Realm {
    let usual = realm(FRESHNESS);
    Realm { limits: keyward_policy::Limits { travel, ..usual.limits }, ..usual }
}

pub fn per_minute(limit: u32) -> Limits {
    Limits { per_minute: Some(limit), ..Limits::default() }
}

/// Requests with the first key every `step_ms` milliseconds (fractions allowed), each to an isolate by chance.
pub fn steadily(simulation: &Simulation, isolates: usize, step_ms: f64, span: Span) {
    let requests = (span.ms() as f64 / step_ms) as i64;
    for number in 0..requests {
        simulation.at(ms((number as f64 * step_ms) as i64), move |cloud| {
            cloud.request(cloud.below(isolates as u64) as usize, 0);
        });
    }
}

pub fn passed(simulation: &Simulation) -> Vec<Timestamp> {
    simulation.cloud().keys.borrow()[0].log.passed.clone()
}

/// Calls to keys' objects and their relays. Those that read the change log are made for all keys together.
pub fn calls(simulation: &Simulation) -> u64 {
    let loads = simulation.cloud().loads.borrow();
    loads.iter().filter(|(object, _)| object.key().is_some()).map(|(_, load)| load.total).sum()
}
