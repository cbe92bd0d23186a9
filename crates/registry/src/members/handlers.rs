//! The calls that list and change members.

use serde_json::{Value, json};

use crate::{
    registry::{
        audit::{event::AuditEvent, short},
        authorise::Act,
        context::Turn,
        email,
        enum_text::{self, text_of},
        error::{ApiError, Code},
        handler::{HandlerError, HandlerResult},
        input::Input,
        members::{
            member::{self, COLUMNS, MemberRow},
            membership::Membership,
        },
        outcome::Outcome,
        password::rules as password,
        principal::{Member, Principal, Role},
        quotas::{self, Quota},
    },
    sql::{self, SqlError},
};

/// `GET /members`: in the order they were added.
pub fn list(turn: &mut Turn<'_>, principal: &Principal, _: &str) -> HandlerResult {
    let tenant_id = principal.tenant_id();
    let statement = format!(
        "SELECT rowid AS position, {COLUMNS} FROM members WHERE tenant_id = ? AND rowid > ? ORDER BY rowid LIMIT ?"
    );
    let (rows, next) =
        turn.read_page::<MemberRow>("members", tenant_id, &statement, &[tenant_id.into()], 0)?;
    let members: Vec<Value> = rows.iter().map(MemberRow::view).collect();
    Ok(Outcome::ok(json!({ "members": members, "nextCursor": next })))
}

/// `GET /members/{id}`
pub fn show(turn: &mut Turn<'_>, principal: &Principal, id: &str) -> HandlerResult {
    let person = MemberRow::load(turn.db, principal.tenant_id(), id)?;
    let person = person.ok_or_else(|| ApiError::not_found("member"))?;
    Ok(Outcome::ok(json!({ "member": person.view() })))
}

/// `POST /members`
pub fn add(turn: &mut Turn<'_>, member: &Member, _: &str) -> HandlerResult {
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let joins = |after| Membership { tenant_id: &tenant.id, before: None, after, typed_in: None };
    joins(None).require(turn, &principal)?;
    let mut body = Input::body(&turn.call.body, &["email", "role", "password"])?;
    let address = body.required("email", email::chosen);
    let role = body.required("role", |value| enum_text::read(value, &Role::ALL));
    let context = [address.as_deref().unwrap_or_default(), &tenant.name];
    let chosen = body.required("password", |value| password::chosen(value, &context));
    let (Some(address), Some(role), Some(chosen)) = (address, role, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;
    member::require_free(turn, &address)?;
    let members = quotas::used(turn.db, &member.tenant.id, Quota::Members, turn.now)?;
    turn.require_quota(&member.tenant, Quota::Members, members, 1)?;
    let stored = turn.set_password(&chosen)?;

    let person = member::new(turn, &tenant.id, &address, role, &stored);
    turn.authorise(&principal, joins(Some(&person)))?.store(turn)?;
    note(turn, member, "member.create", &person.id, Value::Null, person.view())?;
    Ok(turn.created(&format!("/members/{}", person.id), json!({ "member": person.view() })))
}

/// `PATCH /members/{id}`: an owner changes role or password of anybody; everybody changes the own
/// password, with the present one.
pub fn edit(turn: &mut Turn<'_>, member: &Member, id: &str) -> HandlerResult {
    let own = member.id == id;
    if !own {
        member.require_owner()?;
    }
    let (principal, tenant) = (Principal::from(member), &member.tenant);
    let person = MemberRow::load(turn.db, &tenant.id, id)?;
    let known: &[&str] = if own { &["role", "password", "currentPassword"] } else { &["role", "password"] };
    let mut body = Input::body(&turn.call.body, known)?;
    let role = body.present("role", |value| enum_text::read(value, &Role::ALL));
    let context = [person.as_ref().map_or("", |person| person.email.as_str()), &tenant.name];
    let chosen = body.present("password", |value| password::chosen(value, &context));
    let current = body.present("currentPassword", password::typed);
    if own && chosen.is_some() && !body.has("currentPassword") {
        body.refuse("currentPassword", "is required to change your own password");
    }
    body.finish()?;

    let person = person.ok_or_else(|| ApiError::not_found("member"))?;
    let role = role.filter(|role| *role != person.role);
    if role.is_none() && chosen.is_none() {
        return Ok(Outcome::ok(json!({ "member": person.view() })));
    }
    let mut changed = MemberRow { role: role.unwrap_or(person.role), ..person.clone() };
    let asked = changed.clone();
    let current = current.filter(|_| chosen.is_some());
    let typed_in = current.is_some().then_some(member.session.as_str());
    let becomes =
        |after| Membership { tenant_id: &tenant.id, before: Some(&person), after: Some(after), typed_in };
    becomes(&asked).require(turn, &principal)?;
    if role.is_some() {
        require_another_owner(turn, &person)?;
    }
    if let Some(current) = current
        && !turn.check_in_session(member, &current, &person)?
    {
        note(turn, member, "session.refused", &person.id, Value::Null, Value::Null)?;
        return Err(ApiError::new(Code::InvalidCredentials, "The present password is wrong.").into());
    }
    if let Some(chosen) = &chosen {
        changed.password = turn.set_password(chosen)?;
    }

    turn.authorise(&principal, becomes(&changed))?.store(turn)?;
    let (before, mut after) = short::difference(&person.view(), &changed.view());
    if let (true, Some(after)) = (chosen.is_some(), after.as_object_mut()) {
        after.insert("passwordChanged".to_owned(), true.into());
    }
    note(turn, member, "member.edit", id, before, after)?;
    Ok(Outcome::ok(json!({ "member": changed.view() })))
}

/// `DELETE /members/{id}`
pub fn remove(turn: &mut Turn<'_>, member: &Member, id: &str) -> HandlerResult {
    let (principal, tenant_id) = (Principal::from(member), member.tenant.id.as_str());
    let leaves = |before| Membership { tenant_id, before, after: None, typed_in: None };
    leaves(None).require(turn, &principal)?;
    let person = MemberRow::load(turn.db, tenant_id, id)?.ok_or_else(|| ApiError::not_found("member"))?;
    require_another_owner(turn, &person)?;

    turn.authorise(&principal, leaves(Some(&person)))?.store(turn)?;
    note(turn, member, "member.delete", id, person.view(), Value::Null)?;
    Ok(Outcome::no_content())
}

/// Nobody may take the last owner away: nobody could give the role back.
fn require_another_owner(turn: &Turn<'_>, person: &MemberRow) -> Result<(), HandlerError> {
    let count = "SELECT COUNT(*) FROM members WHERE tenant_id = ? AND role = ? AND id <> ?";
    let values = [person.tenant_id.as_str().into(), text_of(Role::Owner).into(), person.id.as_str().into()];
    let others = sql::scalar::<u32>(turn.db, count, &values)?.unwrap_or_default();
    if person.role == Role::Owner && others == 0 {
        let detail = "This is the tenant's last owner. Make somebody else an owner first.";
        return Err(ApiError::new(Code::Conflict, detail).into());
    }
    Ok(())
}

fn note(
    turn: &Turn<'_>,
    member: &Member,
    action: &'static str,
    target: &str,
    before: Value,
    after: Value,
) -> Result<(), SqlError> {
    turn.audit(&AuditEvent {
        tenant_id: &member.tenant.id,
        actor: &member.actor(),
        action,
        target,
        before,
        after,
    })
}
