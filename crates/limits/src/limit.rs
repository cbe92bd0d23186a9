//! A rolling window of one key: in any span of the window's length, at most `limit` requests.
//!
//! While a window holds few requests, each is remembered by itself and leaves exactly when its time
//! has come. When it holds many, or has no limit for now, those that come close together share a *bucket*, which is given up
//! only when its last request has left the window. So a window never admits too many, whatever it
//! holds; it may keep a place for at most 1/64 of its length too long, and only on a busy key.
//! Memory is bounded by the number of buckets, whatever the limit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use keyward_core::time::{DAY, MINUTE, Timestamp};

/// The code of a refusal since a window is full, under which a coordinator counts it.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// Requests of which each has a bucket of its own.
const EXACT_BUCKETS: usize = 64;
/// Beyond these, requests of one bucket are apart by at most the window divided by this.
const GRANULES: i64 = 64;

/// The windows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Any 60 seconds.
    Minute,
    /// Any 86,400 seconds.
    Day,
}

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

/// One window of a key, as seen by the client that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowState {
    /// Which one.
    pub window: Window,
    /// Requests that it admits.
    pub limit: u32,
    /// Requests that still fit.
    pub remaining: u32,
    /// Milliseconds until `remaining` next grows.
    pub reset_ms: u64,
}

/// Requests admitted close together: first, last, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(Timestamp, Timestamp, u32);

/// What was admitted within the last window, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlidingWindowLog {
    buckets: VecDeque<Bucket>,
}

impl SlidingWindowLog {
    /// Forgets what has left the window. What counts at `t` has left at `t + length`.
    pub fn expire(&mut self, window: Window, now: Timestamp) {
        while self.buckets.front().is_some_and(|bucket| bucket.1.plus(window.length()) <= now) {
            self.buckets.pop_front();
        }
    }

    /// Counts requests at a moment, or at that of the newest if that is later: later is safe.
    pub fn count(&mut self, window: Window, is_limited: bool, at: Timestamp, requests: u32) {
        if requests == 0 {
            return;
        }
        let at = self.buckets.back().map_or(at, |newest| newest.1.max(at));
        let many = !is_limited || self.buckets.len() >= EXACT_BUCKETS;
        match self.buckets.back_mut() {
            Some(bucket) if bucket.1 == at || many && at.0 - bucket.0.0 < window.length() / GRANULES => {
                bucket.1 = at;
                bucket.2 = bucket.2.saturating_add(requests);
            }
            _ => self.buckets.push_back(Bucket(at, at, requests)),
        }
    }

    /// Takes out one request that was counted at this moment, if it has not left: of the first bucket that
    /// can hold it, so that, if a later one does, what stays is counted later than need be, never sooner.
    pub fn cancel(&mut self, window: Window, at: Timestamp, now: Timestamp) {
        if at.plus(window.length()) <= now {
            return;
        }
        let Some(index) = self.buckets.iter().position(|bucket| bucket.1 >= at) else { return };
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.2 -= 1;
        }
        self.buckets.retain(|bucket| bucket.2 > 0);
    }

    /// The clock was set: every moment is by so much less or more now.
    pub fn shift(&mut self, by: i64) {
        for bucket in &mut self.buckets {
            (bucket.0, bucket.1) = (bucket.0.plus(by), bucket.1.plus(by));
        }
    }

    /// What is counted, oldest first: the moment, and how many.
    pub fn counted(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.buckets.iter().map(|bucket| (bucket.1, bucket.2))
    }
}

/// A window with everything that is counted in it or may still come, in the order in which it leaves.
pub struct Occupancy {
    window: Window,
    limit: u32,
    slots: Vec<(Timestamp, u32)>,
}

impl Occupancy {
    /// `reserved` are requests that may still come, each with the latest moment at which it can.
    pub fn new(
        window: Window,
        limit: u32,
        admitted: &SlidingWindowLog,
        reserved: impl Iterator<Item = (Timestamp, u32)>,
    ) -> Self {
        let mut slots: Vec<_> = admitted.counted().chain(reserved).collect();
        slots.sort_unstable();
        Self { window, limit, slots }
    }

    /// Requests that fit at a moment.
    pub fn free(&self, at: Timestamp) -> u32 {
        let leaves = |slot: &&(Timestamp, u32)| slot.0.plus(self.window.length()) > at;
        let taken = self.slots.iter().filter(leaves).fold(0, |sum: u32, slot| sum.saturating_add(slot.1));
        self.limit.saturating_sub(taken)
    }

    /// The first moment, not before this one, at which one more request fits.
    pub fn opens(&self, at: Timestamp) -> Timestamp {
        let mut taken = self.slots.iter().fold(0, |sum: u32, slot| sum.saturating_add(slot.1));
        let mut opens = at;
        for (counted, requests) in &self.slots {
            if taken < self.limit {
                break;
            }
            opens = opens.max(counted.plus(self.window.length()));
            taken = taken.saturating_sub(*requests);
        }
        if taken < self.limit { opens } else { at.plus(self.window.length()) }
    }

    /// What a client may know, as of a moment.
    pub fn state(&self, at: Timestamp) -> WindowState {
        let remaining = self.free(at);
        let leaving = self.slots.iter().map(|slot| slot.0.plus(self.window.length()));
        let reset = match remaining {
            // The first to leave may not be enough: a limit may have been lowered.
            0 => self.opens(at).0 - at.0,
            _ => leaving.filter(|leaves| *leaves > at).min().map_or(0, |leaves| leaves.0 - at.0),
        };
        let reset_ms = u64::try_from(reset).unwrap_or_default();
        WindowState { window: self.window, limit: self.limit, remaining, reset_ms }
    }
}

/// Makes what a refused client is told agree with the time that it is told to wait. A key's object and its
/// relays say both from what they know at one moment; what an isolate or relay passes on has aged, and may
/// count places that are kept for others.
///
/// At least one window is full, the longest of those opens after exactly that time, and none later.
pub fn agree(windows: &mut [WindowState], retry_after_ms: u64) {
    for state in windows.iter_mut() {
        state.remaining = state.remaining.min(state.limit);
        if state.remaining == 0 {
            state.reset_ms = state.reset_ms.min(retry_after_ms);
        }
    }
    // The one that is full and opens last, else the one with the least room.
    let last = windows.iter_mut().min_by_key(|state| (state.remaining, u64::MAX - state.reset_ms));
    if let Some(state) = last {
        state.remaining = 0;
        state.reset_ms = retry_after_ms;
    }
}
