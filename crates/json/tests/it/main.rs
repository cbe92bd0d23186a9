//! What is read is what `serde_json` reads, and errors show no value.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Debug,
};

use ipnet::IpNet;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parts {
    flag: bool,
    small: u8,
    large: u64,
    signed: i32,
    float: f64,
    letter: Option<char>,
    text: String,
    maybe: Option<Vec<String>>,
    pairs: Vec<(String, u32)>,
    moments: BTreeMap<Moment, Kind>,
    queue: VecDeque<Triple>,
    networks: Vec<IpNet>,
    anything: Value,
    nothing: (),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Moment(i64);

#[derive(Debug, PartialEq, Deserialize)]
struct Triple(u32, Moment, String);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    One(String),
    Two(u8, u8),
    Named { text: String, rest: Option<u8> },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    needed: u32,
    maybe: Option<u32>,
}

/// Reads it both ways.
fn both<T: DeserializeOwned + PartialEq + Debug>(value: &Value) -> (Option<T>, Result<T, String>) {
    let own = keyward_json::from_value(value).map_err(|error: keyward_json::Error| error.to_string());
    (serde_json::from_value(value.clone()).ok(), own)
}

#[test]
fn every_shape_is_read_as_serde_json_reads_it() {
    for parts in [
        json!({}),
        json!({ "flag": true, "small": 255, "large": u64::MAX, "signed": -7, "float": 1.5, "letter": "é" }),
        json!({ "float": 3, "text": "a\u{0}b", "maybe": null, "nothing": null, "unknown": { "a": [1] } }),
        json!({ "maybe": ["a", ""], "pairs": [["a", 1], ["b", 2]], "anything": { "a": [1, -2, 2.5, null, "x", true] } }),
        json!({ "moments": { "-5": "plain", "1700000000000": { "one": "x" }, "7": { "two": [1, 2] } } }),
        json!({ "moments": { "1": { "named": { "text": "a", "rest": 3 } }, "2": { "named": { "text": "b" } } } }),
        json!({ "queue": [[1, -2, "c"], [4, 5, "f"]], "networks": ["192.0.2.0/24", "2001:db8::/32"] }),
    ] {
        let (expected, read) = both::<Parts>(&parts);
        assert_eq!(read.unwrap(), expected.unwrap(), "{parts}");
    }
    for exact in
        [json!({ "needed": 1 }), json!({ "needed": 1, "maybe": null }), json!({ "needed": 1, "maybe": 2 })]
    {
        let (expected, read) = both::<Exact>(&exact);
        assert_eq!(read.unwrap(), expected.unwrap(), "{exact}");
    }
}

#[test]
fn what_serde_json_refuses_is_refused() {
    for parts in [
        json!(null),
        json!("text"),
        json!({ "flag": 1 }),
        json!({ "small": 256 }),
        json!({ "small": -1 }),
        json!({ "small": 1.5 }),
        json!({ "large": "1" }),
        json!({ "signed": 2_147_483_648_u32 }),
        json!({ "float": "1" }),
        json!({ "letter": "ab" }),
        json!({ "text": null }),
        json!({ "maybe": [null] }),
        json!({ "pairs": [["a"]] }),
        json!({ "pairs": [["a", 1, 2]] }),
        json!({ "moments": { "x": "plain" } }),
        json!({ "moments": { "+1": "plain" } }),
        json!({ "moments": { "01": "plain" } }),
        json!({ "moments": { "-0": "plain" } }),
        json!({ "moments": { "1": "other" } }),
        json!({ "moments": { "1": { "plain": 1 } } }),
        json!({ "moments": { "1": { "one": "a", "two": [1, 2] } } }),
        json!({ "moments": { "1": { "two": [1, 2, 3] } } }),
        json!({ "moments": { "1": "one" } }),
        json!({ "moments": { "1": {} } }),
        json!({ "moments": { "1": 3 } }),
        json!({ "queue": [[1, 2, "c", 4]] }),
        json!({ "networks": ["192.0.2.0/33"] }),
        json!({ "nothing": 0 }),
    ] {
        let (expected, read) = both::<Parts>(&parts);
        assert!(expected.is_none() && read.is_err(), "{parts}");
    }
    for exact in [json!({}), json!({ "needed": null }), json!({ "needed": 1, "other": 2 })] {
        let (expected, read) = both::<Exact>(&exact);
        assert!(expected.is_none() && read.is_err(), "{exact}");
    }
}

