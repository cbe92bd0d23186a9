//! What happens in the simulated deployments.

use std::{cell::Cell, rc::Rc};

use keyward_core::{
    record::{Limits, Status},
    time::{MINUTE, SECOND},
};

use keyward_simulation::world::{Cloud, LOCATIONS, World, network::Network, realm};

/// All of them, those that take longest first.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "mixed traffic",
        about: "3,000 keys after Zipf; 300 revoked, 300 edited, 100 made on the way; 1,300 crashes",
        freshness_ms: 5_000,
        spreads: true,
        build: mixed,
    },
    Scenario {
        name: "mixed, strict",
        about: "the same requests with freshness 0: each asks the key's object; no promise of its calls",
        freshness_ms: 0,
        spreads: false,
        build: mixed,
    },
    Scenario {
        name: "crowd below",
        about: "one key in 10,000 isolates that join over 30 s, far below its limit",
        freshness_ms: 5_000,
        spreads: true,
        build: |world| crowd(world, 10_000_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd near",
        about: "the same at 80 % of its limit",
        freshness_ms: 5_000,
        spreads: true,
        build: |world| crowd(world, 1_500_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd above",
        about: "the same with a limit of 60,000 a minute, which they saturate",
        freshness_ms: 5_000,
        spreads: true,
        build: |world| crowd(world, 60_000, 30 * SECOND),
    },
    Scenario {
        name: "crowd at once",
        about: "one key, cold, in 10,000 isolates within one second: its object gets a call of each",
        freshness_ms: 5_000,
        spreads: false,
        build: |world| crowd(world, 10_000_000, SECOND),
    },
];

/// A deployment and what happens in it.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub freshness_ms: u32,
    /// Whether it is promised that no object gets too many calls.
    pub spreads: bool,
    build: fn(&World),
}

impl Scenario {
    /// Runs it to its end.
    pub fn run(&self, seed: u64) -> World {
        let world = World::new(seed, ISOLATES, NETWORK, realm(self.freshness_ms));
        (self.build)(&world);
        world.run();
        world
    }
}

const ISOLATES: usize = 10_000;
/// Round trips of 5 to 250 ms, 1 message in 1,000 lost, KV up to a minute late, clocks up to 5 s off.
const NETWORK: Network = Network { round_trip: (5, 250), lost: 1, kv_lag: MINUTE, skew: 5_000 };

/// How long traffic lasts.
const SPAN: i64 = 3 * MINUTE;

const KEYS: usize = 3_000;
/// Requests of all keys in a millisecond.
const PACE: f64 = 20.0;

/// Who uses a key, and how.
struct Client {
    key: Cell<Option<usize>>,
    /// Requests in a minute, on average.
    rate: f64,
    isolates: Vec<usize>,
    /// Comes for 10 s out of each 30 s, beginning so many milliseconds after the others.
    pauses: Option<i64>,
}

impl Client {
    fn new(cloud: &Cloud, number: usize, rate: f64) -> Self {
        // Most are a server or two; some are on all continents; few are in everybody's pocket. The most
        // popular ones are of each kind.
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
        let pauses = (cloud.below(5) == 0).then(|| cloud.below(30_000) as i64);
        Self { key: Cell::new(None), rate, isolates, pauses }
    }

    fn is_there(&self, elapsed: i64) -> bool {
        self.pauses.is_none_or(|begin| (elapsed - begin).rem_euclid(30 * SECOND) < 10 * SECOND)
    }

    /// Far below its limit, near to it, beyond it, or without one.
    fn limits(&self, cloud: &Cloud) -> Limits {
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

    fn make_key(&self, cloud: &Cloud) {
        self.key.set(Some(cloud.make_key(self.limits(cloud))));
    }

    fn change(&self, cloud: &Cloud, what: &Change) {
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

fn mixed(world: &World) {
    let cloud = world.cloud();
    let weights: Vec<f64> = (1..=KEYS).map(|rank| 1.0 / rank as f64).collect();
    let sum: f64 = weights.iter().sum();
    let rate = |weight: &f64| weight / sum * PACE * MINUTE as f64;
    let client = |(number, weight)| Client::new(cloud, number, rate(weight));
    let clients: Rc<[Client]> = weights.iter().enumerate().map(client).collect();
    // The share of requests that belong to a key or to a more popular one.
    let shares: Vec<f64> = weights
        .iter()
        .scan(0.0, |share, weight| {
            *share += weight / sum;
            Some(*share)
        })
        .collect();

    for (number, client) in clients.iter().enumerate() {
        if number % 30 == 29 {
            at(world, cloud.below(SPAN as u64), &clients, number, |client, cloud| client.make_key(cloud));
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
        let moment = 20 * SECOND as u64 + cloud.below(SPAN as u64 - 30 * SECOND as u64);
        let client = cloud.below(KEYS as u64) as usize;
        at(world, moment, &clients, client, move |client, cloud| client.change(cloud, &change));
    }
    for _ in 0..1_000 {
        world.at(cloud.below(SPAN as u64) as i64, |cloud| {
            cloud.crash_isolate(cloud.below(ISOLATES as u64) as usize);
        });
    }
    for _ in 0..300 {
        at(world, cloud.below(SPAN as u64), &clients, cloud.below(KEYS as u64) as usize, |client, cloud| {
            client.key.get().into_iter().for_each(|key| cloud.crash_objects(key));
        });
    }
    world.each_millisecond(SPAN, move |cloud| {
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

/// Something happens to a client.
fn at(
    world: &World,
    moment: u64,
    clients: &Rc<[Client]>,
    number: usize,
    what: impl FnOnce(&Client, &Rc<Cloud>) + 'static,
) {
    let clients = Rc::clone(clients);
    world.at(moment as i64, move |cloud| what(&clients[number], cloud));
}

/// All isolates use one key, twice a second each, from some moment of the first `gathering` on. In the
/// end it is revoked.
fn crowd(world: &World, per_minute: u32, gathering: i64) {
    const LASTS: i64 = 2 * MINUTE;
    world.cloud().make_key(Limits { per_minute: Some(per_minute), per_day: None });
    world.at(LASTS - 10 * SECOND, |cloud| cloud.change(0, |record| record.status = Status::Revoked));
    world.each_millisecond(LASTS, move |cloud| {
        for _ in 0..ISOLATES as i64 * 2 / SECOND {
            let isolate = cloud.below(ISOLATES as u64);
            if isolate * gathering as u64 <= cloud.elapsed() as u64 * ISOLATES as u64 {
                cloud.request(isolate as usize, 0);
            }
        }
    });
    // Whoever joins has a request at hand.
    for isolate in 0..ISOLATES {
        world.at(isolate as i64 * gathering / ISOLATES as i64, move |cloud| cloud.request(isolate, 0));
    }
}
