//! The coordinator: one object for each key, the authority for its record, its counts and its usage. A call changes the
//! state and returns an answer; its [`object`] stores the state ([`store`]) and says when its alarm has to ring. The class of
//! that, which deployments name, is `KeyGate`.

mod grants;
mod in_flight;
mod leases;
mod logs;
pub mod object;
mod singles;
pub mod store;

use keyward_json::taken;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::leases::Clients;
use self::{
    in_flight::InFlight,
    leases::{Leases, MOST_BUDGETS, Used},
    logs::Logs,
    singles::{Single, SingleGrants},
};
use crate::{
    limit::{Occupancy, RATE_LIMITED, SlidingWindowLog, Window, WindowState},
    routes::LONGEST,
    tellers::Tellers,
    timing::{IN_FLIGHT, MAX_DELAY},
    usage::Usage,
    wire::{
        Acquire, Acquired, CoordinatorCall, Found, GetReply, LeaseReport, PutAck, RefusalCounts, RouteHint,
        Tally, UsageReport,
    },
};
use keyward_core::{
    order,
    record::{Cost, Limits, Record},
    time::{Span, Timestamp},
};

/// From this share of its limit on a window is nearly full.
const NEAR_PERCENT: u64 = 80;
/// Shares of a limit that the Registry is told of, the largest first.
const TOLD_PERCENT: [u64; 3] = [100, 95, NEAR_PERCENT];
/// The longest time that a client is told to wait: a month. A window that never opens again says so itself
/// ([`WindowState::is_spent`]).
const LONGEST_WAIT: Span = Span::from_days(31);

/// What a coordinator knows. `record` and `counts` are stored apart, since they change independently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coordinator {
    /// The record that the Registry put last.
    pub record: Option<Record>,
    /// What was admitted and counted.
    pub counts: Counts,
    clients: Clients,
    singles: SingleGrants,
}

/// Which part of a coordinator has changed and must be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None.
    Nothing,
    /// [`Coordinator::record`].
    Record,
    /// [`Coordinator::counts`].
    Counts,
}

/// What was admitted, and usage that is to be reported. A stored format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Map<String, Value>")]
pub struct Counts {
    #[serde(flatten)]
    logs: Logs,
    leases: Leases,
    usage: Usage,
    /// The latest moment that the clock has shown.
    latest: Timestamp,
    #[serde(skip_serializing_if = "Tellers::is_empty")]
    tellers: Tellers,
    #[serde(skip_serializing_if = "InFlight::is_empty")]
    in_flight: InFlight,
    /// Fields that a newer build has added, kept as they are.
    #[serde(flatten)]
    added: Map<String, Value>,
}

/// As serde would read it, which compiles everything that it holds once more.
impl TryFrom<Map<String, Value>> for Counts {
    type Error = keyward_json::Error;

    fn try_from(mut stored: Map<String, Value>) -> Result<Self, Self::Error> {
        Ok(Self {
            logs: Logs::taken(&mut stored)?,
            leases: taken(&mut stored, "leases")?,
            usage: taken(&mut stored, "usage")?,
            latest: taken(&mut stored, "latest")?,
            tellers: taken(&mut stored, "tellers")?,
            in_flight: taken(&mut stored, "inFlight")?,
            added: stored,
        })
    }
}

impl Coordinator {
    /// A coordinator from what was stored.
    pub fn kept(record: Record, counts: Counts) -> Self {
        Self { record: Some(record), counts, ..Self::default() }
    }

    /// Sets the time within which an admitted request reaches the origin.
    pub fn set_travel(&mut self, travel: Span) {
        self.counts.leases.set_travel(travel);
    }

