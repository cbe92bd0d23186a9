//! Until when a decision must be there: each call gets what is left.

use keyward_core::time::{Span, Timestamp};

/// How often a request looks whether what another one has begun is done.
pub(crate) const LOOK_AGAIN: Span = Span::from_ms(50);

/// The end of one decision.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Timestamp,
    whole: Span,
}

impl Deadline {
    /// This time from now.
    pub fn within(whole: Span, now: Timestamp) -> Self {
        Self { at: now + whole, whole }
    }

    /// The time that is left; never more than there was, if the clock goes back.
    pub fn left(self, now: Timestamp) -> Span {
        (self.at - now).max(Span::ZERO).min(self.whole)
    }

    /// Whether `now` is after the last moment. At it, nothing may be awaited, but a verdict counts.
    pub fn has_passed(self, now: Timestamp) -> bool {
        now > self.at
    }
}
