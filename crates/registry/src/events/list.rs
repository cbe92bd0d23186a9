//! Events and endpoints in the admin API.

use keyward_core::sql;

use super::{
    body::{COLUMNS, Event},
    endpoints,
    queue::Queue,
};
use crate::{
    audit::event::AuditEvent,
    context::RequestContext,
    error::ApiError,
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    outcome::Outcome,
    principal::{Principal, Right},
    to_json::object,
};

const MOST_ROWS: u32 = 100;
const USUAL_ROWS: u32 = 50;

/// `GET /events`: oldest first, after an event. Whoever manages tenants sees those of all, everybody else those of their own.
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut query = Input::query(&context.call.query, &["after", "limit"]);
    let after = query.optional("after", event_id);
    let limit = query.optional("limit", |value| input::whole_text(value, 1, MOST_ROWS)).unwrap_or(USUAL_ROWS);
    query.finish()?;
    let of = if principal.require(Right::Tenants).is_ok() { None } else { Some(principal.tenant_id()) };
    let after = after.map(|id| number(context, &id, of)).transpose()?.unwrap_or_default();
    let rows = match of {
        Some(tenant_id) => {
            let of_tenant = format!(
                "SELECT {COLUMNS} FROM events WHERE tenant_id = ? AND number > ? ORDER BY number LIMIT ?"
            );
            sql::query::<Event>(
                context.db,
                &of_tenant,
                &[tenant_id.into(), after.into(), (limit + 1).into()],
            )?
        }
        None => {
            let all = format!("SELECT {COLUMNS} FROM events WHERE number > ? ORDER BY number LIMIT ?");
            sql::query::<Event>(context.db, &all, &[after.into(), (limit + 1).into()])?
        }
    };
    let mut shown = rows.iter().take(limit as usize);
    let events: Vec<_> = shown.clone().map(Event::view).collect();
    let next = shown.next_back().filter(|_| rows.len() > limit as usize).map(|event| event.id.clone());
    Ok(Outcome::ok(object!({ "events": events, "nextAfter": next })))
}

/// `GET /events/endpoints`
pub fn endpoints(context: &mut RequestContext<'_>, _: &Principal, _: &str) -> HandlerResult {
    let endpoints = endpoints::list(context.db)?;
    let views: Vec<_> = endpoints.iter().map(|endpoint| endpoint.view(context.policy)).collect();
    Ok(Outcome::ok(object!({ "endpoints": views })))
}

/// `POST /events/endpoints/{name}/replay`: what is kept is sent there once more, from after an event on.
pub fn replay(context: &mut RequestContext<'_>, principal: &Principal, name: &str) -> HandlerResult {
    let mut body = Input::body(&context.call.body, &["after"])?;
    let after = body.optional("after", event_id);
    body.finish()?;
    let endpoint = context.policy.admin.events.iter().find(|endpoint| endpoint.name == name);
    let endpoint = endpoint.ok_or_else(|| ApiError::not_found("endpoint"))?;
    let from = after.as_ref().map(|id| number(context, id, None)).transpose()?.unwrap_or_default();
    Queue { db: context.db, endpoint }.replay(from)?;
    context.audit(&AuditEvent {
        tenant_id: principal.tenant_id(),
        actor: &principal.actor(),
        action: "events.replay",
        target: name,
        before: serde_json::Value::Null,
        after: object!({ "after": after }),
    })?;
    let all = endpoints::list(context.db)?;
    let view =
        all.iter().find(|endpoint| endpoint.name == name).map(|endpoint| endpoint.view(context.policy));
    Ok(Outcome::ok(object!({ "endpoint": view })))
}

fn event_id(value: &serde_json::Value) -> Result<String, input::FieldErrors> {
    match value {
        serde_json::Value::String(id) if id.starts_with("evt_") => Ok(id.clone()),
        _ => input::invalid("is not the id of an event"),
    }
}

/// The place of an event, of this tenant or any.
fn number(context: &RequestContext<'_>, id: &str, of: Option<&str>) -> Result<i64, HandlerError> {
    let place = "SELECT number FROM events WHERE id = ?1 AND tenant_id = COALESCE(?2, tenant_id)";
    let number = sql::scalar::<i64>(context.db, place, &[id.into(), of.map(str::to_owned).into()])?;
    Ok(number.ok_or_else(|| {
        ApiError::field("after", "is not the id of an event that is kept: begin without it")
    })?)
}
