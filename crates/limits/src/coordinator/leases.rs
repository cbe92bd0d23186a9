//! Leases from the coordinator's side: what may still be used, until when, and what was reported.

use serde::{Deserialize, Serialize};

use crate::{
    limit::{SlidingWindowLog, Window, leaves},
    timing::{MAX_LEASE_LENGTH, TRAVEL},
    wire::{Acquire, Lease, LeaseReport},
};
use keyward_core::{
    order,
    record::Limits,
    time::{Span, Timestamp},
};

/// Most leases open at once, since each is stored, and read by every call.
const MAX_OPEN: usize = 768;
/// Most of isolates in a crowd. It leaves room for the relays, each of 64 of which may get ten before its first ends: a relay
/// without a lease sends its isolates to the object.
const MAX_OPEN_IN_CROWD: usize = 64;
/// Most budgets open at once.
pub const MOST_BUDGETS: u32 = 512;
/// The longest time that a budget is open.
const LONGEST_BUDGET: Span = Span::from_hours(1);
/// Most of those that may lie unused for minutes: in them, a crowd could come that needs the others.
const MAX_OPEN_IDLE: usize = 256;
/// Most recent clients that are remembered.
const MAX_CLIENTS: usize = 1_024;
/// Crowd mode begins with this many isolates …
const CROWD_ISOLATES: u32 = 64;
/// … that make this many calls a second; one object answers several hundred. It ends below half as many isolates, whatever
/// the rate of calls, which relays hide.
const CROWD_CALLS_PER_SECOND: u32 = 80;
/// A client is recent if it called within this time. Recent clients share what is free.
const RECENT: Span = Span::from_secs(5);
/// Each gets at most its equal share divided by this. So what one reserves and does not use keeps nobody else waiting, and
/// leases shrink to nothing near the limit.
const FRACTION_OF_SHARE: u64 = 2;

/// Leases that may still be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Leases {
    open: Vec<Open>,
    last_id: u64,
    /// What counts as used of long and deferred leases although nobody has said that it was, for each window that slides and has a limit.
    #[serde(rename = "lapsedIn", skip_serializing_if = "Vec::is_empty")]
    lapsed: Vec<(Window, SlidingWindowLog)>,
    #[serde(skip)]
    travel: Travel,
}

/// Within this time an admitted request reaches the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Travel(Span);

impl Default for Travel {
    fn default() -> Self {
        Self(TRAVEL)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    id: u64,
    used: u32,
    open: u32,
    /// The latest moment, by the coordinator's clock, at which a request under it can reach the origin.
    latest: Timestamp,
    /// Older builds do not store it.
    #[serde(rename = "lifeMs", default = "longest")]
    length: Span,
    /// Whether a relay holds it. Older builds do not store it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    relay: bool,
    /// Whether it is the budget of one request, whose call is its id. Older builds take it for a lease that nobody reports.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    budget: bool,
    /// Whether its slots were still taken when it was granted. Older builds need not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deferred: bool,
}

impl Open {
    /// Whether it is a lease for minutes.
    fn is_long(&self) -> bool {
        !self.budget && self.length > MAX_LEASE_LENGTH
    }

    /// Whether it may lie unused for long.
    fn is_idle(&self) -> bool {
        self.is_long() || self.deferred
    }
}

/// Who asks for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// An isolate.
    Isolate,
    /// An isolate that could ask a relay instead.
    IsolateInCrowd,
    /// A relay.
    Relay,
}

fn longest() -> Span {
    MAX_LEASE_LENGTH
}

/// How large a lease is, how long it lasts, and which units open later ([`Lease::opens`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub requests: u32,
    pub length: Span,
    pub opens: Vec<Span>,
}

/// Requests admitted under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How many.
    pub requests: u32,
    /// The latest moment at which the last of them can have reached the origin.
    pub latest: Timestamp,
    /// Whether they were reported. Otherwise nobody knows whether they happened.
    pub is_known: bool,
}

impl Leases {
    /// Within this time an admitted request reaches the origin: so much later than at its admission it may count.
    pub fn travel(&self) -> Span {
        self.travel.0
    }

    /// Sets that time, for what is granted or reported from now on.
    pub fn set_travel(&mut self, travel: Span) {
        self.travel = Travel(travel);
    }

