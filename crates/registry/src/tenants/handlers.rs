//! The calls that list and change tenants. A change of one concerns each of its keys, whose records carry what a
//! decision needs of the tenant.

use keyward_core::record::TenantStatus;
use serde_json::Value;

use crate::{
    audit::{daily::Kind, event::AuditEvent, short},
    authorise::Act,
    context::RequestContext,
    effect::Effect,
    email,
    error::ApiError,
    freshness::Freshness,
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    members::{
        invitations,
        member::{self, MemberRow},
        membership::Membership,
    },
    outbox,
    outcome::Outcome,
    principal::{self, Principal, Role},
    quotas, storage,
    tenants::{
        fields::{code, name, owner, plan, refuse_taken},
        store::{Revision, insert},
        tenant::{COLUMNS, Tenant, TenantPlan},
    },
    to_json::object,
};

const FIELDS: [&str; 7] = ["name", "code", "status", "plan", "rateLimit", "pool", "quotas"];

/// `GET /tenants`: in the order they were made.
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let statement =
        format!("SELECT rowid AS position, {COLUMNS} FROM tenants WHERE rowid > ? ORDER BY rowid LIMIT ?");
    let (rows, next) = context.read_page::<Tenant>("tenants", principal.tenant_id(), &statement, &[], 0)?;
    let tenants: Vec<Value> = rows.iter().map(Tenant::view).collect();
    Ok(Outcome::ok(object!({ "tenants": tenants, "nextCursor": next })))
}

