//! What the log says of requests, and whose traces they belong to.

use super::data::policy_data;

policy_data! {
/// The log.
pub struct Log {
    /// Which requests have a line.
    pub requests: LoggedRequests,
    /// Of the requests that pass, one in this many has one, where they are sampled.
    pub one_in: u32,
    /// What happens to a client's `traceparent`.
    pub traces: Traces,
}

/// Which requests have a line.
pub enum LoggedRequests {
    /// None.
    None,
    /// Those that are refused.
    Refused,
    /// Those that are refused, and some of those that pass.
    Sampled,
    /// All.
    All,
}

/// What happens to the trace that a client's request belongs to (W3C Trace Context, section 3.4).
pub enum Traces {
    /// It goes on.
    Continue,
    /// It ends here, and one of the gate's own begins.
    Restart,
}
}

impl Log {
    /// That of a policy that says nothing of it.
    pub const DEFAULT: Self =
        Self { requests: LoggedRequests::Refused, one_in: 100, traces: Traces::Continue };

    pub(super) fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::DEFAULT
    }
}
