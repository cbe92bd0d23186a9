//! The isolate's side of leases: what it may admit without asking, how much it asks for, and what it reports. The
//! coordinator's side, which counts, is [`crate::coordinator`]; `docs/limits.md` proves that together they never admit too
//! many.
//!
//! Clocks need not agree. An isolate counts a lease from *before* it sent the call, by its own clock, so the lease has ended
//! here before it has ended there. And before an isolate reports requests as given back it gives them up, whether or not the
//! report arrives.

use crate::{
    limit::WindowState,
    timing::{MAX_LEASE_LENGTH, MIN_LEASE_REQUESTS, RELAY_ANSWER, SECOND_ANSWER, TRAVEL, age},
    wire::{Acquire, Lease, LeaseReport},
};
use keyward_core::time::{Span, Timestamp};

/// For at least this time a coordinator's answer that a window is full is cached. Otherwise every request of a key at its
/// limit would call, since its slots become free one by one. At most 1 s, to which `Retry-After` is rounded.
pub const FULL_BY_COORDINATOR: Span = Span::from_ms(250);
/// The same for a relay's answer, which is a hint: other clients may free slots at any time.
pub const FULL_BY_RELAY: Span = Span::from_secs(1);

/// Most concurrent calls of one isolate for one key. Further requests wait for their results: [`RELAY_ANSWER`] for each
/// call, [`SECOND_ANSWER`] in total.
const MAX_CALLS: usize = 4;
/// How often a waiting request checks for results. It polls because on Workers one request cannot await another.
pub const POLL: Span = Span::from_ms(20);

/// Size of a lease in per cent of the predicted demand: a quarter in reserve.
const RESERVE_PERCENT: u64 = 125;
/// Demand is measured over this time. Only a whole period counts, so that one short burst is not taken for steady demand.
const DEMAND_PERIOD: Span = Span::from_ms(200);
/// A key with a few requests a second has no or one request in a period. Its demand is the number of periods with a request
/// among this many before the current one, if that is more than half of them: a burst counts as one.
const SPARSE_PERIODS: u32 = 5;
/// Of what the rest of a lease would be used for at the rate so far, the share that is kept once it is renewed, in per cent. The
/// new lease has [`RESERVE_PERCENT`], so less is kept than will be used: then nothing is left to be given back.
const KEPT_PERCENT: u64 = 75;

/// Lease length for a bound on staleness: [`TRAVEL`] less than that, so that even the last request under the lease arrives
/// within the bound; at most [`MAX_LEASE_LENGTH`]. 0 means no leases.
pub fn length(freshness: Span) -> Span {
    freshness.less(TRAVEL).min(MAX_LEASE_LENGTH)
}

/// Who grants leases of a key, and is sent the reports of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantor {
    /// The key's coordinator.
    Coordinator,
    /// One of its relays.
    Relay,
}

/// What one isolate knows of one key: the leases that it holds, and its calls for more.
#[derive(Clone, Debug, Default)]
pub struct Lessee {
    leases: Vec<HeldLease>,
    /// What the coordinator said was left, beside the leases.
    windows: Vec<WindowState>,
    /// When it was asked for that.
    asked: Timestamp,
    demand: Demand,
    /// Calls in flight.
    calls: Vec<Call>,
    /// Requests that wait for the results of those calls: when each arrived.
    queued: Vec<Timestamp>,
    /// Whether a window was full when a grantor was last asked.
    full: bool,
    /// The last moment seen.
    latest: Timestamp,
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    asked: Timestamp,
    /// Whether it asks for a lease.
    for_lease: bool,
}

/// Recent demand, in requests that arrived.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// When the current period began.
    began: Timestamp,
    /// In the current period.
    present: u32,
    /// In the one before.
    before: u32,
    /// A bit for each period in which there was a request, the lowest for the current one.
    used_periods: u32,
    /// Since a grantor was last asked.
    since_asked: u32,
}

#[derive(Clone, Copy, Debug)]
struct HeldLease {
    grantor: Grantor,
    id: u64,
    granted: u32,
    used: u32,
    last_use: Timestamp,
    /// Requests that may still be admitted.
    left: u32,
    /// Requests given up, until the report of that is acknowledged.
    unused: u32,
    /// Requests given up of which the report is acknowledged.
    given_back: u32,
    begins: Timestamp,
    ends: Timestamp,
    /// When the coordinator was asked to confirm the record.
    confirmed: Timestamp,
    /// Whether the next lease was already asked for.
    renewed: bool,
}

