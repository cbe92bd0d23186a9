//! Enums by their words. What serde names them is the only place where the words stand: columns,
//! answers and inputs take them from there.

use serde::Serialize;
use serde_json::Value;

use crate::registry::input::{self, Wrong};

/// The word, as a column holds it.
pub fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Reads the word of one of these.
///
/// # Errors
/// Which words there are.
pub fn read<T: Serialize + Copy>(value: &Value, all: &[T]) -> Result<T, Wrong> {
    let words: Vec<String> = all.iter().map(word).collect();
    let words: Vec<(&str, T)> = words.iter().map(String::as_str).zip(all.iter().copied()).collect();
    input::one_of(value, &words)
}
