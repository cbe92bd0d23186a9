//! The outbox: what has to be told to a KeyGate and written to KV, and when to try again. A key
//! whose `publish_due` is set is in it. Publishing is idempotent: the whole record, with a version
//! that only grows. [`crate::publisher`] does it.
//!
//! An attempt is counted before it is made and taken back once its end is known. So whenever a put
//! was begun whose end is not known (it failed, it took too long, the object died), the key is
//! written once more after a while, and an older record that lands late does not stay.

use keyward_core::{
    key::kv_key,
    record::Record,
    sql::{self, Sql, SqlError, Value},
    time::{DAY, MINUTE, SECOND, Timestamp},
};
use keyward_policy::Policy;

use crate::{
    keys::{
        key::{self, Key},
        limits,
    },
    room,
    tenants::tenant::Tenant,
};

/// Wait after the first failure; it doubles with each further one.
const FIRST_RETRY_MS: i64 = SECOND;
/// Longest wait.
const LAST_RETRY_MS: i64 = 5 * MINUTE;
/// After this a put whose end is not known has landed or never will.
const SETTLED_MS: i64 = MINUTE;

/// The outbox of one database.
#[derive(Clone, Copy)]
pub struct Outbox<'a> {
    /// The object's database.
    pub db: &'a dyn Sql,
    /// The deployment's policy, whose limits the records carry.
    pub policy: &'static Policy,
}

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

impl Outbox<'_> {
    /// What its KeyGate and KV do not have of a key yet; `None` if they have all.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publication(&self, key_id: &str) -> Result<Option<Publication>, SqlError> {
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
        room::transaction(self.db, || self.begin_in_turn(key_id, now))
    }

    fn begin_in_turn(&self, key_id: &str, now: Timestamp) -> Result<Option<Publication>, SqlError> {
        let Some(key) = key::load_due(self.db, key_id, Some(now))? else { return Ok(None) };
        let wait = FIRST_RETRY_MS
            .checked_shl(key.publish_attempts.min(30))
            .map_or(LAST_RETRY_MS, |w| w.min(LAST_RETRY_MS));
        let begun = "UPDATE keys SET publish_due = ?, publish_attempts = publish_attempts + 1 WHERE id = ?";
        self.db.run(begun, &[now.plus(wait).into(), key_id.into()])?;
        self.of(key)
    }

    fn of(&self, key: Key) -> Result<Option<Publication>, SqlError> {
        let Some(tenant) = Tenant::load(self.db, &key.tenant_id)? else { return Ok(None) };
        let told = key.told_version >= key.version;
        let limits = limits::effective(&key.settings.rate_limit, &tenant.plan, self.policy.realm(&key.realm));
        let (hash, kv_key) = (key.hash.clone(), kv_key(&key.hash));
        Ok(Some(Publication { hash, kv_key, record: key.record(&tenant, limits), told }))
    }

    /// The KeyGate was told of this version.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        // Of a version that another has overtaken it is not known whether it was strict.
        let statement = "UPDATE keys SET told_version = ?, told_at = ?, strict_since =
                CASE WHEN strict AND version = ? THEN coalesce(strict_since, ?) END
            WHERE id = ? AND told_version < ?";
        let (version, now) = (Value::from(version), Value::from(now));
        let values = [version.clone(), now.clone(), version.clone(), now, key_id.into(), version];
        room::transaction(self.db, || self.db.run(statement, &values))?;
        Ok(())
    }

    /// When the KeyGate was last told of a version; `None` if it never was.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn told_at(&self, key_id: &str) -> Result<Option<Timestamp>, SqlError> {
        let told_at = "SELECT told_at FROM keys WHERE id = ?";
        Ok(sql::scalar::<Option<Timestamp>>(self.db, told_at, &[key_id.into()])?.flatten())
    }

    /// KV holds this version: the attempt's end is known. A later version stays in the outbox, and
    /// so does a key with an attempt whose end is not known, to be written once more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn published(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        room::transaction(self.db, || self.published_in_turn(key_id, version, now))
    }

    fn published_in_turn(&self, key_id: &str, version: u64, now: Timestamp) -> Result<(), SqlError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let newer = "UPDATE keys SET publish_attempts = publish_attempts - 1 WHERE id = ? AND version > ?";
        self.db.run(newer, &[key_id.into(), version.into()])?;
        let unsettled =
            "UPDATE keys SET unsettled_until = ? WHERE id = ? AND version = ? AND publish_attempts > 1";
        self.db.run(unsettled, &[now.plus(SETTLED_MS).into(), key_id.into(), version.into()])?;
        let done = "UPDATE keys SET publish_attempts = 0,
                publish_due = CASE WHEN unsettled_until > ? THEN MIN(unsettled_until, ?) END
            WHERE id = ? AND version = ?";
        let latest = now.plus(SETTLED_MS);
        self.db.run(done, &[now.into(), latest.into(), key_id.into(), version.into()])?;
        Ok(())
    }

    /// A put that was given up has ended, one way or the other: the present record is written after
    /// it, and once more after a while.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn publish_again(&self, key_id: &str, now: Timestamp) -> Result<(), SqlError> {
        let again = "UPDATE keys SET publish_due = ?, publish_attempts = publish_attempts + 1 WHERE id = ?";
        room::transaction(self.db, || self.db.run(again, &[now.into(), key_id.into()]))?;
        Ok(())
    }

    /// Keys whose time to be published has come, the longest waiting first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<String>, SqlError> {
        let due = "SELECT id FROM keys WHERE publish_due IS NOT NULL AND publish_due <= ? ORDER BY publish_due LIMIT ?";
        sql::scalars(self.db, due, &[now.into(), limit.into()])
    }

    /// No key waits for longer than after its last retry. One that does was put off before the clock was set
    /// back, and is due now.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn bring_back(&self, now: Timestamp) -> Result<(), SqlError> {
        let back = "UPDATE keys SET publish_due = ? WHERE publish_due IS NOT NULL AND publish_due > ?";
        self.db.run(back, &[now.into(), now.plus(LAST_RETRY_MS).into()])?;
        // Nor is a key that was not shown yet cancelled later than one that is made now under an Idempotency-Key.
        let back = "UPDATE keys SET deliver_by = ? WHERE deliver_by IS NOT NULL AND deliver_by > ?";
        let latest = now.plus(DAY);
        self.db.run(back, &[latest.into(), latest.into()]).map(drop)
    }

    /// When the next key is due, to be published or to be cancelled; `None` when everything is published.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_due(&self) -> Result<Option<Timestamp>, SqlError> {
        let next = "SELECT MIN(at) AS next FROM (
                SELECT MIN(publish_due) AS at FROM keys WHERE publish_due IS NOT NULL
                UNION ALL SELECT MIN(deliver_by) FROM keys WHERE deliver_by IS NOT NULL
            )";
        Ok(sql::scalar::<Option<Timestamp>>(self.db, next, &[])?.flatten())
    }
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

/// The tenant's keys whose KeyGates were not told of the present version yet.
pub fn untold(db: &dyn Sql, tenant_id: &str) -> Result<Vec<String>, SqlError> {
    let untold = "SELECT id FROM keys WHERE tenant_id = ? AND told_version < version ORDER BY number";
    sql::scalars(db, untold, &[tenant_id.into()])
}
