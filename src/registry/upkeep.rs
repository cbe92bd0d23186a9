//! What is done a little at a time, after calls and reports: usage is rolled up, the audit is cut where the policy says
//! so, and the ballast is put back. One turn of it is bounded, and there is one for each call that may add something.

use serde::Deserialize;

use crate::{
    policy::Policy,
    registry::{audit, memory::Memory, room, usage},
    secret::Secrets,
    sql::{self, Sql, SqlError},
    time::{DAY, Timestamp},
};

/// It, over one database.
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
        let kept = sql::transaction(self.db, || {
            usage::retention::roll_up(self.db, now)?;
            self.look_after_a_tenant(now)
        });
        // By itself: on a full database the rest is to be done nevertheless.
        kept.and(sql::transaction(self.db, || room::restore_ballast(self.db, self.policy)))
    }

    /// The next tenant's audit, in the order in which tenants were made, and from the first again.
    fn look_after_a_tenant(&self, now: Timestamp) -> Result<(), SqlError> {
        #[derive(Deserialize)]
        struct Row {
            position: i64,
            id: String,
        }
        let next = "SELECT rowid AS position, id FROM tenants WHERE rowid > ? ORDER BY rowid LIMIT 1";
        let next = sql::query_one::<Row>(self.db, next, &[self.memory.looked_after.get().into()])?;
        self.memory.looked_after.set(next.as_ref().map_or(0, |row| row.position));
        let Some(Row { id, .. }) = next else { return Ok(()) };
        audit::retention::sign_again(self.db, self.secrets, &id)?;
        match self.policy.admin.audit_retention_days {
            Some(days) => {
                let before = now.plus(-i64::from(days) * DAY);
                audit::retention::cut(self.db, self.secrets, &id, before, now)
            }
            None => Ok(()),
        }
    }
}
