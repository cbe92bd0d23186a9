//! Small jobs after calls and reports: rolling up usage, forgetting old changes, cutting the audit where the policy says so, removing surplus ended
//! keys, putting the storage reserve back. A run is bounded, and follows each call that may add something: it maintains the
//! tenant of that call, and the next tenant in turn.

use keyward_core::{
    secret::Secrets,
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::Policy;

use crate::{
    audit, change_log, events, keys, memory::Memory, metrics, storage, tenants::tenant::Tenant, usage,
};

/// Upkeep of one database.
pub struct Upkeep<'a> {
    /// The object's database.
    pub db: &'a dyn Sql,
    /// The deployment's policy.
    pub policy: &'static Policy,
    /// The deployment's secrets.
    pub secrets: &'a Secrets,
    /// What the object remembers.
    pub memory: &'a Memory,
}

impl Upkeep<'_> {
    /// One run of it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn run(&self, now: Timestamp) -> Result<(), SqlError> {
        let latest = self.memory.latest.take();
        let next = self.next_tenant(now)?.filter(|next| Some(next) != latest.as_ref());
        let tenants: Vec<String> = latest.into_iter().chain(next).collect();
        // One transaction each: on a full database, one that fails must not stop the rest.
        let kept = sql::transaction(self.db, || {
            usage::refusals::remove_old(self.db, now)?;
            change_log::forget(self.db, now)?;
            events::retention::remove_old(self.db, now)?;
            usage::routes::remove_old(self.db, now)?;
            metrics::counters::remove_old(self.db, now)?;
            // What is not in the sums yet must not become days before it is.
            let rolls = !usage::totals::sum_up(self.db)?;
            if rolls {
                usage::retention::roll_up(self.db, now)?;
                usage::totals::remove_old(self.db, now)?;
            }
            tenants.iter().try_for_each(|tenant_id| self.maintain(tenant_id, rolls, now))
        });
        let freed = tenants.iter().try_for_each(|tenant_id| self.remove_ended_keys(tenant_id, now));
        kept.and(freed).and(sql::transaction(self.db, || storage::restore_reserve(self.db, self.policy)))
    }

    /// Removes a few surplus ended keys. It has a transaction of its own, so that a call that is refused because there is no
    /// space does not undo it.
    fn remove_ended_keys(&self, id: &str, now: Timestamp) -> Result<(), SqlError> {
        let Some(wanted) = self.memory.over_quota.borrow().get(id).copied() else { return Ok(()) };
        let left = sql::transaction(self.db, || match Tenant::load(self.db, id)? {
            Some(tenant) => keys::key_quotas::remove_surplus(self.db, self.policy, &tenant, wanted, now),
            None => Ok(false),
        })?;
        if !left {
            self.memory.over_quota.borrow_mut().remove(id);
        }
        Ok(())
    }

    /// The next tenant in the order in which they were made; after the last one, the first. An object that wakes up begins at a
    /// tenant picked by the time: it may never live long enough to get through all of them.
    fn next_tenant(&self, now: Timestamp) -> Result<Option<String>, SqlError> {
        struct Row {
            position: i64,
            id: String,
        }
        keyward_core::from_row!(Row { position, id });
        let after = match self.memory.last_maintained.get() {
            Some(after) => after,
            None => {
                let last = sql::scalar::<Option<i64>>(self.db, "SELECT MAX(rowid) FROM tenants", &[])?;
                now.0.rem_euclid(last.flatten().unwrap_or_default().max(1))
            }
        };
        let next = "SELECT rowid AS position, id FROM tenants WHERE rowid > ? ORDER BY rowid LIMIT 1";
        let next = sql::query_one::<Row>(self.db, next, &[after.into()])?;
        self.memory.last_maintained.set(Some(next.as_ref().map_or(0, |row| row.position)));
        Ok(next.map(|row| row.id))
    }

    fn maintain(&self, id: &str, rolls: bool, now: Timestamp) -> Result<(), SqlError> {
        if self.memory.is_first_of_hour(id, now) {
            usage::retention::count(self.db, id, usage::retention::MOST_OF_TENANT, now)?;
            events::retention::bound(self.db, id)?;
            self.memory.note_surplus(id, 0);
        }
        if rolls {
            usage::retention::bound(self.db, id)?;
        }
        audit::daily::close(self.db, id, now)?;
        audit::daily::count_refused(self.db, id)?;
        audit::retention::sign_again(self.db, self.secrets, id)?;
        match self.policy.admin.audit_retention {
            Some(retention) => {
                let before = now - retention;
                audit::retention::cut(self.db, self.secrets, id, before, now)
            }
            None => Ok(()),
        }
    }
}
