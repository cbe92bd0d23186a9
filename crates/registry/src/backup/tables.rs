//! Which tables a backup has, in their order, and how the rows of one are read and written.

use keyward_core::sql::{Sql, SqlError, Value};
use serde_json::{Map, Value as Json};

/// A table, all of whose rows are in a backup.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// By what its rows are told apart, in an order that a row keeps: `rowid`, or a column of text.
    order: &'static str,
    /// Columns that SQLite computes.
    computed: &'static [&'static str],
    /// Whether a row may have been read twice, because it was written anew meanwhile: the later one counts.
    replaces: bool,
}

const fn table(name: &'static str) -> Table {
    Table { name, order: "rowid", computed: &[], replaces: true }
}

/// The tables. Tenants and members come last: whatever names one in an earlier page was there before, and nobody can sign in before
/// all the others are there.
///
/// Left out is what passes by itself within a day or so (sessions, one-time links, idempotent requests, guesses, refusals in detail,
/// events), and what follows from the rest.
pub const TABLES: &[Table] = &[
    Table { order: "hash", ..table("ended_imports") },
    Table {
        computed: &["bytes", "used_at", "ends_at", "sort_name", "idle_since", "state"],
        replaces: false,
        ..table("keys")
    },
    Table {
        computed: &["actor_id", "actor_email", "action", "target", "time"],
        replaces: false,
        ..table("audit")
    },
    table("audit_checkpoints"),
    table("audit_refused"),
    Table { replaces: false, ..table("usage") },
    table("usage_days"),
    // After the hours, whose triggers add them up: these are the sums as they were.
    table("usage_totals"),
    table("usage_routes"),
    table("usage_bounds"),
    table("recoveries"),
    Table { replaces: false, ..table("tenants") },
    table("known_networks"),
    table("passkeys"),
    table("members"),
];

/// A row that was read.
pub struct Read {
    /// Where it stands in its table, as text.
    pub place: String,
    /// What it holds.
    pub columns: Map<String, Json>,
}

/// The column of that place.
const PLACE: &str = "place_in_table";

impl Table {
    /// The rows after this place (all, if it is empty), `most` of them.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn rows_after(&self, db: &dyn Sql, place: &str, most: u32) -> Result<Vec<Read>, SqlError> {
        let Self { name, order, .. } = self;
        let is_text = *order != "rowid";
        let after: Value = if is_text { place.into() } else { place.parse::<i64>().unwrap_or(0).into() };
        let rows = format!(
            "SELECT CAST({order} AS TEXT) AS {PLACE}, * FROM {name} WHERE {order} > ? ORDER BY {order} LIMIT ?"
        );
        let mut read = Vec::new();
        for row in db.run(&rows, &[after, most.into()])? {
            let Json::Object(mut columns) = row else { continue };
            let place =
                columns.remove(PLACE).and_then(|place| place.as_str().map(str::to_owned)).unwrap_or_default();
            columns.retain(|column, _| !self.computed.contains(&column.as_str()));
            read.push(Read { place, columns });
        }
        Ok(read)
    }

    /// Writes a row that [`Table::rows_after`] has read.
    ///
    /// # Errors
    /// What SQLite says: also that it has no such column, which a newer build has added.
    pub fn write(&self, db: &dyn Sql, columns: &Map<String, Json>) -> Result<(), SqlError> {
        let is_name = |name: &String| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if columns.is_empty() || !columns.keys().all(is_name) {
            return Err(SqlError(format!("a row of {} has columns that none has", self.name)));
        }
        let names = columns.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let marks = vec!["?"; columns.len()].join(", ");
        let values: Vec<Value> = columns.values().map(bound).collect();
        let insert = if self.replaces { "INSERT OR REPLACE" } else { "INSERT" };
        db.run(&format!("{insert} INTO {} ({names}) VALUES ({marks})", self.name), &values).map(drop)
    }

    /// Removes all rows.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn empty(&self, db: &dyn Sql) -> Result<(), SqlError> {
        db.run(&format!("DELETE FROM {}", self.name), &[]).map(drop)
    }
}

/// As SQLite had it: the columns are integers and text.
fn bound(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Number(number) => number.as_i64().map_or(Value::Null, Value::Integer),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}
