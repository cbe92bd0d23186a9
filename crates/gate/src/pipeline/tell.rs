//! Behind an answer: the objects of keys are told what this isolate has counted, without a further request.

use futures_util::{StreamExt, stream};

use super::{
    call::{dependency, owner},
    charge::BACKGROUND_MS,
    context::Pipeline,
};
use crate::stores::Stores;
use keyward_core::time::{SECOND, Timestamp};
use keyward_limits::{
    lease::Grantor,
    wire::{CoordinatorCall, ReportAck},
};

/// A round ends by then, since the platform ends what goes on 30 s after an answer. What is left then, where
/// calls have failed, the next request of this isolate sees to, whatever its key.
const MAX_ROUND_MS: i64 = 25 * SECOND;
/// It looks again after so long at the latest.
const LOOK_MS: i64 = SECOND;
/// Most calls of a round, and most at a time.
const MAX_CALLS: usize = 40;
const MAX_CONCURRENT: usize = 4;

impl<S: Stores> Pipeline<'_, S> {
    /// Whether this request is to begin a round of [`Pipeline::tell`], once its answer is on its way.
    pub fn begins_to_tell(&self) -> bool {
        self.memory.borrow_mut().ledger.begins_round(self.stores.now())
    }

    /// Tells, for some time, what there is to tell.
    pub async fn tell(&self) {
        let began = self.stores.now();
        let mut calls = 0;
        while calls < MAX_CALLS && !self.memory.borrow().ledger.is_empty() && self.is_within(began) {
            let due = self.memory.borrow_mut().ledger.due(self.stores.now());
            if due.is_empty() {
                self.stores.wait(LOOK_MS as u32).await;
                continue;
            }
            calls += due.len();
            let tell = |hash: String| async move { self.tell_one(&hash).await };
            stream::iter(due).for_each_concurrent(MAX_CONCURRENT, tell).await;
        }
        self.memory.borrow_mut().ledger.ends_round(began);
    }

    fn is_within(&self, began: Timestamp) -> bool {
        (0..MAX_ROUND_MS).contains(&(self.stores.now().0 - began.0))
    }

    async fn tell_one(&self, hash: &str) {
        let now = self.stores.now();
        let (grantor, record) = {
            let memory = self.memory.borrow();
            let to_relay =
                memory.grantor(hash) == Grantor::Relay && memory.breakers.relay_is_closed(hash, now);
            let usual = if to_relay { Grantor::Relay } else { Grantor::Coordinator };
            (memory.ledger.told_to(hash).unwrap_or(usual), memory.peek(hash))
        };
        // A tally is nobody else's once it was begun for this one: so not before it can be sent.
        let of = dependency(hash, owner(record.as_ref()), grantor);
        let Ok(asking) = self.begin(of, BACKGROUND_MS) else { return };
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
        let heard = self.stores.coordinator::<ReportAck>(hash, grantor, &call, BACKGROUND_MS).await;
        self.end_of(asking, &heard);
        self.memory.borrow_mut().ledger.end(hash, &tally, heard.is_ok(), self.stores.now());
    }
}
