//! The policy's JSON Schema (draft 7, which editors of TOML read), so that an editor completes a policy and marks what
//! cannot be right. It knows names, kinds of values and bounds; what the parts of a policy ask of each other only
//! [`compile`](super::compile) checks.

use serde_json::{Map, Value, json};

use super::{
    section::{Field, Kind, Section},
    sections::{SECTIONS, TOP},
};

/// The schema. `describe` says what a field of a section means, for people.
pub fn schema(describe: impl Fn(&Section, &Field) -> Option<String>) -> Value {
    let mut definitions = Map::new();
    for section in SECTIONS {
        definitions.insert(id(section), table(section, &describe));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Keyward policy",
        "$ref": reference(&TOP),
        "definitions": definitions,
    })
}

fn table(section: &Section, describe: &impl Fn(&Section, &Field) -> Option<String>) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        let mut value = value(&field.kind);
        if let (Some(text), Some(object)) = (describe(section, field), value.as_object_mut()) {
            object.insert("description".to_owned(), text.into());
        }
        properties.insert(field.name.to_owned(), value);
    }
    let required = section.fields.iter().filter(|field| field.is_required).map(|field| field.name);
    json!({
        "type": "object",
        "properties": properties,
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration(..) => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" }),
        Kind::Size(..) => json!({ "type": "string", "pattern": "^[0-9]+[MG]i?B$" }),
        Kind::Days(..) => json!({ "type": "string", "pattern": "^[0-9]+d$" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::List(kind) => json!({ "type": "array", "items": value(kind) }),
        // What stands beside a reference is not read in draft 7.
        Kind::Table(section) => json!({ "allOf": [{ "$ref": reference(section) }] }),
        Kind::Entries(kind) => json!({ "type": "object", "additionalProperties": value(kind) }),
        Kind::Either(one, other) => json!({ "anyOf": [value(one), value(other)] }),
    }
}

fn reference(section: &Section) -> String {
    format!("#/definitions/{}", id(section))
}

/// A section's name without what a JSON pointer or a URL would have to escape: `realm.origin`.
fn id(section: &Section) -> String {
    section.name.replace(['[', ']'], "").replace("the ", "").replace(' ', ".")
}