    /// Takes in a report. Returns what was used since the last one; what is given back is free at once.
    pub fn report(&mut self, report: &LeaseReport, now: Timestamp) -> Option<Used> {
        let lease = self.open.iter_mut().find(|lease| !lease.budget && lease.id == report.id)?;
        let requests = report.used.saturating_sub(lease.used).min(lease.open);
        lease.used += requests;
        lease.open = (lease.open - requests).min(report.open);
        // The last use was before the report was sent. It was after the lease was granted, even if it seems older because
        // the isolate's clock was set ahead since.
        let latest = now + self.travel.0 - report.age;
        let latest = latest.max(lease.latest - lease.length).min(lease.latest);
        Some(Used { requests, latest, is_known: true })
    }

    /// Ends leases that can no longer be used. What nobody reported of them counts as used at the latest possible moment. An edit
    /// ends none: a client may go on with one until it has heard of that, and need not hear of every edit.
    pub fn end(&mut self, limits: Limits, now: Timestamp) -> Vec<Used> {
        let has_ended = |lease: &mut Open| lease.latest <= now || lease.open == 0;
        let ended: Vec<Open> = self.open.extract_if(.., has_ended).collect();
        let lapsed = ended.iter().filter(|lease| lease.is_idle() && lease.open > 0);
        for lease in order::sorted_by(lapsed.copied(), |one, other| one.latest <= other.latest) {
            for (window, _) in limits.set().filter(|(window, _)| window.length().is_some()) {
                if self.lapsed.iter().all(|(other, _)| *other != window) {
                    self.lapsed.push((window, SlidingWindowLog::default()));
                }
                let logs = self.lapsed.iter_mut().filter(|(other, _)| *other == window);
                logs.for_each(|(_, log)| log.count(window, false, lease.latest, lease.open));
            }
        }
        self.lapsed.retain_mut(|(window, log)| {
            log.expire(*window, now);
            !log.is_empty()
        });
        let used = |lease: Open| Used { requests: lease.open, latest: lease.latest, is_known: false };
        ended.into_iter().map(used).collect()
    }

    /// Grants a lease of this size and length, of which the last units open later; `None` if too many are open.
    pub fn grant(&mut self, size: Size, whose: Whose, now: Timestamp) -> Option<Lease> {
        let Size { requests, length, opens } = size;
        let leases = || self.open.iter().filter(|lease| !lease.budget);
        let is_full = leases().count() >= MAX_OPEN || {
            let of_isolates = || leases().filter(|lease| !lease.relay).count();
            whose == Whose::IsolateInCrowd && of_isolates() >= MAX_OPEN_IN_CROWD
        };
        if requests == 0 || length <= Span::ZERO || is_full {
            return None;
        }
        self.last_id += 1;
        let latest = now + length + self.travel.0;
        let relay = whose == Whose::Relay;
        let (id, used, budget, deferred) = (self.last_id, 0, false, !opens.is_empty());
        self.open.push(Open { id, used, open: requests, latest, length, relay, budget, deferred });
        Some(Lease { id, requests, length, opens })
    }

    /// Whether there is room for the budget of this call, which may have been opened already.
    pub fn has_room_for_budget(&self, call: u64) -> bool {
        let mut budgets = self.open.iter().filter(|lease| lease.budget);
        budgets.clone().count() < MOST_BUDGETS as usize || budgets.any(|budget| budget.id == call)
    }

    /// Opens the budget of a request that reaches the origin by `latest`.
    pub fn open_budget(&mut self, call: u64, units: u32, latest: Timestamp, length: Span) {
        let length = length.min(LONGEST_BUDGET);
        if self.open.iter().all(|lease| !lease.budget || lease.id != call) {
            let (latest, used, relay, budget, deferred) = (latest + length, 0, false, true, false);
            self.open.push(Open { id: call, used, open: units, latest, length, relay, budget, deferred });
        }
    }

    /// Closes a budget of which this much was used, be that more than it had. It counts from now on, which is not before it was
    /// used; what is not used is free at once. `None` if it is not open: what was settled before is settled.
    pub fn settle(&mut self, call: u64, units: u32, now: Timestamp) -> Option<Used> {
        let mut settled = self.open.extract_if(.., |lease| lease.budget && lease.id == call);
        let budget = settled.next()?;
        let latest = (now + self.travel.0).min(budget.latest.max(now));
        Some(Used { requests: units, latest, is_known: true })
    }

