//! Reading what is stored or sent, strictly.

use serde::{Deserialize, Deserializer};

/// Whether a number is left out where it is written, as `skip_serializing_if` asks.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A field that may be null and must be there: serde takes a missing one for null otherwise, and what is cut short
/// for a key that never expires, or that has no limit.
///
/// # Errors
/// What is wrong with the value. That there is none, serde says.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}
