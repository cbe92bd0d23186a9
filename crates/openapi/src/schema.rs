//! JSON Schemas (2020-12), as OpenAPI 3.1 has them, and how to put them together.

use keyward_registry::enum_text::text_of;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A schema.
pub type Schema = Value;

/// One of the components.
pub fn refer(name: &str) -> Schema {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Any text.
pub fn text() -> Schema {
    json!({ "type": "string" })
}

/// Text whose length, in characters, is in a range.
pub fn text_of_length(least: usize, most: usize) -> Schema {
    json!({ "type": "string", "minLength": least, "maxLength": most })
}

/// Characters that are hidden wherever they stand, as in a class of a regular expression. Not classes of Unicode (`\p{Cc}`):
/// few generators of data know them.
const HIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u00ad\u200b\u2028-\u202e\u3164";

/// White space, which is taken off at both ends. Not `\s`, which is something else in each language.
const WHITE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";

/// A line for people: what can be seen, of which this names the most usual that cannot; and how long it is without what is
/// taken off.
pub fn line(least: usize, most: usize) -> Schema {
    let (first, rest) =
        if least > 0 { (format!("[^{WHITE}{HIDDEN}]"), most - 1) } else { (String::new(), most) };
    let pattern = format!("^[{WHITE}]*{first}[^{HIDDEN}]{{0,{rest}}}[{WHITE}]*$");
    json!({ "type": "string", "minLength": least, "pattern": pattern })
}

/// What is looked for, without the white space around it.
pub fn searched(most: usize) -> Schema {
    let pattern = format!(r"^[{WHITE}]*[^\u0000-\u001f\u007f-\u009f]{{0,{most}}}[{WHITE}]*$");
    json!({ "type": "string", "pattern": pattern })
}

/// Any text but the empty one.
pub fn word() -> Schema {
    json!({ "type": "string", "minLength": 1 })
}

/// Where a list goes on.
pub fn cursor() -> Schema {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" })
}

/// An id that begins with this.
pub fn id(prefix: &str) -> Schema {
    json!({ "type": "string", "pattern": format!("^{prefix}[A-Za-z0-9_-]+$") })
}

/// A time (RFC 3339).
pub fn time() -> Schema {
    json!({ "type": "string", "format": "date-time" })
}

/// True or false.
pub fn flag() -> Schema {
    json!({ "type": "boolean" })
}

/// A whole number from `least` on.
pub fn count(least: u64) -> Schema {
    json!({ "type": "integer", "minimum": least })
}

/// A whole number in a range.
pub fn whole(least: u64, most: u64) -> Schema {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// One of these words.
pub fn one_of(words: &[&str]) -> Schema {
    json!({ "type": "string", "enum": words })
}

/// One of the values of an enum, as the API names them.
pub fn one_of_enum<T: Serialize>(all: &[T]) -> Schema {
    let words: Vec<String> = all.iter().map(text_of).collect();
    json!({ "type": "string", "enum": words })
}

/// A list.
pub fn list(items: Schema) -> Schema {
    json!({ "type": "array", "items": items })
}

/// A list with at most this many items.
pub fn short_list(items: Schema, most: usize) -> Schema {
    json!({ "type": "array", "items": items, "maxItems": most })
}

/// An object of any names with such values.
pub fn dictionary(values: Schema) -> Schema {
    json!({ "type": "object", "additionalProperties": values })
}

/// The same, or `null`.
pub fn nullable(schema: Schema) -> Schema {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// What a schema means.
pub fn described(mut schema: Schema, meaning: &str) -> Schema {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), meaning.into());
    }
    schema
}

/// Members of an object, in this order.
pub type Members = Vec<(&'static str, Schema)>;

/// An object with all of these members, and no others.
pub fn object(members: Members) -> Schema {
    object_with(members, Vec::new())
}

/// An object with all of the first, which may have the second, and no others.
pub fn object_with(required: Members, optional: Members) -> Schema {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        required.into_iter().chain(optional).map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !names.is_empty()
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("required".to_owned(), names.into());
    }
    schema
}
