//! Publishing: what has to be told to a KeyGate and written to KV, and when to try again. A key
//! whose `publish_due` is set is in the outbox. Publishing is idempotent: the whole record, with a
//! version that only grows.

use serde::Deserialize;

use crate::{
    key::kv_key,
    record::Record,
    registry::{
        Registry,
        keys::{self, limits},
        tenants::Tenant,
    },
    sql::{self, Sql, SqlError},
    time::{MINUTE, SECOND, Timestamp},
};

/// Wait after the first failure; it doubles with each further one.
const FIRST_RETRY: i64 = SECOND;
/// Longest wait.
const LAST_RETRY: i64 = 5 * MINUTE;

/// One key to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The storage hash, which names the KeyGate.
    pub hash: String,
    /// The place in KV.
    pub kv_key: String,
    /// What to publish.
    pub record: Record,
    /// Whether the KeyGate was told of this version.
    pub told: bool,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Registry<'_> {
    /// What to publish of a key; `None` when nothing is.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publication(&self, key_id: &str) -> Result<Option<Publication>, SqlError> {
        let Some(key) = keys::load_due(self.db, key_id)? else { return Ok(None) };
        let Some(tenant) = Tenant::load(self.db, &key.tenant_id)? else { return Ok(None) };
        let told = key.told_version >= key.version;
        let limits =
            limits::effective(&key.settings.rate_limit, &tenant.terms, self.policy.realm(&key.realm));
        let (hash, kv_key) = (key.hash.clone(), kv_key(&key.hash));
        Ok(Some(Publication { hash, kv_key, record: key.record(&tenant, limits), told }))
    }

    /// The KeyGate was told of this version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let statement = "UPDATE keys SET told_version = ?, told_at = ? WHERE id = ? AND told_version < ?";
        self.db.run(statement, &[version.into(), now.into(), key_id.into(), version.into()])?;
        Ok(())
    }

    /// KV holds this version. A later one stays in the outbox.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn published(&self, key_id: &str, version: u64) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let done = "UPDATE keys SET publish_due = NULL, publish_attempts = 0 WHERE id = ? AND version = ? AND told_version = ?";
        self.db.run(done, &[key_id.into(), version.into(), version.into()])?;
        Ok(())
    }

    /// It did not work: later again, 1 s at first, twice as long each time, at most 5 minutes.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publish_failed(&self, key_id: &str, now: Timestamp) -> Result<(), SqlError> {
        #[derive(Deserialize)]
        struct Row {
            publish_attempts: u32,
        }
        let attempts = "SELECT publish_attempts FROM keys WHERE id = ?";
        let failed =
            sql::query_one::<Row>(self.db, attempts, &[key_id.into()])?.map_or(0, |row| row.publish_attempts);
        let wait = FIRST_RETRY.checked_shl(failed.min(30)).map_or(LAST_RETRY, |wait| wait.min(LAST_RETRY));
        let later = "UPDATE keys SET publish_due = ?, publish_attempts = publish_attempts + 1 \
                     WHERE id = ? AND publish_due IS NOT NULL";
        self.db.run(later, &[now.plus(wait).into(), key_id.into()])?;
        Ok(())
    }

    /// Keys whose time to be published has come, the longest waiting first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<String>, SqlError> {
        let due = "SELECT id FROM keys WHERE publish_due IS NOT NULL AND publish_due <= ? ORDER BY publish_due LIMIT ?";
        Ok(sql::query::<Id>(self.db, due, &[now.into(), limit.into()])?
            .into_iter()
            .map(|row| row.id)
            .collect())
    }
}

/// When the next key is due; `None` when everything is published.
///
/// # Errors
/// What SQLite says.
pub fn next_due(db: &dyn Sql) -> Result<Option<Timestamp>, SqlError> {
    #[derive(Deserialize)]
    struct Row {
        next: Option<Timestamp>,
    }
    let next = "SELECT MIN(publish_due) AS next FROM keys WHERE publish_due IS NOT NULL";
    Ok(sql::query_one::<Row>(db, next, &[])?.and_then(|row| row.next))
}

/// A new version of every key of the tenant, into the outbox.
pub fn enqueue_tenant(db: &dyn Sql, tenant_id: &str, now: Timestamp) -> Result<(), SqlError> {
    let every =
        "UPDATE keys SET version = version + 1, publish_due = ?, publish_attempts = 0 WHERE tenant_id = ?";
    db.run(every, &[now.into(), tenant_id.into()])?;
    Ok(())
}

/// A new version of every key of the realm, into the outbox.
pub fn enqueue_realm(db: &dyn Sql, realm: &str, now: Timestamp) -> Result<(), SqlError> {
    let every =
        "UPDATE keys SET version = version + 1, publish_due = ?, publish_attempts = 0 WHERE realm = ?";
    db.run(every, &[now.into(), realm.into()])?;
    Ok(())
}

/// The tenant's keys whose KeyGates were not told of the present version yet.
pub fn untold(db: &dyn Sql, tenant_id: &str) -> Result<Vec<String>, SqlError> {
    let untold = "SELECT id FROM keys WHERE tenant_id = ? AND told_version < version ORDER BY number";
    Ok(sql::query::<Id>(db, untold, &[tenant_id.into()])?.into_iter().map(|row| row.id).collect())
}
