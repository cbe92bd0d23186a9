//! One-time links by which somebody joins a tenant or sets a new password, in place of a password that an owner makes up.
//! Its token stands in the fragment of its URL, which reaches no server.

use keyward_core::{
    record::TenantStatus,
    sql::{self, SqlError},
    time::Span,
};
use serde_json::Value;

use crate::{
    audit::event::{Actor, AuditEvent},
    authorise::Act,
    context::RequestContext,
    email,
    error::{ApiError, Code},
    guard::Shown,
    handler::{HandlerError, HandlerResult},
    ids,
    input::{self, Input},
    members::{
        handlers::{note, require_own_word},
        invitation::{Invitation, NewInvitation, OPEN},
        member::{self, MemberRow},
        membership::Membership,
    },
    outcome::Outcome,
    password::rules as password,
    principal::{Member, Principal, Role, inactive},
    quotas::{self, Quota},
    sessions::{sign_in, token, token_sign_in},
    tenants::tenant::Tenant,
    to_json::object,
};

/// How long a link works.
const LIFE: Span = Span::from_hours(72);

/// Makes a link for somebody who joins, or for a member: what is audited of it, and the answer.
///
/// # Errors
/// CONFLICT if the address is in use, QUOTA_EXCEEDED, and what adding a member is refused with.
pub fn issue(
    context: &mut RequestContext<'_>,
    inviter: &Member,
    tenant: &Tenant,
    (email, role): (&str, Role),
    member_id: Option<&str>,
) -> Result<(String, Value, Value), HandlerError> {
    let old = "DELETE FROM invitations
        WHERE tenant_id = ? AND (expires_at <= ? OR email = ? AND member_id IS ?)";
    let values = [tenant.id.as_str().into(), context.now.into(), email.into(), member_id.into()];
    context.db.run(old, &values)?;
    if member_id.is_none() {
        member::require_free(context, email)?;
        let members = quotas::used(context.db, &tenant.id, Quota::Members, context.now)?;
        context.require_quota(tenant, Quota::Members, members, 1)?;
    }
    let token = token::new_invitation(context.secrets, context.entropy);
    let invitation = Invitation {
        id: ids::id("inv_", context.entropy),
        tenant_id: tenant.id.clone(),
        email: email.to_owned(),
        role,
        member_id: member_id.map(str::to_owned),
        created_at: context.now,
        expires_at: context.now + LIFE,
        inviter: inviter.actor(),
        created_by: inviter.id.clone(),
    };
    let hash = token::token_hash(&token);
    let new = NewInvitation { invitation: &invitation, hash: &hash };
    context.authorise(&Principal::from(inviter), new)?.store(context)?;
    let view = invitation.view();
    let origin = context.call.origin.as_deref().unwrap_or_default();
    let what = if member_id.is_some() { "reset" } else { "invitation" };
    let url = format!("{origin}{}/#{what}={token}", context.policy.admin.page);
    let answer = object!({ "invitation": view, "token": token, "url": url });
    Ok((invitation.id, view, answer))
}

fn require(context: &RequestContext<'_>, member: &Member) -> Result<(), ApiError> {
    Membership { tenant_id: &member.tenant.id, before: None, after: None, typed_in: None }
        .require(context, &Principal::from(member))
}

/// `POST /invitations`
pub fn create(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    require(context, member)?;
    let mut body = Input::body(&context.call.body, &["email", "role"])?;
    let email = body.required("email", email::chosen);
    let role = body.required("role", |value| input::one_of_enum(value, &Role::ALL));
    let (Some(email), Some(role)) = (email, role) else { return Err(body.refusal().into()) };
    body.finish()?;
    let (id, view, answer) = issue(context, member, &member.tenant, (&email, role), None)?;
    note(context, member, "invitation.create", &id, Value::Null, view)?;
    Ok(context.created(&format!("/invitations/{id}"), answer))
}

/// `POST /members/{id}/reset`
pub fn reset(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    require(context, member)?;
    context.require_passwords()?;
    Input::body(&context.call.body, &[])?.finish()?;
    let person = MemberRow::load(context.db, &member.tenant.id, id)?;
    let person = person.ok_or_else(|| ApiError::not_found("member"))?;
    if person.id == member.id {
        let detail = "This is your own account: change your password with `PATCH /members/{id}`.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    let of = (person.email.as_str(), person.role);
    let (invitation, view, answer) = issue(context, member, &member.tenant, of, Some(id))?;
    note(context, member, "member.reset", id, Value::Null, view)?;
    Ok(context.created(&format!("/invitations/{invitation}"), answer))
}

/// `GET /invitations`: those that may still be used, in the order they were made.
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let statement = format!("{OPEN} AND invitations.tenant_id = ? AND number > ? ORDER BY number LIMIT ?");
    let values = [context.now.into(), tenant_id.into()];
    let (rows, next) = context.read_page::<Invitation>("invitations", tenant_id, &statement, &values, 0)?;
    let rows: Vec<Value> = rows.iter().map(Invitation::view).collect();
    Ok(Outcome::ok(object!({ "invitations": rows, "nextCursor": next })))
}

