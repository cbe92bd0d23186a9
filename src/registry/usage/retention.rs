//! How long usage is kept: by the hour for 90 days, then by the day for two years. So much of a key as it has life, and
//! no more: a key that is used for ever has 2,160 rows of hours and 640 of days.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::Counts;
use crate::{
    registry::schema,
    sql::{self, Sql, SqlError},
    time::{DAY, Timestamp},
};

const HOURS_KEPT: i64 = 90 * DAY;
const DAYS_KEPT: i64 = 730 * DAY;
/// Most rows that one turn rolls up, and most that it removes. A report brings a few at most, and is followed by a
/// turn of this.
const AT_ONCE: u32 = 100;

/// The first hour that is kept as such: of every day before, only the totals are.
pub fn first_hour(now: Timestamp) -> Timestamp {
    now.plus(-HOURS_KEPT).floor(DAY)
}

/// Rolls up hours whose time has come, and removes days whose time is over: as many as one turn may.
///
/// # Errors
/// What SQLite says.
pub fn roll_up(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    #[derive(Deserialize)]
    struct Hour {
        rowid: i64,
        tenant_id: String,
        key_id: String,
        hour: Timestamp,
        #[serde(flatten)]
        counts: Counts,
    }
    let oldest = "SELECT rowid, tenant_id, key_id, hour, accepted, refused FROM usage WHERE hour < ? ORDER BY hour LIMIT ?";
    let hours = sql::query::<Hour>(db, oldest, &[first_hour(now).into(), AT_ONCE.into()])?;
    if !hours.is_empty() {
        let rows: Vec<i64> = hours.iter().map(|hour| hour.rowid).collect();
        let mut days = BTreeMap::<(String, Timestamp), (String, Counts)>::new();
        for Hour { tenant_id, key_id, hour, counts, .. } in hours {
            let day = days.entry((key_id, hour.floor(DAY))).or_insert_with(|| (tenant_id, Counts::default()));
            day.1.add(&counts);
        }
        for ((key_id, day), (tenant_id, counts)) in days {
            add(db, &tenant_id, &key_id, day, counts)?;
        }
        let rolled_up = "DELETE FROM usage WHERE rowid IN (SELECT value FROM json_each(?))";
        db.run(rolled_up, &[json!(rows).to_string().into()])?;
    }
    let over = "DELETE FROM usage_days WHERE number IN (SELECT number FROM usage_days WHERE day < ? LIMIT ?)";
    db.run(over, &[now.plus(-DAYS_KEPT).floor(DAY).into(), AT_ONCE.into()])?;
    Ok(())
}

/// Adds to what is known of a day: each hour is added once, in the turn in which its own row goes.
fn add(db: &dyn Sql, tenant_id: &str, key_id: &str, day: Timestamp, counts: Counts) -> Result<(), SqlError> {
    let known = "SELECT accepted, refused FROM usage_days WHERE key_id = ? AND day = ?";
    let Some(mut total) = sql::query_one::<Counts>(db, known, &[key_id.into(), day.into()])? else {
        let mut columns =
            vec![("tenant_id", tenant_id.into()), ("key_id", key_id.into()), ("day", day.into())];
        columns.extend(counts.columns());
        return schema::insert(db, "usage_days", &columns);
    };
    total.add(&counts);
    let [(_, accepted), (_, refused)] = total.columns();
    let put = "UPDATE usage_days SET accepted = ?, refused = ? WHERE key_id = ? AND day = ?";
    db.run(put, &[accepted, refused, key_id.into(), day.into()])?;
    Ok(())
}
