//! The fallback limit: what one isolate admits of a key while neither its coordinator nor a relay answers. Each isolate then
//! counts for itself, so limits are not exact. A realm has to ask for that (`limits_unavailable = "allow_local"`).

use crate::limit::{Occupancy, SlidingWindowLog, Window};
use keyward_core::{
    record::{Cost, Limits},
    time::{Span, Timestamp},
};

/// An isolate's fallback limit is the limit divided by this, at least one unit.
const FRACTION: u32 = 10;
/// It applies for this long after the first failed call. Then everything is refused until a call succeeds.
pub const MAX_OUTAGE: Span = Span::from_mins(1);

/// The fallback limit of one key.
#[derive(Clone, Debug, Default)]
pub struct FallbackLimit {
    since: Option<Timestamp>,
    admitted: SlidingWindowLog,
    unreported: u32,
}

impl FallbackLimit {
    /// Whether one more request may pass: a share of each limit, and no more than that while the outage lasts.
    pub fn allow(&mut self, limits: Limits, cost: Cost, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        if !since.is_within(MAX_OUTAGE, now) {
            return false;
        }
        // No outage is longer than a minute, so the minute's log serves for every window.
        self.admitted.expire(Window::Minute, now);
        let is_full = |(window, limit): (Window, u32)| {
            let share = limit.div_ceil(FRACTION);
            Occupancy::new(window, share, &self.admitted, std::iter::empty()).free(now) < cost.units()
        };
        if limits.set().any(is_full) {
            return false;
        }
        self.admitted.count(Window::Minute, true, now, cost.units());
        self.unreported = self.unreported.saturating_add(cost.units());
        true
    }

    /// Takes the units that were not reported yet.
    pub fn take_unreported(&mut self) -> u32 {
        std::mem::take(&mut self.unreported)
    }

    /// The call that should have reported them failed.
    pub fn put_back(&mut self, unreported: u32) {
        self.unreported = self.unreported.saturating_add(unreported);
    }

    /// A call succeeded.
    pub fn ends(&mut self) {
        self.since = None;
    }
}
