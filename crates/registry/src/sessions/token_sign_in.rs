//! Signing in, and stepping up, with a token of the issuer that the policy names. It makes nobody a member.

use keyward_core::{
    sign_in_token::{Identity, SignInToken},
    sql::SqlError,
};
use serde_json::Value;

use crate::{
    context::RequestContext,
    email,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    input::Input,
    members::member::MemberRow,
    principal::{Member, STEP_UP},
    sessions::sign_in::{self, note_failure, open, refuse_token, stepped_up},
};

/// Tokens that are remembered as used. Of more, the oldest are forgotten.
const MOST_USED: u32 = 100_000;
const REFUSED: &str =
    "Nobody can sign in here with this token: it is not in order, or its address is no member's.";
const USED: &str = "This token was used before, and each works once: get a new one from its issuer.";

/// An address that a token names, in the form in which members' addresses are compared.
///
/// One that is ASCII only because of how addresses are compared (a Kelvin sign is a `k`) is none: to the issuer it is
/// another one.
pub fn address(identity: &Identity) -> Option<String> {
    let address = email::typed(&Value::from(identity.email.as_str())).ok()?;
    (identity.email.is_ascii() || !address.is_ascii()).then_some(address)
}

/// `POST /session`: with a token, or else with a password.
pub fn sign_in(context: &mut RequestContext<'_>) -> HandlerResult {
    match &context.call.token {
        Some(token) => sign_in_by(context, token),
        None => sign_in::sign_in(context),
    }
}

/// `POST /session/step-up`: the same.
pub fn step_up(context: &mut RequestContext<'_>, member: &Member, id: &str) -> HandlerResult {
    match &context.call.token {
        Some(token) => step_up_by(context, member, token),
        None => sign_in::step_up(context, member, id),
    }
}

/// Begins a session of the member whom the token names.
fn sign_in_by(context: &mut RequestContext<'_>, token: &SignInToken) -> HandlerResult {
    // Whoever shows a member's token is let in, however often others of the network call.
    let counted = context.count_stranger();
    read(context)?;
    let identity = token.identity.as_ref();
    let address = identity.and_then(address);
    let person = match &address {
        Some(address) => MemberRow::by_email(context.db, address)?,
        None => None,
    };
    let (Some(identity), Some(person)) = (identity, person) else {
        counted?;
        return refuse_token(context, address.as_deref(), REFUSED);
    };
    if !use_once(context, identity)? {
        counted?;
        return refuse(context, &person, USED);
    }
    open(context, &person, identity.authenticated_at.min(context.now), Value::Null)
}

/// Opens five minutes, with a token that the issuer gave the same member within the last five.
fn step_up_by(context: &mut RequestContext<'_>, member: &Member, token: &SignInToken) -> HandlerResult {
    read(context)?;
    let identity = token.identity.as_ref();
    let person = match identity.and_then(address) {
        Some(address) => MemberRow::by_email(context.db, &address)?,
        None => None,
    };
    let (Some(identity), Some(person)) = (identity, person.filter(|person| person.id == member.id)) else {
        let own = MemberRow::load(context.db, &member.tenant.id, &member.id)?;
        let own = own.ok_or_else(|| ApiError::not_found("member"))?;
        context.count_in_session(member)?;
        return refuse(context, &own, "This is no token of yours that is in order.");
    };
    if !identity.authenticated_at.min(context.now).is_within(STEP_UP, context.now) {
        let detail =
            "You signed in to the issuer more than five minutes ago. Sign in there again, for a new token.";
        context.count_in_session(member)?;
        return refuse(context, &person, detail);
    }
    if !use_once(context, identity)? {
        context.count_in_session(member)?;
        return refuse(context, &person, USED);
    }
    stepped_up(context, member, Value::Null)
}

fn read(context: &RequestContext<'_>) -> Result<(), ApiError> {
    // The gate has read them: a token, or a code and its state.
    let mut body = Input::body(&context.call.body, &["token", "code", "state"])?;
    if body.has("token") {
        body.refuse_code();
    }
    body.finish()
}

fn refuse(context: &RequestContext<'_>, person: &MemberRow, detail: &str) -> HandlerResult {
    context.keep_if_refused();
    note_failure(context, Some(person), Some(&person.email), Value::Null)?;
    Err(HandlerError::Refused(ApiError::new(Code::InvalidCredentials, detail)))
}

/// Whether the token was not used before. From now on it was.
fn use_once(context: &RequestContext<'_>, identity: &Identity) -> Result<bool, SqlError> {
    // The gate has looked at its time, a moment ago: that it was used must not be forgotten before it is refused for it.
    if identity.expires_at <= context.now {
        return Ok(false);
    }
    context.db.run("DELETE FROM used_tokens WHERE expires_at <= ?", &[context.now.into()])?;
    let used = "INSERT OR IGNORE INTO used_tokens (hash, expires_at) VALUES (?, ?) RETURNING number";
    let values = [identity.hash.as_str().into(), identity.expires_at.into()];
    if context.db.run(used, &values)?.is_empty() {
        return Ok(false);
    }
    let oldest = "DELETE FROM used_tokens WHERE number <= (SELECT MAX(number) FROM used_tokens) - ?";
    context.db.run(oldest, &[MOST_USED.into()])?;
    Ok(true)
}
