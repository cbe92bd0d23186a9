//! How far KV was searched, after a restore, for keys that the backup has not ([`super::found`] looks at them).

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde::Deserialize;

/// Most names of KV that are asked for at once.
pub const NAMES_AT_ONCE: u32 = 50;

/// Some names of KV, and where the next begin; `None` after the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct KvNames {
    /// The names.
    pub names: Vec<String>,
    /// The platform's cursor.
    #[serde(default)]
    pub next: Option<String>,
}

/// A search that is under way.
pub struct Search {
    /// The platform's cursor.
    pub search_from: String,
    /// When it goes on.
    pub search_due: Timestamp,
}
keyward_core::from_row!(Search { search_from, search_due });

/// The search that is under way, if one is.
///
/// # Errors
/// What SQLite says.
pub fn search(db: &dyn Sql) -> Result<Option<Search>, SqlError> {
    sql::query_one(db, "SELECT search_from, search_due FROM restores WHERE search_due IS NOT NULL", &[])
}

/// When it goes on.
///
/// # Errors
/// What SQLite says.
pub fn due(db: &dyn Sql) -> Result<Option<Timestamp>, SqlError> {
    Ok(search(db)?.map(|search| search.search_due))
}
