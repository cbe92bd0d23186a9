//! How much an entry says of a change: the fields that differ, and of what is long its length and hash. The audit is
//! kept for long, and whoever may change keys must not be able to fill it with the objects themselves.

use serde_json::{Map, Value};

use super::canonical::{canonical, hash};

use crate::to_json::object;

/// Most bytes of JSON for one side of a change, as long as something in it can be shortened.
const LONGEST_BYTES: usize = 2_048;
/// What is not longer than this stays as it is: its length and hash would be no shorter.
const SHORT_BYTES: usize = 128;

/// Both sides of a change, cut down to the fields that differ.
pub fn difference(before: &Value, after: &Value) -> (Value, Value) {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return (before.clone(), after.clone());
    };
    let differing = |of: &Map<String, Value>| {
        let mut fields = of.clone();
        fields.retain(|name, _| old.get(name) != new.get(name));
        fields
    };
    (Value::Object(differing(old)), Value::Object(differing(new)))
}

/// One side of a change. While it is too long, its longest field becomes `{"bytes": …, "sha256": …}`: length and
/// SHA-256, in hex, of the field's value as canonical JSON.
pub fn shortened(side: &Value) -> Value {
    let Value::Object(fields) = side else { return side.clone() };
    let mut short = fields.clone();
    let mut total = canonical(side).len();
    let mut whole: Vec<(usize, &String)> =
        fields.iter().map(|(name, value)| (canonical(value).len(), name)).collect();
    while total > LONGEST_BYTES {
        let longest = whole.iter().copied().max().filter(|(length, _)| *length > SHORT_BYTES);
        let Some((length, name)) = longest else { break };
        whole.retain(|(_, other)| *other != name);
        let text = fields.get(name).map(canonical).unwrap_or_default();
        let digest = object!({ "bytes": length, "sha256": hash(&text) });
        total = total.saturating_sub(length).saturating_add(canonical(&digest).len());
        short.insert(name.clone(), digest);
    }
    Value::Object(short)
}
