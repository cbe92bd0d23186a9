//! Set-up and sessions. A session is a random token, of which only the hash is stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    entropy,
    key::hex,
    record::TenantStatus,
    registry::{
        Handled, Outcome, Turn,
        audit::{Actor, Deed},
        email,
        error::{Code, Refusal, Stop},
        front::{clear_cookie, set_cookie},
        input::{self, Input},
        members::{self, Person},
        password,
        principal::{Member, Role, inactive},
        schema,
        tenants::{self, Tenant},
    },
    secret::Secret,
    time::{HOUR, Timestamp},
};

/// What session tokens begin with, which tells them from API keys.
pub const TOKEN_PREFIX: &str = "kws_";
/// How long a session lasts.
const LIFE: i64 = 12 * HOUR;

/// How a token is stored.
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// `POST /setup`: makes the operator's tenant and its first owner, once.
pub fn set_up(turn: &mut Turn<'_>) -> Handled {
    if members::exist(turn.db)? {
        return Err(
            Refusal::new(Code::AlreadySetUp, "The first owner was made before. Sign in instead.").into()
        );
    }
    let expected = setup_token(turn)?;
    let mut body = Input::body(&turn.call.body, &["token", "email", "password"])?;
    let token = body.required("token", input::text).map(Secret::new);
    let email = body.required("email", email::chosen);
    let chosen = body.required("password", password::chosen);
    let (Some(token), Some(email), Some(chosen)) = (token, email, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;

    if turn.progress.derived.is_empty() {
        turn.count_attempt(None)?;
    }
    if !expected.equals(token.expose()) {
        return Err(Refusal::new(Code::InvalidCredentials, "The set-up token is wrong.").into());
    }
    let stored = turn.set_password(&chosen)?;

    turn.forgive_address()?;
    let tenant_id = tenants::operator_id(turn)?;
    let person = members::insert(turn, &tenant_id, &email, Role::Owner, &stored)?;
    turn.audit(&Deed {
        tenant_id: &tenant_id,
        actor: &Actor::member(&person.id, &person.email),
        action: "setup",
        target: &person.id,
        before: Value::Null,
        after: person.view(),
    })?;
    Ok(turn.created(&format!("/members/{}", person.id), json!({ "member": person.view() })))
}

/// The token that set-up asks for.
///
/// # Errors
/// NOT_CONFIGURED
pub fn setup_token<'a>(turn: &Turn<'a>) -> Result<&'a Secret, Refusal> {
    let token = turn.setup_token.filter(|token| !token.expose().is_empty());
    token.ok_or_else(|| Refusal::not_configured("KEYWARD_SETUP_TOKEN"))
}

/// `POST /session`: signs in.
pub fn sign_in(turn: &mut Turn<'_>) -> Handled {
    let mut body = Input::body(&turn.call.body, &["email", "password"])?;
    let email = body.required("email", email::typed);
    let typed = body.required("password", password::typed);
    let (Some(email), Some(typed)) = (email, typed) else { return Err(body.refusal().into()) };
    body.finish()?;

    let person = Person::by_email(turn.db, &email)?;
    let right =
        turn.check_password(&email, &typed, person.as_ref().map(|person| person.password.as_str()))?;
    let Some(person) = person.as_ref().filter(|_| right) else {
        note_failure(turn, person.as_ref(), &email)?;
        let detail = "The e-mail address or the password is wrong.";
        return Err(Refusal::new(Code::InvalidCredentials, detail).into());
    };
    let tenant =
        Tenant::load(turn.db, &person.tenant_id)?.filter(|tenant| tenant.status == TenantStatus::Active);
    let Some(tenant) = tenant else { return Err(inactive().into()) };

    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(entropy::bytes::<32>(turn.entropy)));
    let expires_at = turn.now.plus(LIFE);
    turn.db.run("DELETE FROM sessions WHERE expires_at <= ?", &[turn.now.into()])?;
    let columns = [
        ("hash", token_hash(&token).into()),
        ("tenant_id", person.tenant_id.as_str().into()),
        ("member_id", person.id.as_str().into()),
        ("created_at", turn.now.into()),
        ("expires_at", expires_at.into()),
    ];
    schema::insert(turn.db, "sessions", &columns)?;
    note(turn, &person.tenant_id, &Actor::member(&person.id, &person.email), "session.create", &person.id)?;
    let cookie = set_cookie(&token, LIFE);
    let member = view(&person.id, &person.email, person.role, &tenant);
    let body = json!({ "token": token, "expiresAt": expires_at.to_rfc3339(), "member": member });
    Ok(turn.created("/session", body).header("Set-Cookie", cookie))
}

