//! Checking a passkey that is used (WebAuthn, 7.2): to sign in, or to step up.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    authenticator::AuthenticatorData,
    challenge::LIFE,
    passkey::Passkey,
    shown::{Shown, host},
    signature::SignatureJob,
};
use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    handler::{HandlerError, HandlerResult},
    input::Input,
    members::member::MemberRow,
    outcome::Outcome,
    principal::Member,
    to_json::object,
};

/// What a challenge to sign in is for.
const SIGN_IN: &str = "sign in";
const WRONG: &str = "This passkey does not work here. Use another one, or the password.";

/// What a challenge to step up is for.
fn step_up_in(member: &Member) -> String {
    format!("step up {}", member.session)
}

/// A passkey that was refused: whose it seemed to be, and what the audit should know of it.
struct Refused {
    person: Option<MemberRow>,
    why: Value,
}

/// What is audited of a refusal, and the refusal.
pub type Failure = (Option<MemberRow>, Value, ApiError);

/// `POST /session/passkey/options`: what a browser needs to ask for a passkey. It says nothing of who has one.
pub fn options(context: &mut RequestContext<'_>) -> HandlerResult {
    context.require_passwords()?;
    context.count_stranger()?;
    request(context, SIGN_IN, &[])
}

/// `POST /session/step-up/options`: the same for one's own.
pub fn step_up_options(context: &mut RequestContext<'_>, member: &Member, _: &str) -> HandlerResult {
    context.require_passwords()?;
    let own = credentials(context, member)?;
    request(context, &step_up_in(member), &own)
}

/// The member's passkeys at this host, as browsers are told of them.
pub fn credentials(context: &RequestContext<'_>, member: &Member) -> Result<Vec<Value>, HandlerError> {
    let own = "SELECT credential FROM passkeys WHERE member_id = ? AND host = ? ORDER BY number";
    let values = [member.id.as_str().into(), host(context)?.into()];
    let credentials = keyward_core::sql::scalars::<String>(context.db, own, &values)?;
    Ok(credentials.iter().map(|id| object!({ "type": "public-key", "id": id })).collect())
}

fn request(context: &mut RequestContext<'_>, purpose: &str, allowed: &[Value]) -> HandlerResult {
    Input::body(&context.call.body, &[])?.finish()?;
    let options = object!({
        "rpId": host(context)?,
        "challenge": context.new_challenge(purpose),
        "timeout": LIFE.ms(),
        "userVerification": "required",
        "allowCredentials": allowed,
    });
    Ok(Outcome::ok(object!({ "publicKey": options })))
}

/// `POST /session` with a passkey. Nobody waits who shows one that works; where a network calls too often, only who is known there
/// is looked at.
pub fn sign_in(
    context: &mut RequestContext<'_>,
    shown: &Shown,
    rate_limited: Option<&ApiError>,
) -> Result<Result<(MemberRow, Value), Failure>, HandlerError> {
    Ok(match check(context, shown, SIGN_IN, None, rate_limited)? {
        Ok((passkey, person)) => Ok((person, object!({ "passkey": passkey.id }))),
        Err(Refused { person, why }) => {
            let refusal = context.count_wrong_token(WRONG)?;
            Err((person, why, refusal))
        }
    })
}

/// `POST /session/step-up` with a passkey: what is audited of it. Failures are counted of the session, as of passwords.
///
/// # Errors
/// INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS
pub fn step_up(
    context: &RequestContext<'_>,
    shown: &Shown,
    member: &Member,
) -> Result<Result<Value, Failure>, HandlerError> {
    match check(context, shown, &step_up_in(member), Some(member), None)? {
        Ok((passkey, _)) => Ok(Ok(object!({ "passkey": passkey.id }))),
        Err(Refused { person, why }) => {
            context.count_in_session(member)?;
            Ok(Err((person, why, ApiError::new(Code::InvalidCredentials, WRONG))))
        }
    }
}

/// The passkey that was used, and whose it is. `member`: the only one whose it may be.
fn check(
    context: &RequestContext<'_>,
    shown: &Shown,
    purpose: &str,
    member: Option<&Member>,
    rate_limited: Option<&ApiError>,
) -> Result<Result<(Passkey, MemberRow), Refused>, HandlerError> {
    let host = host(context)?;
    let passkey = Passkey::with_credential(context, &shown.id, host)?;
    let person = match &passkey {
        Some(passkey) => MemberRow::load(context.db, &passkey.tenant_id, &passkey.member_id)?,
        None => None,
    };
    let person = person.filter(|person| member.is_none_or(|member| member.id == person.id));
    if let Some(rate_limited) = rate_limited {
        let is_known = match &person {
            Some(person) => context.knows_network(&person.id)? && context.count_known(&person.id).is_ok(),
            None => false,
        };
        if !is_known {
            return Err(rate_limited.clone().into());
        }
    }
    let refused = |person, why| Ok(Err(Refused { person, why }));
    let (Some(passkey), Some(person)) = (passkey, person) else { return refused(None, Value::Null) };
    // Who signs in is told by nothing else; who steps up has told it already.
    let is_its_user = match &shown.user {
        Some(user) => user == person.id.as_bytes(),
        None => member.is_some(),
    };
    let challenge = shown.challenge(context, "webauthn.get", purpose).filter(|_| is_its_user);
    let data = AuthenticatorData::read(&shown.authenticator, host)
        .filter(|data| data.is_plain() && data.is_synced == passkey.synced);
    let (Some(challenge), Some(data)) = (challenge, data) else { return refused(Some(person), Value::Null) };
    let verified = match context.state.verified {
        Some(verified) => verified,
        None => {
            let text = [&shown.authenticator[..], &Sha256::digest(&shown.client)].concat();
            let job = passkey.public_key().and_then(|key| SignatureJob::new(key, text, &shown.signature));
            match job {
                Some(job) => return Err(HandlerError::Verify(Box::new(job))),
                None => false,
            }
        }
    };
    if !verified {
        return refused(Some(person), Value::Null);
    }
    // Where uses are counted, each one counts more: or there is a copy of it.
    let counter = data.counter;
    if (counter > 0 || passkey.counter > 0) && counter <= passkey.counter {
        let counters = object!({ "passkey": passkey.id, "counter": counter, "lastCounter": passkey.counter });
        return refused(Some(person), counters);
    }
    if !context.use_challenge(&challenge, &person.id)? {
        return refused(Some(person), Value::Null);
    }
    passkey.use_once(context, counter)?;
    Ok(Ok((passkey, person)))
}
