//! How anything is asked that may not answer: for what is left of the decision's time at most, and not at all while
//! its breaker is open.

use super::{Pipeline, Stores, Unavailable};
use crate::{
    breaker::{Dependency, End, Leave},
    denial::Denial,
    time::Timestamp,
};

/// Who is given less time than this and does not answer may be well.
const FAIR: u32 = 250;
/// The limiter of failing networks decides about no request: none waits longer for it.
const LIMITER: u32 = 500;

/// A call that is under way.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    of: Dependency<'a>,
    leave: Leave,
    began: Timestamp,
    within_ms: u32,
}

impl<S: Stores> Pipeline<'_, S> {
    /// Milliseconds that are left of the decision's time.
    pub(crate) fn left(&self) -> u32 {
        self.deadline.left(self.stores.now())
    }

    /// Leave to ask, for so long.
    ///
    /// # Errors
    /// There is no time left, or it was in vain too often.
    pub(super) fn begin<'a>(&self, of: Dependency<'a>, within_ms: u32) -> Result<Asking<'a>, Unavailable> {
        let began = self.stores.now();
        if within_ms == 0 {
            return Err(Unavailable);
        }
        let leave = self.memory.borrow_mut().breakers.leave(of, began, within_ms).ok_or(Unavailable)?;
        Ok(Asking { of, leave, began, within_ms })
    }

    /// Takes in how a call ended.
    pub(super) fn end_of<T>(&self, asking: Asking<'_>, answer: &Result<T, Unavailable>) {
        let Asking { of, leave, began, within_ms } = asking;
        let now = self.stores.now();
        let end = match answer {
            Ok(_) => End::Well,
            Err(_) if within_ms < FAIR && now.0 - began.0 >= within_ms.into() => End::Unclear,
            Err(_) => End::Badly,
        };
        let opens = self.memory.borrow_mut().breakers.ended(of, leave, end, now);
        if opens {
            self.stores.note(of.name(), "it fails again and again: it is not asked for a while");
        }
    }

    /// The answer of something, if it is asked and answers within so many milliseconds.
    pub(crate) async fn ask_of<T>(
        &self,
        of: Dependency<'_>,
        within_ms: u32,
        ask: impl AsyncFnOnce(u32) -> Result<T, Unavailable>,
    ) -> Result<T, Unavailable> {
        let asking = self.begin(of, within_ms)?;
        let answer = ask(within_ms).await;
        self.end_of(asking, &answer);
        answer
    }

    /// # Errors
    /// [`Denial::TooManyFailures`] for a network that is held back.
    pub(crate) fn not_held_back(&self, network: &str) -> Result<(), Denial> {
        let held_back = self.memory.borrow_mut().held_back(network, self.stores.now());
        held_back.map_or(Ok(()), |retry_after_ms| Err(Denial::TooManyFailures { retry_after_ms }))
    }

    /// Counts a failure of this network, which is held back from then on if those are too many.
    pub(crate) async fn count_failure(&self, network: &str) {
        if self.fails_too_often(network).await {
            self.memory.borrow_mut().hold_back(network, self.stores.now());
        }
    }

    /// Counts a failure of this network; whether it has now failed too often. The limiter guards stores against
    /// guessing and decides about no key: without it keys still work.
    pub(crate) async fn fails_too_often(&self, network: &str) -> bool {
        self.fails_too_often_within(network, self.left()).await
    }

    /// The same behind what a client took its time for, which does not count as the decision's.
    pub(crate) async fn fails_too_often_after_body(&self, network: &str) -> bool {
        self.fails_too_often_within(network, LIMITER).await
    }

    async fn fails_too_often_within(&self, network: &str, within_ms: u32) -> bool {
        let count = async |within_ms| self.stores.fails_too_often(network, within_ms).await;
        self.ask_of(Dependency::Limiter, within_ms.min(LIMITER), count).await.unwrap_or(false)
    }
}
