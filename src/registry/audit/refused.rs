//! Failed attempts to sign in, in the audit: strangers cause them, so they are few, whatever strangers do, and count for
//! nothing of the tenant's.

use serde::Deserialize;

use crate::{
    sql::{self, Sql, SqlError},
    time::{DAY, Timestamp},
};

/// Most of them that stand in one chain a day.
const MOST_A_DAY: i64 = 100;

#[derive(Deserialize)]
struct Row {
    day: Timestamp,
    of_day: i64,
    total: i64,
}

fn load(db: &dyn Sql, tenant_id: &str) -> Result<Option<Row>, SqlError> {
    let known = "SELECT day, of_day, total FROM audit_refused WHERE tenant_id = ?";
    sql::query_one(db, known, &[tenant_id.into()])
}

/// Counts one, if it may still be written down today.
///
/// # Errors
/// What SQLite says.
pub fn count(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<bool, SqlError> {
    let today = now.floor(DAY);
    let known = load(db, tenant_id)?;
    let of_day = known.as_ref().filter(|row| row.day == today).map_or(0, |row| row.of_day);
    if of_day >= MOST_A_DAY {
        return Ok(false);
    }
    let total = known.map_or(0, |row| row.total);
    let put = "INSERT OR REPLACE INTO audit_refused (tenant_id, day, of_day, total) VALUES (?, ?, ?, ?)";
    db.run(put, &[tenant_id.into(), today.into(), (of_day + 1).into(), (total + 1).into()])?;
    Ok(true)
}

/// How many stand in a tenant's chain, since they are counted.
///
/// # Errors
/// What SQLite says.
pub fn total(db: &dyn Sql, tenant_id: &str) -> Result<i64, SqlError> {
    Ok(load(db, tenant_id)?.map_or(0, |row| row.total))
}

/// So many were cut off.
///
/// # Errors
/// What SQLite says.
pub fn forget(db: &dyn Sql, tenant_id: &str, cut: i64) -> Result<(), SqlError> {
    let fewer = "UPDATE audit_refused SET total = MAX(total - ?, 0) WHERE tenant_id = ?";
    db.run(fewer, &[cut.into(), tenant_id.into()])?;
    Ok(())
}
