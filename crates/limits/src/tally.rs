//! Tallies: what a gate or a relay has counted of a key's requests and not yet delivered to the coordinator. A tally has a
//! number and is sent again unchanged until it is answered, and the receiver remembers the last number of each teller: so
//! what is lost, late or repeated on the way counts once ([`crate::tellers`]). No request waits for any of this.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use crate::{
    lease::Grantor,
    wire::{Cancelled, RefusalCounts, Tally, TallyHour},
};
use keyward_core::time::{HOUR, MINUTE, SECOND, Timestamp};

/// Milliseconds after which a refusal is delivered, together with those that come meanwhile …
const GATHER_MS: i64 = 3 * SECOND / 2;
/// … and what was admitted under a lease, unless a call that is made anyway takes it along earlier.
const GATHER_ACCEPTED_MS: i64 = 8 * SECOND;
/// Milliseconds until the next try after a failure: doubled each time, up to a maximum …
const RETRY_MS: i64 = 2 * SECOND;
const MAX_RETRY_MS: i64 = 16 * SECOND;
/// … until this long after the first try. Then it is lost.
const GIVE_UP_MS: i64 = 15 * MINUTE;
/// A call that has not ended within this many milliseconds never will: stores are waited for less long.
const MAX_CALL_MS: i64 = 10 * SECOND;
/// Milliseconds for which a teller is remembered: longer than it tries.
pub const REMEMBERED_MS: i64 = 2 * GIVE_UP_MS;
/// Clocks that are at most this many milliseconds apart count as equal.
const CLOCKS_AGREE_MS: i64 = MINUTE;
/// Most hours, and most cancelled calls, of one tally.
const MAX_HOURS: usize = 8;
const MAX_CANCELLED: usize = 256;

/// Most keys for which one isolate holds undelivered counts. What it counts of further keys meanwhile is lost.
const MAX_KEYS: usize = 10_000;
/// Keys that one round delivers.
const KEYS_OF_ROUND: usize = 25;
/// A round younger than this many milliseconds also delivers what is counted now.
const YOUNG_ROUND_MS: i64 = 15 * SECOND;

impl Tally {
    /// Whether it tells nothing but the time.
    pub fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// Refusals of all hours, as older builds read them.
    pub fn refused(&self) -> RefusalCounts {
        let mut all = RefusalCounts::new();
        for hour in &self.hours {
            add(&mut all, &hour.refused);
        }
        all
    }

    /// What a moment of the teller's is by a clock that shows `now`: the same where both agree, and never in
    /// the future or long ago, whatever the teller's clock shows.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let apart = now.0.saturating_sub(self.sent.0);
        let at = if apart.abs() <= CLOCKS_AGREE_MS { at } else { at.plus(apart) };
        at.clamp(now.plus(-HOUR), now)
    }
}

/// Adds counts to counts.
pub fn add(counts: &mut RefusalCounts, more: &RefusalCounts) {
    for (code, count) in more {
        let total = counts.entry(code.clone()).or_default();
        *total = total.saturating_add(*count);
    }
}

/// What was counted of one key.
#[derive(Clone, Debug, Default)]
struct Content {
    hours: Vec<TallyHour>,
    cancelled: Vec<Cancelled>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.hours.is_empty() && self.cancelled.is_empty()
    }

    fn count(&mut self, at: Timestamp, count: impl FnOnce(&mut TallyHour)) {
        let same = |hour: &TallyHour| hour.at.floor(HOUR) == at.floor(HOUR);
        let known = self.hours.iter().position(same);
        if known.is_none() && self.hours.len() < MAX_HOURS {
            self.hours.push(TallyHour { at, ..TallyHour::default() });
        }
        let index = known.unwrap_or(self.hours.len().saturating_sub(1));
        if let Some(hour) = self.hours.get_mut(index) {
            hour.at = hour.at.max(at);
            count(hour);
        }
    }
}

/// What was counted of one key and not yet delivered.
#[derive(Clone, Debug, Default)]
pub struct Untold {
    gathered: Content,
    /// When that is due.
    due: Option<Timestamp>,
    sent: Option<Sent>,
    /// When a round took it over.
    taken_on: Option<Timestamp>,
}

/// A tally that was sent and not answered yet.
#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    content: Content,
    /// Who may have received it: nobody else may get it.
    to: Grantor,
    first: Timestamp,
    tries: u32,
    under_way: Option<Timestamp>,
    again: Timestamp,
}

