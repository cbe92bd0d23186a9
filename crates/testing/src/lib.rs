//! What several tests need: a record to begin with, secrets, and randomness that can be repeated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(missing_docs, clippy::new_without_default, reason = "for tests only")]

#[cfg(feature = "registry")]
pub mod authenticator;
#[cfg(feature = "gate")]
pub mod call;
pub mod change_log;
pub mod clock;
#[cfg(feature = "gate")]
pub mod denials;
#[cfg(feature = "gate")]
pub mod fake_platform;
#[cfg(feature = "registry")]
pub mod fake_registry_platform;
#[cfg(feature = "gate")]
pub mod jose;
#[cfg(feature = "gate")]
pub mod keys_only;
pub mod policy;
#[cfg(feature = "registry")]
pub mod registry_fixture;
#[cfg(any(feature = "gate", feature = "registry"))]
mod rsa_key;
#[cfg(feature = "gate")]
pub mod wycheproof;

use std::cell::{Cell, RefCell};

use keyward_core::{
    entropy::Entropy,
    record::{Limits, Record, Tenant, TenantStatus},
    secret::Secrets,
    sql::{Sql, SqlError, Value},
    time::{Span, Timestamp},
};
use keyward_policy::{Alphabet, ImportedFormat, Link};
use sha2::{Digest, Sha256};

/// A moment to start from.
pub const NOON: Timestamp = Timestamp(1_900_000_000_000);

pub const SECRET: &str = "test-secret-of-the-deployment-1234567890";

/// Links into a session, as a realm of a shop may have them.
pub const LINK: Link = Link {
    parameter: "token",
    prefix: "st_",
    life: Span::from_secs(900),
    cookie: "__Host-shop",
    session_life: Span::from_secs(3_600),
};

/// Keys that somebody has had elsewhere: `old_` and 24 characters, or a few more.
pub const IMPORTED: ImportedFormat =
    ImportedFormat { prefixes: &["old_"], min_length: 24, max_length: 40, alphabet: Alphabet::Base64Url };

pub fn secrets() -> Secrets {
    Secrets::new(SECRET, None)
}

/// An active live key with `orders:read`, 5 requests a minute, no other restriction.
pub fn record() -> Record {
    let tenant =
        Tenant { id: "tenant-1".into(), code: None, status: TenantStatus::Active, plan: None, pool: None };
    let limits = Limits { per_minute: Some(5), ..Limits::default() };
    let live = Record::live("key_1".into(), "default".into(), tenant, vec!["orders:read".into()]);
    Record { version: 1, limits, ..live }
}

/// Bytes that look random and are the same each time: SHA-256 of a seed and a counter.
pub struct Seeded {
    seed: u64,
    block: Vec<u8>,
    counter: u64,
}

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self { seed, block: Vec::new(), counter: 0 }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            if self.block.is_empty() {
                self.block =
                    Sha256::digest([self.seed.to_be_bytes(), self.counter.to_be_bytes()].concat()).to_vec();
                self.counter += 1;
            }
            *byte = self.block.pop().unwrap();
        }
    }
}

/// A real SQLite database in memory, as an object has one on disk.
pub struct Database {
    connection: rusqlite::Connection,
    /// How many steps still go well before one fails. Steps are statements, and the begin and end of a
    /// transaction. After the one that failed all goes well again.
    fails_after: Cell<Option<u32>>,
    /// Statements that were run since [`Database::watch`].
    watched: RefCell<Option<Vec<String>>>,
    /// Steps of SQLite's machine, all in all.
    work: Cell<u64>,
}

impl Database {
    pub fn new() -> Self {
        Self {
            connection: rusqlite::Connection::open_in_memory().unwrap(),
            fails_after: Cell::new(None),
            watched: RefCell::default(),
            work: Cell::default(),
        }
    }

    /// Lets one step fail, after this number of steps that go well.
    pub fn fail_after(&self, steps: u32) {
        self.fails_after.set(Some(steps));
    }

    /// Lets it grow by this number of pages and no further.
    pub fn allow_pages(&self, more: u64) {
        let pages = self.rows("PRAGMA page_count", &[]).unwrap()[0]["page_count"].as_u64().unwrap();
        self.rows(&format!("PRAGMA max_page_count = {}", pages + more), &[]).unwrap();
    }

