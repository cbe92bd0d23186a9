//! How much a coordinator grants beside the request at hand: the size and length of a lease, and for how long it is no use to ask
//! again. `docs/limits.md` gives the reasons for the figures.

use super::{
    Counts,
    leases::{Clients, Size, Whose},
};
use crate::{
    lease::SMALL,
    limit::Occupancy,
    timing::{LONG_LEASE, MAX_LEASE_LENGTH, MIN_LEASE_REQUESTS, SHORT_LEASE},
    wire::{Acquire, Lease},
};
use keyward_core::{
    record::{Cost, Limits},
    time::{Span, Timestamp},
};

/// The largest short lease is the limit divided by this, unless more requests wait for it: others may need what it leaves
/// unused.
const FRACTION_OF_LIMIT: u32 = 10;
/// Long leases together reserve at most what is free divided by this, and never more than the limit divided by that: so
/// nobody is refused because of them who has used less than four fifths.
const FRACTION_FOR_LONG: u32 = 6;
const FRACTION_UNUSED: u32 = 8;
/// Each reserves at most what is left of that, divided by this.
const FRACTION_OF_ROOM: u32 = 2;
/// From this share on, of which an eighth may have lapsed unused, a key has leases of this length.
const USED_UP_PERCENT: u64 = 93;
const SHORTEST_LEASE: Span = Span::from_secs(2);
/// An isolate asks again once it can expect this many requests …
const WORTH_A_CALL: u32 = 4;
/// … or after this time, since `Retry-After` is rounded up to it.
const LONGEST_HOLD: Span = Span::from_secs(1);
/// An isolate is alone with a key if no other has called within this time.
const ALONE: Span = Span::from_mins(1);
/// Slots that become free later than this are not reserved.
const LONGEST_DEFERRAL: Span = Span::from_mins(1);
/// Of a smaller limit, one that nobody uses would be more than a fifth.
const FEWEST_TO_DEFER: u32 = 5;
/// Where a key is far below its limit, a long lease has at least this many requests.
const FIRST_OF_AMPLE: u32 = 8;

impl Counts {
    /// Grants a lease where it saves calls.
    pub(super) fn lease(
        &mut self,
        limits: Limits,
        call: &Acquire,
        clients: &Clients,
        now: Timestamp,
    ) -> Option<Lease> {
        let free =
            self.occupancy(limits).iter().map(|occupancy| occupancy.free(now)).min().unwrap_or(u32::MAX);
        let whose = match call.isolates {
            0 if clients.is_crowd() && call.could_go_to_relay() => Whose::IsolateInCrowd,
            0 => Whose::Isolate,
            _ => Whose::Relay,
        };
        let is_small = has_small_second(limits);
        let long =
            if is_small { 0 } else { self.long_lease(limits, call, whose, clients.isolates(now), now) };
        let short = Self::short_lease(limits, call, clients, free, now);
        let (requests, length) = match short {
            _ if long > 0 && long >= short => (long, LONG_LEASE),
            0 if !is_small && self.has_percent(USED_UP_PERCENT, limits) => {
                let shortest = Self::shortest_lease(call, clients, free, now);
                let deferred = self.deferred_lease(limits, call, whose, clients.isolates(now), now);
                if deferred.requests > shortest {
                    return self.leases.grant(deferred, whose, now);
                }
                (shortest, SHORTEST_LEASE)
            }
            _ => (short, SHORT_LEASE),
        };
        // Of no use to requests like the one at hand, it would only keep them out.
        let requests = if requests < call.immediate_units() { 0 } else { requests };
        // What is more than small is used up soon, or reported by a task of the request that brought it.
        let length = if requests > SMALL { length.min(MAX_LEASE_LENGTH) } else { length };
        // What an isolate does not report counts until its lease ends: for a second's window that is long. A relay reports twice
        // a second.
        let length = match (whose, limits.set().find_map(|(window, _)| window.length())) {
            (Whose::Isolate | Whose::IsolateInCrowd, Some(shortest)) if shortest < SHORT_LEASE => {
                length.min(shortest)
            }
            _ => length,
        };
        let size = Size { requests, length: length.min(call.lease_length), opens: Vec::new() };
        self.leases.grant(size, whose, now)
    }

    /// The next slots of a full window, for a client that was just refused.
    pub(super) fn defer(
        &mut self,
        limits: Limits,
        call: &Acquire,
        clients: &Clients,
        now: Timestamp,
    ) -> Option<Lease> {
        let whose = if call.isolates == 0 && !clients.is_crowd() { Whose::Isolate } else { Whose::Relay };
        let size = self.deferred_lease(limits, call, whose, clients.isolates(now), now);
        self.leases.grant(size, whose, now)
    }

