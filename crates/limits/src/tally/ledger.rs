//! The ledger of an isolate: what it has counted of all keys, and who delivers that when.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
};

use serde_json::Value;

use super::{GATHER, GATHER_ACCEPTED, Undelivered};
use crate::{
    lease::Grantor,
    limit::RATE_LIMITED,
    routes::{self, OnRoutes, RouteCounts, RouteName},
    used_from::UsedFrom,
    wire::{Cancelled, RefusalCounts, Tally, UNATTRIBUTED},
};
use keyward_core::time::{Span, Timestamp};

/// Refusals that belong to no key gather for at least this time, and at most twice as long, in each isolate for another:
/// somebody who guesses may reach all isolates at once, and all of them tell the same object.
const GATHER_UNATTRIBUTED: Span = Span::from_secs(4);
/// Refusals at a limit gather for this time, unless another call takes them along earlier.
const GATHER_LIMITED: Span = Span::from_mins(1);
/// An isolate that has counted nothing for this time tells all that it has gathered: it may soon be gone.
pub(super) const QUIET: Span = Span::from_secs(8);
/// Most keys for which one isolate holds undelivered counts. Counts of further keys are lost.
const MAX_KEYS: usize = 10_000;
/// Most keys that one round delivers.
const KEYS_OF_ROUND: usize = 25;
/// A round that began less than this ago also delivers what is counted now.
const YOUNG_ROUND: Span = Span::from_secs(15);

/// What one isolate has to deliver, of all keys.
#[derive(Debug, Default)]
pub struct Ledger {
    teller: u64,
    numbers: u64,
    calls: u64,
    /// By storage hash; in the same order in each run, so that a simulation can be repeated. Whoever imports keys can choose
    /// hashes that collide, but no more than [`MAX_KEYS`] are here.
    keys: HashMap<String, Undelivered, BuildHasherDefault<DefaultHasher>>,
    /// The rounds that deliver: when each began.
    rounds: Vec<Timestamp>,
    /// Keys with something to tell within seconds.
    urgent: usize,
    /// When a request was last counted.
    active: Timestamp,
}

impl Ledger {
    /// The ledger of an isolate, with a random number.
    pub fn of(teller: u64) -> Self {
        Self { teller, ..Self::default() }
    }

    /// A name for a call, different from all others.
    pub fn call(&mut self) -> u64 {
        self.calls += 1;
        self.teller.wrapping_add(self.calls).max(1)
    }

    /// A request with this key was admitted without its coordinator.
    pub fn accept(&mut self, hash: &str, from: Option<&UsedFrom<'_>>, now: Timestamp) {
        self.with(hash, now, |undelivered| {
            let route = from.and_then(|from| from.route);
            undelivered.accept_on(1, |on| count_on(&mut on.accepted, route), now, now, GATHER_ACCEPTED);
            if let Some(from) = from {
                undelivered.gathered.last_use.note(from, now);
            }
        });
    }

    /// A request with this key was refused.
    pub fn refuse(&mut self, hash: &str, code: &str, route: Option<RouteName<'_>>, now: Timestamp) {
        let refused = BTreeMap::from([(code.to_owned(), 1)]);
        // A key at its limit has many, and calls that take them along.
        let gather = if code == RATE_LIMITED { GATHER_LIMITED } else { GATHER };
        self.refuse_one(hash, &refused, route, now, gather);
    }

    /// A request was refused that belongs to no key.
    pub fn refuse_unattributed(
        &mut self,
        realm: &str,
        code: &str,
        route: Option<RouteName<'_>>,
        now: Timestamp,
    ) {
        let more = (self.teller >> 1) as i64 % (GATHER_UNATTRIBUTED.ms() + 1);
        let gather = GATHER_UNATTRIBUTED + Span::from_ms(more);
        let refused = BTreeMap::from([(format!("{realm} {code}"), 1)]);
        self.refuse_one(UNATTRIBUTED, &refused, route, now, gather);
    }

