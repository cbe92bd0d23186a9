//! How much may be spent, and how soon it is there again: the generic cell rate algorithm, with the time as an
//! argument.

use keyward_core::time::{Span, Timestamp};

/// `at_once` uses at first, then one more per `every`.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// How many at once.
    pub at_once: u32,
    /// The time until there is one more.
    pub every: Span,
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
        let whole = of.every * i64::from(of.at_once);
        // A clock that was set back leaves no less than nothing.
        let spent = (self.whole_at - now).clamp(Span::ZERO, whole);
        let is_left = spent + of.every <= whole;
        self.whole_at = now + if is_left { spent + of.every } else { spent };
        is_left
    }
}