impl Untold {
    /// Requests were let through, the last of them at this moment.
    pub fn accept(&mut self, requests: u64, at: Timestamp, now: Timestamp) {
        if requests > 0 {
            self.gathered.count(at, |hour| {
                hour.accepted = hour.accepted.saturating_add(requests);
                hour.last_used_at = hour.last_used_at.max(Some(at));
            });
            self.is_due(now.plus(GATHER_ACCEPTED_MS));
        }
    }

    /// Requests were refused, the last of them at this moment.
    pub fn refuse(&mut self, refused: &RefusalCounts, at: Timestamp, now: Timestamp) {
        if !refused.is_empty() {
            self.gathered.count(at, |hour| add(&mut hour.refused, refused));
            self.is_due(now.plus(GATHER_MS));
        }
    }

    /// A call asked for a request that was not let through.
    pub fn cancelled(&mut self, cancelled: Cancelled, now: Timestamp) {
        if self.gathered.cancelled.len() < MAX_CANCELLED {
            self.gathered.cancelled.push(cancelled);
            self.is_due(now.plus(GATHER_MS));
        }
    }

    /// Takes over what another teller has told.
    pub fn pass_on(&mut self, tally: &Tally, now: Timestamp) {
        for hour in &tally.hours {
            let used = hour.last_used_at.unwrap_or(hour.at);
            self.accept(hour.accepted, tally.moment(used, now), now);
            self.refuse(&hour.refused, tally.moment(hour.at, now), now);
        }
        for cancelled in &tally.cancelled {
            self.cancelled(*cancelled, now);
        }
    }

    fn is_due(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether nothing is left to tell.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.sent.is_none()
    }

    /// Gives up what nobody could be told for so long, whether it was tried or, while it is of no use, not.
    fn give_up(&mut self, now: Timestamp) {
        if let Some(sent) = &mut self.sent {
            sent.first = sent.first.min(now);
            if now.0 - sent.first.0 >= GIVE_UP_MS {
                self.sent = None;
                // It had to wait for that until now.
                self.due = self.due.map(|_| now);
            }
        } else if let Some(due) = &mut self.due {
            *due = (*due).min(now.plus(GATHER_ACCEPTED_MS));
            if now.0 - due.0 >= GIVE_UP_MS {
                self.gathered = Content::default();
                self.due = None;
            }
        }
    }

    /// Milliseconds until something is due.
    pub fn due_in(&self, now: Timestamp) -> Option<i64> {
        let (at, longest) = match &self.sent {
            _ if self.is_taken_on(now) => return Some(MAX_CALL_MS),
            Some(Sent { under_way: Some(since), .. }) => (since.plus(MAX_CALL_MS), MAX_CALL_MS),
            Some(sent) => (sent.again, MAX_RETRY_MS),
            None => (self.due?, GATHER_ACCEPTED_MS),
        };
        // A clock that was set back makes no wait longer.
        Some((at.0 - now.0).clamp(0, longest))
    }

    fn is_taken_on(&self, now: Timestamp) -> bool {
        self.taken_on.is_some_and(|at| (0..MAX_CALL_MS).contains(&(now.0 - at.0)))
    }

    /// The tally to send along with a call, empty if there is none or another call has it.
    pub fn begin(&mut self, teller: u64, numbers: &mut u64, to: Grantor, now: Timestamp) -> Tally {
        self.taken_on = None;
        let empty = Tally { teller, sent: now, ..Tally::default() };
        if let Some(sent) = &mut self.sent {
            sent.first = sent.first.min(now);
            let is_under_way =
                sent.under_way.is_some_and(|since| (0..MAX_CALL_MS).contains(&(now.0 - since.0)));
            if now.0 - sent.first.0 < GIVE_UP_MS {
                if is_under_way || sent.to != to {
                    return empty;
                }
                sent.under_way = Some(now);
                sent.tries = sent.tries.saturating_add(1);
                return sent.tally(empty);
            }
            self.sent = None;
        }
        if self.gathered.is_empty() {
            return empty;
        }
        *numbers += 1;
        self.due = None;
        let sent = Sent {
            number: *numbers,
            content: mem::take(&mut self.gathered),
            to,
            first: now,
            tries: 1,
            under_way: Some(now),
            again: now,
        };
        let tally = sent.tally(empty);
        self.sent = Some(sent);
        tally
    }