    /// Answers a call. Returns the answer as JSON, and what must be stored before the answer goes out.
    ///
    /// # Errors
    /// None in practice: everything here can be written as JSON.
    pub fn answer(&mut self, call: CoordinatorCall, now: Timestamp) -> serde_json::Result<(String, Keep)> {
        match call {
            CoordinatorCall::Put { record } => Ok((serde_json::to_string(&self.put(record))?, Keep::Record)),
            CoordinatorCall::Acquire(call) => {
                let acquired = self.acquire(&call, now);
                let has_counts = call.tally.as_ref().is_some_and(|tally| !tally.is_empty());
                let changed =
                    has_counts || !call.leases.is_empty() || call.unreported > 0 || call.cancelled.is_some();
                // Mere confirmations change nothing.
                let is_granted = acquired.lease().is_some()
                    || matches!(acquired, Acquired::Granted { reservation: Some(_), .. });
                let counts = changed || is_granted;
                let keep = if counts { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&acquired)?, keep))
            }
            CoordinatorCall::Get => {
                Ok((serde_json::to_string(&GetReply { record: self.record.clone() })?, Keep::Nothing))
            }
            CoordinatorCall::Report { refused, leases, tally } => {
                self.report_of(&refused, &leases, tally.as_ref(), now);
                Ok(("{}".to_owned(), Keep::Counts))
            }
            CoordinatorCall::InFlight { call, length } => {
                let found = self.in_flight(call, length, now);
                let keep = if found { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&Found { found })?, keep))
            }
            CoordinatorCall::Settle { call, used } => {
                let found = self.settle(call, used, now);
                let keep = if found { Keep::Counts } else { Keep::Nothing };
                Ok((serde_json::to_string(&Found { found })?, keep))
            }
        }
    }

    /// Takes the record that applies from now on. A version older than the current one changes nothing, so a repeated or
    /// late call is harmless.
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

    /// Admits a request, grants a lease, or both. What is admitted is counted in every window, or in none.
    pub fn acquire(&mut self, call: &Acquire, clock: Timestamp) -> Acquired {
        let now = self.at(clock, call.tally.as_ref());
        let Some(record) = &self.record else { return Acquired::Unknown };
        let (counts, singles) = (&mut self.counts, &mut self.singles);
        counts.ingest(&call.refused, call.tally.as_ref(), singles, now);
        let is_told = call.tally.is_some();
        counts.settle(record.limits, &call.leases, is_told, now);
        counts.count(record.limits, call.unreported, now);
        if !is_told {
            counts.usage.accept(call.unreported.into(), now);
        }
        // A reservation is cancelled once, whether the tally or this call arrives first.
        let cancelled = match call.cancelled {
            _ if is_told => singles.reservation_of(call.cancelled_call),
            by_older_build => by_older_build.map(|reservation| (reservation, Cost::ONE)),
        };
        if let Some((reservation, cost)) = cancelled {
            counts.cancel(reservation, cost, now);
            if !is_told {
                counts.usage.take_back(now, None);
            }
        }
        if call.cancelled_call != 0 {
            counts.give_up(call.cancelled_call, now);
        }
        self.clients.note(call, now);
        if record.version != call.version {
            return Acquired::Changed { record: record.clone() };
        }
        let via = |hold| RouteHint { relay: self.clients.is_crowd(), hold, age: Span::ZERO };
        let immediate = call.immediate && !singles.is_void(call.call);
        let cost = if immediate { call.cost } else { Cost::ONE };
        let occupancy = counts.occupancy(record.limits);
        let opens = occupancy.iter().map(|occupancy| occupancy.opens_for(cost.units(), now)).max();
        let wait = opens.map_or(Span::ZERO, |opens| opens - now);
        // After the clock was set back a little, time stands still until the clock has caught up. Clients wait by the clock.
        let stands_still = now - clock;
        let states = |counts: &Counts, cost| counts.states(record.limits, cost, now, stands_still);
        // A request that fits within [`MAX_DELAY`] is delayed, not refused. A lease cannot be delayed.
        let max_delay = if immediate { MAX_DELAY } else { Span::ZERO };
        if (immediate || call.queued > 0) && wait > max_delay {
            // What open budgets do not use is free at any moment, not when they end.
            let budgets = counts.leases.open_budgets();
            if immediate && budgets > 0 && counts.has_room_but_for_budgets(record.limits, cost, now) {
                return Acquired::Busy {
                    windows: states(counts, Cost::ONE),
                    limit: budgets,
                    by_budgets: true,
                };
            }
            if immediate && !is_told {
                counts.usage.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now);
            }
            // What was counted before it came may have filled the window.
            counts.note_near(record.limits, now);
            let windows = states(counts, cost);
            let lease = counts.defer(record.limits, call, &self.clients, now);
            let retry_after = (wait - MAX_DELAY).clamp(Span::from_ms(1), LONGEST_WAIT) + stands_still;
            let hold = counts.hold(record.limits, &self.clients, now);
            return Acquired::Limited { windows, retry_after, lease, via: via(hold) };
        }
        let has_budget = immediate && call.budget > Span::ZERO;
        if has_budget && !counts.leases.has_room_for_budget(call.call) {
            return Acquired::Busy {
                windows: states(counts, Cost::ONE),
                limit: MOST_BUDGETS,
                by_budgets: true,
            };
        }
        let begins = immediate && call.in_flight > Span::ZERO;
        if let Some(limit) = record.limits.in_flight.filter(|_| begins) {
            counts.in_flight.expire(now);
            if !counts.in_flight.has_room(call.call, limit) {
                return Acquired::Busy { windows: states(counts, Cost::ONE), limit, by_budgets: false };
            }
            counts.in_flight.begin(call.call, now + call.in_flight.min(IN_FLIGHT));
        }
        let mut delay = Span::ZERO;
        let mut reservation = None;
        if immediate {
            // The latest moment at which it can reach the origin.
            let latest = now + wait + call.within + counts.leases.travel();
            if has_budget {
                counts.leases.open_budget(call.call, cost.units(), latest, call.budget);
            } else {
                counts.count(record.limits, cost.units(), latest);
            }
            reservation = Some(latest);
            let route = call.route.clone().filter(|name| name.len() <= LONGEST);
            let on = route.iter().map(|name| (name.clone(), 1)).collect();
            counts.usage.accept_on(1, &on, now);
            counts.usage.used_from(call.from.as_ref(), now);
            let counted = reservation.filter(|_| !has_budget);
            singles.grant(Single { call: call.call, at: now, reservation: counted, cost, route });
            delay = wait;
        }
        counts.note_near(record.limits, now);
        let lease = counts.lease(record.limits, call, &self.clients, now);
        let hold = counts.hold(record.limits, &self.clients, now);
        let windows = states(counts, Cost::ONE);
        let (via, open) = (via(hold), begins || has_budget);
        Acquired::Granted { windows, delay, reservation, cost, lease, via, open }
    }

    /// Takes in what a client has counted of this key, and what it used of leases.
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
        self.counts.note_near(record.limits, now);
    }

    /// The request of this call goes on for this long at the least, or (zero) has ended. Whether it was in flight.
    fn in_flight(&mut self, call: u64, length: Span, clock: Timestamp) -> bool {
        let now = self.at(clock, None);
        let in_flight = &mut self.counts.in_flight;
        in_flight.expire(now);
        match length {
            Span::ZERO => in_flight.end(call),
            _ => in_flight.goes_on(call, now + length.min(IN_FLIGHT)),
        }
    }

    /// The request of this call has used this much of its budget. Whether that was open.
    fn settle(&mut self, call: u64, used: u32, clock: Timestamp) -> bool {
        let now = self.at(clock, None);
        let Some(record) = &self.record else { return false };
        self.counts.settle(record.limits, &[], true, now);
        let Some(used) = self.counts.leases.settle(call, used, now) else { return false };
        self.counts.count(record.limits, used.requests, used.latest);
        self.counts.note_near(record.limits, now);
        true
    }

    /// The moment at which a call counts when the clock shows `clock`. If the clock was set, everything stored moves with it,
    /// so that what was admitted stays counted for a whole window and no longer.
    fn at(&mut self, clock: Timestamp, tally: Option<&Tally>) -> Timestamp {
        let step = self.counts.tellers.follow(tally, self.counts.latest, clock);
        if step != Span::ZERO {
            self.shift(step);
        }
        if step < Span::ZERO {
            self.counts.usage.set_back(clock);
        }
        self.counts.latest = self.counts.latest.max(clock);
        self.counts.latest
    }

    fn shift(&mut self, by: Span) {
        let Counts { logs, leases, latest, in_flight, .. } = &mut self.counts;
        logs.shift(by, *latest);
        leases.shift(by);
        in_flight.shift(by);
        *latest = *latest + by;
        self.singles.shift(by);
    }

    /// The time until the next usage report is due; `None` if there is nothing to report.
    pub fn report_in(&self, now: Timestamp) -> Option<Span> {
        self.counts.usage.report_in(now)
    }

    /// The usage report for the Registry; `None` without a record.
    pub fn report(&self, now: Timestamp) -> Option<UsageReport> {
        self.record.as_ref().map(|record| self.counts.usage.report(&record.id, now))
    }

    /// The Registry has taken `report`, except for hours that are `early` by its clock.
    pub fn reported(&mut self, report: &UsageReport, early: &[Timestamp], now: Timestamp) {
        self.counts.usage.reported(report, early, now);
    }
}