    fn refuse_one(
        &mut self,
        hash: &str,
        refused: &RefusalCounts,
        route: Option<RouteName<'_>>,
        now: Timestamp,
        gather: Span,
    ) {
        let on = |on: &mut OnRoutes| count_on(&mut on.refused, route);
        let mut more = 0;
        self.with(hash, now, |undelivered| {
            undelivered.refuse_on(refused, on, now, now, gather);
            more = usize::from(gather < QUIET && !std::mem::replace(&mut undelivered.is_urgent, true));
        });
        self.urgent += more;
    }

    /// A call's request was not admitted after all.
    pub fn cancelled(&mut self, hash: &str, cancelled: Cancelled, now: Timestamp) {
        self.with(hash, now, |undelivered| undelivered.cancelled(cancelled, now));
    }

    /// Describes the request that was counted last as refused under this hash, unless enough of them are.
    pub fn describe(&mut self, hash: &str, refusal: impl FnOnce() -> Value) {
        if let Some(undelivered) = self.keys.get_mut(hash) {
            undelivered.describe(refusal);
        }
    }

    fn with(&mut self, hash: &str, now: Timestamp, count: impl FnOnce(&mut Undelivered)) {
        self.active = now;
        if let Some(undelivered) = self.keys.get_mut(hash) {
            count(undelivered);
        } else if self.keys.len() < MAX_KEYS {
            count(self.keys.entry(hash.to_owned()).or_default());
        }
    }

    /// The tally to send along with a call about a key.
    pub fn begin(&mut self, hash: &str, to: Grantor, now: Timestamp) -> Tally {
        let Self { teller, numbers, keys, urgent, .. } = self;
        let undelivered = keys.get_mut(hash);
        if undelivered.as_ref().is_some_and(|undelivered| undelivered.is_urgent) {
            *urgent = urgent.saturating_sub(1);
        }
        undelivered.map_or_else(
            || Tally { teller: *teller, sent: now, ..Tally::default() },
            |undelivered| undelivered.begin(*teller, numbers, to, now),
        )
    }

    /// A call with this tally has ended.
    pub fn end(&mut self, hash: &str, tally: &Tally, delivered: bool, now: Timestamp) {
        if let Some(undelivered) = self.keys.get_mut(hash) {
            undelivered.end(tally.number, delivered, now);
            if undelivered.is_empty() {
                self.keys.remove(hash);
            }
        }
    }

    /// Who may have received the tally of a key that is on its way.
    pub fn sent_to(&self, hash: &str) -> Option<Grantor> {
        self.keys.get(hash)?.to()
    }

    /// A request was answered. Whether a round should begin now: if there is none, or if more keys have something to tell within
    /// seconds than those in progress deliver.
    pub fn begins_round(&mut self, now: Timestamp) -> bool {
        self.rounds.retain(|began| began.is_within(YOUNG_ROUND, now));
        let begins = !self.keys.is_empty() && self.rounds.is_empty()
            || self.urgent > self.rounds.len() * KEYS_OF_ROUND;
        if begins {
            self.rounds.push(now);
        }
        begins
    }

    /// A round is over whose task began at this moment, which may be a little later than the round.
    pub fn ends_round(&mut self, began: Timestamp) {
        if let Some(index) = self.rounds.iter().rposition(|other| *other <= began) {
            self.rounds.swap_remove(index);
        }
    }

    /// Keys with a delivery that is due, at most as many as one round delivers. The caller's round takes them over.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        let is_quiet = !self.active.is_within(QUIET, now);
        self.keys.retain(|_, undelivered| {
            undelivered.give_up(now);
            if is_quiet {
                undelivered.hasten(now);
            }
            !undelivered.is_empty()
        });
        self.urgent = self.keys.values().filter(|undelivered| undelivered.is_urgent).count();
        let due = self.keys.iter_mut().filter(|(_, undelivered)| undelivered.due_in(now) == Some(Span::ZERO));
        let take_on = |(hash, undelivered): (&String, &mut Undelivered)| {
            undelivered.taken_on = Some(now);
            hash.clone()
        };
        due.take(KEYS_OF_ROUND).map(take_on).collect()
    }

    /// Whether there is nothing to deliver.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Counts a request on its route, if one was found.
fn count_on(counts: &mut RouteCounts, route: Option<RouteName<'_>>) {
    if let Some(route) = route {
        routes::count(counts, route);
    }
}
