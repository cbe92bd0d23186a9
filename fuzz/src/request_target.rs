//! URLs as the platform gives them, what a policy does with them, and `Destination` (RFC 4918).
//!
//! Input: lines with method, URL and destination.

use keyward_core::{
    request_target::RequestTarget,
    route::{RouteMatch, builtin_route, match_route, stays_on_route},
};
use keyward_gate::{denial::Denial, refusal};
use keyward_policy::path::normalise;
use url::{Position, Url};

use crate::support::{assert_sendable, is_field_value, lines, policy, text};

pub fn run(data: &[u8]) {
    let text = text(data);
    let ([method, url, destination], _) = lines(&text);
    let raw = RequestTarget::of(url);
    assert!(raw.path.starts_with('/') && raw.path_and_query.len() <= url.len().max(1));
    let given = url.split('#').next().unwrap_or_default();
    assert!(format!("{}{}", raw.origin, raw.path_and_query).starts_with(given), "a part of {url:?} is lost");
    decided(method, raw);

    // What the platform gives is a URL that it has read and written itself.
    let Ok(read) = Url::parse(url) else { return };
    if !matches!(read.scheme(), "http" | "https") {
        return;
    }
    let target = RequestTarget::of(read.as_str());
    assert_eq!(target.scheme, read.scheme());
    assert_eq!(target.host, read.host_str().unwrap_or_default());
    assert_eq!((target.path, target.query), (read.path(), read.query().unwrap_or_default()));
    assert_eq!(target.path_and_query, &read[Position::BeforePath..Position::AfterQuery]);
    if read.username().is_empty() && read.password().is_none() {
        assert_eq!(target.origin, read.origin().ascii_serialization());
    } else {
        assert!(
            match_route(policy(), method, target, false).is_err(),
            "user information names no host: {url:?}"
        );
    }
    decided(method, target);
    if let Ok(RouteMatch::Route(realm, route)) = match_route(policy(), method, target, false)
        && stays_on_route(policy(), realm, route, method, target, Some(destination))
    {
        stays(method, target, destination);
    }
}

fn decided(method: &str, target: RequestTarget<'_>) {
    let own = builtin_route(policy(), target);
    for is_preflight in [true, false] {
        match match_route(policy(), method, target, is_preflight) {
            Ok(plan) => {
                let host = target.host.bytes();
                assert!(host.clone().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)));
                assert!(host.count() > 0, "a request without a host passes");
                let path = normalise(target.path).expect("what passes is read in one way");
                assert!(plan.realm().paths.iter().any(|pattern| pattern.matches(&path)));
                let RouteMatch::Route(_, route) = plan else { continue };
                assert!(own.is_none(), "{:?} is the gate's own, and a realm's too", target.path);
                assert!(route.path.matches(&path) && route.methods().contains(&method));
            }
            Err((realm, denial)) => {
                let answer = refusal::refuse(&Denial::from(denial), realm, "0123");
                assert_sendable(answer.headers.iter().map(|(name, value)| (*name, value.as_str())));
                serde_json::from_str::<serde_json::Value>(&answer.body).expect("a refusal is JSON");
                assert!(answer.body.len() < 2_000, "{} bytes", answer.body.len());
            }
        }
    }
}

/// A server that reads the destination as the WHATWG's URLs are read is led to the same route.
fn stays(method: &str, target: RequestTarget<'_>, destination: &str) {
    if !matches!(method, "COPY" | "MOVE") || !is_field_value(destination) {
        return;
    }
    let base = Url::parse(&format!("{}{}", target.origin, target.path_and_query)).expect("it was planned");
    let led = base.join(destination.trim()).unwrap_or_else(|error| panic!("{destination:?}: {error}"));
    assert_eq!(led.origin(), base.origin(), "{destination:?} leads elsewhere");
    let [from, to] = [&base, &led]
        .map(|url| match_route(policy(), method, RequestTarget::of(url.as_str()), false).map_err(|_| ()));
    match (from, to) {
        (Ok(RouteMatch::Route(_, from)), Ok(RouteMatch::Route(_, to))) => {
            assert!(std::ptr::eq(from, to), "{destination:?}")
        }
        (from, to) => panic!("{destination:?} leads from {:?} to {:?}", from.is_ok(), to.is_ok()),
    }
}
