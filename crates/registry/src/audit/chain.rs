//! A tenant's chain: appending to it, and reading it.

use keyward_core::{
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use serde_json::Value;

use super::{
    canonical::{canonical, hash},
    event::AuditEvent,
    short,
};
use crate::{context::RequestContext, rows, to_json::object};

/// What the first entry holds as the hash of the one before.
pub const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An entry as stored.
pub struct Row {
    /// Its place in the chain.
    pub seq: i64,
    /// Its text.
    pub entry: String,
    /// The hash of that.
    pub hash: String,
}

keyward_core::from_row!(Row { seq, entry, hash });

/// Appends to chains what is done at one moment, in one call.
pub struct AuditLog<'a> {
    db: &'a dyn Sql,
    /// The time.
    pub now: Timestamp,
    address: &'a str,
    request_id: &'a str,
}

impl RequestContext<'_> {
    /// What this call does.
    pub fn audit_log(&self) -> AuditLog<'_> {
        let (address, request_id) = (&self.call.address, &self.call.request_id);
        AuditLog { db: self.db, now: self.now, address, request_id }
    }
}

impl<'a> AuditLog<'a> {
    /// What is done in no call, but by an alarm.
    pub fn of_alarm(db: &'a dyn Sql, now: Timestamp) -> Self {
        Self { db, now, address: "", request_id: "" }
    }

    /// Appends to the tenant's chain.
    pub fn append(&self, event: &AuditEvent<'_>) -> Result<(), SqlError> {
        let (last, previous) = end(self.db, event.tenant_id)?;
        let seq = last + 1;
        let entry = canonical(&object!({
            "seq": seq,
            "tenantId": event.tenant_id,
            "time": self.now.to_rfc3339(),
            "actor": event.actor.view(),
            "action": event.action,
            "target": event.target,
            "before": short::shortened(&event.before),
            "after": short::shortened(&event.after),
            "address": self.address,
            "requestId": self.request_id,
            "previousHash": previous,
        }));
        let hash = hash(&entry);
        let columns = [
            ("tenant_id", event.tenant_id.into()),
            ("seq", seq.into()),
            ("entry", entry.into()),
            ("hash", hash.into()),
        ];
        rows::insert(self.db, "audit", &columns)
    }
}

/// Place and hash of the last entry of a tenant's chain; of the one before the first, if there is none.
///
/// # Errors
/// What SQLite says.
pub fn end(db: &dyn Sql, tenant_id: &str) -> Result<(i64, String), SqlError> {
    let last = "SELECT seq, '' AS entry, hash FROM audit WHERE tenant_id = ? ORDER BY seq DESC LIMIT 1";
    if let Some(row) = sql::query_one::<Row>(db, last, &[tenant_id.into()])? {
        return Ok((row.seq, row.hash));
    }
    // Of a chain that was cut at least one entry is left: one without any is broken, and shall not look whole.
    Ok((0, BEGINNING.to_owned()))
}

/// The entries after this one, `most` of them.
///
/// # Errors
/// What SQLite says.
pub fn rows_after(db: &dyn Sql, tenant_id: &str, seq: i64, most: u32) -> Result<Vec<Row>, SqlError> {
    let rows = "SELECT seq, entry, hash FROM audit WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?";
    sql::query(db, rows, &[tenant_id.into(), seq.into(), most.into()])
}

/// Whether the entry itself says that it is this one, after that one.
pub fn follows(entry: &str, seq: i64, previous: &str) -> bool {
    let entry: Value = keyward_json::parse(entry).unwrap_or_default();
    let is = |field: &str, expected: Value| entry.get(field) == Some(&expected);
    is("seq", seq.into()) && is("previousHash", previous.into())
}