    /// Whether as many long and deferred leases are open as may be.
    pub fn has_most_idle(&self) -> bool {
        self.open.iter().filter(|lease| lease.is_idle()).count() >= MAX_OPEN_IDLE
    }

    /// Requests of long and deferred leases of which nobody has said that they were used, and that a window counts: they may still be, or have
    /// lapsed.
    pub fn unused_of_idle(&self, window: Window, now: Timestamp) -> u32 {
        let open = self
            .open
            .iter()
            .filter(|lease| lease.is_idle())
            .fold(0, |sum: u32, lease| sum.saturating_add(lease.open));
        let logs = self.lapsed.iter().filter(|(other, _)| *other == window);
        let counted = logs.flat_map(|(_, log)| log.counted());
        counted
            .filter(|(at, _)| leaves(window, *at) > now)
            .fold(open, |sum, (_, requests)| sum.saturating_add(requests))
    }

    /// The clock was set: moves every moment.
    pub fn shift(&mut self, by: Span) {
        for lease in &mut self.open {
            lease.latest = lease.latest + by;
        }
        for (window, log) in &mut self.lapsed {
            // They slide, whatever the clock had shown.
            log.shift(*window, by, Timestamp::default());
        }
    }

    /// What may still be used, and until when.
    pub fn reserved(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.open.iter().map(|lease| (lease.latest, lease.open))
    }

    /// The same without open budgets.
    pub fn reserved_but_for_budgets(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.open.iter().filter(|lease| !lease.budget).map(|lease| (lease.latest, lease.open))
    }

    /// How many budgets are open.
    pub fn open_budgets(&self) -> u32 {
        self.open.iter().fold(0, |count, lease| count + u32::from(lease.budget))
    }
}

/// Recent clients, and what they want. It is not stored, since only the sizes of leases and the route hint depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    asked: Vec<Client>,
    crowd: bool,
    /// The current second, since 1970.
    second: i64,
    /// Calls in it.
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Client {
    id: u32,
    at: Timestamp,
    wants: u32,
    isolates: u32,
}

impl Client {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.at.is_within(RECENT, now)
    }
}

impl Clients {
    /// A client calls.
    pub fn note(&mut self, call: &Acquire, now: Timestamp) {
        self.asked.retain(|other| other.id != call.client_id && other.is_recent(now));
        if self.asked.len() < MAX_CLIENTS {
            let wants = call.wants.saturating_add(call.immediate_units());
            let isolates = call.isolates.max(1);
            self.asked.push(Client { id: call.client_id, at: now, wants, isolates });
        }
        let second = (now - Timestamp(0)).whole_secs();
        if second != self.second {
            (self.second, self.calls) = (second, 0);
        }
        // A relay speaks for those that would have called since it came to be.
        let calls = call.isolates.div_ceil(RECENT.whole_secs().try_into().unwrap_or(1)).max(1);
        self.calls = self.calls.saturating_add(calls);
        // Hysteresis: enter with [`CROWD_ISOLATES`] and [`CROWD_CALLS_PER_SECOND`], leave below half of the
        // isolates.
        let isolates = self.isolates(now);
        self.crowd = if self.crowd {
            isolates >= CROWD_ISOLATES / 2
        } else {
            isolates >= CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_SECOND
        };
    }

    /// At most this many of the free requests are for this client.
    pub fn proportional_share(&self, call: &Acquire, free: u32, now: Timestamp) -> u32 {
        if self.asked.len() <= 1 {
            return free;
        }
        let isolates = u64::from(call.isolates.max(1));
        let proportional_share =
            u64::from(free) * isolates / (u64::from(self.isolates(now)) * FRACTION_OF_SHARE).max(1);
        u32::try_from(proportional_share).unwrap_or(free)
    }

    /// The requests that all recent clients together want.
    pub fn total_wants(&self, now: Timestamp) -> u32 {
        self.sum(now, |client| client.wants)
    }

    /// The number of isolates behind all recent clients.
    pub fn isolates(&self, now: Timestamp) -> u32 {
        self.sum(now, |client| client.isolates)
    }

    fn sum(&self, now: Timestamp, what: impl Fn(&Client) -> u32) -> u32 {
        let recent = self.asked.iter().filter(|client| client.is_recent(now));
        recent.fold(0, |sum, client| sum.saturating_add(what(client)))
    }

    /// Whether isolates should ask relays instead.
    pub fn is_crowd(&self) -> bool {
        self.crowd
    }
}
