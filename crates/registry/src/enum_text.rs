//! Enums as text. What serde names them is the only place where that stands: columns, answers and inputs take it from
//! there.

use serde::Serialize;
use serde_json::Value;

use crate::input::{self, FieldErrors};

/// As a column holds it.
pub fn text_of(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Reads one of these.
///
/// # Errors
/// Which there are.
pub fn read<T: Serialize + Copy>(value: &Value, all: &[T]) -> Result<T, FieldErrors> {
    let texts: Vec<String> = all.iter().map(text_of).collect();
    let texts: Vec<(&str, T)> = texts.iter().map(String::as_str).zip(all.iter().copied()).collect();
    input::one_of(value, &texts)
}
