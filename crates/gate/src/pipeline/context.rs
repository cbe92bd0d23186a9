//! What every step of a check works with.

use std::{cell::RefCell, rc::Rc};

use crate::{deadline::Deadline, denial::Denial, jwt::Issuers, memory::Memory, stores::Stores};
use keyward_core::secret::Secrets;

/// What a check needs beside the request.
pub struct Pipeline<'a, S> {
    /// The platform.
    pub stores: &'a S,
    /// The isolate's memory; never borrowed while something is waited for.
    pub memory: Rc<RefCell<Memory>>,
    /// What verifies tokens.
    pub issuers: Rc<Issuers>,
    /// The deployment's secrets, or that there are none.
    pub secrets: Result<Rc<Secrets>, Denial>,
    /// Until when the decision must be there.
    pub deadline: Deadline,
}

impl<S: Stores> Pipeline<'_, S> {
    /// Milliseconds that are left of the decision's time.
    pub(crate) fn left(&self) -> u32 {
        self.deadline.left(self.stores.now())
    }
}

/// The refusal when a store did not answer.
pub fn unavailable(store: &'static str) -> Denial {
    Denial::StoreUnavailable { store }
}
