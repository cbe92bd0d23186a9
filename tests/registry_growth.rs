//! What a call adds to the database: about what it is to keep, however large and in whatever form it was sent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/office.rs"]
mod office;
mod support;

use keyward::{key::hex, sql::Sql};
use office::{Answer, Office};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Bytes of the database's pages, the empty ones included.
fn size(office: &Office) -> u64 {
    let one =
        |pragma: &str| office.db.run(&format!("PRAGMA {pragma}"), &[]).unwrap()[0][pragma].as_u64().unwrap();
    one("page_count") * one("page_size")
}

/// As much metadata as a key can have: 40,000 bytes of text.
fn large() -> Value {
    let text = "\u{1f511}".repeat(500);
    Value::Object((0..20).map(|n| (format!("field_{n}"), text.as_str().into())).collect::<Map<_, _>>())
}

fn create(office: &Office, owner: &str, idempotency_key: &str, fields: Value) -> Answer {
    let mut body = json!({"name": "a key", "scopes": ["orders:read"]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut call = office.call("POST", owner, "/api-keys", body);
    call.idempotency_key = Some(idempotency_key.to_owned());
    office.send(call).expect(201)
}

fn last_entry(office: &Office) -> Value {
    let text = office.db.run("SELECT entry FROM audit ORDER BY rowid DESC LIMIT 1", &[]).unwrap();
    serde_json::from_str(text[0]["entry"].as_str().unwrap()).unwrap()
}

#[test]
fn a_key_grows_the_database_by_little_more_than_what_is_set_on_it() {
    let (office, owner) = Office::open();
    let before = size(&office);
    const KEYS: u64 = 10;
    for n in 0..KEYS {
        create(&office, &owner, &format!("n-{n}"), json!({"metadata": large()}));
    }
    let settings = large().to_string().len() as u64;
    let growth = (size(&office) - before) / KEYS;
    println!("a create with {settings} bytes of metadata grows the database by {growth} bytes");
    assert!(growth < settings + settings / 4, "{growth}");
    let before = size(&office);
    for n in 0..10 * KEYS {
        create(&office, &owner, &format!("m-{n}"), json!({}));
    }
    let growth = (size(&office) - before) / (10 * KEYS);
    println!("an ordinary create grows it by {growth} bytes");
    assert!(growth < 6_000, "{growth}");
}

#[test]
fn an_entry_says_of_what_is_long_its_length_and_hash_and_the_chain_stays_whole() {
    let (office, owner) = Office::open();
    let id = create(&office, &owner, "n-1", json!({"metadata": large(), "tags": ["of people"]})).key_id();
    let made = last_entry(&office);
    // In the form of RFC 8785: names are sorted, and nothing in this text is escaped.
    let mut sorted: Vec<(String, Value)> = large().as_object().unwrap().clone().into_iter().collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let text: Vec<String> = sorted.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let text = format!("{{{}}}", text.join(","));
    let digest = json!({"bytes": text.len(), "sha256": hex(&Sha256::digest(&text))});
    assert_eq!(made["after"]["metadata"], digest);
    assert_eq!(made["after"]["tags"], json!(["of people"]), "what is short stays");

    let path = format!("/api-keys/{id}");
    office.patch(&owner, &path, json!({"metadata": {"field": "x"}})).expect(200);
    let edited = last_entry(&office);
    assert_eq!(edited["before"]["metadata"], digest);
    assert_eq!(edited["after"]["metadata"], json!({"field": "x"}));
    assert_eq!(edited["after"].get("tags"), None, "what did not change is not in it");
    let long = office.db.run("SELECT MAX(length(entry)) AS longest FROM audit", &[]).unwrap();
    assert!(long[0]["longest"].as_u64().unwrap() < 4_096);
    assert_eq!(office.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn every_side_of_every_entry_is_bounded_whichever_fields_are_long() {
    let (office, owner) = Office::open();
    let addresses: Vec<String> =
        (0..100).map(|n| format!("2001:db8:{n:x}:ffff:ffff:ffff:ffff:ffff")).collect();
    let origins: Vec<String> =
        (0..100).map(|n| format!("https://{}.{n}.example.com", "a".repeat(60))).collect();
    let tags: Vec<String> = (0..20).map(|n| format!("{n} {}", "\u{1f511}".repeat(45))).collect();
    let fields = json!({
        "kind": "publishable", "name": "\u{1f511}".repeat(100), "metadata": large(), "allowedIps": addresses,
        "allowedOrigins": origins, "tags": tags
    });
    create(&office, &owner, "n-1", fields);
    let entry = last_entry(&office);
    assert!(entry.to_string().len() < 4_096, "{entry}");
    for field in ["metadata", "allowedIps", "allowedOrigins", "tags"] {
        assert_eq!(entry["after"][field]["sha256"].as_str().map(str::len), Some(64), "{field}");
    }
}

#[test]
fn a_repeat_is_the_first_answer_to_the_letter_whatever_became_of_the_key() {
    let (office, owner) = Office::open();
    let fields = json!({"metadata": large(), "tags": ["t".repeat(50), "u".repeat(50)]});
    let first = create(&office, &owner, "n-1", fields.clone());
    let stored = office.db.run("SELECT answer FROM idempotency", &[]).unwrap();
    assert!(stored[0]["answer"].as_str().unwrap().len() < 2_048);
    let path = format!("/api-keys/{}", first.key_id());
    for change in [
        json!({"name": "b"}),
        json!({"metadata": {"a": "b"}}),
        json!({"metadata": large(), "tags": []}),
        json!({"metadata": null}),
    ] {
        office.patch(&owner, &path, change).expect(200);
        assert_eq!(create(&office, &owner, "n-1", fields.clone()).text, first.text);
    }
    office.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
    assert_eq!(create(&office, &owner, "n-1", fields).text, first.text);
}

#[test]
fn what_is_searched_of_a_key_is_bounded_whatever_its_characters_become() {
    let (office, owner) = Office::open();
    let tags: Vec<String> = (0..20).map(|n| format!("{n}{}", "\u{fdfa}".repeat(48))).collect();
    create(&office, &owner, "n-1", json!({"name": "\u{fdfa}".repeat(100), "tags": tags}));
    let searched = office.db.run("SELECT length(CAST(search AS BLOB)) AS bytes FROM keys", &[]).unwrap();
    assert!(searched[0]["bytes"].as_u64().unwrap() <= 8_192);
    let found = office.get(&owner, "/api-keys?q=%EF%B7%BA").expect(200);
    assert_eq!(found.body["apiKeys"].as_array().unwrap().len(), 1);
}
