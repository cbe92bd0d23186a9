//! The leases that a relay holds, and the subleases that it has cut from them.

use crate::wire::Lease;
use keyward_core::time::{Span, Timestamp};

/// This long before a lease's end the relay gives back what is left of it: longer than the gap between two calls, so that one
/// call fits in.
pub(super) const RETURN: Span = Span::from_secs(1);

/// A lease that the relay holds.
#[derive(Debug)]
pub(super) struct RelayLease {
    pub lease: Lease,
    pub begins: Timestamp,
    pub ends: Timestamp,
    /// Units neither used nor cut.
    pub left: u32,
    pub used: u32,
    pub last_use: Timestamp,
    /// Single requests granted from it: for each, the latest moment at which it may be admitted, and its units.
    pub singles: Vec<(Timestamp, u32)>,
    /// Whether the next lease was already asked for.
    pub renewed: bool,
    /// Whether what was left of it was given back.
    pub returned: bool,
    /// Whether a task waits for the moment to give it back.
    pub watched: bool,
}

/// A part of a lease, granted to an isolate.
#[derive(Debug)]
pub(super) struct Sublease {
    pub id: u64,
    /// The lease that it is cut from.
    pub lease_held: u64,
    pub used: u32,
    /// Units that may still be admitted.
    pub open: u32,
}

impl RelayLease {
    /// Whether to give back what is left of it.
    pub fn is_ending(&self, now: Timestamp) -> bool {
        self.ends - now <= RETURN
    }

    /// Counts units, the last of them at this moment.
    pub fn use_up(&mut self, units: u32, last: Timestamp) {
        self.used = self.used.saturating_add(units);
        self.last_use = self.last_use.max(last);
    }
}
