//! The isolate's side of leases: what it may admit without asking, how much it asks for, and what it reports. The
//! coordinator's side, which counts, is [`crate::coordinator`]; `docs/limits.md` proves that together they never admit too
//! many.
//!
//! Clocks need not agree. An isolate counts a lease from *before* it sent the call, by its own clock, so the lease has ended
//! here before it has ended there. And before an isolate reports requests as given back it gives them up, whether or not the
//! report arrives.

mod demand;
mod held;

pub use self::held::{Grantor, SMALL};
use self::{
    demand::{DEMAND_PERIOD, Demand, SPARSE_PERIODS, predict},
    held::HeldLease,
};
use crate::{
    limit::WindowState,
    timing::{
        LONG_LEASE, MAX_DELAY, MAX_LEASE_LENGTH, MIN_LEASE_REQUESTS, RELAY_ANSWER, SECOND_ANSWER,
        SHORT_LEASE, TRAVEL,
    },
    wire::{Acquire, Lease, LeaseReport, RouteHint},
};
use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
};

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

/// What a key whose isolate holds no lease yet wants beside the request at hand.
const FIRST_WANTS: u32 = 2;

/// For how long what is known of a record counts, for a bound on staleness: [`TRAVEL`] less than that, so that even the last
/// request that it admits arrives within the bound. 0 means that each request asks: there are no leases.
pub fn counts_for(freshness: Span) -> Span {
    freshness.less(TRAVEL)
}

/// The longest lease to ask for, by whether the change log is expected to say that the record holds. Otherwise only the
/// key's object says so, and a lease is of no use for longer than that counts. 0 means no leases.
pub fn longest(freshness: Span, is_followed: bool) -> Span {
    match counts_for(freshness) {
        Span::ZERO => Span::ZERO,
        _ if is_followed => LONG_LEASE,
        counts => counts.min(MAX_LEASE_LENGTH),
    }
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
    /// Requests that wait for the results of those calls: when each arrived, and its cost.
    queued: Vec<(Timestamp, Cost)>,
    /// Whether a window was full when a grantor was last asked.
    full: bool,
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    asked: Timestamp,
    /// Whether it asks for a lease.
    for_lease: bool,
}

/// What a call asks for beside its immediate request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// [`Acquire::wants`]
    pub wants: u32,
    /// [`Acquire::wants_for_long`]
    pub wants_for_long: u32,
    /// [`Acquire::queued`]
    pub queued: u32,
}

impl Wish {
    fn is_for_lease(self) -> bool {
        self.wants > 0 || self.wants_for_long > 0
    }
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
    /// A request of this cost arrived.
    pub fn note_arrival(&mut self, cost: Cost, now: Timestamp) {
        self.demand.count(cost, now);
    }

    /// The clock was set back by this much, which would make every lease longer: by up to [`TRAVEL`], leases end that much
    /// earlier; by more, they are given up.
    pub fn set_back(&mut self, back: Span) {
        // Else every answer would seem older until the clock has come this far again. 0 stays 0: nobody was asked.
        self.asked = (self.asked - back).max(Timestamp::default());
        if back > TRAVEL {
            self.give_up();
        } else {
            self.leases.iter_mut().for_each(|held| held.set_back(back));
        }
    }

    /// The time until a deferred lease has enough for one request, if one will; 0 if any has.
    pub fn opens_in(&self, cost: Cost, now: Timestamp) -> Option<Span> {
        let opens = self.leases.iter().filter_map(|held| held.opens_for(cost.units(), now)).min()?;
        Some(opens - now)
    }

    /// A timer says that this moment has come, whatever the clock shows: what was to open by then is open.
    pub fn open(&mut self, at: Timestamp, now: Timestamp) {
        self.leases.iter_mut().for_each(|held| held.open_by(at, now));
    }

