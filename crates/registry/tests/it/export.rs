//! The list of keys as a file.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_registry::keys::export::COLUMNS;
use keyward_testing::registry_fixture::{Answer, RegistryFixture};
use serde_json::{Value, json};

fn export(fixture: &RegistryFixture, token: &str, query: &str) -> Answer {
    fixture.get(token, &format!("/api-keys/export?{query}")).expect(200)
}

/// The cells of each line (RFC 4180).
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(begin) = rest.next() {
        assert_eq!(begin, '"', "every cell is quoted");
        loop {
            match rest.next().unwrap() {
                '"' if rest.peek() == Some(&'"') => cell.push(rest.next().unwrap()),
                '"' => break,
                other => cell.push(other),
            }
        }
        line.push(std::mem::take(&mut cell));
        match rest.next().unwrap() {
            ',' => {}
            '\r' => {
                assert_eq!(rest.next(), Some('\n'));
                lines.push(std::mem::take(&mut line));
            }
            other => panic!("{other} after a cell"),
        }
    }
    assert!(line.is_empty(), "the last line ends, too");
    lines
}

fn json_lines(answer: &Answer) -> Vec<Value> {
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn both_formats_hold_what_the_list_shows_and_neither_a_key_nor_its_hash() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    fixture.key(&other, json!({}));
    let odd = json!({
        "name": "a \"key\", of two", "tags": ["a,b", "c\"d"], "metadata": {"note": "line\r\nbreak"},
        "rateLimit": {"perMinute": 5},
    });
    let made = fixture.key(&owner, odd);
    let (id, plaintext) = (made.key_id(), made.plaintext());
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({"reason": "told"})).expect(200);
    fixture.key(&owner, json!({}));
    let listed = fixture.get(&owner, "/api-keys").body["apiKeys"].as_array().unwrap().clone();
    let json = export(&fixture, &viewer, "format=json");
    assert_eq!(json.header("Content-Type"), Some("application/x-ndjson"));
    assert_eq!(json.header("Next-Cursor"), None);
    assert_eq!(json_lines(&json), listed);

    let csv = export(&fixture, &viewer, "");
    assert_eq!(csv.header("Content-Type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.text, export(&fixture, &viewer, "format=csv").text);
    let mut lines = cells(&csv.text).into_iter();
    assert_eq!(lines.next().unwrap(), COLUMNS);
    for (line, key) in lines.by_ref().zip(&listed) {
        for (name, cell) in COLUMNS.iter().zip(line) {
            let expected = match &key[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell, expected, "{name}");
        }
    }
    assert!(lines.next().is_none());
    let fields: BTreeSet<&str> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(BTreeSet::from(COLUMNS), fields, "every field has its column");
    for text in [&csv.text, &json.text] {
        assert!(!text.contains(&plaintext) && !text.contains("sha256:"), "{text}");
    }
}

#[test]
fn no_text_is_a_formula_to_a_program_for_tables() {
    let (fixture, owner) = RegistryFixture::open();
    let begins = ["=", "+", "-", "@", "＝", "＋", "－", "＠"];
    for begin in begins {
        fixture.key(&owner, json!({"name": format!("{begin}HYPERLINK(\"https://a.example\")")}));
    }
    let id = fixture.key(&owner, json!({"name": "a=b"})).key_id();
    let reason = json!({"reason": "@SUM(1)"});
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), reason).expect(200);
    let lines = cells(&export(&fixture, &owner, "sort=-created").text);
    let column = |name: &str| COLUMNS.iter().position(|column| *column == name).unwrap();
    for (begin, line) in begins.iter().zip(&lines[1..]) {
        assert_eq!(line[column("name")], format!("'{begin}HYPERLINK(\"https://a.example\")"));
    }
    assert_eq!((&*lines[9][column("name")], &*lines[9][column("revokeReason")]), ("a=b", "'@SUM(1)"));
    let cell =
        |line: &Vec<String>| line.iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
    assert!(!lines.iter().any(cell));
}

#[test]
fn pages_of_a_thousand_keys_in_any_order_hold_each_key_once() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({"name": "Of many", "tags": ["all"]})).key_id();
    crate::many_keys::fill(&fixture, &key, 2_100);
    fixture.key(&owner, json!({"name": "another"}));
    for query in ["", "tag=all", "q=many&sort=name", "sort=-lastUsed&status=ACTIVE", "sort=expires"] {
        for format in ["csv", "json"] {
            let (mut seen, mut pages, mut next) = (Vec::new(), Vec::new(), String::new());
            loop {
                let page = export(&fixture, &owner, &format!("format={format}&{query}{next}"));
                let ids: Vec<String> = match format {
                    "json" => {
                        json_lines(&page).iter().map(|key| key["id"].as_str().unwrap().into()).collect()
                    }
                    _ => cells(&page.text).into_iter().map(|mut line| line.remove(0)).collect(),
                };
                pages.push(ids.len());
                seen.extend(ids.into_iter().filter(|id| id != "id"));
                let Some(cursor) = page.header("Next-Cursor") else { break };
                next = format!("&cursor={cursor}");
            }
            let named = usize::from(format == "csv");
            let all = if query.contains("all") || query.contains("many") { 2_101 } else { 2_102 };
            assert_eq!(pages, [1_000 + named, 1_000, all - 2_000], "{format} {query}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), all, "{format} {query}");
            let first = fixture.get(&owner, &format!("/api-keys?limit=3&{query}")).body["apiKeys"].clone();
            let first: Vec<&str> = (0..3).map(|n| first[n]["id"].as_str().unwrap()).collect();
            assert_eq!(seen[..3], first, "{format} {query}");
        }
    }
}

#[test]
fn an_answer_ends_after_a_megabyte_and_the_next_goes_on_there() {
    let (fixture, owner) = RegistryFixture::open();
    let metadata: serde_json::Map<String, Value> =
        (0..20).map(|n| (format!("m{n}"), "x".repeat(500).into())).collect();
    let key = fixture.key(&owner, json!({"metadata": metadata})).key_id();
    crate::many_keys::fill(&fixture, &key, 249);
    let (mut seen, mut next) = (BTreeSet::new(), String::new());
    loop {
        let page = export(&fixture, &owner, &format!("format=json{next}"));
        assert!(page.text.len() < 1_020_000, "{}", page.text.len());
        seen.extend(json_lines(&page).iter().map(|key| key["id"].to_string()));
        let Some(cursor) = page.header("Next-Cursor") else { break };
        assert!(page.text.len() > 1_000_000, "{}", page.text.len());
        next = format!("&cursor={cursor}");
    }
    assert_eq!(seen.len(), 250);
    assert!(!next.is_empty());
}

#[test]
fn what_an_export_cannot_be_asked_for_is_named() {
    let (fixture, owner) = RegistryFixture::open();
    for (query, field, message) in [
        ("format=xlsx", "format", "must be one of csv, json"),
        ("limit=5", "limit", "is not a parameter here: there are format, cursor, q, status"),
        ("cursor=x", "cursor", "is not a cursor of this list"),
        ("tag=", "tag", "must be 1 to 50 characters long"),
    ] {
        let answer = fixture.get(&owner, &format!("/api-keys/export?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert!(answer.message(field).starts_with(message), "{query}: {}", answer.text);
    }
    fixture.get("nobody", "/api-keys/export").refused(401, "UNAUTHENTICATED");
}
