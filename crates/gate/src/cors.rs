//! The CORS protocol of the Fetch standard: answers to preflights, and what browsers of other
//! origins may read. Keys are not cookies, so credentials mode is never allowed.

use keyward_policy::{Cors, origin};

/// What a browser may read of an answer beside the header fields that it always may.
const EXPOSED: &str = "WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, \
                       X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, Keyward-Request-Id";

/// Whether this is a CORS-preflight request. An OPTIONS request without these fields is one like any other.
pub fn is_preflight(method: &str, origin: Option<&str>, requested_method: Option<&str>) -> bool {
    method == "OPTIONS" && origin.is_some() && requested_method.is_some()
}

/// What an answer says to browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `Access-Control-Allow-Origin`
    pub allowed: Option<String>,
    /// `Access-Control-Expose-Headers`
    pub exposed: Option<&'static str>,
    /// What caches have to tell such answers apart by.
    pub vary: Option<&'static str>,
}

/// The fields of an answer to a request with this `Origin`, or with none: a cache that keeps an answer may give
/// it to either ("CORS protocol and HTTP caches"). So where every origin may read, each answer says so; where
/// some may, each answer varies.
pub fn fields(cors: &Cors, origin: Option<&str>) -> Fields {
    if cors.origins.contains(&"*") {
        return Fields { allowed: Some("*".to_owned()), exposed: Some(EXPOSED), vary: None };
    }
    let is_listed = |origin: &&str| cors.origins.iter().any(|listed| origin::is_within(listed, origin));
    let allowed = origin.filter(is_listed).map(str::to_owned);
    Fields { exposed: allowed.is_some().then_some(EXPOSED), allowed, vary: Some("Origin") }
}

/// Header fields of the answer to a preflight. Without `Access-Control-Allow-Origin` the browser refuses, which is
/// what an origin that is not listed gets.
pub fn preflight_headers(cors: &Cors, origin: &str) -> Vec<(&'static str, String)> {
    let Fields { allowed, vary, .. } = fields(cors, Some(origin));
    let mut headers: Vec<_> = vary.map(|name| ("Vary", name.to_owned())).into_iter().collect();
    if let Some(allowed) = allowed {
        headers.push(("Access-Control-Allow-Origin", allowed));
        headers.push(("Access-Control-Allow-Methods", cors.methods.join(", ")));
        // Named one by one: `*` does not cover Authorization.
        headers.push(("Access-Control-Allow-Headers", cors.headers.join(", ")));
        headers.push(("Access-Control-Max-Age", cors.max_age.whole_secs().to_string()));
    }
    headers
}

/// Header fields of an answer of the gate's own.
pub fn response_headers(cors: Option<&Cors>, origin: Option<&str>) -> Vec<(&'static str, String)> {
    let Some(cors) = cors else { return Vec::new() };
    let Fields { allowed, exposed, vary } = fields(cors, origin);
    let exposed = exposed.map(|names| ("Access-Control-Expose-Headers", names.to_owned()));
    let vary = vary.map(|name| ("Vary", name.to_owned()));
    allowed
        .map(|origin| ("Access-Control-Allow-Origin", origin))
        .into_iter()
        .chain(exposed)
        .chain(vary)
        .collect()
}
