//! Following the change log: whether a remembered record still holds, for all keys with one call.

use std::rc::Rc;

use futures_util::future::join;
use keyward_changes::{reader::Standing, timing::READ_WITHIN};
use keyward_core::{
    record::{Record, Status, Tenant, TenantStatus},
    time::{Span, Timestamp},
};
use keyward_limits::{
    lease::{POLL, counts_for},
    timing::FIRST_ANSWER,
};

use super::{
    cached_record::{CachedRecord, Validation},
    context::Pipeline,
};
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

impl<P: Platform> Pipeline<'_, P> {
    /// What the log says of the record, which is brought up to that: a key that was revoked, a tenant that was deactivated, and
    /// the tenant as it is now, where the key's object has not just sent another.
    pub(super) fn follow(&self, cached: &mut CachedRecord, freshness: Span, now: Timestamp) -> Word {
        let mut memory = self.memory.borrow_mut();
        let span = counts_for(freshness);
        if span > Span::ZERO {
            memory.changes.wants(span);
        }
        let changes = &memory.changes;
        let standing = changes.standing(&cached.hash, &cached.record);
        if standing == Standing::Revoked {
            if cached.record.status != Status::Revoked {
                cached.record = Rc::new(Record { status: Status::Revoked, ..Record::clone(&cached.record) });
            }
            return Word::Revoked;
        }
        let counts = changes.is_within(span, now) && cached.epoch == memory.epoch();
        let is_sent_now = matches!(cached.validation, Validation::Now);
        let is_inactive = |tenant: &Tenant| tenant.status == TenantStatus::Inactive;
        // That it was deactivated is newer than the record also where the word is too old to count, or the key's object, which
        // may not have been told yet, has just sent the record. Then it must be read again, or the object be asked.
        let applies = |tenant: &&Tenant| is_inactive(tenant) || counts && !is_sent_now;
        if let Some(tenant) = changes.tenant(&cached.record).filter(applies) {
            let tenant = tenant.clone();
            // Whoever may not pass now need not ask for what else has changed.
            let word = if counts && is_inactive(&tenant) { Word::Holds } else { Word::None };
            cached.record = Rc::new(Record { tenant, ..Record::clone(&cached.record) });
            return word;
        }
        if counts && standing == Standing::Holds { Word::Holds } else { Word::None }
    }

    /// Whether the record is known to hold, from the log or from its key's object.
    pub(super) fn holds(&self, cached: &CachedRecord, freshness: Span, now: Timestamp) -> bool {
        let mut memory = self.memory.borrow_mut();
        let span = counts_for(freshness);
        let is_confirmed = memory.record(&cached.hash).is_some_and(|(record, confirmed)| {
            record.version == cached.record.version && confirmed.is_within(span, now)
        });
        is_confirmed
            || memory.changes.is_within(span, now)
                && cached.epoch == memory.epoch()
                && memory.changes.standing(&cached.hash, &cached.record) == Standing::Holds
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
                let is_reading = changes.is_reading(now);
                // Whoever tries a log that fails does so alone.
                let is_in_vain = changes.is_left_alone(now) || is_reading && memory.breakers.log_fails();
                (changes.is_within(span, now) || is_in_vain, is_reading)
            };
            if is_done {
                return;
            }
            if !is_reading {
                let left = patience - (now - came).max(Span::ZERO);
                self.read_changes(span, left.min(FIRST_ANSWER)).await;
                // A message may have been lost: then there is time for another one. A log that fails says so at once.
                if self.platform.now() - now < FIRST_ANSWER {
                    return;
                }
                continue;
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
            let (before, relay, call) = {
                let mut memory = self.memory.borrow_mut();
                let relay = memory.changes.relay(memory.client_id);
                (memory.notice(asked), relay, memory.changes.begin(span, asked))
            };
            let answer = self.platform.changes(relay, &call, left).await;
            let answer = self.end_of(asking, answer);
            let mut memory = self.memory.borrow_mut();
            let set_back = memory.notice(self.platform.now()) - before;
            memory.changes.end(asked);
            let Ok(news) = answer else { return memory.changes.failed() };
            let more = news.more;
            memory.learn(&call, news, asked - set_back);
            if !more || memory.changes.is_left_alone(asked) {
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
