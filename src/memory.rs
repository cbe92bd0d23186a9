//! What one isolate remembers between requests. It is only ever a cache: it may be gone at any
//! moment, and every part of it is bounded.

use std::{num::NonZeroUsize, rc::Rc};

use lru::LruCache;

use crate::{
    denial::FAILURES_PERIOD,
    record::Record,
    time::{SECOND, Timestamp},
    wire::{RefusalCounts, WindowState},
};

/// A record takes about 1 KiB, so this is about 10 MiB of the isolate's 128.
const RECORDS: usize = 10_000;
/// Hashes that belong to no key, apart from the records: forged keys cannot push real ones out.
const MISSES: usize = 20_000;
/// Of [`crate::network`]s that keep failing.
const NETWORKS: usize = 10_000;
/// How long a miss is remembered. Short, since the key may be created meanwhile.
const MISS_LIFE: i64 = SECOND;
/// How long a network that fails too often is held back.
const HELD_BACK: i64 = FAILURES_PERIOD * SECOND;
/// Refusals of one key are reported at most this often.
const REPORT_EVERY: i64 = 10 * SECOND;

/// One isolate's memory.
pub struct Memory {
    records: LruCache<String, Known>,
    misses: LruCache<String, Timestamp>,
    networks: LruCache<String, Timestamp>,
}

/// What is known of one key.
struct Known {
    record: Rc<Record>,
    confirmed: Timestamp,
    limited: Option<Limited>,
    refused: RefusalCounts,
    reported: Option<Timestamp>,
}

/// What a key's object said when a window was full.
#[derive(Clone, Debug)]
pub struct Limited {
    /// When it was asked.
    pub asked: Timestamp,
    /// The windows, as of then.
    pub windows: Vec<WindowState>,
    /// Milliseconds from then until a request fits again.
    pub retry_after_ms: u64,
}

impl Limited {
    /// The same as seen later; `None` once a request may fit again.
    pub fn at(&self, now: Timestamp) -> Option<Self> {
        let passed = u64::try_from(now.0 - self.asked.0).ok()?;
        let retry_after_ms = self.retry_after_ms.checked_sub(passed).filter(|left| *left > 0)?;
        let mut windows = self.windows.clone();
        for window in &mut windows {
            window.reset_ms = window.reset_ms.saturating_sub(passed);
        }
        Some(Self { asked: now, windows, retry_after_ms })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { records: cache(RECORDS), misses: cache(MISSES), networks: cache(NETWORKS) }
    }
}

/// A cache that takes room only as it fills.
fn cache<T>(most: usize) -> LruCache<String, T> {
    let mut cache = LruCache::unbounded();
    cache.resize(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN));
    cache
}

impl Memory {
    /// The record under this hash and when its KeyGate was last asked and said that it holds.
    pub fn record(&mut self, hash: &str) -> Option<(Rc<Record>, Timestamp)> {
        self.records.get(hash).map(|known| (Rc::clone(&known.record), known.confirmed))
    }

    /// The key's KeyGate, asked at this moment, said that this record holds.
    pub fn confirm(&mut self, hash: &str, record: &Rc<Record>, asked: Timestamp) {
        if let Some(known) = self.records.get_mut(hash) {
            if known.record.version < record.version {
                known.limited = None;
            }
            if known.record.version <= record.version {
                known.record = Rc::clone(record);
                known.confirmed = known.confirmed.max(asked);
            }
            return;
        }
        self.misses.pop(hash);
        let known = Known {
            record: Rc::clone(record),
            confirmed: asked,
            limited: None,
            refused: RefusalCounts::new(),
            reported: None,
        };
        self.records.put(hash.to_owned(), known);
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

    /// Whether this hash was found to belong to no key a moment ago.
    pub fn is_miss(&mut self, hash: &str, now: Timestamp) -> bool {
        self.misses.get(hash).is_some_and(|until| now < *until)
    }

    /// This hash belongs to no key.
    pub fn miss(&mut self, hash: &str, now: Timestamp) {
        self.misses.put(hash.to_owned(), now.plus(MISS_LIFE));
    }

    /// Whether this network is held back.
    pub fn is_held_back(&mut self, network: &str, now: Timestamp) -> bool {
        self.networks.get(network).is_some_and(|until| now < *until)
    }

    /// Holds this network back for a period of the platform's limiter.
    pub fn hold_back(&mut self, network: &str, now: Timestamp) {
        self.networks.put(network.to_owned(), now.plus(HELD_BACK));
    }

    /// Counts a refusal of a key that is known.
    pub fn refuse(&mut self, hash: &str, code: &str) {
        if let Some(known) = self.records.get_mut(hash) {
            let count = known.refused.entry(code.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Refusals of this key that nobody was told of; they are forgotten here.
    pub fn take_refused(&mut self, hash: &str, now: Timestamp) -> RefusalCounts {
        self.records.get_mut(hash).map_or_else(RefusalCounts::new, |known| {
            if !known.refused.is_empty() {
                known.reported = Some(now);
            }
            std::mem::take(&mut known.refused)
        })
    }

    /// The same, but empty when the last report of this key was a moment ago.
    pub fn take_refused_if_due(&mut self, hash: &str, now: Timestamp) -> RefusalCounts {
        let recent = self
            .records
            .peek(hash)
            .and_then(|known| known.reported)
            .is_some_and(|reported| now.0 - reported.0 < REPORT_EVERY);
        if recent { RefusalCounts::new() } else { self.take_refused(hash, now) }
    }
}
