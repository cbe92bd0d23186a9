//! One lease that an isolate holds.

use super::demand::DEMAND_PERIOD;
use crate::{
    timing::{RENEWAL_ANSWER, age},
    wire::{Lease, LeaseReport},
};
use keyward_core::time::{Span, Timestamp};

/// Of what the rest of a lease would be used for at the rate so far, the share that is kept once it is renewed, in per cent. The
/// new lease has a reserve, so less is kept than will be used: then nothing is left to be given back.
const KEPT_PERCENT: u64 = 75;
/// A lease of at most this many requests is small: it is renewed when what is left of it is needed while a renewal is under
/// way that may have to be repeated once. A larger one is renewed at a quarter.
pub const SMALL: u32 = 20;

/// Who grants leases of a key, and is sent the reports of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantor {
    /// The key's coordinator.
    Coordinator,
    /// One of its relays.
    Relay,
}

#[derive(Clone, Debug)]
pub(super) struct HeldLease {
    grantor: Grantor,
    id: u64,
    granted: u32,
    pub used: u32,
    last_use: Timestamp,
    /// Units that may still be admitted.
    pub left: u32,
    /// Units given up, until the report of that is acknowledged.
    unused: u32,
    /// Units given up of which the report is acknowledged.
    given_back: u32,
    pub begins: Timestamp,
    pub ends: Timestamp,
    /// When each of the last units may be used, in that order. The others may be used at once.
    opens: Vec<Timestamp>,
    /// Whether the next lease was already asked for.
    pub renewed: bool,
    /// Whether there is no use in asking for it ahead of need.
    is_last: bool,
}

impl HeldLease {
    /// A lease that was asked for and arrived at these moments.
    ///
    /// Where no more is free for now, `is_last` says that there is no use in asking for the next one ahead of need. A deferred one
    /// may always be followed by another.
    pub fn new(grantor: Grantor, lease: &Lease, asked: Timestamp, now: Timestamp, is_last: bool) -> Self {
        Self {
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
            renewed: false,
            is_last: is_last && lease.opens.is_empty(),
            opens: lease.opens.iter().map(|wait| now + *wait).collect(),
        }
    }

    /// Whether this number of units may be admitted now.
    pub fn is_usable(&self, units: u32, now: Timestamp) -> bool {
        self.begins <= now && self.opens_for(units, now) == Some(now)
    }

    /// When this number of units may be admitted, if nothing is used before; `None` if never.
    pub fn opens_for(&self, units: u32, now: Timestamp) -> Option<Timestamp> {
        let later = usize::try_from(self.left.checked_sub(units)?).unwrap_or(usize::MAX);
        // `later` units stay unused: the last one needed opens before them.
        let last = self.opens.len().checked_sub(later + 1).and_then(|index| self.opens.get(index));
        let opens = last.map_or(now, |opens| now.max(*opens));
        (opens < self.ends).then_some(opens)
    }

    /// Units that may be admitted now.
    pub fn open(&self, now: Timestamp) -> u32 {
        let later = self.opens.iter().filter(|opens| **opens > now).count();
        self.left.saturating_sub(u32::try_from(later).unwrap_or(u32::MAX))
    }

    /// Admits this number of units, which are left.
    pub fn consume(&mut self, units: u32, now: Timestamp) {
        self.left -= units;
        self.used += units;
        self.last_use = now;
    }

    /// What was needed of it so far. One that is half used may be used up before the next one comes.
    pub fn demand(&self) -> u32 {
        if self.used.saturating_mul(2) >= self.granted { self.granted } else { self.used }
    }

    /// Requests that a client may still see as its own: those that are left, and those whose return nobody has acknowledged.
    pub fn remaining(&self, now: Timestamp) -> u32 {
        self.open(now).saturating_add(self.unused)
    }

    /// Whether to ask for the next one now, ahead of need.
    pub fn is_running_out(&self, now: Timestamp) -> bool {
        if self.is_last {
            return false;
        }
        let few = if !self.opens.is_empty() {
            // Its rate so far says nothing, since it had to wait.
            self.granted / 2
        } else if self.granted > SMALL {
            self.granted / 4
        } else {
            let passed = (now - self.begins).max(DEMAND_PERIOD);
            let meanwhile = i64::from(self.used) * (2 * RENEWAL_ANSWER).ms() / passed.ms();
            u32::try_from(meanwhile).unwrap_or(u32::MAX).min(self.granted / 2)
        };
        self.left <= few || (self.ends - now) * 4 <= self.ends - self.begins
    }

    /// What was to open by this moment is open now.
    pub fn open_by(&mut self, at: Timestamp, now: Timestamp) {
        self.opens.iter_mut().filter(|opens| **opens <= at).for_each(|opens| *opens = now.min(*opens));
    }

    /// The clock was set back by this much.
    pub fn set_back(&mut self, back: Span) {
        let Self { begins, ends, last_use, opens, .. } = self;
        for moment in [begins, ends, last_use].into_iter().chain(opens) {
            *moment = *moment - back;
        }
    }

    /// Nothing more is admitted under it.
    pub fn give_up(&mut self) {
        self.unused += std::mem::take(&mut self.left);
    }

    /// Gives up what will hardly be used before it ends. Keeps at least one request: there is one now and then.
    pub fn give_up_surplus(&mut self, now: Timestamp) {
        // Of a deferred one nobody knows yet what will be used.
        if !self.opens.is_empty() {
            return;
        }
        let passed = u64::from((now - self.begins).timer_ms().max(1));
        let rest = u64::from((self.ends - now).timer_ms());
        let likely = u64::from(self.used) * rest * KEPT_PERCENT / 100 / passed;
        let kept = self.left.min(u32::try_from(likely).unwrap_or(u32::MAX).max(1));
        self.unused += self.left - kept;
        self.left = kept;
    }

    /// This report is acknowledged. Returns how many requests have thereby been given back.
    pub fn acked(&mut self, report: &LeaseReport) -> u32 {
        let in_all = self.granted.saturating_sub(report.used).saturating_sub(report.open);
        let more = in_all.saturating_sub(self.given_back).min(self.unused);
        self.given_back += more;
        self.unused -= more;
        more
    }

    /// Whether it is this one.
    pub fn is(&self, grantor: Grantor, id: u64) -> bool {
        self.is_of(grantor) && self.id == id
    }

    /// Whether it is one of this grantor's.
    pub fn is_of(&self, grantor: Grantor) -> bool {
        self.grantor == grantor
    }

    /// Whether something of it is to be given back.
    pub fn gives_back(&self) -> bool {
        self.unused > 0
    }

    /// What its grantor is to know of it.
    pub fn report(&self, now: Timestamp) -> LeaseReport {
        LeaseReport { id: self.id, used: self.used, age: age(self.last_use, now), open: self.left }
    }
}
