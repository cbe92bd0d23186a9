//! The calls that list and change members.

use keyward_core::sql::{self, SqlError};
use serde_json::Value;

use crate::{
    audit::{event::AuditEvent, short},
    authorise::Act,
    context::RequestContext,
    cursor::{PARAMETERS, Positioned},
    email,
    enum_text::text_of,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    input::{self, Input},
    members::{
        member::{self, COLUMNS, MemberRow},
        membership::Membership,
    },
    outcome::Outcome,
    password::rules as password,
    principal::{Member, Principal, Role},
    quotas::{self, Quota},
    to_json::object,
};

/// Most characters of what is looked for in addresses.
const LONGEST_SEARCH: usize = 254;

/// `GET /members`: in the order they were added.
pub fn list(context: &mut RequestContext<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let mut query = Input::query(&context.call.query, &[&PARAMETERS[..], &["q"]].concat());
    let page = context.page("members", tenant_id, &mut query);
    let forms = query.optional("q", |value| input::search(value, LONGEST_SEARCH)).unwrap_or_default();
    query.finish()?;
    // Addresses are kept in lower case: the first form is what they are compared with.
    let text = forms.into_iter().next().unwrap_or_default();
    let statement = format!(
        "SELECT rowid AS position, {COLUMNS} FROM members
        WHERE tenant_id = ? AND rowid > ? AND instr(email, ?) ORDER BY rowid LIMIT ?"
    );
    let values =
        [tenant_id.into(), page.after_number().unwrap_or_default().into(), text.into(), page.rows().into()];
    let rows = sql::query::<Positioned<MemberRow>>(context.db, &statement, &values)?;
    let (rows, next) = page.cut(context.secrets, rows, |row| row.position.into());
    let members: Vec<Value> = rows.iter().map(|row| row.row.shown()).collect();
    Ok(Outcome::ok(object!({ "members": members, "nextCursor": next })))
}

/// `GET /members/{id}`
pub fn show(context: &mut RequestContext<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let person = MemberRow::load(context.db, principal.tenant_id(), id)?;
    let person = person.ok_or_else(|| ApiError::not_found("member"))?;
    Ok(Outcome::ok(object!({ "member": person.shown() })))
}

