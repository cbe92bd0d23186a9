//! Keys of the policy that were found in public. Only the policy can end one, so the operator is told: in the audit, and by an event.

use keyward_core::sql::Value as Bound;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::noted::{LEAKED, is_new};
use crate::{
    audit::event::{Actor, AuditEvent},
    context::RequestContext,
    handler::HandlerError,
    tenants::tenant::Tenant,
    to_json::object,
};

/// A key of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The id of its realm.
    pub realm: String,
    /// Its id in it.
    pub id: String,
}

/// Tells that it was found at this place, once.
///
/// # Errors
/// What SQLite says.
pub fn tell(context: &RequestContext<'_>, key: &Configured, url: &str) -> Result<(), HandlerError> {
    let Some(operator) = Tenant::operator(context.db)? else { return Ok(()) };
    let Configured { realm, id } = key;
    let target = format!("{realm}/{id}");
    if !is_new(context, [&operator.id, &target], url)? {
        return Ok(());
    }
    context.audit(&AuditEvent {
        tenant_id: &operator.id,
        actor: &Actor::scanner(),
        action: LEAKED,
        target: &target,
        before: Value::Null,
        after: object!({ "status": "CONFIGURED", "url": url }),
    })?;
    let event = "INSERT INTO events (type, tenant_id, subject, at, data)
        SELECT 'key.leaked', ?1, ?2, ?3, json_object(
            'keyId', ?4, 'tenantId', ?1, 'realm', ?5, 'name', ?4, 'configured', json('true'))
        WHERE EXISTS (SELECT 1 FROM event_endpoints)";
    let values: [Bound; 5] = [
        operator.id.as_str().into(),
        target.as_str().into(),
        context.now.into(),
        id.as_str().into(),
        realm.as_str().into(),
    ];
    context.db.run(event, &values)?;
    Ok(())
}
