//! The KeyGate: one object a key, the authority for its record, its counts and its usage. This is
//! the whole of it but for storage and alarms: state and call in, state and answer out.

mod leases;
mod singles;
pub mod store;

use serde::{Deserialize, Serialize};

pub use self::leases::Askers;
use self::{
    leases::{Leases, Used},
    singles::Singles,
};
use crate::{
    limit::{Admitted, Filled, RATE_LIMITED, Window, WindowState},
    tellers::Tellers,
    timing::{TRAVEL, WORTH_WAITING, WORTHWHILE},
    usage::Usage,
    wire::{
        Found, KeyGateCall, Lease, LeaseReport, RefusalCounts, Take, Taken, Tally, Told, UsageReport, Via,
    },
};
use keyward_core::{
    record::{Limits, Record},
    time::Timestamp,
};

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
    singles: Singles,
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
    #[serde(skip_serializing_if = "Tellers::is_empty")]
    tellers: Tellers,
    /// What a newer build has added, kept as it is.
    #[serde(flatten)]
    added: serde_json::Map<String, serde_json::Value>,
}

impl KeyGate {
    /// A KeyGate as it was kept.
    pub fn kept(record: Record, counts: Counts) -> Self {
        Self { record: Some(record), counts, ..Self::default() }
    }

    /// Answers a call, as JSON text, and says what must be kept before the answer goes out.
    ///
    /// # Errors
    /// None in practice: everything here can be written as JSON.
    pub fn answer(&mut self, call: KeyGateCall, now: Timestamp) -> serde_json::Result<(String, Keep)> {
        match call {
            KeyGateCall::Tell { record } => Ok((serde_json::to_string(&self.tell(record))?, Keep::Record)),
            KeyGateCall::Take(take) => {
                let taken = self.take(&take, now);
                let tells = take.tally.as_ref().is_some_and(|tally| !tally.is_empty());
                let changed = tells || !take.leases.is_empty() || take.unasked > 0 || take.unused.is_some();
                let counts = changed || matches!(taken, Taken::Granted { .. });
                let keep = if counts { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&taken)?, keep))
            }
            KeyGateCall::Find => {
                Ok((serde_json::to_string(&Found { record: self.record.clone() })?, Keep::Nothing))
            }
            KeyGateCall::Report { refused, leases, tally } => {
                self.report_of(&refused, &leases, tally.as_ref(), now);
                Ok(("{}".to_owned(), Keep::Counts))
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
    pub fn take(&mut self, take: &Take, clock: Timestamp) -> Taken {
        let now = self.at(clock, take.tally.as_ref());
        let Some(record) = &self.record else { return Taken::Unknown };
        let (counts, singles) = (&mut self.counts, &mut self.singles);
        counts.hear(&take.refused, take.tally.as_ref(), singles, now);
        let is_told = take.tally.is_some();
        counts.settle(record.limits, &take.leases, is_told, now);
        counts.count(record.limits, take.unasked, now);
        if !is_told {
            counts.usage.accept(take.unasked.into(), now);
        }
        // Once, whether the tally or this comes first.
        let unused = if is_told { singles.place_of(take.unused_call) } else { take.unused };
        if let Some(place) = unused {
            counts.give_back(place, now);
            if !is_told {
                counts.usage.take_back(now);
            }
        }
        self.askers.note(take, now);
        if record.version != take.version {
            return Taken::Changed { record: record.clone() };
        }
        let via = Via { relay: self.askers.are_crowd(), age_ms: 0 };
        let at_hand = take.at_hand && !singles.is_void(take.call);
        let opens = counts.filled(record.limits).iter().map(|filled| filled.opens(now)).max();
        let wait = opens.map_or(0, |opens| opens.0 - now.0);
        // Time stands still until the clock is there: what is said of it is by the clock.
        let stands_still = milliseconds(now.0 - clock.0);
        let states = |counts: &Counts| counts.states(record.limits, now, stands_still);
        // A relay cannot wait in the place of those that ask it.
        let too_long = if at_hand { i64::from(WORTH_WAITING) } else { 0 };
        if (at_hand || take.waiting > 0) && wait > too_long {
            if at_hand && !is_told {
                counts.usage.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now);
            }
            let retry_after_ms = milliseconds((wait - i64::from(WORTH_WAITING)).max(1)) + stands_still;
            return Taken::Limited { windows: states(counts), retry_after_ms, via };
        }
        let mut wait_ms = 0;
        let mut place = None;
        if at_hand {
            // The latest that it can have reached the origin.
            let latest = now.plus(wait + i64::from(take.within_ms) + i64::from(TRAVEL));
            counts.count(record.limits, 1, latest);
            place = Some(latest);
            counts.usage.accept(1, now);
            singles.grant(take.call, now, latest);
            wait_ms = u32::try_from(wait).unwrap_or_default();
        }
        let lease = counts.lease(record.limits, take, &self.askers, now);
        Taken::Granted { windows: states(counts), wait_ms, place, lease, via }
    }

