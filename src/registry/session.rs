//! Set-up, signing in and out. A session is a random token, of which only the hash is stored. A part of it is a check under
//! the deployment's secret, so that a made-up token is known for one before anything is asked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use subtle::ConstantTimeEq;

use crate::{
    entropy::{self, Entropy},
    key::hex,
    network,
    record::TenantStatus,
    registry::{
        Handled, Outcome, Turn,
        audit::{
            Actor, Deed,
            daily::{self, Kind},
        },
        effect::Effect,
        email,
        error::{Code, Refusal, Stop},
        front::{clear_cookie, set_cookie},
        input::{self, Input},
        members::{self, Membership, Person},
        password::{self, Verdict},
        principal::{Member, Principal, Role, inactive, unauthenticated},
        schema, sessions,
        tenants::{self, Tenant},
    },
    secret::{Secret, Secrets},
    time::{HOUR, Timestamp},
};

/// What session tokens begin with, which tells them from API keys.
pub const TOKEN_PREFIX: &str = "kws_";
/// How long a session lasts.
const LIFE: i64 = 12 * HOUR;
/// Bytes of a token that are random, and those after them that check it.
const RANDOM: usize = 24;
const CHECK: usize = 8;
const CHECK_PURPOSE: &str = "keyward session check 1";
/// Characters of the shortest set-up token.
const SHORTEST_SETUP_TOKEN: usize = 20;

