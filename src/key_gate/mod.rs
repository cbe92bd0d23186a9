//! The KeyGate: one object a key, the authority for its record, its counts and its usage. This is
//! the whole of it but for storage and alarms: state and call in, state and answer out.

mod leases;
pub mod store;

use serde::{Deserialize, Serialize};

pub use self::leases::Askers;
use self::leases::{Leases, Used};
use crate::{
    denial::RATE_LIMITED,
    lease::{PROMPT, TRAVEL, WORTHWHILE},
    limit::{Admitted, Filled},
    record::{Limits, Record},
    time::Timestamp,
    usage::Usage,
    wire::{
        Found, KeyGateCall, Lease, LeaseReport, RefusalCounts, Take, Taken, Told, UsageReport, Via, Window,
        WindowState,
    },
};

/// A request that fits within this time waits for it at the gate instead of being refused: as long as
/// the one that it follows may have been on its way. So a place is free again exactly one window after
/// it was given out.
pub const WORTH_WAITING: u32 = PROMPT + TRAVEL;

/// Of a limit, a lease is at most this part beyond what waits for it: others may come while it is not used.
const PART: u32 = 10;

/// What a KeyGate knows. `record` and `counts` are stored apart, since they change apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGate {
    /// What the Registry said last.
    pub record: Option<Record>,
    /// What happened since.
    pub counts: Counts,
    askers: Askers,
}

/// What of a KeyGate has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing that must outlive the object.
    Nothing,
    /// [`KeyGate::record`].
    Record,
    /// [`KeyGate::counts`].
    Counts,
}

/// What was admitted and what is to be reported. A stored format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    minute: Admitted,
    day: Admitted,
    leases: Leases,
    usage: Usage,
    /// The latest moment seen.
    latest: Timestamp,
}

impl KeyGate {
    /// A KeyGate as it was kept.
    pub fn kept(record: Record, counts: Counts) -> Self {
        Self { record: Some(record), counts, ..Self::default() }
    }

