//! The one place where a denial becomes an HTTP answer: status, headers, body.

use std::{borrow::Cow, cmp::Reverse, fmt::Write};

use keyward_policy::{Realm, RefusalStyle, ResetForm};
use serde_json::{Value, json};

use super::{challenge, words};
use crate::denial::Denial;
use keyward_core::{challenge::Challenge, problem, time::Timestamp};
use keyward_limits::limit::{Window, WindowState, policy_name};

/// Seconds of `Retry-After` beyond which clients that wait by themselves give up and come back at once.
const MAX_WAIT_S: u64 = 60;

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

impl Answer {
    /// To a method other than GET and HEAD, at one of Keyward's own paths.
    pub fn method_not_allowed() -> Self {
        let allow = ("Allow", "GET, HEAD".to_owned());
        let headers = Self::uncached_json().into_iter().chain([allow]).collect();
        Self { status: 405, headers, body: String::new() }
    }

    /// Header fields of JSON that holds for this moment only.
    pub fn uncached_json() -> Vec<(&'static str, String)> {
        vec![("Content-Type", "application/json".to_owned()), ("Cache-Control", "no-store".to_owned())]
    }
}

/// The code and the sentences that a client reads, in the realm's own words where it has some.
pub fn told(denial: &Denial, realm: Option<&Realm>) -> (&'static str, Cow<'static, str>) {
    let own = |list: fn(&Realm) -> Own| realm.and_then(|realm| spelling(list(realm), denial));
    let code = own(|realm| realm.refusals.codes).unwrap_or(denial.public().code);
    let detail =
        own(|realm| realm.refusals.messages).map_or_else(|| words::detail(denial, realm), Into::into);
    (code, detail)
}

/// The status that a client gets.
pub fn status(denial: &Denial, realm: Option<&Realm>) -> u16 {
    let own = realm.and_then(|realm| spelling(realm.refusals.statuses, denial));
    own.unwrap_or(denial.public().status)
}

/// The answer to a denied request. `realm` is `None` when none was found.
pub fn refuse(denial: &Denial, realm: Option<&Realm>, request_id: &str) -> Answer {
    let public = denial.public();
    let (code, detail) = told(denial, realm);
    let mut headers = vec![("Cache-Control", "no-store".to_owned()), ("X-Request-Id", request_id.to_owned())];
    let status = status(denial, realm);
    // RFC 9110, section 15.5.2.
    if let Some(challenge) = public.challenge.or((status == 401).then_some(Challenge::BARE)) {
        headers.push(("WWW-Authenticate", challenge::text(challenge, denial, realm)));
    }
    if let Denial::MethodNotAllowed { allow } = denial {
        headers.push(("Allow", allow.join(", ")));
    }
    let wait = denial.retry_after();
    if let Some(seconds) = wait {
        headers.push(("Retry-After", seconds.to_string()));
    }
    let is_limited = matches!(denial, Denial::RateLimited { .. });
    if wait.map_or(is_limited, |seconds| seconds > MAX_WAIT_S) {
        // Not a standard field: clients of several APIs obey it.
        headers.push(("X-Should-Retry", "false".to_owned()));
    }
    if let Denial::RateLimited { windows, .. } | Denial::TooManyInFlight { windows, .. } = denial {
        headers.extend(rate_limit_headers(windows));
    }
    let style = realm.map_or(RefusalStyle::Problem, |realm| realm.refusals.style);
    let (content_type, body) = match style {
        RefusalStyle::Problem => {
            let mut body = problem::problem(status, public.code, code, &detail, request_id);
            add_particulars(&mut body, denial);
            (problem::CONTENT_TYPE, body)
        }
        RefusalStyle::Json => (
            "application/json",
            json!({ "error": { "code": code, "message": detail, "requestId": request_id } }),
        ),
    };
    headers.push(("Content-Type", content_type.to_owned()));
    Answer { status, headers, body: body.to_string() }
}

/// What a program may want to know of some problems (RFC 9457, section 3.2).
fn add_particulars(body: &mut Value, denial: &Denial) {
    let (name, value) = match denial {
        Denial::InsufficientScope { required, .. } => ("requiredScopes", json!(required)),
        Denial::PlanRequired { plans } => ("requiredPlans", json!(plans)),
        Denial::RateLimited { windows, cost, .. } => {
            let full = windows.iter().filter(|state| !state.has_room(*cost)).map(WindowState::name);
            ("violatedPolicies", json!(full.collect::<Vec<_>>()))
        }
        Denial::TooManyInFlight { by_budgets: false, of_tenant, .. } => {
            ("violatedPolicies", json!([policy_name(Window::InFlight, *of_tenant)]))
        }
        _ => return,
    };
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
}

/// A realm's own words for our codes and causes.
type Own = &'static [(&'static str, &'static str)];

/// What is the realm's own, for the cause if it has one, else for the code.
fn spelling<T: Copy>(list: &[(&str, T)], denial: &Denial) -> Option<T> {
    let of = |name| list.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| *theirs);
    of(denial.cause()).or_else(|| of(denial.public().code))
}

/// `X-RateLimit-*` of the window that is nearest to its end, for clients that know no other; none where the realm does not want
/// them. What is in flight comes back at no time that is known, so it has none.
pub fn x_rate_limit_headers(
    realm: &Realm,
    windows: &[WindowState],
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let Some(form) = realm.limits.x_ratelimit else { return Vec::new() };
    let counted = windows.iter().filter(|state| !matches!(state.window, Window::InFlight | Window::Total));
    let nearest = counted.min_by_key(|state| {
        let share = u64::from(state.remaining.min(state.limit)) * 1_000_000 / u64::from(state.limit.max(1));
        (share, Reverse(state.reset))
    });
    let Some(WindowState { limit, remaining, reset, .. }) = nearest else { return Vec::new() };
    let reset = match form {
        ResetForm::Seconds => reset.secs_to_wait().to_string(),
        ResetForm::Epoch => ((now + *reset).0.div_euclid(1_000) + 1).to_string(),
    };
    vec![
        ("X-RateLimit-Limit", limit.to_string()),
        ("X-RateLimit-Remaining", remaining.min(limit).to_string()),
        ("X-RateLimit-Reset", reset),
    ]
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): the same windows in the
/// same order; none for a key without limits. A month has no `w`, since months differ; a total has neither that nor a `t`.
pub fn rate_limit_headers(windows: &[WindowState]) -> Vec<(&'static str, String)> {
    if windows.is_empty() {
        return Vec::new();
    }
    let (mut policy, mut left) = (String::new(), String::new());
    for state in windows {
        let comma = if policy.is_empty() { "" } else { ", " };
        let (name, limit) = (state.name(), state.limit);
        let remaining = state.remaining.min(limit);
        // Less than a second, or not known any more: where something is used up, it is not now.
        let reset = state.reset.secs_to_wait().max(u64::from(remaining < limit));
        // Writing to a string cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={limit}");
        let _ = write!(left, "{comma}\"{name}\";r={remaining}");
        if let Some(length) = state.window.length() {
            let _ = write!(policy, ";w={}", length.whole_secs());
        }
        if state.window != Window::Total {
            let _ = write!(left, ";t={reset}");
        }
    }
    vec![("RateLimit-Policy", policy), ("RateLimit", left)]
}
