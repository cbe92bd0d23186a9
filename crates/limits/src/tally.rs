//! Tallies: what an isolate or relay has counted of a key's requests, on its way to the coordinator. A tally has a number and
//! is sent again unchanged until it is acknowledged, and the receiver remembers the last number of each teller
//! ([`crate::tellers`]). So a tally counts once, even if messages are lost, late or repeated. No request waits for any of
//! this.

pub mod ledger;

use std::mem;

use serde_json::Value;

use crate::{
    counts::add,
    lease::Grantor,
    routes::{self, OnRoutes},
    used_from::LastUse,
    wire::{Cancelled, RefusalCounts, Tally, TallyHour},
};
use keyward_core::time::{HOUR, Span, Timestamp};

/// Refusals are delivered after this time, together with those that came meanwhile …
const GATHER: Span = Span::from_ms(1_500);
/// … and requests that a relay has heard of after this time, unless another call takes them along earlier.
const GATHER_AT_RELAY: Span = Span::from_secs(8);
/// The same for those that an isolate has admitted: until it has counted nothing of any key for [`ledger::QUIET`], but no longer
/// than this.
const GATHER_ACCEPTED: Span = Span::from_mins(4);
/// After a failure a tally is sent again after this time, which doubles with each failure …
const RETRY: Span = Span::from_secs(2);
/// … up to this …
const MAX_RETRY: Span = Span::from_secs(16);
/// … until this long after it was first sent. Then it is lost.
const GIVE_UP: Span = Span::from_mins(15);
/// Longest call. Stores answer or fail sooner, so one that takes longer has died with its request.
const MAX_CALL: Span = Span::from_secs(10);
/// Tellers are remembered for this time: longer than they try.
pub const REMEMBERED: Span = Span::from_mins(30);
/// Clocks that differ by at most this count as equal.
const CLOCKS_AGREE: Span = Span::from_mins(1);
/// Most hours of one tally.
const MAX_HOURS: usize = 8;
/// Most cancelled calls of one tally.
const MAX_CANCELLED: usize = 256;

/// Most refusals of one tally that are described; a relay's takes those of several.
const MAX_LATEST: usize = 4;

impl Tally {
    /// Whether it has no counts, only the time.
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

    /// Converts a moment of the teller's clock to a clock that shows `now`: unchanged if both agree. The result is never in
    /// the future or more than an hour ago, whatever the teller's clock shows.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let apart = now - self.sent;
        let at = if (-CLOCKS_AGREE..=CLOCKS_AGREE).contains(&apart) { at } else { at + apart };
        at.clamp(now - Span::from_hours(1), now)
    }

    /// When a request was last admitted, by a clock that shows `now`.
    pub(crate) fn last_used_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.hours.iter().filter_map(|hour| hour.last_used_at).max().map(|at| self.moment(at, now))
    }
}

/// What was counted of one key.
#[derive(Clone, Debug, Default)]
struct Content {
    hours: Vec<TallyHour>,
    cancelled: Vec<Cancelled>,
    latest: Vec<Value>,
    last_use: LastUse,
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
pub struct Undelivered {
    /// Not sent yet.
    gathered: Content,
    /// When to send it.
    due: Option<Timestamp>,
    sent: Option<Sent>,
    /// When a round took the key over.
    taken_on: Option<Timestamp>,
    /// Whether something of it has to be told within seconds.
    is_urgent: bool,
}

/// A tally that was sent and not acknowledged yet.
#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    content: Content,
    /// Who may have received it. Nobody else may get it, or it would count twice.
    to: Grantor,
    first: Timestamp,
    tries: u32,
    /// When the call in flight began.
    in_flight: Option<Timestamp>,
    /// When to send it again.
    again: Timestamp,
}

impl Undelivered {
    /// Requests were admitted, the last of them at this moment.
    pub fn accept(&mut self, requests: u64, at: Timestamp, now: Timestamp) {
        self.accept_on(requests, |_| {}, at, now, GATHER_AT_RELAY);
    }

    fn accept_on(
        &mut self,
        requests: u64,
        on: impl FnOnce(&mut OnRoutes),
        at: Timestamp,
        now: Timestamp,
        gather: Span,
    ) {
        if requests > 0 {
            self.gathered.count(at, |hour| {
                hour.accepted = hour.accepted.saturating_add(requests);
                hour.last_used_at = hour.last_used_at.max(Some(at));
                on(&mut hour.routes);
            });
            self.set_due(now + gather);
        }
    }

    /// Requests were refused, the last of them at this moment.
    pub fn refuse(&mut self, refused: &RefusalCounts, at: Timestamp, now: Timestamp) {
        self.refuse_on(refused, |_| {}, at, now, GATHER);
    }

    fn refuse_on(
        &mut self,
        refused: &RefusalCounts,
        on: impl FnOnce(&mut OnRoutes),
        at: Timestamp,
        now: Timestamp,
        gather: Span,
    ) {
        if !refused.is_empty() {
            self.gathered.count(at, |hour| {
                add(&mut hour.refused, refused);
                on(&mut hour.routes);
            });
            self.set_due(now + gather);
        }
    }

