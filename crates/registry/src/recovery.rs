//! The way back in for the operator whose last owner has lost the password: a secret of the deployment, each value of which
//! works once.

use keyward_core::secret::Secret;
use serde_json::Value;

use crate::{
    audit::event::{Actor, AuditEvent},
    context::RequestContext,
    email,
    error::{ApiError, Code},
    guard::Shown,
    handler::HandlerResult,
    input::{self, Input},
    members::{
        member::{self, MemberRow},
        membership::Membership,
    },
    outcome::Outcome,
    password::rules as password,
    principal::Role,
    rows,
    sessions::{sign_in, token},
    setup_token::is_recovery_token,
    tenants::tenant::Tenant,
    to_json::object,
};

/// `POST /recover`: gives an owner of the operator's tenant another password, or makes one.
pub fn recover(context: &mut RequestContext<'_>) -> HandlerResult {
    context.count_stranger()?;
    let mut body = Input::body(&context.call.body, &["token", "email", "password"])?;
    let token = body.required("token", input::text).map(Secret::new);
    let address = body.required("email", email::typed);
    let chosen = context.read_password(&mut body, password::of_fit_length)?;
    let (Some(token), Some(address), Some(chosen)) = (token, address, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;
    if !is_recovery_token(context, token.expose())? {
        return sign_in::refuse_token(context, Some(&address), "The recovery token is wrong.");
    }
    let hash = token::token_hash(token.expose());
    let used = "SELECT 1 FROM recoveries WHERE hash = ?";
    if !context.db.run(used, &[hash.as_str().into()])?.is_empty() {
        let detail = "This recovery token was used before, and each works once: set KEYWARD_RECOVERY_TOKEN to another one.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    let tenant = if member::exist(context.db)? { Tenant::operator(context.db)? } else { None };
    let Some(tenant) = tenant else {
        let detail = "Nobody has set this deployment up yet: make the first owner with `POST /setup`.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    };
    let before = MemberRow::by_email(context.db, &address)?;
    match &before {
        Some(person) if person.tenant_id != tenant.id => {
            let detail = "This e-mail address cannot be an owner's of the operator's tenant: it is in use in another one.";
            return Err(ApiError::new(Code::Conflict, detail).into());
        }
        Some(_) => {}
        // A new one has to be of the plain form.
        None => {
            let mut body = Input::body(&context.call.body, &["token", "email", "password"])?;
            body.required("email", email::chosen);
            body.finish()?;
        }
    }
    if let Some(chosen) = &chosen {
        password::require_unguessable(chosen, &[&address, &tenant.name])?;
    }
    let stored = context.set_password_if_any(chosen.as_ref())?;

    let is_new = before.is_none();
    let person = match before.clone() {
        Some(person) => MemberRow { password: stored, role: Role::Owner, ..person },
        None => member::new(context, &tenant.id, &address, Role::Owner, &stored),
    };
    let becomes =
        Membership { tenant_id: &tenant.id, before: before.as_ref(), after: Some(&person), typed_in: None };
    context.authorise_by(&Shown::RecoveryToken(&tenant), becomes)?.store(context)?;
    rows::insert(context.db, "recoveries", &[("hash", hash.into()), ("used_at", context.now.into())])?;
    context.audit(&AuditEvent {
        tenant_id: &tenant.id,
        actor: &Actor::recovery(),
        action: "recovery",
        target: &person.id,
        before: before.map_or(Value::Null, |person| person.view()),
        after: person.view(),
    })?;
    let path = format!("/members/{}", person.id);
    let answer = object!({ "member": person.shown() });
    Ok(if is_new { context.created(&path, answer) } else { Outcome::ok(answer) })
}
