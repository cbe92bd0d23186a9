//! Signing in and out, and typing the password again.

use keyward_core::{
    network,
    record::TenantStatus,
    secret::Secret,
    time::{Span, Timestamp},
};
use serde_json::Value;

use crate::{
    audit::{
        daily::{self, Kind},
        event::{Actor, AuditEvent},
    },
    context::RequestContext,
    email,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    input::Input,
    members::member::MemberRow,
    metrics::counters::{self, What},
    outcome::Outcome,
    passkeys::{shown::Shown, sign_in as passkeys},
    password::{check::Verdict, rules as password},
    principal::{Member, Role, inactive, unauthenticated},
    rows,
    sessions::{
        cookie::{clear_cookie, set_cookie},
        store,
        token::{new_token, token_hash},
    },
    tenants::tenant::Tenant,
    to_json::object,
};

/// How long a session lasts.
const LIFE: Span = Span::from_hours(12);

/// `POST /session`: signs in with a password. Where a network calls too often, only who is known there is looked at.
pub fn sign_in(context: &mut RequestContext<'_>) -> HandlerResult {
    context.require_passwords()?;
    let counted = context.count_stranger();
    let rate_limited = context.state.rate_limited.clone().or(counted.err());
    let (email, typed) = match (read_credentials(&context.call.body), &rate_limited) {
        (Err(_), Some(rate_limited)) => return Err(rate_limited.clone().into()),
        (Ok(Credentials::Passkey(shown)), _) => {
            return match passkeys::sign_in(context, &shown, rate_limited.as_ref())? {
                Ok((person, by)) => open(context, &person, context.now, by),
                Err(failure) => refuse_passkey(context, failure, None),
            };
        }
        (Ok(Credentials::Password(email, typed)), _) => (email, typed),
        (Err(refusal), None) => return Err(refusal.into()),
    };
    let person = MemberRow::by_email(context.db, &email)?;
    let refusal = match (context.check_sign_in(&email, &typed, person.as_ref(), rate_limited)?, &person) {
        (Verdict::Right, Some(person)) => return open(context, person, context.now, Value::Null),
        (Verdict::Throttled(refusal), _) => refusal,
        (Verdict::Right | Verdict::Wrong, _) => {
            ApiError::new(Code::InvalidCredentials, "The e-mail address or the password is wrong.")
        }
    };
    note_failure(context, person.as_ref(), Some(&email), Value::Null)?;
    Err(refusal.into())
}

/// What somebody signs in with.
enum Credentials {
    Password(String, Secret),
    Passkey(Shown),
}

fn read_credentials(body: &str) -> Result<Credentials, ApiError> {
    let mut body = Input::body(body, &["email", "password", "passkey", "token", "code", "state"])?;
    if body.has("passkey") {
        return read_passkey(body, &["email", "password", "token", "code", "state"])
            .map(Credentials::Passkey);
    }
    body.refuse_token("token");
    body.refuse_code();
    let email = body.required("email", email::typed);
    let typed = body.required("password", password::typed);
    let (Some(email), Some(typed)) = (email, typed) else { return Err(body.refusal()) };
    body.finish()?;
    Ok(Credentials::Password(email, typed))
}

/// The passkey in a body, in place of these fields.
fn read_passkey(mut body: Input, instead_of: &[&str]) -> Result<Shown, ApiError> {
    for field in instead_of {
        if body.has(field) {
            body.refuse(field, "cannot stand beside `passkey`");
        }
    }
    let Some(shown) = body.required("passkey", Shown::read) else { return Err(body.refusal()) };
    body.finish().map(|()| shown)
}

/// Begins a session of somebody who has shown the password, or something instead (`by`), or showed an issuer at this time who it is.
pub(super) fn open(
    context: &mut RequestContext<'_>,
    person: &MemberRow,
    shown_at: Timestamp,
    by: Value,
) -> HandlerResult {
    let tenant =
        Tenant::load(context.db, &person.tenant_id)?.filter(|tenant| tenant.status == TenantStatus::Active);
    let Some(tenant) = tenant else { return Err(inactive().into()) };

    context.remember_network(&person.id)?;
    let token = new_token(context.secrets, context.entropy);
    let expires_at = context.now + LIFE;
    context.db.run("DELETE FROM sessions WHERE expires_at <= ?", &[context.now.into()])?;
    store::bound(context, &person.id)?;
    let columns = [
        ("hash", token_hash(&token).into()),
        ("tenant_id", person.tenant_id.as_str().into()),
        ("member_id", person.id.as_str().into()),
        ("created_at", shown_at.into()),
        ("expires_at", expires_at.into()),
        ("seen_at", context.now.into()),
        ("network", network::of(&context.call.address).into()),
        ("agent", context.call.agent.clone().into()),
    ];
    rows::insert(context.db, "sessions", &columns)?;
    note(
        context,
        &person.tenant_id,
        &Actor::member(&person.id, &person.email),
        "session.create",
        &person.id,
        by,
    )?;
    store::see_member(context, &person.id)?;
    let cookie = set_cookie(&token, LIFE);
    let member = view(&person.id, &person.email, person.role, &tenant);
    let body = object!({ "token": token, "expiresAt": expires_at.to_rfc3339(), "member": member });
    Ok(context.created("/session", body).header("Set-Cookie", cookie))
}

