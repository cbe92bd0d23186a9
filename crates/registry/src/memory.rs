//! What a Registry object remembers while it is in memory. Nothing that was promised depends on it.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use keyward_core::time::{HOUR, Timestamp};

use crate::{attempts::Attempts, rates::Rates};

/// What a Registry object remembers.
#[derive(Debug, Default)]
pub struct Memory {
    /// The calls of the last minute.
    pub rates: Rates,
    /// Passwords that are being derived.
    pub attempts: Attempts,
    /// Lines for the log about what is nearly full, until the answer goes out.
    pub notices: RefCell<Vec<String>>,
    /// The tenant that upkeep maintained last, by its position in the table; `None` before the first.
    pub last_maintained: Cell<Option<i64>>,
    /// The tenant that the latest call or report was of, until upkeep has looked after it.
    pub latest: RefCell<Option<String>>,
    /// Tenants with surplus ended keys, for upkeep to remove, and how many bytes another key needs.
    pub over_quota: RefCell<BTreeMap<String, u64>>,
    /// Whether KV says whose it is.
    pub is_marked: Cell<bool>,
    /// Whether that is being written.
    pub is_marking: Cell<bool>,
    /// The tenants whose usage was counted in this hour.
    counted: RefCell<(Timestamp, BTreeSet<String>)>,
}

impl Memory {
    /// Whether this is the first time in this hour that it is asked about the tenant.
    pub fn is_first_of_hour(&self, tenant_id: &str, now: Timestamp) -> bool {
        let mut counted = self.counted.borrow_mut();
        let hour = now.floor(HOUR);
        if counted.0 != hour {
            *counted = (hour, BTreeSet::new());
        }
        counted.1.insert(tenant_id.to_owned())
    }

    /// Tells upkeep to remove ended keys of the tenant until it is within its quota and `wanted` bytes are free.
    pub fn note_surplus(&self, tenant_id: &str, wanted: u64) {
        let mut over_quota = self.over_quota.borrow_mut();
        let known = over_quota.entry(tenant_id.to_owned()).or_default();
        *known = wanted.max(*known);
    }
}
