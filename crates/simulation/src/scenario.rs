//! What happens in the simulated deployments.

use std::{cell::Cell, rc::Rc};

use keyward_core::{
    record::{Limits, Status},
    time::{MINUTE, SECOND, Span},
};

use keyward_simulation::{FakeCloud, LOCATIONS, Simulation, network::Network, realm};

/// All of them, those that take longest first.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "mixed traffic",
        about: "3,000 keys after Zipf; 300 revoked, 300 edited, 100 made on the way; 1,300 crashes",
        freshness: FRESHNESS,
        spreads: true,
        build: mixed,
    },
    Scenario {
        name: "mixed, strict",
        about: "the same requests with freshness 0: each asks the key's object; no promise of its calls",
        freshness: Span::ZERO,
        spreads: false,
        build: mixed,
    },
    Scenario {
        name: "crowd below",
        about: "one key in 10,000 isolates that join over 30 s, far below its limit",
        freshness: FRESHNESS,
        spreads: true,
        build: |simulation| crowd(simulation, 10_000_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd near",
        about: "the same at 80 % of its limit",
        freshness: FRESHNESS,
        spreads: true,
        build: |simulation| crowd(simulation, 1_500_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd above",
        about: "the same with a limit of 60,000 a minute, which they saturate",
        freshness: FRESHNESS,
        spreads: true,
        build: |simulation| crowd(simulation, 60_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd at once",
        about: "one key, cold, in 10,000 isolates within one second: its object gets a call of each",
        freshness: FRESHNESS,
        spreads: false,
        build: |simulation| crowd(simulation, 10_000_000, SECOND),
    },
];

/// A deployment and what happens in it.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub freshness: Span,
    /// Whether no object may get too many calls.
    pub spreads: bool,
    build: fn(&Simulation),
}

impl Scenario {
    /// Runs it to its end.
    pub fn run(&self, seed: u64) -> Simulation {
        let simulation = Simulation::new(seed, ISOLATES, NETWORK, realm(self.freshness));
        (self.build)(&simulation);
        simulation.run();
        simulation
    }
}

const ISOLATES: usize = 10_000;
const FRESHNESS: Span = Span::from_secs(5);
/// An honest network: 1 message in 1,000 is lost.
const NETWORK: Network = Network {
    round_trip: (Span::from_ms(5), Span::from_ms(250)),
    lost: 1,
    kv_lag: MINUTE,
    skew: Span::from_secs(5),
};

/// For how long traffic lasts.
const LASTS: Span = Span::from_mins(3);

const KEYS: usize = 3_000;
/// Requests of all keys in a millisecond.
const PACE: f64 = 20.0;

/// Who uses a key, and how.
struct Client {
    key: Cell<Option<usize>>,
    /// Requests in a minute, on average.
    rate: f64,
    isolates: Vec<usize>,
    /// If set, active for 10 s of each 30 s, starting this long after the beginning.
    pauses: Option<Span>,
}

impl Client {
    fn new(cloud: &FakeCloud, number: usize, rate: f64) -> Self {
        // Most are a server or two; some are on several continents; a few are apps that people carry. Each kind is
        // among the most popular keys.
        let (locations, each) = match (number + 4) % 10 {
            0..6 => (1, 1 + cloud.below(2)),
            6..9 => (2 + cloud.below(5), 1 + cloud.below(2)),
            _ => (20 + cloud.below(40), 1 + cloud.below(4)),
        };
        let mut isolates = Vec::new();
        for _ in 0..locations {
            let location = cloud.below(LOCATIONS as u64);
            for _ in 0..each {
                let floor = cloud.below((ISOLATES / LOCATIONS) as u64);
                isolates.push((floor * LOCATIONS as u64 + location) as usize);
            }
        }
        let pauses = (cloud.below(5) == 0).then(|| cloud.span_below(30 * SECOND));
        Self { key: Cell::new(None), rate, isolates, pauses }
    }

    fn is_there(&self, elapsed: Span) -> bool {
        self.pauses.is_none_or(|begin| (elapsed - begin).whole_secs().rem_euclid(30) < 10)
    }

    /// Chosen so that demand is far below the limit, near it or beyond it; some have none.
    fn limits(&self, cloud: &FakeCloud) -> Limits {
        let hundredths = match cloud.below(20) {
            0 => return Limits::default(),
            1..11 => 1_000,
            11..14 => 135,
            _ => 30 + cloud.below(50),
        };
        let limit = |rate: f64| Some((rate as u32).max(5));
        let per_minute = limit(self.rate * hundredths as f64 / 100.0);
        // Some have a day's limit, which they use up.
        let per_day = if cloud.below(20) == 0 { limit(self.rate * 2.5) } else { None };
        Limits { per_minute, per_day }
    }

    fn make_key(&self, cloud: &FakeCloud) {
        self.key.set(Some(cloud.make_key(self.limits(cloud))));
    }

    fn change(&self, cloud: &FakeCloud, what: &Change) {
        let Some(key) = self.key.get() else { return };
        cloud.change(key, |record| match what {
            Change::Revoked => record.status = Status::Revoked,
            Change::Limit(percent) => {
                let edited = |limit: u32| (u64::from(limit) * percent / 100).max(1) as u32;
                record.limits.per_minute = record.limits.per_minute.map(edited);
            }
        });
    }
}

enum Change {
    Revoked,
    Limit(u64),
}

fn mixed(simulation: &Simulation) {
    let cloud = simulation.cloud();
    let weights: Vec<f64> = (1..=KEYS).map(|rank| 1.0 / rank as f64).collect();
    let sum: f64 = weights.iter().sum();
    let rate = |weight: &f64| weight / sum * PACE * MINUTE.ms() as f64;
    let client = |(number, weight)| Client::new(cloud, number, rate(weight));
    let clients: Rc<[Client]> = weights.iter().enumerate().map(client).collect();
    // For each key, the share of all requests that are of this key or of a more popular one.
    let shares: Vec<f64> = weights
        .iter()
        .scan(0.0, |share, weight| {
            *share += weight / sum;
            Some(*share)
        })
        .collect();

    for (number, client) in clients.iter().enumerate() {
        if number % 30 == 29 {
            at(simulation, cloud.span_below(LASTS), &clients, number, |client, cloud| client.make_key(cloud));
        } else {
            client.make_key(cloud);
        }
    }
    for number in 0..600 {
        let change = match number {
            0..300 => Change::Revoked,
            300..450 => Change::Limit(50),
            _ => Change::Limit(200),
        };
        let moment = 20 * SECOND + cloud.span_below(LASTS - 30 * SECOND);
        let client = cloud.below(KEYS as u64) as usize;
        at(simulation, moment, &clients, client, move |client, cloud| client.change(cloud, &change));
    }
    for _ in 0..1_000 {
        simulation.at(cloud.span_below(LASTS), |cloud| {
            cloud.crash_isolate(cloud.below(ISOLATES as u64) as usize);
        });
    }
    for _ in 0..300 {
        at(
            simulation,
            cloud.span_below(LASTS),
            &clients,
            cloud.below(KEYS as u64) as usize,
            |client, cloud| {
                client.key.get().into_iter().for_each(|key| cloud.crash_objects(key));
            },
        );
    }
    simulation.each_millisecond(LASTS, move |cloud| {
        for _ in 0..PACE as u64 {
            let share = cloud.below(1 << 53) as f64 / (1_u64 << 53) as f64;
            let Some(client) = clients.get(shares.partition_point(|most| *most <= share)) else { continue };
            let isolate = client.isolates[cloud.below(client.isolates.len() as u64) as usize];
            if let Some(key) = client.key.get().filter(|_| client.is_there(cloud.elapsed())) {
                cloud.request(isolate, key);
            }
        }
    });
}

/// Schedules something for one client.
fn at(
    simulation: &Simulation,
    moment: Span,
    clients: &Rc<[Client]>,
    number: usize,
    what: impl FnOnce(&Client, &Rc<FakeCloud>) + 'static,
) {
    let clients = Rc::clone(clients);
    simulation.at(moment, move |cloud| what(&clients[number], cloud));
}

/// All isolates use one key, twice a second each, and join within a span of `gathering`. At the end the key is revoked.
fn crowd(simulation: &Simulation, per_minute: u32, gathering: Span) {
    const LASTS: Span = Span::from_mins(2);
    simulation.cloud().make_key(Limits { per_minute: Some(per_minute), per_day: None });
    simulation.at(LASTS - 10 * SECOND, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
    simulation.each_millisecond(LASTS, move |cloud| {
        for _ in 0..ISOLATES as i64 * 2 / SECOND.ms() {
            let isolate = cloud.below(ISOLATES as u64);
            if gathering * isolate as i64 <= cloud.elapsed() * ISOLATES as i64 {
                cloud.request(isolate as usize, 0);
            }
        }
    });
    // Each joins with a request.
    for isolate in 0..ISOLATES {
        simulation.at(isolate as i64 * gathering / ISOLATES as i64, move |cloud| cloud.request(isolate, 0));
    }
}
