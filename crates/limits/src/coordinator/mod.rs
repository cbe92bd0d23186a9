//! The coordinator: one object a key, the authority for its record, its counts and its usage. All of it but
//! storage and alarms is here: a state and a call in, a state and an answer out. To users it is known by the
//! name of its class, KeyGate.

mod leases;
mod singles;
pub mod store;

use serde::{Deserialize, Serialize};

pub use self::leases::Clients;
use self::{
    leases::{Leases, Used},
    singles::SingleGrants,
};
use crate::{
    limit::{Occupancy, RATE_LIMITED, SlidingWindowLog, Window, WindowState},
    tellers::Tellers,
    timing::{MAX_DELAY_MS, MIN_LEASE, TRAVEL_MS},
    usage::Usage,
    wire::{
        Acquire, Acquired, CoordinatorCall, GetReply, Lease, LeaseReport, PutAck, RefusalCounts, RouteHint,
        Tally, UsageReport,
    },
};
use keyward_core::{
    record::{Limits, Record},
    time::Timestamp,
};

/// The largest lease, beside requests that already wait for it, is the limit divided by this: others may need
/// what it leaves unused.
const FRACTION_OF_LIMIT: u32 = 10;

/// What a coordinator knows. `record` and `counts` are stored apart, since they change apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coordinator {
    /// The record that the Registry put last.
    pub record: Option<Record>,
    /// What happened since.
    pub counts: Counts,
    clients: Clients,
    singles: SingleGrants,
}

/// Which part of a coordinator has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing that must outlive the object.
    Nothing,
    /// [`Coordinator::record`].
    Record,
    /// [`Coordinator::counts`].
    Counts,
}

/// What was admitted and what is to be reported. A stored format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    minute: SlidingWindowLog,
    day: SlidingWindowLog,
    leases: Leases,
    usage: Usage,
    /// The latest moment that the clock has shown.
    latest: Timestamp,
    #[serde(skip_serializing_if = "Tellers::is_empty")]
    tellers: Tellers,
    /// What a newer build has added, kept as it is.
    #[serde(flatten)]
    added: serde_json::Map<String, serde_json::Value>,
}

impl Coordinator {
    /// A coordinator as it was stored.
    pub fn kept(record: Record, counts: Counts) -> Self {
        Self { record: Some(record), counts, ..Self::default() }
    }

