//! A window of one key: at most `limit` units in any span of its length, in a month of the calendar, or in all time.
//!
//! The first 64 requests of a window that slides are remembered one by one, and each leaves exactly one window later. Beyond
//! that, and where there is no limit, requests that come close together share a *bucket*, which leaves when its last request
//! does. So a window never admits too many; on a busy key it may count a request for up to 1/64 of its length too long. The
//! requests of a day share a bucket of the month, and all those of a total share one. Memory is bounded by the number of
//! buckets, whatever the limit.

use std::{cmp::Reverse, collections::VecDeque};

use serde::{Deserialize, Serialize};

pub use keyward_core::record::Window;
use keyward_core::{
    order,
    record::Cost,
    time::{DAY, MILLISECOND, Span, Timestamp},
};

/// The code of refusals because a window is full, under which coordinators count them.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// This many requests get a bucket each.
const EXACT_BUCKETS: usize = 64;
/// Beyond that, a bucket spans at most the window's length divided by this.
const BUCKETS_PER_WINDOW: i64 = 64;

/// The first moment at which a request counts no more that counts at `at`: a window's length later, where the month after
/// that begins, or never.
///
/// The proof in `docs/limits.md` rests on two properties: what counts later never leaves earlier, and two requests of which one
/// arrives when the other has left are not in the same window.
pub(crate) fn leaves(window: Window, at: Timestamp) -> Timestamp {
    match (window, window.length()) {
        (_, Some(length)) => at + length,
        (Window::Month, None) => at.next_month(),
        (_, None) => Timestamp::NEVER,
    }
}

/// One window of a key, as its client may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowState {
    /// Which one.
    pub window: Window,
    /// Units that it admits.
    pub limit: u32,
    /// Units that still fit.
    pub remaining: u32,
    /// The time until `remaining` next grows, or, after a refusal, until the request fits; 0 if it does not.
    #[serde(rename = "resetMs")]
    pub reset: Span,
    /// Whether it counts all keys of a tenant, which is known only where it was asked.
    #[serde(skip)]
    pub of_tenant: bool,
}

/// The name of a window's limit, or of that of a tenant's pool, in the `RateLimit` fields and in `violatedPolicies`.
pub fn policy_name(window: Window, of_tenant: bool) -> &'static str {
    match (window, of_tenant) {
        (window, false) => window.name(),
        (Window::Second, true) => "tenant-second",
        (Window::Minute, true) => "tenant-minute",
        (Window::Hour, true) => "tenant-hour",
        (Window::Day, true) => "tenant-day",
        (Window::Month, true) => "tenant-month",
        (Window::Total, true) => "tenant-total",
        (Window::InFlight, true) => "tenant-in-flight",
    }
}

impl WindowState {
    /// Its name in the `RateLimit` fields.
    pub fn name(&self) -> &'static str {
        policy_name(self.window, self.of_tenant)
    }

    /// Whether a request of this cost fits.
    pub fn has_room(&self, cost: Cost) -> bool {
        self.remaining >= cost.units()
    }

    /// Whether a request of this cost does not fit, and never will.
    pub fn is_spent(&self, cost: Cost) -> bool {
        let most = if self.window == Window::Total { self.remaining } else { self.limit };
        most < cost.units()
    }
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
    /// One that begins after this moment, for a window without a length. What was counted earlier is not in it, so nothing of
    /// that can be cancelled in it.
    pub fn since(at: Timestamp) -> Self {
        let first = at + MILLISECOND;
        Self { buckets: [Bucket(first, first, 0)].into() }
    }

    /// The newest moment at which something counts.
    pub fn newest(&self) -> Option<Timestamp> {
        self.buckets.back().map(|bucket| bucket.1)
    }

    /// Forgets what has left the window.
    pub fn expire(&mut self, window: Window, now: Timestamp) {
        while self.buckets.front().is_some_and(|bucket| leaves(window, bucket.1) <= now) {
            self.buckets.pop_front();
        }
    }

    /// Counts requests at a moment, or at that of the newest one if that is later, which is safe.
    pub fn count(&mut self, window: Window, is_limited: bool, at: Timestamp, requests: u32) {
        if requests == 0 {
            return;
        }
        let at = self.newest().map_or(at, |newest| newest.max(at));
        let many = !is_limited || self.buckets.len() >= EXACT_BUCKETS;
        let joins = |bucket: &Bucket| match window.length() {
            Some(length) => many && at - bucket.0 < length / BUCKETS_PER_WINDOW,
            // Of a month, a bucket for each day: if the clock is set ahead into the next one, no more than that counts twice.
            None if window == Window::Month => {
                at - bucket.0 < DAY && leaves(window, bucket.0) == leaves(window, at)
            }
            None => true,
        };
        match self.buckets.back_mut() {
            Some(bucket) if bucket.1 == at || joins(bucket) => {
                bucket.1 = at;
                bucket.2 = bucket.2.saturating_add(requests);
            }
            _ => self.buckets.push_back(Bucket(at, at, requests)),
        }
    }

    /// Takes out a request that was counted at this moment, if it has not left: from the first buckets that may hold it.
    /// If it was in a later one, what stays counts later than necessary, never earlier.
    pub fn cancel(&mut self, window: Window, at: Timestamp, now: Timestamp, cost: Cost) {
        if leaves(window, at) <= now {
            return;
        }
        let slides = window.length().is_some();
        let mut left = cost.units();
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.1 >= at && (slides || bucket.0 <= at)) {
            let taken = bucket.2.min(left);
            (bucket.2, left) = (bucket.2 - taken, left - taken);
        }
        self.buckets.retain(|bucket| bucket.2 > 0 || !slides);
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Whether what is counted is at least this share of the limit, in per cent.
    pub fn has_percent(&self, percent: u64, limit: u32) -> bool {
        let counted = self.buckets.iter().fold(0, |sum: u64, bucket| sum.saturating_add(bucket.2.into()));
        counted * 100 >= u64::from(limit) * percent
    }

    /// The clock was set: moves every moment. `latest` is the latest one that it had shown.
    ///
    /// A month does not move with the clock. What it counts does not move back into an earlier one either: when the clock
    /// was wrong, nobody knows, so a request was made at the latest at the moment that was noted, and before now.
    pub fn shift(&mut self, window: Window, by: Span, latest: Timestamp) {
        let moved = |at: Timestamp| match window.length() {
            None if by < Span::ZERO => at.min((at + by).max(latest + by)),
            _ => at + by,
        };
        for bucket in &mut self.buckets {
            (bucket.0, bucket.1) = (moved(bucket.0), moved(bucket.1));
        }
    }

    /// What is counted, oldest first: the moment, and how many.
    pub fn counted(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.buckets.iter().map(|bucket| (bucket.1, bucket.2))
    }
}