/// `DELETE /invitations/{id}`: one of the tenant's, or that the member has made.
pub fn end(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    let one = format!("{OPEN} AND invitations.id = ? AND ? IN (invitations.tenant_id, inviter.tenant_id)");
    let values = [context.now.into(), id.into(), member.tenant.id.as_str().into()];
    let invitation = sql::query_one::<Invitation>(context.db, &one, &values)?;
    let invitation = invitation.ok_or_else(|| ApiError::not_found("invitation"))?;
    context.db.run("DELETE FROM invitations WHERE id = ?", &[id.into()])?;
    note(context, member, "invitation.delete", id, invitation.view(), Value::Null)?;
    Ok(Outcome::no_content())
}

/// Whether an owner of the operator's has made the link.
fn is_of_operator(context: &RequestContext<'_>, invitation: &Invitation) -> Result<bool, SqlError> {
    let Some(operator) = Tenant::operator(context.db)? else { return Ok(false) };
    Ok(MemberRow::load(context.db, &operator.id, &invitation.created_by)?.is_some())
}

/// `POST /invitations/accept`: whoever has the link becomes the member that it is for. Nothing slows whoever shows one that
/// works: its token is too long to be guessed.
pub fn accept(context: &mut RequestContext<'_>) -> HandlerResult {
    context.count_stranger()?;
    // With a token of the issuer in place of a password.
    let shown = context.call.token.as_ref();
    let mut body = Input::body(&context.call.body, &["token", "password", "idToken", "code", "state"])?;
    if shown.is_none() || body.has("idToken") {
        body.refuse_code();
    }
    if shown.is_none() {
        body.refuse_token("idToken");
    } else if body.has("password") {
        body.refuse("password", "cannot stand beside a token to sign in with");
    }
    let token = body.required("token", input::text);
    let chosen = if shown.is_some() {
        Some(None)
    } else {
        context.require_passwords()?;
        body.required("password", password::of_fit_length).map(Some)
    };
    let (Some(token), Some(chosen)) = (token, chosen) else { return Err(body.refusal().into()) };
    body.finish()?;
    let Some(invitation) = Invitation::with_token(context, &token)? else {
        let detail = "The link does not work (any more): it was used, it has expired, or it was ended. Ask an owner for \
                      another one.";
        return sign_in::refuse_token(context, None, detail);
    };
    let tenant_id = invitation.tenant_id.as_str();
    let tenant = Tenant::load(context.db, tenant_id)?.filter(|tenant| tenant.status == TenantStatus::Active);
    let tenant = tenant.ok_or_else(inactive)?;
    match &chosen {
        Some(chosen) => password::require_unguessable(chosen, &[&invitation.email, &tenant.name])?,
        None if invitation.member_id.is_some() => {
            return Err(ApiError::field("password", "is required: this link is for setting one").into());
        }
        None => {}
    }
    if chosen.is_some() && invitation.member_id.is_none() && !is_of_operator(context, &invitation)? {
        // Whoever has made the link has it, too.
        require_own_word(context, "Accept with a token of the address that was invited.")?;
    }
    let address = shown.and_then(|shown| shown.identity.as_ref()).and_then(token_sign_in::address);
    if shown.is_some() && address.as_ref() != Some(&invitation.email) {
        let detail = "The token to sign in with is not in order, or is not of the address that was invited.";
        return sign_in::refuse_token(context, address.as_deref(), detail);
    }
    let before = match &invitation.member_id {
        Some(id) => MemberRow::load(context.db, tenant_id, id)?,
        None => {
            member::require_free(context, &invitation.email)?;
            None
        }
    };
    let stored = context.set_password_if_any(chosen.as_ref())?;

    let person = match before.clone() {
        Some(person) => MemberRow { password: stored, ..person },
        None => member::new(context, tenant_id, &invitation.email, invitation.role, &stored),
    };
    let becomes = Membership { tenant_id, before: before.as_ref(), after: Some(&person), typed_in: None };
    context.authorise_by(&Shown::Invitation(&invitation), becomes)?.store(context)?;
    context.audit(&AuditEvent {
        tenant_id,
        actor: &Actor::member(&person.id, &person.email),
        action: "invitation.accept",
        target: &person.id,
        before: Value::Null,
        after: invitation.view(),
    })?;
    let answer = object!({ "member": person.shown() });
    Ok(match before {
        Some(_) => Outcome::ok(answer),
        None => context.created(&format!("/members/{}", person.id), answer),
    })
}
