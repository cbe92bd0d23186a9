//! Which events are written down. Of those that anybody or any member can cause at will, failed attempts to sign in and
//! sessions, a day has a limit.

use keyward_core::sql::SqlError;

use super::{
    daily::{self, Kind},
    event::{AuditEvent, REFUSED},
    retention::entries,
};
use crate::{context::RequestContext, effect::Effect, quotas::Quota, storage, tenants::tenant::Tenant};

/// How the names of all that happens to sessions begin.
const OF_SESSIONS: &str = "session.";

impl RequestContext<'_> {
    /// Appends to the tenant's chain. Failed attempts to sign in have a daily limit, and need room in the database;
    /// sessions have a daily limit for each member, and while the chain is full one for all members together.
    pub fn audit(&self, event: &AuditEvent<'_>) -> Result<(), SqlError> {
        let AuditEvent { tenant_id, action, target, actor, .. } = *event;
        let written = if action == REFUSED {
            let person = Some(target).filter(|id| !id.is_empty());
            if storage::has_space(self.db, self.policy)? {
                daily::admit_refused(self.db, tenant_id, person, self.now)?
            } else {
                let kind = if person.is_some() { Kind::People } else { Kind::Strangers };
                daily::leave_out(self.db, tenant_id, kind, self.now)?;
                false
            }
        } else if action.starts_with(OF_SESSIONS) {
            let member = actor.id.as_deref().unwrap_or_default();
            daily::admit_session(self.db, tenant_id, member, self.now)?
                && self.is_admitted(tenant_id, Kind::Sessions)?
        } else {
            true
        };
        if written { self.audit_log().append(event) } else { Ok(()) }
    }

    /// Whether an entry of what is never refused may be written: while the tenant's audit is not full, and then so
    /// many a day.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn is_admitted(&self, tenant_id: &str, kind: Kind) -> Result<bool, SqlError> {
        let Some(tenant) = Tenant::load(self.db, tenant_id)? else { return Ok(true) };
        let limit = Quota::AuditEntries.limit(&tenant, self.policy);
        let bound = Effect::Repeats.audit_entries(limit).unwrap_or(limit);
        Ok(entries(self.db, tenant_id)? < bound || daily::admit(self.db, tenant_id, kind, self.now)?)
    }
}
