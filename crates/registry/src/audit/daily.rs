//! Kinds of entries of which a chain takes at most [`MOST_A_DAY`] a day, and then one that says how many were left out: failed
//! attempts to sign in, which anybody can cause, and sessions that begin and end, which any member can cause at will. So
//! neither has to be refused, and neither fills what is kept for good.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{DAY, Timestamp},
};
use serde_json::Value;

use super::{
    chain::AuditLog,
    event::{Actor, AuditEvent, REFUSED},
};

use crate::to_json::object;

/// Most entries of one kind that a chain takes a day.
const MOST_A_DAY: i64 = 100;

/// What is counted by the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Failed attempts at the tenant's people.
    People,
    /// Failed attempts at nobody.
    Strangers,
    /// Sessions: of one member, and of all while the audit is full.
    Sessions,
    /// An operator's changes of tenants, while the operator's audit is full.
    Tenants,
}

impl Kind {
    const ALL: [Self; 4] = [Self::People, Self::Strangers, Self::Sessions, Self::Tenants];

    const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Strangers => "strangers",
            Self::Sessions => "sessions",
            Self::Tenants => "tenants",
        }
    }

    /// The action of the entry that says how many were left out.
    const fn action(self) -> &'static str {
        match self {
            Self::People | Self::Strangers => REFUSED,
            Self::Sessions | Self::Tenants => "audit.leftOut",
        }
    }
}

struct Row {
    what: String,
    day: Timestamp,
    entries: i64,
    left_out: i64,
}

keyward_core::from_row!(Row { what, day, entries, left_out });

/// Whether one more may be written today. One that may not is counted as left out.
///
/// # Errors
/// What SQLite says.
pub fn admit(db: &dyn Sql, tenant_id: &str, kind: Kind, now: Timestamp) -> Result<bool, SqlError> {
    count(db, tenant_id, kind, MOST_A_DAY, now)
}

/// Counts one that is left out for another reason.
///
/// # Errors
/// What SQLite says.
pub fn leave_out(db: &dyn Sql, tenant_id: &str, kind: Kind, now: Timestamp) -> Result<(), SqlError> {
    count(db, tenant_id, kind, 0, now).map(drop)
}

fn count(db: &dyn Sql, tenant_id: &str, kind: Kind, most: i64, now: Timestamp) -> Result<bool, SqlError> {
    close(db, tenant_id, now)?;
    let known = load(db, tenant_id, kind.name())?;
    let (entries, left_out) = known.map_or((0, 0), |row| (row.entries, row.left_out));
    let free = entries < most;
    let (entries, left_out) = if free { (entries + 1, left_out) } else { (entries, left_out + 1) };
    put(db, tenant_id, kind.name(), now, (entries, left_out))?;
    Ok(free)
}

/// The same for a failed attempt to sign in, at a person or at nobody. The first of a day at each person is always
/// written: attempts at one hide none at another.
///
/// # Errors
/// What SQLite says.
pub fn admit_refused(
    db: &dyn Sql,
    tenant_id: &str,
    person: Option<&str>,
    now: Timestamp,
) -> Result<bool, SqlError> {
    close(db, tenant_id, now)?;
    let free = match person {
        None => admit(db, tenant_id, Kind::Strangers, now)?,
        Some(id) if load(db, tenant_id, id)?.is_some() => admit(db, tenant_id, Kind::People, now)?,
        Some(id) => {
            put(db, tenant_id, id, now, (1, 0))?;
            true
        }
    };
    if free {
        add(db, tenant_id)?;
    }
    Ok(free)
}

/// The same for what a member does with sessions: nobody fills a chain by signing in and out. Each member has
/// [`MOST_A_DAY`] of its own, whatever others do.
///
/// # Errors
/// What SQLite says.
pub fn admit_session(
    db: &dyn Sql,
    tenant_id: &str,
    member_id: &str,
    now: Timestamp,
) -> Result<bool, SqlError> {
    close(db, tenant_id, now)?;
    let what = format!("{} of {member_id}", Kind::Sessions.name());
    let entries = load(db, tenant_id, &what)?.map_or(0, |row| row.entries);
    if entries < MOST_A_DAY {
        put(db, tenant_id, &what, now, (entries + 1, 0))?;
        return Ok(true);
    }
    leave_out(db, tenant_id, Kind::Sessions, now)?;
    Ok(false)
}

