//! What a request's head says: which requests a browser may have been tricked into, and where the credential stands.

use keyward_core::{
    cookie::{self, Repeated, SESSION_COOKIE},
    secret::{Secret, Secrets},
};

use crate::{
    admin_call::AdminCredential,
    error::{ApiError, Code},
    front::body::too_large,
    sessions::token::{self, TOKEN_PREFIX},
};

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
    /// `If-Match`
    pub if_match: Option<String>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<String>,
    /// The header of the proxy that the policy names, with a token to sign in with
    pub assertion: Option<String>,
    /// `Github-Public-Key-Identifier` and `Github-Public-Key-Signature`
    pub report: [Option<String>; 2],
    /// `User-Agent`
    pub user_agent: Option<String>,
}

/// What was shown to be let in.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing.
    None,
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
/// As [`require_same_origin`], [`require_declared_size`], [`credential`] and [`require_server`].
pub fn judge(method: &str, own: &str, head: &Head, most: usize) -> Result<Credential, ApiError> {
    require_same_origin(method, own, head)?;
    require_declared_size(head, most)?;
    let shown = credential(head)?;
    require_server(own, head, &shown)?;
    Ok(shown)
}

/// Finds the credential.
///
/// # Errors
/// INVALID_REQUEST for two that differ, an API key beside the session's cookie, a repeated one, or another scheme than
/// Bearer (RFC 6750, 2.1) and Setup, which is our own.
pub fn credential(head: &Head) -> Result<Credential, ApiError> {
    let bearer = match authorization(head) {
        None => None,
        Some(value) => {
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            let token = token.trim();
            let plain =
                !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
            if scheme.eq_ignore_ascii_case("Setup") && plain && session_cookie(head)?.is_none() {
                return Ok(Credential::SetUp(Secret::new(token)));
            }
            if !scheme.eq_ignore_ascii_case("Bearer") || !plain {
                let detail = "Authorization must be `Bearer`, one space, and one session token or API key.";
                return Err(ApiError::new(Code::InvalidRequest, detail));
            }
            Some(token)
        }
    };
    let cookie = session_cookie(head)?;
    match (bearer, cookie) {
        (Some(bearer), Some(cookie)) if bearer != cookie || !bearer.starts_with(TOKEN_PREFIX) => {
            let detail = "The cookie and the Authorization header hold two different credentials, or an API key stands in a \
                          cookie. Send one, a key as `Authorization: Bearer`.";
            Err(ApiError::new(Code::InvalidRequest, detail))
        }
        (Some(token), _) if !token.starts_with(TOKEN_PREFIX) => Ok(Credential::Key(Secret::new(token))),
        (Some(token), _) | (None, Some(token)) => Ok(Credential::Session(Secret::new(token))),
        (None, None) => Ok(Credential::None),
    }
}

/// The `Authorization` header's value. An empty one is none.
fn authorization(head: &Head) -> Option<&str> {
    head.authorization.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The session cookie's value.
fn session_cookie(head: &Head) -> Result<Option<&str>, ApiError> {
    cookie::value(head.cookie.as_deref().unwrap_or_default(), SESSION_COOKIE).map_err(|Repeated| {
        ApiError::new(Code::InvalidRequest, format!("The cookie {SESSION_COOKIE} stands there twice."))
    })
}

/// Refuses a write that a browser sends from another site: whenever it says so, and also when it
/// does not say that it comes from this origin although it carries the cookie. `own` is the origin
/// that the request was sent to.
///
/// # Errors
/// CROSS_SITE
pub fn require_same_origin(method: &str, own: &str, head: &Head) -> Result<(), ApiError> {
    if matches!(method, "GET" | "HEAD") {
        return Ok(());
    }
    let site = head.fetch_site.as_deref();
    // `none`: typed by the person, which no other site can cause.
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none")
        || head.origin.as_deref().is_some_and(|origin| origin != own);
    let by_cookie = authorization(head).is_none() && matches!(session_cookie(head), Ok(Some(_)) | Err(_));
    if (foreign || by_cookie) && !is_from_own_page(own, head) {
        let detail = "A browser sent this from another site, or does not say from where. \
                      Scripts send `Authorization: Bearer` with the session token instead of the cookie.";
        return Err(ApiError::new(Code::CrossSite, detail));
    }
    Ok(())
}

/// Whether the browser says that a page of this origin sends it.
pub fn is_from_own_page(own: &str, head: &Head) -> bool {
    head.fetch_site.as_deref() == Some("same-origin") || head.origin.as_deref() == Some(own)
}

/// Refuses an API key that a web page sends: a page's keys can be read by everybody who sees it, and this API manages
/// others. A browser says with `Origin` or `Sec-Fetch-Site` that it is one; that either is this host's own must be said
/// by both, since of the two a script of a page can leave neither out nor change it.
///
/// # Errors
/// CROSS_SITE
pub fn require_server(own: &str, head: &Head, shown: &Credential) -> Result<(), ApiError> {
    let foreign = head.origin.as_deref().is_some_and(|origin| origin != own)
        || head.fetch_site.as_deref().is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if !foreign || !matches!(shown, Credential::Key(_)) {
        return Ok(());
    }
    let detail = "A web page of another origin sent an API key. The admin API takes keys from servers and scripts, \
                  which send no Origin; replace a key that stands in a page.";
    Err(ApiError::new(Code::CrossSite, detail))
}

/// Refuses a body that its own header declares larger than `most`.
///
/// # Errors
/// BODY_TOO_LARGE
pub fn require_declared_size(head: &Head, most: usize) -> Result<(), ApiError> {
    let declared = head.content_length.as_deref().and_then(|length| length.trim().parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) { Err(too_large(most)) } else { Ok(()) }
}

/// What may show that an operator asks, of a request that is judged: neither a key, which is nobody, nor a session that we
/// did not make is worth a question.
pub fn of_operator(shown: Credential, secrets: Option<&Secrets>) -> Option<AdminCredential> {
    match shown {
        Credential::SetUp(token) => Some(AdminCredential::SetUp { token: token.expose().to_owned() }),
        Credential::Session(token)
            if secrets.is_some_and(|secrets| token::is_our_token(secrets, token.expose())) =>
        {
            Some(AdminCredential::Session { token: token.expose().to_owned() })
        }
        Credential::Session(_) | Credential::Key(_) | Credential::None => None,
    }
}

/// As much of a `User-Agent` as is kept, for people to know their own by: characters that can be seen.
pub fn agent(header: Option<&str>) -> Option<String> {
    const LONGEST: usize = 160;
    let shown: String = header?.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST).collect();
    (!shown.trim().is_empty()).then(|| shown.trim().to_owned())
}
