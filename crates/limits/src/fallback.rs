//! The fallback limit (`limits_unavailable = "allow_local"`): what one isolate admits of a key while nobody can be asked.
//! A realm chooses it by name: each isolate then holds limits for itself.

use crate::limit::{Occupancy, SlidingWindowLog, Window};
use keyward_core::{
    record::Limits,
    time::{MINUTE, Timestamp},
};

/// An isolate's fallback limit is the limit divided by this, at least one request.
const FRACTION: u32 = 10;
/// Milliseconds after the first failed call for which it applies; then everything is refused until a call goes well.
pub const SPAN_MS: i64 = MINUTE;

/// What was admitted of one key.
#[derive(Clone, Debug, Default)]
pub struct FallbackLimit {
    since: Option<Timestamp>,
    admitted: SlidingWindowLog,
    unreported: u32,
}

impl FallbackLimit {
    /// Whether one more request may pass: of each window's limit, the share and no more in all the time.
    pub fn admit(&mut self, limits: Limits, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        if !(0..SPAN_MS).contains(&(now.0 - since.0)) {
            return false;
        }
        let share = |limit: Option<u32>| limit.map_or(u32::MAX, |limit| limit.div_ceil(FRACTION));
        let share = share(limits.per_minute).min(share(limits.per_day));
        self.admitted.expire(Window::Minute, now);
        if Occupancy::new(Window::Minute, share, &self.admitted, std::iter::empty()).free(now) == 0 {
            return false;
        }
        self.admitted.count(Window::Minute, true, now, 1);
        self.unreported = self.unreported.saturating_add(1);
        true
    }

    /// Requests that nobody was told of; they are forgotten here.
    pub fn take_unreported(&mut self) -> u32 {
        std::mem::take(&mut self.unreported)
    }

    /// A call failed: what it was to report is still unreported.
    pub fn put_back(&mut self, unreported: u32) {
        self.unreported = self.unreported.saturating_add(unreported);
    }

    /// A call went well.
    pub fn ends(&mut self) {
        self.since = None;
    }
}
