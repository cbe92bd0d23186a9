//! Who shows nothing: where a credential is optional, and where nothing is asked for. And the limit that a network has there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::RefCell, rc::Rc, sync::LazyLock};

use keyward_core::{
    record::{Record, Status},
    time::{SECOND, Span},
};
use keyward_gate::{Outcome, Verdict, handle::Forward, refusal::Answer};
use keyward_limits::wire::CoordinatorCall;
use keyward_policy::{Policy, compile::compile};
use keyward_testing::{
    fake_platform::{FakePlatform, Fault, Request, now, published},
    record,
};

const TEXT: &str = r#"
[[realm]]
id = "default"
hosts = ["*"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }, { header = "X-Shop-Key" }]
session_id_header = "X-Session-Id"

[realm.cors]
origins = ["https://app.example"]

[realm.link]
parameter = "token"
prefix = "st_"
cookie = "__Host-shop"

[realm.scopes]
"orders:read" = "Read orders"
"admin:read" = "Read all"

[[realm.route]]
path = "/status"
requires = "public"
limit_by_network = { binding = "ANYBODY", period = "10s" }

[[realm.route]]
path = "/orders"
requires = { scopes = ["orders:read"], optional = true }
limit_by_network = { binding = "ANYBODY" }

[[realm.route]]
path = "/private"
requires = { scopes = ["admin:read"], optional = true }

[[realm.route]]
path = "/chat"
requires = { by = ["session"], optional = true, session_id = true }
limit_by_network = { binding = "CHATS" }
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let read = |_: &str| Ok(TEXT.to_owned());
    compile("keyward.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))
});

const ADDRESS: (&str, &str) = ("cf-connecting-ip", "192.0.2.1");

fn verdict<'r>(platform: &FakePlatform, request: &'r Request<'_>) -> Verdict<'r> {
    platform.handle(&POLICY, request)
}

