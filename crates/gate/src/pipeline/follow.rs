//! Following the change log: whether a remembered record still holds, for all keys with one call.

use futures_util::future::join;
use keyward_changes::reader::{READ_WITHIN, Standing};
use keyward_core::time::{Span, Timestamp};
use keyward_limits::{lease::POLL, timing::TRAVEL};

use super::{cached_record::CachedRecord, context::Pipeline};
use crate::{breakers::Dependency, denial::Denial, platform::Platform};

/// Most calls of one read, each for a part of a long log.
const MAX_PARTS: usize = 32;

/// What the log says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// There was no other within the time for which that counts.
    Holds,
    /// The key was revoked, for good: whenever that was said.
    Revoked,
    /// Nothing that counts.
    None,
}

/// For how long what the log said may be decided by: even the last request arrives within `freshness`.
fn counts_for(freshness: Span) -> Span {
    freshness.less(TRAVEL)
}

impl<P: Platform> Pipeline<'_, P> {
    /// Brings the record up to what the log has said of its key and tenant. What it says of the record.
    pub(super) fn follow(&self, cached: &mut CachedRecord, freshness: Span, now: Timestamp) -> Word {
        let mut memory = self.memory.borrow_mut();
        let (record, standing) = memory.current(&cached.hash, &cached.record);
        cached.record = record;
        let span = counts_for(freshness);
        if span > Span::ZERO {
            memory.changes.wants(span);
        }
        let is_same_epoch = cached.epoch == memory.epoch();
        match standing {
            Standing::Revoked => Word::Revoked,
            Standing::Holds if is_same_epoch && memory.changes.is_within(span, now) => Word::Holds,
            Standing::Holds | Standing::Replaced => Word::None,
        }
    }

    /// Reads the log on if it was not read within `freshness`, or waits for another request that does. Whatever comes of it
    /// is in memory: if the log cannot be read, the key's object is asked instead, for which half of the time is left.
    pub(super) async fn catch_up(&self, freshness: Span) {
        let (span, came) = (counts_for(freshness), self.platform.now());
        let patience = READ_WITHIN.min(self.deadline.left(came) / 2);
        if span == Span::ZERO {
            return;
        }
        // Timers tell how long that is, whatever the clock shows.
        for _ in 0..patience / POLL {
            let now = self.platform.now();
            let (is_done, is_reading) = {
                let mut memory = self.memory.borrow_mut();
                memory.notice(now);
                let changes = &memory.changes;
                (changes.is_within(span, now) || changes.is_left_alone(now), changes.is_reading(now))
            };
            if is_done {
                return;
            }
            if !is_reading {
                return self.read_changes(span, patience - (now - came).max(Span::ZERO)).await;
            }
            self.platform.wait(POLL).await;
        }
    }

    /// Reads what has changed since the log was last read.
    pub async fn read_changes(&self, span: Span, within: Span) {
        let began = self.platform.now();
        for _ in 0..MAX_PARTS {
            let asked = self.platform.now();
            let left = within - (asked - began);
            let Ok(asking) = self.begin(Dependency::Changes, left) else {
                self.memory.borrow_mut().changes.give_up();
                return;
            };
            let (before, call) = {
                let mut memory = self.memory.borrow_mut();
                (memory.notice(asked), memory.changes.begin(span, asked))
            };
            let answer = self.platform.changes(&call, left).await;
            let answer = self.end_of(asking, answer);
            let mut memory = self.memory.borrow_mut();
            let set_back = memory.notice(self.platform.now()) - before;
            memory.changes.end(asked);
            let Ok(news) = answer else { return };
            let more = news.more;
            memory.learn(&call, news, asked - set_back);
            if !more {
                return;
            }
        }
    }

    /// Reads a record while the log is read on.
    pub(super) async fn while_catching_up<T>(
        &self,
        freshness: Span,
        read: impl Future<Output = Result<T, Denial>>,
    ) -> Result<T, Denial> {
        join(read, self.catch_up(freshness)).await.0
    }
}
