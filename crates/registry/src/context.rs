//! What a handler may read and write while it carries out a call.

use std::cell::{Cell, RefCell};

use keyward_core::{
    entropy::Entropy,
    secret::{Secret, Secrets},
    sql::Sql,
    time::Timestamp,
};
use keyward_policy::Policy;
use serde_json::Value;

use crate::{
    admin_call::AdminCall,
    call_state::CallState,
    memory::Memory,
    outcome::Outcome,
    rates::{Counted, Weight},
};

/// A call that is being carried out.
pub struct RequestContext<'a> {
    pub(super) db: &'a dyn Sql,
    pub(super) policy: &'static Policy,
    pub(super) secrets: &'a Secrets,
    pub(super) setup_token: Option<&'a Secret>,
    pub(super) recovery_token: Option<&'a Secret>,
    pub(super) memory: &'a Memory,
    pub(super) call: &'a AdminCall,
    pub(super) state: &'a CallState,
    pub(super) now: Timestamp,
    pub(super) entropy: &'a mut dyn Entropy,
    /// Whether what was written is kept even if the call is refused.
    pub(super) stands: Cell<bool>,
    /// How the call counts.
    pub(super) weight: Weight,
    /// Whether the call was counted, in an attempt before this one.
    pub(super) is_counted: bool,
    /// How it was counted in this attempt.
    pub(super) counted: RefCell<Option<Counted>>,
}

impl RequestContext<'_> {
    /// Keeps what this attempt writes even if the call is refused: that is when failed attempts have to count.
    pub fn keep_if_refused(&self) {
        self.stands.set(true);
    }

    /// 201, with this path of the API as its location.
    pub fn created(&self, path: &str, body: Value) -> Outcome {
        Outcome::created(format!("{}{path}", self.policy.admin.api), body)
    }

    /// A line for the log.
    pub fn notice(&self, text: String) {
        self.memory.notices.borrow_mut().push(text);
    }
}
