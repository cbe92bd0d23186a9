//! Usage of a whole tenant, and of the deployment, by the hour and by the day. Triggers of `usage` keep these sums, whichever
//! build takes a report in, so that showing them costs the same however many keys there are. What was reported before there
//! were sums is added here, a few rows at a time.

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError},
    time::{DAY, HOUR, Span, Timestamp},
};

use super::retention::{self, ROWS_AT_ONCE};

/// The `tenant_id` of what all tenants have together.
pub const DEPLOYMENT: &str = "";
/// The most rows that are added up at once.
const SUMMED_AT_ONCE: u32 = 300;

/// How often something was answered in one hour or day.
pub struct Total {
    /// The begin of that.
    pub time: Timestamp,
    /// The code of the refusal; empty for what was let through.
    pub code: String,
    /// How often.
    pub count: u64,
}

impl FromRow for Total {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let count = row.get::<i64>("count")?.max(0).unsigned_abs();
        Ok(Self { time: row.get("time")?, code: row.get("code")?, count })
    }
}

/// The sums of this time.
///
/// # Errors
/// What SQLite says.
pub fn read(
    db: &dyn Sql,
    tenant_id: &str,
    step: Span,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Total>, SqlError> {
    let totals = "SELECT time, code, count FROM usage_totals
        WHERE tenant_id = ? AND step = ? AND time >= ? AND time < ?";
    sql::query(db, totals, &[tenant_id.into(), step.ms().into(), from.into(), to.into()])
}

/// Adds up some of what was reported before there were sums. Whether anything is left.
///
/// # Errors
/// What SQLite says.
pub fn sum_up(db: &dyn Sql) -> Result<bool, SqlError> {
    let mut left = false;
    for (table, number, time, step) in
        [("usage", "rowid", "hour", HOUR), ("usage_days", "number", "day", DAY)]
    {
        let last = sql::scalar::<i64>(db, &format!("SELECT {table} FROM unsummed"), &[])?.unwrap_or_default();
        if last <= 0 {
            continue;
        }
        let first = format!(
            "SELECT COALESCE(MIN({number}), 1) FROM
                (SELECT {number} FROM {table} WHERE {number} <= ? ORDER BY {number} DESC LIMIT ?)"
        );
        let first = sql::scalar::<i64>(db, &first, &[last.into(), SUMMED_AT_ONCE.into()])?.unwrap_or(1);
        let add = format!(
            "INSERT INTO usage_summed SELECT tenant_id, ?, {time}, accepted, refused, 0, '{{}}' FROM {table}
            WHERE {number} BETWEEN ? AND ?"
        );
        db.run(&add, &[step.ms().into(), first.into(), last.into()])?;
        db.run(&format!("UPDATE unsummed SET {table} = ?"), &[(first - 1).into()])?;
        left |= first > 1;
    }
    Ok(left)
}

/// Removes sums of hours and days that are too old, a few at a time.
///
/// # Errors
/// What SQLite says.
pub fn remove_old(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let over = "DELETE FROM usage_totals WHERE rowid IN
        (SELECT rowid FROM usage_totals WHERE step = ? AND time < ? LIMIT ?)";
    for (step, first) in [(HOUR, retention::first_hour(now)), (DAY, retention::first_day(now))] {
        db.run(over, &[step.ms().into(), first.into(), ROWS_AT_ONCE.into()])?;
    }
    Ok(())
}
