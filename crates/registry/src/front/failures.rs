//! Whom a call that fails slows: those who keep failing are held back before the Registry is asked.

use keyward_core::{
    network::Subjects,
    secret::{Secret, Secrets},
    time::{Span, Timestamp},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    admin_call::AdminCredential,
    error::{ApiError, Code},
    router::Open,
    sessions::token,
};

/// Into how many parts failures of what is well formed are counted.
const SHARES: u32 = 16;
/// How long a refusal to sign in takes at least. How long it took must not tell whether a password was derived, or waited for,
/// and so whether the person has signed in from this network before.
pub const REFUSED_SIGN_IN: Span = Span::from_secs(1);

/// Under what a call that fails is counted, and its like are then held back: by network, apart from failures at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// For the platform's limiter.
    pub counted: String,
    /// In the isolate's memory.
    pub held_back: String,
    /// All of the site, for both, after many more.
    pub site: Option<String>,
}

impl Failures {
    fn of(what: &str, address: &str) -> Self {
        let Subjects { network, site } = Subjects::of(&format!("{what} "), address);
        Self { counted: network.clone(), held_back: network, site }
    }

    /// Of reports that are not signed by whom the policy says.
    pub fn of_report(address: &str) -> Self {
        Self::of("leaks", address)
    }

    /// Of codes that an issuer is asked about by somebody whom nothing else slows.
    pub fn of_code(address: &str) -> Self {
        Self::of("code", address)
    }
}

/// Whether an answer counts as a failure of the network that asked. Where nobody needs to be signed in, what is malformed
/// does too: it costs as much to read as what is right, and nobody sends it by the dozen who does not mean to. Elsewhere
/// only what the Registry was `asked`: a page that asks who is signed in, and is told that nobody is, has not failed.
pub fn is_failure(open: bool, asked: bool, status: u16) -> bool {
    if open { matches!(status, 400 | 401 | 408 | 409 | 413 | 415 | 429) } else { asked && status == 401 }
}

/// Whom a call for which one has to be let in slows when it fails. Nobody (`None`), where what is shown proves by itself
/// that it is no guess: neighbours of whoever guesses are not refused for it.
pub fn failures_of_shown(
    credential: &AdminCredential,
    address: &str,
    secrets: Option<&Secrets>,
    setup_token: Option<&Secret>,
) -> Option<Failures> {
    let proof = proof(credential, secrets, setup_token);
    proof.is_none().then(|| Failures::of("admin", address))
}

/// A name for what is shown, if it proves by itself, without the Registry, that it was given to somebody here: their
/// bodies have a room that nobody else can fill.
pub fn proof(
    credential: &AdminCredential,
    secrets: Option<&Secrets>,
    setup_token: Option<&Secret>,
) -> Option<String> {
    match credential {
        AdminCredential::Key { record } => Some(format!("key {}", record.id)),
        AdminCredential::Session { token } => secrets
            .is_some_and(|secrets| token::is_our_token(secrets, token))
            .then(|| format!("session {}", token::token_hash(token))),
        AdminCredential::SetUp { token } => {
            setup_token.is_some_and(|own| own.equals(token)).then(|| "set-up".to_owned())
        }
        AdminCredential::None | AdminCredential::Scanner => None,
    }
}

/// Whom a call that anybody may make slows when it fails. `body` is `None` where it could not be read. `needs_password`: whether
/// there has to be one in it, and `proves`: whether a token in it is no guess.
///
/// Who signs in has proved nothing yet. A flood of failures is held back all the same, but only what no people type: failures
/// of what is well formed are counted in [`SHARES`] parts, so that it takes about as many times the limiter's number. What is
/// malformed holds back only its like.
pub fn failures_of_open(
    open: Open,
    body: Option<&str>,
    address: &str,
    request_id: &str,
    needs_password: bool,
    proves: impl Fn(&str) -> bool,
) -> Option<Failures> {
    #[derive(Deserialize)]
    struct Fields {
        token: Option<String>,
        email: Option<String>,
        password: Option<String>,
        passkey: Option<Value>,
    }
    // A call whose header says it all has no body, nor need one that asks for nothing.
    let may_be_empty = open == Open::Options || !needs_password;
    let body = body.map(|body| if body.is_empty() && may_be_empty { "{}" } else { body });
    let fields = body.and_then(|body| keyward_json::from_str::<Fields>(body).ok());
    // Whoever has a link is asked for no address; nor is who signs in with a passkey or a token, which say it.
    let is_whole = |fields: &Fields| match open {
        Open::Options => true,
        Open::SignIn if fields.passkey.as_ref().is_some_and(Value::is_object) => true,
        _ if needs_password && fields.password.is_none() => false,
        Open::Accept => fields.token.is_some(),
        Open::SignIn if !needs_password => true,
        _ => fields.email.as_ref().is_some_and(|email| !email.is_empty()),
    };
    match fields.filter(is_whole) {
        None => Some(Failures::of("malformed", address)),
        Some(Fields { token: Some(token), .. }) if proves(&token) => None,
        Some(_) => {
            let share = request_id.bytes().fold(0, |sum: u32, byte| sum.wrapping_add(byte.into())) % SHARES;
            let Failures { held_back, .. } = Failures::of("open", address);
            // The Registry counts sites by itself, and lets those in who are known there.
            Some(Failures { counted: format!("{held_back} {share}"), held_back, site: None })
        }
    }
}

/// The refusal of a network that keeps failing, without asking the Registry.
pub fn held_back(wait: Span) -> ApiError {
    let detail = "Too many failed attempts. Come back after the time in Retry-After.";
    ApiError::until(Code::TooManyAttempts, detail, Timestamp(0), Timestamp(0) + wait)
}

/// How much longer an answer is kept back, to a call that anybody may make.
pub fn keep_back(open: Open, status: u16, arrived: Timestamp, now: Timestamp) -> Span {
    let refused = open == Open::SignIn && status == Code::TooManyAttempts.facts().0;
    let left = (REFUSED_SIGN_IN - (now - arrived)).clamp(Span::ZERO, REFUSED_SIGN_IN);
    if refused { left } else { Span::ZERO }
}