/// What happens to a GET.
fn get(platform: &FakePlatform, path: &str, fields: &[(&str, &str)]) -> Result<Forward, Answer> {
    let url = format!("https://shop.example{path}");
    let request = Request { url: &url, fields, ..Request::default() };
    match verdict(platform, &request).outcome {
        Outcome::Forward(forward) => Ok(forward),
        Outcome::Answer(answer) => Err(answer),
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

/// Its status where it is refused.
fn status(platform: &FakePlatform, path: &str, fields: &[(&str, &str)]) -> u16 {
    get(platform, path, fields).map_or_else(|answer| answer.status, |_| 200)
}

fn identity(forward: &Forward) -> Vec<&str> {
    let names = forward.added.iter().map(|(name, _)| *name);
    names.filter(|name| name.starts_with("Keyward-")).collect()
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
}

#[test]
fn where_a_credential_is_optional_a_request_without_one_goes_on_as_nobodys() {
    let platform = FakePlatform::new();
    for path in ["/orders", "/private"] {
        let forward = get(&platform, path, &[("keyward-key-id", "key_1"), ("origin", "https://app.example")]);
        let forward = forward.unwrap();
        assert_eq!(identity(&forward), ["Keyward-Request-Id"], "{path}");
        assert!(forward.credentials.is_empty());
        // No cache gives its answer to somebody with a key, and every cache may keep it.
        let merged = forward.profile.answer_merged();
        assert_eq!(merged, [("Vary", "Origin, authorization, x-shop-key, cookie, x-session-id".to_owned())]);
        let allowed = ("Access-Control-Allow-Origin", "https://app.example".to_owned());
        assert!(forward.answer.set.contains(&allowed));
    }
    assert_eq!(platform.asked(), ["ANYBODY"], "no store is asked");
}

#[test]
fn where_a_credential_is_optional_one_that_is_shown_counts_as_on_any_other_route() {
    let (platform, key) = published(&record());
    let bearer = format!("Bearer {}", key.expose());
    let shown = [("authorization", bearer.as_str())];
    let forward = get(&platform, "/orders", &shown).unwrap();
    assert!(identity(&forward).contains(&"Keyward-Key-Id"));
    assert_eq!(forward.credentials, ["authorization"]);
    assert!(forward.profile.answer_merged().contains(&("Cache-Control", "private".to_owned())));
    assert!(!platform.asked().contains(&"ANYBODY".to_owned()), "a key has limits of its own");
    let refused = get(&platform, "/private", &shown).unwrap_err();
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("INSUFFICIENT_SCOPE"));
    platform.tell(&key, &Record { version: 2, status: Status::Revoked, ..record() });
    platform.pass_time(10 * SECOND);
    assert_eq!(status(&platform, "/orders", &shown), 401);
    let made_up = format!("Bearer {}", platform.new_key(2).expose());
    assert_eq!(status(&platform, "/orders", &[("authorization", &made_up)]), 401);
    platform.kv_fault.set(Some(Fault::Fails));
    platform.gate_fault.set(Some(Fault::Fails));
    let unknown = format!("Bearer {}", platform.new_key(3).expose());
    assert_eq!(status(&platform, "/orders", &[("authorization", &unknown)]), 503, "not known is not nobody");
}

#[test]
fn whoever_meant_to_be_known_is_never_taken_for_nobody() {
    let (platform, key) = published(&record());
    let key = key.expose();
    let bearer = format!("Bearer {key}");
    let twice = format!("{bearer}, {bearer}");
    for (expected, fields) in [
        (401, &[("authorization", "")][..]),
        (401, &[("authorization", "Bearer")]),
        (401, &[("authorization", "Bearer ")]),
        (401, &[("authorization", "Basic eDp5")]),
        (401, &[("authorization", "Digest username=\"a\", realm=\"b\"")]),
        (401, &[("authorization", key)]),
        (401, &[("authorization", "Bearer nonsense")]),
        (401, &[("x-shop-key", "")]),
        (401, &[("x-shop-key", "nonsense")]),
        (401, &[("x-api-key", key)]),
        (401, &[("api-key", "anything")]),
        (401, &[("cookie", "__Host-shop=made-up")]),
        (400, &[("authorization", &twice)]),
        (400, &[("authorization", &bearer), ("x-shop-key", key)]),
    ] {
        let refused = get(&platform, "/orders", fields).unwrap_err();
        assert_eq!(refused.status, expected, "{fields:?}");
        assert!(field(&refused, "WWW-Authenticate").is_some(), "{fields:?}");
    }
    for query in [format!("k={key}"), "api_key=x".into(), "access_token=x".into()] {
        assert_eq!(status(&platform, &format!("/orders?{query}"), &[]), 400, "{query}");
    }
    assert_eq!(status(&platform, "/chat", &[("cookie", "__Host-shop=made-up"), ("x-session-id", "1")]), 401);
    assert_eq!(status(&platform, "/chat", &[("x-session-id", "1")]), 200);
    let with_cookie = [("authorization", bearer.as_str()), ("cookie", "__Host-shop=made-up")];
    assert_eq!(
        status(&platform, "/orders", &with_cookie),
        200,
        "a browser sent that along with what was meant"
    );
    assert!(!platform.asked().contains(&"ANYBODY".to_owned()), "who is refused for that is not counted");
    assert_eq!(status(&platform, "/orders", &[("x-other", "1"), ("cookie", "a=b"), ("x-api-key", "")]), 200);
}

#[test]
fn a_network_that_asks_too_often_without_a_key_is_told_to_wait_for_the_limiters_period() {
    let (platform, key) = published(&record());
    platform.most_failures.set(Some(2));
    for (path, period) in [("/status", "10"), ("/orders", "60")] {
        for _ in 0..2 {
            assert_eq!(status(&platform, path, &[ADDRESS]), 200, "{path}: routes do not count together");
        }
        let refused = get(&platform, path, &[ADDRESS]).unwrap_err();
        assert_eq!((refused.status, field(&refused, "Retry-After")), (429, Some(period)));
        assert!(refused.body.contains("\"RATE_LIMITED\""), "{}", refused.body);
        assert_eq!(status(&platform, path, &[("cf-connecting-ip", "192.0.2.2")]), 200, "another network");
    }
    let bearer = format!("Bearer {}", key.expose());
    assert_eq!(status(&platform, "/orders", &[ADDRESS, ("authorization", &bearer)]), 200);
    assert_eq!(
        status(&platform, "/status", &[ADDRESS, ("authorization", &bearer)]),
        429,
        "nothing is asked for"
    );
    assert_eq!(status(&platform, "/private", &[ADDRESS]), 200, "a route without such a limit");
    // Addresses of one IPv6 network count as one.
    let v6 = |address| status(&platform, "/status", &[("cf-connecting-ip", address)]);
    assert_eq!([v6("2001:db8::1"), v6("2001:db8::2"), v6("2001:db8::3")], [200, 200, 429]);
    assert_eq!(v6("2001:db8:0:1::1"), 200);
    let lines = platform.logged.take();
    assert!(lines.iter().any(|line| line.contains("\"network_limited\"")), "{lines:?}");
}

#[test]
fn what_would_be_refused_anyway_does_not_count() {
    let platform = FakePlatform::new();
    assert_eq!(status(&platform, "/chat", &[]), 400);
    assert_eq!(status(&platform, "/chat", &[("x-session-id", "a b")]), 400);
    assert_eq!(platform.asked(), [] as [&str; 0]);
    assert_eq!(status(&platform, "/chat", &[("x-session-id", "1")]), 200);
    assert_eq!(platform.asked(), ["CHATS"]);
}

#[test]
fn a_refusal_for_the_limit_belongs_to_no_key() {
    let platform = FakePlatform::new();
    platform.most_failures.set(Some(0));
    let told = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&told);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, _| {
        if let CoordinatorCall::Report { refused, tally: Some(tally), .. } = call {
            let route = serde_json::json!(tally.hours[0].routes).to_string();
            note.borrow_mut().push((refused.clone(), tally.latest.len(), route));
        }
    }));
    let request = Request { url: "https://shop.example/status", fields: &[ADDRESS], ..Request::default() };
    let mut rounds = vec![verdict(&platform, &request).background];
    while told.borrow().is_empty() {
        assert!(rounds.len() < 100, "nothing is told");
        for round in rounds.drain(..) {
            now(platform.gate(Some(&POLICY)).run(round));
        }
        platform.pass_time(SECOND);
        rounds.push(platform.gate(Some(&POLICY)).background());
    }
    let (refused, latest, route) = &told.borrow()[0];
    let refused: Vec<_> = refused.iter().map(|(code, count)| (code.to_string(), *count)).collect();
    assert_eq!((refused, *latest), (vec![("default RATE_LIMITED".to_owned(), 1)], 1));
    assert!(route.contains("/status"), "{route}");
}

