//! What no call causes: keys that expire soon, and keys that nobody has used for long. An index leads to them, so a run costs what it
//! finds, however many keys there are.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::{Span, Timestamp},
};

/// A key that was used last so long ago, or never since it was made, counts as unused.
pub const UNUSED_AFTER: Span = Span::from_days(90);
/// Days before its end at which a key's expiry is told, as the triggers of `keys` have them, too.
const DAYS: &str = "[30,7,1]";
/// Most keys that are told at once.
const MOST_AT_ONCE: u32 = 200;

/// When the expiry of a key is told next after a moment.
const NEXT: &str =
    "(SELECT MIN(ends_at - value * 86400000) FROM json_each(?) WHERE ends_at - value * 86400000 > ?)";

const IDLE: &str = "FROM keys WHERE status = 'ACTIVE' AND (idle_since, number) > (SELECT idle_since, number FROM event_search)";

struct Due {
    number: i64,
}

keyward_core::from_row!(Due { number });

/// Makes events of what is due.
///
/// # Errors
/// What SQLite says.
pub fn tell(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let due = "SELECT number FROM keys WHERE notice_at <= ? ORDER BY notice_at LIMIT ?";
    for Due { number } in sql::query::<Due>(db, due, &[now.into(), MOST_AT_ONCE.into()])? {
        // Of thresholds that were passed at the same time, the last is told; of a key that has ended meanwhile, none.
        let tell = "INSERT INTO events (type, tenant_id, subject, at, data)
            SELECT 'key.expiring', tenant_id, id, ?1, json_object(
                'keyId', id, 'tenantId', tenant_id, 'realm', realm, 'name', name, 'expiresAt', ends_at,
                'daysBefore', (SELECT MIN(value) FROM json_each(?2) WHERE ends_at - value * 86400000 <= ?1),
                'lastUsedAt', last_used_at, 'rotatedTo', rotated_to)
            FROM keys WHERE number = ?3 AND ends_at > ?1 AND status = 'ACTIVE'";
        db.run(tell, &[now.into(), DAYS.into(), number.into()])?;
        let next = format!("UPDATE keys SET notice_at = {NEXT} WHERE number = ?");
        db.run(&next, &[DAYS.into(), now.into(), number.into()])?;
    }
    let before = now - UNUSED_AFTER;
    let idle = format!("SELECT number {IDLE} AND idle_since <= ? ORDER BY idle_since, number LIMIT ?");
    let idle = sql::query::<Due>(db, &idle, &[before.into(), MOST_AT_ONCE.into()])?;
    for Due { number } in &idle {
        let tell = "INSERT INTO events (type, tenant_id, subject, at, data)
            SELECT 'key.unused', tenant_id, id, ?1, json_object(
                'keyId', id, 'tenantId', tenant_id, 'realm', realm, 'name', name, 'lastUsedAt', last_used_at,
                'days', CAST(?2 AS INTEGER))
            FROM keys WHERE number = ?3 AND ends_at > ?1";
        let days = UNUSED_AFTER.ms() / Span::from_days(1).ms();
        db.run(tell, &[now.into(), days.into(), (*number).into()])?;
    }
    if let Some(Due { number }) = idle.last() {
        let told = "UPDATE event_search SET (idle_since, number) = (SELECT idle_since, number FROM keys WHERE number = ?)";
        db.run(told, &[(*number).into()])?;
    }
    Ok(())
}

/// Of what was due until then nothing is told: nobody asked yet, or it was told.
///
/// # Errors
/// What SQLite says.
pub fn skip(db: &dyn Sql, until: Timestamp) -> Result<(), SqlError> {
    let expiring = format!("UPDATE keys SET notice_at = {NEXT} WHERE notice_at <= ?");
    db.run(&expiring, &[DAYS.into(), until.into(), until.into()])?;
    let idle = "UPDATE event_search SET idle_since = MAX(idle_since, ?), number = 0";
    db.run(idle, &[(until - UNUSED_AFTER).into()]).map(drop)
}

/// When the next is due.
///
/// # Errors
/// What SQLite says.
pub fn next_due(db: &dyn Sql) -> Result<Option<Timestamp>, SqlError> {
    let expiring = "SELECT MIN(notice_at) AS next FROM keys WHERE notice_at IS NOT NULL";
    let expiring = sql::scalar::<Option<Timestamp>>(db, expiring, &[])?.flatten();
    let idle = format!("SELECT idle_since {IDLE} ORDER BY idle_since, number LIMIT 1");
    let idle = sql::scalar::<Timestamp>(db, &idle, &[])?.map(|since| since + UNUSED_AFTER);
    Ok(expiring.into_iter().chain(idle).min())
}
