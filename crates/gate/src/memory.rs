//! What one isolate remembers between requests. It is only ever a cache: it may be gone at any
//! moment, and every part of it is bounded. That there is no key under a hash is not remembered: there may be one
//! the next moment, and it has to work everywhere from then on.

use std::rc::Rc;

use lru::LruCache;

use crate::{
    bounded::{Note, Notes, cache, left},
    breakers::Breakers,
    denial::Denial,
    identity_token::remembered::Remembered as Identities,
    penalty_box::PenaltyBox,
};
use keyward_changes::reader::{Reader, Remembered};
use keyward_core::{
    changes::{News, ReadChanges},
    record::{Cost, Record},
    time::{self, Span, Timestamp},
};
use keyward_limits::{
    fallback::FallbackLimit,
    lease::{Grantor, Lessee},
    limit::WindowState,
    relay,
    tally::ledger::Ledger,
    timing::{MAX_DELAY, TRAVEL},
};

/// Of records and what goes with them, in bytes as [`Known::weight`] reckons: of the isolate's 128 MiB.
const RECORDS_BYTES: usize = 32 << 20;
/// How long a link that is over is known to be, so that whoever reloads it costs nobody anything.
const OVER: Span = Span::from_mins(1);
/// Most links that are remembered as over.
const MAX_LINKS: usize = 1_000;

/// One isolate's memory.
pub struct Memory {
    records: LruCache<String, Known>,
    /// The weight of all `records`.
    weight: usize,
    /// The last moment seen.
    latest: Timestamp,
    /// By how much the clock was set back all in all.
    set_back: Span,
    /// Tells this isolate from others, roughly.
    pub client_id: u32,
    /// What is known of the change log.
    pub changes: Reader,
    /// How often all records were forgotten.
    epoch: u32,
    /// What was counted and not yet delivered.
    pub ledger: Ledger,
    /// What is left alone since it fails.
    pub breakers: Breakers,
    /// Networks that have failed too often.
    pub penalty_box: PenaltyBox,
    /// Tokens for origins that this isolate has signed.
    pub identities: Identities,
    /// Links that are over, by the hash of their token: why, and until when that is remembered.
    links: Notes,
}

/// The longest time for which an object's answer that a window is full counts without asking again.
const FULL_FOR: Span = Span::from_mins(1);
/// Most moments of one key for which clients were told to come back that are remembered: the next ones.
const MOST_PROMISED: usize = 16;

/// What is known of one key.
struct Known {
    record: Rc<Record>,
    confirmed: Timestamp,
    limited: Option<Limited>,
    /// The next moments for which clients were told to come back, the first one first.
    promised: Vec<Timestamp>,
    lessee: Lessee,
    fallback: FallbackLimit,
    relay: bool,
    slow: bool,
}

impl Known {
    fn new(record: &Rc<Record>) -> Self {
        Self {
            record: Rc::clone(record),
            confirmed: Timestamp::default(),
            limited: None,
            promised: Vec::new(),
            lessee: Lessee::default(),
            fallback: FallbackLimit::default(),
            relay: relay::comes_first(record.limits),
            slow: false,
        }
    }

    /// The clock was set back by this much.
    fn set_back(&mut self, back: Span) {
        self.lessee.set_back(back);
        if back > TRAVEL {
            // How much time has passed meanwhile, nobody knows.
            self.confirmed = Timestamp::default();
            self.limited = None;
        } else {
            self.confirmed = self.confirmed - back;
            self.promised.iter_mut().for_each(|at| *at = *at - back);
            if let Some(limited) = &mut self.limited {
                limited.asked = limited.asked - back;
            }
        }
    }

    /// A client is told how long to wait, in whole seconds.
    fn promise(&mut self, limited: &Limited, now: Timestamp) {
        let secs = i64::try_from(time::retry_after(limited.retry_after)).unwrap_or(i64::MAX);
        let at = now + Span::from_secs(secs);
        self.promised.retain(|promised| *promised > now);
        let index = self.promised.partition_point(|promised| *promised < at);
        self.promised.insert(index, at);
        self.promised.truncate(MOST_PROMISED);
    }

    /// Bytes that this takes, reckoned well on the large side.
    fn weight(&self) -> usize {
        let lists = [&self.record.scopes, &self.record.allowed_origins];
        let strings: usize = lists.into_iter().flatten().map(|entry| 64 + entry.len()).sum();
        let metadata = self.record.metadata.as_ref().map_or(0, String::len);
        2_048 + strings + metadata + 64 * self.record.allowed_ips.len()
    }
}

