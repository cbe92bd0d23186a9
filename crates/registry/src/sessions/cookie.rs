//! The session's cookie.

use keyward_core::{
    cookie::{self, SESSION_COOKIE, SameSite},
    time::Span,
};

/// `Set-Cookie` for a new session.
pub fn set_cookie(token: &str, life: Span) -> String {
    cookie::set(SESSION_COOKIE, token, life, SameSite::Strict)
}

/// `Set-Cookie` that ends the session in the browser.
pub fn clear_cookie() -> String {
    cookie::clear(SESSION_COOKIE, SameSite::Strict)
}
