//! What was done for a call between its attempts: passwords that were derived, and the key that it made.

use keyward_core::secret::Secret;

use crate::{error::ApiError, password::derivation::Derived};

/// What was done for a call between its attempts.
#[derive(Default)]
pub struct CallState {
    /// Passwords that were derived.
    pub derived: Vec<Derived>,
    /// Whether the signature was right that it had verified.
    pub verified: Option<bool>,
    /// The key that it made.
    pub introduced: Option<Introduced>,
    /// How often it has waited for attempts of other calls.
    pub waits: u32,
    /// Its network called too often when it came: the refusal, unless the caller turns out to be known there.
    pub rate_limited: Option<ApiError>,
}

/// A key that is stored and not shown yet.
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// The plaintext, which exists nowhere else.
    pub plaintext: Secret,
}

/// A created key, and whether its coordinator could be told.
pub struct Introduced {
    pub(super) created: CreatedKey,
    pub(super) told: bool,
}

impl CreatedKey {
    /// Notes whether its coordinator could be told.
    pub fn introduced(self, told: bool) -> Introduced {
        Introduced { created: self, told }
    }
}
