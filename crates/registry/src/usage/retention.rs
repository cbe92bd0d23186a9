//! How long usage is kept: by the hour for 90 days, then by the day for two years. So a key that is always in use has 2,160 rows of
//! hours and 640 of days. A tenant may have a million of each; beyond that, hours become days sooner and the oldest days are
//! removed.

use std::collections::BTreeMap;

use keyward_core::{
    sql::{self, FromRow, Row, Sql, SqlError},
    time::{DAY, HOUR, Span, Timestamp},
};

use super::counts::Counts;
use crate::{rows, to_json::ToJson};

const HOURS_KEPT: Span = Span::from_days(90);
const DAYS_KEPT: Span = Span::from_days(730);
/// Most rows that are rolled up at once, and most that are removed. A report brings a few at most, and is followed by a run of
/// upkeep.
pub const ROWS_AT_ONCE: u32 = 100;

/// Most rows of hours that a tenant has, and most of days.
pub const MOST_OF_TENANT: u32 = 1_000_000;
/// How much of the latest time is always kept by the hour: the present hour is still being reported.
const FEWEST_HOURS: Span = Span::from_hours(2);

/// The first hour that is kept as such, of any tenant: of every day before, only the totals are.
pub fn first_hour(now: Timestamp) -> Timestamp {
    (now - HOURS_KEPT).floor(DAY)
}

/// The first day of which anything is kept.
pub fn first_day(now: Timestamp) -> Timestamp {
    (now - DAYS_KEPT).floor(DAY)
}

struct Bounds {
    first_hour: Timestamp,
    first_day: Timestamp,
}

keyward_core::from_row!(Bounds { first_hour, first_day });

fn bounds(db: &dyn Sql, tenant_id: &str) -> Result<Option<Bounds>, SqlError> {
    let known = "SELECT first_hour, first_day FROM usage_bounds WHERE tenant_id = ?";
    sql::query_one(db, known, &[tenant_id.into()])
}

/// The first hour that is kept as such, of this tenant: later, where it has too many rows.
///
/// # Errors
/// What SQLite says.
pub fn first_hour_of(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<Timestamp, SqlError> {
    let of_tenant = bounds(db, tenant_id)?.map(|bounds| bounds.first_hour);
    Ok(of_tenant.map_or(first_hour(now), |own| own.max(first_hour(now))))
}

/// Finds from when on a tenant's rows are kept so that they are `most` of each kind. That never goes back: what was
/// rolled up would count twice. With a million rows that takes some tens of milliseconds.
///
/// # Errors
/// What SQLite says.
pub fn count(db: &dyn Sql, tenant_id: &str, most: u32, now: Timestamp) -> Result<(), SqlError> {
    let hour = "SELECT hour AS time FROM usage WHERE tenant_id = ? ORDER BY hour DESC LIMIT 1 OFFSET ?";
    let day = "SELECT day AS time FROM usage_days WHERE tenant_id = ? ORDER BY day DESC LIMIT 1 OFFSET ?";
    let latest = (now - FEWEST_HOURS).floor(HOUR);
    let hour = after_row(db, hour, tenant_id, most)?.map(|time| (time + Span::from_hours(1)).min(latest));
    let day = after_row(db, day, tenant_id, most)?.map(|time| time + Span::from_days(1));
    if hour.is_none() && day.is_none() {
        return Ok(());
    }
    let put = "INSERT INTO usage_bounds (tenant_id, first_hour, first_day) VALUES (?, ?, ?) ON CONFLICT (tenant_id)
        DO UPDATE SET first_hour = MAX(first_hour, excluded.first_hour), first_day = MAX(first_day, excluded.first_day)";
    let (hour, day) = (hour.unwrap_or_default(), day.unwrap_or_default());
    db.run(put, &[tenant_id.into(), hour.into(), day.into()])?;
    Ok(())
}

/// Rolls up and removes what is from before that, a few rows at a time.
///
/// # Errors
/// What SQLite says.
pub fn bound(db: &dyn Sql, tenant_id: &str) -> Result<(), SqlError> {
    let Some(Bounds { first_hour: hour, first_day: day }) = bounds(db, tenant_id)? else { return Ok(()) };
    let oldest =
        "SELECT rowid, tenant_id, key_id, hour, accepted, refused FROM usage WHERE tenant_id = ? AND hour < ?
        ORDER BY hour LIMIT ?";
    roll(db, oldest, &[tenant_id.into(), hour.into(), ROWS_AT_ONCE.into()])?;
    let over = "DELETE FROM usage_days WHERE number IN
        (SELECT number FROM usage_days WHERE tenant_id = ? AND day < ? LIMIT ?)";
    db.run(over, &[tenant_id.into(), day.into(), ROWS_AT_ONCE.into()])?;
    Ok(())
}

/// The time of the row after the newest `most`, if there are more.
fn after_row(
    db: &dyn Sql,
    statement: &str,
    tenant_id: &str,
    most: u32,
) -> Result<Option<Timestamp>, SqlError> {
    sql::scalar(db, statement, &[tenant_id.into(), most.into()])
}

/// Rolls up hours that are old enough, and removes days that are too old: [`ROWS_AT_ONCE`] at most of each.
///
/// # Errors
/// What SQLite says.
pub fn roll_up(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let oldest = "SELECT rowid, tenant_id, key_id, hour, accepted, refused FROM usage WHERE hour < ? ORDER BY hour LIMIT ?";
    roll(db, oldest, &[first_hour(now).into(), ROWS_AT_ONCE.into()])?;
    let over = "DELETE FROM usage_days WHERE number IN (SELECT number FROM usage_days WHERE day < ? LIMIT ?)";
    db.run(over, &[first_day(now).into(), ROWS_AT_ONCE.into()])?;
    Ok(())
}

/// One hour of one key.
struct Hour {
    rowid: i64,
    tenant_id: String,
    key_id: String,
    hour: Timestamp,
    counts: Counts,
}

impl FromRow for Hour {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        Ok(Self {
            rowid: row.get("rowid")?,
            tenant_id: row.get("tenant_id")?,
            key_id: row.get("key_id")?,
            hour: row.get("hour")?,
            counts: Counts::from_row(row)?,
        })
    }
}

/// Rolls up the hours that this selects.
fn roll(db: &dyn Sql, oldest: &str, values: &[sql::Value]) -> Result<(), SqlError> {
    let hours = sql::query::<Hour>(db, oldest, values)?;
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
        db.run(rolled_up, &[rows.to_json().to_string().into()])?;
    }
    Ok(())
}

/// Adds to what is known of a day. Each hour is added once, in the transaction that removes its own row.
fn add(db: &dyn Sql, tenant_id: &str, key_id: &str, day: Timestamp, counts: Counts) -> Result<(), SqlError> {
    let known = "SELECT accepted, refused FROM usage_days WHERE key_id = ? AND day = ?";
    let Some(mut total) = sql::query_one::<Counts>(db, known, &[key_id.into(), day.into()])? else {
        let mut columns =
            vec![("tenant_id", tenant_id.into()), ("key_id", key_id.into()), ("day", day.into())];
        columns.extend(counts.columns());
        return rows::insert(db, "usage_days", &columns);
    };
    total.add(&counts);
    let [(_, accepted), (_, refused)] = total.columns();
    let put = "UPDATE usage_days SET accepted = ?, refused = ? WHERE key_id = ? AND day = ?";
    db.run(put, &[accepted, refused, key_id.into(), day.into()])?;
    Ok(())
}
