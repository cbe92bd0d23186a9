//! The KeyGate: one object a key, the authority for its record, its counts and its usage. This is
//! the whole of it but for storage and alarms: state and call in, state and answer out.

pub mod store;

use serde::{Deserialize, Serialize};

use crate::{
    denial::RATE_LIMITED,
    limit::Admitted,
    record::Record,
    time::Timestamp,
    usage::Usage,
    wire::{RefusalCounts, Taken, Told, UsageReport, Window},
};

/// What a KeyGate knows. `record` and `counts` are stored apart, since they change apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGate {
    /// What the Registry said last.
    pub record: Option<Record>,
    /// What happened since.
    pub counts: Counts,
}

/// What was admitted and what is to be reported. A stored format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    minute: Admitted,
    day: Admitted,
    usage: Usage,
}

impl KeyGate {
    /// The Registry says what holds from now on. An older version than the one that holds changes
    /// nothing, so that a repeated or late call is harmless.
    pub fn tell(&mut self, record: Record) -> Told {
        match &self.record {
            Some(current) if current.version >= record.version => Told { version: current.version },
            _ => {
                let version = record.version;
                self.record = Some(record);
                Told { version }
            }
        }
    }

    /// One request asks to pass. It is counted in every window, or in none.
    pub fn take(&mut self, version: u64, refused: &RefusalCounts, now: Timestamp) -> Taken {
        let Some(record) = &self.record else { return Taken::Unknown };
        let now = self.counts.not_before(now);
        self.counts.usage.refuse(refused, now);
        if record.version != version {
            return Taken::Changed { record: record.clone() };
        }
        // Both windows are always counted, limited or not: a limit that an edit brings holds from then
        // on over what was admitted before.
        let limits = record.limits;
        let mut windows = [
            (Window::Minute, limits.per_minute, &mut self.counts.minute),
            (Window::Day, limits.per_day, &mut self.counts.day),
        ];
        let mut retry_after_ms = 0;
        for (window, limit, admitted) in &mut windows {
            admitted.expire(*window, now);
            let wait = limit.map_or(0, |limit| admitted.wait(*window, limit, now));
            retry_after_ms = retry_after_ms.max(wait);
        }
        if retry_after_ms == 0 {
            for (window, limit, admitted) in &mut windows {
                admitted.count(*window, limit.is_some(), now);
            }
        }
        let states = windows
            .iter()
            .filter_map(|(window, limit, admitted)| limit.map(|limit| admitted.state(*window, limit, now)))
            .collect();
        if retry_after_ms > 0 {
            self.counts.usage.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now);
            return Taken::Limited { windows: states, retry_after_ms };
        }
        self.counts.usage.accept(now);
        Taken::Granted { windows: states }
    }

    /// Refusals of this key that a gate has counted.
    pub fn refuse(&mut self, refused: &RefusalCounts, now: Timestamp) {
        if self.record.is_some() {
            self.counts.usage.refuse(refused, now);
        }
    }

    /// Milliseconds until the next report should go out; `None` when there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<i64> {
        self.counts.usage.report_in(now)
    }

    /// What the Registry should know. `None` as long as it has not told this object of the key.
    pub fn report(&self) -> Option<UsageReport> {
        self.record.as_ref().map(|record| self.counts.usage.report(&record.id))
    }

    /// The Registry has taken `report`.
    pub fn reported(&mut self, report: &UsageReport, now: Timestamp) {
        self.counts.usage.reported(report, now);
    }
}

impl Counts {
    /// Time never runs backwards here, even when the object moves to a machine whose clock is
    /// behind: what was admitted stays counted for a whole window.
    fn not_before(&self, now: Timestamp) -> Timestamp {
        [self.minute.newest(), self.day.newest()].into_iter().flatten().fold(now, Timestamp::max)
    }
}