/// How a token is stored.
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// A new token.
fn new_token(secrets: &Secrets, entropy: &mut dyn Entropy) -> String {
    let random: Vec<u8> = entropy::bytes::<{ RANDOM + CHECK }>(entropy).into_iter().take(RANDOM).collect();
    let check = secrets.mac(CHECK_PURPOSE, &[&random]).into_iter().take(CHECK);
    let bytes: Vec<u8> = random.iter().copied().chain(check).collect();
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether this deployment has made the token, whatever has become of its session since. A build before there were
/// checks made tokens that are not known so.
pub fn is_our_token(secrets: &Secrets, token: &str) -> bool {
    let bytes = token.strip_prefix(TOKEN_PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.filter(|bytes| bytes.len() == RANDOM + CHECK).is_some_and(|bytes| {
        let (random, check) = bytes.split_at(RANDOM);
        secrets
            .macs(CHECK_PURPOSE, &[random])
            .any(|mac| bool::from(mac.get(..CHECK).unwrap_or_default().ct_eq(check)))
    })
}

/// `POST /setup`: makes the operator's tenant and its first owner, once.
pub fn set_up(turn: &mut Turn<'_>) -> Handled {
    if members::exist(turn.db)? {
        return Err(
            Refusal::new(Code::AlreadySetUp, "The first owner was made before. Sign in instead.").into()
        );
    }
    let mut body = Input::body(&turn.call.body, &["token", "email", "password"])?;
    let token = body.required("token", input::text).map(Secret::new);
    let email = body.required("email", email::chosen);
    let chosen = body.required("password", password::of_fit_length);
    let (Some(token), Some(email), Some(chosen)) = (token, email, chosen) else {
        return Err(body.refusal().into());
    };
    body.finish()?;

    // Nobody who fails here makes anybody else wait: the token is too long to be guessed at any pace.
    if !is_setup_token(turn, token.expose())? {
        return Err(Refusal::new(Code::InvalidCredentials, "The set-up token is wrong.").into());
    }
    password::require_unguessable(&chosen, &[&email])?;
    let stored = turn.set_password(&chosen)?;

    let tenant_id = tenants::operator_id(turn)?;
    let tenant = Tenant::load(turn.db, &tenant_id)?.ok_or_else(|| Refusal::not_found("tenant"))?;
    let person = members::new(turn, &tenant_id, &email, Role::Owner, &stored);
    let joins = Membership { tenant_id: &tenant_id, before: None, after: Some(&person), typed_in: None };
    turn.authorise(&Principal::SetUp(tenant), joins)?.store(turn)?;
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

/// Whether this is the token that set-up asks for. That must be one that nobody guesses: nothing slows those who try.
/// What takes long to look at is looked at for whoever has it.
///
/// # Errors
/// NOT_CONFIGURED
pub fn is_setup_token(turn: &Turn<'_>, token: &str) -> Result<bool, Refusal> {
    let own = turn.setup_token.filter(|own| !own.expose().is_empty());
    let own = own.ok_or_else(|| Refusal::not_configured("KEYWARD_SETUP_TOKEN"))?;
    let is_right = own.equals(token);
    if is_too_short(own) || is_right && !is_fit_for_set_up(own) {
        return Err(Refusal::new(Code::NotConfigured, format!("The secret {}.", guessable_setup_token())));
    }
    Ok(is_right)
}

/// Whether a secret can be the set-up token: nobody guesses it.
pub fn is_fit_for_set_up(token: &Secret) -> bool {
    !is_too_short(token) && !password::is_guessable(token.expose(), &[])
}

fn is_too_short(token: &Secret) -> bool {
    token.expose().chars().count() < SHORTEST_SETUP_TOKEN
}

/// What is wrong with one that is not.
pub fn guessable_setup_token() -> String {
    format!(
        "KEYWARD_SETUP_TOKEN can be guessed: it needs at least {SHORTEST_SETUP_TOKEN} random characters. `npm run secrets` \
         makes such a one"
    )
}

/// `POST /session`: signs in. Where a network calls too often, only who is known there is looked at.
pub fn sign_in(turn: &mut Turn<'_>) -> Handled {
    let counted = turn.count_stranger(Effect::Admits);
    let crowded = turn.progress.crowded.as_deref().cloned().or(counted.err());
    let (email, typed) = match (read_credentials(&turn.call.body), &crowded) {
        (Err(_), Some(crowded)) => return Err(crowded.clone().into()),
        (credentials, _) => credentials?,
    };
    let person = Person::by_email(turn.db, &email)?;
    let refusal = match (turn.check_sign_in(&email, &typed, person.as_ref(), crowded)?, &person) {
        (Verdict::Right, Some(person)) => return open(turn, person),
        (Verdict::Unseen(refusal), _) => refusal,
        (Verdict::Right | Verdict::Wrong, _) => {
            Refusal::new(Code::InvalidCredentials, "The e-mail address or the password is wrong.")
        }
    };
    note_failure(turn, person.as_ref(), &email)?;
    Err(refusal.into())
}

fn read_credentials(body: &str) -> Result<(String, Secret), Refusal> {
    let mut body = Input::body(body, &["email", "password"])?;
    let email = body.required("email", email::typed);
    let typed = body.required("password", password::typed);
    let (Some(email), Some(typed)) = (email, typed) else { return Err(body.refusal()) };
    body.finish()?;
    Ok((email, typed))
}

/// Begins a session of somebody who has shown the password.
fn open(turn: &mut Turn<'_>, person: &Person) -> Handled {
    let tenant =
        Tenant::load(turn.db, &person.tenant_id)?.filter(|tenant| tenant.status == TenantStatus::Active);
    let Some(tenant) = tenant else { return Err(inactive().into()) };

    turn.remember_network(&person.id)?;
    let token = new_token(turn.secrets, turn.entropy);
    let expires_at = turn.now.plus(LIFE);
    turn.db.run("DELETE FROM sessions WHERE expires_at <= ?", &[turn.now.into()])?;
    sessions::bound(turn, &person.id)?;
    let columns = [
        ("hash", token_hash(&token).into()),
        ("tenant_id", person.tenant_id.as_str().into()),
        ("member_id", person.id.as_str().into()),
        ("created_at", turn.now.into()),
        ("expires_at", expires_at.into()),
        ("seen_at", turn.now.into()),
        ("network", network::of(&turn.call.address).into()),
        ("agent", turn.call.agent.clone().into()),
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

    let person = Person::load(turn.db, &member.tenant.id, &member.id)?.ok_or_else(unauthenticated)?;
    if !turn.check_in_session(member, &typed, &person)? {
        note_failure(turn, Some(&person), &member.email)?;
        return Err(Refusal::new(Code::InvalidCredentials, "The password is wrong.").into());
    }
    let values = [turn.now.into(), member.session.as_str().into()];
    turn.db.run("UPDATE sessions SET stepped_up_at = ? WHERE hash = ?", &values)?;
    note(turn, &member.tenant.id, &member.actor(), "session.stepUp", &member.id)?;
    Ok(Outcome::no_content())
}

/// Audits a failed attempt: in the chain of whom it was aimed at, or, not too often, the operator's.
fn note_failure(turn: &Turn<'_>, person: Option<&Person>, email: &str) -> Result<(), Stop> {
    let actor = Actor::unknown(Some(email));
    if let Some(person) = person {
        return note(turn, &person.tenant_id, &actor, "session.refused", &person.id);
    }
    let Some(Tenant { id, .. }) = Tenant::operator(turn.db)? else { return Ok(()) };
    if turn.may_note_stranger()? {
        return note(turn, &id, &actor, "session.refused", "");
    }
    Ok(daily::leave_out(turn.db, &id, Kind::Strangers, turn.now)?)
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