    /// A call's request was not admitted after all.
    pub fn cancelled(&mut self, cancelled: Cancelled, now: Timestamp) {
        if self.gathered.cancelled.len() < MAX_CANCELLED {
            self.gathered.cancelled.push(cancelled);
            self.set_due(now + GATHER);
        }
    }

    /// Takes over another teller's tally.
    pub fn pass_on(&mut self, tally: &Tally, now: Timestamp) {
        for hour in &tally.hours {
            let used = hour.last_used_at.unwrap_or(hour.at);
            let OnRoutes { accepted, refused, .. } = &hour.routes;
            let on = |counted: &mut OnRoutes| routes::add(&mut counted.accepted, accepted);
            self.accept_on(hour.accepted, on, tally.moment(used, now), now, GATHER_AT_RELAY);
            let on = |counted: &mut OnRoutes| routes::add(&mut counted.refused, refused);
            self.refuse_on(&hour.refused, on, tally.moment(hour.at, now), now, GATHER);
        }
        if let Some(at) = tally.last_used_at(now) {
            self.gathered.last_use.take(tally.last_used_from.as_ref(), at);
        }
        for cancelled in &tally.cancelled {
            self.cancelled(*cancelled, now);
        }
        for refusal in &tally.latest {
            self.describe(|| refusal.clone());
        }
    }

    /// Describes a request that was just counted as refused, unless enough of them are.
    fn describe(&mut self, refusal: impl FnOnce() -> Value) {
        if !self.gathered.hours.is_empty() && self.gathered.latest.len() < MAX_LATEST {
            self.gathered.latest.push(refusal());
        }
    }

    fn set_due(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// What was gathered need not wait for more.
    fn hasten(&mut self, now: Timestamp) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// Whether nothing is left to deliver.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.sent.is_none()
    }

    /// Gives up what could not be delivered for [`GIVE_UP`], whether it was sent or never could be.
    fn give_up(&mut self, now: Timestamp) {
        if let Some(sent) = &mut self.sent {
            sent.first = sent.first.min(now);
            if now - sent.first >= GIVE_UP {
                self.sent = None;
                // What was gathered had to wait for that.
                self.due = self.due.map(|_| now);
            }
        } else if let Some(due) = &mut self.due {
            *due = (*due).min(now + GATHER_ACCEPTED);
            if now - *due >= GIVE_UP {
                self.gathered = Content::default();
                self.due = None;
            }
        }
    }

    /// The time until the next delivery is due; `None` if there is nothing to deliver.
    pub fn due_in(&self, now: Timestamp) -> Option<Span> {
        let (at, longest) = match &self.sent {
            _ if self.is_taken_on(now) => return Some(MAX_CALL),
            Some(Sent { in_flight: Some(since), .. }) => (*since + MAX_CALL, MAX_CALL),
            Some(sent) => (sent.again, MAX_RETRY),
            None => (self.due?, GATHER_ACCEPTED),
        };
        // No longer than that, even if the clock was set back.
        Some((at - now).clamp(Span::ZERO, longest))
    }

    fn is_taken_on(&self, now: Timestamp) -> bool {
        self.taken_on.is_some_and(|at| at.is_within(MAX_CALL, now))
    }

    /// The tally to send along with a call; empty if there is none, or another call carries it.
    pub fn begin(&mut self, teller: u64, numbers: &mut u64, to: Grantor, now: Timestamp) -> Tally {
        self.taken_on = None;
        self.is_urgent = false;
        let empty = Tally { teller, sent: now, ..Tally::default() };
        if let Some(sent) = &mut self.sent {
            sent.first = sent.first.min(now);
            let is_in_flight = sent.in_flight.is_some_and(|since| since.is_within(MAX_CALL, now));
            if now - sent.first < GIVE_UP {
                if is_in_flight || sent.to != to {
                    return empty;
                }
                sent.in_flight = Some(now);
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
            in_flight: Some(now),
            again: now,
        };
        let tally = sent.tally(empty);
        self.sent = Some(sent);
        tally
    }

    /// The call with this tally has ended: the receiver has it (`delivered`), or nobody knows.
    pub fn end(&mut self, number: u64, delivered: bool, now: Timestamp) {
        let Some(sent) = self.sent.as_mut().filter(|sent| sent.number == number) else { return };
        if delivered {
            self.sent = None;
            return;
        }
        sent.in_flight = None;
        let doubled = RETRY * (1 << sent.tries.saturating_sub(1).min(8));
        sent.again = now + doubled.min(MAX_RETRY);
    }

    fn to(&self) -> Option<Grantor> {
        self.sent.as_ref().map(|sent| sent.to)
    }
}

impl Sent {
    fn tally(&self, empty: Tally) -> Tally {
        let Content { hours, cancelled, latest, last_use } = self.content.clone();
        Tally { number: self.number, hours, cancelled, latest, last_used_from: last_use.from, ..empty }
    }
}
