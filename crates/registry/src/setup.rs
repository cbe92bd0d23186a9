//! Set-up: the operator's tenant and its first owner.

use keyward_core::secret::Secret;
use serde_json::Value;

use crate::{
    audit::event::{Actor, AuditEvent},
    context::RequestContext,
    email,
    error::{ApiError, Code},
    handler::HandlerResult,
    input::{self, Input},
    members::{member as members, membership::Membership},
    outcome::Outcome,
    password::rules as password,
    principal::{Principal, Role},
    setup_token::is_setup_token,
    tenants::{store as tenants, tenant::Tenant},
    to_json::object,
};

/// `GET /setup`: whether the first owner is still to be made.
pub fn show(context: &mut RequestContext<'_>) -> HandlerResult {
    context.count_stranger()?;
    Ok(Outcome::ok(object!({ "open": !members::exist(context.db)? })))
}

/// `POST /setup`: makes the operator's tenant and its first owner, once.
pub fn set_up(context: &mut RequestContext<'_>) -> HandlerResult {
    if members::exist(context.db)? {
        return Err(
            ApiError::new(Code::AlreadySetUp, "The first owner was made before. Sign in instead.").into()
        );
    }
    let mut body = Input::body(&context.call.body, &["token", "email", "password"])?;
    let token = body.required("token", input::text).map(Secret::new);
    let email = body.required("email", email::chosen);
    let chosen = context.read_password(&mut body, password::of_fit_length)?;
    let (Some(token), Some(email), Some(chosen)) = (token, email, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;

    // Nobody who fails here makes anybody else wait: the token is too long to be guessed at any pace.
    if !is_setup_token(context, token.expose())? {
        return Err(ApiError::new(Code::InvalidCredentials, "The set-up token is wrong.").into());
    }
    if let Some(chosen) = &chosen {
        password::require_unguessable(chosen, &[&email])?;
    }
    let stored = context.set_password_if_any(chosen.as_ref())?;

    let tenant_id = tenants::operator_id(context)?;
    let tenant = Tenant::load(context.db, &tenant_id)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let person = members::new(context, &tenant_id, &email, Role::Owner, &stored);
    let joins = Membership { tenant_id: &tenant_id, before: None, after: Some(&person), typed_in: None };
    context.authorise(&Principal::SetUp(tenant), joins)?.store(context)?;
    context.audit(&AuditEvent {
        tenant_id: &tenant_id,
        actor: &Actor::member(&person.id, &person.email),
        action: "setup",
        target: &person.id,
        before: Value::Null,
        after: person.view(),
    })?;
    Ok(context.created(&format!("/members/{}", person.id), object!({ "member": person.shown() })))
}
