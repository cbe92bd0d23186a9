//! Revocations whose event waits until it can say from when on the key is refused everywhere.

use keyward_core::sql::{self, Sql, SqlError};
use keyward_policy::Policy;

use crate::keys::key;

/// Most revocations that are told at once.
const MOST_AT_ONCE: u32 = 500;

struct Told {
    key_id: String,
    tenant_id: String,
}

keyward_core::from_row!(Told { key_id, tenant_id });

const TOLD: &str =
    "FROM event_revocations JOIN keys ON keys.id = key_id WHERE keys.told_version >= keys.version";

/// Makes events of those that coordinators were told of.
///
/// # Errors
/// What SQLite says.
pub fn tell(db: &dyn Sql, policy: &Policy) -> Result<(), SqlError> {
    let told =
        format!("SELECT key_id, event_revocations.tenant_id {TOLD} ORDER BY event_revocations.rowid LIMIT ?");
    for Told { key_id, tenant_id } in sql::query::<Told>(db, &told, &[MOST_AT_ONCE.into()])? {
        let Some(key) = key::load(db, &tenant_id, &key_id)? else { continue };
        let by = key.told_at.map(|at| key.freshness(policy).everywhere_by(at));
        let tell = "INSERT INTO events (type, tenant_id, subject, at, data)
            SELECT 'key.revoked', tenant_id, key_id, at, json_set(data, '$.refusedEverywhereBy', CAST(? AS INTEGER))
            FROM event_revocations WHERE key_id = ?";
        db.run(tell, &[by.into(), key_id.as_str().into()])?;
        db.run("DELETE FROM event_revocations WHERE key_id = ?", &[key_id.as_str().into()])?;
    }
    Ok(())
}

/// Whether there are such.
///
/// # Errors
/// What SQLite says.
pub fn wait(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db.run(&format!("SELECT 1 {TOLD} LIMIT 1"), &[])?.is_empty())
}