/// It is a brake: an API for anybody does not stop for it, nor wait longer than a moment.
#[test]
fn what_the_limiter_cannot_count_passes_in_half_a_second_and_soon_at_once_and_other_limiters_still_count() {
    let faults = [
        Fault::Fails,
        Fault::Hangs,
        Fault::Slow(Span::from_secs(60)),
        Fault::Says("{}"),
        Fault::Says("null"),
        Fault::Answers(500),
    ];
    for fault in faults {
        let platform = FakePlatform::new();
        platform.limiter_fault.set(Some(fault));
        for round in 0..5 {
            let came = platform.clock.now();
            assert_eq!(status(&platform, "/status", &[ADDRESS]), 200, "{fault:?}");
            let most = if round < 2 { Span::from_ms(500) } else { Span::ZERO };
            assert!(platform.clock.now() - came <= most, "{fault:?}, round {round}");
        }
        assert_eq!(platform.asked(), ["ANYBODY", "ANYBODY"], "{fault:?}: then it is left alone");
        platform.limiter_fault.set(None);
        platform.most_failures.set(Some(0));
        assert_eq!(status(&platform, "/chat", &[ADDRESS, ("x-session-id", "1")]), 429, "another binding");
        platform.pass_time(5 * SECOND);
        assert_eq!(status(&platform, "/status", &[ADDRESS]), 429, "{fault:?}: it is back");
    }
}

#[test]
fn a_limit_whose_binding_is_missing_lets_nobody_through_whom_it_would_count() {
    let (platform, key) = published(&record());
    platform.unbound.borrow_mut().insert("ANYBODY".into());
    for path in ["/status", "/orders"] {
        let refused = get(&platform, path, &[]).unwrap_err();
        assert_eq!(refused.status, 503);
        assert!(refused.body.contains("NOT_CONFIGURED"), "{}", refused.body);
    }
    assert!(platform.logged.take().iter().any(|line| line.contains("ANYBODY is missing")));
    let bearer = format!("Bearer {}", key.expose());
    assert_eq!(status(&platform, "/orders", &[("authorization", &bearer)]), 200);
    assert_eq!(status(&platform, "/private", &[]), 200);
}
