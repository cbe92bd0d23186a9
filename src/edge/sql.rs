//! An object's SQLite database as [`crate::sql::Sql`].

use worker::{SqlStorage, SqlStorageValue, State};

use crate::sql::{Sql, SqlError, Value};

/// The database of one object.
#[derive(Clone)]
pub struct ObjectSql(SqlStorage);

impl ObjectSql {
    /// The database of this object.
    pub fn new(state: &State) -> Self {
        Self(state.storage().sql())
    }
}

impl Sql for ObjectSql {
    fn run(&self, statement: &str, values: &[Value]) -> Result<Vec<serde_json::Value>, SqlError> {
        let values: Vec<SqlStorageValue> = values
            .iter()
            .map(|value| match value {
                Value::Null => SqlStorageValue::Null,
                Value::Integer(number) => SqlStorageValue::Integer(*number),
                Value::Text(text) => SqlStorageValue::String(text.clone()),
            })
            .collect();
        let cursor = self.0.exec(statement, values).map_err(|error| SqlError(error.to_string()))?;
        cursor.to_array().map_err(|error| SqlError(error.to_string()))
    }
}
