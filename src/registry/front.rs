//! What the admin API and page decide about HTTP itself: which requests a browser may have been
//! tricked into, where the credential stands, what a body must be, and which headers answers carry.

use serde::Deserialize;

use crate::{
    cookie::{self, Repeated, SESSION_COOKIE},
    credential,
    denial::Denial,
    network,
    policy::Policy,
    refusal,
    registry::{
        error::{Code, Refusal},
        sessions::token::{self, TOKEN_PREFIX},
    },
    route::Target,
    secret::{Secret, Secrets},
    time::Timestamp,
    wire::{AdminCredential, AdminReply},
};

/// Most bytes of a body.
pub const MOST_BYTES: usize = 64 * 1024;

/// Headers of every answer of the admin API.
pub const API_HEADERS: [(&str, &str); 2] =
    [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")];

/// Headers of everything of the admin page.
pub const PAGE_HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // The page is small; what a deployment changes must show at once.
    ("Cache-Control", "no-cache"),
];

/// For a page that came over https: two years (RFC 6797).
pub const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=63072000");

/// Headers of a request that these rules look at, as the platform gives them.
#[derive(Clone, Default)]
pub struct Head {
    /// `Authorization`
    pub authorization: Option<String>,
    /// `Cookie`
    pub cookie: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Content-Length`
    pub content_length: Option<String>,
    /// `Origin`
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`
    pub fetch_site: Option<String>,
}

/// What was shown to be let in.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A session token.
    Session(Secret),
    /// The set-up token.
    SetUp(Secret),
    /// Something else, which is taken for an API key.
    Key(Secret),
}

/// Judges a request before anything of it is carried out: who sends it, how large it is, and what is shown.
///
/// # Errors
/// The answer: as [`require_same_origin`], [`require_declared_size`], [`credential`] and [`require_server`]; KEY_IN_URL
/// for a key or token in the URL.
pub fn judge(
    policy: &Policy,
    method: &str,
    target: Target<'_>,
    secrets: Option<&Secrets>,
    head: &Head,
    request_id: &str,
) -> Result<Shown, AdminReply> {
    let judged = require_same_origin(method, target.origin, head)
        .and_then(|()| require_declared_size(head))
        .and_then(|()| credential(head))
        .and_then(|shown| require_server(target.origin, head, &shown).map(|()| shown));
    let shown = judged.map_err(|refusal| refusal.reply(request_id))?;
    // Of whichever realm: it ends in logs, whether it would have counted here or not.
    if policy.realms.iter().any(|realm| credential::is_in_url(realm, target, secrets)) {
        return Err(denied(&Denial::KeyInUrl, request_id));
    }
    Ok(shown)
}

/// The answer to a key that the gate finds not to be in order.
pub fn denied(denial: &Denial, request_id: &str) -> AdminReply {
    let answer = refusal::refuse(denial, None, request_id);
    // What every answer of the admin API has.
    let own = |name: &str| !matches!(name, "Cache-Control" | "X-Request-Id");
    let headers = answer.headers.into_iter().filter(|(name, _)| own(name));
    AdminReply {
        status: answer.status,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
        body: answer.body,
    }
}

/// Finds the credential.
///
/// # Errors
/// INVALID_REQUEST for two that differ, an API key beside the session's cookie, a repeated one, or another scheme than
/// Bearer (RFC 6750, 2.1) and Setup, which is our own.
pub fn credential(head: &Head) -> Result<Shown, Refusal> {
    let bearer = match authorization(head) {
        None => None,
        Some(value) => {
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            let token = token.trim();
            let plain =
                !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
            if scheme.eq_ignore_ascii_case("Setup") && plain && session_cookie(head)?.is_none() {
                return Ok(Shown::SetUp(Secret::new(token)));
            }
            if !scheme.eq_ignore_ascii_case("Bearer") || !plain {
                let detail = "Authorization must be `Bearer`, one space, and one session token or API key.";
                return Err(Refusal::new(Code::InvalidRequest, detail));
            }
            Some(token)
        }
    };
    let cookie = session_cookie(head)?;
    match (bearer, cookie) {
        (Some(bearer), Some(cookie)) if bearer != cookie || !bearer.starts_with(TOKEN_PREFIX) => {
            let detail = "The cookie and the Authorization header hold two different credentials, or an API key stands in a \
                          cookie. Send one, a key as `Authorization: Bearer`.";
            Err(Refusal::new(Code::InvalidRequest, detail))
        }
        (Some(token), _) if !token.starts_with(TOKEN_PREFIX) => Ok(Shown::Key(Secret::new(token))),
        (Some(token), _) | (None, Some(token)) => Ok(Shown::Session(Secret::new(token))),
        (None, None) => Ok(Shown::Nothing),
    }
}

