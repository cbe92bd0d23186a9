//! SQLite as a trait, so that the objects' real SQL runs in the Durable Object and in native tests.

use serde_json::Value as Json;

use crate::time::Timestamp;

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

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.0)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

const UNDONE: &str = "SQLite has undone everything";

/// What the database said when it could not run a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object's database: {0}")]
pub struct SqlError(pub String);

impl SqlError {
    /// Whether the database cannot grow any more (SQLITE_FULL).
    pub fn is_full(&self) -> bool {
        self.0.contains("database or disk is full")
    }

    /// Whether SQLite has undone more than a [`transaction`]: whatever was open around it, too. What is written after
    /// that is written by itself.
    pub fn is_undone(&self) -> bool {
        self.0.starts_with(UNDONE)
    }
}

/// One object's SQLite database. Calls without an await between them are atomic against a crash, and those
/// of one [`transaction`] also against a statement that fails.
pub trait Sql {
    /// Runs one statement and returns its rows, each a JSON object by column name.
    ///
    /// # Errors
    /// What SQLite says, without the bound values.
    fn run(&self, statement: &str, values: &[Value]) -> Result<Vec<Json>, SqlError>;

    /// Calls `turn` once. What it writes is kept if it returns true; otherwise, and on an error, all of it is
    /// undone. Transactions nest. Use [`transaction`].
    ///
    /// # Errors
    /// What SQLite says: nothing of it is kept then.
    fn attempt(&self, turn: &mut dyn FnMut() -> bool) -> Result<(), SqlError>;

    /// Bytes of it that are in use. What was deleted and can be used again does not count.
    ///
    /// # Errors
    /// What SQLite says.
    fn size(&self) -> Result<u64, SqlError>;
}

/// Runs `turn` as one transaction: everything that it writes is written if it returns `Ok`, else nothing is.
///
/// # Errors
/// What `turn` says, or what SQLite says.
pub fn transaction<T, E: From<SqlError>>(db: &dyn Sql, turn: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut turn = Some(turn);
    let mut result = None;
    let ended = db.attempt(&mut || {
        result = turn.take().map(|turn| turn());
        matches!(result, Some(Ok(_)))
    });
    match (ended, result) {
        (Ok(()), Some(Err(error))) => Err(error),
        (Err(lost), Some(Err(_))) => Err(SqlError(format!("{UNDONE}: {}", lost.0)).into()),
        (Ok(()), Some(Ok(value))) => Ok(value),
        (Err(error), _) => Err(error.into()),
        (Ok(()), None) => Err(SqlError("the transaction was not run".to_owned()).into()),
    }
}

/// Runs one statement and reads its rows.
///
/// # Errors
/// What SQLite says, or which column cannot be read.
pub fn query<T: FromRow>(db: &dyn Sql, statement: &str, values: &[Value]) -> Result<Vec<T>, SqlError> {
    let mut read = Vec::new();
    for row in db.run(statement, values)? {
        read.push(T::from_row(&Row(row))?);
    }
    Ok(read)
}

/// Runs one statement and reads its first row, if there is one.
///
/// # Errors
/// As [`query`].
pub fn query_one<T: FromRow>(db: &dyn Sql, statement: &str, values: &[Value]) -> Result<Option<T>, SqlError> {
    match db.run(statement, values)?.into_iter().next() {
        Some(row) => T::from_row(&Row(row)).map(Some),
        None => Ok(None),
    }
}

/// Runs one statement and reads the one column of its rows.
///
/// # Errors
/// As [`query`].
pub fn scalars<T: Column>(db: &dyn Sql, statement: &str, values: &[Value]) -> Result<Vec<T>, SqlError> {
    let mut read = Vec::new();
    for row in db.run(statement, values)? {
        read.push(Row(row).only()?);
    }
    Ok(read)
}

/// Runs one statement and reads the one column of its first row, if there is one.
///
/// # Errors
/// As [`query`].
pub fn scalar<T: Column>(db: &dyn Sql, statement: &str, values: &[Value]) -> Result<Option<T>, SqlError> {
    match db.run(statement, values)?.into_iter().next() {
        Some(row) => Row(row).only().map(Some),
        None => Ok(None),
    }
}

/// A row, whose columns are read by name. Not by `serde`: it would compile a parser for each type that is read.
pub struct Row(Json);

impl Row {
    /// What a column holds.
    ///
    /// # Errors
    /// That it holds something else.
    pub fn get<T: Column>(&self, column: &str) -> Result<T, SqlError> {
        T::of(self.column(column)).ok_or_else(|| unreadable(column))
    }

    /// The JSON text that a column holds, parsed; `null` if it holds NULL.
    ///
    /// # Errors
    /// That it holds something else.
    pub fn json(&self, column: &str) -> Result<Json, SqlError> {
        let parsed = match self.column(column) {
            Json::Null => Some(Json::Null),
            text => text.as_str().and_then(|text| keyward_json::parse(text).ok()),
        };
        parsed.ok_or_else(|| unreadable(column))
    }

