//! Cookies of the gate's own (RFC 6265bis): for this host only, out of reach of scripts.

use crate::time::Span;

/// The session's cookie. `__Host-`: only from this host, only over a secure connection (RFC 6265bis, 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-keyward-session";

/// When a browser sends a cookie along with a request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the person goes there: a link in a mail must find its session.
    Lax,
}

/// The cookie stands there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// The one value of a cookie in a `Cookie` header. An empty one is none.
///
/// # Errors
/// [`Repeated`]: which one a server takes is not specified, so neither is taken.
pub fn value<'a>(header: &'a str, name: &str) -> Result<Option<&'a str>, Repeated> {
    // A comma is where the platform joined two `Cookie` fields; no value of ours has one.
    let pairs = header.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(own, value)| *own == name && !value.is_empty()).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Repeated),
        (value, None) => Ok(value),
    }
}

/// `Set-Cookie`, for whole seconds.
pub fn set(name: &str, value: &str, life: Span, same_site: SameSite) -> String {
    let same_site = match same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
    };
    let life = life.whole_secs();
    format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; Secure; SameSite={same_site}")
}

/// `Set-Cookie` that takes it away.
pub fn clear(name: &str, same_site: SameSite) -> String {
    set(name, "", Span::ZERO, same_site)
}