/// What a key's object said when a window was full.
#[derive(Clone, Debug)]
pub struct Limited {
    /// When it was asked.
    pub asked: Timestamp,
    /// The windows, as of then.
    pub windows: Vec<WindowState>,
    /// What the request counted as that did not fit.
    pub cost: Cost,
    /// The time from then until it fits, as far as is known.
    pub retry_after: Span,
    /// For how long from then this counts.
    pub held: Span,
}

impl Limited {
    /// For how long it counts at the most, unless the record changes.
    fn counts_for(&self) -> Span {
        let full = self.windows.iter().filter(|state| !state.has_room(self.cost));
        let longest = full.map(|state| state.window.length().unwrap_or(FULL_FOR * 10)).max();
        longest.map_or(Span::ZERO, |length| (length / 10).min(FULL_FOR))
    }

    /// The same as seen later; `None` once it is believed no more.
    pub fn at(&self, now: Timestamp) -> Option<Self> {
        let passed = now - self.asked;
        let held = self.held - passed;
        if passed < Span::ZERO || held <= Span::ZERO {
            return None;
        }
        let retry_after = (self.retry_after - passed).max(Span::from_ms(1));
        let mut windows = self.windows.clone();
        for window in &mut windows {
            window.reset = window.reset.less(passed);
        }
        Some(Self { asked: now, windows, retry_after, held, ..*self })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(0)
    }
}

impl Memory {
    /// The memory of the isolate with this random number.
    pub fn of(random: u64) -> Self {
        Self {
            records: LruCache::unbounded(),
            weight: 0,
            latest: Timestamp::default(),
            set_back: Span::ZERO,
            client_id: (random >> 32) as u32,
            changes: Reader::default(),
            epoch: 0,
            ledger: Ledger::of(random),
            breakers: Breakers::default(),
            penalty_box: PenaltyBox::of(random),
            identities: Identities::default(),
            links: cache(MAX_LINKS),
        }
    }

    /// The clock shows this moment. By how much it was set back so far, as far as could be seen. What was noted before moves
    /// with it: it must not lie in the future, to count as new once that has come, and no lease becomes longer.
    pub fn notice(&mut self, now: Timestamp) -> Span {
        let back = (self.latest - now).max(Span::ZERO);
        self.latest = now;
        if back > Span::ZERO {
            self.set_back += back;
            self.records.iter_mut().for_each(|(_, known)| known.set_back(back));
            self.changes.set_back(back, TRAVEL);
        }
        self.set_back
    }

    /// The record under this hash and when its coordinator was last asked and said that it holds.
    pub fn record(&mut self, hash: &str) -> Option<(Rc<Record>, Timestamp)> {
        self.records.get(hash).map(|known| (Rc::clone(&known.record), known.confirmed))
    }

    /// The record under this hash, looked at in passing.
    pub fn peek(&self, hash: &str) -> Option<Rc<Record>> {
        self.records.peek(hash).map(|known| Rc::clone(&known.record))
    }

    /// The key's coordinator, asked at this moment by the clock as it is now, said that this record holds.
    pub fn confirm(&mut self, hash: &str, record: &Rc<Record>, asked: Timestamp) {
        let mut known = match self.records.pop(hash) {
            Some(known) => {
                self.weight = self.weight.saturating_sub(known.weight());
                known
            }
            None => Known::new(record),
        };
        if known.record.version < record.version {
            // What an older version allowed, this one may not.
            known.limited = None;
            known.lessee.reset();
        }
        if known.record.version <= record.version {
            known.record = Rc::clone(record);
            // Answers may overtake each other.
            known.confirmed = known.confirmed.max(asked);
        }
        self.put(hash, known);
    }

    /// This record is used although no coordinator has confirmed it.
    pub fn keep(&mut self, hash: &str, record: &Rc<Record>) {
        if !self.records.contains(hash) {
            self.put(hash, Known::new(record));
        }
    }

    fn put(&mut self, hash: &str, known: Known) {
        self.changes.remembers(self.latest);
        self.weight += known.weight();
        self.records.put(hash.to_owned(), known);
        while self.weight > RECORDS_BYTES
            && let Some((_, oldest)) = self.records.pop_lru()
        {
            self.weight = self.weight.saturating_sub(oldest.weight());
        }
    }

