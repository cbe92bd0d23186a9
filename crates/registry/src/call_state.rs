//! What was done for a call between its turns: passwords that were derived, and the key that it made.

use keyward_core::secret::Secret;

use crate::{error::ApiError, password::derivation::Derived};

/// What was done for a call between its turns.
#[derive(Default)]
pub struct CallState {
    /// Passwords that were derived.
    pub derived: Vec<Derived>,
    /// The key that it made.
    pub introduced: Option<Introduced>,
    /// How often it has waited for what others had begun.
    pub waits: u32,
    /// How it is refused, unless it is let through, since its network called too often when it came.
    pub crowded: Option<Box<ApiError>>,
}

/// A key that was made: stored, and not shown yet.
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// The plaintext, which exists nowhere else.
    pub plaintext: Secret,
}

/// One whose KeyGate was to be told.
pub struct Introduced {
    pub(super) created: CreatedKey,
    pub(super) told: bool,
}

impl CreatedKey {
    /// Whether its KeyGate knows it now.
    pub fn introduced(self, told: bool) -> Introduced {
        Introduced { created: self, told }
    }
}
