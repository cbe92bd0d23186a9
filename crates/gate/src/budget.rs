//! How much may be spent, and how soon it is there again: the generic cell rate algorithm, with the time as an
//! argument.

use keyward_core::time::Timestamp;

/// So many at once, and then one more each so often.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// How many at once.
    pub at_once: u32,
    /// Milliseconds until there is one more.
    pub every_ms: u32,
}

/// What is left of an allowance: at first, all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// When all of it is there again.
    whole_at: Timestamp,
}

impl Budget {
    /// Spends one, if there is one left.
    pub fn spend(&mut self, of: Allowance, now: Timestamp) -> bool {
        let (whole, one) = (i64::from(of.at_once) * i64::from(of.every_ms), i64::from(of.every_ms));
        // A clock that was set back leaves no less than nothing.
        let spent = self.whole_at.0.saturating_sub(now.0).clamp(0, whole);
        let is_left = spent + one <= whole;
        self.whole_at = now.plus(if is_left { spent + one } else { spent });
        is_left
    }
}
