//! The result: figures from the logs of all keys, and a table that compares them with what is promised.

use std::collections::HashMap;

use crate::{
    judge::{self, Split},
    scenario::Scenario,
};
use keyward_core::time::{SECOND, Span};
use keyward_simulation::keys::Log;

/// Requests a second of each isolate that make a key hot.
const HOT: f64 = 100.0;
/// After a loss or crash, at most one in this many requests may be refused unjustly.
const ONE_IN: usize = 10_000;

/// The figures of one scenario.
pub struct Figures {
    scenario: &'static Scenario,
    keys: usize,
    requests: usize,
    passed: usize,
    /// Arrivals at the origin that exceeded a limit.
    over: usize,
    limited: usize,
    /// Refused although the key was below its limit.
    unjust: Split<usize>,
    unavailable: u64,
    /// Refused with 401 although the key is valid.
    unknown: u64,
    /// Share of the limit that was used, for each minute in which a key was saturated; sorted.
    used: Split<Vec<f64>>,
    /// Calls to all objects, and to relays.
    calls: (u64, u64),
    /// The most to one object in a second, and to one relay.
    peak: (usize, usize),
    hot_keys: usize,
    hot_passed: usize,
    hot_calls: u64,
    waited: u64,
    kv_reads: u64,
    /// From the revocation to the last arrival, for each key that was revoked while in use; sorted.
    delays: Vec<Span>,
    /// Requests that came after the revocation and passed.
    after_all: u64,
}

impl Figures {
    /// Runs a scenario.
    pub fn of(scenario: &'static Scenario, seed: u64) -> Self {
        let simulation = scenario.run(seed);
        let cloud = simulation.cloud();
        let mut all = Self {
            scenario,
            keys: 0,
            requests: 0,
            passed: 0,
            over: 0,
            limited: 0,
            unjust: Split::default(),
            unavailable: 0,
            unknown: 0,
            used: Split::default(),
            calls: (0, 0),
            peak: (0, 0),
            hot_keys: 0,
            hot_passed: 0,
            hot_calls: 0,
            waited: 0,
            kv_reads: cloud.kv_reads.get(),
            delays: Vec::new(),
            after_all: 0,
        };
        let mut calls: HashMap<usize, u64> = HashMap::new();
        for (object, load) in cloud.loads.borrow().iter() {
            *calls.entry(object.key).or_default() += load.total;
            all.calls.0 += load.total;
            all.peak.0 = all.peak.0.max(load.peak);
            if object.relay.is_some() {
                all.calls.1 += load.total;
                all.peak.1 = all.peak.1.max(load.peak);
            }
        }
        let seconds = seconds(cloud.elapsed());
        for (number, key) in cloud.keys.borrow_mut().iter_mut().enumerate() {
            key.log.passed.sort_unstable();
            all.add(&key.log, calls.get(&number).copied().unwrap_or_default(), seconds);
        }
        all.delays.sort_unstable();
        all.used.undisturbed.sort_unstable_by(f64::total_cmp);
        all.used.disturbed.sort_unstable_by(f64::total_cmp);
        all
    }

    fn add(&mut self, log: &Log, calls: u64, seconds: f64) {
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
        self.used.undisturbed.extend(used.undisturbed);
        self.used.disturbed.extend(used.disturbed);
        self.waited += log.waited;
        self.after_all += log.passed_after_all;
        match log.revoked_at {
            None => self.unknown += log.unknown,
            Some(told) if log.unknown > 0 => {
                self.delays.push(log.passed.last().map_or(Span::ZERO, |last| (*last - told).max(Span::ZERO)));
            }
            Some(_) => {}
        }
        if log.came.len() as f64 / seconds / log.isolates.len() as f64 >= HOT {
            self.hot_keys += 1;
            self.hot_passed += log.passed.len();
            self.hot_calls += calls;
        }
    }

    fn is_strict(&self) -> bool {
        self.scenario.freshness == Span::ZERO
    }

    fn mean_used(&self) -> Option<f64> {
        let minutes = self.used.undisturbed.len() + self.used.disturbed.len();
        let sum: f64 = self.used.undisturbed.iter().chain(&self.used.disturbed).sum();
        (minutes > 0).then(|| sum / minutes as f64)
    }

    fn is_revoked_in_time(&self) -> bool {
        if self.is_strict() {
            self.after_all == 0
        } else {
            percentile(&self.delays, 100) <= self.scenario.freshness
        }
    }
}

