//! An object's SQLite database as [`keyward_core::sql::Sql`].

use js_sys::{Array, JsString, Reflect};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{SqlStorage, State};

use keyward_core::sql::{Sql, SqlError, Value};

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn attempt(storage: &JsValue, turn: &mut dyn FnMut() -> bool) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    fn query(storage: &JsValue, statement: &str, values: &Array) -> Result<String, JsValue>;
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
        let bound = Array::new();
        for value in values {
            bound.push(&match value {
                Value::Null => JsValue::NULL,
                Value::Integer(number) => JsValue::from_f64(*number as f64),
                Value::Text(text) => JsValue::from_str(text),
            });
        }
        let rows = query(&self.storage, statement, &bound).map_err(failed)?;
        match keyward_json::parse(&rows) {
            Ok(serde_json::Value::Array(rows)) => Ok(rows),
            _ => Err(SqlError("rows that are no list".to_owned())),
        }
    }

    fn attempt(&self, turn: &mut dyn FnMut() -> bool) -> Result<(), SqlError> {
        attempt(&self.storage, &mut || turn()).map_err(failed)
    }

    fn size(&self) -> Result<u64, SqlError> {
        Ok(u64::try_from(self.sql.database_size()).unwrap_or(u64::MAX))
    }
}

fn failed(error: JsValue) -> SqlError {
    SqlError(worker::Error::from(error).to_string())
}
