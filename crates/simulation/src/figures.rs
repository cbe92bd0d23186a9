//! The figures of one run, from the logs of all keys.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use keyward_core::time::{MINUTE, SECOND, Span, Timestamp};
use keyward_simulation::{
    BEGIN, Simulation,
    keys::{ChangeKind, Counted, Log},
    network::{Load, Object, Purpose},
};

use crate::{
    judge::{self, Minute, Split},
    price,
};

/// Requests a second of each isolate that make a key hot.
const HOT: f64 = 100.0;

/// The figures of one scenario.
pub struct Figures {
    pub keys: usize,
    pub requests: usize,
    pub passed: usize,
    /// Arrivals at the origin that exceeded a limit.
    pub over: usize,
    pub limited: usize,
    /// Refused although the key was below its limit.
    pub unjust: Split<usize>,
    pub unavailable: u64,
    /// Refused with 401 although the key is valid.
    pub unknown: u64,
    /// Share of the limit that was used, for each minute in which a key was saturated; sorted.
    pub used: Split<Vec<f64>>,
    /// The worst of these that no fault disturbed.
    worst: Option<Worst>,
    /// What was counted of all requests, and of those of the key that is watched.
    pub counted: Counted,
    pub watched: Option<(Counted, u64)>,
    /// Calls to all objects, by what they were for.
    pub calls: BTreeMap<Purpose, u64>,
    pub relay_calls: u64,
    /// The busiest object.
    pub busiest: Option<(Object, Load)>,
    /// The most calls of one relay in a second.
    pub relay_peak: usize,
    pub hot_keys: usize,
    pub hot_passed: usize,
    pub hot_calls: u64,
    pub kv_reads: u64,
    pub rows: u64,
    /// From a change to the last arrival that it does not allow, for each; sorted. Of revocations only those of keys in use.
    pub revoked: Vec<Span>,
    pub edited: Vec<Span>,
    pub deactivated: Vec<Span>,
    /// Requests that came after the revocation and passed.
    pub after_all: u64,
}

impl Figures {
    /// Those of a run, and apart those of a key that is watched.
    pub fn of(simulation: &Simulation, watched: Option<usize>) -> Self {
        let cloud = simulation.cloud();
        let mut all = Self {
            keys: 0,
            requests: 0,
            passed: 0,
            over: 0,
            limited: 0,
            unjust: Split::default(),
            unavailable: 0,
            unknown: 0,
            used: Split::default(),
            worst: None,
            counted: Counted::default(),
            watched: None,
            calls: BTreeMap::new(),
            relay_calls: 0,
            busiest: None,
            relay_peak: 0,
            hot_keys: 0,
            hot_passed: 0,
            hot_calls: 0,
            kv_reads: cloud.kv_reads.get(),
            rows: cloud.rows.get(),
            revoked: Vec::new(),
            edited: Vec::new(),
            deactivated: Vec::new(),
            after_all: 0,
        };
        let mut calls: HashMap<usize, u64> = HashMap::new();
        for (object, load) in cloud.loads.borrow().iter() {
            all.add_load(*object, load);
            if let Some(key) = object.key() {
                *calls.entry(key).or_default() += load.total;
            }
        }
        let seconds = seconds(cloud.elapsed());
        for (number, key) in cloud.keys.borrow_mut().iter_mut().enumerate() {
            key.log.passed.sort_unstable();
            let calls = calls.get(&number).copied().unwrap_or_default();
            all.add(number, &key.log, calls, seconds);
            if watched == Some(number) {
                all.watched = Some((key.log.counted, calls));
            }
        }
        for delays in [&mut all.revoked, &mut all.edited, &mut all.deactivated] {
            delays.sort_unstable();
        }
        all.used.undisturbed.sort_unstable_by(f64::total_cmp);
        all.used.disturbed.sort_unstable_by(f64::total_cmp);
        all
    }

    fn add_load(&mut self, object: Object, load: &Load) {
        for (purpose, calls) in &load.total_for {
            *self.calls.entry(*purpose).or_default() += calls;
        }
        if object.is_relay() {
            self.relay_calls += load.total;
            self.relay_peak = self.relay_peak.max(load.peak);
        }
        // Of two that are equally busy, always the same one.
        if self.busiest.as_ref().is_none_or(|(other, most)| (load.peak, object) > (most.peak, *other)) {
            self.busiest = Some((object, load.clone()));
        }
    }

