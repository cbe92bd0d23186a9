//! What one Registry object remembers for as long as it is in memory: nothing that anybody was promised.

use std::cell::{Cell, RefCell};

use crate::registry::{attempts::Attempts, rates::Rates};

/// It.
#[derive(Debug, Default)]
pub struct Memory {
    /// The calls of the last minute.
    pub rates: Rates,
    /// Passwords that are being derived.
    pub attempts: Attempts,
    /// Lines for the log of what is nearly full, until the call's answer goes out.
    pub notices: RefCell<Vec<String>>,
    /// The tenant that upkeep has looked after last, by its place in the table.
    pub looked_after: Cell<i64>,
}
