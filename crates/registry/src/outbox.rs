//! The outbox: what has to be told to a coordinator and written to KV, and when to try again. A key
//! whose `publish_due` is set is in it. Publishing is idempotent: the whole record, with a version
//! that only grows. [`crate::publisher`] does it.
//!
//! An attempt is counted before it is made, and no longer once its outcome is known. So if the outcome of a put is not
//! known (it failed, it took too long, the object died), the key is written once more after a while, and an older record
//! that arrives late does not stay.

use keyward_core::{
    key::kv_key,
    record::{POOL, Record, pool_name},
    sql::{self, Sql, SqlError, Value},
    time::{Span, Timestamp},
};
use keyward_policy::Policy;

use crate::{
    backup::restore,
    context::RequestContext,
    keys::{
        idempotency,
        key::{self, Key},
    },
    storage,
    tenants::tenant::Tenant,
};

/// Wait after the first failure; it doubles with each further one.
const FIRST_RETRY: Span = Span::from_secs(1);
/// Longest wait.
const LAST_RETRY: Span = Span::from_mins(5);
/// After this time, a put whose outcome is not known has either taken effect or never will.
const SETTLED: Span = Span::from_mins(1);

/// Wait before the object of a tenant's pool is told again.
const POOL_RETRY: Span = Span::from_secs(5);

/// The outbox of one database.
#[derive(Clone, Copy)]
pub struct Outbox<'a> {
    /// The object's database.
    pub db: &'a dyn Sql,
    /// The deployment's policy, whose limits the records carry.
    pub policy: &'static Policy,
}

/// One key to publish, or a tenant's pool, which goes by its object's name.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The storage hash, which names the coordinator.
    pub hash: String,
    /// The place in KV; a pool has none.
    pub kv_key: Option<String>,
    /// What to publish.
    pub record: Record,
    /// Whether the coordinator was told of this version.
    pub told: bool,
    /// Whether a restore has brought the key, and its coordinator was told nothing since.
    pub restored: bool,
}

