//! The size of the database. Once it reaches the policy's `storage`, nothing new is stored; what must always be possible, such
//! as revoking, goes on. If SQLite itself has no page left for that, a reserve is released, then the oldest usage.

use keyward_core::sql::{self, Sql, SqlError};
use keyward_policy::Policy;
use serde_json::Value;

use crate::{
    audit::retention as audit,
    context::RequestContext,
    effect::Effect,
    error::{ApiError, Code},
    handler::HandlerError,
    quotas::{self, Quota},
    tenants::tenant::Tenant,
    to_json::object,
};

/// Bytes of the reserve: enough for about a hundred revocations with their audit entries.
const RESERVE_BYTES: i64 = 256 * 1024;
/// Characters of what is stored instead while the reserve is released: the database's size at that moment.
const SHORT_CHARS: u32 = 20;
/// Rows of usage, the oldest, that are released at a time.
const USAGE_ROWS_AT_ONCE: i64 = 500;
/// How often space is released for one transaction.
const MOST_ATTEMPTS: usize = 4;

impl RequestContext<'_> {
    /// Refuses what the database or the tenant's audit has no space for. [`Effect::Makes`] is left to its handler, which asks for
    /// itself.
    ///
    /// # Errors
    /// STORAGE_FULL, QUOTA_EXCEEDED
    pub fn require_space_for(&self, tenant: &Tenant, effect: Effect) -> Result<(), HandlerError> {
        if effect == Effect::Makes {
            return Ok(());
        }
        self.require_space(effect)?;
        self.require_audit(tenant, effect)
    }

    /// Refuses what the database has no space for.
    ///
    /// # Errors
    /// STORAGE_FULL
    pub fn require_space(&self, effect: Effect) -> Result<(), HandlerError> {
        let Some(bound) = effect.storage(self.policy.admin.storage) else { return Ok(()) };
        let used = self.db.size()?;
        // What was released for a revocation is not there for what grows.
        let grows = matches!(effect, Effect::Makes | Effect::Grows);
        if used < bound && (!grows || has_reserve(self.db)?) {
            return Ok(());
        }
        let how = if used < bound {
            "The registry's database has no page left".to_owned()
        } else {
            let limit = quotas::bytes(self.policy.admin.storage);
            format!("The registry holds {} of the {limit} that it may hold", quotas::bytes(used))
        };
        let detail = format!(
            "{how}, so nothing new can be stored. Revoking, signing out and removing still work. Whoever runs this \
             deployment can raise `storage` in the policy's [admin], shorten `audit_retention`, or lower quotas."
        );
        Err(ApiError::new(Code::StorageFull, detail).into())
    }

    /// Refuses what a tenant's audit has no space for.
    ///
    /// # Errors
    /// QUOTA_EXCEEDED
    pub fn require_audit(&self, tenant: &Tenant, effect: Effect) -> Result<(), HandlerError> {
        let quota = Quota::AuditEntries;
        let Some(bound) = effect.audit_entries(quota.limit(tenant, self.policy)) else { return Ok(()) };
        self.require_within(tenant, quota, audit::entries(self.db, &tenant.id)?, 1, bound)
    }
}

/// Whether there is space for what nobody asked for: usage, and failed attempts of strangers.
///
/// # Errors
/// What SQLite says.
pub fn has_space(db: &dyn Sql, policy: &Policy) -> Result<bool, SqlError> {
    Ok(db.size()? < policy.admin.storage)
}

/// How much is used, and how much may be.
///
/// # Errors
/// What SQLite says.
pub fn view(db: &dyn Sql, policy: &Policy) -> Result<Value, SqlError> {
    Ok(object!({ "used": db.size()?, "limit": policy.admin.storage }))
}

/// A line for the log, if this call made the database nearly full.
pub fn notice(policy: &Policy, before: u64, after: u64) -> Option<String> {
    let limit = policy.admin.storage;
    let percent = quotas::crossed(limit, before, after)?;
    let (used, limit) = (quotas::bytes(after), quotas::bytes(limit));
    Some(format!("the registry holds {used} of {limit}: {percent} % of `storage` in the policy's [admin]"))
}

fn has_reserve(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db
        .run("SELECT number FROM ballast WHERE length(text) > ? LIMIT 1", &[SHORT_CHARS.into()])?
        .is_empty())
}

/// Puts the reserve back, if it was released and the database has shrunk by more than its size since. This is never merely
/// tried: when SQLite finds no page, it may undo the previous call, too.
///
/// # Errors
/// What SQLite says.
pub fn restore_reserve(db: &dyn Sql, policy: &Policy) -> Result<(), SqlError> {
    if has_reserve(db)? || !has_space(db, policy)? {
        return Ok(());
    }
    let given_up_at = "SELECT CAST(text AS INTEGER) FROM ballast";
    let needed = db.size()?.saturating_add(2 * RESERVE_BYTES.unsigned_abs());
    if sql::scalar::<u64>(db, given_up_at, &[])?.is_some_and(|size| needed > size) {
        return Ok(());
    }
    let put = "INSERT OR REPLACE INTO ballast (number, text) VALUES (1, hex(zeroblob(?)))";
    db.run(put, &[(RESERVE_BYTES / 2).into()])?;
    Ok(())
}

/// Repeats a transaction while SQLite has no page left for it. The n-th repetition has to [release space](release_reserve) n times,
/// since an attempt that fails releases none. When SQLite has undone everything, there is no repetition: what it wrote would
/// stay although the runtime refuses the call. Space is then released for the caller's own repetition.
///
/// # Errors
/// What SQLite says.
pub fn retry_when_full<T>(
    db: &dyn Sql,
    mut attempt: impl FnMut(usize) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let mut result = attempt(0);
    for further in 1..=MOST_ATTEMPTS {
        if !matches!(&result, Err(error) if error.is_full()) {
            break;
        }
        result = attempt(further);
    }
    if matches!(&result, Err(error) if error.is_undone()) {
        sql::transaction(db, || release_once(db))?;
    }
    result
}

/// One transaction for what has to be written even when SQLite has no page left.
///
/// # Errors
/// What SQLite says.
pub fn transaction<T>(db: &dyn Sql, mut turn: impl FnMut() -> Result<T, SqlError>) -> Result<T, SqlError> {
    retry_when_full(db, |further| {
        sql::transaction(db, || {
            release_reserve(db, further)?;
            turn()
        })
    })
}

/// Releases space `times` times: the reserve first, then the oldest usage. Call it in the transaction that needs the space.
///
/// # Errors
/// What SQLite says.
pub fn release_reserve(db: &dyn Sql, times: usize) -> Result<(), SqlError> {
    (0..times).try_for_each(|_| release_once(db))
}

fn release_once(db: &dyn Sql) -> Result<(), SqlError> {
    let size = db.size()?.to_string();
    let reserve = "UPDATE ballast SET text = ? WHERE length(text) > ? RETURNING number";
    let reserve = db.run(reserve, &[size.into(), SHORT_CHARS.into()])?;
    if reserve.is_empty() {
        let oldest =
            "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage ORDER BY hour LIMIT ?) RETURNING hour";
        if db.run(oldest, &[USAGE_ROWS_AT_ONCE.into()])?.is_empty() {
            return Err(SqlError(
                "database or disk is full, and nothing is left that could be given up".to_owned(),
            ));
        }
    }
    Ok(())
}
