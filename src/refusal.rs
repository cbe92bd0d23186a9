//! The one place where a denial becomes an HTTP answer: status, headers, body.

use keyward_policy::{Realm, RefusalStyle};
use serde_json::json;

use crate::{
    denial::{Challenge, Denial},
    problem,
    wire::WindowState,
};

/// An HTTP answer of Keyward's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields, each name once.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: String,
}

/// The answer to a denied request. `realm` is `None` when none was found.
pub fn refuse(denial: &Denial, realm: Option<&Realm>, request_id: &str) -> Answer {
    let public = denial.public();
    let own = |list: fn(&Realm) -> Own| realm.and_then(|realm| spelling(list(realm), denial));
    let code = own(|realm| realm.refusals.codes).unwrap_or(public.code);
    let detail = own(|realm| realm.refusals.messages).unwrap_or(public.detail);
    let mut headers = vec![("Cache-Control", "no-store".to_owned()), ("X-Request-Id", request_id.to_owned())];
    if let Some(challenge) = public.challenge {
        headers.push(("WWW-Authenticate", challenge_text(challenge, denial, realm)));
    }
    if let Some(seconds) = denial.retry_after() {
        headers.push(("Retry-After", seconds.to_string()));
    }
    if let Denial::RateLimited { windows, .. } = denial {
        headers.extend(rate_limit_headers(windows));
    }
    let style = realm.map_or(RefusalStyle::Problem, |realm| realm.refusals.style);
    let (content_type, body) = match style {
        RefusalStyle::Problem => {
            (problem::CONTENT_TYPE, problem::problem(public.status, public.code, code, detail, request_id))
        }
        RefusalStyle::Json => (
            "application/json",
            json!({ "error": { "code": code, "message": detail, "requestId": request_id } }),
        ),
    };
    headers.push(("Content-Type", content_type.to_owned()));
    Answer { status: public.status, headers, body: body.to_string() }
}

/// A realm's own words for our codes and causes.
type Own = &'static [(&'static str, &'static str)];

/// The realm's own word, for the cause if it has one, else for the code.
fn spelling(list: Own, denial: &Denial) -> Option<&'static str> {
    let of = |name| list.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| *theirs);
    of(denial.cause()).or_else(|| of(denial.public().code))
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10); none for a key
/// without limits.
pub fn rate_limit_headers(windows: &[WindowState]) -> Vec<(&'static str, String)> {
    if windows.is_empty() {
        return Vec::new();
    }
    let list =
        |item: &dyn Fn(&WindowState) -> String| windows.iter().map(item).collect::<Vec<_>>().join(", ");
    let policy = list(&|state| {
        format!(
            "\"{}\";q={};w={}",
            state.window.name(),
            state.limit,
            state.window.length() / crate::time::SECOND
        )
    });
    let left = list(&|state| {
        format!("\"{}\";r={};t={}", state.window.name(), state.remaining, state.reset_ms.div_ceil(1_000))
    });
    vec![("RateLimit-Policy", policy), ("RateLimit", left)]
}

fn challenge_text(challenge: Challenge, denial: &Denial, realm: Option<&Realm>) -> String {
    let name = realm.map_or("keyward", |realm| realm.id);
    let mut text = format!("Bearer realm=\"{name}\"");
    if let Challenge::Error(error) = challenge {
        text.push_str(&format!(", error=\"{error}\""));
    }
    if let Denial::InsufficientScope { required } = denial {
        text.push_str(&format!(", scope=\"{}\"", required.join(" ")));
    }
    text
}
