//! The size of the database: from the policy's `storage` on nothing new is taken, while what has to be possible always,
//! like revoking, goes on. And should SQLite itself have no page left, a ballast gives room for that, then the oldest
//! usage.

use keyward_core::sql::{self, Sql, SqlError};
use keyward_policy::Policy;
use serde_json::{Value, json};

use crate::{
    audit::retention as audit,
    context::RequestContext,
    effect::Effect,
    error::{ApiError, Code},
    handler::HandlerError,
    quotas::{self, Quota},
    tenants::tenant::Tenant,
};

/// Bytes of the ballast: room for some hundred revocations with their entries in the audit.
const BALLAST_BYTES: i64 = 256 * 1024;
/// Characters of what stands in its place while it is given up: the size that the database had then.
const SHORT_CHARS: u32 = 20;
/// Oldest rows of usage that are given up at once.
const USAGE_ROWS_AT_ONCE: i64 = 500;
/// How often room is made for one turn.
const MOST_ATTEMPTS: usize = 4;

impl RequestContext<'_> {
    /// Refuses what neither the database nor the tenant's audit has room for. What a handler asks for itself is
    /// left to it.
    ///
    /// # Errors
    /// STORAGE_FULL, QUOTA_EXCEEDED
    pub fn require_room_for(&self, tenant: &Tenant, effect: Effect) -> Result<(), HandlerError> {
        if effect == Effect::Makes {
            return Ok(());
        }
        self.require_room(effect)?;
        self.require_audit(tenant, effect)
    }

    /// Refuses what the database has no room for.
    ///
    /// # Errors
    /// STORAGE_FULL
    pub fn require_room(&self, effect: Effect) -> Result<(), HandlerError> {
        let Some(bound) = effect.storage(self.policy.admin.storage) else { return Ok(()) };
        let used = self.db.size()?;
        // What was given up for a revocation is not there for what grows.
        let grows = matches!(effect, Effect::Makes | Effect::Grows);
        if used < bound && (!grows || has_ballast(self.db)?) {
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

    /// Refuses what a tenant's chain has no room for.
    ///
    /// # Errors
    /// QUOTA_EXCEEDED
    pub fn require_audit(&self, tenant: &Tenant, effect: Effect) -> Result<(), HandlerError> {
        let quota = Quota::AuditEntries;
        let Some(bound) = effect.audit_entries(quota.limit(tenant, self.policy)) else { return Ok(()) };
        self.require_within(tenant, quota, audit::entries(self.db, &tenant.id)?, 1, bound)
    }
}

/// Whether there is room for what is not asked for by anybody: usage, failed attempts of strangers.
///
/// # Errors
/// What SQLite says.
pub fn is_left(db: &dyn Sql, policy: &Policy) -> Result<bool, SqlError> {
    Ok(db.size()? < policy.admin.storage)
}

/// How much is used of how much.
///
/// # Errors
/// What SQLite says.
pub fn view(db: &dyn Sql, policy: &Policy) -> Result<Value, SqlError> {
    Ok(json!({ "used": db.size()?, "limit": policy.admin.storage }))
}

/// A line for the log, if with this call the database got nearly full.
pub fn notice(policy: &Policy, before: u64, after: u64) -> Option<String> {
    let limit = policy.admin.storage;
    let percent = quotas::crossed(limit, before, after)?;
    let (used, limit) = (quotas::bytes(after), quotas::bytes(limit));
    Some(format!("the registry holds {used} of {limit}: {percent} % of `storage` in the policy's [admin]"))
}

fn has_ballast(db: &dyn Sql) -> Result<bool, SqlError> {
    Ok(!db
        .run("SELECT number FROM ballast WHERE length(text) > ? LIMIT 1", &[SHORT_CHARS.into()])?
        .is_empty())
}

/// Puts the ballast back, if it is not there and the database has become smaller by more than that since. Never on trial:
/// where SQLite finds no page, it may undo the call before, too.
///
/// # Errors
/// What SQLite says.
pub fn restore_ballast(db: &dyn Sql, policy: &Policy) -> Result<(), SqlError> {
    if has_ballast(db)? || !is_left(db, policy)? {
        return Ok(());
    }
    let given_up_at = "SELECT CAST(text AS INTEGER) FROM ballast";
    let needed = db.size()?.saturating_add(2 * BALLAST_BYTES.unsigned_abs());
    if sql::scalar::<u64>(db, given_up_at, &[])?.is_some_and(|size| needed > size) {
        return Ok(());
    }
    let put = "INSERT OR REPLACE INTO ballast (number, text) VALUES (1, hex(zeroblob(?)))";
    db.run(put, &[(BALLAST_BYTES / 2).into()])?;
    Ok(())
}

/// Runs a turn again while SQLite has no page left for it. Before its n-th further attempt room is to be [made](make) n
/// times: an attempt that fails makes none. Where SQLite has undone everything, the turn ends, since what it wrote now would
/// stay although the runtime refuses the call: room is made for the call that repeats it.
///
/// # Errors
/// What SQLite says.
pub fn in_need<T>(
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
        sql::transaction(db, || give_up(db))?;
    }
    result
}

/// One transaction for what has to be written also when SQLite has no page left.
///
/// # Errors
/// What SQLite says.
pub fn transaction<T>(db: &dyn Sql, mut turn: impl FnMut() -> Result<T, SqlError>) -> Result<T, SqlError> {
    in_need(db, |further| {
        sql::transaction(db, || {
            make(db, further)?;
            turn()
        })
    })
}

/// Makes room `times` times: gives up the ballast first, then the oldest usage. To be called in the transaction that needs it.
///
/// # Errors
/// What SQLite says.
pub fn make(db: &dyn Sql, times: usize) -> Result<(), SqlError> {
    (0..times).try_for_each(|_| give_up(db))
}

fn give_up(db: &dyn Sql) -> Result<(), SqlError> {
    let size = db.size()?.to_string();
    let ballast = "UPDATE ballast SET text = ? WHERE length(text) > ? RETURNING number";
    let ballast = db.run(ballast, &[size.into(), SHORT_CHARS.into()])?;
    if ballast.is_empty() {
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
