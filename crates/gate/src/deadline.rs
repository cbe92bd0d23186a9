//! Until when a decision must be there: a number, from which each call is given what is left.

use keyward_core::time::Timestamp;

/// The end of one decision.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Timestamp,
    whole_ms: u32,
}

impl Deadline {
    /// So many milliseconds from now.
    pub fn within(whole_ms: u32, now: Timestamp) -> Self {
        Self { at: now.plus(whole_ms.into()), whole_ms }
    }

    /// Milliseconds that are left; never more than there were, if the clock goes back.
    pub fn left(self, now: Timestamp) -> u32 {
        u32::try_from(self.at.0 - now.0).unwrap_or_default().min(self.whole_ms)
    }

    /// Whether it has passed. At its last moment there is nothing left to wait in, but a verdict counts.
    pub fn has_passed(self, now: Timestamp) -> bool {
        now > self.at
    }
}
