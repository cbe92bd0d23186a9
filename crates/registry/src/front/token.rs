//! What somebody shows to sign in through the issuer, in place of a password, and where it stands.

use keyward_core::{secret::Secret, sign_in_token::Shown};
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Code},
    front::request::{Head, is_from_own_page},
    router::{self, STEP_UP},
    sessions::code,
};

/// What a call shows: a token or a code in its body, or else a token in the header that a proxy adds to every request of a browser,
/// unless the body has a password or a passkey. `own` is the origin that the request was sent to; `redirect_uri`, if codes are
/// taken, where the issuer sends browsers with one.
///
/// # Errors
/// CROSS_SITE for a code, or a token in the header, if the browser does not say that the call comes from the page: the proxy
/// knows people by a cookie, which browsers send along with calls of other sites, too. What is wrong with a code.
pub fn token(
    method: &str,
    path: &str,
    body: &str,
    own: &str,
    redirect_uri: Option<String>,
    head: &Head,
) -> Result<Option<Shown>, ApiError> {
    let Some(field) = router::token_field(method, path) else { return Ok(None) };
    let fields = if body.trim().is_empty() { Ok(Map::new()) } else { keyward_json::from_str(body) };
    // What is wrong with it, the Registry says.
    let Ok(fields): Result<Map<String, Value>, _> = fields else { return Ok(None) };
    if let Some(token) = fields.get(field) {
        return Ok(token.as_str().map(|token| Shown::Token(Secret::new(token))));
    }
    if ["password", "passkey"].iter().any(|name| fields.contains_key(*name)) {
        return Ok(None);
    }
    let [code, state] = ["code", "state"].map(|name| fields.get(name));
    if code.is_some() || state.is_some() {
        let [code, state] = [code, state].map(|value| value.and_then(Value::as_str));
        let (Some(code), Some(state), Some(redirect_uri)) = (code, state, redirect_uri) else {
            return Ok(None);
        };
        require_page(own, head, "a cookie")?;
        let grant = code::grant(head.cookie.as_deref().unwrap_or_default(), code, state, redirect_uri)?;
        return Ok(Some(Shown::Grant { grant, is_fresh: path == STEP_UP }));
    }
    let Some(assertion) = head.assertion.as_deref() else { return Ok(None) };
    require_page(own, head, "the header of a proxy")?;
    Ok(Some(Shown::Token(Secret::new(assertion))))
}

fn require_page(own: &str, head: &Head, with: &str) -> Result<(), ApiError> {
    if is_from_own_page(own, head) {
        return Ok(());
    }
    let detail = format!(
        "This signs in with {with}, so a browser has to say that it comes from this origin. Scripts send the token in \
         the body."
    );
    Err(ApiError::new(Code::CrossSite, detail))
}