#[test]
fn an_error_says_what_was_expected_and_not_what_was_found() {
    let errors = [
        (json!({ "text": 4_711 }), "expected a string, found a number"),
        (json!({ "small": "s3cret" }), "expected u8, found a string"),
        (json!({ "small": 4_711 }), "expected u8"),
        (json!({ "flag": "s3cret" }), "expected a boolean, found a string"),
        (json!({ "letter": "s3cret" }), "expected a character"),
        (json!({ "moments": { "1": "s3cret" } }), "expected one of plain, one, two, named"),
        (json!({ "moments": { "s3cret": "plain" } }), "expected i64, found another name"),
        (json!({ "pairs": [["s3cret"]] }), "invalid length 1, expected a tuple of size 2"),
        (json!(["s3cret"]), "expected struct Parts, found a list"),
    ];
    for (value, said) in errors {
        assert_eq!(both::<Parts>(&value).1.unwrap_err(), said, "{value}");
    }
    assert_eq!(both::<Exact>(&json!({ "maybe": 4_711 })).1.unwrap_err(), "missing field `needed`");
    assert_eq!(both::<Exact>(&json!({ "other": 4_711 })).1.unwrap_err(), "unknown field `other`");
    let cut_short = keyward_json::from_str::<Exact>(r#"{"needed": "s3cret"#).unwrap_err().to_string();
    assert_eq!(cut_short, "EOF while parsing a string at line 1 column 18");
}

#[test]
fn an_enum_is_read_by_its_tag_and_an_error_does_not_show_an_unknown_one() {
    let read = |object: Value| {
        keyward_json::by_tag(&object, "tag", |tag| match tag {
            "one" => keyward_json::required(&object, "number").map(Some),
            "two" => Ok(Some(2)),
            _ => Ok(None),
        })
        .map_err(|error: keyward_json::Error| error.to_string())
    };
    assert_eq!(read(json!({ "tag": "one", "number": 1 })), Ok(1));
    assert_eq!(read(json!({ "tag": "two", "number": "s3cret" })), Ok(2));
    for (object, said) in [
        (json!({ "tag": "one" }), "missing field `number`"),
        (json!({ "tag": "One", "number": 1 }), "`tag` has a value that is unknown"),
        (json!({ "tag": "s3cret" }), "`tag` has a value that is unknown"),
        (json!({ "tag": 4_711 }), "expected a borrowed string, found a number"),
        (json!({ "number": 1 }), "missing field `tag`"),
        (json!(["s3cret"]), "missing field `tag`"),
    ] {
        assert_eq!(read(object.clone()).unwrap_err(), said, "{object}");
    }
}

#[test]
fn members_are_read_one_by_one() {
    let mut object = json!({ "there": 5, "null": null, "wrong": "text" });
    assert_eq!(keyward_json::required::<u32>(&object, "there").unwrap(), 5);
    assert_eq!(keyward_json::required::<Option<u32>>(&object, "null").unwrap(), None);
    let missing = keyward_json::required::<Option<u32>>(&object, "missing").unwrap_err();
    assert_eq!(missing.to_string(), "missing field `missing`");
    assert_eq!(keyward_json::optional::<u32>(&object, "missing").unwrap(), 0);
    assert!(keyward_json::optional::<u32>(&object, "wrong").is_err());
    assert!(keyward_json::required::<u32>(&json!("there"), "there").is_err());
    let members = object.as_object_mut().unwrap();
    assert_eq!(keyward_json::taken::<u32>(members, "there").unwrap(), 5);
    assert_eq!(keyward_json::taken::<u32>(members, "there").unwrap(), 0);
    assert!(keyward_json::taken::<u32>(members, "wrong").is_err());
    assert_eq!(members.keys().collect::<Vec<_>>(), ["null"]);
}