    fn add(&mut self, number: usize, log: &Log, calls: u64, seconds: f64) {
        self.keys += 1;
        self.requests += log.came.len();
        self.passed += log.passed.len();
        self.over += judge::over(log);
        self.limited += log.limited.len();
        let unjust = judge::unjust(log);
        self.unjust.undisturbed += unjust.undisturbed;
        self.unjust.disturbed += unjust.disturbed;
        self.unavailable += log.failed;
        let used = judge::used(log);
        for minute in &used.undisturbed {
            if self.worst.as_ref().is_none_or(|worst| minute.share < worst.minute.share) {
                self.worst = Some(Worst::of(number, log, *minute));
            }
        }
        self.used.undisturbed.extend(used.undisturbed.iter().map(|minute| minute.share));
        self.used.disturbed.extend(used.disturbed.iter().map(|minute| minute.share));
        let Counted { requests, accepted, waited, first, first_waited } = log.counted;
        self.counted.requests += requests;
        self.counted.accepted += accepted;
        self.counted.waited += waited;
        self.counted.first += first;
        self.counted.first_waited += first_waited;
        self.after_all += log.passed_after_all;
        if log.revoked_at.is_none() {
            self.unknown += log.unknown;
        }
        for change in &log.changes {
            let delay = change.last_arrival - change.at;
            match change.kind {
                ChangeKind::Revocation if log.unknown > 0 => self.revoked.push(delay),
                ChangeKind::Revocation => {}
                ChangeKind::Deactivation => self.deactivated.push(delay),
                ChangeKind::Edit => self.edited.push(delay),
            }
        }
        if log.came.len() as f64 / seconds / log.isolates.len() as f64 >= HOT {
            self.hot_keys += 1;
            self.hot_passed += log.passed.len();
            self.hot_calls += calls;
        }
    }

    /// Calls of objects, alarms among them.
    pub fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// What all of it costs, but for the requests themselves and their CPU, in dollars.
    fn cost_of_stores(&self) -> f64 {
        let millions = |count: u64, price: f64| count as f64 / 1e6 * price;
        millions(self.all_calls(), price::CALLS)
            + millions(self.rows, price::ROWS)
            + millions(self.kv_reads, price::KV_READS)
    }

    /// What a million accepted requests cost, in dollars, with all that was done for those that were refused.
    pub fn cost(&self) -> f64 {
        let requests = (price::REQUESTS + price::CPU) * self.counted.requests as f64 / 1e6;
        (requests + self.cost_of_stores()) / self.counted.accepted as f64 * 1e6
    }

    /// The same, without the refused requests themselves.
    pub fn cost_of_accepted(&self) -> f64 {
        price::REQUESTS + price::CPU + self.cost_of_stores() / self.counted.accepted as f64 * 1e6
    }

    pub fn mean_used(&self) -> Option<f64> {
        let minutes = self.used.undisturbed.len() + self.used.disturbed.len();
        let sum: f64 = self.used.undisturbed.iter().chain(&self.used.disturbed).sum();
        (minutes > 0).then(|| sum / minutes as f64)
    }

    /// The worst minute of a key, in words.
    pub fn worst_minute(&self) -> String {
        self.worst.as_ref().map_or_else(String::new, Worst::to_string)
    }

    /// What the busiest object was called for in its busiest second, and when.
    pub fn busiest_second(&self) -> String {
        let Some((object, load)) = &self.busiest else { return String::new() };
        let mut parts: Vec<_> =
            load.peak_for.iter().map(|(purpose, calls)| (*calls, purpose.name())).collect();
        parts.sort_unstable();
        let parts: Vec<_> = parts.iter().rev().map(|(calls, purpose)| format!("{calls} {purpose}")).collect();
        let at = seconds(load.peak_at - BEGIN);
        format!("{} at {at:.1} s: {}", object.name(), parts.join(", "))
    }
}

/// A minute in which a key could use little of its limit.
struct Worst {
    key: usize,
    isolates: usize,
    minute: Minute,
    /// Requests that came, and those that were let through, in each sixth of the minute before and of the minute.
    came: Vec<usize>,
    passed: Vec<usize>,
}

impl Worst {
    fn of(key: usize, log: &Log, minute: Minute) -> Self {
        let each = |moments: &[Timestamp]| {
            let sixth = |number: i64| {
                let from = minute.begin + number * MINUTE / 6;
                moments.iter().filter(|at| (from..from + MINUTE / 6).contains(at)).count()
            };
            (-6..6).map(sixth).collect()
        };
        Self { key, isolates: log.isolates.len(), minute, came: each(&log.came), passed: each(&log.passed) }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, isolates, minute: Minute { share, limit, begin }, came, passed } = self;
        let (percent, begin) = (share * 100.0, seconds(*begin - BEGIN));
        write!(
            formatter,
            "{percent:.1} % of {limit} from {begin:.1} s on, key {key} in {isolates} isolates; "
        )?;
        write!(formatter, "each 10 s from a minute before, came {came:?}, let through {passed:?}")
    }
}

pub fn seconds(span: Span) -> f64 {
    span.ms() as f64 / SECOND.ms() as f64
}
