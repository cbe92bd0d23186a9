//! Which realm, which route, what is Keyward's own; and the CORS protocol.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward::{
    cors,
    denial::Denial,
    policy::{Cors, POLICY, Requirement},
    route::{Plan, Side, Target, plan, side},
};

fn planned(method: &str, url: &str) -> Result<&'static str, Denial> {
    match plan(&POLICY, method, Target::of(url), false) {
        Ok(Plan::Route(_, route)) => match &route.requires {
            Requirement::Public => Ok("public"),
            Requirement::Key(requirement) => Ok(requirement.scopes[0]),
            Requirement::Webhook(_) => panic!("the default policy has none"),
        },
        Ok(Plan::Preflight(_)) => panic!("not asked for"),
        Err((_, denial)) => Err(denial),
    }
}

#[test]
fn the_default_policy_is_the_documented_one() {
    for (method, path, expected) in [
        ("GET", "/api/orders", Ok("orders:read")),
        ("HEAD", "/api/orders/7?x=1", Ok("orders:read")),
        ("POST", "/api/orders", Ok("orders:write")),
        ("DELETE", "/api/orders/7", Ok("orders:write")),
        ("GET", "/api/public/x", Ok("public")),
        ("POST", "/api/public/x", Ok("public")),
        ("OPTIONS", "/api/orders", Err(Denial::NoRoute)),
        ("GET", "/api/other", Err(Denial::NoRoute)),
        ("GET", "/api/Orders", Err(Denial::NoRoute)),
        ("get", "/api/orders", Err(Denial::NoRoute)),
        ("GET", "/", Err(Denial::NoRealm)),
        ("GET", "/apis/orders", Err(Denial::NoRealm)),
    ] {
        assert_eq!(planned(method, &format!("https://gate.example{path}")), expected, "{method} {path}");
    }
}

#[test]
fn a_path_that_an_origin_may_read_in_another_way_is_refused_before_any_route() {
    for path in [
        "/api/public/..%2forders",
        "/api/public/%2e%2e/orders",
        "/api/public/..%5corders",
        "/api/public/..;/orders",
        "/api/public/%252e%252e%252forders",
        "/api/public/x%00",
        "/api/public/%zz",
        "/api/public/../orders",
    ] {
        assert_eq!(
            planned("GET", &format!("https://gate.example{path}")),
            Err(Denial::AmbiguousPath),
            "{path}"
        );
    }
    assert_eq!(
        planned("GET", "https://gate.example/api/%6frders"),
        Ok("orders:read"),
        "the same path in other bytes"
    );
}

#[test]
fn what_is_no_host_is_refused_before_any_realm() {
    for host in ["", "a b", "a,b", "%00", "exämple", "[::1", "[x]", ":80"] {
        let url = format!("https://{host}/api/public/x");
        assert_eq!(planned("GET", &url), Err(Denial::InvalidHost), "{host}");
    }
    for host in ["gate.example", "GATE.example.", "127.0.0.1:8787", "[2001:db8::1]", "[::1]:8787", "a_b-c"] {
        assert_eq!(planned("GET", &format!("https://{host}/api/orders")), Ok("orders:read"), "{host}");
    }
}

#[test]
fn a_url_is_taken_apart_as_it_is_written() {
    let target = Target::of("https://Gate.example:8443/a%20b/?x=1&y=%2F?z");
    assert_eq!(
        (target.scheme, target.host, target.origin),
        ("https", "Gate.example", "https://Gate.example:8443")
    );
    assert_eq!((target.path, target.query), ("/a%20b/", "x=1&y=%2F?z"));
    assert_eq!(target.path_and_query(), "/a%20b/?x=1&y=%2F?z");
    let bare = Target::of("http://[::1]:8787?q");
    assert_eq!((bare.host, bare.path, bare.query), ("[::1]", "/", "q"));
    assert_eq!(Target::of("http://u:p@h.example/x#frag").host, "h.example");
    assert_eq!(Target::of("http://h.example/x#frag").path, "/x");
    assert_eq!(Target::of("http://h.example/x").path_and_query(), "/x");
}

#[test]
fn keywards_own_paths_are_known_and_nothing_that_only_begins_like_them() {
    assert_eq!(side(&POLICY, "/healthz"), Some(Side::Health));
    assert_eq!(side(&POLICY, "/api/admin/api-keys"), Some(Side::Admin { path: "/api-keys" }));
    assert_eq!(side(&POLICY, "/api/admin"), Some(Side::Admin { path: "" }));
    assert_eq!(side(&POLICY, "/admin/"), Some(Side::Page { path: "/" }));
    for path in ["/healthz/", "/api/administrator", "/adminx", "/", "/api/orders"] {
        assert_eq!(side(&POLICY, path), None, "{path}");
    }
}

const LISTED: Cors = Cors {
    origins: &["https://app.example"],
    methods: &["GET", "POST"],
    headers: &["authorization"],
    max_age: 600,
};

fn field(fields: &[(&'static str, String)], name: &str) -> Option<String> {
    fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone())
}

#[test]
fn only_options_with_both_headers_is_a_preflight() {
    assert!(cors::is_preflight("OPTIONS", Some("https://app.example"), Some("POST")));
    assert!(!cors::is_preflight("OPTIONS", Some("https://app.example"), None));
    assert!(!cors::is_preflight("OPTIONS", None, Some("POST")));
    assert!(!cors::is_preflight("GET", Some("https://app.example"), Some("POST")));
}

#[test]
fn a_preflight_from_a_listed_origin_is_allowed_and_from_another_is_not() {
    let allowed = cors::preflight_headers(Some(&LISTED), "https://app.example");
    assert_eq!(field(&allowed, "Access-Control-Allow-Origin").as_deref(), Some("https://app.example"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Headers").as_deref(), Some("authorization"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Methods").as_deref(), Some("GET, POST"));
    assert_eq!(field(&allowed, "Access-Control-Max-Age").as_deref(), Some("600"));
    assert_eq!(field(&allowed, "Vary").as_deref(), Some("Origin"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Credentials"), None);
    let refused = cors::preflight_headers(Some(&LISTED), "https://evil.example");
    assert_eq!(refused, [("Vary", "Origin".to_owned())]);
    assert_eq!(cors::preflight_headers(None, "https://app.example"), []);
}

#[test]
fn what_a_browser_may_read_is_named_on_every_answer() {
    let fields = cors::response_headers(Some(&LISTED), Some("https://app.example"));
    let exposed = field(&fields, "Access-Control-Expose-Headers").unwrap();
    for name in ["WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"] {
        assert!(exposed.contains(name));
    }
    assert_eq!(cors::response_headers(Some(&LISTED), None), []);
    assert_eq!(
        field(
            &cors::response_headers(Some(&LISTED), Some("https://evil.example")),
            "Access-Control-Expose-Headers"
        ),
        None
    );
}