/// Who is signed in. `operator`: whether it may manage tenants.
fn view(id: &str, email: &str, role: Role, tenant: &Tenant) -> Value {
    object!({
        "id": id,
        "email": email,
        "role": role,
        "tenantId": tenant.id,
        "operator": tenant.operator && role == Role::Owner,
    })
}

/// `GET /session`: who am I.
pub fn show(_: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    Ok(Outcome::ok(object!({
        "member": view(&member.id, &member.email, member.role, &member.tenant),
        "tenant": object!({ "id": member.tenant.id, "name": member.tenant.name }),
        "expiresAt": member.expires_at.to_rfc3339(),
        "steppedUpUntil": member.stepped_up_until().map(Timestamp::to_rfc3339),
    })))
}

/// `DELETE /session`: signs out.
pub fn sign_out(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    context.db.run("DELETE FROM sessions WHERE hash = ?", &[member.session.as_str().into()])?;
    note(context, &member.tenant.id, &member.actor(), "session.delete", &member.id, Value::Null)?;
    Ok(Outcome::no_content().header("Set-Cookie", clear_cookie()))
}

/// `POST /session/step-up`: opens five minutes.
pub fn step_up(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    context.require_passwords()?;
    let mut body = Input::body(&context.call.body, &["password", "passkey", "token", "code", "state"])?;
    let by = if body.has("passkey") {
        let shown = read_passkey(body, &["password", "token", "code", "state"])?;
        match passkeys::step_up(context, &shown, member)? {
            Ok(by) => by,
            Err(failure) => return refuse_passkey(context, failure, Some(&member.email)),
        }
    } else {
        body.refuse_token("token");
        body.refuse_code();
        let typed = body.required("password", password::typed);
        let Some(typed) = typed else { return Err(body.refusal().into()) };
        body.finish()?;
        check_password(context, member, &typed)?;
        Value::Null
    };
    stepped_up(context, member, by)
}

/// Opens five minutes for a member who has shown the password, or something instead (`by`).
pub(super) fn stepped_up(context: &RequestContext<'_>, member: &Member, by: Value) -> HandlerResult {
    let values = [context.now.into(), member.session.as_str().into()];
    context.db.run("UPDATE sessions SET stepped_up_at = ? WHERE hash = ?", &values)?;
    note(context, &member.tenant.id, &member.actor(), "session.stepUp", &member.id, by)?;
    Ok(Outcome::no_content())
}

fn refuse_passkey(
    context: &RequestContext<'_>,
    (person, why, refusal): passkeys::Failure,
    email: Option<&str>,
) -> HandlerResult {
    note_failure(context, person.as_ref(), email, why)?;
    Err(refusal.into())
}

fn check_password(
    context: &mut RequestContext<'_>,
    member: &Member,
    typed: &Secret,
) -> Result<(), HandlerError> {
    let person = MemberRow::load(context.db, &member.tenant.id, &member.id)?.ok_or_else(unauthenticated)?;
    if context.check_in_session(member, typed, &person)? {
        return Ok(());
    }
    note_failure(context, Some(&person), Some(&member.email), Value::Null)?;
    Err(ApiError::new(Code::InvalidCredentials, "The password is wrong.").into())
}

/// Refuses a token that is to be shown instead of a password, and counts that as a failure to sign in.
///
/// # Errors
/// INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS
pub fn refuse_token(context: &RequestContext<'_>, email: Option<&str>, detail: &str) -> HandlerResult {
    let refusal = context.count_wrong_token(detail)?;
    note_failure(context, None, email, Value::Null)?;
    Err(refusal.into())
}

/// Audits a failed attempt: in the chain of whom it was aimed at, or, not too often, the operator's. `what` is known of it beside.
pub(super) fn note_failure(
    context: &RequestContext<'_>,
    person: Option<&MemberRow>,
    email: Option<&str>,
    what: Value,
) -> Result<(), HandlerError> {
    counters::add(context.db, (What::SignIn, "", ""), 1, context.now)?;
    let actor = Actor::unknown(email);
    if let Some(person) = person {
        return note(context, &person.tenant_id, &actor, "session.refused", &person.id, what);
    }
    let Some(Tenant { id, .. }) = Tenant::operator(context.db)? else { return Ok(()) };
    if context.may_note_stranger()? {
        return note(context, &id, &actor, "session.refused", "", what);
    }
    Ok(daily::leave_out(context.db, &id, Kind::Strangers, context.now)?)
}

fn note(
    context: &RequestContext<'_>,
    tenant_id: &str,
    actor: &Actor,
    action: &'static str,
    target: &str,
    after: Value,
) -> Result<(), HandlerError> {
    Ok(context.audit(&AuditEvent { tenant_id, actor, action, target, before: Value::Null, after })?)
}
