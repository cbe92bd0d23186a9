//! Reading what is stored or sent, strictly.

use serde::{Deserialize, Deserializer};

/// Whether a number or span is left out where it is written, as `skip_serializing_if` asks.
pub fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// A field that may be null and must be there: serde takes a missing one for null otherwise, and what is cut short
/// for a key that never expires, or that has no limit.
///
/// # Errors
/// What is wrong with the value. That there is none, serde says.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}
