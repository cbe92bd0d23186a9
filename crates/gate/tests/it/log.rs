//! The log's words: those of `docs/log.md`, and no secret among them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use keyward_core::{
    foreign_text::MOST_CHARS,
    log::{Event, Level},
    request_line::{RequestLine, Seconds},
    time::Span,
};
use keyward_gate::{denial::Denial, ready::Readiness};
use keyward_testing::denials;

const DOCS: &str = include_str!("../../../../docs/log.md");
const SOURCE: &str = include_str!("../../../core/src/log.rs");
/// Writes what is written while there is no instance.
const ENTRY_SOURCE: &str = include_str!("../../../../src/log.js");

/// The rows of the table below this heading.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, below) = DOCS.split_once(&format!("\n## {heading}\n")).unwrap();
    let table = below.split("\n## ").next().unwrap();
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect()
}

/// `NoRealm { … }` is `no_realm`.
fn snake_case(denial: &Denial) -> String {
    let debug = format!("{denial:?}");
    let name = debug.split(|letter: char| !letter.is_alphanumeric()).next().unwrap();
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn every_denial_has_a_reason_of_its_own_and_the_documents_list_them_with_their_codes() {
    let mut listed = Vec::new();
    for denial in denials::all() {
        assert_eq!(denial.reason(), snake_case(&denial));
        let row = (format!("`{}`", denial.reason()), format!("`{}`", denial.public().code));
        if !listed.contains(&row) {
            listed.push(row);
        }
    }
    let documented: Vec<_> =
        rows("Reasons").iter().map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
    assert_eq!(BTreeSet::from_iter(&documented), BTreeSet::from_iter(&listed));
    assert_eq!(documented.len(), listed.len());
}

/// A line with everything that one may have.
const LINE: RequestLine<'_> = RequestLine {
    method: "GET",
    route: Some("/api/orders/{id}"),
    status: 401,
    duration: Some(Seconds(Span::from_ms(41))),
    scheme: "https",
    host: Some("api.example.com"),
    code: Some("REVOKED_API_KEY"),
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: "9f86d081884c7d65",
    parent_span_id: Some("00f067aa0ba902b7"),
    request_id: "9f86d081884c7d659a2feaa0c55ad015",
    realm: Some("shop"),
    key_id: Some("key_1"),
    tenant_id: Some("ten_1"),
    colo: Some("ZRH"),
    reason: Some("revoked_key"),
    detail: Some("another key has replaced it"),
    wait: Some(Seconds(Span::from_ms(40))),
    store: Some(Seconds(Span::from_ms(12))),
    object: Some(Seconds(Span::from_ms(25))),
    limiter: Some(Seconds(Span::from_ms(2))),
    issuer: Some(Seconds(Span::from_ms(1))),
    origin: Some(Seconds(Span::from_ms(1_000))),
};
const GOLDEN: &str = r#"{"event":"request","http.request.method":"GET","http.route":"/api/orders/{id}","http.response.status_code":401,"http.server.request.duration":0.041,"url.scheme":"https","server.address":"api.example.com","error.type":"REVOKED_API_KEY","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"9f86d081884c7d65","parent_span_id":"00f067aa0ba902b7","keyward.request.id":"9f86d081884c7d659a2feaa0c55ad015","keyward.realm":"shop","keyward.key.id":"key_1","keyward.tenant.id":"ten_1","keyward.colo":"ZRH","keyward.reason":"revoked_key","keyward.detail":"another key has replaced it","keyward.wait.duration":0.04,"keyward.store.duration":0.012,"keyward.object.duration":0.025,"keyward.limiter.duration":0.002,"keyward.issuer.duration":0.001,"keyward.origin.duration":1.0}"#;