/// `GET /tenants/{id}`
pub fn show(context: &mut RequestContext<'_>, _: &Principal, id: &str) -> HandlerResult {
    let tenant = Tenant::load(context.db, id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    Ok(Outcome::ok(object!({
        "tenant": tenant.view(),
        "quotas": quotas::view(context, &tenant)?,
        "storage": storage::view(context.db, context.policy)?,
    })))
}

/// The first owner of a tenant.
fn joins<'a>(tenant_id: &'a str, after: Option<&'a MemberRow>) -> Membership<'a> {
    Membership { tenant_id, before: None, after, typed_in: None }
}

/// `POST /tenants`, with its first owner if one is named.
pub fn add(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let mut body = Input::body(&context.call.body, &["name", "code", "plan", "rateLimit", "pool", "owner"])?;
    let name = body.required("name", name);
    let code = body.optional("code", code);
    refuse_taken(&mut body, context, code.as_deref())?;
    let plan = plan(&mut body, context, TenantPlan::default());
    let has_passwords = context.policy.admin.has_passwords();
    let tenant_name = name.as_deref().unwrap_or_default().to_owned();
    let owner = body.optional("owner", |value| owner(value, &tenant_name, has_passwords));
    if owner.is_some() && matches!(principal, Principal::SetUp(_)) {
        body.refuse("owner", "cannot be made before the operator's own: do the set-up first");
    }
    let Some(name) = name else { return Err(body.refusal().into()) };
    body.finish()?;
    let owner = match owner {
        Some((email, password)) => {
            joins("", None).require(context, principal)?;
            if password.is_some() {
                context.require_passwords()?;
            }
            member::require_free(context, &email)?;
            Some((email, context.set_password_if_any(password.as_ref())?))
        }
        None => None,
    };

    let id = insert(context, &name, code, false, &plan)?;
    let person = match owner {
        Some((email, stored)) => {
            let person = member::new(context, &id, &email, Role::Owner, &stored);
            context.authorise(principal, joins(&id, Some(&person)))?.store(context)?;
            Some(person)
        }
        None => None,
    };
    let tenant = Tenant::load(context.db, &id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let view = tenant.view();
    note(context, principal, &id, "tenant.create", &id, (&Value::Null, &view))?;
    let mut answer = object!({ "tenant": view });
    if let (Some(person), Some(answer)) = (person, answer.as_object_mut()) {
        note(context, principal, &id, "member.create", &person.id, (&Value::Null, &person.view()))?;
        answer.insert("owner".to_owned(), person.shown());
    }
    Ok(context.created(&format!("/tenants/{id}"), answer).publish(outbox::untold_pool(context, &tenant)?))
}

/// `POST /tenants/{id}/owners`: a link with which one more owner joins it.
pub fn add_owner(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    joins(id, None).require(context, principal)?;
    let Principal::Member(member) = principal else { return Err(principal::unauthenticated().into()) };
    let mut body = Input::body(&context.call.body, &["email"])?;
    let email = body.required("email", email::chosen);
    let Some(email) = email else { return Err(body.refusal().into()) };
    body.finish()?;
    let tenant = Tenant::load(context.db, id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let (link, view, answer) = invitations::issue(context, member, &tenant, (&email, Role::Owner), None)?;
    note(context, principal, id, "invitation.create", &link, (&Value::Null, &view))?;
    Ok(context.created(&format!("/invitations/{link}"), answer))
}

/// `DELETE /tenants/{id}/sessions`: all of the tenant's people are signed out, but for the session that asks.
pub fn end_sessions(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let tenant = Tenant::load(context.db, id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let own = if let Principal::Member(member) = principal { member.session.as_str() } else { "" };
    let end =
        "DELETE FROM sessions WHERE member_id IN (SELECT id FROM members WHERE tenant_id = ?) AND hash <> ?
        RETURNING 1";
    let ended = context.db.run(end, &[id.into(), own.into()])?.len();
    if ended > 0 {
        let before = object!({ "sessions": ended });
        note(context, principal, &tenant.id, "tenant.endSessions", id, (&before, &Value::Null))?;
    }
    Ok(Outcome::no_content())
}

/// `PATCH /tenants/{id}`
pub fn edit(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let old = Tenant::load(context.db, id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let mut body = Input::body(&context.call.body, &FIELDS)?;
    let mut new = old.clone();
    new.name = body.present("name", name).unwrap_or(new.name);
    if let Some(code) = body.present("code", code).filter(|code| old.code.as_ref() != Some(code)) {
        if old.code.is_some() {
            body.refuse("code", "cannot be changed: keys and hosts carry it");
        }
        refuse_taken(&mut body, context, Some(&code))?;
        new.code = Some(code);
    }
    new.status =
        body.present("status", |value| input::one_of_enum(value, &TenantStatus::ALL)).unwrap_or(new.status);
    new.plan = plan(&mut body, context, new.plan);
    if let Some(own) = body.nullable("quotas", |value| quotas::read(value, &old.quotas)) {
        new.quotas = own.unwrap_or_default();
    }
    if old.operator && new.status == TenantStatus::Inactive {
        body.refuse("status", "cannot be INACTIVE for the operator's own tenant: nobody could undo it");
    }
    body.finish()?;

    let (before, after) = short::difference(&old.view(), &new.view());
    if before != after {
        new.updated_at = context.now;
        context.authorise(principal, Revision { old: &old, new: &new })?.store(context)?;
        if (old.status, &old.plan, &old.code) != (new.status, &new.plan, &new.code) {
            outbox::enqueue_tenant(context.db, id, context.now)?;
        }
        note(context, principal, id, "tenant.edit", id, (&before, &after))?;
    }
    let untold = outbox::untold_pool(context, &new)?.into_iter().chain(outbox::untold(context.db, id)?);
    let answer = Outcome::ok(object!({ "tenant": new.view() })).publish(untold);
    Ok(answer.allow_partial().promise("", "effectiveEverywhereBy", Freshness::of_all(context.policy), None))
}

/// In the operator's chain and in the tenant's own: both may read what happened. No chain is too full for it, but while
/// the operator's is, it takes a limited number a day.
fn note(
    context: &RequestContext<'_>,
    principal: &Principal,
    tenant_id: &str,
    action: &'static str,
    target: &str,
    (before, after): (&Value, &Value),
) -> Result<(), HandlerError> {
    if !context.is_admitted(principal.tenant_id(), Kind::Tenants)? {
        let operator = Tenant::load(context.db, principal.tenant_id())?;
        context.require_audit(operator.as_ref().unwrap_or(principal.tenant()), Effect::Grows)?;
    }
    let actor = principal.actor();
    let mut chains = vec![principal.tenant_id(), tenant_id];
    chains.dedup();
    for tenant_id in chains {
        context.audit(&AuditEvent {
            tenant_id,
            actor: &actor,
            action,
            target,
            before: before.clone(),
            after: after.clone(),
        })?;
    }
    Ok(())
}
