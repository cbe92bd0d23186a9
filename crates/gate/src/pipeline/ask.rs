//! How anything is asked that may not answer: for what is left of the decision's time at most, and not at all while
//! its breaker is open.

use super::context::Pipeline;
use crate::{breakers::Dependency, platform::Platform};
use keyward_core::{
    breaker::{End, Leave},
    log::Event,
    time::{Span, Timestamp},
    unavailable::{CallFailed, Unavailable},
};
use keyward_limits::timing::FIRST_ANSWER;

/// A call given less time than this that times out says nothing of the store's health.
const FAIR: Span = FIRST_ANSWER;

/// A call that is under way.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    of: Dependency<'a>,
    leave: Leave,
    began: Timestamp,
    within: Span,
}

impl<P: Platform> Pipeline<'_, P> {
    /// Leave to ask, and to wait this long for the answer.
    ///
    /// # Errors
    /// There is no time left, or it was in vain too often.
    pub(super) fn begin<'a>(&self, of: Dependency<'a>, within: Span) -> Result<Asking<'a>, Unavailable> {
        let began = self.platform.now();
        if within <= Span::ZERO {
            return Err(Unavailable);
        }
        let leave = self.memory.borrow_mut().breakers.leave(of, began, within).ok_or(Unavailable)?;
        Ok(Asking { of, leave, began, within })
    }

    /// Takes in how a call ended; why it failed goes into the log.
    pub(super) fn end_of<T>(
        &self,
        asking: Asking<'_>,
        answer: Result<T, CallFailed>,
    ) -> Result<T, Unavailable> {
        let Asking { of, leave, began, within } = asking;
        let now = self.platform.now();
        let end = match &answer {
            Ok(_) => End::Well,
            Err(_) if within < FAIR && now - began >= within => End::Unclear,
            Err(_) => End::Badly,
        };
        let opens = self.memory.borrow_mut().breakers.ended(of, leave, end, now);
        if let Err(error) = &answer {
            self.log_unavailable(of, &error.to_string());
        }
        if opens {
            self.log_unavailable(of, "it fails again and again: it is not asked for a while");
        }
        answer.map_err(|_| Unavailable)
    }

    pub(super) fn log_unavailable(&self, of: Dependency<'_>, error: &str) {
        let (request_id, store) = (self.request_id, of.name());
        self.platform.log(&Event::StoreUnavailable { request_id, store, error });
    }

    /// A call is not made after all: that says nothing of what it was for.
    pub(super) fn not_made(&self, Asking { of, leave, .. }: Asking<'_>) {
        let now = self.platform.now();
        self.memory.borrow_mut().breakers.ended(of, leave, End::Unclear, now);
    }

    /// The answer of a dependency, if it is asked and answers within this time.
    pub async fn ask_of<T>(
        &self,
        of: Dependency<'_>,
        within: Span,
        ask: impl AsyncFnOnce(Span) -> Result<T, CallFailed>,
    ) -> Result<T, Unavailable> {
        let asking = self.begin(of, within)?;
        let answer = ask(within).await;
        self.end_of(asking, answer)
    }
}
