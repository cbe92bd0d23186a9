//! Whose passwords are being derived. Until one is known to be right or wrong, a call with the same address that comes at the
//! same time waits for it, and is not refused for what may turn out to be no failure. Kept in the memory of the one Registry
//! object, and bounded there.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use keyward_core::time::{Span, Timestamp};

/// A derivation that has taken longer than this was ended by the runtime.
const LONGEST: Span = Span::from_secs(5);
/// Most derivations that are known of; of more, the oldest are forgotten.
const MOST_ATTEMPTS: usize = 1_000;
/// How long a call waits before it looks again.
pub const LOOK_AGAIN: Span = Span::from_ms(100);
/// How often it looks at the most.
pub const MOST_LOOKS: u32 = 20;
/// How often it looks where nobody may learn that there was anything to look at: less than [`front::REFUSED_SIGN_IN`]
/// in all.
///
/// [`front::REFUSED_SIGN_IN`]: crate::front::REFUSED_SIGN_IN
pub const MOST_LOOKS_THROTTLED: u32 = 6;
/// Calls that may begin to wait within [`LOOK_AGAIN`], so that whoever floods makes few of them look.
const MOST_WAITING: u32 = 50;

/// The passwords that are being checked.
#[derive(Debug, Default)]
pub struct Attempts {
    in_hand: RefCell<VecDeque<(String, Timestamp)>>,
    waiting: Cell<(i64, u32)>,
}

impl Attempts {
    /// One of this subject is begun.
    pub fn begin(&self, subject: &str, now: Timestamp) {
        let mut in_hand = self.in_hand.borrow_mut();
        in_hand.retain(|(_, since)| since.is_within(LONGEST, now));
        if in_hand.len() >= MOST_ATTEMPTS {
            in_hand.pop_front();
        }
        in_hand.push_back((subject.to_owned(), now));
    }

    /// One of this subject has come to its end.
    pub fn end(&self, subject: &str) {
        let mut in_hand = self.in_hand.borrow_mut();
        if let Some(at) = in_hand.iter().position(|(own, _)| own == subject) {
            in_hand.remove(at);
        }
    }

    /// Whether it is worth while to wait for one of this subject, and there is room for one more who does.
    pub fn may_wait(&self, subject: &str, now: Timestamp) -> bool {
        let is_it = |(own, since): &(String, Timestamp)| own == subject && since.is_within(LONGEST, now);
        if !self.in_hand.borrow().iter().any(is_it) {
            return false;
        }
        let span = now.0.div_euclid(LOOK_AGAIN.ms());
        let (last, waiting) = self.waiting.get();
        let waiting = if last == span { waiting } else { 0 };
        self.waiting.set((span, waiting.saturating_add(1)));
        waiting < MOST_WAITING
    }
}
