//! What one isolate remembers between requests. It is only ever a cache: it may be gone at any
//! moment, and every part of it is bounded. That there is no key under a hash is not remembered: there may be one
//! the next moment, and it has to work everywhere from then on.

use std::{num::NonZeroUsize, rc::Rc};

use lru::LruCache;

use crate::{
    breakers::Breakers,
    budget::{Allowance, Budget},
    denial::{Denial, FAILURES_PERIOD_S},
};
use keyward_core::{
    record::Record,
    time::{HOUR, MINUTE, SECOND, Timestamp},
};
use keyward_limits::{
    fallback::FallbackLimit,
    lease::{Grantor, Lessee},
    limit::WindowState,
    tally::Ledger,
};

/// Of records and what goes with them, in bytes as [`Known::weight`] reckons: of the isolate's 128 MiB.
const RECORDS_BYTES: usize = 32 << 20;
/// Of [`keyward_core::network`]s that keep failing.
const MAX_NETWORKS: usize = 10_000;
/// One failure in this many is counted for its site, too: a site may fail this many times as often as a network before it
/// is held back, since it may be a campus.
const FAILURES_OF_SITE: u32 = 16;
/// How long a network from which a webhook came that was its sender's is not held back for others.
const SENDER_LIFE_MS: i64 = HOUR;
/// A network that is held back may try a webhook so often, and has so long for its body.
pub const TRIAL_MS: i64 = SECOND / 2;
/// How long a network that fails too often is held back.
const HELD_BACK_MS: i64 = FAILURES_PERIOD_S * SECOND;
/// What a network may have looked up that is held back: enough for the keys of its neighbours, and a bound to what
/// guesses cost. KV is read so often for keys that the isolate does not know …
const READS: Allowance = Allowance { at_once: 100, every_ms: 50 };
/// … and, while KV fails, objects are asked so often.
const ASKS: Allowance = Allowance { at_once: 10, every_ms: 1_000 };
/// And links are followed so often.
const FOLLOWS: Allowance = Allowance { at_once: 10, every_ms: 500 };
/// How long a link that is over is known to be, so that whoever reloads it costs nobody anything.
const OVER_MS: i64 = MINUTE;
/// Most links that are remembered as over.
const MAX_LINKS: usize = 1_000;
/// Words of a coordinator may overtake each other by less than this. One that is older by more was given before the
/// clock was set back.
const OUT_OF_ORDER_MS: i64 = MINUTE;

/// One isolate's memory.
pub struct Memory {
    records: LruCache<String, Known>,
    /// The weight of all `records`.
    weight: usize,
    /// The last moment seen.
    latest: Timestamp,
    /// By how much the clock was set back all in all.
    set_back: i64,
    /// Tells this isolate from others, roughly.
    pub client_id: u32,
    /// What was counted and not yet delivered.
    pub ledger: Ledger,
    /// What is left alone since it fails.
    pub breakers: Breakers,
    networks: LruCache<String, HeldBack>,
    /// Counts failures.
    failures: u32,
    senders: LruCache<String, Timestamp>,
    /// Links that are over, by the hash of their token: why, and until when that is remembered.
    links: LruCache<String, (Denial, Timestamp)>,
}

/// A network that failed too often.
#[derive(Default)]
struct HeldBack {
    until: Timestamp,
    /// When a webhook of it was tried last.
    tried: Timestamp,
    reads: Budget,
    asks: Budget,
    links: Budget,
}

/// What is asked about a key or link that the isolate does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// KV.
    Kv,
    /// The key's object.
    Coordinator,
    /// The Registry, for a link.
    Link,
}

/// What is known of one key.
struct Known {
    record: Rc<Record>,
    confirmed: Timestamp,
    limited: Option<Limited>,
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
            lessee: Lessee::default(),
            fallback: FallbackLimit::default(),
            relay: false,
            slow: false,
        }
    }

    /// Bytes that this takes, reckoned well on the large side.
    fn weight(&self) -> usize {
        let lists = [&self.record.scopes, &self.record.allowed_origins];
        let strings: usize = lists.into_iter().flatten().map(|entry| 64 + entry.len()).sum();
        2_048 + strings + 64 * self.record.allowed_ips.len()
    }
}

/// What a key's object said when a window was full.
#[derive(Clone, Debug)]
pub struct Limited {
    /// When it was asked.
    pub asked: Timestamp,
    /// The windows, as of then.
    pub windows: Vec<WindowState>,
    /// Milliseconds from then until a request fits again, as far as is known.
    pub retry_after_ms: u64,
    /// Milliseconds from then for which this is believed.
    pub held_ms: u64,
}

impl Limited {
    /// The same as seen later; `None` once it is believed no more.
    pub fn at(&self, now: Timestamp) -> Option<Self> {
        let passed = u64::try_from(now.0 - self.asked.0).ok()?;
        let held_ms = self.held_ms.checked_sub(passed).filter(|left| *left > 0)?;
        let retry_after_ms = self.retry_after_ms.saturating_sub(passed).max(1);
        let mut windows = self.windows.clone();
        for window in &mut windows {
            window.reset_ms = window.reset_ms.saturating_sub(passed);
        }
        Some(Self { asked: now, windows, retry_after_ms, held_ms })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(0)
    }
}

