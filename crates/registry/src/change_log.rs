//! The change log's table: which keys and tenants have changed, in order ([`keyward_core::changes`] says what for).
//!
//! Triggers write it in the transaction of the change itself. So no handler can forget to, neither can an older build that
//! works on the same database, and a change that was acknowledged is in it. A key or tenant has one row, which moves to the
//! end when it changes again: the table is never longer than those of keys and tenants together. A new key needs none,
//! since nobody remembers another record of it. A key's version that only repeats what its tenant says
//! ([`crate::outbox::enqueue_tenant`]) is a change of the tenant, and what the policy says of all ([`crate::outbox::enqueue_realm`])
//! begins another log.

use keyward_core::{
    changes::{Change, KV_LAG, News, ReadChanges},
    entropy::Entropy,
    record::{Tenant, TenantStatus},
    sql::{self, FromRow, Row, Sql, SqlError},
    time::{Span, Timestamp},
};

use keyward_policy::Policy;

use crate::{
    ids, rows, storage,
    tenants::tenant::{TenantPlan, pool},
};

/// Most changes of one answer.
const PAGE: u32 = 1_000;
/// Most rows that one run of upkeep removes.
const FORGOTTEN_AT_ONCE: u32 = 1_000;
/// How long a change is kept: an hour longer than anybody needs it, so that nobody's reading is cut short.
const KEPT: Span = KV_LAG.plus(Span::from_hours(1));
/// A key whose publication was tried in vain this often is as old in KV as its change: nothing is removed meanwhile.
const STUCK_ATTEMPTS: u32 = 8;

/// The row about the log itself.
struct Log {
    /// Empty until it is first read.
    name: String,
    /// Everything that changed since then is or was in the log; not known (`None`) until it is first read.
    complete_since: Option<Timestamp>,
    /// The number of the last change that was removed.
    forgotten: u64,
    /// The number of the latest change.
    latest: u64,
}

keyward_core::from_row!(Log { name, complete_since, forgotten, latest });

/// A change and its number.
struct Numbered(u64, Change);

impl FromRow for Numbered {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        let number = row.get("number")?;
        let hash = row.get::<Option<String>>("hash")?;
        let change = match (hash, row.get::<Option<String>>("id")?) {
            (Some(hash), _) => {
                Change::Key { hash, version: row.get("version")?, revoked: row.get("revoked")? }
            }
            (None, Some(id)) => {
                let status = rows::enumerated(row, "status", &TenantStatus::ALL)?;
                let tenant = Tenant {
                    id,
                    code: row.get("code")?,
                    status,
                    plan: row.get("plan")?,
                    pool: Some(pool(row)?),
                };
                Change::Tenant { number, tenant }
            }
            // A newer build's.
            (None, None) => Change::Unknown,
        };
        Ok(Self(number, change))
    }
}

/// What has changed since a position, a [`PAGE`] of it at most.
///
/// # Errors
/// What SQLite says.
pub fn read(
    db: &dyn Sql,
    call: &ReadChanges,
    now: Timestamp,
    entropy: &mut dyn Entropy,
    policy: &Policy,
) -> Result<News, SqlError> {
    let mut log = load(db)?.ok_or_else(|| SqlError("there is no change log".to_owned()))?;
    if log.name.is_empty() {
        storage::transaction(db, || {
            let begin = "UPDATE change_log SET name = ?, complete_since = COALESCE(complete_since, ?)";
            db.run(begin, &[ids::id("", entropy).into(), now.into()])
        })?;
        log = load(db)?.unwrap_or(log);
    }
    let is_anew = call.log != log.name || !(log.forgotten..=log.latest).contains(&call.after);
    let after = if is_anew { 0 } else { call.after };
    let page = "SELECT changes.number, hash, version, revoked, tenants.id, code, status, plan, pool
        FROM changes LEFT JOIN tenants ON tenants.id = changes.tenant_id
        WHERE changes.number > ? ORDER BY changes.number LIMIT ?";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut found: Vec<Numbered> = sql::query(db, page, &[after.into(), (PAGE + 1).into()])?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    for Numbered(_, change) in &mut found {
        if let Change::Tenant { tenant, .. } = change {
            let plan = TenantPlan {
                name: tenant.plan.clone(),
                pool: tenant.pool.unwrap_or_default(),
                ..TenantPlan::default()
            };
            tenant.pool = plan.of_all(policy);
        }
    }
    let position = found.last().filter(|_| more).map_or(log.latest, |Numbered(number, _)| *number);
    Ok(News {
        log: log.name,
        position,
        is_anew,
        begins: log.forgotten,
        more,
        covers: log.complete_since.map_or(Span::ZERO, |since| (now - since).max(Span::ZERO)),
        age: Span::ZERO,
        changes: found.into_iter().map(|Numbered(_, change)| change).collect(),
    })
}