    /// A lease of the next slots that become free, the first of them perhaps at once. They are reserved from now on, so whoever comes
    /// later gets later ones. Like long leases, all of these together leave most of a limit alone.
    fn deferred_lease(
        &self,
        limits: Limits,
        call: &Acquire,
        whose: Whose,
        isolates: u32,
        now: Timestamp,
    ) -> Size {
        let may_defer = call.may_defer && call.cost == Cost::ONE && whose == Whose::Isolate;
        if !may_defer || call.lease_length <= MAX_LEASE_LENGTH || self.leases.has_most_idle() {
            return Size::default();
        }
        let windows = self.occupancy(limits);
        let room_in = |occupancy: &Occupancy| {
            // What nobody reports would count until the month's end, or for good; and of a second for many seconds.
            if occupancy.window().length().is_none_or(|length| length < LONGEST_DEFERRAL) {
                return 0;
            }
            let most = match occupancy.limit() {
                FEWEST_TO_DEFER..FRACTION_UNUSED => 1,
                limit => limit / FRACTION_UNUSED,
            };
            most.saturating_sub(self.leases.unused_of_idle(occupancy.window(), now))
        };
        let room = windows.iter().map(room_in).min().unwrap_or(0);
        // Of several isolates, one that has few requests would leave a slot unused that others could use.
        let is_alone = self.tellers.within(ALONE, now) <= 1;
        let wants = if is_alone { call.wants.max(call.wants_for_long).max(1) } else { call.wants };
        let count = wants.min((room / isolates.max(1)).max(1)).min(room);
        let opens_for =
            |units| windows.iter().map(|window| window.opens_for(units, now)).max().unwrap_or(now);
        let waits = (1..=count).map(|units| opens_for(units) - now);
        let waits: Vec<Span> = waits.take_while(|wait| *wait <= LONGEST_DEFERRAL).collect();
        let Some(last) = waits.last() else { return Size::default() };
        let length = (*last * 2 + SHORT_LEASE).min(LONG_LEASE);
        let requests = u32::try_from(waits.len()).unwrap_or(u32::MAX);
        Size { requests, length, opens: waits.into_iter().filter(|wait| *wait > Span::ZERO).collect() }
    }

    /// Requests of a lease for minutes. All of these together reserve only a part of what is free, so that they hinder nobody,
    /// and shrink to nothing near the limit.
    fn long_lease(&self, limits: Limits, call: &Acquire, whose: Whose, isolates: u32, now: Timestamp) -> u32 {
        if call.lease_length <= MAX_LEASE_LENGTH || whose != Whose::Isolate || self.leases.has_most_idle() {
            return 0;
        }
        let room_in = |occupancy: &Occupancy| {
            // What nobody reports would count until the month's end, or for good.
            if occupancy.window().length().is_none() {
                return 0;
            }
            let (limit, free) = (occupancy.limit(), occupancy.free(now));
            let unused = self.leases.unused_of_idle(occupancy.window(), now);
            let most = free.div_ceil(FRACTION_FOR_LONG).min(limit / FRACTION_UNUSED);
            if free < limit / FRACTION_OF_LIMIT { 0 } else { most.saturating_sub(unused) }
        };
        let room = self.occupancy(limits).iter().map(room_in).min().unwrap_or(u32::MAX);
        // Whoever comes first leaves room for those that may come, and gets more where there is plenty.
        let first = (room / isolates.max(1) / 4).min(FIRST_OF_AMPLE);
        let wants = call.wants.max(call.wants_for_long).max(first);
        wants.max(call.queued).min(room.div_ceil(FRACTION_OF_ROOM))
    }

    /// Requests of a lease for a short time.
    fn short_lease(limits: Limits, call: &Acquire, clients: &Clients, free: u32, now: Timestamp) -> u32 {
        let most = tightest(limits) / FRACTION_OF_LIMIT;
        let likely = call.wants.min(clients.proportional_share(call, free, now)).min(most);
        let likely = if likely < MIN_LEASE_REQUESTS { 0 } else { likely };
        likely.max(call.queued.min(free))
    }

    /// Requests of a lease of a key that is at its limit: an equal share of what is free, but as many as are worth a call.
    fn shortest_lease(call: &Acquire, clients: &Clients, free: u32, now: Timestamp) -> u32 {
        let asks_for_any = call.isolates == 0 && call.lease_length >= SHORTEST_LEASE;
        let share = (free / clients.isolates(now).max(1)).max(WORTH_A_CALL).min(free);
        if asks_for_any { call.wants.max(call.wants_for_long).min(share) } else { 0 }
    }

    /// For how long it is no use to ask again once what was just granted is used. Where the window is not full, no time;
    /// otherwise until a few requests fit for each isolate.
    pub(super) fn hold(&self, limits: Limits, clients: &Clients, now: Timestamp) -> Span {
        let occupancy = self.occupancy(limits);
        if occupancy.iter().all(|occupancy| occupancy.free(now) > 0) {
            return Span::ZERO;
        }
        let few = clients.isolates(now).max(1).saturating_mul(WORTH_A_CALL);
        let at = occupancy.iter().map(|occupancy| occupancy.opens_for(few, now)).max().unwrap_or(now);
        (at - now).clamp(Span::ZERO, LONGEST_HOLD)
    }
}

/// Whether a second's limit is so small that a lease of what may be wanted would take much of it, for longer than the second: then
/// there are leases for requests that wait only.
fn has_small_second(limits: Limits) -> bool {
    limits.per_second.is_some_and(|limit| limit < MIN_LEASE_REQUESTS * FRACTION_OF_LIMIT)
}

/// The limit that admits fewest requests.
fn tightest(limits: Limits) -> u32 {
    limits.set().map(|(_, limit)| limit).min().unwrap_or(u32::MAX)
}