/// `POST /members`
pub fn add(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let joins = |after| Membership { tenant_id: &tenant.id, before: None, after, typed_in: None };
    joins(None).require(context, &principal)?;
    if !tenant.operator {
        require_own_word(
            context,
            "Invite them with `POST /invitations`: they accept with a token of their own.",
        )?;
    }
    let mut body = Input::body(&context.call.body, &["email", "role", "password"])?;
    let address = body.required("email", email::chosen);
    let role = body.required("role", |value| input::one_of_enum(value, &Role::ALL));
    let account = [address.as_deref().unwrap_or_default(), &tenant.name];
    let chosen = context.read_password(&mut body, |value| password::chosen(value, &account))?;
    let (Some(address), Some(role), Some(chosen)) = (address, role, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;
    member::require_free(context, &address)?;
    let members = quotas::used(context.db, &member.tenant.id, Quota::Members, context.now)?;
    context.require_quota(&member.tenant, Quota::Members, members, 1)?;
    let stored = context.set_password_if_any(chosen.as_ref())?;

    let person = member::new(context, &tenant.id, &address, role, &stored);
    context.authorise(&principal, joins(Some(&person)))?.store(context)?;
    note(context, member, "member.create", &person.id, Value::Null, person.view())?;
    Ok(context.created(&format!("/members/{}", person.id), object!({ "member": person.shown() })))
}

/// Refuses to make somebody a member who has not shown to be behind the address, where an issuer's token for it signs in: whoever
/// shows one must not find herself in a tenant of which she knows nothing. The operator is trusted with that.
///
/// # Errors
/// FORBIDDEN; `instead` says what to do.
pub fn require_own_word(context: &RequestContext<'_>, instead: &str) -> Result<(), ApiError> {
    let Some(sign_in) = context.policy.admin.sign_in else { return Ok(()) };
    let detail = format!(
        "People sign in with {} here, so they must prove their address themselves. {instead}",
        sign_in.name
    );
    Err(ApiError::new(Code::Forbidden, detail))
}

/// `PATCH /members/{id}`: an owner changes role or password of anybody; everybody changes the own
/// password, with the present one.
pub fn edit(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    let own = member.id == id;
    if !own {
        member.require_owner()?;
    }
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let person = MemberRow::load(context.db, &tenant.id, id)?;
    let known: &[&str] = if own { &["role", "password", "currentPassword"] } else { &["role", "password"] };
    let mut body = Input::body(&context.call.body, known)?;
    let role = body.present("role", |value| input::one_of_enum(value, &Role::ALL));
    let account = [person.as_ref().map_or("", |person| person.email.as_str()), &tenant.name];
    let chosen = body.present("password", |value| password::chosen(value, &account));
    let current = body.present("currentPassword", password::typed);
    if own && chosen.is_some() && !body.has("currentPassword") {
        body.refuse("currentPassword", "is required to change your own password");
    }
    if chosen.is_some() {
        context.require_passwords()?;
    }
    body.finish()?;

    let person = person.ok_or_else(|| ApiError::not_found("member"))?;
    let role = role.filter(|role| *role != person.role);
    if role.is_none() && chosen.is_none() {
        return Ok(Outcome::ok(object!({ "member": person.shown() })));
    }
    let mut changed = MemberRow { role: role.unwrap_or(person.role), ..person.clone() };
    let asked = changed.clone();
    let current = current.filter(|_| chosen.is_some());
    let typed_in = current.is_some().then_some(member.session.as_str());
    let becomes =
        |after| Membership { tenant_id: &tenant.id, before: Some(&person), after: Some(after), typed_in };
    becomes(&asked).require(context, &principal)?;
    if role.is_some() {
        require_another_owner(context, &person)?;
    }
    if let Some(current) = current
        && !context.check_in_session(member, &current, &person)?
    {
        note(context, member, "session.refused", &person.id, Value::Null, Value::Null)?;
        return Err(ApiError::new(Code::InvalidCredentials, "The present password is wrong.").into());
    }
    if let Some(chosen) = &chosen {
        changed.password = context.set_password(chosen)?;
    }

    context.authorise(&principal, becomes(&changed))?.store(context)?;
    let (before, mut after) = short::difference(&person.view(), &changed.view());
    if let (true, Some(after)) = (chosen.is_some(), after.as_object_mut()) {
        after.insert("passwordChanged".to_owned(), true.into());
    }
    note(context, member, "member.edit", id, before, after)?;
    Ok(Outcome::ok(object!({ "member": changed.shown() })))
}

/// `DELETE /members/{id}`
pub fn remove(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    let (principal, tenant_id) = (Principal::from(member), member.tenant.id.as_str());
    let leaves = |before| Membership { tenant_id, before, after: None, typed_in: None };
    leaves(None).require(context, &principal)?;
    let person = MemberRow::load(context.db, tenant_id, id)?.ok_or_else(|| ApiError::not_found("member"))?;
    require_another_owner(context, &person)?;

    context.authorise(&principal, leaves(Some(&person)))?.store(context)?;
    note(context, member, "member.delete", id, person.view(), Value::Null)?;
    Ok(Outcome::no_content())
}

/// Nobody may take the last owner away: nobody could give the role back.
fn require_another_owner(context: &RequestContext<'_>, person: &MemberRow) -> Result<(), HandlerError> {
    let count = "SELECT COUNT(*) FROM members WHERE tenant_id = ? AND role = ? AND id <> ?";
    let values = [person.tenant_id.as_str().into(), text_of(Role::Owner).into(), person.id.as_str().into()];
    let others = sql::scalar::<u32>(context.db, count, &values)?.unwrap_or_default();
    if person.role == Role::Owner && others == 0 {
        let detail = "This is the tenant's last owner. Make somebody else an owner first.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    Ok(())
}

/// Audits what was done to a person, an invitation or a passkey.
pub fn note(
    context: &RequestContext<'_>,
    member: &Member,
    action: &'static str,
    target: &str,
    before: Value,
    after: Value,
) -> Result<(), SqlError> {
    context.audit(&AuditEvent {
        tenant_id: &member.tenant.id,
        actor: &member.actor(),
        action,
        target,
        before,
        after,
    })
}
