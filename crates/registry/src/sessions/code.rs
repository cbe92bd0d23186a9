//! Sign-in by the issuer's authorization code flow, with PKCE: where the browser is sent, and what it comes back with.
//! All of an attempt follows from one random value in a cookie, so nothing of it is stored here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    cookie::{self, SameSite},
    entropy, form,
    secret::Secret,
    sign_in_token::Grant,
    time::Span,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    context::RequestContext,
    error::{ApiError, Code},
    handler::HandlerResult,
    input::{self, Input},
    outcome::Outcome,
    to_json::object,
};

/// The cookie with the random value.
pub const COOKIE: &str = "__Host-keyward-code";
/// How long people have to sign in to the issuer.
const LIFE: Span = Span::from_mins(10);
const RANDOM_BYTES: usize = 32;
/// Most characters of a code: some issuers put all that they know into it.
const LONGEST_CODE: usize = 4_096;
/// The screen of the page that the issuer sends browsers back to.
pub const SCREEN: &str = "/signed-in";
/// Whether the issuer has to ask who it is.
const PURPOSES: [(&str, bool); 2] = [("sign-in", false), ("step-up", true)];

/// One attempt to sign in.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Tells the attempt's answer from others (RFC 6749, section 10.12).
    pub state: String,
    /// Tells the attempt's token from others (OpenID Connect Core 1.0, section 15.5.2).
    pub nonce: String,
    /// What only whoever has begun the attempt knows (RFC 7636, section 4.1).
    pub verifier: String,
}

impl Attempt {
    /// The one with this value in its cookie.
    pub fn of(random: &str) -> Self {
        let derived = |what: &str| digest(&format!("keyward sign-in {what} 1\n{random}"));
        Self { state: derived("state"), nonce: derived("nonce"), verifier: derived("verifier") }
    }

    /// The `code_challenge` (RFC 7636, section 4.2).
    pub fn challenge(&self) -> String {
        digest(&self.verifier)
    }
}

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Where the issuer sends browsers back to, for this origin and base of the page.
pub fn redirect_uri(origin: &str, page: &str) -> String {
    format!("{origin}{page}{SCREEN}")
}

/// `POST /session/code/options`: the issuer's address to sign in at.
pub fn options(context: &mut RequestContext<'_>) -> HandlerResult {
    let mut body = Input::body(&context.call.body, &["purpose"])?;
    let asks = body.present("purpose", |value| input::one_of(value, &PURPOSES));
    body.finish()?;
    let Some(flow) = context.policy.admin.sign_in.and_then(|sign_in| sign_in.code) else {
        let detail = "The policy names no place to sign in at: `authorization_url` in `[admin.sign_in]`.";
        return Err(ApiError::new(Code::NotFound, detail).into());
    };
    context.count_stranger()?;
    let random = URL_SAFE_NO_PAD.encode(entropy::bytes::<RANDOM_BYTES>(context.entropy));
    let attempt = Attempt::of(&random);
    let redirect_uri =
        redirect_uri(context.call.origin.as_deref().unwrap_or_default(), context.policy.admin.page);
    let challenge = attempt.challenge();
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", flow.client_id),
        ("redirect_uri", &redirect_uri),
        ("scope", flow.scopes),
        ("state", &attempt.state),
        ("nonce", &attempt.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    if asks == Some(true) {
        fields.extend([("prompt", "login"), ("max_age", "0")]);
    }
    let joint = if flow.authorization_url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}{}", flow.authorization_url, form::fields(&fields));
    let cookie = cookie::set(COOKIE, &random, LIFE, SameSite::Strict);
    Ok(Outcome::ok(object!({ "url": url })).header("Set-Cookie", cookie))
}

/// `Set-Cookie` once an attempt has come to its end.
pub fn clear_cookie() -> String {
    cookie::clear(COOKIE, SameSite::Strict)
}

/// What a browser has come back with, if it is what it was sent away for. `cookies`: its `Cookie` header.
///
/// # Errors
/// VALIDATION_FAILED for a code that is none; INVALID_CREDENTIALS if another browser, or nobody, has begun this attempt.
pub fn grant(cookies: &str, code: &str, state: &str, redirect_uri: String) -> Result<Grant, ApiError> {
    if code.is_empty() || code.len() > LONGEST_CODE || !code.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let message =
            format!("must be as the issuer sent it: 1 to {LONGEST_CODE} printable ASCII characters");
        return Err(ApiError::field("code", message));
    }
    let random = cookie::value(cookies, COOKIE).ok().flatten();
    let is_whole = |random: &&str| URL_SAFE_NO_PAD.decode(random).is_ok_and(|it| it.len() == RANDOM_BYTES);
    let attempt = random.filter(is_whole).map(Attempt::of);
    match attempt.filter(|attempt| bool::from(attempt.state.as_bytes().ct_eq(state.as_bytes()))) {
        Some(Attempt { nonce, verifier, .. }) => {
            Ok(Grant { code: Secret::new(code), redirect_uri, nonce, verifier: Secret::new(verifier) })
        }
        None => {
            let detail = "This sign-in was not begun in this browser, or more than ten minutes ago, or another one was \
                          begun since. Begin again.";
            Err(ApiError::new(Code::InvalidCredentials, detail))
        }
    }
}