/// One request admitted under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What a client may see.
    pub windows: Vec<WindowState>,
    /// Whether to ask for the next lease now, ahead of need.
    pub renew: bool,
}

impl Lessee {
    /// A request arrived.
    pub fn note_arrival(&mut self, now: Timestamp) {
        self.observe_clock(now);
        self.demand.count(now);
    }

    /// Notices when the clock was set back, which would make every lease longer: by up to [`TRAVEL`], leases end that much
    /// earlier; by more, they are given up.
    pub fn observe_clock(&mut self, now: Timestamp) {
        let back = (self.latest - now).max(Span::ZERO);
        // Else every answer would seem older until the clock has come this far again. 0 stays 0: nobody was asked.
        self.asked = (self.asked - back).max(Timestamp::default());
        if back > TRAVEL {
            self.give_up();
        } else if back > Span::ZERO {
            for held in &mut self.leases {
                let HeldLease { begins, ends, confirmed, last_use, .. } = held;
                for moment in [begins, ends, confirmed, last_use] {
                    *moment = *moment - back;
                }
            }
        }
        self.latest = now;
    }

    /// Admits one request if a lease allows it whose confirmation is younger than `lease_length`. A route may have a shorter
    /// bound on staleness than the one for which the lease was granted.
    pub fn consume(&mut self, lease_length: Span, now: Timestamp) -> Option<Admitted> {
        self.observe_clock(now);
        let held = self.leases.iter_mut().find(|held| held.is_usable(lease_length, now))?;
        held.left -= 1;
        held.used += 1;
        held.last_use = now;
        // Renew once a quarter of the newest lease is left, in requests or in time.
        let newest = self.leases.last_mut()?;
        let few = newest.left <= newest.granted / 4;
        let late = (newest.ends - now) * 4 <= newest.ends - newest.begins;
        let renew = (few || late) && !newest.renewed;
        newest.renewed |= renew;
        Some(Admitted { windows: self.windows(now), renew })
    }

    /// Whether a request should wait for calls in flight instead of calling: they bring a lease, or the answer that a window
    /// is full. Otherwise each request that arrives before the first answer would call.
    pub fn has_call_in_flight(&self, now: Timestamp) -> bool {
        // One call is enough if the key is new here, or was full.
        let is_one_enough = self.full || self.asked == Timestamp::default();
        let most = if is_one_enough { 1 } else { MAX_CALLS };
        self.in_flight(now).any(|call| call.for_lease) || self.in_flight(now).count() >= most
    }

    /// Whether no further call may be made, not even by a request that has waited for its full time.
    pub fn is_at_call_limit(&self, now: Timestamp) -> bool {
        self.in_flight(now).count() >= MAX_CALLS
    }

