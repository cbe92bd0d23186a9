//! What every step of a check works with.

use std::{cell::RefCell, rc::Rc};

use crate::{deadline::Deadline, denial::Denial, jwt::Issuers, memory::Memory, platform::Platform};
use keyward_core::{
    record::{Jurisdiction, Record},
    secret::Secrets,
    time::Span,
};
use keyward_limits::{routes::RouteName, used_from::UsedFrom};

/// What a check needs beside the request.
pub struct Pipeline<'a, P> {
    /// The platform.
    pub platform: &'a P,
    /// The isolate's memory; never borrowed while something is waited for.
    pub memory: Rc<RefCell<Memory>>,
    /// What verifies tokens.
    pub issuers: Rc<Issuers>,
    /// The deployment's secrets, or that there are none.
    pub secrets: Result<Rc<Secrets>, Denial>,
    /// Until when the decision must be there.
    pub deadline: Deadline,
    /// The id of the request, for the log; `None` behind an answer, where what is done is not one request's.
    pub request_id: Option<&'a str>,
    /// The policy's jurisdiction: records of any other are refused.
    pub jurisdiction: Option<Jurisdiction>,
    /// Where the request comes from, for a key's last use.
    pub from: Option<UsedFrom<'a>>,
}

impl<P: Platform> Pipeline<'_, P> {
    /// The route that the request takes, if there is one.
    pub(crate) fn route(&self) -> Option<RouteName<'_>> {
        self.from.and_then(|from| from.route)
    }

    /// Whether a request with this key counts as in flight until its answer has ended. The admin API's own do not.
    pub(super) fn is_counted_in_flight(&self, record: &Record) -> bool {
        record.limits.in_flight.is_some() && self.from.is_some()
    }

    /// What is left of the decision's time.
    pub(crate) fn left(&self) -> Span {
        self.deadline.left(self.platform.now())
    }
}

/// The refusal when a store did not answer.
pub fn unavailable(store: &'static str) -> Denial {
    Denial::StoreUnavailable { store }
}
