//! Rows: inserting and updating one, and reading columns of which SQLite has no type.

use keyward_core::sql::{Sql, SqlError, Value};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

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

/// A column that holds JSON text.
///
/// # Errors
/// That it holds something else.
pub fn from_json_text<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A column that may hold JSON text.
///
/// # Errors
/// That it holds something else.
pub fn from_nullable_json_text<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| serde_json::from_str(&text).map_err(serde::de::Error::custom)).transpose()
}

/// SQLite has no booleans.
///
/// # Errors
/// That the column holds no number.
pub fn from_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    i64::deserialize(deserializer).map(|number| number != 0)
}
