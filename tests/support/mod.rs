//! What several tests need: a record to begin with, secrets, and randomness that can be repeated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod jose;
pub mod outside;
pub mod world;

use keyward::{
    entropy::Entropy,
    record::{Format, KeyKind, Limits, Mode, Record, Status, Tenant, TenantStatus},
    secret::Secrets,
    sql::{Sql, SqlError, Value},
    time::Timestamp,
};
use sha2::{Digest, Sha256};

/// A moment to start from.
pub const NOON: Timestamp = Timestamp(1_900_000_000_000);

pub const SECRET: &str = "test-secret-of-the-deployment-1234567890";

pub fn secrets() -> Secrets {
    Secrets::new(SECRET, None)
}

/// An active live key with `orders:read`, 5 requests a minute, no other restriction.
pub fn record() -> Record {
    Record {
        v: Format::V1,
        id: "key_1".into(),
        realm: "default".into(),
        tenant: Tenant { id: "tenant-1".into(), code: None, status: TenantStatus::Active, plan: None },
        kind: KeyKind::Secret,
        mode: Mode::Live,
        status: Status::Active,
        version: 1,
        expires_at: None,
        scopes: vec!["orders:read".into()],
        allowed_ips: Vec::new(),
        allowed_origins: Vec::new(),
        limits: Limits { per_minute: Some(5), per_day: None },
        strict: false,
        replaced: false,
    }
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
pub struct Database(rusqlite::Connection);

impl Database {
    pub fn new() -> Self {
        Self(rusqlite::Connection::open_in_memory().unwrap())
    }

    /// Names of its tables.
    pub fn tables(&self) -> Vec<String> {
        let rows =
            self.run("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", &[]).unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Names of a table's columns.
    pub fn columns(&self, table: &str) -> Vec<String> {
        let prepared = self.0.prepare(&format!("SELECT * FROM {table}")).unwrap();
        prepared.column_names().map(str::to_owned).collect()
    }
}

impl Sql for Database {
    fn run(&self, statement: &str, values: &[Value]) -> Result<Vec<serde_json::Value>, SqlError> {
        let failed = |error: rusqlite::Error| SqlError(error.to_string());
        let mut prepared = self.0.prepare(statement).map_err(failed)?;
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
        Ok(all)
    }
}
