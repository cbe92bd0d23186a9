//! Requests of one key in one hour or day, as stored.

use keyward_core::sql::{FromRow, Row, SqlError, Value as Bound};
use keyward_limits::{counts, wire::RefusalCounts};
use serde_json::{Map, Value};

use crate::to_json::ToJson;

/// Requests of one key in one hour or day, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were let through.
    pub accepted: u64,
    /// Requests that were refused, by code.
    pub refused: RefusalCounts,
}

impl FromRow for Counts {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self { accepted: row.get("accepted")?, refused: refusals(&row.get::<String>("refused")?) })
    }
}

/// Of a text that is something else, nothing is known.
fn refusals(text: &str) -> RefusalCounts {
    let counts: Map<String, Value> = keyward_json::from_str(text).unwrap_or_default();
    let mut refused = RefusalCounts::new();
    for (code, count) in counts {
        refused.insert(code, count.as_u64().unwrap_or_default());
    }
    refused
}

impl Counts {
    /// Counts this many more under this code, or let through if it is empty.
    pub fn count(&mut self, code: String, count: u64) {
        if code.is_empty() {
            self.accepted = self.accepted.saturating_add(count);
        } else if count > 0 {
            self.refused.insert(code, count);
        }
    }

    /// Adds those of another time.
    pub fn add(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        counts::add(&mut self.refused, &other.refused);
    }

    /// As columns.
    pub fn columns(&self) -> [(&'static str, Bound); 2] {
        let accepted = i64::try_from(self.accepted).unwrap_or(i64::MAX);
        [("accepted", accepted.into()), ("refused", self.refused.to_json().to_string().into())]
    }
}
