//! `keyward check` as people run it.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::{Command, Output},
};

use keyward_check::{Error, answer, check, schema_with_docs};
use keyward_policy::document;
use serde_json::{Value, json};

const RIGHT: &str = include_str!("../../../keyward.toml");

/// Runs it in the project's folder.
fn run(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    Command::new(env!("CARGO_BIN_EXE_keyward-check")).args(arguments).current_dir(root).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_right_policy_is_printed_as_a_document_that_the_worker_reads_with_its_includes() {
    for (arguments, realms) in [(&[][..], 1), (&["keyward.toml"], 1), (&["examples/all/keyward.toml"], 5)] {
        let output = run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let document = text(&output.stdout).strip_suffix('\n').unwrap();
        assert_eq!(document::read(document).unwrap().realms.len(), realms);
    }
}

#[test]
fn a_wrong_policy_is_no_document_and_every_mistake_is_shown_with_file_line_and_hint() {
    let wrong =
        RIGHT.replace("freshness = ", "freshnes = ").replace("test_mode = \"read-only\"", "test_mode = 1");
    let shown = check("here/keyward.toml", |file| {
        assert_eq!(file, "here/keyward.toml");
        Ok(wrong.clone())
    });
    let Err(error @ Error::Mistakes(_)) = shown else { panic!("it was taken") };
    let shown = error.to_string();
    for (beginning, message) in
        [("freshnes =", "has no field \"freshnes\""), ("test_mode =", "but must be text")]
    {
        let (at, line) = wrong.lines().enumerate().find(|(_, line)| line.starts_with(beginning)).unwrap();
        let place = format!("error: here/keyward.toml:{}: ", at + 1);
        let (first, rest) = shown.split_once(&place).unwrap().1.split_once('\n').unwrap();
        assert!(first.contains(message), "{shown}");
        assert!(rest.starts_with(&format!("{:>6} | {line}\n  hint: ", at + 1)), "{shown}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_ends_with_a_failure() {
    let output = run(&["examples/none.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).starts_with("error: examples/none.toml"), "{}", text(&output.stderr));
}

#[test]
fn what_it_does_not_know_is_answered_with_how_to_call_it() {
    for arguments in
        [&["--no-such-thing"][..], &["keyward.toml", "other.toml"], &["--schema", "keyward.toml"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).starts_with("usage: keyward check [FILE]"));
    }
    assert!(text(&run(&["--help"]).stdout).starts_with("usage: keyward check [FILE]"));
}

/// Where nothing is deployed there are no secrets either: what a route would lack is not a deployment's setting.
#[test]
fn of_every_route_of_the_examples_it_is_said_what_the_gate_would_decide_without_a_deployment() {
    for name in ["all", "hono", "identity"] {
        let document = text(&run(&[&format!("examples/{name}/keyward.toml")]).stdout).trim_end().to_owned();
        let ask = |asked: Value| -> Value {
            serde_json::from_str(&answer(&document, &asked.to_string(), 1_800_000_000_000).unwrap()).unwrap()
        };
        for route in ask(json!({}))["routes"].as_array().unwrap() {
            let (realm, method) = (&route["realm"], &route["methods"][0]);
            let path = route["path"].as_str().unwrap().replace('*', "x");
            for scopes in [Value::Null, route["needs"]["scopes"].clone()] {
                let asked = json!({ "realm": realm, "method": method, "path": path, "scopes": scopes });
                let said = ask(asked.clone());
                assert_ne!(said["status"], 503, "{name}: {asked} {said}");
                assert_eq!(said["realm"], *realm, "{name}: {asked} {said}");
            }
        }
    }
}

#[test]
fn the_schema_in_the_project_is_the_one_that_is_printed() {
    assert_eq!(text(&run(&["--schema"]).stdout), schema_with_docs());
    assert!(
        include_str!("../../../keyward.schema.json") == schema_with_docs(),
        "renew it: cargo run -p keyward-check -- --schema > keyward.schema.json"
    );
}

#[test]
fn the_schema_says_of_every_field_what_it_means() {
    let schema: serde_json::Value = serde_json::from_str(&schema_with_docs()).unwrap();
    let sections = schema["definitions"].as_object().unwrap();
    let mut fields = 0;
    for (section, table) in sections {
        for (field, value) in table["properties"].as_object().unwrap() {
            assert!(value["description"].as_str().is_some_and(|text| text.len() > 5), "{section} {field}");
            fields += 1;
        }
    }
    assert!(fields > 100, "{fields}");
}
