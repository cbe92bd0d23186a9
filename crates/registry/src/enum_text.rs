//! Enums as text. Their serde names are the only place where these texts are written down; columns, answers and inputs use
//! them.

use serde::Serialize;
use serde_json::Value;

/// As a column holds it.
pub fn text_of(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}
