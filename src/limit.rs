//! A rolling window of one key: in any span of the window's length, at most `limit` requests.
//!
//! While a window holds few requests, each is remembered by itself and leaves exactly when its time
//! has come. When it holds many, or has no limit for now, those that come close together share a *bucket*, which is given up
//! only when its last request has left the window. So a window never admits too many, whatever it
//! holds; it may keep a place for at most 1/64 of its length too long, and only on a busy key.
//! Memory is bounded by the number of buckets, whatever the limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{DAY, MINUTE, Timestamp};
use crate::wire::{Window, WindowState};

/// Up to so many requests, each has a bucket of its own.
const EXACT: usize = 64;
/// Beyond, requests of one bucket are at most this part of the window apart.
const GRANULES: i64 = 64;

impl Window {
    /// Its length in milliseconds.
    pub fn length(self) -> i64 {
        match self {
            Self::Minute => MINUTE,
            Self::Day => DAY,
        }
    }

    /// Its name in the `RateLimit` headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }
}

/// Requests admitted close together: first, last, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(Timestamp, Timestamp, u32);

/// What was admitted within the last window, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Admitted {
    buckets: VecDeque<Bucket>,
}

impl Admitted {
    /// Forgets what has left the window. A request admitted at `t` has left at `t + length`.
    pub fn expire(&mut self, window: Window, now: Timestamp) {
        while self.buckets.front().is_some_and(|bucket| bucket.1.plus(window.length()) <= now) {
            self.buckets.pop_front();
        }
    }

    /// Counts one request. `now` must not be before an earlier call's.
    pub fn count(&mut self, window: Window, is_limited: bool, now: Timestamp) {
        let many = !is_limited || self.buckets.len() >= EXACT;
        match self.buckets.back_mut() {
            Some(bucket) if many && now.0 - bucket.0.0 < window.length() / GRANULES => {
                bucket.1 = now;
                bucket.2 = bucket.2.saturating_add(1);
            }
            _ => self.buckets.push_back(Bucket(now, now, 1)),
        }
    }

    /// When the newest request was admitted.
    pub fn newest(&self) -> Option<Timestamp> {
        self.buckets.back().map(|bucket| bucket.1)
    }

    /// What a client may know: call [`Admitted::expire`] first.
    pub fn state(&self, window: Window, limit: u32, now: Timestamp) -> WindowState {
        let reset = self.buckets.front().map_or(0, |bucket| bucket.1.plus(window.length()).0 - now.0);
        WindowState {
            window,
            limit,
            remaining: limit.saturating_sub(self.total()),
            reset_ms: milliseconds(reset),
        }
    }

    /// Milliseconds until one more request fits under `limit`; 0 when it fits now. Call
    /// [`Admitted::expire`] first.
    pub fn wait(&self, window: Window, limit: u32, now: Timestamp) -> u64 {
        let mut total = self.total();
        if total < limit {
            return 0;
        }
        for bucket in &self.buckets {
            total = total.saturating_sub(bucket.2);
            if total < limit {
                return milliseconds(bucket.1.plus(window.length()).0 - now.0);
            }
        }
        milliseconds(window.length())
    }

    fn total(&self) -> u32 {
        self.buckets.iter().fold(0, |total, bucket| total.saturating_add(bucket.2))
    }
}

fn milliseconds(span: i64) -> u64 {
    u64::try_from(span).unwrap_or_default()
}