    /// What a gate has counted of this key, and what became of leases.
    pub fn report_of(
        &mut self,
        refused: &RefusalCounts,
        leases: &[LeaseReport],
        tally: Option<&Tally>,
        clock: Timestamp,
    ) {
        let now = self.at(clock, tally);
        let Some(record) = &self.record else { return };
        self.counts.hear(refused, tally, &mut self.singles, now);
        self.counts.settle(record.limits, leases, tally.is_some(), now);
    }

    /// The moment at which a call counts when the clock shows this one. What is kept moves with a clock that is set,
    /// so that what was admitted stays counted for a whole window, and for no longer.
    fn at(&mut self, clock: Timestamp, tally: Option<&Tally>) -> Timestamp {
        let step = self.counts.tellers.follow(tally, self.counts.latest, clock);
        if step != 0 {
            self.shift(step);
        }
        if step < 0 {
            self.counts.usage.set_back(clock);
        }
        self.counts.latest = self.counts.latest.max(clock);
        self.counts.latest
    }

    fn shift(&mut self, by: i64) {
        let Counts { minute, day, leases, latest, .. } = &mut self.counts;
        minute.shift(by);
        day.shift(by);
        leases.shift(by);
        *latest = latest.plus(by);
        self.singles.shift(by);
    }

    /// Milliseconds until the next report should go out; `None` when there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<i64> {
        self.counts.usage.report_in(now)
    }

    /// What the Registry should know. `None` as long as it has not told this object of the key.
    pub fn report(&self, now: Timestamp) -> Option<UsageReport> {
        self.record.as_ref().map(|record| self.counts.usage.report(&record.id, now))
    }

    /// The Registry has taken `report` but for these hours.
    pub fn reported(&mut self, report: &UsageReport, early: &[Timestamp], now: Timestamp) {
        self.counts.usage.reported(report, early, now);
    }
}

impl Counts {
    /// Takes in what a gate has counted; of an older build, refusals only.
    fn hear(
        &mut self,
        refused: &RefusalCounts,
        tally: Option<&Tally>,
        singles: &mut Singles,
        now: Timestamp,
    ) {
        let Some(tally) = tally else { return self.usage.refuse(refused, now) };
        if !self.tellers.hear(tally, now) {
            return;
        }
        for hour in &tally.hours {
            let used = hour.last_used_at.unwrap_or(hour.at);
            self.usage.accept(hour.accepted, tally.moment(used, now));
            self.usage.refuse(&hour.refused, tally.moment(hour.at, now));
        }
        for unused in &tally.unused {
            match (singles.take(unused.call), unused.place) {
                (Some(single), _) => {
                    self.usage.take_back(single.at);
                    if let Some(place) = single.place {
                        self.give_back(place, now);
                    }
                }
                // Granted before this object was last away. Its place stays counted.
                (None, Some(place)) => self.usage.take_back(place.min(now)),
                (None, None) => singles.give_up(unused.call, now),
            }
        }
    }

    /// Takes in what became of leases. Usage under them is told by those that hold them, or was so by older builds.
    fn settle(&mut self, limits: Limits, reports: &[LeaseReport], is_told: bool, now: Timestamp) {
        let reported = reports.iter().filter_map(|report| self.leases.report(report, now));
        let mut used: Vec<Used> = reported.collect();
        used.extend(self.leases.end(now));
        // In the order of time, so that none is counted later than need be.
        used.sort_unstable_by_key(|used| used.latest);
        for used in used {
            self.count(limits, used.requests, used.latest);
            if used.is_known && !is_told {
                self.usage.accept(used.requests.into(), used.latest.min(now));
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
    fn states(&self, limits: Limits, now: Timestamp, stands_still: u64) -> Vec<WindowState> {
        let mut states: Vec<_> =
            self.filled(limits).iter().map(|filled| filled.state(now.plus(WORTH_WAITING.into()))).collect();
        for state in &mut states {
            // 0 where nothing is counted that could leave.
            state.reset_ms += if state.reset_ms > 0 { stands_still } else { 0 };
        }
        states
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
