//! The client's side of leases: what one isolate may admit without asking, how much to ask for, and what to
//! report of it afterwards. The coordinator's side, which counts, is [`crate::coordinator`]; `docs/limits.md`
//! proves that both together never admit too many.
//!
//! A lease lasts from *before* the call for it was sent, by this isolate's own clock, so clocks need not agree:
//! it has ended here before it has ended there. Requests that are reported as given back are given up here
//! before the report is sent, whether or not it arrives.

use crate::{
    limit::WindowState,
    timing::{MAX_LEASE_MS, MIN_LEASE, RELAY_ANSWER_MS, SECOND_ANSWER_MS, TRAVEL_MS},
    wire::{Acquire, Lease, LeaseReport},
};
use keyward_core::time::{MINUTE, SECOND, Timestamp};

/// Minimum milliseconds for which a coordinator's answer that a window is full is cached. Without it each
/// request of a key at its limit would call, since its slots free up one by one. At most 1 s, the rounding of
/// `Retry-After`.
pub const FULL_BY_COORDINATOR_MS: u64 = 250;
/// The same for a relay's answer, which is a hint: other clients may free slots at any time.
pub const FULL_BY_RELAY_MS: u64 = 1_000;

/// Concurrent calls of one isolate for one key. Further requests wait for what these bring: [`RELAY_ANSWER_MS`]
/// for each call, [`SECOND_ANSWER_MS`] in all.
const MAX_CALLS: usize = 4;
/// Milliseconds between two looks of a request that waits. It polls, since on Workers one request cannot await
/// what another one does.
pub const POLL_MS: u32 = 20;

/// Size of a lease, in per cent of the demand that is predicted: a quarter in reserve.
const RESERVE_PERCENT: u64 = 125;
/// Milliseconds over which demand is measured. Only a whole period counts, so that one short burst is not taken
/// for steady demand.
const DEMAND_PERIOD_MS: i64 = SECOND / 5;

/// Lease length in milliseconds for a bound on staleness: the bound minus [`TRAVEL_MS`], so that even the last
/// request under the lease arrives within the bound; at most [`MAX_LEASE_MS`]. 0 means no leases.
pub fn life(freshness_ms: u32) -> u32 {
    freshness_ms.saturating_sub(TRAVEL_MS).min(MAX_LEASE_MS)
}

/// Who grants leases of a key, and is told what was used of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantor {
    /// The key's coordinator.
    Coordinator,
    /// One of its relays.
    Relay,
}

/// The leases of one key that one isolate holds, and its calls for more.
#[derive(Clone, Debug, Default)]
pub struct Lessee {
    leases: Vec<HeldLease>,
    /// What the coordinator said was left beside the leases, and when it was asked.
    windows: Vec<WindowState>,
    asked: Timestamp,
    demand: Demand,
    /// Calls in flight.
    calls: Vec<Call>,
    /// When each request arrived that waits for what those calls bring.
    queued: Vec<Timestamp>,
    /// Whether a window was full when the grantor was last asked.
    full: bool,
    /// The last moment seen.
    latest: Timestamp,
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    asked: Timestamp,
    for_lease: bool,
}

/// Recent demand: requests that arrived.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// When the current period began.
    began: Timestamp,
    present: u32,
    before: u32,
    /// Since the grantor was last asked.
    since_asked: u32,
}

#[derive(Clone, Copy, Debug)]
struct HeldLease {
    grantor: Grantor,
    id: u64,
    granted: u32,
    used: u32,
    last_use: Timestamp,
    left: u32,
    /// Requests given up, and not yet known to be free again.
    unused: u32,
    begins: Timestamp,
    ends: Timestamp,
    /// When the coordinator was asked whether the record still holds.
    confirmed: Timestamp,
    /// The next lease was already asked for.
    renewed: bool,
}

/// One request admitted under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What a client may know is left.
    pub windows: Vec<WindowState>,
    /// Whether to ask for the next lease now, ahead of need.
    pub renew: bool,
}

impl Lessee {
    /// A request arrived that has to be admitted.
    pub fn note_arrival(&mut self, now: Timestamp) {
        self.observe_clock(now);
        self.demand.count(now);
    }

    /// Notices that the clock was set back, which would make every lease longer. If by up to [`TRAVEL_MS`],
    /// leases end earlier by as much; if by more, they are given up.
    pub fn observe_clock(&mut self, now: Timestamp) {
        let back = self.latest.0 - now.0;
        if back > i64::from(TRAVEL_MS) {
            self.give_up();
        } else if back > 0 {
            for held in &mut self.leases {
                let HeldLease { begins, ends, confirmed, last_use, .. } = held;
                for moment in [begins, ends, confirmed, last_use] {
                    *moment = moment.plus(-back);
                }
            }
        }
        self.latest = now;
    }