#[test]
fn the_documents_list_every_event_with_its_fields() {
    let request_id = "0123";
    let error = "no answer";
    let events = [
        Event::Request(&LINE),
        Event::SignInRefused {
            request_id,
            code: "INVALID_TOKEN",
            reason: "invalid_token",
            detail: Some("the token is for another audience"),
        },
        Event::Origin { request_id, error },
        Event::StoreUnavailable { request_id: Some(request_id), store: "KEYS", error },
        Event::NotReady { found: "{}" },
        Event::PolicyUnreadable { error },
        Event::UsageNotReported { error },
        Event::Registry { request_id: Some(request_id), what: "tell", error },
        Event::Fault { request_id, error },
    ];
    assert_eq!(events[0].line(), GOLDEN);
    assert!(DOCS.contains(GOLDEN), "the documents show it");
    assert_eq!(SOURCE.matches("#[serde(rename = ").count(), events.len(), "the list above is whole");
    let fields: BTreeSet<_> = rows("Fields").iter().map(|row| row[1].trim_matches('`')).collect();
    let documented = rows("Events");
    let mut used = BTreeSet::new();
    for event in &events {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&event.line()).unwrap();
        let name = line["event"].as_str().unwrap();
        let row = documented.iter().find(|row| row[1] == format!("`{name}`")).unwrap();
        let level = if event.level() == Level::Info { "log" } else { "error" };
        assert_eq!(row[2], level, "{name}");
        let listed = row[3].split(',').map(|field| field.trim().trim_end_matches('?').trim_matches('`'));
        let told: Vec<_> = match event {
            Event::Request(_) => rows("Requests").iter().map(|row| row[1].trim_matches('`')).collect(),
            _ => listed.chain(["event"]).collect(),
        };
        assert_eq!(BTreeSet::from_iter(told), line.keys().map(String::as_str).collect(), "{name}");
        if !matches!(event, Event::Request(_)) {
            used.extend(line.keys().cloned());
        }
    }
    assert_eq!(fields, used.iter().map(String::as_str).collect());
    let (_, names) = ENTRY_SOURCE.split_once("@typedef {").unwrap();
    let (names, _) = names.split_once("} Event ").unwrap();
    let of_entry: Vec<_> = names.split(" | ").map(|name| name.replace('"', "`")).collect();
    for name in &of_entry {
        let row = documented.iter().find(|row| row[1] == *name).unwrap();
        assert_eq!((row[2], row[3]), ("error", ""), "{name}");
    }
    assert_eq!(documented.len(), events.len() + of_entry.len());
}

#[test]
fn nothing_but_the_log_writes_to_the_console() {
    let mut sources = fs::read_dir("../../src").unwrap().map(|entry| entry.unwrap().path());
    let writes = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("console");
    let mut writers: Vec<_> =
        sources.by_ref().filter(writes).map(|path| path.file_name().unwrap().to_owned()).collect();
    writers.sort();
    assert_eq!(writers, ["log.js", "log.rs"]);
}

/// What others wrote, at its worst.
const FOREIGN: &str =
    "line\r\ntwo\u{1b}[2J\u{202e} https://user:s3cret@id.example/keys?token=s3cret#s3cret /x?key=s3cret ";

#[test]
fn what_others_wrote_is_one_bounded_line_without_what_is_secret_in_urls_in_every_field_of_every_event() {
    let foreign = &*FOREIGN.repeat(1_000);
    let request_id = "0123";
    let request = RequestLine { tenant_id: Some(foreign), detail: Some(foreign), ..LINE };
    let events = [
        Event::Request(&request),
        Event::SignInRefused {
            request_id,
            code: "INVALID_TOKEN",
            reason: "invalid_token",
            detail: Some(foreign),
        },
        Event::Origin { request_id, error: foreign },
        Event::StoreUnavailable { request_id: None, store: foreign, error: foreign },
        Event::PolicyUnreadable { error: foreign },
        Event::UsageNotReported { error: foreign },
        Event::Registry { request_id: None, what: "outbox", error: foreign },
        Event::Fault { request_id, error: foreign },
    ];
    for event in &events {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&event.line()).unwrap();
        for (field, value) in &line {
            let Some(text) = value.as_str() else { continue };
            assert!(!text.contains("s3cret"), "{event:?} {field}");
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{field}");
            assert!(text.chars().count() <= MOST_CHARS, "{field}");
        }
        assert!(event.line().contains("line two [2J https://id.example/keys /x line"), "{}", event.line());
    }
}

#[test]
fn what_a_part_says_that_is_not_ready_is_shown_in_the_same_way() {
    let mut found = Readiness::default();
    found.note("kv", Some(FOREIGN.repeat(1_000)));
    let body: serde_json::Value = serde_json::from_str(&found.body(true)).unwrap();
    let told = body["parts"]["kv"].as_str().unwrap();
    assert!(told.starts_with("line two [2J https://id.example/keys /x line"), "{told}");
    assert!(!told.contains("s3cret"));
    assert_eq!(told.chars().count(), MOST_CHARS);
}
