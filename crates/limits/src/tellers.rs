//! Recent tellers of a key's tallies: so that a repeated tally counts once, and that the receiver notices when its own
//! clock was set, which may happen at any time.

use serde::{Deserialize, Serialize, Serializer};

use crate::{tally::REMEMBERED_MS, wire::Tally};
use keyward_core::time::{SECOND, Timestamp};

/// Most tellers that are told apart: the most recent.
const MAX_TELLERS: usize = 512;
/// Most of those that are stored although they have told nothing but the time.
const MAX_SILENT: usize = 8;

/// A clock that was set back by up to this many milliseconds stands still until it has caught up; larger steps are
/// compensated.
const STANDS_STILL_MS: i64 = SECOND;
/// A clock that has moved this many milliseconds more than a teller's was set ahead: messages travel in less.
const SET_AHEAD_MS: i64 = 10 * SECOND;

/// In the order in which they were heard last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Tellers(Vec<Teller>);

/// Who, the number of the last tally, and the times of the last call: the teller's and the hearer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Teller(u64, u64, Timestamp, Timestamp);

impl Teller {
    /// How far the hearer's clock was ahead of this one's. A message is on its way for a moment, too.
    fn offset(&self) -> i64 {
        self.3.0.saturating_sub(self.2.0)
    }
}

impl Tellers {
    /// Whether nobody was heard.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hears a tally: whether it is new.
    pub fn ingest(&mut self, tally: &Tally, now: Timestamp) -> bool {
        let Tally { teller, number, sent, .. } = *tally;
        let known = self.0.iter().position(|known| known.0 == teller).map(|place| self.0.remove(place));
        let last = known.map_or(0, |known| known.1);
        self.0.retain(|known| (0..REMEMBERED_MS).contains(&(now.0 - known.3.0)));
        if self.0.len() >= MAX_TELLERS {
            self.0.remove(0);
        }
        self.0.push(Teller(teller, last.max(number), sent, now));
        number > last
    }

    /// By how much what was counted is to be moved since the hearer's clock was set: that has shown `seen` before,
    /// and shows `clock` when this tally comes. What it showed when others were heard moves with it, and by nothing
    /// else: what one teller's clock shows says nothing of when others were heard.
    ///
    /// - A clock that was set back by a little stands still. By more, what was counted is earlier by as much as can be
    ///   seen without believing anybody: it leaves later than need be, never sooner.
    /// - One that has moved by much more than that of a teller since that was last heard was set ahead. So was one
    ///   that is much further ahead of a teller who was not heard before than it ever was of the others: what was
    ///   counted must not be forgotten because a new one is the first to call.
    pub fn follow(&mut self, tally: Option<&Tally>, seen: Timestamp, clock: Timestamp) -> i64 {
        let passed = clock.0 - seen.0;
        let moved = tally.and_then(|tally| self.moved(tally, clock)).unwrap_or_default();
        let step = if passed < -STANDS_STILL_MS {
            passed
        } else if moved > SET_AHEAD_MS {
            // No more than has passed by this clock.
            moved.min(passed.max(0))
        } else {
            0
        };
        self.shift(step);
        step
    }

    /// How far the hearer's clock has moved away from this teller's.
    fn moved(&self, tally: &Tally, clock: Timestamp) -> Option<i64> {
        let now = Teller(tally.teller, 0, tally.sent, clock).offset();
        let known = self.0.iter().find(|known| known.0 == tally.teller).map(Teller::offset);
        let before = known.or_else(|| self.0.iter().map(Teller::offset).max())?;
        Some(now.saturating_sub(before))
    }

    /// The hearer's clock was set: what it showed then is by so much more or less now.
    pub fn shift(&mut self, by: i64) {
        for known in &mut self.0 {
            known.3 = known.3.plus(by);
        }
    }
}

/// What must outlive the hearer: who has told something, and the clocks of a few others.
impl Serialize for Tellers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let silent = self.0.iter().filter(|known| known.1 == 0).count();
        let mut left_out = silent.saturating_sub(MAX_SILENT);
        serializer.collect_seq(self.0.iter().filter(|known| {
            let is_left_out = known.1 == 0 && left_out > 0;
            left_out -= usize::from(is_left_out);
            !is_left_out
        }))
    }
}
