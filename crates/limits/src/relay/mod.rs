//! A relay: an object between a key's coordinator and the isolates that use the key, while they are too many for
//! one object to answer.
//!
//! It holds leases as an isolate does, and grants subleases as a coordinator does. A sublease ends no later than the
//! lease that it is cut from, so the proof in `docs/limits.md` covers it unchanged. A relay stores nothing: what it
//! forgets counts as used. Usage that isolates report to it is passed on in tallies of its own.
//!
//! [`Relay`] is the state: `downstream` answers isolates from it, `upstream` asks the coordinator, `lease` is what it
//! holds and has cut. [`server::RelayServer`] runs it: one call to the coordinator at a time, for all that wait.

mod downstream;
mod lease;
pub mod server;
mod upstream;

use self::lease::{RelayLease, Sublease};
use crate::{
    coordinator::Clients,
    limit::WindowState,
    tally::Undelivered,
    tellers::Tellers,
    timing::{TRAVEL, age},
};
use keyward_core::{
    record::{Limits, Record},
    time::{Span, Timestamp},
};

/// Relays of one key. Each isolate uses one of them.
const RELAYS: u32 = 64;

/// Which of a key's relays an isolate asks, by the random number that tells isolates apart.
pub fn number(client_id: u32) -> u32 {
    client_id % RELAYS
}

/// Requests that a key's tightest limit admits from which on an isolate that meets the key asks a relay first: that many isolates
/// may meet it at once that its object could not answer them.
const CROWD_IS_POSSIBLE: u32 = 3_000;

/// Whether an isolate that knows nothing of the object of a key with these limits asks a relay.
pub fn comes_first(limits: Limits) -> bool {
    let tightest = limits.set().map(|(_, limit)| limit).min();
    tightest.is_none_or(|limit| limit >= CROWD_IS_POSSIBLE)
}

/// What one relay knows of one key.
#[derive(Debug, Default)]
pub struct Relay {
    /// A random number that tells relays apart, and the instances of one relay.
    id: u32,
    /// The latest moment that the clock has shown.
    latest: Timestamp,
    /// By how much the clock was set back, in total.
    set_back: Span,
    /// The version of the record that the coordinator confirmed last.
    version: u64,
    /// When it was asked for that.
    confirmed: Timestamp,
    /// The record that it answered with; `None` while isolates know it.
    record: Option<Record>,
    /// What it said was left beside the leases.
    windows: Vec<WindowState>,
    /// Whether the coordinator still wants isolates to ask relays.
    is_crowd: bool,
    /// Until when a window counts as full, if the coordinator said so when it was last asked.
    full_until: Option<Timestamp>,
    /// The moment for which it announced the next free slot.
    opens: Timestamp,
    leases_held: Vec<RelayLease>,
    subleases: Vec<Sublease>,
    last_sublease: u64,
    clients: Clients,
    /// The longest lease length that an isolate asked for.
    lease_length: Span,
    /// Requests under fallback limits that the coordinator has not been told of.
    unreported: u32,
    /// Usage and refusals that it has not been told of.
    undelivered: Undelivered,
    /// This relay's name as a teller.
    teller: u64,
    /// The number of its last tally.
    tallies: u64,
    tellers: Tellers,
    /// Whether a task is delivering them.
    delivers: bool,
}

impl Relay {
    /// A relay that knows nothing yet.
    pub fn new(random: u64) -> Self {
        let id = (random >> 32) as u32;
        // An isolate may still hold a sublease of an earlier instance, so ids are not used twice.
        Self { id, teller: random, last_sublease: u64::from(id) << 20, ..Self::default() }
    }

    /// Notices when the clock was set back, which would make every lease longer: by up to [`TRAVEL`], leases end that
    /// much earlier; by more, they are forgotten and so count as used. Returns by how much it was set back so far.
    pub fn notice(&mut self, now: Timestamp) -> Span {
        let back = self.latest - now;
        if back > TRAVEL {
            let Self { id, set_back, last_sublease, unreported, teller, tallies, delivers, .. } = *self;
            let (undelivered, tellers) =
                (std::mem::take(&mut self.undelivered), std::mem::take(&mut self.tellers));
            *self = Self {
                id,
                set_back,
                last_sublease,
                unreported,
                undelivered,
                teller,
                tallies,
                tellers,
                delivers,
                ..Self::default()
            };
            self.tellers.shift(-back);
        } else if back > Span::ZERO {
            self.shift(-back);
        }
        self.latest = now;
        self.set_back += back.max(Span::ZERO);
        self.set_back
    }

    fn shift(&mut self, by: Span) {
        let Self { confirmed, full_until, opens, tellers, .. } = self;
        for lease_held in &mut self.leases_held {
            let RelayLease { begins, ends, last_use, singles, .. } = lease_held;
            let singles = singles.iter_mut().map(|(at, _)| at);
            for moment in [begins, ends, last_use].into_iter().chain(singles) {
                *moment = *moment + by;
            }
        }
        for moment in [confirmed, opens].into_iter().chain(full_until) {
            *moment = *moment + by;
        }
        tellers.shift(by);
    }

    /// Drops leases that have ended, with their subleases, and counts single requests as used once they must have been
    /// admitted.
    fn expire(&mut self, now: Timestamp) {
        self.notice(now);
        let subleases = &mut self.subleases;
        for ended in self.leases_held.extract_if(.., |lease_held| lease_held.ends <= now) {
            subleases.retain(|sublease| sublease.lease_held != ended.lease.id);
        }
        for lease_held in &mut self.leases_held {
            for (at, units) in lease_held.singles.extract_if(.., |single| single.0 <= now).collect::<Vec<_>>()
            {
                lease_held.use_up(units, at);
            }
        }
    }

    fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = self.leases_held.iter().fold(0_u32, |sum, lease_held| sum.saturating_add(lease_held.left));
        let passed = age(self.confirmed, now);
        let state = |state: &WindowState| WindowState {
            remaining: state.remaining.saturating_add(left).min(state.limit),
            reset: state.reset.less(passed),
            ..*state
        };
        self.windows.iter().map(state).collect()
    }
}