/// The `Authorization` header's value. An empty one is none.
fn authorization(head: &Head) -> Option<&str> {
    head.authorization.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The session cookie's value.
fn session_cookie(head: &Head) -> Result<Option<&str>, Refusal> {
    cookie::value(head.cookie.as_deref().unwrap_or_default(), SESSION_COOKIE).map_err(|Repeated| {
        Refusal::new(Code::InvalidRequest, format!("The cookie {SESSION_COOKIE} stands there twice."))
    })
}

/// Refuses a write that a browser sends from another site: whenever it says so, and also when it
/// does not say that it comes from this origin although it carries the cookie. `own` is the origin
/// that the request was sent to.
///
/// # Errors
/// CROSS_SITE
pub fn require_same_origin(method: &str, own: &str, head: &Head) -> Result<(), Refusal> {
    if matches!(method, "GET" | "HEAD") {
        return Ok(());
    }
    let site = head.fetch_site.as_deref();
    // `none`: typed by the person, which no other site can cause.
    let same = site == Some("same-origin") || head.origin.as_deref() == Some(own);
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none")
        || head.origin.as_deref().is_some_and(|origin| origin != own);
    let by_cookie = authorization(head).is_none() && matches!(session_cookie(head), Ok(Some(_)) | Err(_));
    if (foreign || by_cookie) && !same {
        let detail = "A browser sent this from another site, or does not say from where. \
                      Scripts send `Authorization: Bearer` with the session token instead of the cookie.";
        return Err(Refusal::new(Code::CrossSite, detail));
    }
    Ok(())
}

/// Refuses an API key that a web page sends: a page's keys can be read by everybody who sees it, and this API manages
/// others. A browser says with `Origin` or `Sec-Fetch-Site` that it is one; that either is this host's own must be said
/// by both, since of the two a script of a page can leave neither out nor change it.
///
/// # Errors
/// CROSS_SITE
pub fn require_server(own: &str, head: &Head, shown: &Shown) -> Result<(), Refusal> {
    let foreign = head.origin.as_deref().is_some_and(|origin| origin != own)
        || head.fetch_site.as_deref().is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if !foreign || !matches!(shown, Shown::Key(_)) {
        return Ok(());
    }
    let detail = "A web page of another origin sent an API key. The admin API takes keys from servers and scripts, \
                  which send no Origin; replace a key that stands in a page.";
    Err(Refusal::new(Code::CrossSite, detail))
}

/// Refuses a body that its own header declares too large.
///
/// # Errors
/// BODY_TOO_LARGE
pub fn require_declared_size(head: &Head) -> Result<(), Refusal> {
    let declared = head.content_length.as_deref().and_then(|length| length.trim().parse::<u64>().ok());
    if declared.is_some_and(|length| length > MOST_BYTES as u64) { Err(too_large()) } else { Ok(()) }
}

/// The refusal of a body that turns out too large.
pub fn too_large() -> Refusal {
    Refusal::new(Code::BodyTooLarge, format!("The admin API takes bodies of at most {MOST_BYTES} bytes."))
}

/// The refusal of a body that could not be read.
pub fn unread(denial: &Denial) -> Refusal {
    match denial {
        Denial::BodyTooLarge => too_large(),
        Denial::LateBody => Refusal::new(
            Code::RequestTimeout,
            "The body did not come in time. Send it again, without a pause.",
        ),
        Denial::Overloaded => {
            let detail = "So many calls are being read that there is no room for another one. Try again.";
            Refusal::new(Code::Overloaded, detail)
        }
        _ => Refusal::new(Code::MalformedJson, "The body broke off before its end. Send it again, whole."),
    }
}

/// The body as text, if it is declared as JSON. No body needs no declaration.
///
/// # Errors
/// UNSUPPORTED_MEDIA_TYPE; MALFORMED_JSON if it is not UTF-8.
pub fn body_text(head: &Head, bytes: Vec<u8>) -> Result<String, Refusal> {
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let declared = head.content_type.as_deref().unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "Send the body with `Content-Type: application/json`.";
        return Err(Refusal::new(Code::UnsupportedMediaType, detail));
    }
    String::from_utf8(bytes).map_err(|_| Refusal::new(Code::MalformedJson, "The body is not UTF-8."))
}

/// Whether an answer counts as a failure of the network that asked. Where nobody needs to be signed in, what is malformed
/// does too: it costs as much to read as what is right, and nobody sends it by the dozen who does not mean to. Elsewhere
/// only what the Registry was `asked`: a page that asks who is signed in, and is told that nobody is, has not failed.
pub fn is_failure(open: bool, asked: bool, status: u16) -> bool {
    if open { matches!(status, 400 | 401 | 408 | 409 | 413 | 415 | 429) } else { asked && status == 401 }
}

/// Under what a call that fails is counted, and its like are then held back: by network, apart from failures at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// For the platform's limiter.
    pub counted: String,
    /// In the isolate's memory.
    pub held_back: String,
    /// All of the site, for both, after many more: whoever has one has some ten thousand networks.
    pub site: Option<String>,
}

impl Failures {
    fn of(what: &str, address: &str) -> Self {
        let subject = format!("{what} {}", network::of(address));
        let site = network::site_of(address).map(|site| format!("{what} {site}"));
        Self { counted: subject.clone(), held_back: subject, site }
    }
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
        AdminCredential::None => None,
    }
}

