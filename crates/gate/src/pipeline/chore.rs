//! What is done for a key once an answer is on its way: leases are kept in order.

use keyward_limits::{lease::Lessor, timing::PROMPT, wire::Lease};

/// What keeps a lease in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chore {
    pub(super) hash: String,
    pub(super) version: u64,
    pub(super) life_ms: u32,
    pub(super) kind: ChoreKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChoreKind {
    /// Ask for more ahead of need.
    Renew,
    /// Report this lease shortly before it ends, so that what is unused is free again.
    End { lessor: Lessor, lease: u64, after_ms: u32 },
}

/// Shortly before the lease ends, and not so early that little of it is left to use.
pub(super) fn end_of(lessor: Lessor, lease: Lease) -> ChoreKind {
    let after_ms = lease.life_ms - (lease.life_ms / 10).min(PROMPT);
    ChoreKind::End { lessor, lease: lease.id, after_ms }
}
