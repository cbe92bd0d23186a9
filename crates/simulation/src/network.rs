//! What is between isolates and objects: how bad the network is, and how much each object has to answer.

use std::collections::VecDeque;

use keyward_core::time::{SECOND, Span, Timestamp};

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The shortest and the longest round trip to an object.
    pub round_trip: (Span, Span),
    /// Of 1,000 messages, how many are lost.
    pub lost: u64,
    /// By how much KV may lag.
    pub kv_lag: Span,
    /// By how much an isolate's clock may be off.
    pub skew: Span,
}

/// A key's coordinator, or one of its relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub key: usize,
    pub relay: Option<u32>,
}

/// Calls to one object.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Those within the last second.
    recent: VecDeque<Timestamp>,
    /// The most within any second.
    pub peak: usize,
    /// All of them.
    pub total: u64,
}

impl Load {
    /// Counts a call.
    pub(crate) fn count(&mut self, now: Timestamp) {
        while self.recent.front().is_some_and(|call| now - *call >= SECOND) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.peak = self.peak.max(self.recent.len());
        self.total += 1;
    }
}
