//! The same as types of TypeScript, for the admin page and the tests: a type for each component, and what each call takes and
//! answers. Formats, lengths and patterns have no type; the API checks them.

use std::fmt::Write;

use serde_json::{Map, Value, json};

const HEAD: &str = "\
// What the admin API takes and answers, made of its description: cargo run -p keyward-openapi -- types
// docs/admin-api.md says what it means.

";

/// All types, for a description.
pub fn types(document: &Value) -> String {
    let mut text = HEAD.to_owned();
    for (name, schema) in members(&document["components"]["schemas"]) {
        comment(&mut text, schema, "");
        let _ = writeln!(text, "export type {name} = {};\n", type_of(schema, 0));
    }
    text.push_str("/** Each call, with its query, body and answer. */\nexport interface Calls {\n");
    for (path, methods) in members(&document["paths"]) {
        for (method, call) in members(methods) {
            comment(&mut text, call, "  ");
            let _ = writeln!(text, "  \"{} {path}\": {{", method.to_uppercase());
            for (name, type_of_part) in
                [("query", query(call)), ("body", body(call)), ("answer", answer(call))]
            {
                let _ = writeln!(text, "    {name}: {type_of_part};");
            }
            text.push_str("  };\n");
        }
    }
    text + "}\n"
}

fn query(call: &Value) -> String {
    let parameters = call["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
    let properties: Map<String, Value> = of_query
        .filter_map(|parameter| Some((parameter["name"].as_str()?.to_owned(), parameter["schema"].clone())))
        .collect();
    let required: Vec<&Value> = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
        .map(|parameter| &parameter["name"])
        .collect();
    if properties.is_empty() {
        "undefined".to_owned()
    } else {
        type_of(&json!({ "type": "object", "properties": properties, "required": required }), 2)
    }
}

fn body(call: &Value) -> String {
    content(&call["requestBody"])
}

/// What a success answers; null is nothing.
fn answer(call: &Value) -> String {
    members(&call["responses"])
        .find(|(status, _)| status.starts_with('2'))
        .map_or_else(|| "null".to_owned(), |(_, answer)| content(answer))
}

fn content(holder: &Value) -> String {
    match members(&holder["content"]).next() {
        None => "null".to_owned(),
        Some((kind, content)) if kind == "application/json" => type_of(&content["schema"], 2),
        Some(_) => "string".to_owned(),
    }
}

/// A schema as a type, at this depth of indentation.
fn type_of(schema: &Value, depth: usize) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(word) = schema.get("const") {
        return word.to_string();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    for choice in ["anyOf", "oneOf"] {
        // Beside properties it says which of them stand together.
        if let (Some(schemas), None) = (schema[choice].as_array(), schema.get("properties")) {
            return schemas.iter().map(|schema| type_of(schema, depth)).collect::<Vec<_>>().join(" | ");
        }
    }
    if let Some(kinds) = schema["type"].as_array() {
        return kinds
            .iter()
            .map(|kind| type_of(&json!({ "type": kind }), depth))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    match schema["type"].as_str() {
        Some("string") => "string".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "boolean".to_owned(),
        Some("null") => "null".to_owned(),
        Some("array") => format!("Array<{}>", type_of(&schema["items"], depth)),
        Some("object") => object(schema, depth),
        _ => "unknown".to_owned(),
    }
}

fn object(schema: &Value, depth: usize) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("Record<string, {}>", type_of(values, depth)),
            Some(Value::Bool(false)) => "Record<string, never>".to_owned(),
            Some(_) => "Record<string, unknown>".to_owned(),
            None => "object".to_owned(),
        };
    };
    if properties.is_empty() {
        return "Record<string, never>".to_owned();
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let indent = "  ".repeat(depth + 1);
    let mut text = "{\n".to_owned();
    for (name, schema) in properties {
        comment(&mut text, schema, &indent);
        let mark = if required.contains(&Value::from(name.as_str())) { "" } else { "?" };
        let _ = writeln!(text, "{indent}{name}{mark}: {};", type_of(schema, depth + 1));
    }
    text + &"  ".repeat(depth) + "}"
}

fn comment(text: &mut String, schema: &Value, indent: &str) {
    if let Some(words) = schema["description"].as_str().filter(|words| !words.is_empty()) {
        let _ = writeln!(text, "{indent}/** {} */", words.replace("*/", "* /"));
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}
