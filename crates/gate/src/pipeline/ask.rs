//! How anything is asked that may not answer: for what is left of the decision's time at most, and not at all while
//! its breaker is open.

use super::context::Pipeline;
use crate::{breakers::Dependency, stores::Stores};
use keyward_core::{
    breaker::{End, Leave},
    time::Timestamp,
    unavailable::Unavailable,
};
use keyward_limits::timing::FIRST_ANSWER_MS;

/// Who is given less time than this and does not answer may be well: a usual answer may take as long.
const FAIR_MS: u32 = FIRST_ANSWER_MS;

/// A call that is under way.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    of: Dependency<'a>,
    leave: Leave,
    began: Timestamp,
    within_ms: u32,
}

impl<S: Stores> Pipeline<'_, S> {
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
            Err(_) if within_ms < FAIR_MS && now.0 - began.0 >= within_ms.into() => End::Unclear,
            Err(_) => End::Badly,
        };
        let opens = self.memory.borrow_mut().breakers.ended(of, leave, end, now);
        if opens {
            self.stores.note(of.name(), "it fails again and again: it is not asked for a while");
        }
    }

    /// A call is not made after all: that says nothing of what it was for.
    pub(super) fn not_made(&self, Asking { of, leave, .. }: Asking<'_>) {
        let now = self.stores.now();
        self.memory.borrow_mut().breakers.ended(of, leave, End::Unclear, now);
    }

    /// The answer of a dependency, if it is asked and answers within this many milliseconds.
    pub async fn ask_of<T>(
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
}
