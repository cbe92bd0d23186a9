//! Requests of one key in one hour or day, as stored.

use keyward_core::sql::Value as Bound;
use keyward_limits::wire::RefusalCounts;
use serde::{Deserialize, Deserializer};
use serde_json::json;

/// Requests of one key in one hour or day, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Requests that were let through.
    pub accepted: u64,
    /// Requests that were refused, by code.
    #[serde(deserialize_with = "refusals")]
    pub refused: RefusalCounts,
}

fn refusals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RefusalCounts, D::Error> {
    Ok(serde_json::from_str(&String::deserialize(deserializer)?).unwrap_or_default())
}

impl Counts {
    /// Adds those of another time.
    pub fn add(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        for (code, count) in &other.refused {
            let total = self.refused.entry(code.clone()).or_default();
            *total = total.saturating_add(*count);
        }
    }

    /// As columns.
    pub fn columns(&self) -> [(&'static str, Bound); 2] {
        let accepted = i64::try_from(self.accepted).unwrap_or(i64::MAX);
        [("accepted", accepted.into()), ("refused", json!(self.refused).to_string().into())]
    }
}