    /// Answers a call, as JSON text, and says what must be kept before the answer goes out. Refusals
    /// change only usage, which is kept when it is reported.
    ///
    /// # Errors
    /// None in practice: everything here can be written as JSON.
    pub fn answer(&mut self, call: KeyGateCall, now: Timestamp) -> serde_json::Result<(String, Keep)> {
        match call {
            KeyGateCall::Tell { record } => Ok((serde_json::to_string(&self.tell(record))?, Keep::Record)),
            KeyGateCall::Take(take) => {
                let taken = self.take(&take, now);
                let changed = !take.leases.is_empty() || take.unasked > 0 || take.unused.is_some();
                let counts = changed || matches!(taken, Taken::Granted { .. });
                let keep = if counts { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&taken)?, keep))
            }
            KeyGateCall::Find => {
                Ok((serde_json::to_string(&Found { record: self.record.clone() })?, Keep::Nothing))
            }
            KeyGateCall::Report { refused, leases } => {
                self.report_of(&refused, &leases, now);
                Ok(("{}".to_owned(), if leases.is_empty() { Keep::Nothing } else { Keep::Counts }))
            }
        }
    }

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

    /// A request asks to pass, or a gate asks for a lease. What passes is counted in every window, or
    /// in none.
    pub fn take(&mut self, take: &Take, now: Timestamp) -> Taken {
        let Some(record) = &self.record else { return Taken::Unknown };
        let counts = &mut self.counts;
        let now = counts.at(now);
        counts.usage.refuse(&take.refused, now);
        counts.settle(record.limits, &take.leases, now);
        counts.count(record.limits, take.unasked, now);
        counts.usage.accept(take.unasked, now);
        if let Some(place) = take.unused {
            counts.give_back(place, now);
        }
        self.askers.note(take, now);
        if record.version != take.version {
            return Taken::Changed { record: record.clone() };
        }
        let via = Via { relay: self.askers.are_crowd(), age_ms: 0 };
        let opens = counts.filled(record.limits).iter().map(|filled| filled.opens(now)).max();
        let wait = opens.map_or(0, |opens| opens.0 - now.0);
        // A relay cannot wait in the place of those that ask it.
        let too_long = if take.at_hand { i64::from(WORTH_WAITING) } else { 0 };
        if (take.at_hand || take.waiting > 0) && wait > too_long {
            if take.at_hand {
                counts.usage.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now);
            }
            let retry_after_ms = milliseconds((wait - i64::from(WORTH_WAITING)).max(1));
            return Taken::Limited { windows: counts.states(record.limits, now), retry_after_ms, via };
        }
        let mut wait_ms = 0;
        let mut place = None;
        if take.at_hand {
            // The latest that it can have reached the origin.
            let latest = now.plus(wait + i64::from(take.within_ms) + i64::from(TRAVEL));
            counts.count(record.limits, 1, latest);
            place = Some(latest);
            counts.usage.accept(1, now);
            wait_ms = u32::try_from(wait).unwrap_or_default();
        }
        let lease = counts.lease(record.limits, take, &self.askers, now);
        Taken::Granted { windows: counts.states(record.limits, now), wait_ms, place, lease, via }
    }

    /// Refusals of this key that a gate has counted, and what became of leases.
    pub fn report_of(&mut self, refused: &RefusalCounts, leases: &[LeaseReport], now: Timestamp) {
        let Some(record) = &self.record else { return };
        let now = self.counts.at(now);
        self.counts.usage.refuse(refused, now);
        self.counts.settle(record.limits, leases, now);
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
    fn at(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Takes in what became of leases.
    fn settle(&mut self, limits: Limits, reports: &[LeaseReport], now: Timestamp) {
        let reported = reports.iter().filter_map(|report| self.leases.report(report, now));
        let mut used: Vec<Used> = reported.collect();
        used.extend(self.leases.end(now));
        // In the order of time, so that none is counted later than need be.
        used.sort_unstable_by_key(|used| used.latest);
        for used in used {
            self.count(limits, used.requests, used.latest);
            if used.is_known {
                self.usage.accept(used.requests, used.latest.min(now));
            }
        }
        self.minute.expire(Window::Minute, now);
        self.day.expire(Window::Day, now);
    }

    /// Both windows are always counted, limited or not: a limit that an edit brings holds from then on
    /// over what was admitted before.
    fn count(&mut self, limits: Limits, requests: u32, latest: Timestamp) {
        self.minute.count(Window::Minute, limits.per_minute.is_some(), latest, requests);
        self.day.count(Window::Day, limits.per_day.is_some(), latest, requests);
    }

    /// A request that was counted so did not pass.
    fn give_back(&mut self, place: Timestamp, now: Timestamp) {
        self.minute.give_back(Window::Minute, place, now);
        self.day.give_back(Window::Day, place, now);
        self.usage.take_back(now);
    }

    /// Grants a lease where it saves calls.
    fn lease(&mut self, limits: Limits, take: &Take, askers: &Askers, now: Timestamp) -> Option<Lease> {
        let free = self.filled(limits).iter().map(|filled| filled.free(now)).min().unwrap_or(u32::MAX);
        let most = [limits.per_minute, limits.per_day].into_iter().flatten().min().map(|limit| limit / PART);
        let likely = take.expected.min(askers.share(take, free, now)).min(most.unwrap_or(u32::MAX));
        let likely = if likely < WORTHWHILE { 0 } else { likely };
        let size = likely.max(take.waiting.min(free));
        self.leases.grant(size, take.life_ms, now)
    }

    /// What a client that asks at this moment may know: what leaves within the time that it may be
    /// made to wait is gone for it.
    fn states(&self, limits: Limits, now: Timestamp) -> Vec<WindowState> {
        self.filled(limits).iter().map(|filled| filled.state(now.plus(WORTH_WAITING.into()))).collect()
    }

    /// The windows that have a limit.
    fn filled(&self, limits: Limits) -> Vec<Filled> {
        let minute = limits.per_minute.map(|limit| (Window::Minute, limit, &self.minute));
        let day = limits.per_day.map(|limit| (Window::Day, limit, &self.day));
        let limited = minute.into_iter().chain(day);
        limited
            .map(|(window, limit, admitted)| Filled::new(window, limit, admitted, self.leases.reserved()))
            .collect()
    }
}

fn milliseconds(span: i64) -> u64 {
    u64::try_from(span).unwrap_or_default()
}
