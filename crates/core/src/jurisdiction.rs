//! That data belong to the objects of one jurisdiction. Objects of another are other, empty objects: whoever asked those would
//! count from zero, and know nothing of what was revoked. So the policy's jurisdiction is compared with that of the data
//! wherever one of them is used, and what does not fit is refused.

use std::fmt;

use keyward_policy::Jurisdiction;
use serde::{Deserialize, Serialize};

use crate::record::Format;

/// The key of KV that says to which objects what is in KV belongs.
pub const MARKER: &str = "registry";

/// What stands there, as JSON: as in records, a jurisdiction is version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    v: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jurisdiction: Option<Jurisdiction>,
}

impl Marker {
    /// That of objects of this jurisdiction.
    pub fn of(jurisdiction: Option<Jurisdiction>) -> Self {
        Self { v: Format::with(jurisdiction), jurisdiction }
    }

    /// Reads one, if there is one, and compares it with the policy's jurisdiction.
    ///
    /// # Errors
    /// It is none that this build reads, or names another one.
    pub fn check(text: Option<&str>, policy: Option<Jurisdiction>) -> Result<(), Misplaced> {
        let Some(text) = text else { return Ok(()) };
        let marker: Self = keyward_json::from_str(text).map_err(|_| Misplaced::Unreadable)?;
        if marker != Self::of(marker.jurisdiction) {
            return Err(Misplaced::Unreadable);
        }
        check(marker.jurisdiction, policy)
    }
}

/// Compares the jurisdiction of data with the policy's.
///
/// # Errors
/// They differ.
pub fn check(data: Option<Jurisdiction>, policy: Option<Jurisdiction>) -> Result<(), Misplaced> {
    if data == policy { Ok(()) } else { Err(Misplaced::Elsewhere { data, policy }) }
}

/// Why data must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// They belong to other objects than the policy names.
    #[error(
        "the policy names {}, but the data belong to {}: {}; to move, see \"Choosing a jurisdiction\" in docs/operating.md",
        Objects(*policy), Objects(*data), Mend(*data)
    )]
    Elsewhere {
        /// The jurisdiction of the data.
        data: Option<Jurisdiction>,
        /// The policy's.
        policy: Option<Jurisdiction>,
    },
    /// This build cannot read to which they belong.
    #[error(
        "to which objects the data belong is written in a form that this build does not read: deploy the newer build again"
    )]
    Unreadable,
}

struct Objects(Option<Jurisdiction>);

impl fmt::Display for Objects {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(jurisdiction) => write!(to, "objects of the jurisdiction \"{jurisdiction}\""),
            None => to.write_str("objects without a jurisdiction"),
        }
    }
}

/// What to do with the policy.
struct Mend(Option<Jurisdiction>);

impl fmt::Display for Mend {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(jurisdiction) => {
                write!(to, "write `jurisdiction = \"{jurisdiction}\"` into the policy and deploy it")
            }
            None => to.write_str("take `jurisdiction` out of the policy and deploy it"),
        }
    }
}
