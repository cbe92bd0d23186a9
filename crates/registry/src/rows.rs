//! Rows: inserting and updating one, and reading columns of types that SQLite does not have.

use keyward_core::{
    record::{Limits, Window},
    sql::{self, Row, Sql, SqlError, Value},
};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::enum_text::text_of;

/// Inserts one row. Table and columns are this crate's own words, never input.
///
/// # Errors
/// What SQLite says.
pub fn insert(db: &dyn Sql, table: &str, columns: &[(&str, Value)]) -> Result<(), SqlError> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let marks = vec!["?"; columns.len()].join(", ");
    let values: Vec<Value> = columns.iter().map(|(_, value)| value.clone()).collect();
    db.run(&format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", ")), &values)?;
    Ok(())
}

/// Updates the row whose `id` this is. Table and columns are this crate's own words, never input.
///
/// # Errors
/// What SQLite says.
pub fn update(db: &dyn Sql, table: &str, id: &str, columns: &[(&str, Value)]) -> Result<(), SqlError> {
    let sets: Vec<String> = columns.iter().map(|(name, _)| format!("{name} = ?")).collect();
    let values: Vec<Value> = columns.iter().map(|(_, value)| value.clone()).chain([id.into()]).collect();
    db.run(&format!("UPDATE {table} SET {} WHERE id = ?", sets.join(", ")), &values)?;
    Ok(())
}

/// The columns of limits.
///
/// # Errors
/// That one holds something else.
pub fn limits(row: &Row) -> Result<Limits, SqlError> {
    let mut is_read = Ok(());
    let limits = Limits::each(|window| {
        row.get(window.setting()).unwrap_or_else(|error| {
            is_read = Err(error);
            None
        })
    });
    is_read.map(|()| limits)
}

/// Limits as columns.
pub fn limit_columns(limits: Limits) -> impl Iterator<Item = (&'static str, Value)> {
    Window::LIMITS.into_iter().map(move |window| (window.setting(), limits.get(window).into()))
}

/// A column that holds one of these, as [`text_of`] writes it.
///
/// # Errors
/// That it holds something else.
pub fn enumerated<T: Serialize + Copy>(row: &Row, column: &str, all: &[T]) -> Result<T, SqlError> {
    let text: String = row.get(column)?;
    all.iter().copied().find(|one| text_of(one) == text).ok_or_else(|| sql::unreadable(column))
}

/// A column that holds JSON text: a list of strings.
///
/// # Errors
/// That it holds something else.
pub fn strings(row: &Row, column: &str) -> Result<Vec<String>, SqlError> {
    let Json::Array(items) = row.json(column)? else { return Err(sql::unreadable(column)) };
    let mut strings = Vec::new();
    for item in items {
        let Json::String(item) = item else { return Err(sql::unreadable(column)) };
        strings.push(item);
    }
    Ok(strings)
}

/// A column that holds JSON text: an object. It is empty if the column is NULL.
///
/// # Errors
/// That it holds something else.
pub fn object(row: &Row, column: &str) -> Result<Map<String, Json>, SqlError> {
    match row.json(column)? {
        Json::Object(object) => Ok(object),
        Json::Null => Ok(Map::new()),
        _ => Err(sql::unreadable(column)),
    }
}