/// Milliseconds until then, if that has not come. More than it ever was is none: the clock was set back.
fn left(until: Timestamp, most: i64, now: Timestamp) -> Option<u64> {
    let left = until.0 - now.0;
    if (1..=most).contains(&left) { u64::try_from(left).ok() } else { None }
}

/// A cache that takes room only as it fills.
fn cache<T>(most: usize) -> LruCache<String, T> {
    let mut cache = LruCache::unbounded();
    cache.resize(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN));
    cache
}

impl Memory {
    /// The memory of the isolate with this random number.
    pub fn of(random: u64) -> Self {
        Self {
            records: LruCache::unbounded(),
            weight: 0,
            latest: Timestamp::default(),
            set_back: 0,
            client_id: (random >> 32) as u32,
            ledger: Ledger::of(random),
            breakers: Breakers::default(),
            networks: cache(MAX_NETWORKS),
            failures: random as u32,
            senders: cache(MAX_NETWORKS),
            links: cache(MAX_LINKS),
        }
    }

    /// The clock shows this moment. By how much it was set back so far, as far as could be seen.
    pub fn notice(&mut self, now: Timestamp) -> i64 {
        let back = self.latest.0.saturating_sub(now.0).max(0);
        self.latest = now;
        self.set_back = self.set_back.saturating_add(back);
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

    /// The key's coordinator, asked at this moment, said that this record holds.
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
            let is_before = known.confirmed.0 - asked.0 < OUT_OF_ORDER_MS;
            known.confirmed = if is_before { known.confirmed.max(asked) } else { asked };
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
        self.weight += known.weight();
        self.records.put(hash.to_owned(), known);
        while self.weight > RECORDS_BYTES
            && let Some((_, oldest)) = self.records.pop_lru()
        {
            self.weight = self.weight.saturating_sub(oldest.weight());
        }
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

    /// What the key's object said of a full window, if that is not older than `freshness` and still
    /// holds.
    pub fn limited(&mut self, hash: &str, freshness: i64, now: Timestamp) -> Option<Limited> {
        let limited = self.records.get(hash)?.limited.as_ref()?;
        if now.0 - limited.asked.0 >= freshness {
            return None;
        }
        limited.at(now)
    }

    /// The key's object says that a window is full.
    pub fn limit(&mut self, hash: &str, limited: Limited) {
        if let Some(known) = self.records.get_mut(hash) {
            known.limited = Some(limited);
        }
    }

    /// For how many milliseconds this network is still held back, if it is.
    pub fn held_back(&mut self, network: &str, now: Timestamp) -> Option<u64> {
        left(self.networks.get(network)?.until, HELD_BACK_MS, now)
    }

    /// Whether this is looked up for a network that is held back.
    pub fn may_look_up(&mut self, network: &str, lookup: Lookup, now: Timestamp) -> bool {
        let Some(held_back) = self.networks.get_mut(network) else { return true };
        match lookup {
            Lookup::Kv => held_back.reads.spend(READS, now),
            Lookup::Coordinator => held_back.asks.spend(ASKS, now),
            Lookup::Link => held_back.links.spend(FOLLOWS, now),
        }
    }

    /// Whether a webhook of a network that is held back is tried: it may be that of a sender, of which none came to this
    /// isolate yet. So one is now and then.
    pub fn may_try(&mut self, network: &str, now: Timestamp) -> bool {
        let Some(held_back) = self.networks.get_mut(network) else { return true };
        let is_early = (0..TRIAL_MS).contains(&(now.0 - held_back.tried.0));
        if !is_early {
            held_back.tried = now;
        }
        !is_early
    }

    /// Holds this network back for a period of the platform's limiter.
    pub fn hold_back(&mut self, network: &str, now: Timestamp) {
        let until = now.plus(HELD_BACK_MS);
        match self.networks.get_mut(network) {
            Some(held_back) => (held_back.until, held_back.tried) = (until, now),
            None => {
                let held_back = HeldBack { until, tried: now, ..HeldBack::default() };
                self.networks.put(network.to_owned(), held_back);
            }
        }
    }

    /// A webhook that was its sender's came from this network.
    pub fn delivered(&mut self, network: &str, now: Timestamp) {
        self.senders.put(network.to_owned(), now.plus(SENDER_LIFE_MS));
    }

    /// Whether one came from this network lately.
    pub fn has_delivered(&mut self, network: &str, now: Timestamp) -> bool {
        self.senders.get(network).is_some_and(|until| left(*until, SENDER_LIFE_MS, now).is_some())
    }

    /// A link was used before, or has ended: for good.
    pub fn is_over(&mut self, link: &str, denial: Denial, now: Timestamp) {
        self.links.put(link.to_owned(), (denial, now.plus(OVER_MS)));
    }

    /// Why a link is over, if that is known.
    pub fn why_over(&mut self, link: &str, now: Timestamp) -> Option<Denial> {
        let (denial, until) = self.links.get(link)?;
        left(*until, OVER_MS, now).map(|_| denial.clone())
    }

    /// Whether a failure is counted of its site, too.
    pub fn counts_site(&mut self) -> bool {
        self.failures = self.failures.wrapping_add(1);
        self.failures.is_multiple_of(FAILURES_OF_SITE)
    }
}