/// Removes what nobody needs any more, a bounded part of it.
///
/// # Errors
/// What SQLite says.
pub fn forget(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let before = now - KEPT;
    // In the order of the log, up to the first that is still needed: its clock may have been set meanwhile.
    let old = "SELECT MAX(number) FROM (SELECT number, at FROM changes ORDER BY number LIMIT ?)
        WHERE number < COALESCE((SELECT MIN(number) FROM (
            SELECT number, at FROM changes ORDER BY number LIMIT ?
        ) WHERE at >= ?), 9007199254740991)";
    let values = [FORGOTTEN_AT_ONCE.into(), FORGOTTEN_AT_ONCE.into(), before.into()];
    let Some(last) = sql::scalar::<Option<i64>>(db, old, &values)?.flatten() else { return Ok(()) };
    let stuck = "SELECT 1 FROM keys WHERE publish_due IS NOT NULL AND publish_attempts >= ? LIMIT 1";
    if !db.run(stuck, &[STUCK_ATTEMPTS.into()])?.is_empty() {
        return Ok(());
    }
    db.run("DELETE FROM changes WHERE number <= ?", &[last.into()])?;
    let forgotten =
        "UPDATE change_log SET forgotten = ?, complete_since = MAX(COALESCE(complete_since, ?), ?)";
    db.run(forgotten, &[last.into(), now.into(), before.into()])?;
    Ok(())
}

/// What all keys' records say has changed, and not which keys: the log begins anew, and does not cover what was before.
///
/// # Errors
/// What SQLite says.
pub fn begin_anew(db: &dyn Sql) -> Result<(), SqlError> {
    db.run("UPDATE change_log SET name = '', complete_since = NULL WHERE EXISTS (SELECT 1 FROM keys)", &[])
        .map(drop)
}

/// A database that was restored knows nothing of what has changed since its backup: its log begins anew, and covers nothing of
/// before. Numbers begin at the time, above any that was ever given: gates and objects compare those that they know of a tenant
/// with the tenant's next.
///
/// # Errors
/// What SQLite says.
pub fn begin_after_restore(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    db.run("DELETE FROM changes", &[])?;
    // AUTOINCREMENT goes on after it, also once it is gone.
    let first = "INSERT INTO changes (number, at) VALUES (?, ?)";
    db.run(first, &[now.into(), now.into()])?;
    db.run("REPLACE INTO changes (tenant_id, at) SELECT id, ? FROM tenants", &[now.into()])?;
    let tenants = "UPDATE tenants SET pool_told = NULL, pool_told_at = NULL, pool_due = NULL,
        change = (SELECT number FROM changes WHERE tenant_id = tenants.id)";
    db.run(tenants, &[])?;
    db.run("DELETE FROM changes WHERE number <= ?", &[now.into()])?;
    let begun = "UPDATE change_log SET name = '', complete_since = NULL, forgotten = ?";
    db.run(begun, &[now.into()]).map(drop)
}

/// The number of the latest change, and when it was, if it is still in the log.
///
/// # Errors
/// What SQLite says.
pub fn latest(db: &dyn Sql) -> Result<(u64, Option<Timestamp>), SqlError> {
    let number = load(db)?.map_or(0, |log| log.latest);
    Ok((number, sql::scalar(db, "SELECT at FROM changes ORDER BY number DESC LIMIT 1", &[])?))
}

fn load(db: &dyn Sql) -> Result<Option<Log>, SqlError> {
    let log = "SELECT name, complete_since, forgotten,
            MAX(forgotten, COALESCE((SELECT MAX(number) FROM changes), 0)) AS latest
        FROM change_log";
    sql::query_one(db, log, &[])
}
