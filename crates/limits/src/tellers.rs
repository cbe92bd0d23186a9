//! Recent tellers of a key's tallies. The receiver knows by them which tallies it has counted already, and notices when its
//! own clock was set.

use serde::{Deserialize, Serialize, Serializer};

use crate::{tally::REMEMBERED, wire::Tally};
use keyward_core::time::{Span, Timestamp};

/// Most tellers that are remembered: the most recent ones.
const MAX_TELLERS: usize = 512;
/// Most tellers that are stored although they have sent no counts, only the time.
const MAX_SILENT: usize = 8;

/// If the clock was set back by at most this, time stands still until it has caught up. Larger steps are compensated.
const STANDS_STILL: Span = Span::from_secs(1);
/// A clock that gained more than this on a teller's clock was set ahead. Messages take less time than that.
const SET_AHEAD: Span = Span::from_secs(10);

/// Tellers, those heard most recently last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Tellers(Vec<Teller>);

/// A teller: its name, the number of its last tally, and the time of its last call by its own clock and by the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Teller(u64, u64, Timestamp, Timestamp);

impl Teller {
    /// How far the receiver's clock was ahead of the teller's. It includes the time that the message took.
    fn offset(&self) -> Span {
        self.3 - self.2
    }
}

impl Tellers {
    /// Whether nobody was delivered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many have called within this time.
    pub fn within(&self, span: Span, now: Timestamp) -> usize {
        self.0.iter().filter(|known| known.3.is_within(span, now)).count()
    }

    /// Takes note of a tally. Returns whether it is new.
    pub fn ingest(&mut self, tally: &Tally, now: Timestamp) -> bool {
        let Tally { teller, number, sent, .. } = *tally;
        let known = self.0.iter().position(|known| known.0 == teller).map(|index| self.0.remove(index));
        let last = known.map_or(0, |known| known.1);
        self.0.retain(|known| known.3.is_within(REMEMBERED, now));
        if self.0.len() >= MAX_TELLERS {
            self.0.remove(0);
        }
        self.0.push(Teller(teller, last.max(number), sent, now));
        number > last
    }

    /// Returns by how much to move what was counted because the receiver's clock was set. It has shown `seen` before, and
    /// shows `clock` when this tally arrives. The tellers' times move by the same amount, and by nothing else: what one
    /// teller's clock shows says nothing about the others.
    ///
    /// - Set back a little: time stands still. By more: what was counted moves back by what the clock itself shows, so it
    ///   leaves later than necessary, never earlier.
    /// - Set ahead: the clock has gained much on a teller's clock since that teller's last call. For a new teller, it is
    ///   further ahead than it was of any other: what was counted must not be forgotten because a new one is the first to
    ///   call.
    pub fn follow(&mut self, tally: Option<&Tally>, seen: Timestamp, clock: Timestamp) -> Span {
        let passed = clock - seen;
        let moved = tally.and_then(|tally| self.moved(tally, clock)).unwrap_or_default();
        let step = if passed < -STANDS_STILL {
            passed
        } else if moved > SET_AHEAD {
            // At most what has passed by this clock.
            moved.min(passed.max(Span::ZERO))
        } else {
            Span::ZERO
        };
        self.shift(step);
        step
    }

    /// How much the receiver's clock has gained on this teller's.
    fn moved(&self, tally: &Tally, clock: Timestamp) -> Option<Span> {
        let now = Teller(tally.teller, 0, tally.sent, clock).offset();
        let known = self.0.iter().find(|known| known.0 == tally.teller).map(Teller::offset);
        let before = known.or_else(|| self.0.iter().map(Teller::offset).max())?;
        Some(now - before)
    }

    /// The receiver's clock was set: moves the times by that clock.
    pub fn shift(&mut self, by: Span) {
        for known in &mut self.0 {
            known.3 = known.3 + by;
        }
    }
}

/// What is stored: tellers that have sent counts, and the clocks of a few others.
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