    fn in_flight(&self, now: Timestamp) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.asked.is_within(RELAY_ANSWER, now))
    }

    /// A request that arrived at this moment begins to wait.
    pub fn enqueue(&mut self, came: Timestamp) {
        self.queued.push(came);
    }

    /// That request no longer waits.
    pub fn dequeue(&mut self, came: Timestamp) {
        if let Some(index) = self.queued.iter().position(|other| *other == came) {
            self.queued.swap_remove(index);
        }
    }

    /// Begins a call. Returns how many requests to ask for beside the immediate one, for a lease of this length, and how many
    /// of those wait already. Of concurrent calls only the first asks for any, since each would ask for all.
    pub fn plan_call(&mut self, grantor: Grantor, lease_length: Span, now: Timestamp) -> (u32, u32) {
        // The platform may end a request at any time: drops calls that were never answered and requests that stopped waiting.
        self.calls.retain(|call| call.asked.is_within(RELAY_ANSWER, now));
        self.queued.retain(|came| came.is_within(SECOND_ANSWER, now));
        let is_first = !self.calls.iter().any(|call| call.for_lease);
        let queued = if is_first && lease_length > Span::ZERO { self.queued.len() } else { 0 };
        let queued = u32::try_from(queued).unwrap_or(u32::MAX).saturating_sub(self.left(now));
        let predicted_wants = match grantor {
            _ if !is_first => 0,
            Grantor::Coordinator => self.predicted_wants(lease_length, now),
            Grantor::Relay => self.predicted_wants_of_relay(lease_length, now),
        };
        let wants = predicted_wants.max(queued);
        self.calls.push(Call { asked: now, for_lease: wants > 0 });
        (wants, queued)
    }

    /// Predicts from the last whole period; where that is too little for a lease, from the periods with a request. At most twice
    /// what arrived lately or was used of the newest lease, so that a few requests do not reserve many.
    fn predicted_wants(&self, lease_length: Span, now: Timestamp) -> u32 {
        let used = self.leases.last().map_or(0, |newest| newest.used);
        let wants = |arrived, span, there_were: u32| {
            predict(lease_length, arrived, span).min(there_were.max(used).saturating_mul(2))
        };
        let (before, present) = self.demand.recent(now);
        let sparse = self.demand.sparse(now);
        let usual = wants(before, DEMAND_PERIOD, before.saturating_add(present));
        let predicted = usual.max(wants(sparse, DEMAND_PERIOD * SPARSE_PERIODS.into(), sparse));
        if predicted < MIN_LEASE_REQUESTS { 0 } else { predicted }
    }

    /// Predicts from what arrived since the last call. In a crowd every call counts, so even a few requests are worth a
    /// lease.
    fn predicted_wants_of_relay(&self, lease_length: Span, now: Timestamp) -> u32 {
        predict(lease_length, self.demand.since_asked, (now - self.asked).max(DEMAND_PERIOD))
    }

    /// Reports all leases of this grantor. What is left of those that have ended is given back, and of those that are renewed
    /// what will hardly be used.
    pub fn report(&mut self, grantor: Grantor, now: Timestamp) -> Vec<LeaseReport> {
        self.observe_clock(now);
        for held in &mut self.leases {
            if now >= held.ends {
                held.give_up();
            } else if held.renewed {
                held.give_up_surplus(now);
            }
        }
        let its = self.leases.iter().filter(|held| held.grantor == grantor);
        its.map(|held| held.report(now)).collect()
    }

    /// The call that was sent at this moment is over; `full` if the answer was that a window is full.
    pub fn end_call(&mut self, asked: Timestamp, acquire: &Acquire, full: bool) {
        self.full = full;
        let call = Call { asked, for_lease: acquire.wants > 0 };
        if let Some(index) = self.calls.iter().position(|other| *other == call) {
            self.calls.swap_remove(index);
        }
    }

    /// A grantor that was asked at this moment said what is left.
    pub fn update_windows(&mut self, windows: &[WindowState], asked: Timestamp) {
        // An older answer that arrives later is ignored.
        if asked >= self.asked {
            self.asked = asked;
            self.demand.since_asked = 0;
            self.windows = windows.to_vec();
        }
    }

    /// A call sent at `asked` returned a lease; the coordinator had confirmed the record `age` before that.
    pub fn add_lease(&mut self, grantor: Grantor, lease: Lease, age: Span, asked: Timestamp) {
        self.leases.push(HeldLease {
            grantor,
            id: lease.id,
            granted: lease.requests,
            used: 0,
            last_use: asked,
            left: lease.requests,
            unused: 0,
            given_back: 0,
            begins: asked,
            ends: asked + lease.length,
            confirmed: asked - age,
            renewed: false,
        });
    }

    /// Ends a lease early and returns its last report. `None` if it was reported as ended before, or nothing of it is to be
    /// given back: the next call reports what was used, and without one the grantor counts all of it as used.
    pub fn end_lease(&mut self, grantor: Grantor, id: u64, now: Timestamp) -> Option<LeaseReport> {
        self.observe_clock(now);
        let held = self.leases.iter_mut().find(|held| held.is(grantor, id))?;
        held.give_up();
        (held.unused > 0).then(|| held.report(now))
    }

    /// The grantor has acknowledged these reports.
    pub fn report_acked(&mut self, grantor: Grantor, reports: &[LeaseReport]) {
        let mut free = 0_u32;
        self.leases.retain_mut(|held| {
            let Some(report) = reports.iter().find(|report| held.is(grantor, report.id)) else { return true };
            free = free.saturating_add(held.acked(report));
            report.open > 0 || report.used != held.used
        });
        for state in &mut self.windows {
            state.remaining = state.remaining.saturating_add(free).min(state.limit);
        }
    }

    /// Uses no lease any more; the next report gives back what is left.
    fn give_up(&mut self) {
        for held in &mut self.leases {
            held.give_up();
        }
    }

    /// The record has a new version: gives up the leases of the older one, and forgets its calls and the requests that wait
    /// for them.
    pub fn reset(&mut self) {
        self.give_up();
        self.calls.clear();
        self.queued.clear();
        self.full = false;
    }

    /// What a client may see.
    pub fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = |sum: u32, held: &HeldLease| sum.saturating_add(held.left).saturating_add(held.unused);
        let left = self.leases.iter().fold(0, left);
        let passed = now - self.asked;
        let mut windows = self.windows.clone();
        for state in &mut windows {
            state.remaining = state.remaining.saturating_add(left).min(state.limit);
            state.reset = state.reset.less(passed.max(Span::ZERO));
        }
        windows
    }

    /// Requests that may still be admitted, under all leases.
    fn left(&self, now: Timestamp) -> u32 {
        let usable = self.leases.iter().filter(|held| now < held.ends);
        usable.fold(0, |sum, held| sum.saturating_add(held.left))
    }
}

