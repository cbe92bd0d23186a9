//! SQLite as a trait, so that the objects' real SQL runs in the Durable Object and in native tests.

use std::fmt;

use serde::de::DeserializeOwned;

/// A value bound to a `?` of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL
    Null,
    /// INTEGER, at most 2^53 in size: it crosses as a JavaScript number.
    Integer(i64),
    /// TEXT
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl From<crate::time::Timestamp> for Value {
    fn from(time: crate::time::Timestamp) -> Self {
        Self::Integer(time.0)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What the database said when it could not run a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(pub String);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object's database: {}", self.0)
    }
}

impl std::error::Error for SqlError {}

/// One object's SQLite database. Calls without an await between them are atomic against a crash.
pub trait Sql {
    /// Runs one statement and returns its rows, each a JSON object by column name.
    ///
    /// # Errors
    /// What SQLite says, without the bound values.
    fn run(&self, statement: &str, values: &[Value]) -> Result<Vec<serde_json::Value>, SqlError>;
}

/// Runs one statement and reads its rows as `T`.
///
/// # Errors
/// What SQLite says, or that a row is not a `T`.
pub fn query<T: DeserializeOwned>(
    db: &dyn Sql,
    statement: &str,
    values: &[Value],
) -> Result<Vec<T>, SqlError> {
    db.run(statement, values)?
        .into_iter()
        .map(|row| {
            serde_json::from_value(row).map_err(|error| SqlError(format!("a row cannot be read: {error}")))
        })
        .collect()
}

/// Runs one statement and reads its first row, if any, as `T`.
///
/// # Errors
/// As [`query`].
pub fn query_one<T: DeserializeOwned>(
    db: &dyn Sql,
    statement: &str,
    values: &[Value],
) -> Result<Option<T>, SqlError> {
    Ok(query(db, statement, values)?.into_iter().next())
}

/// Brings the schema forward: runs the migrations that this database has not seen, in order, and
/// remembers each. Migrations are only ever appended; `docs/storage.md` lists them.
///
/// # Errors
/// What SQLite says; or that the database is newer than this build, which then must not touch it.
pub fn migrate(db: &dyn Sql, migrations: &[&str]) -> Result<(), SqlError> {
    #[derive(serde::Deserialize)]
    struct Seen {
        seen: usize,
    }
    db.run("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY) STRICT", &[])?;
    let seen =
        query_one::<Seen>(db, "SELECT COUNT(*) AS seen FROM migrations", &[])?.map_or(0, |row| row.seen);
    if seen > migrations.len() {
        return Err(SqlError(format!(
            "has schema {seen}, this build knows {}: deploy the newer build",
            migrations.len()
        )));
    }
    for (index, migration) in migrations.iter().enumerate().skip(seen) {
        for statement in migration.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            db.run(statement, &[])?;
        }
        db.run("INSERT INTO migrations (number) VALUES (?)", &[Value::Integer(index as i64 + 1)])?;
    }
    Ok(())
}
