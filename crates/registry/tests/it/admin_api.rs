//! `docs/admin-api.md` describes every call of the admin API with its parameters and fields, and no other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_registry::{keys::settings, router::ROUTES};
use keyward_testing::registry_fixture::RegistryFixture;
use serde_json::json;

const DOCS: &str = include_str!("../../../../docs/admin-api.md");

/// The rows of the table in the chapter with this heading, cell by cell.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let chapter = DOCS.split("\n## ").find(|chapter| chapter.starts_with(heading)).unwrap();
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `").map(|_| line));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn names(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A call as it is documented.
struct Call {
    method: &'static str,
    path: &'static str,
    parameters: Vec<&'static str>,
    fields: Vec<&'static str>,
}

fn calls() -> Vec<Call> {
    let list = |text: &'static str, separator| -> Vec<&'static str> {
        text.split(separator).map(|name| name.trim_end_matches('?')).collect()
    };
    rows("Calls\n")
        .into_iter()
        .map(|row| {
            let names = names(row[0]);
            let (method, target) = names[0].split_once(' ').unwrap();
            let (path, parameters) = target.split_once('?').unwrap_or((target, ""));
            let body = names.get(1).map(|body| body.trim_start_matches('{').trim_end_matches('}'));
            Call {
                method,
                path,
                parameters: if parameters.is_empty() { Vec::new() } else { list(parameters, "&") },
                fields: body.map_or_else(Vec::new, |body| list(body, ", ")),
            }
        })
        .collect()
}

#[test]
fn every_call_is_described_and_no_other() {
    let path = |path: &str| {
        ["{key_}", "{link_}", "{ses_}", "{inv_}", "{pky_}", "{}"]
            .iter()
            .fold(path.to_owned(), |path, id| path.replace(id, "{id}"))
    };
    let routes = ROUTES.iter().map(|route| format!("{} {}", route.method, path(route.path))).collect();
    let described =
        calls().iter().map(|call| format!("{} {}", call.method, call.path)).collect::<BTreeSet<_>>();
    assert_eq!(described, routes);
}

#[test]
fn every_parameter_and_field_of_a_call_is_described_and_no_other() {
    let (fixture, owner) = RegistryFixture::open();
    let unset = RegistryFixture::empty();
    let key = fixture.key(&owner, json!({})).key_id();
    let session = fixture.get(&owner, "/session").body;
    for Call { method, path, parameters, fields } in calls() {
        let fixture = if path == "/setup" { &unset } else { &fixture };
        let id = match path.split('/').nth(1).unwrap() {
            "members" => session["member"]["id"].as_str().unwrap(),
            "tenants" => session["tenant"]["id"].as_str().unwrap(),
            _ => &key,
        };
        let path = path.replace("{id}", id);
        let known = if parameters.is_empty() { fields } else { parameters };
        // A scanner's report is not read before its signature.
        if known.is_empty() || path == "/leaks" {
            continue;
        }
        let body = if method == "GET" { json!(null) } else { json!({ "nonsense": 1 }) };
        let answer = fixture.send(fixture.call(method, &owner, &format!("{path}?nonsense=1"), body));
        answer.refused(400, "VALIDATION_FAILED");
        let (_, there_are) = answer.message("nonsense").split_once("there are ").unwrap();
        assert_eq!(known.join(", "), there_are, "{method} {path}");
    }
}

#[test]
fn every_field_of_a_key_is_described_and_no_other() {
    let (fixture, owner) = RegistryFixture::open();
    let shown = fixture.key(&owner, json!({})).body["apiKey"].as_object().unwrap().clone();
    let described: BTreeSet<&str> = rows("A key\n").iter().flat_map(|row| names(row[0])).collect();
    assert_eq!(described, shown.keys().map(String::as_str).collect());
    let set_by = |when: &str| -> BTreeSet<&str> {
        rows("A key\n")
            .iter()
            .filter(|row| row[1].split(", ").any(|by| by == when))
            .flat_map(|row| names(row[0]))
            .collect()
    };
    let editable = BTreeSet::from(settings::FIELDS);
    assert_eq!(set_by("edit"), editable);
    assert_eq!(set_by("create"), editable.union(&BTreeSet::from(["realm", "kind"])).copied().collect());
}
