//! The session's cookie.

use keyward_core::{
    cookie::{self, SESSION_COOKIE, SameSite},
    time::SECOND,
};

/// `Set-Cookie` for a new session.
pub fn set_cookie(token: &str, life_ms: i64) -> String {
    cookie::set(SESSION_COOKIE, token, life_ms / SECOND, SameSite::Strict)
}

/// `Set-Cookie` that ends the session in the browser.
pub fn clear_cookie() -> String {
    cookie::clear(SESSION_COOKIE, SameSite::Strict)
}
