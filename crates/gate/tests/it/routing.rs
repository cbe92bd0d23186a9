//! Which realm, which route, what is Keyward's own; and the CORS protocol.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use keyward_core::{
    request_target::RequestTarget,
    route::{self, BuiltinRoute, NoMatch, RouteMatch, builtin_route, match_route},
};
use keyward_gate::cors;
use keyward_policy::{Cors, Policy, Realm, Requirement, Span, compile, path::Ambiguous};
use keyward_testing::policy::POLICY;

fn planned(method: &str, url: &str) -> Result<&'static str, NoMatch> {
    match match_route(&POLICY, method, RequestTarget::of(url), false) {
        Ok(RouteMatch::Route(_, route)) => match &route.requires {
            Requirement::Public => Ok("public"),
            Requirement::Key(requirement) => Ok(requirement.scopes[0]),
            Requirement::Webhook(_) => panic!("the default policy has none"),
        },
        Ok(RouteMatch::Preflight(..)) => panic!("not asked for"),
        Err((_, denial)) => Err(denial),
    }
}

#[test]
fn the_default_policy_is_the_documented_one() {
    let allow = vec!["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
    let not_this_method = Err(NoMatch::MethodNotAllowed { allow });
    for (method, path, expected) in [
        ("GET", "/api/orders", Ok("orders:read")),
        ("HEAD", "/api/orders/7?x=1", Ok("orders:read")),
        ("POST", "/api/orders", Ok("orders:write")),
        ("DELETE", "/api/orders/7", Ok("orders:write")),
        ("GET", "/api/public/x", Ok("public")),
        ("POST", "/api/public/x", Ok("public")),
        ("OPTIONS", "/api/orders", not_this_method.clone()),
        ("GET", "/api/other", Err(NoMatch::NoRoute)),
        ("GET", "/api/Orders", Err(NoMatch::NoRoute)),
        ("get", "/api/orders", not_this_method),
        ("GET", "/", Err(NoMatch::NoRealm)),
        ("GET", "/apis/orders", Err(NoMatch::NoRealm)),
    ] {
        assert_eq!(planned(method, &format!("https://gate.example{path}")), expected, "{method} {path}");
    }
}

#[test]
fn a_path_that_an_origin_may_read_in_another_way_is_refused_before_any_route() {
    for (path, why) in [
        ("/api/public/..%2forders", Ambiguous::EncodedSlash),
        ("/api/public/%2e%2e/orders", Ambiguous::DotSegment),
        ("/api/public/..%5corders", Ambiguous::Backslash),
        ("/api/public/..;/orders", Ambiguous::DotSegment),
        ("/api/public/%252e%252e%252forders", Ambiguous::DoubleEncoding),
        ("/api/public/x%00", Ambiguous::Control),
        ("/api/public/%zz", Ambiguous::Percent),
        ("/api/public/../orders", Ambiguous::DotSegment),
    ] {
        assert_eq!(
            planned("GET", &format!("https://gate.example{path}")),
            Err(NoMatch::AmbiguousPath(why)),
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
fn an_ambiguous_path_is_refused_in_the_style_of_the_realm_that_it_seems_to_be_of() {
    let realm =
        |url| match_route(&POLICY, "GET", RequestTarget::of(url), false).unwrap_err().0.map(|realm| realm.id);
    assert_eq!(realm("https://gate.example/api/orders/%2F"), Some("default"));
    assert_eq!(realm("https://gate.example/other/%2F"), None);
}

#[test]
fn what_is_no_host_is_refused_before_any_realm() {
    for host in [
        "",
        "a b",
        "a,b",
        "%00",
        "exämple",
        "[::1",
        "[x]",
        ":80",
        "user@gate.example",
        "u:p@gate.example",
        "@gate.example",
        "gate.example:99999",
        "gate.example:65536",
        "gate.example:-1",
        "gate.example:8o",
        "gate.example:80:80",
        "[::1]:99999",
    ] {
        let url = format!("https://{host}/api/public/x");
        assert_eq!(planned("GET", &url), Err(NoMatch::InvalidHost), "{host}");
        for own in ["/healthz", "/admin/", "/api/admin/session"] {
            let url = format!("https://{host}{own}");
            assert_eq!(builtin_route(&POLICY, RequestTarget::of(&url)), None, "{url}");
        }
    }
    for host in [
        "gate.example",
        "GATE.example.",
        "127.0.0.1:8787",
        "[2001:db8::1]",
        "[::1]:8787",
        "a_b-c",
        "gate.example:",
        "gate.example:65535",
    ] {
        assert_eq!(planned("GET", &format!("https://{host}/api/orders")), Ok("orders:read"), "{host}");
    }
}

#[test]
fn a_url_is_taken_apart_as_it_is_written() {
    let target = RequestTarget::of("https://Gate.example:8443/a%20b/?x=1&y=%2F?z");
    assert_eq!(
        (target.scheme, target.host, target.origin),
        ("https", "Gate.example", "https://Gate.example:8443")
    );
    assert_eq!((target.path, target.query), ("/a%20b/", "x=1&y=%2F?z"));
    assert_eq!(target.path_and_query, "/a%20b/?x=1&y=%2F?z");
    assert_eq!(target.authority(), "Gate.example:8443");
    let bare = RequestTarget::of("http://[::1]:8787?q");
    assert_eq!((bare.host, bare.path, bare.query), ("[::1]", "/", "q"));
    assert_eq!(RequestTarget::of("http://u:p@h.example/x#frag").host, "h.example");
    assert_eq!(RequestTarget::of("http://h.example/x#frag").path, "/x");
    for (url, path_and_query) in [
        ("http://h.example", "/"),
        ("http://h.example/x", "/x"),
        ("http://h.example/x?", "/x?"),
        ("http://h.example/?", "/?"),
        ("http://h.example/x??a", "/x??a"),
        ("http://h.example/x?a#b?c", "/x?a"),
    ] {
        assert_eq!(RequestTarget::of(url).path_and_query, path_and_query, "{url}");
    }
}

fn own(path: &str) -> Option<BuiltinRoute<'_>> {
    let url = format!("https://gate.example{path}").leak();
    builtin_route(&POLICY, RequestTarget::of(url))
}

#[test]
fn keywards_own_paths_are_known_and_nothing_that_only_begins_like_them() {
    assert_eq!(own("/healthz"), Some(BuiltinRoute::Health));
    assert_eq!(own("/readyz"), Some(BuiltinRoute::Ready));
    assert_eq!(own("/api/admin/api-keys"), Some(BuiltinRoute::Admin { path: "/api-keys" }));
    assert_eq!(own("/api/admin"), Some(BuiltinRoute::Admin { path: "" }));
    assert_eq!(own("/admin/"), Some(BuiltinRoute::Page { path: "/" }));
    assert_eq!(own("/api/admin/openapi.json"), Some(BuiltinRoute::Page { path: "/openapi.json" }));
    for path in ["/healthz/", "/readyz/x", "/api/administrator", "/adminx", "/", "/api/orders"] {
        assert_eq!(own(path), None, "{path}");
    }
}

const LISTED: Cors = Cors {
    origins: &["https://app.example"],
    methods: &["GET", "POST"],
    headers: &["authorization"],
    max_age: Span::from_mins(10),
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
    let allowed = cors::preflight_headers(&LISTED, "https://app.example");
    assert_eq!(field(&allowed, "Access-Control-Allow-Origin").as_deref(), Some("https://app.example"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Headers").as_deref(), Some("authorization"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Methods").as_deref(), Some("GET, POST"));
    assert_eq!(field(&allowed, "Access-Control-Max-Age").as_deref(), Some("600"));
    assert_eq!(field(&allowed, "Vary").as_deref(), Some("Origin"));
    assert_eq!(field(&allowed, "Access-Control-Allow-Credentials"), None);
    let refused = cors::preflight_headers(&LISTED, "https://evil.example");
    assert_eq!(refused, [("Vary", "Origin".to_owned())]);
}

#[test]
fn without_cors_a_preflight_is_a_request_like_any_other() {
    static WITHOUT: LazyLock<Policy> = LazyLock::new(|| {
        let realm = Realm { cors: None, ..POLICY.realms[0] };
        Policy { realms: Vec::leak(vec![realm]), ..*POLICY }
    });
    let plan_of = |path: &str| match match_route(&WITHOUT, "OPTIONS", RequestTarget::of(path), true) {
        Ok(RouteMatch::Route(_, route)) => Ok(route.path.source),
        Ok(RouteMatch::Preflight(..)) => panic!("nothing says how to answer it"),
        Err((_, denial)) => Err(denial),
    };
    assert_eq!(plan_of("https://gate.example/api/public/x"), Ok("/api/public/*"));
    assert!(plan_of("https://gate.example/api/orders").is_err());
    assert!(matches!(
        match_route(&POLICY, "OPTIONS", RequestTarget::of("https://gate.example/api/orders"), true),
        Ok(RouteMatch::Preflight(..))
    ));
}

#[test]
fn what_a_browser_may_read_is_named_on_every_answer() {
    let exposed = cors::fields(&LISTED, Some("https://app.example")).exposed.unwrap();
    let exposed: Vec<_> = exposed.split(", ").collect();
    for name in [
        "WWW-Authenticate",
        "Retry-After",
        "RateLimit",
        "RateLimit-Policy",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-Request-Id",
        "Keyward-Request-Id",
    ] {
        assert!(exposed.contains(&name), "{name}");
    }
    assert_eq!(cors::fields(&LISTED, Some("https://evil.example")).exposed, None);
}

#[test]
fn a_cache_may_give_an_answer_to_requests_with_and_without_an_origin() {
    const EVERY: Cors = Cors { origins: &["*"], ..LISTED };
    for origin in [None, Some("https://app.example"), Some("null")] {
        let every = cors::fields(&EVERY, origin);
        assert_eq!((every.allowed.as_deref(), every.vary), (Some("*"), None), "{origin:?}");
        assert_eq!(cors::fields(&LISTED, origin).vary, Some("Origin"), "{origin:?}");
    }
    assert_eq!(cors::fields(&LISTED, None).allowed, None);
    assert_eq!(cors::response_headers(None, Some("https://app.example")), []);
}

#[test]
fn a_path_is_told_to_be_there_where_a_route_names_it_or_it_can_be_read() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).map_err(compile::ReadError::Io);
    let policy = compile::compile("examples/kb/keyward.toml", read).unwrap();
    let allowed = |method: &str, path: &str| {
        let url = format!("https://kb.example{path}");
        match match_route(&policy, method, RequestTarget::of(&url), false) {
            Err((_, NoMatch::MethodNotAllowed { allow })) => Some(allow.join(", ")),
            Err((_, NoMatch::NoRoute)) => None,
            other => panic!("{method} {path}: {other:?}"),
        }
    };
    let told = [
        ("POST", "/api/v1/products", Some("GET, HEAD"), "a tree that can be read"),
        ("PROPFIND", "/api/v1/products/bulk", Some("GET, HEAD, POST"), "each of the routes"),
        (
            "OPTIONS",
            "/api/v1/quotes/7",
            Some("DELETE, GET, HEAD, PATCH, POST, PUT"),
            "a path that a route names",
        ),
        ("GET", "/api/v1/quotes/7/lines", None, "only the origin knows what can be written below"),
        ("GET", "/api/v1/unknown", None, "no route has it"),
    ];
    for (method, path, expected, why) in told {
        assert_eq!(allowed(method, path).as_deref(), expected, "{method} {path}: {why}");
    }
}

#[test]
fn what_is_copied_or_moved_stays_on_its_route() {
    const DAV: &str = r#"
[[realm]]
id = "dav"
hosts = ["*"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]
[[realm.route]]
path = "/keyed/*"
requires = "key"
[[realm.route]]
methods = ["MOVE"]
path = "/open/secret/*"
requires = "key"
[[realm.route]]
methods = ["GET", "COPY", "MOVE"]
path = "/open/*"
requires = "public"
"#;
    let policy = keyward_policy::compile::compile("keyward.toml", |_| Ok(DAV.to_owned())).unwrap();
    let target = RequestTarget::of("https://dav.example/open/a");
    let Ok(RouteMatch::Route(realm, chosen)) = match_route(&policy, "MOVE", target, false) else {
        panic!("it has a route")
    };
    let stays =
        |destination| route::stays_on_route(&policy, realm, chosen, "MOVE", target, Some(destination));
    for own in ["/open/b", "https://dav.example/open/b", "https://DAV.example/open/b?x"] {
        assert!(stays(own), "{own}");
    }
    for other in [
        "/keyed/b",
        "https://dav.example/keyed/b",
        "https://dav.example/open/../keyed/b",
        "/open/..%253b/keyed/b",
        "/open/%EF%BC%8E%EF%BC%8E/keyed/b",
        "/open/a, /keyed/b",
        "/open/a\t/b",
        "/open/secret/b",
        "/open/SECRET/b",
        "/admin/b",
        "/open/%2e%2e/keyed/b",
        "https://other.example/open/b",
        "http://dav.example/open/b",
        "//other.example/open/b",
        "open/b",
        "",
    ] {
        assert!(!stays(other), "{other}");
    }
    assert!(
        route::stays_on_route(&policy, realm, chosen, "GET", target, Some("/keyed/b")),
        "it means nothing there"
    );
}