    /// An answer to a question about the change log, which was asked at this moment by the clock as it is now.
    pub fn learn(&mut self, call: &ReadChanges, news: News, asked: Timestamp) {
        if self.changes.take(call, news, asked) == Remembered::Forget {
            self.records.clear();
            self.weight = 0;
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// How often all records were forgotten: of one that was got before the last time, the log says nothing.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What this isolate holds of the key, if its record is of this version.
    pub fn lessee(&mut self, hash: &str, version: u64) -> Option<&mut Lessee> {
        let known = self.records.get_mut(hash).filter(|known| known.record.version == version)?;
        Some(&mut known.lessee)
    }

    /// What this isolate holds of the key, whatever the version of its record.
    pub fn lessee_of_any(&mut self, hash: &str) -> Option<&mut Lessee> {
        self.records.get_mut(hash).map(|known| &mut known.lessee)
    }

    /// What this isolate lets through of the key while nobody can be asked.
    pub fn fallback(&mut self, hash: &str) -> Option<&mut FallbackLimit> {
        self.records.get_mut(hash).map(|known| &mut known.fallback)
    }

    /// Whom to ask about the key.
    pub fn grantor(&self, hash: &str) -> Grantor {
        match self.records.peek(hash) {
            Some(known) if known.relay => Grantor::Relay,
            _ => Grantor::Coordinator,
        }
    }

    /// Whom to ask about the key from now on.
    pub fn set_grantor(&mut self, hash: &str, grantor: Grantor) {
        if let Some(known) = self.records.get_mut(hash) {
            known.relay = grantor == Grantor::Relay;
        }
    }

    /// Whether relays said when they were last asked that the key's object does not answer them.
    pub fn is_slow(&self, hash: &str) -> bool {
        self.records.peek(hash).is_some_and(|known| known.slow)
    }

    /// What they say.
    pub fn set_slow(&mut self, hash: &str, slow: bool) {
        if let Some(known) = self.records.get_mut(hash) {
            known.slow = slow;
        }
    }

    /// What the key's object said of a full window, if that still holds: for a client that is refused. It counts for `freshness`,
    /// and where the change log says that the record `holds`, for a tenth of a long window: less than that is free before.
    pub fn limited(
        &mut self,
        hash: &str,
        cost: Cost,
        freshness: Span,
        holds: bool,
        now: Timestamp,
    ) -> Option<Limited> {
        let known = self.records.get_mut(hash)?;
        let limited = known.limited.as_ref().filter(|limited| cost >= limited.cost)?;
        let counts = if holds { limited.counts_for().max(freshness) } else { freshness };
        let limited = Some(limited).filter(|limited| now - limited.asked < counts)?.at(now)?;
        known.promise(&limited, now);
        Some(limited)
    }

    /// What a client is told that comes before a deferred lease opens; as at the object, one that comes a little before is delayed.
    pub fn deferred(&mut self, hash: &str, cost: Cost, opens: Span, now: Timestamp) -> Option<Limited> {
        let known = self.records.get_mut(hash)?;
        let windows = known.lessee.windows(now);
        let retry_after = (opens - MAX_DELAY).max(Span::from_ms(1));
        let limited = Limited { asked: now, windows, cost, retry_after, held: Span::ZERO };
        known.promise(&limited, now);
        Some(limited)
    }

    /// The key's object says that a window is full: until a request fits, or if more than one is worth waiting for, until the
    /// next client comes back that was told to.
    pub fn limit(&mut self, hash: &str, mut limited: Limited, hold: Span, now: Timestamp) {
        if let Some(known) = self.records.get_mut(hash) {
            let next = known.promised.iter().find(|at| **at > now);
            let promised = next.map_or(hold, |at| *at - limited.asked);
            limited.held = limited.held.max(hold.min(promised));
            known.limited = Some(limited);
        }
    }

    /// A client is told to come back.
    pub fn promise(&mut self, hash: &str, limited: &Limited, now: Timestamp) {
        if let Some(known) = self.records.get_mut(hash) {
            known.promise(limited, now);
        }
    }

    /// A link was used before, or has ended: for good.
    pub fn is_over(&mut self, link: &str, denial: Denial, now: Timestamp) {
        self.links.put(link.to_owned(), (Note::Over(denial), now + OVER));
    }

    /// Why a link is over, if that is known.
    pub fn why_over(&mut self, link: &str, now: Timestamp) -> Option<Denial> {
        let (Note::Over(denial), until) = self.links.get(link)? else { return None };
        left(*until, OVER, now).map(|_| denial.clone())
    }
}