    /// Admits one request if a lease allows it that is younger than this length: a route's bound may be shorter
    /// than that of the route for which the lease was granted.
    pub fn admit(&mut self, lease_length_ms: u32, now: Timestamp) -> Option<Admitted> {
        self.observe_clock(now);
        let usable = |held: &&mut HeldLease| {
            let is_fresh = now.0 - held.confirmed.0 < i64::from(lease_length_ms);
            held.left > 0 && held.begins <= now && now < held.ends && is_fresh
        };
        let held = self.leases.iter_mut().find(usable)?;
        held.left -= 1;
        held.used += 1;
        held.last_use = now;
        // When a quarter of the newest lease is left, in requests or in time.
        let newest = self.leases.last_mut()?;
        let few = newest.left <= newest.granted / 4;
        let late = (newest.ends.0 - now.0) * 4 <= newest.ends.0 - newest.begins.0;
        let renew = (few || late) && !newest.renewed;
        newest.renewed |= renew;
        Some(Admitted { windows: self.windows(now), renew })
    }

    /// Whether a request is to wait for calls in flight instead of making one: they bring a lease, or the news
    /// that a window is full. Otherwise each request that arrives before the first answer would call.
    pub fn has_call_in_flight(&self, now: Timestamp) -> bool {
        // One call is enough if the key is new here, was full, or a lease is already being fetched.
        let is_one_enough = self.full || self.asked == Timestamp::default();
        let most = if is_one_enough { 1 } else { MAX_CALLS };
        self.under_way(now).any(|call| call.for_lease) || self.under_way(now).count() >= most
    }

    /// Whether no further call may be made, not even by a request that has waited for long.
    pub fn is_at_call_limit(&self, now: Timestamp) -> bool {
        self.under_way(now).count() >= MAX_CALLS
    }

    fn under_way(&self, now: Timestamp) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| is_within(RELAY_ANSWER_MS, call.asked, now))
    }

    /// A request that arrived at this moment begins to wait.
    pub fn enqueue(&mut self, came: Timestamp) {
        self.queued.push(came);
    }

    /// It no longer waits.
    pub fn dequeue(&mut self, came: Timestamp) {
        if let Some(place) = self.queued.iter().position(|other| *other == came) {
            self.queued.swap_remove(place);
        }
    }

    /// A call is about to be made: how many requests to ask for beside the immediate one, for a lease of this
    /// length, and how many of those already wait. Of concurrent calls only the first asks for any: each would
    /// ask for all.
    pub fn plan_call(&mut self, grantor: Grantor, lease_length_ms: u32, now: Timestamp) -> (u32, u32) {
        // Calls that were never answered and requests that ended without a word: a request may end at any time.
        self.calls.retain(|call| is_within(RELAY_ANSWER_MS, call.asked, now));
        self.queued.retain(|came| is_within(SECOND_ANSWER_MS, *came, now));
        let is_first = !self.calls.iter().any(|call| call.for_lease);
        let queued = if is_first && lease_length_ms > 0 { self.queued.len() } else { 0 };
        let queued = u32::try_from(queued).unwrap_or(u32::MAX).saturating_sub(self.left(now));
        let predicted_wants = match grantor {
            _ if !is_first => 0,
            Grantor::Coordinator => self.predicted_wants(lease_length_ms, now),
            Grantor::Relay => self.predicted_wants_of_relay(lease_length_ms, now),
        };
        let wants = predicted_wants.max(queued);
        self.calls.push(Call { asked: now, for_lease: wants > 0 });
        (wants, queued)
    }

    /// What the last whole period predicts, at most twice as many as arrived lately or were used of the newest
    /// lease, so that a few requests do not reserve many.
    fn predicted_wants(&self, lease_length_ms: u32, now: Timestamp) -> u32 {
        let (before, present) = self.demand.recent(now);
        let there_were = (before + present).max(self.leases.last().map_or(0, |newest| newest.used));
        let wants = within(lease_length_ms, before, DEMAND_PERIOD_MS).min(there_were.saturating_mul(2));
        if wants < MIN_LEASE { 0 } else { wants }
    }

    /// In a crowd every call counts, so even a few requests are worth a lease: what arrived since the last call
    /// predicts.
    fn predicted_wants_of_relay(&self, lease_length_ms: u32, now: Timestamp) -> u32 {
        within(lease_length_ms, self.demand.since_asked, (now.0 - self.asked.0).max(DEMAND_PERIOD_MS))
    }

    /// Reports of every lease of this grantor. Leases that have ended are given back.
    pub fn report(&mut self, grantor: Grantor, now: Timestamp) -> Vec<LeaseReport> {
        self.observe_clock(now);
        for held in &mut self.leases {
            if now >= held.ends {
                held.give_up();
            }
        }
        let its = self.leases.iter().filter(|held| held.grantor == grantor);
        its.map(|held| held.report(now)).collect()
    }

    /// The call sent at this moment is over; `full` if it said that a window is full.
    pub fn end_call(&mut self, asked: Timestamp, take: &Acquire, full: bool) {
        self.full = full;
        let call = Call { asked, for_lease: take.wants > 0 };
        if let Some(place) = self.calls.iter().position(|other| *other == call) {
            self.calls.swap_remove(place);
        }
    }

    /// The coordinator, asked at this moment, has said what is left.
    pub fn update_windows(&mut self, windows: &[WindowState], asked: Timestamp) {
        // Answers may overtake each other, but not by a minute: then the clock was set back.
        if asked >= self.asked || self.asked.0 - asked.0 > MINUTE {
            self.asked = asked;
            self.demand.since_asked = 0;
            self.windows = windows.to_vec();
        }
    }

    /// A call sent at `asked` returned a lease; the coordinator had confirmed the record `age_ms` before.
    pub fn add_lease(&mut self, grantor: Grantor, lease: Lease, age_ms: u32, asked: Timestamp) {
        self.leases.push(HeldLease {
            grantor,
            id: lease.id,
            granted: lease.requests,
            used: 0,
            last_use: asked,
            left: lease.requests,
            unused: 0,
            begins: asked,
            ends: asked.plus(lease.lease_length_ms.into()),
            confirmed: asked.plus(-i64::from(age_ms)),
            renewed: false,
        });
    }

    /// Ends a lease early and says what to report of it; `None` if it is already known to have ended.
    pub fn end_lease(&mut self, grantor: Grantor, id: u64, now: Timestamp) -> Option<LeaseReport> {
        self.observe_clock(now);
        let held = self.leases.iter_mut().find(|held| held.is(grantor, id))?;
        held.give_up();
        Some(held.report(now))
    }

    /// The grantor has taken these reports in.
    pub fn report_acked(&mut self, grantor: Grantor, reports: &[LeaseReport]) {
        let known = self.leases.extract_if(.., |held| {
            let is_it = |report: &LeaseReport| held.is(grantor, report.id) && report.used == held.used;
            reports.iter().any(|report| is_it(report) && report.open == 0)
        });
        let free = known.fold(0_u32, |sum, held| sum.saturating_add(held.unused));
        for state in &mut self.windows {
            state.remaining = state.remaining.saturating_add(free).min(state.limit);
        }
    }

    /// No lease is used any more; the next report gives back what is left.
    fn give_up(&mut self) {
        for held in &mut self.leases {
            held.give_up();
        }
    }

    /// Another version of the record holds: leases of the older one are given up, and its calls and the
    /// requests that wait for them no longer count.
    pub fn reset(&mut self) {
        self.give_up();
        self.calls.clear();
        self.queued.clear();
        self.full = false;
    }

    /// What a client may know is left.
    pub fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = |sum: u32, held: &HeldLease| sum.saturating_add(held.left).saturating_add(held.unused);
        let left = self.leases.iter().fold(0, left);
        let passed = (now.0 - self.asked.0).max(0).unsigned_abs();
        let mut windows = self.windows.clone();
        for state in &mut windows {
            state.remaining = state.remaining.saturating_add(left).min(state.limit);
            state.reset_ms = state.reset_ms.saturating_sub(passed);
        }
        windows
    }

    /// Requests that may still be admitted.
    fn left(&self, now: Timestamp) -> u32 {
        let usable = self.leases.iter().filter(|held| now < held.ends);
        usable.fold(0, |sum, held| sum.saturating_add(held.left))
    }
}