    /// Notes the statements that are run from now on.
    pub fn watch(&self) {
        self.watched.replace(Some(Vec::new()));
    }

    /// What was run since then.
    pub fn watched(&self) -> Vec<String> {
        self.watched.take().unwrap_or_default()
    }

    /// How much work SQLite has done, in steps of its machine: as much each time for the same rows. A row that is
    /// looked at takes a few.
    pub fn work(&self) -> u64 {
        self.work.get()
    }

    /// Whether the step that was to fail has not come; it will no longer.
    pub fn has_not_failed(&self) -> bool {
        self.fails_after.take().is_some()
    }

    fn step(&self) -> Result<(), SqlError> {
        match self.fails_after.get() {
            Some(0) => {
                self.fails_after.set(None);
                Err(SqlError("disk I/O error".into()))
            }
            left => {
                self.fails_after.set(left.map(|steps| steps - 1));
                Ok(())
            }
        }
    }

    /// Every table's definition and rows, and every index.
    pub fn dump(&self) -> String {
        let all = |statement: &str| self.rows(statement, &[]).unwrap();
        let mut text = String::new();
        for entry in all("SELECT type, name, sql FROM sqlite_master ORDER BY name") {
            text.push_str(&format!("{entry}\n"));
        }
        for table in self.tables() {
            // Of the ballast only that it is there: it is large.
            let columns = if table == "ballast" { "number" } else { "*" };
            for row in all(&format!("SELECT {columns} FROM {table}")) {
                text.push_str(&format!("{table} {row}\n"));
            }
        }
        text
    }

    /// Names of its tables.
    pub fn tables(&self) -> Vec<String> {
        let rows =
            self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", &[]).unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Names of a table's columns.
    pub fn columns(&self, table: &str) -> Vec<String> {
        let prepared = self.connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        prepared.column_names().map(str::to_owned).collect()
    }

    fn rows(&self, statement: &str, values: &[Value]) -> Result<Vec<serde_json::Value>, SqlError> {
        let failed = |error: rusqlite::Error| SqlError(error.to_string());
        let mut prepared = self.connection.prepare(statement).map_err(failed)?;
        let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let values = values.iter().map(|value| match value {
            Value::Null => rusqlite::types::Value::Null,
            Value::Integer(number) => rusqlite::types::Value::Integer(*number),
            Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        });
        let mut rows = prepared.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut object = serde_json::Map::new();
            for (index, name) in names.iter().enumerate() {
                let value = match row.get_ref(index).map_err(failed)? {
                    rusqlite::types::ValueRef::Null => serde_json::Value::Null,
                    rusqlite::types::ValueRef::Integer(number) => number.into(),
                    rusqlite::types::ValueRef::Real(number) => number.into(),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                    rusqlite::types::ValueRef::Blob(_) => return Err(SqlError("a blob".into())),
                };
                object.insert(name.clone(), value);
            }
            all.push(object.into());
        }
        drop(rows);
        let steps = prepared.get_status(rusqlite::StatementStatus::VmStep);
        self.work.set(self.work.get() + u64::from(steps.unsigned_abs()));
        Ok(all)
    }
}

impl Sql for Database {
    fn run(&self, statement: &str, values: &[Value]) -> Result<Vec<serde_json::Value>, SqlError> {
        self.step()?;
        if let Some(watched) = self.watched.borrow_mut().as_mut() {
            watched.push(statement.to_owned());
        }
        self.rows(statement, values)
    }

    /// As workerd does it: with savepoints.
    fn attempt(&self, turn: &mut dyn FnMut() -> bool) -> Result<(), SqlError> {
        let run = |statement: &str| {
            self.connection.execute_batch(statement).map_err(|error| SqlError(error.to_string()))
        };
        self.step()?;
        run("SAVEPOINT turn")?;
        let ended = if turn() { self.step().map(|()| true) } else { Ok(false) };
        if !matches!(ended, Ok(true)) {
            run("ROLLBACK TO turn")?;
        }
        run("RELEASE turn")?;
        ended.map(drop)
    }
    fn size(&self) -> Result<u64, SqlError> {
        let one =
            |pragma: &str| self.rows(&format!("PRAGMA {pragma}"), &[]).unwrap()[0][pragma].as_u64().unwrap();
        Ok((one("page_count") - one("freelist_count")) * one("page_size"))
    }
}
