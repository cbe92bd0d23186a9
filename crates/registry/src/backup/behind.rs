//! A key whose object knows of changes that this Registry does not: they were made after the backup from which it was restored.
//!
//! The object would go on with what it has, so the key's version is raised above that. A revocation is taken over, since it is for good;
//! any other change is undone.

use keyward_core::{
    record::{Record, Status},
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    audit::{
        chain::AuditLog,
        event::{Actor, AuditEvent},
    },
    keys::key::{self, State},
    to_json::object,
};

/// Why such a key is revoked, for people.
pub const REASON: &str = "It was revoked after the backup from which the Registry was restored";

/// Takes over what a key's object knows, if that is as new as what is stored here, or newer. Returns whether it is.
///
/// # Errors
/// What SQLite says.
pub fn catch_up(db: &dyn Sql, held: &Record, now: Timestamp) -> Result<bool, SqlError> {
    sql::transaction(db, || {
        // Of a tenant that the backup does not know it has become the operator's.
        let tenant_id = "SELECT tenant_id FROM keys WHERE id = ?";
        let Some(tenant_id) = sql::scalar::<String>(db, tenant_id, &[held.id.as_str().into()])? else {
            return Ok(false);
        };
        let key = key::load(db, &tenant_id, &held.id)?.filter(|key| key.version <= held.version);
        let Some(key) = key else { return Ok(false) };
        let version = i64::try_from(held.version).unwrap_or(i64::MAX);
        db.run("UPDATE keys SET version = ? WHERE id = ?", &[version.into(), key.id.as_str().into()])?;
        let key = key::Key { version: held.version, ..key };
        let revoked = held.status == Status::Revoked && key.state(now) != State::Revoked;
        let by = Actor::system();
        let changes =
            if revoked { key::revocation(now, &by.view(), Some(REASON)).into() } else { Vec::new() };
        key::store(db, &key, now, changes)?;
        if !revoked {
            return Ok(true);
        }
        AuditLog::of_alarm(db, now).append(&AuditEvent {
            tenant_id: &key.tenant_id,
            actor: &by,
            action: "key.revoke",
            target: &key.id,
            before: Value::Null,
            after: object!({ "status": Status::Revoked, "revokeReason": REASON }),
        })?;
        Ok(true)
    })
}