impl Demand {
    fn count(&mut self, now: Timestamp) {
        let since = now - self.began;
        let used_periods = self.used_periods(now);
        if !(Span::ZERO..DEMAND_PERIOD * 2).contains(&since) {
            *self = Self { began: now, present: 0, before: 0, ..*self };
        } else if since >= DEMAND_PERIOD {
            *self = Self { began: self.began + DEMAND_PERIOD, present: 0, before: self.present, ..*self };
        }
        self.used_periods = used_periods | 1;
        self.present = self.present.saturating_add(1);
        self.since_asked = self.since_asked.saturating_add(1);
    }

    /// Requests of the last whole period, and of the current one.
    fn recent(&self, now: Timestamp) -> (u32, u32) {
        match now - self.began {
            since if since < DEMAND_PERIOD => (self.before, self.present),
            since if since < DEMAND_PERIOD * 2 => (self.present, 0),
            _ => (0, 0),
        }
    }

    /// Of the last whole periods, [`SPARSE_PERIODS`] of them, how many had a request; 0 for no more than half.
    fn sparse(&self, now: Timestamp) -> u32 {
        let last = (1 << SPARSE_PERIODS) - 1;
        let used = ((self.used_periods(now) >> 1) & last).count_ones();
        if used * 2 > SPARSE_PERIODS { used } else { 0 }
    }

    /// `used_periods`, as of now.
    fn used_periods(&self, now: Timestamp) -> u32 {
        let passed = u32::try_from((now - self.began) / DEMAND_PERIOD);
        passed.map_or(0, |periods| self.used_periods.checked_shl(periods).unwrap_or(0))
    }
}

/// Predicts how many requests will arrive during a lease, with a reserve, from how many arrived within `span`.
fn predict(lease_length: Span, arrived: u32, span: Span) -> u32 {
    let wants = u64::from(arrived) * u64::from(lease_length.timer_ms()) * RESERVE_PERCENT
        / 100
        / u64::from(span.timer_ms().max(1));
    u32::try_from(wants).unwrap_or(u32::MAX)
}

impl HeldLease {
    fn is_usable(&self, lease_length: Span, now: Timestamp) -> bool {
        let is_fresh = now - self.confirmed < lease_length;
        self.left > 0 && self.begins <= now && now < self.ends && is_fresh
    }

    fn give_up(&mut self) {
        self.unused += std::mem::take(&mut self.left);
    }

    /// Gives up what will hardly be used before it ends. Keeps at least one request: there is one now and then.
    fn give_up_surplus(&mut self, now: Timestamp) {
        let passed = u64::from((now - self.begins).timer_ms().max(1));
        let rest = u64::from((self.ends - now).timer_ms());
        let likely = u64::from(self.used) * rest * KEPT_PERCENT / 100 / passed;
        let kept = self.left.min(u32::try_from(likely).unwrap_or(u32::MAX).max(1));
        self.unused += self.left - kept;
        self.left = kept;
    }

    /// This report is acknowledged. Returns how many requests have thereby been given back.
    fn acked(&mut self, report: &LeaseReport) -> u32 {
        let in_all = self.granted.saturating_sub(report.used).saturating_sub(report.open);
        let more = in_all.saturating_sub(self.given_back).min(self.unused);
        self.given_back += more;
        self.unused -= more;
        more
    }

    fn is(&self, grantor: Grantor, id: u64) -> bool {
        self.grantor == grantor && self.id == id
    }

    fn report(&self, now: Timestamp) -> LeaseReport {
        LeaseReport { id: self.id, used: self.used, age: age(self.last_use, now), open: self.left }
    }
}