/// What may show that an operator asks, of a request that is judged: neither a key, which is nobody, nor a session that we
/// did not make is worth a question.
pub fn of_operator(shown: Shown, secrets: Option<&Secrets>) -> Option<AdminCredential> {
    match shown {
        Shown::SetUp(token) => Some(AdminCredential::SetUp { token: token.expose().to_owned() }),
        Shown::Session(token)
            if secrets.is_some_and(|secrets| token::is_our_token(secrets, token.expose())) =>
        {
            Some(AdminCredential::Session { token: token.expose().to_owned() })
        }
        Shown::Session(_) | Shown::Key(_) | Shown::Nothing => None,
    }
}

/// Into how many parts failures of what is well formed are counted.
const SHARES: u32 = 16;

/// Whom a call that anybody may make slows when it fails. `body` is `None` where it could not be read.
///
/// Who signs in has proved nothing yet. A flood of failures is held back all the same, but only what no people type: failures
/// of what is well formed are counted in [`SHARES`] parts, so that it takes about as many times the limiter's number. What is
/// malformed holds back only its like.
pub fn failures_of_open(
    path: &str,
    body: Option<&str>,
    address: &str,
    request_id: &str,
    setup_token: Option<&Secret>,
) -> Option<Failures> {
    #[derive(Deserialize)]
    struct Fields {
        token: Option<String>,
        email: String,
        #[serde(rename = "password")]
        _password: String,
    }
    let fields = body.and_then(|body| serde_json::from_str::<Fields>(body).ok());
    match fields.filter(|fields| !fields.email.is_empty()) {
        None => Some(Failures::of("malformed", address)),
        Some(Fields { token: Some(token), .. })
            if path == "/setup" && setup_token.is_some_and(|own| own.equals(&token)) =>
        {
            None
        }
        Some(_) => {
            let share = request_id.bytes().fold(0, |sum: u32, byte| sum.wrapping_add(byte.into())) % SHARES;
            let Failures { held_back, .. } = Failures::of("open", address);
            // The Registry counts sites by itself, and lets those in who are known there.
            Some(Failures { counted: format!("{held_back} {share}"), held_back, site: None })
        }
    }
}

/// How long a refusal to sign in takes at least, in milliseconds: how long it took must not tell whether a password was
/// derived, or waited for, and so whether the person has signed in from this network before.
pub const REFUSED_SIGN_IN: i64 = 1_000;

/// For how many milliseconds more an answer is kept back, to a call of this path that anybody may make.
pub fn keep_back(path: &str, status: u16, arrived: Timestamp, now: Timestamp) -> u32 {
    let refused = path == "/session" && status == Code::TooManyAttempts.facts().0;
    let left = REFUSED_SIGN_IN.saturating_sub(now.0.saturating_sub(arrived.0)).clamp(0, REFUSED_SIGN_IN);
    if refused { u32::try_from(left).unwrap_or_default() } else { 0 }
}

/// As much of a `User-Agent` as is kept, for people to know their own by: characters that can be seen.
pub fn agent(header: Option<&str>) -> Option<String> {
    const LONGEST: usize = 160;
    let shown: String = header?.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST).collect();
    (!shown.trim().is_empty()).then(|| shown.trim().to_owned())
}

/// The refusal of a network that keeps failing, without asking the Registry.
pub fn held_back(retry_after_ms: u64) -> Refusal {
    let detail = "Too many failed attempts. Come back after the time in Retry-After.";
    let until = i64::try_from(retry_after_ms).unwrap_or(i64::MAX);
    Refusal::until(Code::TooManyAttempts, detail, Timestamp(0), Timestamp(until))
}

/// The same for a call of this method, which may have been carried out although no answer came.
pub fn unanswered(method: &str, may_be_repeated: bool) -> Refusal {
    let detail = match method {
        "GET" | "HEAD" => return Refusal::registry_unavailable(),
        _ if may_be_repeated => {
            "The registry did not answer, so it is not known whether this was done. Repeat it with the same \
             Idempotency-Key: that gets the key if it was made."
        }
        _ => {
            "The registry did not answer, so it is not known whether this was done. Look first, then repeat it: what is \
             changed or ended can be so twice, what is made would be made twice. A key that was made and that nobody \
             has is to be revoked; with an Idempotency-Key the repeat would get it."
        }
    };
    Refusal::new(Code::StoreUnavailable, detail)
}

/// What to answer to a request for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The file at this path.
    File,
    /// The module that tells the page what is this deployment's own: [`settings`].
    Settings,
    /// Send it to the page's beginning: relative links need the slash, and there is one name for it.
    Elsewhere,
    /// Only GET and HEAD.
    WrongMethod,
}

/// Decides that. `path` is the one below the page's base.
pub fn page(method: &str, path: &str) -> Page {
    match (method, path) {
        ("GET" | "HEAD", "" | "/index" | "/index.html") => Page::Elsewhere,
        ("GET" | "HEAD", "/settings.js") => Page::Settings,
        ("GET" | "HEAD", _) => Page::File,
        _ => Page::WrongMethod,
    }
}

/// A JavaScript module with the base of the admin API, which every policy may choose.
pub fn settings(api: &str) -> String {
    format!("export const api = {};\n", serde_json::Value::from(api))
}