impl Counts {
    /// Takes in what a client has counted; from an older build, refusals only.
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
            self.usage.accept_on(hour.accepted, &hour.routes.accepted, tally.moment(used, now));
            self.usage.refuse_on(&hour.refused, &hour.routes.refused, tally.moment(hour.at, now));
        }
        if let Some(at) = tally.last_used_at(now) {
            self.usage.used_from(tally.last_used_from.as_ref(), at);
        }
        self.usage.describe(&tally.latest);
        for cancelled in &tally.cancelled {
            self.give_up(cancelled.call, now);
            match (singles.take(cancelled.call), cancelled.reservation) {
                (Some(single), _) => {
                    self.usage.take_back(single.at, single.route.as_deref());
                    if let Some(reservation) = single.reservation {
                        self.cancel(reservation, single.cost, now);
                    }
                }
                // It was granted before this object was last evicted. Its reservation stays counted.
                (None, Some(reservation)) => self.usage.take_back(reservation.min(now), None),
                (None, None) => singles.give_up(cancelled.call, now),
            }
        }
    }

    /// Takes in what was used of leases. Usage under them arrives in tallies; older builds send none, so it is counted here.
    fn settle(&mut self, limits: Limits, reports: &[LeaseReport], is_told: bool, now: Timestamp) {
        self.logs.follow(limits, now);
        let reported = reports.iter().filter_map(|report| self.leases.report(report, now));
        let mut used: Vec<Used> = reported.collect();
        used.extend(self.leases.end(limits, now));
        // In order of time, so that none is counted later than necessary.
        for used in order::sorted_by(used, |one, other| one.latest <= other.latest) {
            self.count(limits, used.requests, used.latest);
            if used.is_known && !is_told {
                self.usage.accept(used.requests.into(), used.latest.min(now));
            }
        }
        self.logs.expire(now);
    }

    /// Notes if a window is nearly full.
    fn note_near(&mut self, limits: Limits, now: Timestamp) {
        if self.has_percent(NEAR_PERCENT, limits) {
            self.usage.near_limit(now);
        }
        let limited = self.logs.iter().filter(|(window, _)| *window != Window::InFlight);
        let limited = limited.filter_map(|(window, log)| Some((window, log, limits.get(window)?)));
        for (window, log, limit) in limited {
            if let Some(percent) = TOLD_PERCENT.into_iter().find(|percent| log.has_percent(*percent, limit)) {
                self.usage.reach(window, percent, limit);
            }
        }
    }

    /// Whether a window counts at least this share of its limit, in per cent.
    fn has_percent(&self, percent: u64, limits: Limits) -> bool {
        let mut logs = self.logs.iter();
        logs.any(|(window, log)| limits.get(window).is_some_and(|limit| log.has_percent(percent, limit)))
    }

    /// Counts in every window that has a log.
    fn count(&mut self, limits: Limits, units: u32, latest: Timestamp) {
        self.logs.count(limits, latest, units);
    }

    /// The request of this call did not pass after all: it is not open.
    fn give_up(&mut self, call: u64, now: Timestamp) {
        self.in_flight.end(call);
        self.leases.settle(call, 0, now);
    }

    /// A request was not admitted: cancels its reservation.
    fn cancel(&mut self, reservation: Timestamp, cost: Cost, now: Timestamp) {
        self.logs.cancel(reservation, now, cost);
    }

    /// What a client may see now that asks for this much. Slots that become free within [`MAX_DELAY`] count as free.
    fn states(&self, limits: Limits, cost: Cost, now: Timestamp, stands_still: Span) -> Vec<WindowState> {
        let state = |occupancy: &Occupancy| occupancy.state(cost.units(), now + MAX_DELAY);
        let mut states: Vec<_> = self.occupancy(limits).iter().map(state).collect();
        for state in &mut states {
            // 0 if nothing is counted that could leave.
            if state.reset > Span::ZERO {
                state.reset += stands_still;
            }
        }
        states
    }

    /// The windows that have a limit.
    fn occupancy(&self, limits: Limits) -> Vec<Occupancy> {
        self.limited(limits)
            .map(|(window, limit, admitted)| Occupancy::new(window, limit, admitted, self.leases.reserved()))
            .collect()
    }

    /// Whether so much would fit if no budget were open.
    fn has_room_but_for_budgets(&self, limits: Limits, cost: Cost, now: Timestamp) -> bool {
        self.limited(limits).all(|(window, limit, admitted)| {
            let occupancy = Occupancy::new(window, limit, admitted, self.leases.reserved_but_for_budgets());
            occupancy.opens_for(cost.units(), now) <= now + MAX_DELAY
        })
    }

    fn limited(&self, limits: Limits) -> impl Iterator<Item = (Window, u32, &SlidingWindowLog)> {
        self.logs.iter().filter_map(move |(window, log)| Some((window, limits.get(window)?, log)))
    }
}
