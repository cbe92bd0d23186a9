//! An object's SQLite database as [`keyward_core::sql::Sql`].

use js_sys::{JsString, Reflect};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{SqlStorage, SqlStorageValue, State};

use keyward_core::sql::{Sql, SqlError, Value};

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn attempt(storage: &JsValue, turn: &mut dyn FnMut() -> bool) -> Result<(), JsValue>;
}

/// The database of one object.
#[derive(Clone)]
pub struct ObjectSql {
    sql: SqlStorage,
    storage: JsValue,
}

impl ObjectSql {
    /// The database of this object.
    pub fn new(state: &State) -> Self {
        let storage = Reflect::get(state.as_raw(), &JsString::from("storage")).unwrap_or_default();
        Self { sql: state.storage().sql(), storage }
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
        let cursor = self.sql.exec(statement, values).map_err(|error| SqlError(error.to_string()))?;
        cursor.to_array().map_err(|error| SqlError(error.to_string()))
    }

    fn attempt(&self, turn: &mut dyn FnMut() -> bool) -> Result<(), SqlError> {
        attempt(&self.storage, &mut || turn())
            .map_err(|error| SqlError(worker::Error::from(error).to_string()))
    }

    fn size(&self) -> Result<u64, SqlError> {
        Ok(u64::try_from(self.sql.database_size()).unwrap_or(u64::MAX))
    }
}