    /// Admits one request, if a lease has enough left for it.
    pub fn consume(&mut self, cost: Cost, now: Timestamp) -> Option<Admitted> {
        let units = cost.units();
        let usable = self.leases.iter_mut().find(|held| held.is_usable(units, now))?;
        usable.consume(units, now);
        let newest = self.leases.last_mut()?;
        let renew = !newest.renewed && newest.is_running_out(now);
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
    pub fn enqueue(&mut self, cost: Cost, came: Timestamp) {
        self.queued.push((came, cost));
    }

    /// That request no longer waits.
    pub fn dequeue(&mut self, cost: Cost, came: Timestamp) {
        if let Some(index) = self.queued.iter().position(|other| *other == (came, cost)) {
            self.queued.swap_remove(index);
        }
    }

    /// Begins a call. Of concurrent calls only the first asks for a lease of this length at the most, since each would ask for
    /// all.
    pub fn plan_call(&mut self, grantor: Grantor, lease_length: Span, now: Timestamp) -> Wish {
        // The platform may end a request at any time: drops calls that were never answered and requests that stopped waiting.
        self.calls.retain(|call| call.asked.is_within(RELAY_ANSWER, now));
        self.queued.retain(|(came, _)| came.is_within(SECOND_ANSWER, now));
        let is_first = !self.calls.iter().any(|call| call.for_lease);
        let waiting = if is_first && lease_length > Span::ZERO { self.queued.as_slice() } else { &[] };
        let queued = waiting.iter().fold(0, |sum: u32, (_, cost)| sum.saturating_add(cost.units()));
        let queued = queued.saturating_sub(self.left(now));
        let (wants, wants_for_long) = match grantor {
            _ if !is_first => (0, 0),
            Grantor::Coordinator => {
                (self.predicted_wants(lease_length, now), self.wants_for_long(lease_length, now))
            }
            Grantor::Relay => (self.predicted_wants_of_relay(lease_length, now), 0),
        };
        let wish = Wish { wants: wants.max(queued), wants_for_long, queued };
        self.calls.push(Call { asked: now, for_lease: wish.is_for_lease() });
        wish
    }

    /// Predicts from the last whole period; where that is too little for a lease, from the periods with a request. At most twice
    /// what arrived lately or was needed of the newest lease in the same time, so that a few requests do not reserve many.
    fn predicted_wants(&self, lease_length: Span, now: Timestamp) -> u32 {
        let span = lease_length.min(SHORT_LEASE);
        let needed = |newest: &HeldLease| match (now - newest.begins).max(DEMAND_PERIOD) {
            passed if passed > span => predict(span, newest.demand(), passed),
            _ => newest.demand(),
        };
        let needed = self.leases.last().map_or(0, needed);
        let wants = |arrived, of, there_were: u32| {
            predict(span, arrived, of).min(there_were.max(needed).saturating_mul(2))
        };
        let (before, present) = self.demand.recent(now);
        let sparse = self.demand.sparse(now);
        let usual = wants(before, DEMAND_PERIOD, before.saturating_add(present));
        let predicted = usual.max(wants(sparse, DEMAND_PERIOD * SPARSE_PERIODS.into(), sparse));
        if predicted < MIN_LEASE_REQUESTS { 0 } else { predicted }
    }

    /// What a few requests for minutes are: as many as were used of the newest lease, by the time since it began.
    fn wants_for_long(&self, lease_length: Span, now: Timestamp) -> u32 {
        if lease_length <= MAX_LEASE_LENGTH {
            return 0;
        }
        let Some(newest) = self.leases.last() else { return FIRST_WANTS };
        let wants = predict(lease_length, newest.used, (now - newest.begins).max(DEMAND_PERIOD));
        wants.min(newest.demand().saturating_mul(2)).clamp(FIRST_WANTS, SMALL)
    }

    /// Predicts from what arrived since the last call. In a crowd every call counts, so even a few requests are worth a
    /// lease.
    fn predicted_wants_of_relay(&self, lease_length: Span, now: Timestamp) -> u32 {
        predict(lease_length, self.demand.since_asked, (now - self.asked).max(DEMAND_PERIOD))
    }

    /// Reports all leases of this grantor. What is left of those that have ended is given back, and of those that are renewed
    /// what will hardly be used.
    pub fn report(&mut self, grantor: Grantor, now: Timestamp) -> Vec<LeaseReport> {
        for held in &mut self.leases {
            if now >= held.ends {
                held.give_up();
            } else if held.renewed {
                held.give_up_surplus(now);
            }
        }
        let its = self.leases.iter().filter(|held| held.is_of(grantor));
        its.map(|held| held.report(now)).collect()
    }

    /// The call that was sent at this moment is over; `full` if the answer was that a window is full. If there was none, the
    /// next request asks again.
    pub fn end_call(&mut self, asked: Timestamp, acquire: &Acquire, is_answered: bool, full: bool) {
        self.full = full;
        let Acquire { wants, wants_for_long, queued, .. } = *acquire;
        let call = Call { asked, for_lease: Wish { wants, wants_for_long, queued }.is_for_lease() };
        if let Some(index) = self.calls.iter().position(|other| *other == call) {
            self.calls.swap_remove(index);
        }
        if !is_answered && let Some(newest) = self.leases.last_mut() {
            newest.renewed = false;
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

    /// A call that was sent and answered at these moments returned a lease, and perhaps that it is no use to ask for more for now.
    pub fn add_lease(
        &mut self,
        grantor: Grantor,
        lease: &Lease,
        via: RouteHint,
        asked: Timestamp,
        now: Timestamp,
    ) {
        let is_last = via.hold > Span::ZERO;
        self.leases.push(HeldLease::new(grantor, lease, asked, now, is_last));
    }

    /// Ends a lease early and returns its last report. `None` if it was reported as ended before, or nothing of it is to be
    /// given back: the next call reports what was used, and without one the grantor counts all of it as used.
    pub fn end_lease(&mut self, grantor: Grantor, id: u64, now: Timestamp) -> Option<LeaseReport> {
        let held = self.leases.iter_mut().find(|held| held.is(grantor, id))?;
        held.give_up();
        held.gives_back().then(|| held.report(now))
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

    /// A request of this cost has to ask: gives up the leases that have too little left for it, so that it may get those units.
    pub fn give_up_less_than(&mut self, cost: Cost) {
        self.leases.iter_mut().filter(|held| held.left < cost.units()).for_each(HeldLease::give_up);
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
        // What opens so soon delays a request, and refuses none.
        let soon = now + MAX_DELAY;
        let left = |sum: u32, held: &HeldLease| sum.saturating_add(held.remaining(soon));
        let left = self.leases.iter().fold(0, left);
        let passed = now - self.asked;
        let opens = self.opens_in(Cost::ONE, now);
        let mut windows = self.windows.clone();
        for state in &mut windows {
            state.remaining = state.remaining.saturating_add(left).min(state.limit);
            state.reset = state.reset.less(passed.max(Span::ZERO));
            if state.remaining == 0
                && let Some(opens) = opens
            {
                state.reset = state.reset.min(opens.less(MAX_DELAY));
            }
        }
        windows
    }

    /// Units that may still be admitted, under all leases.
    fn left(&self, now: Timestamp) -> u32 {
        let usable = self.leases.iter().filter(|held| now < held.ends);
        usable.fold(0, |sum, held| sum.saturating_add(held.open(now)))
    }
}
