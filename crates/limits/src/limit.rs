//! A sliding window of one key: at most `limit` requests in any span of the window's length.
//!
//! The first 64 requests of a window are remembered one by one, and each leaves exactly one window later. Beyond that, and
//! where there is no limit, requests that come close together share a *bucket*, which leaves when its last request does.
//! So a window never admits too many; on a busy key it may count a request for up to 1/64 of its length too long. Memory is
//! bounded by the number of buckets, whatever the limit.

use std::{cmp::Reverse, collections::VecDeque};

use serde::{Deserialize, Serialize};

use keyward_core::{
    order,
    time::{Span, Timestamp},
};

/// The code of refusals because a window is full, under which coordinators count them.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// This many requests get a bucket each.
const EXACT_BUCKETS: usize = 64;
/// Beyond that, a bucket spans at most the window's length divided by this.
const BUCKETS_PER_WINDOW: i64 = 64;

/// From this part of its limit on a window is nearly full.
const NEAR_PERCENT: u64 = 80;

/// The kinds of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Any 60 seconds.
    Minute,
    /// Any 86,400 seconds.
    Day,
}

impl Window {
    /// Its length.
    pub fn length(self) -> Span {
        match self {
            Self::Minute => Span::from_mins(1),
            Self::Day => Span::from_days(1),
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

/// One window of a key, as its client may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowState {
    /// Which one.
    pub window: Window,
    /// Requests that it admits.
    pub limit: u32,
    /// Requests that still fit.
    pub remaining: u32,
    /// The time until `remaining` next grows.
    #[serde(rename = "resetMs")]
    pub reset: Span,
}

/// Requests admitted close together: the first moment, the last, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket(Timestamp, Timestamp, u32);

/// What was admitted within the last window, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlidingWindowLog {
    buckets: VecDeque<Bucket>,
}

impl SlidingWindowLog {
    /// Forgets what has left the window. A request that counts at `t` has left at `t + length`.
    pub fn expire(&mut self, window: Window, now: Timestamp) {
        while self.buckets.front().is_some_and(|bucket| bucket.1 + window.length() <= now) {
            self.buckets.pop_front();
        }
    }

    /// Counts requests at a moment, or at that of the newest one if that is later, which is safe.
    pub fn count(&mut self, window: Window, is_limited: bool, at: Timestamp, requests: u32) {
        if requests == 0 {
            return;
        }
        let at = self.buckets.back().map_or(at, |newest| newest.1.max(at));
        let many = !is_limited || self.buckets.len() >= EXACT_BUCKETS;
        match self.buckets.back_mut() {
            Some(bucket)
                if bucket.1 == at || many && at - bucket.0 < window.length() / BUCKETS_PER_WINDOW =>
            {
                bucket.1 = at;
                bucket.2 = bucket.2.saturating_add(requests);
            }
            _ => self.buckets.push_back(Bucket(at, at, requests)),
        }
    }

    /// Takes out one request that was counted at this moment, if it has not left: from the first bucket that may hold it.
    /// If it was in a later one, what stays counts later than necessary, never earlier.
    pub fn cancel(&mut self, window: Window, at: Timestamp, now: Timestamp) {
        if at + window.length() <= now {
            return;
        }
        let Some(index) = self.buckets.iter().position(|bucket| bucket.1 >= at) else { return };
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.2 -= 1;
        }
        self.buckets.retain(|bucket| bucket.2 > 0);
    }

    /// Whether what is counted is at least [`NEAR_PERCENT`] of the limit.
    pub fn is_near(&self, limit: u32) -> bool {
        let counted = self.buckets.iter().fold(0, |sum: u64, bucket| sum.saturating_add(bucket.2.into()));
        counted * 100 >= u64::from(limit) * NEAR_PERCENT
    }

    /// The clock was set: moves every moment.
    pub fn shift(&mut self, by: Span) {
        for bucket in &mut self.buckets {
            (bucket.0, bucket.1) = (bucket.0 + by, bucket.1 + by);
        }
    }

    /// What is counted, oldest first: the moment, and how many.
    pub fn counted(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.buckets.iter().map(|bucket| (bucket.1, bucket.2))
    }
}

/// A window with all that is counted in it or may still come, in the order in which it leaves.
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
        Self { window, limit, slots: order::sorted(admitted.counted().chain(reserved)) }
    }

    /// Requests that fit at a moment.
    pub fn free(&self, at: Timestamp) -> u32 {
        let leaves = |slot: &&(Timestamp, u32)| slot.0 + self.window.length() > at;
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
            opens = opens.max(*counted + self.window.length());
            taken = taken.saturating_sub(*requests);
        }
        if taken < self.limit { opens } else { at + self.window.length() }
    }

    /// What a client may see at a moment.
    pub fn state(&self, at: Timestamp) -> WindowState {
        let remaining = self.free(at);
        let leaving = self.slots.iter().map(|slot| slot.0 + self.window.length());
        let reset = match remaining {
            // The first to leave may not be enough, after a limit was lowered.
            0 => self.opens(at) - at,
            _ => leaving.filter(|leaves| *leaves > at).min().map_or(Span::ZERO, |leaves| leaves - at),
        };
        WindowState { window: self.window, limit: self.limit, remaining, reset: reset.max(Span::ZERO) }
    }
}

/// Makes the windows that a refused client is shown agree with the time that it is told to wait. A coordinator computes
/// both at one moment; what an isolate or relay passes on has aged since, and may count slots that are reserved for
/// others.
///
/// Afterwards at least one window is full, the last of those opens after exactly that time, and none opens later.
pub fn agree(windows: &mut [WindowState], retry_after: Span) {
    for state in windows.iter_mut() {
        state.remaining = state.remaining.min(state.limit);
        if state.remaining == 0 {
            state.reset = state.reset.min(retry_after);
        }
    }
    // The full one that opens last; if none is full, the one with the least room.
    let last = windows.iter_mut().min_by_key(|state| (state.remaining, Reverse(state.reset)));
    if let Some(state) = last {
        state.remaining = 0;
        state.reset = retry_after;
    }
}
