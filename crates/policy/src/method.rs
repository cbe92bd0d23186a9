//! Methods that pass. TRACE sends a request back with its headers, credentials among them, and CONNECT asks for a
//! tunnel: neither passes anywhere.

use crate::model::Route;

/// Methods of RFC 9110 and PATCH (RFC 5789): what a route takes that names none.
pub const USUAL: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Methods that a route takes only if it names them: those of WebDAV and its kin, and of others that the
/// platform knows. It answers every other method itself.
pub const NAMED: &[&str] = &[
    "ACL",
    "CHECKOUT",
    "COPY",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCOL",
    "MOVE",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// The method, if it is one that can pass or that RFC 9110 has; any other is `_OTHER`, as OpenTelemetry's HTTP conventions
/// have it: clients choose it.
pub fn name(method: &str) -> &'static str {
    let known = USUAL.iter().chain(NAMED).chain(&["CONNECT", "TRACE"]);
    known.into_iter().find(|known| **known == method).copied().unwrap_or("_OTHER")
}

impl Route {
    /// The methods that it takes. GET does not imply HEAD.
    pub fn methods(&self) -> &'static [&'static str] {
        if self.methods.is_empty() { USUAL } else { self.methods }
    }
}