    /// Answers a call, as JSON text, and says what must be kept before the answer goes out.
    ///
    /// # Errors
    /// None in practice: everything here can be written as JSON.
    pub fn answer(&mut self, call: CoordinatorCall, now: Timestamp) -> serde_json::Result<(String, Keep)> {
        match call {
            CoordinatorCall::Put { record } => Ok((serde_json::to_string(&self.put(record))?, Keep::Record)),
            CoordinatorCall::Acquire(take) => {
                let taken = self.acquire(&take, now);
                let tells = take.tally.as_ref().is_some_and(|tally| !tally.is_empty());
                let changed =
                    tells || !take.leases.is_empty() || take.unreported > 0 || take.cancelled.is_some();
                let counts = changed || matches!(taken, Acquired::Granted { .. });
                let keep = if counts { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&taken)?, keep))
            }
            CoordinatorCall::Get => {
                Ok((serde_json::to_string(&GetReply { record: self.record.clone() })?, Keep::Nothing))
            }
            CoordinatorCall::Report { refused, leases, tally } => {
                self.report_of(&refused, &leases, tally.as_ref(), now);
                Ok(("{}".to_owned(), Keep::Counts))
            }
        }
    }

    /// The Registry puts the record that holds from now on. An older version than the current one changes
    /// nothing, so that a repeated or late call is harmless.
    pub fn put(&mut self, record: Record) -> PutAck {
        match &self.record {
            Some(current) if current.version >= record.version => PutAck { version: current.version },
            _ => {
                let version = record.version;
                self.record = Some(record);
                PutAck { version }
            }
        }
    }

    /// Admits a request, or grants a lease. What is admitted is counted in every window, or in none.
    pub fn acquire(&mut self, take: &Acquire, clock: Timestamp) -> Acquired {
        let now = self.at(clock, take.tally.as_ref());
        let Some(record) = &self.record else { return Acquired::Unknown };
        let (counts, singles) = (&mut self.counts, &mut self.singles);
        counts.ingest(&take.refused, take.tally.as_ref(), singles, now);
        let is_told = take.tally.is_some();
        counts.settle(record.limits, &take.leases, is_told, now);
        counts.count(record.limits, take.unreported, now);
        if !is_told {
            counts.usage.accept(take.unreported.into(), now);
        }
        // Cancelled once, whether the tally or this comes first.
        let cancelled = if is_told { singles.reservation_of(take.cancelled_call) } else { take.cancelled };
        if let Some(reservation) = cancelled {
            counts.cancel(reservation, now);
            if !is_told {
                counts.usage.take_back(now);
            }
        }
        self.clients.note(take, now);
        if record.version != take.version {
            return Acquired::Changed { record: record.clone() };
        }
        let via = RouteHint { relay: self.clients.is_crowd(), age_ms: 0 };
        let immediate = take.immediate && !singles.is_void(take.call);
        let opens = counts.occupancy(record.limits).iter().map(|occupancy| occupancy.opens(now)).max();
        let wait = opens.map_or(0, |opens| opens.0 - now.0);
        // Time stands still until the clock has caught up; what clients are told counts by the clock.
        let stands_still = milliseconds(now.0 - clock.0);
        let states = |counts: &Counts| counts.states(record.limits, now, stands_still);
        // A request that fits within [`MAX_DELAY_MS`] is delayed, not refused: the request that had the slot
        // before may be on its way for as long. A relay cannot be delayed for those that ask it.
        let too_long = if immediate { i64::from(MAX_DELAY_MS) } else { 0 };
        if (immediate || take.queued > 0) && wait > too_long {
            if immediate && !is_told {
                counts.usage.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now);
            }
            let retry_after_ms = milliseconds((wait - i64::from(MAX_DELAY_MS)).max(1)) + stands_still;
            return Acquired::Limited { windows: states(counts), retry_after_ms, via };
        }
        let mut delay_ms = 0;
        let mut reservation = None;
        if immediate {
            // The latest moment at which it can reach the origin.
            let latest = now.plus(wait + i64::from(take.within_ms) + i64::from(TRAVEL_MS));
            counts.count(record.limits, 1, latest);
            reservation = Some(latest);
            counts.usage.accept(1, now);
            singles.grant(take.call, now, latest);
            delay_ms = u32::try_from(wait).unwrap_or_default();
        }
        let lease = counts.lease(record.limits, take, &self.clients, now);
        Acquired::Granted { windows: states(counts), delay_ms, reservation, lease, via }
    }

    /// Takes in what a gate has counted of this key, and what was used of leases.
    pub fn report_of(
        &mut self,
        refused: &RefusalCounts,
        leases: &[LeaseReport],
        tally: Option<&Tally>,
        clock: Timestamp,
    ) {
        let now = self.at(clock, tally);
        let Some(record) = &self.record else { return };
        self.counts.ingest(refused, tally, &mut self.singles, now);
        self.counts.settle(record.limits, leases, tally.is_some(), now);
    }

    /// The moment at which a call counts when the clock shows this one. What is stored moves with a clock that
    /// was set, so that what was admitted stays counted for a whole window, and no longer.
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

    /// Milliseconds until the next report is due; `None` when there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<i64> {
        self.counts.usage.report_in(now)
    }

    /// What the Registry should know. `None` as long as it has not put a record here.
    pub fn report(&self, now: Timestamp) -> Option<UsageReport> {
        self.record.as_ref().map(|record| self.counts.usage.report(&record.id, now))
    }

    /// The Registry has taken `report`, except for these hours.
    pub fn reported(&mut self, report: &UsageReport, early: &[Timestamp], now: Timestamp) {
        self.counts.usage.reported(report, early, now);
    }
}

