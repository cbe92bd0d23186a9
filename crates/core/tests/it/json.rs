//! Bodies are read as JSON in which every name stands once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyward_core::json::{JsonError, read as read_noting};
use serde_json::{Value, json};

/// Notes more repeated names than any text here has.
fn read(text: &str) -> Result<(Value, Vec<String>), JsonError> {
    read_noting(text, 10)
}

#[test]
fn every_kind_of_value_is_read_as_serde_json_reads_it() {
    for text in ["null", " true", "-1", "18446744073709551615", "1.5", "1e9", "\"a\\u00e9\"", "[1,[],{}]"] {
        assert_eq!(read(text).unwrap(), (serde_json::from_str(text).unwrap(), vec![]), "{text}");
    }
    let object = r#"{"a": {"b": [1, {"c": null}]}, "b": "x"}"#;
    assert_eq!(read(object).unwrap(), (json!({ "a": { "b": [1, { "c": null }] }, "b": "x" }), vec![]));
}

#[test]
fn a_name_that_is_repeated_is_named_with_its_path() {
    let (_, repeated) = read(r#"{"a": 1, "b": [{"c": 1, "c": 1}], "d": {"e": 1, "e": 2}, "a": 2}"#).unwrap();
    assert_eq!(repeated, ["b[0].c", "d.e", "a"]);
    let (_, first) = read_noting(r#"{"a": 1, "a": 2, "a": 3}"#, 1).unwrap();
    assert_eq!(first, ["a"], "no more are noted than are asked for");
}

#[test]
fn what_is_not_json_or_too_deep_is_an_error() {
    for text in ["", "{", "{} {}", "{a: 1}", "[1,]", "NaN", &"[".repeat(100_000)] {
        assert!(matches!(read(text), Err(JsonError::Malformed(_))));
    }
}

#[test]
fn a_number_that_is_too_large_to_hold_is_named_with_its_path() {
    for (text, at) in [
        ("1e400", ""),
        (r#"{"a": -1e400}"#, "a"),
        (r#"{"a": 1, "b": [{"c": 1}, {"c": 1, "d": 1E+999}], "e": 1}"#, "b[1].d"),
    ] {
        assert!(matches!(read(text), Err(JsonError::BeyondRange(path)) if path == at), "{text}");
    }
    assert_eq!(read("1e-400").unwrap().0, json!(0.0));
}