impl Outbox<'_> {
    /// What has to be published of a key; `None` if its coordinator and KV have everything.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publication(&self, key_id: &str) -> Result<Option<Publication>, SqlError> {
        if let Some(tenant_id) = key_id.strip_prefix(POOL) {
            return self.pool(tenant_id);
        }
        match key::load_due(self.db, key_id, None)? {
            Some(key) => self.of(key),
            None => Ok(None),
        }
    }

    /// Begins an attempt to publish a key whose time has come; `None` if it has not. The next
    /// attempt is 1 s later, twice as long each time, at most 5 minutes, unless
    /// [`Outbox::published`] comes first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin(&self, key_id: &str, now: Timestamp) -> Result<Option<Publication>, SqlError> {
        storage::transaction(self.db, || self.begin_in_transaction(key_id, now))
    }

    fn begin_in_transaction(&self, key_id: &str, now: Timestamp) -> Result<Option<Publication>, SqlError> {
        if let Some(tenant_id) = key_id.strip_prefix(POOL) {
            return self.begin_pool(tenant_id, now);
        }
        let Some(key) = key::load_due(self.db, key_id, Some(now))? else { return Ok(None) };
        let wait = wait_after(key.publish_attempts);
        let begun = "UPDATE keys SET publish_due = ?, publish_attempts = publish_attempts + 1 WHERE id = ?";
        self.db.run(begun, &[(now + wait).into(), key_id.into()])?;
        self.of(key)
    }

    fn of(&self, key: Key) -> Result<Option<Publication>, SqlError> {
        let Some(tenant) = Tenant::load(self.db, &key.tenant_id)? else { return Ok(None) };
        let told = key.told_version >= key.version;
        let restored = key.told_version == 0
            && restore::done_at(self.db)?.is_some_and(|done_at| key.created_at <= done_at);
        let (hash, kv_key) = (key.hash.clone(), Some(kv_key(&key.hash)));
        Ok(Some(Publication { hash, kv_key, record: key.record(&tenant, self.policy), told, restored }))
    }

    /// What the object of a tenant's pool has to be told; nothing where there is and was no pool.
    fn pool(&self, tenant_id: &str) -> Result<Option<Publication>, SqlError> {
        let told = "SELECT pool_told FROM tenants WHERE id = ? AND pool_due IS NOT NULL";
        let told = sql::scalar::<Option<u64>>(self.db, told, &[tenant_id.into()])?;
        let (Some(told), Some(tenant)) = (told, Tenant::load(self.db, tenant_id)?) else { return Ok(None) };
        let pool = tenant.plan.of_all(self.policy);
        if told.is_none() && pool.is_none() {
            return Ok(None);
        }
        let record = Record::of_pool(&tenant.of_record(), pool.unwrap_or_default(), tenant.change)
            .within(self.policy.jurisdiction);
        let told = told.is_some_and(|told| told >= tenant.change);
        Ok(Some(Publication { hash: pool_name(tenant_id), kv_key: None, record, told, restored: false }))
    }

    fn begin_pool(&self, tenant_id: &str, now: Timestamp) -> Result<Option<Publication>, SqlError> {
        let due = "SELECT 1 FROM tenants WHERE id = ? AND pool_due <= ?";
        if self.db.run(due, &[tenant_id.into(), now.into()])?.is_empty() {
            return Ok(None);
        }
        let publication = self.pool(tenant_id)?;
        let next = publication.as_ref().map(|_| now + POOL_RETRY);
        self.db
            .run("UPDATE tenants SET pool_due = ? WHERE id = ?", &[next.into(), tenant_id.into()])
            .map(|_| publication)
    }

    /// The coordinator was told of this version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        if let Some(tenant_id) = key_id.strip_prefix(POOL) {
            let told = "UPDATE tenants SET pool_told = ?, pool_told_at = ?
                WHERE id = ? AND COALESCE(pool_told, -1) < ?";
            let values = [version.into(), now.into(), tenant_id.into(), version.into()];
            return storage::transaction(self.db, || self.db.run(told, &values)).map(drop);
        }
        // Whether a version was strict is not known once a newer one has replaced it.
        let statement = "UPDATE keys SET told_version = ?, told_at = ?, strict_since =
                CASE WHEN strict AND version = ? THEN coalesce(strict_since, ?) END
            WHERE id = ? AND told_version < ?";
        let (version, now) = (Value::from(version), Value::from(now));
        let values = [version.clone(), now.clone(), version.clone(), now, key_id.into(), version];
        storage::transaction(self.db, || self.db.run(statement, &values))?;
        Ok(())
    }

    /// When the coordinator was last told of a version; `None` if it never was.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told_at(&self, key_id: &str) -> Result<Option<Timestamp>, SqlError> {
        let (told_at, id) = match key_id.strip_prefix(POOL) {
            Some(tenant_id) => ("SELECT pool_told_at FROM tenants WHERE id = ?", tenant_id),
            None => ("SELECT told_at FROM keys WHERE id = ?", key_id),
        };
        Ok(sql::scalar::<Option<Timestamp>>(self.db, told_at, &[id.into()])?.flatten())
    }

    /// KV holds this version, so the attempt's outcome is known. The key stays in the outbox if there is a later version, or
    /// another attempt whose outcome is not known: then it is written once more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn published(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        storage::transaction(self.db, || self.published_in_transaction(key_id, version, now))
    }

    fn published_in_transaction(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        if let Some(tenant_id) = key_id.strip_prefix(POOL) {
            let done = "UPDATE tenants SET pool_due = NULL WHERE id = ? AND change = ?";
            return self.db.run(done, &[tenant_id.into(), version.into()]).map(drop);
        }
        let newer = "UPDATE keys SET publish_attempts = publish_attempts - 1 WHERE id = ? AND version > ?";
        self.db.run(newer, &[key_id.into(), version.into()])?;
        let unsettled =
            "UPDATE keys SET unsettled_until = ? WHERE id = ? AND version = ? AND publish_attempts > 1";
        self.db.run(unsettled, &[(now + SETTLED).into(), key_id.into(), version.into()])?;
        let done = "UPDATE keys SET publish_attempts = 0,
                publish_due = CASE WHEN unsettled_until > ? THEN MIN(unsettled_until, ?) END
            WHERE id = ? AND version = ?";
        let latest = now + SETTLED;
        self.db.run(done, &[now.into(), latest.into(), key_id.into(), version.into()])?;
        Ok(())
    }

    /// A put that was given up has ended, one way or the other: now the present record is written, and once more after a
    /// while.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publish_again(&self, key_id: &str, now: Timestamp) -> Result<(), SqlError> {
        let again = "UPDATE keys SET publish_due = ?, publish_attempts = publish_attempts + 1 WHERE id = ?";
        storage::transaction(self.db, || self.db.run(again, &[now.into(), key_id.into()]))?;
        Ok(())
    }

    /// Pools that are due, half as many as there may be, then keys: those that have waited longest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<String>, SqlError> {
        let due = "SELECT id FROM keys WHERE publish_due IS NOT NULL AND publish_due <= ? ORDER BY publish_due LIMIT ?";
        let pools = "SELECT ? || id FROM tenants WHERE pool_due <= ? ORDER BY pool_due LIMIT ?";
        let mut ids: Vec<String> =
            sql::scalars(self.db, pools, &[POOL.into(), now.into(), limit.div_ceil(2).into()])?;
        let rest = limit.saturating_sub(u32::try_from(ids.len()).unwrap_or(limit));
        ids.extend(sql::scalars::<String>(self.db, due, &[now.into(), rest.into()])?);
        Ok(ids)
    }

    /// Makes keys due that would wait for longer than the longest pause between retries: their time was set before the clock was
    /// set back.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn bring_back(&self, now: Timestamp) -> Result<(), SqlError> {
        let back = "UPDATE keys SET publish_due = ? WHERE publish_due IS NOT NULL AND publish_due > ?";
        self.db.run(back, &[now.into(), (now + LAST_RETRY).into()])?;
        let back = "UPDATE tenants SET pool_due = ? WHERE pool_due > ?";
        self.db.run(back, &[now.into(), (now + POOL_RETRY).into()])?;
        // Likewise, a key that was not shown yet is cancelled no later than one that is made now under an Idempotency-Key.
        let back = "UPDATE keys SET deliver_by = ? WHERE deliver_by IS NOT NULL AND deliver_by > ?";
        let latest = now + idempotency::LIFE;
        self.db.run(back, &[latest.into(), latest.into()]).map(drop)
    }

    /// When the next key is due, to be published or to be cancelled; `None` when everything is published.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_due(&self) -> Result<Option<Timestamp>, SqlError> {
        let next = "SELECT MIN(at) AS next FROM (
                SELECT MIN(publish_due) AS at FROM keys WHERE publish_due IS NOT NULL
                UNION ALL SELECT MIN(pool_due) FROM tenants WHERE pool_due IS NOT NULL
                UNION ALL SELECT MIN(deliver_by) FROM keys WHERE deliver_by IS NOT NULL
            )";
        Ok(sql::scalar::<Option<Timestamp>>(self.db, next, &[])?.flatten())
    }
}