/// A line of the table: its name, its value, and whether that is as promised.
type Line = (&'static str, fn(&Figures) -> String, fn(&Figures) -> bool);

const LINES: &[Line] = &[
    ("requests", |all| thousands(all.requests as u64), any),
    ("keys", |all| thousands(all.keys as u64), any),
    ("let through", |all| thousands(all.passed as u64), any),
    ("  beyond a limit", |all| thousands(all.over as u64), |all| all.over == 0),
    ("refused: 429", |all| thousands(all.limited as u64), any),
    (
        "  below 80 % of the limit",
        |all| thousands(all.unjust.undisturbed as u64),
        |all| all.unjust.undisturbed == 0,
    ),
    (
        "  the same, after a loss or crash",
        |all| thousands(all.unjust.disturbed as u64),
        |all| all.unjust.disturbed * ONE_IN <= all.requests,
    ),
    ("refused: 503, something was lost", |all| thousands(all.unavailable), any),
    ("refused: 401, of keys that hold", |all| thousands(all.unknown), |all| all.unknown == 0),
    (
        "limit used when saturated, mean",
        |all| percent(all.mean_used()),
        |all| all.mean_used().is_none_or(|used| used >= 0.95),
    ),
    (
        "  worst minute of a key",
        |all| percent(all.used.undisturbed.first().copied()),
        |all| all.used.undisturbed.first().is_none_or(|used| *used >= 0.95),
    ),
    ("  worst, after a loss or crash", |all| percent(all.used.disturbed.first().copied()), any),
    ("calls of objects, for one let through", |all| ratio(all.calls.0, all.passed), any),
    ("  of that to relays", |all| percent(Some(all.calls.1 as f64 / all.calls.0 as f64)), any),
    (
        "  of keys with 100/s an isolate",
        |all| if all.hot_keys == 0 { NONE.into() } else { ratio(all.hot_calls, all.hot_passed) },
        |all| all.is_strict() || all.hot_calls as usize * 20 <= all.hot_passed,
    ),
    (
        "most calls of one object in a second",
        |all| thousands(all.peak.0 as u64),
        |all| !all.scenario.spreads || all.peak.0 <= 500,
    ),
    ("  of one relay", |all| thousands(all.peak.1 as u64), any),
    ("requests that waited for an answer", |all| percent(Some(all.waited as f64 / all.requests as f64)), any),
    ("reads of KV", |all| thousands(all.kv_reads), any),
    ("keys revoked while used", |all| thousands(all.delays.len() as u64), any),
    ("  last arrival after that, p50", |all| shown(percentile(&all.delays, 50)), any),
    ("  p99", |all| shown(percentile(&all.delays, 99)), any),
    ("  max", |all| shown(percentile(&all.delays, 100)), Figures::is_revoked_in_time),
];

/// Nothing is promised.
fn any(_: &Figures) -> bool {
    true
}

const NONE: &str = "-";

/// A percentile of sorted values.
fn percentile(sorted: &[Span], percent: usize) -> Span {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.into(), |share| format!("{:.2} %", share * 100.0))
}

fn ratio(calls: u64, requests: usize) -> String {
    format!("{:.3}", calls as f64 / requests as f64)
}

fn seconds(span: Span) -> f64 {
    span.ms() as f64 / SECOND.ms() as f64
}

fn shown(span: Span) -> String {
    format!("{:.3} s", seconds(span))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Prints the table, and says whether every promise was kept.
pub fn print(all: &[Figures]) -> bool {
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>15}")).collect();
        println!("{}", format!("{name:38}{cells}").trim_end());
    };
    line("", all.iter().map(|figures| format!("{} ", figures.scenario.name)).collect());
    let mut broken = Vec::new();
    for (name, show, is_kept) in LINES {
        let cell = |figures: &Figures| {
            let is_kept = is_kept(figures);
            if !is_kept {
                broken.push(format!("{}: {}", figures.scenario.name, name.trim()));
            }
            format!("{}{}", show(figures), if is_kept { ' ' } else { '!' })
        };
        line(name, all.iter().map(cell).collect());
    }
    println!();
    for Figures { scenario, .. } in all {
        println!("{:14}{}", scenario.name, scenario.about);
    }
    println!();
    match broken.as_slice() {
        [] => println!("Every promise was kept."),
        broken => println!("Broken promises: {}.", broken.join("; ")),
    }
    broken.is_empty()
}
