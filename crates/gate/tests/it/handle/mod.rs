//! From a request's parts to a verdict: the order of the steps, what each answers, and what goes to the origin.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod told;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::LazyLock,
};

use keyward_core::{
    record::{Limits, Record},
    route::BuiltinRoute,
    time::SECOND,
};
use keyward_gate::{
    Outcome, Verdict,
    forwarding::profile::Profile,
    handle::{Background, Forward, OriginFailure, Progress},
    refusal::Answer,
};
use keyward_limits::wire::CoordinatorCall;
use keyward_policy::{Origin, Policy, Span, compile::compile};
use keyward_testing::{
    fake_platform::{FakePlatform, Fault, Request, now, published},
    record,
};
use serde_json::{Value, json};

/// Realms that ask for something at each step.
const TEXT: &str = r#"
[admin]
api = "/api/admin"
page = "/admin"

[[realm]]
id = "default"
hosts = ["gate.example"]
paths = ["/api/*"]
origin = { binding = "ORIGIN" }
origin_timeout = "30s"
credentials = [{ header = "Authorization", scheme = "Bearer" }]
tls = "1.3"

[realm.cors]
origins = ["https://app.example"]

[realm.scopes]
"orders:read" = "Read orders"

[[realm.route]]
path = "/api/public/*"
requires = "public"

[[realm.route]]
methods = ["GET", "HEAD", "POST", "COPY"]
path = "/api/orders*"
requires = { scopes = ["orders:read"] }

[[realm]]
id = "url"
hosts = ["url.example"]
paths = ["/*"]
origin = { url = "https://origin.example" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]

[[realm.route]]
path = "/*"
requires = "public"
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let read = |_: &str| Ok(TEXT.to_owned());
    compile("keyward.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))
});

const ORDERS: &str = "https://gate.example/api/orders";

fn handle<'r>(platform: &FakePlatform, request: &'r Request<'_>) -> Verdict<'r> {
    platform.handle(&POLICY, request)
}

