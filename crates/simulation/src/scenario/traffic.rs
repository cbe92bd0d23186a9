//! Traffic of many keys.

use std::{cell::Cell, rc::Rc};

use keyward_core::{
    record::{Limits, Status},
    time::{MINUTE, SECOND, Span},
};
use keyward_simulation::{FakeCloud, Simulation, keys::TENANT};

use super::Scenario;

/// 3,000 keys after Zipf, 20,000 requests a second.
pub fn mixed(simulation: &Simulation, place: &Scenario) {
    let traffic = Traffic { keys: 3_000, weight: |rank| 1.0 / rank, pace: 20, grows: true };
    let clients = traffic.begin(simulation, place, Client::limits);
    faults(simulation, place, &clients);
}

/// 60,000 keys of which none is hot, 6,000 requests a second.
pub fn long_tail(simulation: &Simulation, place: &Scenario) {
    let traffic = Traffic { keys: 60_000, weight: |rank| (rank + 300.0).powf(-0.8), pace: 6, grows: true };
    let clients = traffic.begin(simulation, place, Client::limits);
    faults(simulation, place, &clients);
}

/// A tenant has 100,000 keys, each far below its limit. After a minute it is deactivated.
pub fn deactivation(simulation: &Simulation, place: &Scenario) {
    const KEYS: usize = 100_000;
    let traffic = Traffic { keys: KEYS, weight: |rank| (rank + 300.0).powf(-0.8), pace: 2, grows: false };
    traffic.begin(simulation, place, |_, _| Limits { per_minute: Some(6_000), ..Limits::default() });
    simulation.at(MINUTE, |cloud| cloud.deactivate(TENANT));
}

/// Requests of many keys.
struct Traffic {
    keys: usize,
    /// How popular a key is, by its rank.
    weight: fn(f64) -> f64,
    /// Requests of all keys in a millisecond.
    pace: u64,
    /// Whether one in 30 keys is made on the way.
    grows: bool,
}

impl Traffic {
    fn begin(
        self,
        simulation: &Simulation,
        place: &Scenario,
        limits: fn(&Client, &FakeCloud) -> Limits,
    ) -> Rc<[Client]> {
        let cloud = simulation.cloud();
        let weights: Vec<f64> = (1..=self.keys).map(|rank| (self.weight)(rank as f64)).collect();
        let sum: f64 = weights.iter().sum();
        let rate = |weight: &f64| weight / sum * self.pace as f64 * MINUTE.ms() as f64;
        let client = |(number, weight)| Client::new(cloud, place, number, rate(weight));
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
            let make = move |client: &Client, cloud: &Rc<FakeCloud>| {
                client.key.set(Some(cloud.make_key(limits(client, cloud))));
            };
            if self.grows && number % 30 == 29 {
                at(simulation, cloud.span_below(place.lasts), &clients, number, make);
            } else {
                make(client, cloud);
            }
        }
        let all = Rc::clone(&clients);
        simulation.each_millisecond(place.lasts, move |cloud| {
            for _ in 0..self.pace {
                let share = cloud.below(1 << 53) as f64 / (1_u64 << 53) as f64;
                let Some(client) = clients.get(shares.partition_point(|most| *most <= share)) else {
                    continue;
                };
                let isolate = client.isolates[cloud.below(client.isolates.len() as u64) as usize];
                if let Some(key) = client.key.get().filter(|_| client.is_there(cloud.elapsed())) {
                    cloud.request(isolate, key);
                }
            }
        });
        all
    }
}

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
    fn new(cloud: &FakeCloud, place: &Scenario, number: usize, rate: f64) -> Self {
        // Most are a server or two; some are on several continents; a few are apps that people carry. Each kind is
        // among the most popular keys.
        let (locations, each) = match (number + 4) % 10 {
            0..6 => (1, 1 + cloud.below(2)),
            6..9 => (2 + cloud.below(5), 1 + cloud.below(2)),
            _ => (20 + cloud.below(40), 1 + cloud.below(4)),
        };
        let mut isolates = Vec::new();
        for _ in 0..locations {
            let location = cloud.below(place.locations as u64) as usize;
            for _ in 0..each {
                let floor = cloud.below((place.isolates / place.locations) as u64) as usize;
                isolates.push(floor * place.locations + location);
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
        Limits { per_minute, per_day, ..Limits::default() }
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

/// Keys are revoked and edited; a tenth of the isolates die, and a few hundred objects.
fn faults(simulation: &Simulation, place: &Scenario, clients: &Rc<[Client]>) {
    let cloud = simulation.cloud();
    let (lasts, isolates) = (place.lasts, place.isolates as u64);
    for number in 0..600 {
        let change = match number {
            0..300 => Change::Revoked,
            300..450 => Change::Limit(50),
            _ => Change::Limit(200),
        };
        let moment = 20 * SECOND + cloud.span_below(lasts - 30 * SECOND);
        let client = cloud.below(clients.len() as u64) as usize;
        at(simulation, moment, clients, client, move |client, cloud| client.change(cloud, &change));
    }
    for _ in 0..isolates / 10 {
        simulation
            .at(cloud.span_below(lasts), move |cloud| cloud.crash_isolate(cloud.below(isolates) as usize));
    }
    for _ in 0..300 {
        let client = cloud.below(clients.len() as u64) as usize;
        at(simulation, cloud.span_below(lasts), clients, client, |client, cloud| {
            client.key.get().into_iter().for_each(|key| cloud.crash_objects(key));
        });
    }
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