impl Counts {
    /// Takes in what a gate has counted; from an older build, refusals only.
    fn ingest(
        &mut self,
        refused: &RefusalCounts,
        tally: Option<&Tally>,
        singles: &mut SingleGrants,
        now: Timestamp,
    ) {
        let Some(tally) = tally else { return self.usage.refuse(refused, now) };
        if !self.tellers.ingest(tally, now) {
            return;
        }
        for hour in &tally.hours {
            let used = hour.last_used_at.unwrap_or(hour.at);
            self.usage.accept(hour.accepted, tally.moment(used, now));
            self.usage.refuse(&hour.refused, tally.moment(hour.at, now));
        }
        for cancelled in &tally.cancelled {
            match (singles.take(cancelled.call), cancelled.reservation) {
                (Some(single), _) => {
                    self.usage.take_back(single.at);
                    if let Some(reservation) = single.reservation {
                        self.cancel(reservation, now);
                    }
                }
                // Granted before this object was last evicted. Its reservation stays counted.
                (None, Some(reservation)) => self.usage.take_back(reservation.min(now)),
                (None, None) => singles.give_up(cancelled.call, now),
            }
        }
    }

    /// Takes in what was used of leases. Usage under them is in the tallies of those that hold them; older
    /// builds send none.
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

    /// Both windows are always counted, limited or not: a limit that an edit adds also covers what was admitted
    /// before.
    fn count(&mut self, limits: Limits, requests: u32, latest: Timestamp) {
        self.minute.count(Window::Minute, limits.per_minute.is_some(), latest, requests);
        self.day.count(Window::Day, limits.per_day.is_some(), latest, requests);
    }

    /// A reserved request was not admitted.
    fn cancel(&mut self, reservation: Timestamp, now: Timestamp) {
        self.minute.cancel(Window::Minute, reservation, now);
        self.day.cancel(Window::Day, reservation, now);
    }

    /// Grants a lease where it saves calls.
    fn lease(&mut self, limits: Limits, take: &Acquire, clients: &Clients, now: Timestamp) -> Option<Lease> {
        let free =
            self.occupancy(limits).iter().map(|occupancy| occupancy.free(now)).min().unwrap_or(u32::MAX);
        let most = [limits.per_minute, limits.per_day]
            .into_iter()
            .flatten()
            .min()
            .map(|limit| limit / FRACTION_OF_LIMIT);
        let likely =
            take.wants.min(clients.proportional_share(take, free, now)).min(most.unwrap_or(u32::MAX));
        let likely = if likely < MIN_LEASE { 0 } else { likely };
        let size = likely.max(take.queued.min(free));
        self.leases.grant(size, take.lease_length_ms, now)
    }

    /// What a client that asks now may know: slots that become free within the maximum delay count as free.
    fn states(&self, limits: Limits, now: Timestamp, stands_still: u64) -> Vec<WindowState> {
        let mut states: Vec<_> = self
            .occupancy(limits)
            .iter()
            .map(|occupancy| occupancy.state(now.plus(MAX_DELAY_MS.into())))
            .collect();
        for state in &mut states {
            // 0 where nothing is counted that could leave.
            state.reset_ms += if state.reset_ms > 0 { stands_still } else { 0 };
        }
        states
    }

    /// The windows that have a limit.
    fn occupancy(&self, limits: Limits) -> Vec<Occupancy> {
        let minute = limits.per_minute.map(|limit| (Window::Minute, limit, &self.minute));
        let day = limits.per_day.map(|limit| (Window::Day, limit, &self.day));
        let limited = minute.into_iter().chain(day);
        limited
            .map(|(window, limit, admitted)| Occupancy::new(window, limit, admitted, self.leases.reserved()))
            .collect()
    }
}

fn milliseconds(span: i64) -> u64 {
    u64::try_from(span).unwrap_or_default()
}
