//! Which fields of a body stand together.

use serde_json::{Value, json};

/// One of these fields, or none.
pub fn one_of_fields(names: &[&str]) -> Value {
    let none = json!({ "not": { "anyOf": names.iter().map(|name| json!({ "required": [name] })).collect::<Vec<_>>() } });
    names.iter().map(|name| json!({ "required": [name] })).chain([none]).collect()
}

/// What each action on many keys needs, and what it cannot have.
pub fn bulk_needs() -> Value {
    let given =
        |name: &str, kind: &str| json!({ "required": [name], "properties": { name: { "type": kind } } });
    let only_for = |actions: &[&str], then: Value, name: &str| {
        let is_one = json!({ "properties": { "action": { "enum": actions } } });
        json!({ "if": is_one, "then": then, "else": { "properties": { name: { "enum": [null, ""] } } } })
    };
    json!({
        "allOf": [
            { "oneOf": [given("ids", "array"), given("filter", "object")] },
            { "if": given("cursor", "string"), "then": given("filter", "object") },
            only_for(&["tag", "untag"], given("tag", "string"), "tag"),
            only_for(&["expire"], given("expiresAt", "string"), "expiresAt"),
            only_for(&["revoke"], json!({}), "reason"),
        ],
    })
}