/// A window with all that is counted in it or may still come.
pub struct Occupancy {
    window: Window,
    limit: u32,
    /// When each leaves, in that order, and how many it are.
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
        let slots = admitted.counted().chain(reserved).map(|(at, requests)| (leaves(window, at), requests));
        Self { window, limit, slots: order::sorted(slots) }
    }

    /// Which window it is.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Units that it admits.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Units that fit at a moment.
    pub fn free(&self, at: Timestamp) -> u32 {
        let stays = |slot: &&(Timestamp, u32)| slot.0 > at;
        let taken = self.slots.iter().filter(stays).fold(0, |sum: u32, slot| sum.saturating_add(slot.1));
        self.limit.saturating_sub(taken)
    }

    /// The first moment, not before this one, at which this number of units fits; never if the limit is smaller.
    pub fn opens_for(&self, more: u32, at: Timestamp) -> Timestamp {
        let mut taken = self.slots.iter().fold(0, |sum: u32, slot| sum.saturating_add(slot.1));
        let mut opens = at;
        for (leaves, requests) in &self.slots {
            if taken.saturating_add(more) <= self.limit {
                break;
            }
            opens = opens.max(*leaves);
            taken = taken.saturating_sub(*requests);
        }
        if taken.saturating_add(more) <= self.limit { opens } else { Timestamp::NEVER }
    }

    /// What a client may see at a moment. If this number of units does not fit, `reset` says when it does.
    pub fn state(&self, units: u32, at: Timestamp) -> WindowState {
        let remaining = self.free(at);
        let next = match remaining {
            // The first to leave may not be enough.
            less if less < units => self.opens_for(units, at),
            _ => self.slots.iter().map(|slot| slot.0).find(|leaves| *leaves > at).unwrap_or(at),
        };
        let reset = if next == Timestamp::NEVER { Span::ZERO } else { (next - at).max(Span::ZERO) };
        WindowState { window: self.window, limit: self.limit, remaining, reset, of_tenant: false }
    }
}

/// Makes the windows that a client is shown agree with the time that it is told to wait, when a request of this cost was refused. A
/// coordinator computes both at one moment; what an isolate or relay passes on has aged since, and may count slots that are
/// reserved for others.
///
/// Afterwards at least one window has no room for the request, the last of those opens after exactly that time, and none
/// opens later. A window that never has room is left as it is: then no time helps.
pub fn agree(windows: &mut [WindowState], cost: Cost, retry_after: Span) {
    let most = cost.units() - 1;
    for state in windows.iter_mut() {
        state.remaining = state.remaining.min(state.limit);
        if state.remaining <= most {
            state.reset = state.reset.min(retry_after);
        }
    }
    if windows.iter().any(|state| state.is_spent(cost)) {
        return;
    }
    // The full one that opens last, of equal ones the longest; if none is full, the one with the least room.
    let sliding = windows.iter_mut().filter(|state| state.window != Window::Total);
    let last = sliding.min_by_key(|state| (state.remaining.max(most), Reverse((state.reset, state.window))));
    if let Some(state) = last {
        state.remaining = state.remaining.min(most);
        state.reset = retry_after;
    }
}