/// Ends the days that are over: an entry says how many were left out.
///
/// # Errors
/// What SQLite says.
pub fn close(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<(), SqlError> {
    let today = now.floor(DAY);
    // Also one that is ahead: the clock was set back.
    let over =
        "DELETE FROM audit_daily WHERE tenant_id = ? AND day <> ? RETURNING what, day, entries, left_out";
    for row in sql::query::<Row>(db, over, &[tenant_id.into(), today.into()])? {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == row.what);
        let Some(kind) = kind.filter(|_| row.left_out > 0) else { continue };
        AuditLog::of_alarm(db, now).append(&AuditEvent {
            tenant_id,
            actor: &Actor::system(),
            action: kind.action(),
            target: "",
            before: Value::Null,
            after: object!({ "leftOut": row.left_out, "of": kind.name(), "day": row.day.to_rfc3339() }),
        })?;
        if kind.action() == REFUSED {
            add(db, tenant_id)?;
        }
    }
    Ok(())
}

fn load(db: &dyn Sql, tenant_id: &str, what: &str) -> Result<Option<Row>, SqlError> {
    let known = "SELECT what, day, entries, left_out FROM audit_daily WHERE tenant_id = ? AND what = ?";
    sql::query_one(db, known, &[tenant_id.into(), what.into()])
}

fn put(
    db: &dyn Sql,
    tenant_id: &str,
    what: &str,
    now: Timestamp,
    (entries, left_out): (i64, i64),
) -> Result<(), SqlError> {
    let put =
        "INSERT OR REPLACE INTO audit_daily (tenant_id, what, day, entries, left_out) VALUES (?, ?, ?, ?, ?)";
    let today = now.floor(DAY);
    db.run(put, &[tenant_id.into(), what.into(), today.into(), entries.into(), left_out.into()])?;
    Ok(())
}

/// How many failed attempts stand in a tenant's chain: they count for nothing of the tenant's.
///
/// # Errors
/// What SQLite says.
pub fn refused(db: &dyn Sql, tenant_id: &str) -> Result<i64, SqlError> {
    let known = "SELECT total FROM audit_refused WHERE tenant_id = ?";
    Ok(sql::scalar::<i64>(db, known, &[tenant_id.into()])?.unwrap_or_default())
}

fn add(db: &dyn Sql, tenant_id: &str) -> Result<(), SqlError> {
    // `day` and `of_day` are for older builds.
    let more = "INSERT INTO audit_refused (tenant_id, day, of_day, total) VALUES (?, 0, 0, 1)
        ON CONFLICT (tenant_id) DO UPDATE SET total = total + 1";
    db.run(more, &[tenant_id.into()])?;
    Ok(())
}

/// Counts the failed attempts of a chain, once: older builds did not count from its beginning. Whenever one of them has
/// written its own count it has cleared `is_whole`.
///
/// # Errors
/// What SQLite says.
pub fn count_refused(db: &dyn Sql, tenant_id: &str) -> Result<(), SqlError> {
    let whole = "SELECT 1 FROM audit_refused WHERE tenant_id = ? AND is_whole = 1";
    if !db.run(whole, &[tenant_id.into()])?.is_empty() {
        return Ok(());
    }
    // As every entry of that kind begins, since its fields are sorted.
    let begin = format!("{{\"action\":\"{REFUSED}\"");
    let count = "INSERT INTO audit_refused (tenant_id, day, of_day, is_whole, total)
            SELECT ?, 0, 0, 1, COUNT(*) FROM audit WHERE tenant_id = ? AND substr(entry, 1, ?) = ?
        ON CONFLICT (tenant_id) DO UPDATE SET is_whole = 1, total = excluded.total";
    let length = i64::try_from(begin.len()).unwrap_or_default();
    db.run(count, &[tenant_id.into(), tenant_id.into(), length.into(), begin.into()])?;
    Ok(())
}

/// Notes how many failed attempts were cut off.
///
/// # Errors
/// What SQLite says.
pub fn forget_refused(db: &dyn Sql, tenant_id: &str, cut: i64) -> Result<(), SqlError> {
    let fewer = "UPDATE audit_refused SET total = MAX(total - ?, 0) WHERE tenant_id = ?";
    db.run(fewer, &[cut.into(), tenant_id.into()])?;
    Ok(())
}
