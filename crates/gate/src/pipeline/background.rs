//! Background tasks: what is done for a key once an answer is on its way, to keep leases in order.

use keyward_core::time::Span;
use keyward_limits::{
    lease::Grantor,
    timing::{FIRST_ANSWER, MAX_LEASE_LENGTH},
    wire::Lease,
};

/// A background task for one lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackgroundTask {
    pub(super) hash: String,
    pub(super) version: u64,
    pub(super) freshness: Span,
    pub(super) kind: TaskKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskKind {
    /// Ask for the next lease ahead of need.
    Renew,
    /// Report this lease shortly before its end, so that what is unused is free again.
    End { grantor: Grantor, lease: u64, after: Span },
}

/// Shortly before the lease ends, but late enough that little of it is wasted. Nobody waits for the end of a long lease, which
/// is of few requests: the platform would not let a task live for that time.
pub(super) fn end_of(grantor: Grantor, lease: &Lease) -> Option<TaskKind> {
    let after = lease.length - (lease.length / 10).min(FIRST_ANSWER);
    (lease.length <= MAX_LEASE_LENGTH).then_some(TaskKind::End { grantor, lease: lease.id, after })
}