    fn column(&self, column: &str) -> &Json {
        self.0.get(column).unwrap_or(&Json::Null)
    }

    fn only<T: Column>(&self) -> Result<T, SqlError> {
        let value = self.0.as_object().and_then(|columns| columns.values().next());
        T::of(value.unwrap_or(&Json::Null)).ok_or_else(|| unreadable("the only one"))
    }
}

/// That a column does not hold what this build stores there. What it does hold may be secret.
pub fn unreadable(column: &str) -> SqlError {
    SqlError(format!("a row cannot be read: the column {column} holds something else than expected"))
}

/// What is read from a row.
pub trait FromRow: Sized {
    /// # Errors
    /// Which column cannot be read.
    fn from_row(row: &Row) -> Result<Self, SqlError>;
}

/// [`FromRow`] for a struct whose fields are columns of the same names.
#[macro_export]
macro_rules! from_row {
    ($type:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::sql::FromRow for $type {
            fn from_row(row: &$crate::sql::Row) -> Result<Self, $crate::sql::SqlError> {
                Ok(Self { $($field: row.get(stringify!($field))?),+ })
            }
        }
    };
}

/// What one column can hold.
pub trait Column: Sized {
    /// `None` if the value is something else.
    fn of(value: &Json) -> Option<Self>;
}

impl Column for String {
    fn of(value: &Json) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Column for i64 {
    fn of(value: &Json) -> Option<Self> {
        value.as_i64()
    }
}

impl Column for u64 {
    fn of(value: &Json) -> Option<Self> {
        value.as_u64()
    }
}

impl Column for u32 {
    fn of(value: &Json) -> Option<Self> {
        value.as_u64().and_then(|number| Self::try_from(number).ok())
    }
}

/// SQLite has no booleans.
impl Column for bool {
    fn of(value: &Json) -> Option<Self> {
        value.as_i64().map(|number| number != 0)
    }
}

impl Column for Timestamp {
    fn of(value: &Json) -> Option<Self> {
        value.as_i64().map(Self)
    }
}

impl<T: Column> Column for Option<T> {
    fn of(value: &Json) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::of(value).map(Some) }
    }
}

/// What an object's database holds, as a history of steps.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Steps that an older build cannot live with, in order. A database that has seen more of them than the
    /// build knows is not touched by it.
    pub migrations: &'static [&'static str],
    /// Steps that an older build does not notice, in order: a table, an index that is not unique, a column that may be
    /// null or has a default, or a trigger that writes only to such a table. They let a build and the one before it serve
    /// side by side.
    pub additions: &'static [Addition],
}

/// One step that an older build does not notice.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// What is remembered of it; unique in its schema.
    pub name: &'static str,
    /// What is run.
    pub statements: &'static str,
}

/// Brings the schema forward: runs the steps that this database has not seen, each in one transaction with the
/// row that remembers it.
/// Steps are only ever appended; `docs/storage.md` lists the tables.
///
/// # Errors
/// What SQLite says; or that the database is newer than this build, which then must not touch it.
pub fn migrate(db: &dyn Sql, schema: &Schema) -> Result<(), SqlError> {
    let Schema { migrations, additions } = schema;
    db.run("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY) STRICT", &[])?;
    let seen = scalar::<u64>(db, "SELECT COUNT(*) FROM migrations", &[])?.unwrap_or_default();
    let seen = usize::try_from(seen).unwrap_or(usize::MAX);
    if seen > migrations.len() {
        return Err(SqlError(format!(
            "has schema {seen}, this build knows {}: deploy the newer build",
            migrations.len()
        )));
    }
    for (index, migration) in migrations.iter().enumerate().skip(seen) {
        transaction(db, || {
            run_all(db, migration)?;
            db.run("INSERT INTO migrations (number) VALUES (?)", &[Value::Integer(index as i64 + 1)])
        })?;
    }
    if additions.is_empty() {
        return Ok(());
    }
    db.run("CREATE TABLE IF NOT EXISTS additions (name TEXT PRIMARY KEY) STRICT", &[])?;
    for Addition { name, statements } in *additions {
        let name = Value::from(*name);
        if db.run("SELECT name FROM additions WHERE name = ?", std::slice::from_ref(&name))?.is_empty() {
            transaction(db, || {
                run_all(db, statements)?;
                db.run("INSERT INTO additions (name) VALUES (?)", std::slice::from_ref(&name))
            })?;
        }
    }
    Ok(())
}

/// Runs statements, each of which ends with a `;` at the end of a line, or with the text. So a trigger's `END` stands on
/// the line of the `;` before it.
fn run_all(db: &dyn Sql, statements: &str) -> Result<(), SqlError> {
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        db.run(statement, &[])?;
    }
    Ok(())
}
