//! The CORS protocol of the Fetch standard: answers to preflights, and what browsers of other
//! origins may read. Keys are not cookies, so credentials mode is never allowed.

use keyward_policy::Cors;

/// What a browser may read of an answer beside the headers that it always may.
const EXPOSED: &str = "WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id";

/// Whether this is a preflight. An OPTIONS request without these headers is a request like any other.
pub fn is_preflight(method: &str, origin: Option<&str>, requested_method: Option<&str>) -> bool {
    method == "OPTIONS" && origin.is_some() && requested_method.is_some()
}

/// Header fields of the answer to a preflight. Without them the browser refuses, which is what an
/// origin that is not listed gets.
pub fn preflight_headers(cors: Option<&Cors>, origin: &str) -> Vec<(&'static str, String)> {
    let Some(cors) = cors else { return Vec::new() };
    let mut headers = allow_origin(cors, origin);
    if cors.origins.contains(&"*") || cors.origins.contains(&origin) {
        headers.push(("Access-Control-Allow-Methods", cors.methods.join(", ")));
        // Named one by one: `*` does not cover Authorization.
        headers.push(("Access-Control-Allow-Headers", cors.headers.join(", ")));
        headers.push(("Access-Control-Max-Age", cors.max_age.to_string()));
    }
    headers
}

/// Header fields of every other answer to a request with this `Origin`.
pub fn response_headers(cors: Option<&Cors>, origin: Option<&str>) -> Vec<(&'static str, String)> {
    let (Some(cors), Some(origin)) = (cors, origin) else { return Vec::new() };
    let mut headers = allow_origin(cors, origin);
    if headers.iter().any(|(name, _)| *name == "Access-Control-Allow-Origin") {
        headers.push(("Access-Control-Expose-Headers", EXPOSED.to_owned()));
    }
    headers
}

fn allow_origin(cors: &Cors, origin: &str) -> Vec<(&'static str, String)> {
    if cors.origins.contains(&"*") {
        return vec![("Access-Control-Allow-Origin", "*".to_owned())];
    }
    let mut headers = vec![("Vary", "Origin".to_owned())];
    if cors.origins.contains(&origin) {
        headers.push(("Access-Control-Allow-Origin", origin.to_owned()));
    }
    headers
}
