//! An entry as text, and its hash.

use keyward_core::key::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// RFC 8785. Numbers here are whole and below 2^53 and names are ASCII, for which sorting by bytes
/// and serde_json's strings and numbers are what it asks for; and its objects are sorted, as long as no dependency turns its
/// feature `preserve_order` on.
pub fn canonical(value: &Value) -> String {
    value.to_string()
}

/// SHA-256, in hex.
pub fn hash(entry: &str) -> String {
    hex(&Sha256::digest(entry))
}