fn answer(verdict: Verdict<'_>) -> Answer {
    match verdict.outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn forward(verdict: Verdict<'_>) -> Forward {
    match verdict.outcome {
        Outcome::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

/// Lines of the log with this event, which is then forgotten.
fn logged(platform: &FakePlatform, event: &str) -> Vec<Value> {
    let lines = platform.logged.take();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == event).collect()
}

/// Why a request was refused, as the log has it.
fn reason(platform: &FakePlatform, request: &Request<'_>) -> String {
    platform.logged.take();
    let answer = answer(handle(platform, request));
    let lines = logged(platform, "request");
    let [line] = &lines[..] else { panic!("one refusal is one line: {lines:?}") };
    assert_eq!(header(&answer, "X-Request-Id"), line["keyward.request.id"].as_str());
    assert_eq!(line["http.request.method"], request.method);
    assert_eq!(line["http.response.status_code"], answer.status);
    line["keyward.reason"].as_str().unwrap().to_owned()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
}

/// A platform that knows a key with this record, and the field that shows the key.
fn known(record: &Record) -> (FakePlatform, String) {
    let (platform, key) = published(record);
    (platform, format!("Bearer {}", key.expose()))
}

#[test]
fn of_several_things_that_are_wrong_the_first_of_this_list_is_the_answer() {
    let platform = FakePlatform::new();
    let mut wrong = Vec::new();
    // Each row is like the one before, with what that was refused for put right.
    let plain = Some("TLSv1.1");
    let copy_elsewhere: &[(&str, &str)] =
        &[("destination", "/api/public/x"), ("content-length", "x"), ("authorization", "Bearer a, b")];
    for (method, url, tls, fields, body, expected) in [
        ("COPY", "https://gate!.example/x//y", plain, copy_elsewhere, "b", "invalid_host"),
        ("COPY", "https://gate.example/x//y", plain, copy_elsewhere, "b", "ambiguous_path"),
        ("COPY", "https://gate.example/x", plain, copy_elsewhere, "b", "no_realm"),
        ("COPY", "https://gate.example/api/x", plain, copy_elsewhere, "b", "no_route"),
        ("PATCH", ORDERS, plain, copy_elsewhere, "b", "method_not_allowed"),
        ("COPY", ORDERS, plain, copy_elsewhere, "b", "insecure_transport"),
        ("COPY", ORDERS, Some("TLSv1.3"), copy_elsewhere, "b", "no_route"),
        ("GET", ORDERS, Some("TLSv1.3"), &copy_elsewhere[1..], "b", "body_too_large"),
        ("GET", ORDERS, Some("TLSv1.3"), &copy_elsewhere[2..], "b", "length_required"),
        ("GET", ORDERS, Some("TLSv1.3"), &copy_elsewhere[2..], "", "repeated_credential"),
        ("GET", ORDERS, Some("TLSv1.3"), &[], "", "missing_credential"),
    ] {
        let request = Request { method, url, tls, fields, body: body.as_bytes(), ..Request::default() };
        let reason = reason(&platform, &request);
        if reason != expected {
            wrong.push(format!("{method} {url}: {reason}, not {expected}"));
        }
    }
    assert_eq!(wrong, [] as [&str; 0]);
    assert_eq!(platform.asked(), [] as [&str; 0], "all of this is decided without I/O");
}

#[test]
fn keywards_own_paths_come_before_any_realm_and_are_no_refusals() {
    let platform = FakePlatform::new();
    let own = |url| match handle(&platform, &Request { url, tls: None, ..Request::default() }).outcome {
        Outcome::Builtin(builtin) => match builtin.route {
            BuiltinRoute::Admin { path } => format!("admin {path}"),
            BuiltinRoute::Page { path } => format!("page {path}"),
            other => format!("{other:?}"),
        },
        Outcome::Answer(answer) => format!("{} {}", answer.status, answer.body),
        Outcome::Forward(_) => panic!("{url}"),
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        own("https://gate.example/healthz"),
        format!("200 {{\"status\":\"ok\",\"version\":\"{version}\"}}")
    );
    assert_eq!(own("https://gate.example/readyz"), "Ready");
    assert_eq!(own("https://gate.example/api/admin/api-keys?limit=1"), "admin /api-keys");
    assert_eq!(own("https://gate.example/admin/app.js"), "page /app.js");
    assert_eq!(platform.logged.take(), [] as [&str; 0]);

    let health = |method| {
        let url = "https://gate.example/healthz";
        answer(handle(&platform, &Request { method, url, ..Request::default() }))
    };
    assert_eq!((health("HEAD").status, health("HEAD").body.as_str()), (200, ""));
    assert_eq!((health("POST").status, header(&health("POST"), "Allow")), (405, Some("GET, HEAD")));
}

#[test]
fn without_a_policy_everything_is_refused_health_too() {
    let platform = FakePlatform::new();
    for url in [ORDERS, "https://gate.example/healthz", "https://gate.example/api/admin/api-keys"] {
        let request = Request { url, ..Request::default() };
        let refused = answer(now(platform.gate(None).handle(&request)));
        assert_eq!((refused.status, header(&refused, "Retry-After")), (503, Some("5")), "{url}");
    }
    assert_eq!(platform.logged.take(), [] as [&str; 0], "why is in the log once, and not for every request");
}

#[test]
fn each_request_has_an_id_of_its_own_128_bits_of_the_platforms_randomness() {
    let platform = FakePlatform::new();
    let request = Request { url: ORDERS, ..Request::default() };
    let ids = [(); 2].map(|()| handle(&platform, &request).request_id);
    assert_eq!(ids, [format!("{:032x}", 1), format!("{:032x}", 2)]);
}

#[test]
fn a_preflight_is_answered_over_a_connection_that_the_realm_takes_and_only_to_listed_origins() {
    let platform = FakePlatform::new();
    let preflight = |tls, origin| {
        let fields = [("origin", origin), ("access-control-request-method", "GET")];
        let url = "https://gate.example/api/none";
        let request =
            Request { method: "OPTIONS", url, tls: Some(tls), fields: &fields, ..Request::default() };
        let answer = answer(handle(&platform, &request));
        let allowed = header(&answer, "Access-Control-Allow-Origin").map(str::to_owned);
        assert!(header(&answer, "X-Request-Id").is_some());
        (answer.status, allowed)
    };
    let app = "https://app.example";
    assert_eq!(preflight("TLSv1.3", app), (204, Some(app.to_owned())));
    assert_eq!(preflight("TLSv1.3", "https://other.example"), (204, None));
    assert_eq!(preflight("TLSv1.2", app).0, 403);
}

#[test]
fn what_needs_no_waiting_is_decided_at_once_and_the_rest_says_so() {
    let platform = FakePlatform::new();
    let gate = platform.gate(Some(&*POLICY));
    let step = |url| matches!(gate.begin(&Request { url, ..Request::default() }), Progress::Routed(_));
    assert!(!step("https://gate.example/api/none"));
    assert!(!step("https://gate.example/readyz"));
    assert!(step(ORDERS));
}

#[test]
fn a_body_without_a_length_passes_where_it_is_empty_or_not_a_gets() {
    let platform = FakePlatform::new();
    let url = "https://gate.example/api/public/x";
    let passes = |method, body: &'static [u8], has_empty_body| {
        let request = Request { method, url, body, has_empty_body, ..Request::default() };
        matches!(handle(&platform, &request).outcome, Outcome::Forward(_))
    };
    assert!(passes("GET", b"", true));
    assert!(!passes("GET", b"x", false));
    assert!(!passes("HEAD", b"x", false));
    assert!(passes("POST", b"x", false));
}

#[test]
fn a_refusal_is_one_that_a_page_may_read_and_an_mcp_client_understands() {
    let platform = FakePlatform::new();
    let origin = ("origin", "https://app.example");
    let accept = ("accept", "application/json, text/event-stream");
    let fields = [origin, accept];
    let request = Request { method: "POST", url: ORDERS, fields: &fields, ..Request::default() };
    let refused = answer(handle(&platform, &request));
    assert_eq!(refused.status, 401);
    assert_eq!(header(&refused, "Access-Control-Allow-Origin"), Some(origin.1));
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(
        (&body["jsonrpc"], &body["error"]["data"]["code"]),
        (&"2.0".into(), &"MISSING_AUTHORIZATION".into())
    );

    let plain = Request { url: ORDERS, ..Request::default() };
    let refused = answer(handle(&platform, &plain));
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(body["code"], "MISSING_AUTHORIZATION");
    assert_eq!(header(&refused, "Access-Control-Allow-Origin"), None);
}

#[test]
fn the_log_names_the_key_that_was_refused_and_never_shows_it() {
    let (platform, bearer) = known(&Record { scopes: Vec::new(), ..record() });
    let fields = [("authorization", bearer.as_str())];
    let request = Request { url: ORDERS, fields: &fields, ..Request::default() };
    platform.logged.take();
    let _ = handle(&platform, &request);
    let lines = platform.logged.take();
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["keyward.key.id"], "key_1");
    assert_eq!(
        (&line["keyward.reason"], &line["keyward.detail"]),
        (&"insufficient_scope".into(), &"needs orders:read".into())
    );
    // Wherever a key is shown, whatever is wrong.
    let key = bearer.strip_prefix("Bearer ").unwrap();
    let in_url = format!("{ORDERS}?api_key={key}");
    let longer = format!("Bearer {key}x");
    let twice = format!("{bearer}, {bearer}");
    for (url, value) in [
        (in_url.as_str(), "Bearer x"),
        (ORDERS, &*longer),
        (ORDERS, &*twice),
        (ORDERS, key),
        (ORDERS, &*bearer),
    ] {
        for name in ["authorization", "x-api-key", "origin", "destination", "content-length"] {
            let fields = [(name, value)];
            let _ = handle(&platform, &Request { url, fields: &fields, ..Request::default() });
        }
    }
    platform.gate_fault.set(Some(Fault::Fails));
    platform.kv_fault.set(Some(Fault::Fails));
    *platform.memory.borrow_mut() = keyward_gate::memory::Memory::default();
    let _ = handle(&platform, &request);
    let lines = platform.logged.take();
    assert!(lines.len() > 20, "{}", lines.len());
    for line in lines {
        // The route is the policy's.
        let own = line.replace(r#""http.route":"/api/orders*""#, "");
        assert!(!line.contains(key) && !own.contains("api/orders"), "{line}");
    }
}

#[test]
fn what_goes_to_the_origin_has_lost_the_credential_and_gained_the_verified_identity() {
    let (platform, bearer) = known(&record());
    let fields =
        [("authorization", bearer.as_str()), ("cf-connecting-ip", "192.0.2.7"), ("keyward-key-id", "x")];
    let request = Request { url: ORDERS, fields: &fields, ..Request::default() };
    let verdict = handle(&platform, &request);
    let id = verdict.request_id.clone();
    let forward = forward(verdict);
    let realm = forward.profile.realm;
    assert_eq!((realm.origin, &forward.url), (Origin::Binding("ORIGIN"), &None));
    assert_eq!((forward.profile.own_address(), forward.copy.as_ref()), (None, None));
    let profile = forward.profile.document(POLICY.realms);
    assert_eq!((&profile["origin"]["name"], &profile["originTimeoutMs"]), (&"ORIGIN".into(), &30_000.into()));
    assert_eq!(forward.credentials, ["authorization"]);
    assert!(Profile::request_removed().any(|name| name == "keyward-"));
    let added =
        |name: &str| forward.added.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
    assert_eq!(added("Keyward-Key-Id"), Some("key_1"));
    assert_eq!(added("Keyward-Request-Id"), Some(id.as_str()));
    assert_eq!(added("X-Forwarded-For"), Some("192.0.2.7"));
    assert!(forward.answer.set.contains(&("X-Request-Id", id)));
    assert!(forward.answer.set.iter().any(|(name, _)| *name == "RateLimit"));
    assert_eq!(platform.logged.take(), [] as [&str; 0]);
}

#[test]
fn an_origin_by_url_gets_path_and_query_as_sent_and_its_own_address_is_mapped_back() {
    let platform = FakePlatform::new();
    let request = Request { url: "https://url.example/a%20b?x=1&y", ..Request::default() };
    let forward = forward(handle(&platform, &request));
    assert_eq!(forward.url.as_deref(), Some("https://origin.example/a%20b?x=1&y"));
    assert_eq!(forward.profile.own_address(), Some("https://origin.example"));
}

#[test]
fn only_the_body_of_a_get_or_head_is_copied_in_room_of_its_network() {
    let platform = FakePlatform::new();
    let copy = |method, body: &'static [u8]| {
        let fields = [("content-length", "3"), ("cf-connecting-ip", "2001:db8:1:2::7")];
        let url = "https://url.example/";
        forward(handle(&platform, &Request { method, url, body, fields: &fields, ..Request::default() })).copy
    };
    let room = copy("GET", b"abc").unwrap();
    assert_eq!((room.network.as_str(), room.bytes), ("2001:db8:1:2::/64", 3));
    let realm = &POLICY.realms[1];
    assert_eq!(room.within, realm.client_timeout + realm.origin_timeout);
    assert!(copy("HEAD", b"abc").is_some());
    assert_eq!((copy("POST", b"abc"), copy("GET", b"")), (None, None));
}

