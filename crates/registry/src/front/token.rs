//! Where the token stands that somebody shows to sign in, in place of a password.

use keyward_core::secret::Secret;
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Code},
    front::request::{Head, is_from_own_page},
    router,
};

/// The token that a call shows: in its body, or else in the header that a proxy adds to every request of a browser, unless
/// the body has a password or a passkey. `own` is the origin that the request was sent to.
///
/// # Errors
/// CROSS_SITE for one in the header if the browser does not say that the call comes from the page: the proxy knows people by a
/// cookie, which browsers send along with calls of other sites, too.
pub fn token(
    method: &str,
    path: &str,
    body: &str,
    own: &str,
    head: &Head,
) -> Result<Option<Secret>, ApiError> {
    let Some(field) = router::token_field(method, path) else { return Ok(None) };
    let fields = if body.trim().is_empty() { Ok(Map::new()) } else { keyward_json::from_str(body) };
    // What is wrong with it, the Registry says.
    let Ok(fields): Result<Map<String, Value>, _> = fields else { return Ok(None) };
    if let Some(token) = fields.get(field) {
        return Ok(token.as_str().map(Secret::new));
    }
    let shows_another = ["password", "passkey"].iter().any(|name| fields.contains_key(*name));
    let Some(assertion) = head.assertion.as_deref().filter(|_| !shows_another) else {
        return Ok(None);
    };
    if !is_from_own_page(own, head) {
        let detail = "This signs in with the header of a proxy, so a browser has to say that it comes from this \
                      origin. Scripts send the token in the body.";
        return Err(ApiError::new(Code::CrossSite, detail));
    }
    Ok(Some(Secret::new(assertion)))
}
