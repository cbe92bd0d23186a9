//! How long events are kept: [`KEPT_FOR`], and of one tenant the latest [`MOST_OF_TENANT`]. An event that goes before an endpoint had it
//! is lost for that endpoint, and counted.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};

/// How long an event is kept.
pub const KEPT_FOR: Span = Span::from_days(30);
/// Events of one tenant that are kept; a tenant may have more for an hour.
pub const MOST_OF_TENANT: u32 = 100_000;
/// Most events that one run removes.
const MOST_AT_ONCE: u32 = 1_000;

/// Removes events that are too old, and marks that are over.
///
/// # Errors
/// What SQLite says.
pub fn remove_old(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    // Numbers grow with time, so what is too old stands at the beginning.
    let old = "SELECT MAX(number) FROM (SELECT number, at FROM events ORDER BY number LIMIT ?) WHERE at < ?";
    let old = sql::scalar::<Option<i64>>(db, old, &[MOST_AT_ONCE.into(), (now - KEPT_FOR).into()])?.flatten();
    if let Some(last) = old {
        remove(db, "number <= ?2 AND ?1 = ''", "", last)?;
    }
    let over = "DELETE FROM event_marks WHERE (subject, what) IN
        (SELECT subject, what FROM event_marks WHERE until <= ? ORDER BY until LIMIT ?)";
    db.run(over, &[now.into(), MOST_AT_ONCE.into()]).map(drop)
}

/// Removes what a tenant has too much of.
///
/// # Errors
/// What SQLite says.
pub fn bound(db: &dyn Sql, tenant_id: &str) -> Result<(), SqlError> {
    let surplus = "SELECT number FROM events WHERE tenant_id = ? ORDER BY number DESC LIMIT 1 OFFSET ?";
    let surplus = sql::scalar::<i64>(db, surplus, &[tenant_id.into(), MOST_OF_TENANT.into()])?;
    match surplus {
        Some(last) => remove(db, "tenant_id = ?1 AND number <= ?2", tenant_id, last),
        None => Ok(()),
    }
}

/// Removes the events up to this one that `which` says.
fn remove(db: &dyn Sql, which: &str, tenant_id: &str, last: i64) -> Result<(), SqlError> {
    let values = [tenant_id.into(), last.into()];
    // Of what was not queued yet, the types that the endpoint does not want count as well.
    let lost = format!(
        "UPDATE event_endpoints SET lost = lost
            + (SELECT COUNT(*) FROM events WHERE {which} AND number > queued)
            + (SELECT COUNT(*) FROM event_deliveries JOIN events USING (number) WHERE endpoint = name AND {which})"
    );
    db.run(&lost, &values)?;
    let queued =
        format!("DELETE FROM event_deliveries WHERE number IN (SELECT number FROM events WHERE {which})");
    db.run(&queued, &values)?;
    db.run(&format!("DELETE FROM events WHERE {which}"), &values).map(drop)
}
