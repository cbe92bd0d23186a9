//! `limits_unavailable = "allow_local"`: what one isolate lets through of a key while nobody can be
//! asked. It is a trade that a realm makes by name: limits are then held by each isolate for itself.

use crate::limit::{Admitted, Filled, Window};
use keyward_core::{
    record::Limits,
    time::{MINUTE, Timestamp},
};

/// An isolate's share of a limit is one such part of it, at least one request.
const SHARE: u32 = 10;
/// It is let through for so long after the first call that failed; then everything is refused until a
/// call goes well.
pub const SPAN: i64 = MINUTE;

/// What was let through of one key.
#[derive(Clone, Debug, Default)]
pub struct Local {
    since: Option<Timestamp>,
    admitted: Admitted,
    unreported: u32,
}

impl Local {
    /// Whether one more request may pass: of each window's limit, the share and no more in all the time.
    pub fn admit(&mut self, limits: Limits, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        if !(0..SPAN).contains(&(now.0 - since.0)) {
            return false;
        }
        let share = |limit: Option<u32>| limit.map_or(u32::MAX, |limit| limit.div_ceil(SHARE));
        let share = share(limits.per_minute).min(share(limits.per_day));
        self.admitted.expire(Window::Minute, now);
        if Filled::new(Window::Minute, share, &self.admitted, std::iter::empty()).free(now) == 0 {
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

    /// A call did not go well after all: what it was to tell is still to be told.
    pub fn put_back(&mut self, unreported: u32) {
        self.unreported = self.unreported.saturating_add(unreported);
    }

    /// A call went well.
    pub fn ends(&mut self) {
        self.since = None;
    }
}