/// How much the outbox holds.
pub struct Backlog {
    /// Keys and tenants' pools, up to [`MOST_COUNTED`].
    pub entries: u64,
    /// How long the key has been due that was due first, of those that are tried next.
    pub oldest: Span,
}

/// Most keys that are counted, and that are looked at for the oldest.
const MOST_COUNTED: u32 = 100_000;
const MOST_LOOKED_AT: u32 = 1_000;

/// How much the outbox holds.
///
/// # Errors
/// What SQLite says.
pub fn backlog(db: &dyn Sql, now: Timestamp) -> Result<Backlog, SqlError> {
    let entries = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM keys WHERE publish_due IS NOT NULL LIMIT ?))
        + (SELECT COUNT(*) FROM tenants WHERE pool_due IS NOT NULL)";
    let entries = sql::scalar(db, entries, &[MOST_COUNTED.into()])?.unwrap_or_default();
    struct Due {
        publish_due: Timestamp,
        publish_attempts: u32,
    }
    keyward_core::from_row!(Due { publish_due, publish_attempts });
    let next = "SELECT publish_due, publish_attempts FROM keys WHERE publish_due IS NOT NULL
        ORDER BY publish_due LIMIT ?";
    let next = sql::query::<Due>(db, next, &[MOST_LOOKED_AT.into()])?;
    // It was due before all that was waited since.
    let since = next.iter().map(|due| (now - due.publish_due) + waited(due.publish_attempts));
    Ok(Backlog { entries, oldest: since.max().unwrap_or(Span::ZERO).max(Span::ZERO) })
}

/// How long is waited after this number of attempts that were begun.
fn wait_after(attempts: u32) -> Span {
    (FIRST_RETRY * (1 << attempts.min(30))).min(LAST_RETRY)
}

/// How long was waited in all.
fn waited(attempts: u32) -> Span {
    let growing = attempts.min(30);
    let waits = (0..growing).map(wait_after).fold(Span::ZERO, |sum, wait| sum + wait);
    waits + LAST_RETRY * i64::from(attempts - growing)
}

/// A new version of every key of the tenant, into the outbox.
pub fn enqueue_tenant(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<(), SqlError> {
    let every = "UPDATE keys SET version = version + 1, publish_due = ? WHERE tenant_id = ?";
    db.run(every, &[now.into(), tenant_id.into()])?;
    Ok(())
}

/// A new version of every key of the realm, into the outbox.
pub fn enqueue_realm(db: &dyn Sql, realm: &str, now: Timestamp) -> Result<(), SqlError> {
    let every = "UPDATE keys SET version = version + 1, publish_due = ? WHERE realm = ?";
    db.run(every, &[now.into(), realm.into()])?;
    Ok(())
}

/// A new version of the pool of every tenant that has a plan, into the outbox.
pub fn enqueue_plans(db: &dyn Sql, now: Timestamp) -> Result<(), SqlError> {
    let logged = "REPLACE INTO changes (tenant_id, at) SELECT id, ? FROM tenants WHERE plan IS NOT NULL";
    db.run(logged, &[now.into()])?;
    let change = "UPDATE tenants SET change = (SELECT number FROM changes WHERE tenant_id = tenants.id)
        WHERE plan IS NOT NULL";
    db.run(change, &[]).map(drop)
}

/// The tenant's keys whose coordinators were not told of the present version yet.
pub fn untold(db: &dyn Sql, tenant_id: &str) -> Result<Vec<String>, SqlError> {
    let untold = "SELECT id FROM keys WHERE tenant_id = ? AND told_version < version ORDER BY number";
    sql::scalars(db, untold, &[tenant_id.into()])
}

/// The tenant's pool, if its object has to be told.
pub fn untold_pool(context: &RequestContext<'_>, tenant: &Tenant) -> Result<Option<String>, SqlError> {
    let id = pool_name(&tenant.id);
    let outbox = Outbox { db: context.db, policy: context.policy };
    Ok(outbox.publication(&id)?.filter(|publication| !publication.told).map(|_| id))
}