/// Who is signed in. `operator`: whether it may manage tenants.
fn view(id: &str, email: &str, role: Role, tenant: &Tenant) -> Value {
    json!({
        "id": id,
        "email": email,
        "role": role,
        "tenantId": tenant.id,
        "operator": tenant.operator && role == Role::Owner,
    })
}

/// `GET /session`: who am I.
pub fn show(_: &mut Turn<'_>, member: &Member, _: &str) -> Handled {
    Ok(Outcome::ok(json!({
        "member": view(&member.id, &member.email, member.role, &member.tenant),
        "tenant": { "id": member.tenant.id, "name": member.tenant.name },
        "expiresAt": member.expires_at.to_rfc3339(),
        "steppedUpUntil": member.stepped_up_until().map(Timestamp::to_rfc3339),
    })))
}

/// `DELETE /session`: signs out.
pub fn sign_out(turn: &mut Turn<'_>, member: &Member, _: &str) -> Handled {
    turn.db.run("DELETE FROM sessions WHERE hash = ?", &[member.session.as_str().into()])?;
    note(turn, &member.tenant.id, &member.actor(), "session.delete", &member.id)?;
    Ok(Outcome::no_content().header("Set-Cookie", clear_cookie()))
}

/// `POST /session/step-up`: opens five minutes.
pub fn step_up(turn: &mut Turn<'_>, member: &Member, _: &str) -> Handled {
    let mut body = Input::body(&turn.call.body, &["password"])?;
    let typed = body.required("password", password::typed);
    let Some(typed) = typed else { return Err(body.refusal().into()) };
    body.finish()?;

    let person = Person::load(turn.db, &member.tenant.id, &member.id)?;
    if !turn.check_password(&member.email, &typed, person.as_ref().map(|person| person.password.as_str()))? {
        note_failure(turn, person.as_ref(), &member.email)?;
        return Err(Refusal::new(Code::InvalidCredentials, "The password is wrong.").into());
    }
    let values = [turn.now.into(), member.session.as_str().into()];
    turn.db.run("UPDATE sessions SET stepped_up_at = ? WHERE hash = ?", &values)?;
    note(turn, &member.tenant.id, &member.actor(), "session.stepUp", &member.id)?;
    Ok(Outcome::no_content())
}

/// Audits a failed attempt: in the chain of whom it was aimed at, or, not too often, the operator's.
fn note_failure(turn: &Turn<'_>, person: Option<&Person>, email: &str) -> Result<(), Stop> {
    let tenant_id = match person {
        Some(person) => Some(person.tenant_id.clone()),
        None if turn.may_note_stranger()? => Tenant::operator(turn.db)?.map(|tenant| tenant.id),
        None => None,
    };
    let target = person.map(|person| person.id.as_str()).unwrap_or_default();
    match tenant_id {
        Some(tenant_id) => note(turn, &tenant_id, &Actor::unknown(Some(email)), "session.refused", target),
        None => Ok(()),
    }
}

fn note(
    turn: &Turn<'_>,
    tenant_id: &str,
    actor: &Actor,
    action: &'static str,
    target: &str,
) -> Result<(), Stop> {
    Ok(turn.audit(&Deed { tenant_id, actor, action, target, before: Value::Null, after: Value::Null })?)
}
