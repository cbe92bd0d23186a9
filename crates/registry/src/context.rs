//! One call in hand: what its handler may read and write.

use std::cell::{Cell, RefCell};

use keyward_core::{
    entropy::Entropy,
    secret::{Secret, Secrets},
    sql::Sql,
    time::Timestamp,
};
use keyward_policy::Policy;
use serde_json::Value;

use crate::{admin_call::AdminCall, call_state::CallState, memory::Memory, outcome::Outcome, rates::Counted};

/// One call in hand.
pub struct RequestContext<'a> {
    pub(super) db: &'a dyn Sql,
    pub(super) policy: &'static Policy,
    pub(super) secrets: &'a Secrets,
    pub(super) setup_token: Option<&'a Secret>,
    pub(super) memory: &'a Memory,
    pub(super) call: &'a AdminCall,
    pub(super) state: &'a CallState,
    pub(super) now: Timestamp,
    pub(super) entropy: &'a mut dyn Entropy,
    /// Whether what was written is kept although the call is refused.
    pub(super) stands: Cell<bool>,
    /// Whether the call was counted, in an attempt before this one.
    pub(super) is_counted: bool,
    /// As what it was counted in this one.
    pub(super) counted: RefCell<Option<Counted>>,
}

impl RequestContext<'_> {
    /// Keeps what this turn writes also if the call is refused: attempts have to count then above all.
    pub fn keep_if_refused(&self) {
        self.stands.set(true);
    }

    /// 201 for what can be found at this path of the API.
    pub fn created(&self, path: &str, body: Value) -> Outcome {
        Outcome::created(format!("{}{path}", self.policy.admin.api), body)
    }

    /// A line for the log.
    pub fn notice(&self, text: String) {
        self.memory.notices.borrow_mut().push(text);
    }
}
