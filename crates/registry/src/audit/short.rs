//! How much an entry says of a change: the fields that differ, and of what is long its length and hash. The audit is
//! kept for long, and whoever may change keys must not be able to fill it with the objects themselves.

use serde_json::{Map, Value, json};

use super::canonical::{canonical, hash};

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
        of.iter()
            .filter(|(name, _)| old.get(*name) != new.get(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    (Value::Object(differing(old)), Value::Object(differing(new)))
}

/// One side of a change. While it is too long, its longest field becomes `{"bytes": …, "sha256": …}`: length and
/// SHA-256, in hex, of the field's value as canonical JSON.
pub fn shortened(side: &Value) -> Value {
    let Value::Object(fields) = side else { return side.clone() };
    let mut short = fields.clone();
    let mut total = canonical(side).len();
    let mut by_length: Vec<(usize, &String)> =
        fields.iter().map(|(name, value)| (canonical(value).len(), name)).collect();
    by_length.sort_unstable_by(|one, other| other.cmp(one));
    for (length, name) in by_length {
        if total <= LONGEST_BYTES || length <= SHORT_BYTES {
            break;
        }
        let text = fields.get(name).map(canonical).unwrap_or_default();
        let digest = json!({ "bytes": length, "sha256": hash(&text) });
        total = total.saturating_sub(length).saturating_add(canonical(&digest).len());
        short.insert(name.clone(), digest);
    }
    Value::Object(short)
}
