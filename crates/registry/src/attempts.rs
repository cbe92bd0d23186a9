//! Passwords that are being derived, of whom: until one is known to be right or wrong, whoever types the same at the same
//! time waits for that, and is not refused for what may be no failure. Kept in the memory of the one Registry object,
//! and bounded there.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use keyward_core::time::{SECOND, Timestamp};

/// A derivation that has taken longer than this was ended by the runtime.
const LONGEST_MS: i64 = 5 * SECOND;
/// Most derivations that are known of; of more, the oldest are forgotten.
const MOST_ATTEMPTS: usize = 1_000;
/// How long a call waits before it looks again, in milliseconds.
pub const LOOK_AGAIN_MS: u32 = 100;
/// How often it looks at the most.
pub const MOST_LOOKS: u32 = 20;
/// How often it looks where nobody may learn that there was anything to look at: less than [`front::REFUSED_SIGN_IN_MS`]
/// in all.
///
/// [`front::REFUSED_SIGN_IN_MS`]: crate::front::REFUSED_SIGN_IN_MS
pub const MOST_LOOKS_UNSEEN: u32 = 6;
/// Calls that may begin to wait within [`LOOK_AGAIN_MS`], so that whoever floods makes few of them look.
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
        in_hand.retain(|(_, since)| is_young(*since, now));
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
        let is_it = |(own, since): &(String, Timestamp)| own == subject && is_young(*since, now);
        if !self.in_hand.borrow().iter().any(is_it) {
            return false;
        }
        let span = now.0.div_euclid(LOOK_AGAIN_MS.into());
        let (last, waiting) = self.waiting.get();
        let waiting = if last == span { waiting } else { 0 };
        self.waiting.set((span, waiting.saturating_add(1)));
        waiting < MOST_WAITING
    }
}

/// In the future it was not: the clock was set back.
fn is_young(since: Timestamp, now: Timestamp) -> bool {
    (0..LONGEST_MS).contains(&(now.0 - since.0))
}