#[test]
fn whatever_goes_wrong_with_the_origin_is_an_answer_of_its_own_and_what_is_known_of_it_is_in_the_log() {
    let platform = FakePlatform::new();
    let request = Request { url: "https://gate.example/api/public/x", ..Request::default() };
    let text = || "why".to_owned();
    for (failure, status, reason, error) in [
        (OriginFailure::Missing, 503, "not_configured", Some("the service binding is missing")),
        (OriginFailure::TimedOut, 504, "origin_timeout", None),
        (OriginFailure::Stalled, 408, "late_body", None),
        (OriginFailure::BrokenOff, 400, "broken_body", None),
        (OriginFailure::NoRoom, 503, "overloaded", None),
        (OriginFailure::Unreachable(text()), 502, "origin_unreachable", Some("why")),
        (OriginFailure::Invalid(text()), 502, "origin_invalid", Some("why")),
        (OriginFailure::Fault(text()), 500, "internal", Some("why")),
    ] {
        let verdict = handle(&platform, &request);
        let id = verdict.request_id.clone();
        let forward = forward(verdict);
        let gate = platform.gate(Some(&*POLICY));
        let refused = gate.refuse_forwarded(&request, &id, forward.profile.realm, &failure, None);
        assert_eq!((refused.status, header(&refused, "X-Request-Id")), (status, Some(&*id)), "{failure:?}");
        let lines = platform.logged.take();
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, before) = lines.split_last().unwrap();
        assert_eq!((&last["event"], &last["keyward.reason"]), (&"request".into(), &reason.into()));
        let told: Vec<_> =
            before.iter().map(|line| (line["event"].as_str(), line["error"].as_str())).collect();
        assert_eq!(told, error.map(|error| (Some("origin"), Some(error))).into_iter().collect::<Vec<_>>());
    }
}