    /// The call with this tally has ended: it was heard, or nobody knows.
    pub fn end(&mut self, number: u64, heard: bool, now: Timestamp) {
        let Some(sent) = self.sent.as_mut().filter(|sent| sent.number == number) else { return };
        if heard {
            self.sent = None;
            return;
        }
        sent.under_way = None;
        let wait = RETRY_MS.checked_shl(sent.tries.saturating_sub(1).min(8)).unwrap_or(MAX_RETRY_MS);
        sent.again = now.plus(wait.min(MAX_RETRY_MS));
    }

    fn to(&self) -> Option<Grantor> {
        self.sent.as_ref().map(|sent| sent.to)
    }
}

impl Sent {
    fn tally(&self, empty: Tally) -> Tally {
        let Content { hours, cancelled } = self.content.clone();
        Tally { number: self.number, hours, cancelled, ..empty }
    }
}

/// What one isolate is still to tell, of all keys.
#[derive(Debug, Default)]
pub struct Ledger {
    teller: u64,
    numbers: u64,
    calls: u64,
    keys: HashMap<String, Untold>,
    /// When each round began that tells.
    rounds: Vec<Timestamp>,
}

impl Ledger {
    /// The ledger of the isolate with this random number.
    pub fn of(teller: u64) -> Self {
        Self { teller, ..Self::default() }
    }

    /// A name for a call that no other call has.
    pub fn call(&mut self) -> u64 {
        self.calls += 1;
        self.teller.wrapping_add(self.calls).max(1)
    }

    /// A request with this key was let through, and its object does not know.
    pub fn accept(&mut self, hash: &str, now: Timestamp) {
        self.with(hash, |untold| untold.accept(1, now, now));
    }

    /// A request with this key was refused.
    pub fn refuse(&mut self, hash: &str, code: &str, now: Timestamp) {
        self.with(hash, |untold| untold.refuse(&BTreeMap::from([(code.to_owned(), 1)]), now, now));
    }

    /// A call asked the key's object for a request that was not let through.
    pub fn cancelled(&mut self, hash: &str, cancelled: Cancelled, now: Timestamp) {
        self.with(hash, |untold| untold.cancelled(cancelled, now));
    }

    fn with(&mut self, hash: &str, count: impl FnOnce(&mut Untold)) {
        if let Some(untold) = self.keys.get_mut(hash) {
            count(untold);
        } else if self.keys.len() < MAX_KEYS {
            count(self.keys.entry(hash.to_owned()).or_default());
        }
    }

    /// The tally to send along with a call about a key.
    pub fn begin(&mut self, hash: &str, to: Grantor, now: Timestamp) -> Tally {
        let Self { teller, numbers, keys, .. } = self;
        let untold = keys.get_mut(hash);
        untold.map_or_else(
            || Tally { teller: *teller, sent: now, ..Tally::default() },
            |untold| untold.begin(*teller, numbers, to, now),
        )
    }

    /// A call with this tally has ended.
    pub fn end(&mut self, hash: &str, tally: &Tally, heard: bool, now: Timestamp) {
        if let Some(untold) = self.keys.get_mut(hash) {
            untold.end(tally.number, heard, now);
            if untold.is_empty() {
                self.keys.remove(hash);
            }
        }
    }

    /// Who may have received what was sent of a key.
    pub fn told_to(&self, hash: &str) -> Option<Grantor> {
        self.keys.get(hash)?.to()
    }

    /// Whether another round is to begin now: there are more keys than those that are under way see to.
    pub fn begins_round(&mut self, now: Timestamp) -> bool {
        self.rounds.retain(|began| (0..YOUNG_ROUND_MS).contains(&(now.0 - began.0)));
        let begins = self.keys.len() > self.rounds.len() * KEYS_OF_ROUND;
        if begins {
            self.rounds.push(now);
        }
        begins
    }

    /// A round that began at this moment is over.
    pub fn ends_round(&mut self, began: Timestamp) {
        if let Some(index) = self.rounds.iter().position(|other| *other == began) {
            self.rounds.swap_remove(index);
        }
    }

    /// Keys for which something is due now, at most those of one round, which takes them over.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        self.keys.retain(|_, untold| {
            untold.give_up(now);
            !untold.is_empty()
        });
        let due = self.keys.iter_mut().filter(|(_, untold)| untold.due_in(now) == Some(0));
        let take_on = |(hash, untold): (&String, &mut Untold)| {
            untold.taken_on = Some(now);
            hash.clone()
        };
        due.take(KEYS_OF_ROUND).map(take_on).collect()
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
