//! How a coordinator is stored: in one row, so that each call writes at most once. An object that was never given a record
//! writes nothing at all, so made-up keys leave no trace.

use std::cell::RefCell;

use super::{Coordinator, Counts, Keep};
use keyward_core::sql::{self, Schema, Sql, SqlError};

/// Forward only: append, never change.
const SCHEMA: Schema = Schema { migrations: MIGRATIONS, additions: &[] };
const MIGRATIONS: &[&str] = &["CREATE TABLE key_gate (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    record TEXT NOT NULL,
    counts TEXT NOT NULL
) STRICT"];

/// A coordinator in memory, beside its database. Empty when the object has just woken up.
#[derive(Default)]
pub struct Kept(RefCell<Option<Coordinator>>);

impl Kept {
    /// Runs a synchronous turn on the coordinator and stores what it changed. After a failure the next turn reads the
    /// coordinator again, because memory must not know more than the disk.
    ///
    /// # Errors
    /// What the turn says; as [`load`] and [`keep`].
    pub fn turn<T>(
        &self,
        db: &dyn Sql,
        turn: impl FnOnce(&mut Coordinator) -> Result<(T, Keep), SqlError>,
    ) -> Result<T, SqlError> {
        let mut slot = self.0.borrow_mut();
        let mut coordinator = match slot.take() {
            Some(coordinator) => coordinator,
            None => load(db)?,
        };
        let (answer, changed) = turn(&mut coordinator)?;
        keep(db, &coordinator, changed)?;
        *slot = Some(coordinator);
        Ok(answer)
    }
}

struct Row {
    record: String,
    counts: String,
}

keyward_core::from_row!(Row { record, counts });

/// Reads what was stored; an empty coordinator if nothing was.
///
/// # Errors
/// What SQLite says, or that this build cannot read the row.
pub fn load(db: &dyn Sql) -> Result<Coordinator, SqlError> {
    let table = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'key_gate'";
    if db.run(table, &[])?.is_empty() {
        return Ok(Coordinator::default());
    }
    sql::migrate(db, &SCHEMA)?;
    let Some(row) = sql::query_one::<Row>(db, "SELECT record, counts FROM key_gate", &[])? else {
        return Ok(Coordinator::default());
    };
    let unreadable = |error: keyward_json::Error| SqlError(format!("key_gate cannot be read: {error}"));
    let record = keyward_json::from_str(&row.record).map_err(unreadable)?;
    let counts = keyward_json::from_str(&row.counts).map_err(unreadable)?;
    Ok(Coordinator::kept(record, counts))
}

/// Stores what has changed.
///
/// # Errors
/// What SQLite says.
pub fn keep(db: &dyn Sql, coordinator: &Coordinator, keep: Keep) -> Result<(), SqlError> {
    match (keep, &coordinator.record) {
        (Keep::Record, Some(record)) => {
            let counts = to_text(&Counts::default())?;
            let insert = "INSERT INTO key_gate (one, record, counts) VALUES (1, ?, ?)
                ON CONFLICT (one) DO UPDATE SET record = excluded.record";
            sql::transaction(db, || {
                sql::migrate(db, &SCHEMA)?;
                db.run(insert, &[to_text(record)?.into(), counts.into()]).map(drop)
            })
        }
        (Keep::Counts, Some(_)) => {
            db.run("UPDATE key_gate SET counts = ?", &[to_text(&coordinator.counts)?.into()]).map(drop)
        }
        // An object that was never given a record has no table.
        (Keep::Nothing, _) | (_, None) => Ok(()),
    }
}

fn to_text(value: &impl serde::Serialize) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(|error| SqlError(error.to_string()))
}
