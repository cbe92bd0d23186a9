//! What an isolate's memory is made of: caches of bounded size, and moments that are believed for a bounded time.

use std::num::NonZeroUsize;

use keyward_core::time::{Span, Timestamp};
use lru::LruCache;

use crate::denial::Denial;

/// What is remembered under a text, and a moment that goes with it. Caches share the type: the code of another one would
/// be 1.5 KB of the Worker.
pub(crate) type Notes = LruCache<String, (Note, Timestamp)>;

/// Of a note.
pub(crate) enum Note {
    /// That something is over, and why.
    Over(Denial),
    /// A token that was signed.
    Token(String),
}

impl Note {
    /// Bytes of its text.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Over(_) => 0,
            Self::Token(token) => token.len(),
        }
    }
}

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