impl Demand {
    fn count(&mut self, now: Timestamp) {
        let since = now.0 - self.began.0;
        if !(0..2 * DEMAND_PERIOD_MS).contains(&since) {
            *self = Self { began: now, present: 0, before: 0, ..*self };
        } else if since >= DEMAND_PERIOD_MS {
            *self =
                Self { began: self.began.plus(DEMAND_PERIOD_MS), present: 0, before: self.present, ..*self };
        }
        self.present = self.present.saturating_add(1);
        self.since_asked = self.since_asked.saturating_add(1);
    }

    /// Requests of the last whole period, and of the current one.
    fn recent(&self, now: Timestamp) -> (u32, u32) {
        match now.0 - self.began.0 {
            since if since < DEMAND_PERIOD_MS => (self.before, self.present),
            since if since < 2 * DEMAND_PERIOD_MS => (self.present, 0),
            _ => (0, 0),
        }
    }
}

/// Whether `then` was less than this many milliseconds ago.
fn is_within(milliseconds: u32, then: Timestamp, now: Timestamp) -> bool {
    (0..milliseconds.into()).contains(&(now.0 - then.0))
}

/// Predicts the requests of a lease's length, with the reserve, from the `came` that arrived within `span`
/// milliseconds.
fn within(lease_length_ms: u32, came: u32, span: i64) -> u32 {
    let predicted_wants =
        u64::from(came) * u64::from(lease_length_ms) * RESERVE_PERCENT / 100 / span.unsigned_abs().max(1);
    u32::try_from(predicted_wants).unwrap_or(u32::MAX)
}

impl HeldLease {
    fn give_up(&mut self) {
        self.unused += std::mem::take(&mut self.left);
    }

    fn is(&self, grantor: Grantor, id: u64) -> bool {
        self.grantor == grantor && self.id == id
    }

    fn report(&self, now: Timestamp) -> LeaseReport {
        let age_ms = u32::try_from(now.0 - self.last_use.0).unwrap_or_default();
        LeaseReport { id: self.id, used: self.used, age_ms, open: self.left }
    }
}
