//! An entry as text, and its hash.

use keyward_core::key::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// RFC 8785. Numbers here are whole and below 2^53 and names are ASCII, for which sorting by bytes
/// and serde_json's strings and numbers are what it asks for.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}

/// SHA-256, in hex.
pub fn hash(entry: &str) -> String {
    hex(&Sha256::digest(entry))
}
