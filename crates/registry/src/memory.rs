//! What one Registry object remembers for as long as it is in memory: nothing that anybody was promised.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use keyward_core::time::{HOUR, Timestamp};

use crate::{attempts::Attempts, rates::Rates};

/// What one Registry object remembers.
#[derive(Debug, Default)]
pub struct Memory {
    /// The calls of the last minute.
    pub rates: Rates,
    /// Passwords that are being derived.
    pub attempts: Attempts,
    /// Lines for the log of what is nearly full, until the call's answer goes out.
    pub notices: RefCell<Vec<String>>,
    /// The tenant that upkeep has looked after last, by its place in the table; `None` before the first.
    pub looked_after: Cell<Option<i64>>,
    /// The tenant that the latest call or report was of, until upkeep has looked after it.
    pub latest: RefCell<Option<String>>,
    /// The tenants whose ended keys upkeep has to look at, and how many bytes are wanted on another key.
    pub crowded: RefCell<BTreeMap<String, u64>>,
    /// The tenants whose usage was counted in this hour.
    counted: RefCell<(Timestamp, BTreeSet<String>)>,
}

impl Memory {
    /// Whether this is asked of the tenant for the first time in an hour.
    pub fn is_first_of_hour(&self, tenant_id: &str, now: Timestamp) -> bool {
        let mut counted = self.counted.borrow_mut();
        let hour = now.floor(HOUR);
        if counted.0 != hour {
            *counted = (hour, BTreeSet::new());
        }
        counted.1.insert(tenant_id.to_owned())
    }

    /// Has upkeep remove ended keys of the tenant, until no more are left than its quota, and `wanted` bytes are free.
    pub fn make_room(&self, tenant_id: &str, wanted: u64) {
        let mut crowded = self.crowded.borrow_mut();
        let known = crowded.entry(tenant_id.to_owned()).or_default();
        *known = wanted.max(*known);
    }
}
