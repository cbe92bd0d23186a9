//! What an isolate's memory is made of: caches of bounded size, and moments that are believed for a bounded time.

use std::num::NonZeroUsize;

use keyward_core::time::{Span, Timestamp};
use lru::LruCache;

/// A cache of at most `most` entries, which takes room only as it fills.
pub(crate) fn cache<T>(most: usize) -> LruCache<String, T> {
    let mut cache = LruCache::unbounded();
    cache.resize(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN));
    cache
}

/// The time until then; `None` once that has come. More than it ever was (`most`) is none either: the clock was set back.
pub(crate) fn left(until: Timestamp, most: Span, now: Timestamp) -> Option<Span> {
    let left = until - now;
    (left > Span::ZERO && left <= most).then_some(left)
}
