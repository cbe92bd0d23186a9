//! What is done a little at a time, after calls and reports: usage is rolled up, the audit is cut where the policy says
//! so, ended keys that there are too many of go, and the ballast is put back. One turn of it is bounded, and there is one for each call that may add something: it
//! looks after the tenant of that call, and after the next one of all.

use keyward_core::{
    secret::Secrets,
    sql::{self, Sql, SqlError},
    time::{DAY, Timestamp},
};
use keyward_policy::Policy;
use serde::Deserialize;

use crate::{audit, keys, memory::Memory, room, tenants::tenant::Tenant, usage};

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
    /// One turn of it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn turn(&self, now: Timestamp) -> Result<(), SqlError> {
        let latest = self.memory.latest.take();
        let next = self.next_tenant(now)?.filter(|next| Some(next) != latest.as_ref());
        let tenants: Vec<String> = latest.into_iter().chain(next).collect();
        // Each by itself: on a full database the rest is to be done nevertheless.
        let kept = sql::transaction(self.db, || {
            usage::retention::roll_up(self.db, now)?;
            tenants.iter().try_for_each(|tenant_id| self.look_after(tenant_id, now))
        });
        let freed = tenants.iter().try_for_each(|tenant_id| self.remove_ended_keys(tenant_id, now));
        kept.and(freed).and(sql::transaction(self.db, || room::restore_ballast(self.db, self.policy)))
    }

    /// A few of those that there are too many of. A call that is refused for want of room has no part in it, and so does
    /// not undo it.
    fn remove_ended_keys(&self, id: &str, now: Timestamp) -> Result<(), SqlError> {
        let Some(wanted) = self.memory.crowded.borrow().get(id).copied() else { return Ok(()) };
        let left = sql::transaction(self.db, || match Tenant::load(self.db, id)? {
            Some(tenant) => keys::room::remove_surplus(self.db, self.policy, &tenant, wanted, now),
            None => Ok(false),
        })?;
        if !left {
            self.memory.crowded.borrow_mut().remove(id);
        }
        Ok(())
    }

    /// The next tenant, in the order in which they were made, and from the first again. An object that wakes up begins
    /// anywhere, as the time has it: it may never live long enough to get far.
    fn next_tenant(&self, now: Timestamp) -> Result<Option<String>, SqlError> {
        #[derive(Deserialize)]
        struct Row {
            position: i64,
            id: String,
        }
        let after = match self.memory.looked_after.get() {
            Some(after) => after,
            None => {
                let last = sql::scalar::<Option<i64>>(self.db, "SELECT MAX(rowid) FROM tenants", &[])?;
                now.0.rem_euclid(last.flatten().unwrap_or_default().max(1))
            }
        };
        let next = "SELECT rowid AS position, id FROM tenants WHERE rowid > ? ORDER BY rowid LIMIT 1";
        let next = sql::query_one::<Row>(self.db, next, &[after.into()])?;
        self.memory.looked_after.set(Some(next.as_ref().map_or(0, |row| row.position)));
        Ok(next.map(|row| row.id))
    }

    fn look_after(&self, id: &str, now: Timestamp) -> Result<(), SqlError> {
        if self.memory.is_first_of_hour(id, now) {
            usage::retention::count(self.db, id, usage::retention::MOST_OF_TENANT, now)?;
            self.memory.make_room(id, 0);
        }
        usage::retention::bound(self.db, id)?;
        audit::daily::close(self.db, id, now)?;
        audit::daily::count_refused(self.db, id)?;
        audit::retention::sign_again(self.db, self.secrets, id)?;
        match self.policy.admin.audit_retention_days {
            Some(days) => {
                let before = now.plus(-i64::from(days) * DAY);
                audit::retention::cut(self.db, self.secrets, id, before, now)
            }
            None => Ok(()),
        }
    }
}
