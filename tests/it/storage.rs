//! `docs/storage.md` names what is stored: every object, table and field, and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_core::{
    jurisdiction::MARKER,
    key,
    record::Jurisdiction,
    sql::{self, Addition, Schema, Sql},
};
use keyward_limits::coordinator::{Coordinator, Keep, store};
use keyward_testing::{Database, record};

const DOCS: &str = include_str!("../../docs/storage.md");

/// What stands below the heading that begins so, up to the next heading of any level.
fn chapter(heading: &str) -> &'static str {
    let mut chapters = DOCS.split("\n#").filter_map(|chapter| chapter.split_once('\n'));
    let found = chapters.find(|(title, _)| title.trim_start_matches(['#', ' ']).starts_with(heading));
    found.unwrap_or_else(|| panic!("docs/storage.md has no chapter {heading}")).1
}

/// The names in backticks in a column of a chapter's table.
fn names(chapter: &'static str, column: usize) -> BTreeSet<&'static str> {
    let rows = chapter.lines().filter_map(|line| line.strip_prefix('|'));
    rows.filter_map(|row| row.split('|').nth(column))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

fn sorted(names: &BTreeSet<&'static str>) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_table_of_the_registry_is_described_and_no_other() {
    let db = Database::new();
    keyward_registry::migrate(&db).unwrap();
    let tables: Vec<String> = db.tables().into_iter().filter(|name| !name.starts_with("sqlite_")).collect();
    assert_eq!(sorted(&names(chapter("Registry ("), 0)), tables);
}

#[test]
fn every_table_and_column_of_a_key_gate_is_described_and_no_other() {
    let db = Database::new();
    let mut gate = Coordinator::default();
    gate.put(record());
    store::keep(&db, &gate, Keep::Record).unwrap();
    let described = chapter("KeyGate (");
    assert_eq!(sorted(&names(described, 0)), db.tables());
    let columns = db.tables().iter().flat_map(|table| db.columns(table)).collect::<BTreeSet<String>>();
    assert_eq!(sorted(&names(described, 1)), Vec::from_iter(columns));
}

#[test]
fn every_field_of_a_record_is_described_and_no_other() {
    let metadata = Some("{}".to_owned());
    let record =
        keyward_core::record::Record { strict: true, replaced: true, paused: true, metadata, ..record() };
    let value = serde_json::to_value(record.within(Some(Jurisdiction::Eu))).unwrap();
    let fields: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names(chapter("The record"), 0), fields);
}

#[test]
fn every_key_of_kv_is_described() {
    let described = names(chapter("KV ("), 0);
    for hash in ["sha256:<hex>", "hmac-sha256:<hex>"] {
        assert!(described.contains(key::kv_key(hash).as_str()), "{hash}");
    }
    assert!(described.contains(MARKER));
    assert_eq!(described.len(), 3);
}

#[test]
fn every_class_of_objects_has_a_chapter() {
    let wrangler = include_str!("../../wrangler.toml");
    let classes = wrangler.lines().filter_map(|line| line.strip_prefix("class_name = \""));
    // Each environment names them.
    let classes: BTreeSet<&str> = classes.map(|class| class.trim_end_matches('"')).collect();
    assert_eq!(classes.len(), 3);
    for class in classes {
        chapter(&format!("{class} ("));
    }
}

#[test]
fn a_build_serves_a_database_with_additions_that_it_does_not_know_and_refuses_one_with_such_a_migration() {
    const ADDED: Addition =
        Addition { name: "b", statements: "ALTER TABLE a ADD COLUMN b TEXT;\n CREATE INDEX i ON a (b)" };
    let older = Schema { migrations: &["CREATE TABLE a (id TEXT) STRICT"], additions: &[] };
    let newer = Schema { additions: &[ADDED], ..older };
    let newest = Schema { migrations: &["CREATE TABLE a (id TEXT) STRICT", "DROP INDEX i"], ..newer };
    let db = Database::new();
    for schema in [older, newer, older, newer] {
        sql::migrate(&db, &schema).unwrap();
        db.run("INSERT INTO a (id) VALUES ('1')", &[]).unwrap();
    }
    assert_eq!(db.columns("a"), ["id", "b"]);
    sql::migrate(&db, &newest).unwrap();
    assert!(sql::migrate(&db, &newer).unwrap_err().0.contains("deploy the newer build"));
}
