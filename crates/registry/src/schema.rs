//! The Registry's tables. One object holds the whole deployment, so that e-mail addresses are unique
//! over tenants and an operator's call and its audit are one transaction; every table that holds
//! something of a tenant says whose it is. `docs/storage.md` describes them.
//!
//! A key's row is also its outbox entry: `publish_due` says when it has to be told and published
//! next. One statement therefore changes a key and enqueues it, and a crash cannot come in between.

mod additions;
mod first_release;

use keyward_core::sql::{self, Schema, Sql, SqlError};

pub use additions::ADDITIONS;
pub use first_release::MIGRATIONS;

/// The tables.
pub const SCHEMA: Schema = Schema { migrations: MIGRATIONS, additions: ADDITIONS };

/// Brings the database's schema forward.
///
/// # Errors
/// As [`sql::migrate`].
pub fn migrate(db: &dyn Sql) -> Result<(), SqlError> {
    sql::migrate(db, &SCHEMA)
}
