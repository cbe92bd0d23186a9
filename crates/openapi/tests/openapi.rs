//! The description of the admin API belongs to the code that it describes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "it is a test")]

use keyward_openapi::{document, text, types, undescribed};
use serde_json::Value;

#[test]
fn every_route_is_described_in_the_file_and_in_words() {
    assert_eq!(undescribed(), Vec::<String>::new());
}

#[test]
fn the_file_in_the_project_is_the_one_that_is_printed() {
    assert!(
        include_str!("../../../openapi.json") == text(),
        "renew it: cargo run -p keyward-openapi > openapi.json"
    );
}

#[test]
fn the_types_in_the_project_are_those_that_are_printed() {
    assert!(
        include_str!("../../../types/made/admin-api.d.ts") == types(),
        "renew them: cargo run -p keyward-openapi -- types > types/made/admin-api.d.ts"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document();
    let mut named = Vec::new();
    references(&document, &mut named);
    named.sort();
    named.dedup();
    let of_kind = |kind: &'static str| {
        let names = document["components"][kind].as_object().unwrap().keys();
        names.map(move |name| format!("{kind}/{name}")).collect::<Vec<_>>()
    };
    let there = [of_kind("responses"), of_kind("schemas")].concat();
    assert_eq!(named, there);
}

fn references(value: &Value, into: &mut Vec<String>) {
    if let Some(reference) = value["$ref"].as_str() {
        into.push(reference.strip_prefix("#/components/").unwrap().to_owned());
    }
    let below: Vec<&Value> = match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    for value in below {
        references(value, into);
    }
}
