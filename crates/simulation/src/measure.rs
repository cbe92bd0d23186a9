//! What is measured of a scenario, and within which bounds it must be.

use keyward_core::time::Span;

use crate::figures::{Figures, seconds};

/// One figure.
pub struct Measure {
    /// In JSON.
    pub name: &'static str,
    /// In tables.
    pub title: &'static str,
    pub unit: Unit,
    /// `None` where there is nothing to measure.
    pub of: fn(&Figures) -> Option<f64>,
}

/// How a figure is shown.
#[derive(Clone, Copy)]
pub enum Unit {
    Count,
    Share,
    Ratio,
    Seconds,
    Dollars,
}

impl Unit {
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => thousands(value as u64),
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Ratio => format!("{value:.4}"),
            Self::Seconds => format!("{value:.3} s"),
            Self::Dollars => format!("{value:.3} $"),
        }
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// A bound of a figure.
pub struct Bound {
    pub measure: &'static Measure,
    pub value: f64,
    /// If set, the bound is by as much above this figure.
    pub over: Option<&'static Measure>,
    pub is_least: bool,
}

pub const fn at_most(measure: &'static Measure, value: f64) -> Bound {
    Bound { measure, value, over: None, is_least: false }
}

pub const fn at_least(measure: &'static Measure, value: f64) -> Bound {
    Bound { is_least: true, ..at_most(measure, value) }
}

impl Bound {
    /// The bound for these figures.
    pub fn allowed(&self, figures: &Figures) -> f64 {
        self.value + self.over.and_then(|over| (over.of)(figures)).unwrap_or_default()
    }

    /// Whether the figure is within it.
    pub fn holds(&self, figures: &Figures) -> bool {
        let bound = self.allowed(figures);
        (self.measure.of)(figures)
            .is_none_or(|value| if self.is_least { value >= bound } else { value <= bound })
    }
}

/// In the order of the table.
pub const MEASURES: &[&Measure] = &[
    &REQUESTS,
    &KEYS,
    &PASSED,
    &OVER,
    &LIMITED,
    &UNJUST,
    &UNJUST_DISTURBED,
    &UNAVAILABLE,
    &UNKNOWN,
    &USED,
    &WORST_USED,
    &WORST_DISTURBED,
    &WAITED,
    &FIRST,
    &WAITED_LATER,
    &KV_READS,
    &CALLS,
    &RELAY_CALLS,
    &HOT_CALLS,
    &PEAK,
    &RELAY_PEAK,
    &REVOKED,
    &MEDIAN_AFTER_REVOCATION,
    &AFTER_REVOCATION,
    &PASSED_AFTER_ALL,
    &AFTER_EDIT,
    &AFTER_DEACTIVATION,
    &WATCHED_CALLS,
    &WATCHED_WAITED,
    &ROWS,
    &COST,
    &COST_OF_ACCEPTED,
];

macro_rules! measures {
    ($($name:ident $json:literal $title:literal $unit:ident $of:expr;)*) => {
        $(pub const $name: Measure = Measure { name: $json, title: $title, unit: Unit::$unit, of: $of };)*
    };
}

measures! {
    REQUESTS "requests" "requests" Count |all| Some(all.requests as f64);
    KEYS "keys" "keys" Count |all| Some(all.keys as f64);
    PASSED "passed" "let through" Count |all| Some(all.passed as f64);
    OVER "over" "let through beyond a limit" Count |all| Some(all.over as f64);
    LIMITED "limited" "refused: 429" Count |all| Some(all.limited as f64);
    UNJUST "unjust" "refused below 80 % of the limit" Count |all| Some(all.unjust.undisturbed as f64);
    UNJUST_DISTURBED "unjustAfterFault" "  after a loss or crash" Share
        |all| Some(all.unjust.disturbed as f64 / all.requests as f64);
    UNAVAILABLE "unavailable" "refused: 503, something was lost" Count |all| Some(all.unavailable as f64);
    UNKNOWN "unknown" "refused: 401, of keys that hold" Count |all| Some(all.unknown as f64);
    USED "limitUsed" "limit used when saturated, mean" Share Figures::mean_used;
    WORST_USED "limitUsedWorst" "limit used, worst minute of a key" Share |all| all.used.undisturbed.first().copied();
    WORST_DISTURBED "limitUsedWorstAfterFault" "  worst after a loss or crash" Share
        |all| all.used.disturbed.first().copied();
    WAITED "waited" "requests that wait for an object or KV" Share |all| of_requests(all, all.counted.waited);
    FIRST "firstTouches" "first touches of a key by an isolate" Share |all| of_requests(all, all.counted.first);
    WAITED_LATER "waitedLater" "  that wait and are no first touch" Share
        |all| of_requests(all, all.counted.waited - all.counted.first_waited);
    KV_READS "kvReads" "reads of KV, for one request" Ratio |all| of_requests(all, all.kv_reads);
    CALLS "calls" "calls of objects, for one let through" Ratio |all| of_accepted(all, all.all_calls());
    RELAY_CALLS "callsToRelays" "  of that to relays" Share
        |all| Some(all.relay_calls as f64 / all.all_calls() as f64);
    HOT_CALLS "callsOfHotKeys" "calls of hot keys (100/s an isolate)" Ratio
        |all| (all.hot_keys > 0).then(|| all.hot_calls as f64 / all.hot_passed as f64);
    PEAK "peak" "most calls of one object in a second" Count
        |all| all.busiest.as_ref().map(|(_, load)| load.peak as f64);
    RELAY_PEAK "peakOfRelay" "most calls of one relay in a second" Count |all| Some(all.relay_peak as f64);
    REVOKED "revoked" "keys revoked while used" Count |all| Some(all.revoked.len() as f64);
    MEDIAN_AFTER_REVOCATION "lastAfterRevocationMedian" "last arrival after a revocation, p50" Seconds
        |all| percentile(&all.revoked, 50);
    AFTER_REVOCATION "lastAfterRevocation" "last arrival after a revocation, max" Seconds |all| percentile(&all.revoked, 100);
    PASSED_AFTER_ALL "passedAfterRevocation" "came after a revocation and passed" Count |all| Some(all.after_all as f64);
    AFTER_EDIT "lastAfterEdit" "last arrival after an edit, max" Seconds |all| percentile(&all.edited, 100);
    AFTER_DEACTIVATION "lastAfterDeactivation" "last arrival after a deactivation" Seconds
        |all| percentile(&all.deactivated, 100);
    WATCHED_CALLS "callsOfKey" "calls for one request of the key" Ratio
        |all| all.watched.map(|(counted, calls)| calls as f64 / counted.requests as f64);
    WATCHED_WAITED "waitedOfKey" "requests of the key that wait" Share
        |all| all.watched.map(|(counted, _)| counted.waited as f64 / counted.requests as f64);
    ROWS "rows" "rows written, for one let through" Ratio |all| of_accepted(all, all.rows);
    COST "cost" "a million let through cost" Dollars |all| Some(all.cost());
    COST_OF_ACCEPTED "costOfAccepted" "  without the refused requests" Dollars |all| Some(all.cost_of_accepted());
}

fn of_requests(all: &Figures, count: u64) -> Option<f64> {
    Some(count as f64 / all.counted.requests as f64)
}

fn of_accepted(all: &Figures, count: u64) -> Option<f64> {
    Some(count as f64 / all.counted.accepted as f64)
}

/// A percentile of sorted values, in seconds.
fn percentile(sorted: &[Span], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map(|span| seconds(*span))
}
