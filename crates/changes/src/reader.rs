//! What one isolate knows of the change log. It is only ever memory: whatever is lost is read again.

use std::collections::HashMap;

use crate::{relay, timing::READ_WITHIN};
use keyward_core::{
    changes::{Change, KV_LAG, News, ReadChanges},
    record::{Record, Tenant},
    time::{Span, Timestamp},
};

/// Most changes that are remembered: some megabytes. A log that has more is left alone for [`LEFT_ALONE`].
const MOST_CHANGES: usize = 20_000;
/// For how long a log that cannot be used is left alone.
const LEFT_ALONE: Span = Span::from_mins(10);
/// The share of the time within which knowledge counts, after which it is renewed ahead of need, in per cent.
const AHEAD_PERCENT: i64 = 75;
/// The share of the same time that a relay's knowledge may be old, in per cent.
const RELAY_PERCENT: i64 = 10;

/// What an isolate knows of the log.
#[derive(Debug, Default)]
pub struct Reader {
    log: String,
    position: u64,
    /// The moment up to which everything is known.
    known_at: Option<Timestamp>,
    /// Since when records are remembered.
    since: Option<Timestamp>,
    keys: HashMap<String, KeyChange>,
    tenants: HashMap<String, (u64, Tenant)>,
    /// Since the last read began: the shortest time for which knowledge had to count.
    wanted: Option<Span>,
    /// When the read in flight began.
    reading: Option<Timestamp>,
    /// Reads that were not answered.
    unanswered: u32,
    /// Since when the log is left alone.
    left_alone: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct KeyChange {
    version: u64,
    revoked: bool,
}

/// What the log says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No other has taken its place.
    Holds,
    /// Another one has.
    Replaced,
    /// Its key was revoked, for good.
    Revoked,
}

/// Whether an isolate keeps what it remembers, after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Remembered {
    /// It stays.
    Stays,
    /// It must be forgotten: changes may have been missed.
    Forget,
}

impl Reader {
    /// Whether everything is known up to a moment no longer ago than this.
    pub fn is_within(&self, span: Span, now: Timestamp) -> bool {
        self.known_at.is_some_and(|at| at.is_within(span, now))
    }

    /// Somebody decides by what is known, as long as it counts within this span.
    pub fn wants(&mut self, span: Span) {
        self.wanted = Some(self.wanted.map_or(span, |wanted| wanted.min(span)));
    }

    /// The span to read on for now, ahead of need. Whoever is told so does it, and nobody else is.
    pub fn due(&mut self, now: Timestamp) -> Option<Span> {
        let is_possible = !self.is_reading(now) && !self.is_left_alone(now);
        let due = self.wanted.filter(|span| is_possible && !self.is_within(*span * AHEAD_PERCENT / 100, now));
        if due.is_some() {
            self.reading = Some(now);
        }
        due
    }

    /// Whether a read is in flight: who needs it waits for that one.
    pub fn is_reading(&self, now: Timestamp) -> bool {
        self.reading.is_some_and(|since| since.is_within(READ_WITHIN, now))
    }

    /// Whether the log cannot be used at present.
    pub fn is_left_alone(&self, now: Timestamp) -> bool {
        self.left_alone.is_some_and(|since| since.is_within(LEFT_ALONE, now))
    }

    /// A record is remembered from now on.
    pub fn remembers(&mut self, now: Timestamp) {
        self.since = self.since.or(Some(now));
    }

    /// Begins a read: the call to make. Its knowledge is to count within this span.
    pub fn begin(&mut self, span: Span, now: Timestamp) -> ReadChanges {
        self.reading = Some(now);
        self.wanted = None;
        ReadChanges { log: self.log.clone(), after: self.position, max_age: span * RELAY_PERCENT / 100 }
    }

    /// The read that began at this moment, by the clock as it is now, was answered. If there is [more](News::more), another
    /// one has to follow.
    pub fn take(&mut self, call: &ReadChanges, news: News, asked: Timestamp) -> Remembered {
        // The answer to one that was given up, which another has overtaken.
        if (&call.log, call.after) != (&self.log, self.position) {
            return Remembered::Stays;
        }
        let mut is_usable = news.covers >= KV_LAG;
        // What was replaced before all that the log still has, and read from a KV that was behind, is remembered unnoticed.
        let is_missed = is_usable && self.since.is_some_and(|since| asked - since + KV_LAG > news.covers);
        let remembered = match news.is_anew && (!self.log.is_empty() || is_missed) {
            true => Remembered::Forget,
            false => Remembered::Stays,
        };
        if news.is_anew {
            self.forget();
        }
        if remembered == Remembered::Forget {
            self.since = None;
        }
        (self.log, self.position) = (news.log, news.position);
        for change in news.changes {
            match change {
                Change::Key { hash, version, revoked } => {
                    let known = self.keys.entry(hash).or_insert(KeyChange { version, revoked });
                    if known.version < version {
                        *known = KeyChange { version, revoked };
                    }
                }
                Change::Tenant { number, tenant } => {
                    self.tenants.insert(tenant.id.clone(), (number, tenant));
                }
                Change::Unknown => is_usable = false,
            }
        }
        if !is_usable || self.keys.len() + self.tenants.len() > MOST_CHANGES {
            self.forget();
            self.left_alone = Some(asked);
            return remembered;
        }
        if !news.more {
            self.known_at = self.known_at.max(Some(asked - news.age));
        }
        remembered
    }

    /// The read that began at this moment is over, however it ended.
    pub fn end(&mut self, began: Timestamp) {
        self.reading = self.reading.filter(|since| *since != began);
    }

    /// Nobody has answered a read. The next one goes to another relay: this one may wait for an answer that was lost.
    pub fn failed(&mut self) {
        self.unanswered = self.unanswered.wrapping_add(1);
    }

    /// The relay that an isolate with this random number asks next.
    pub fn relay(&self, client_id: u32) -> u32 {
        relay::number(client_id.wrapping_add(self.unanswered))
    }

    /// No read is made after all.
    pub fn give_up(&mut self) {
        self.reading = None;
    }

    /// What the log says of a key's record. It counts for as long as [`Self::is_within`] says; that a key was revoked counts
    /// for good.
    pub fn standing(&self, hash: &str, record: &Record) -> Standing {
        match self.keys.get(hash) {
            Some(KeyChange { revoked: true, .. }) => Standing::Revoked,
            Some(change) if change.version > record.version => Standing::Replaced,
            // Its tenant's limits may be in it.
            _ if self.tenant(record).is_some() => Standing::Replaced,
            _ => Standing::Holds,
        }
    }

    /// A record's tenant as it has become since, if it has changed. It counts for as long.
    pub fn tenant(&self, record: &Record) -> Option<&Tenant> {
        self.latest_tenant(record).map(|(_, tenant)| tenant)
    }

    /// The same, with the number of the change.
    pub fn latest_tenant(&self, record: &Record) -> Option<(u64, &Tenant)> {
        let (number, tenant) = self.tenants.get(&record.tenant.id)?;
        (*number > record.tenant_change).then_some((*number, tenant))
    }

    /// The clock was set back by this much. How much time has passed meanwhile nobody knows.
    pub fn set_back(&mut self, by: Span, tolerated: Span) {
        self.known_at = self.known_at.filter(|_| by <= tolerated).map(|at| at - by);
        self.since = self.since.map(|since| since - by);
        self.reading = None;
    }

    fn forget(&mut self) {
        let Self { since, wanted, reading, unanswered, left_alone, .. } = *self;
        *self = Self { since, wanted, reading, unanswered, left_alone, ..Self::default() };
    }
}
