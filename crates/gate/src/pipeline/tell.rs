//! Behind an answer: the objects of keys are told what this isolate has counted, without a further request.

use futures_util::{StreamExt, stream};

use super::{
    call::{dependency, owner},
    context::Pipeline,
};
use crate::platform::Platform;
use keyward_core::time::{Span, Timestamp};
use keyward_limits::{
    lease::Grantor,
    timing::BACKGROUND_ANSWER,
    wire::{CoordinatorCall, ReportAck, UNATTRIBUTED},
};

/// A round ends by then, since the platform ends what goes on 30 s after an answer. What is left then, where
/// calls have failed, the next request of this isolate sees to, whatever its key.
const MAX_ROUND: Span = Span::from_secs(25);
/// It looks again after this long at the latest.
const LOOK: Span = Span::from_secs(1);
/// Most calls of a round, and most at a time.
const MAX_CALLS: usize = 40;
const MAX_CONCURRENT: usize = 4;

impl<P: Platform> Pipeline<'_, P> {
    /// Tells, for some time, what there is to tell.
    pub async fn tell(&self) {
        let began = self.platform.now();
        let mut calls = 0;
        while calls < MAX_CALLS && !self.memory.borrow().ledger.is_empty() && self.is_within(began) {
            let due = self.memory.borrow_mut().ledger.due(self.platform.now());
            if due.is_empty() {
                self.platform.wait(LOOK).await;
                continue;
            }
            calls += due.len();
            let tell = |hash: String| async move { self.tell_one(&hash).await };
            stream::iter(due).for_each_concurrent(MAX_CONCURRENT, tell).await;
        }
        self.memory.borrow_mut().ledger.ends_round(began);
    }

    fn is_within(&self, began: Timestamp) -> bool {
        began.is_within(MAX_ROUND, self.platform.now())
    }

    async fn tell_one(&self, hash: &str) {
        let now = self.platform.now();
        let (grantor, record) = {
            let memory = self.memory.borrow();
            // What belongs to no key all isolates have: while their relays fail, it waits.
            let to_relay = hash == UNATTRIBUTED
                || memory.grantor(hash) == Grantor::Relay && memory.breakers.relay_is_closed(hash, now);
            let usual = if to_relay { Grantor::Relay } else { Grantor::Coordinator };
            (memory.ledger.sent_to(hash).unwrap_or(usual), memory.peek(hash))
        };
        // A tally is nobody else's once it was begun for this one: so not before it can be sent.
        let of = dependency(hash, owner(record.as_ref()), grantor);
        let Ok(asking) = self.begin(of, BACKGROUND_ANSWER) else { return };
        let tally = self.memory.borrow_mut().ledger.begin(hash, grantor, now);
        if tally.is_empty() {
            self.not_made(asking);
            return;
        }
        let call = CoordinatorCall::Report {
            refused: tally.refused(),
            leases: Vec::new(),
            tally: Some(tally.clone()),
        };
        let heard = self.platform.coordinator::<ReportAck>(hash, grantor, &call, BACKGROUND_ANSWER).await;
        let heard = self.end_of(asking, heard).is_ok();
        self.memory.borrow_mut().ledger.end(hash, &tally, heard, self.platform.now());
    }
}
