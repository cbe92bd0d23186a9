//! What happens in the simulated deployments, and what must hold there.

mod one_key;
mod traffic;

use keyward_core::time::{MINUTE, SECOND, Span};
use keyward_simulation::{BEGIN, Simulation, network::Network, realm};

use crate::measure::{self, Bound, at_least, at_most};

/// All of them, those that take longest first.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "mixed",
        about: "3,000 keys after Zipf; 300 revoked, 300 edited, 100 made on the way; 1,300 crashes",
        build: traffic::mixed,
        bounds: &[
            at_most(&measure::WAITED, 0.05),
            at_most(&measure::CALLS, 0.15),
            at_most(&measure::HOT_CALLS, 0.05),
            at_most(&measure::COST, 0.45),
        ],
        ..USUAL
    },
    Scenario {
        name: "mixed-strict",
        about: "the same requests with freshness 0: each asks the key's object; no promise of its calls",
        freshness: Span::ZERO,
        build: traffic::mixed,
        ..USUAL
    },
    Scenario {
        name: "long-tail",
        about: "60,000 keys, weight 1/(rank + 300)^0.8, 6,000 requests a second; 1,000 isolates in 30 locations",
        isolates: 1_000,
        locations: 30,
        lasts: Span::from_mins(5),
        build: traffic::long_tail,
        bounds: &[
            Bound { over: Some(&measure::FIRST), ..at_most(&measure::WAITED, 0.01) },
            at_most(&measure::CALLS, 0.4),
        ],
        ..USUAL
    },
    Scenario {
        name: "mixed-tenth",
        about: "as mixed, in 1,000 isolates in 30 locations",
        isolates: 1_000,
        locations: 30,
        build: traffic::mixed,
        bounds: &[at_most(&measure::WAITED, 0.02), at_most(&measure::CALLS, 0.08)],
        ..USUAL
    },
    Scenario {
        name: "deactivation",
        about: "a tenant with 100,000 keys is deactivated; 2,000 requests a second for 2 minutes after that",
        isolates: 1_000,
        locations: 30,
        build: traffic::deactivation,
        ..USUAL
    },
    Scenario {
        name: "crowd-below",
        about: "one key in 10,000 isolates that join over 30 s, far below its limit",
        lasts: CROWD_LASTS,
        build: |simulation, place| one_key::crowd(simulation, place, 10_000_000, 30 * SECOND),
        ..USUAL
    },
    Scenario {
        name: "crowd-near",
        about: "the same at 80 % of its limit",
        lasts: CROWD_LASTS,
        build: |simulation, place| one_key::crowd(simulation, place, 1_500_000, 30 * SECOND),
        ..USUAL
    },
    Scenario {
        name: "crowd-above",
        about: "the same with a limit of 60,000 a minute, which they saturate",
        lasts: CROWD_LASTS,
        build: |simulation, place| one_key::crowd(simulation, place, 60_000, 30 * SECOND),
        ..USUAL
    },
    Scenario {
        name: "meet",
        about: "10,000 isolates meet one key within a second",
        lasts: CROWD_LASTS,
        build: |simulation, place| one_key::crowd(simulation, place, 10_000_000, SECOND),
        ..USUAL
    },
    Scenario {
        name: "wake-up",
        about: "10,000 isolates, idle for a minute, wake up within a second: with 1,000 keys, and again with one",
        lasts: Span::from_mins(4),
        build: one_key::wake_up,
        ..USUAL
    },
    Scenario {
        name: "hot",
        about: "one key in 4 isolates, 100 requests a second each, far below its limit",
        isolates: 4,
        locations: 4,
        lasts: Span::from_mins(5),
        build: one_key::hot,
        bounds: &[at_most(&measure::CALLS, 1.0 / 205.0)],
        ..USUAL
    },
    Scenario {
        name: "saturated",
        about: "one key in 8 isolates, 4 requests a second each: 1.6 times its limit",
        isolates: 8,
        locations: 8,
        lasts: Span::from_mins(5),
        build: one_key::saturated,
        bounds: &[at_most(&measure::CALLS, 0.3)],
        ..USUAL
    },
    Scenario {
        name: "steady",
        about: "one isolate, one key at 1 request a second beside 20 others that make 20; measured after a minute",
        isolates: 1,
        locations: 1,
        lasts: Span::from_mins(6),
        watched: Some(0),
        build: one_key::steady,
        bounds: &[at_most(&measure::WATCHED_CALLS, 0.25), at_most(&measure::WATCHED_WAITED, 0.0)],
        ..USUAL
    },
];

/// Bounds of every scenario that is not strict.
const ALWAYS: &[Bound] = &[
    at_most(&measure::OVER, 0.0),
    at_most(&measure::UNJUST, 0.0),
    // After a loss or crash.
    at_most(&measure::UNJUST_DISTURBED, 0.000_1),
    at_most(&measure::UNKNOWN, 0.0),
    at_least(&measure::USED, 0.995),
    at_least(&measure::WORST_USED, 0.95),
    at_most(&measure::PEAK, 500.0),
    at_most(&measure::AFTER_REVOCATION, 5.0),
    at_most(&measure::AFTER_EDIT, 5.0),
    at_most(&measure::AFTER_DEACTIVATION, 5.0),
];

/// Bounds of one that is strict.
const STRICT: &[Bound] = &[
    at_most(&measure::OVER, 0.0),
    at_most(&measure::UNJUST, 0.0),
    at_most(&measure::UNKNOWN, 0.0),
    at_least(&measure::WORST_USED, 0.95),
    at_most(&measure::PASSED_AFTER_ALL, 0.0),
];

/// A deployment and what happens in it.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub freshness: Span,
    pub isolates: usize,
    pub locations: usize,
    /// For how long there are requests.
    pub lasts: Span,
    /// A key that is looked at alone.
    pub watched: Option<usize>,
    build: fn(&Simulation, &Self),
    /// Its own, beside those of all.
    bounds: &'static [Bound],
}

const USUAL: Scenario = Scenario {
    name: "",
    about: "",
    freshness: Span::from_secs(5),
    isolates: 10_000,
    locations: 300,
    lasts: Span::from_mins(3),
    watched: None,
    build: |_, _| {},
    bounds: &[],
};

impl Scenario {
    /// Runs it to its end.
    pub fn run(&self, seed: u64) -> Simulation {
        let simulation = Simulation::new(seed, self.isolates, NETWORK, realm(self.freshness));
        simulation.cloud().locations.set(self.locations);
        simulation.cloud().reports_until.set(BEGIN + self.lasts);
        (self.build)(&simulation, self);
        simulation.run();
        simulation
    }

    /// What must hold.
    pub fn bounds(&self) -> impl Iterator<Item = &'static Bound> {
        let of_all = if self.freshness == Span::ZERO { STRICT } else { ALWAYS };
        self.bounds.iter().chain(of_all)
    }
}

/// An honest network: 1 message in 1,000 is lost.
const NETWORK: Network = Network {
    round_trip: (Span::from_ms(5), Span::from_ms(250)),
    lost: 1,
    kv_lag: MINUTE,
    skew: Span::from_secs(5),
};

const CROWD_LASTS: Span = Span::from_mins(2);
