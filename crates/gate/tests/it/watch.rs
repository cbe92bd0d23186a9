//! By what a request is told, and in which words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{rc::Rc, sync::LazyLock};

use keyward_core::{data_point::DataPoint, record::Record, secret::Secret, time::Span};
use keyward_gate::{
    Outcome,
    handle::OriginFailure,
    platform::Waits,
    watch::{Watched, Watchers},
};
use keyward_policy::{Policy, compile::compile};
use keyward_testing::{
    fake_platform::{FakePlatform, Request, published},
    record,
};
use serde_json::Value;

fn policy(log: &str) -> &'static Policy {
    let text = format!(
        "{log}\n[[realm]]\nid = \"default\"\nhosts = [\"gate.example\", \"*.gate.example\"]\npaths = [\"/api/*\"]\n\
         origin = {{ binding = \"ORIGIN\" }}\ncredentials = [{{ header = \"Authorization\", scheme = \"Bearer\" }}]\n\
         [realm.scopes]\n\"orders:read\" = \"Read orders\"\n\
         [[realm.route]]\npath = \"/api/orders/{{id}}\"\nrequires = {{ scopes = [\"orders:read\"] }}\n\
         [[realm.route]]\npath = \"/api/public/*\"\nrequires = \"public\"\n"
    );
    let read = |_: &str| Ok(text.clone());
    Box::leak(Box::new(compile("keyward.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))))
}

static ALL: LazyLock<&Policy> = LazyLock::new(|| policy("[log]\nrequests = \"all\""));
static REFUSED: LazyLock<&Policy> = LazyLock::new(|| policy(""));

const PUBLIC: &str = "https://gate.example/api/public/x?y";

fn logged(platform: &FakePlatform) -> Vec<Value> {
    platform.logged.take().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What crosses of a request that passes, if anything does.
fn crosses(platform: &FakePlatform, policy: &'static Policy, request: &Request<'_>) -> Option<String> {
    let verdict = platform.handle(policy, request);
    assert!(matches!(verdict.outcome, Outcome::Forward(_)), "{:?}", verdict.outcome);
    verdict.watched.as_deref().map(Watched::to_text)
}

#[test]
fn the_text_of_a_request_that_waits_for_its_origin_and_its_data_point_stay() {
    let (platform, key) = published(&record());
    platform.watchers.borrow_mut().counts = true;
    platform.waits.set(Waits { store: Span::from_ms(12), object: Span::from_ms(25), ..Waits::default() });
    let bearer = format!("Bearer {}", key.expose());
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fields = [("authorization", bearer.as_str()), ("traceparent", traceparent)];
    let url = "https://gate.example/api/orders/7?x=1";
    let request = Request { url, fields: &fields, colo: Some("ZRH"), ..Request::default() };
    let text = crosses(&platform, *ALL, &request).unwrap();
    let watched = Watched::read(&text).unwrap();
    assert_eq!(watched.to_text(), text);
    let kept: Value = serde_json::from_str(&text).unwrap();
    let (began, id) = (kept["began"].as_i64().unwrap(), kept["request_id"].as_str().unwrap());
    assert_eq!(
        text,
        format!(
            r#"{{"tells":{{"line":true,"point":true,"times":false}},"request_id":"{id}","method":"GET","scheme":"https","host":"gate.example","realm":"default","route":"/api/orders/{{id}}","key_id":"key_1","tenant_id":"{}","colo":"ZRH","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","parent":"00f067aa0ba902b7","began":{began},"decided":{began},"waits":{{"store":12,"object":25,"limiter":0,"issuer":0}},"is_forwarded":true}}"#,
            record().tenant.id
        )
    );

    platform.logged.take();
    platform.pass_time(Span::from_ms(140));
    assert_eq!(platform.gate(Some(*ALL)).ended(&text, 200), None);
    let [line] = &logged(&platform)[..] else { panic!("one line") };
    assert_eq!(
        (&line["http.response.status_code"], &line["keyward.origin.duration"]),
        (&200.into(), &0.14.into())
    );
    assert_eq!(
        platform.points.take(),
        [
            r#"{"indexes":["default"],"blobs":["default","/api/orders/{id}","PASSED","ZRH","GET","200"],"doubles":[0.14,0.0,0.14]}"#
        ]
    );
    let most = DataPoint { indexes: [""], blobs: [""; 6], doubles: [0.0; 3] };
    assert!(most.blobs.len() <= 20 && most.doubles.len() <= 20);
}

#[test]
fn of_a_request_that_nobody_is_told_of_nothing_is_kept() {
    let platform = FakePlatform::new();
    let fields = [("keyward-timing", "x"), ("traceparent", "00-x")];
    let request = Request { url: PUBLIC, fields: &fields, ..Request::default() };
    assert_eq!(crosses(&platform, *REFUSED, &request), None);
    assert_eq!((logged(&platform), platform.points.take()), (vec![], vec![]));
    assert!(crosses(&platform, *ALL, &request).is_some());
}

#[test]
fn a_refused_key_is_told_with_its_tenant_and_an_unknown_one_with_neither() {
    let (platform, key) = published(&Record { scopes: vec![], ..record() });
    let unknown = platform.new_key(2);
    for (key, id, tenant_id) in [
        (&key, Value::from(record().id), Value::from(record().tenant.id)),
        (&unknown, Value::Null, Value::Null),
    ] {
        let bearer = format!("Bearer {}", key.expose());
        let fields = [("authorization", bearer.as_str())];
        let request =
            Request { url: "https://gate.example/api/orders/7", fields: &fields, ..Request::default() };
        assert!(matches!(platform.handle(*REFUSED, &request).outcome, Outcome::Answer(_)));
        let [line] = &logged(&platform)[..] else { panic!("one line") };
        assert_eq!((&line["keyward.key.id"], &line["keyward.tenant.id"]), (&id, &tenant_id), "{line}");
    }
}

#[test]
fn a_failure_of_the_origin_is_a_refusal_for_whoever_is_told_of_those() {
    let platform = FakePlatform::new();
    let request = Request { url: PUBLIC, ..Request::default() };
    let seldom = policy("[log]\nrequests = \"sampled\"\none_in = 1_000_000");
    let never = policy("[log]\nrequests = \"none\"");
    for (policy, counts, lines) in
        [(*REFUSED, false, 1), (*REFUSED, true, 1), (seldom, false, 1), (seldom, true, 1), (never, true, 0)]
    {
        platform.watchers.borrow_mut().counts = counts;
        let verdict = platform.handle(policy, &request);
        let (gate, realm) = (platform.gate(Some(policy)), &policy.realms[0]);
        let watched = verdict.watched.as_deref();
        assert_eq!(watched.is_some(), counts);
        gate.refuse_forwarded(&request, &verdict.request_id, realm, &OriginFailure::TimedOut, watched);
        let told = logged(&platform);
        assert_eq!(told.len(), lines);
        assert_eq!(platform.points.take().len(), usize::from(counts));
        for line in told {
            assert_eq!(line["error.type"], "ORIGIN_TIMEOUT");
            assert_eq!(line["http.route"], "/api/public/*");
            assert_eq!(line["keyward.origin.duration"], Value::Null);
        }
    }
}

#[test]
fn only_who_shows_the_token_gets_times_and_only_a_host_that_the_policy_names_is_told() {
    let platform = FakePlatform::new();
    let token = "t".repeat(32);
    *platform.watchers.borrow_mut() = Watchers { timing: Some(Rc::new(Secret::new(&*token))), counts: false };
    let times = |shown: &str| {
        let fields = [("keyward-timing", shown)];
        let url = "https://gate.example/api/orders/7";
        let request = Request { url, fields: &fields, ..Request::default() };
        let verdict = platform.handle(*ALL, &request);
        let Outcome::Answer(answer) = verdict.outcome else { panic!("it passed") };
        answer.headers.iter().find(|(name, _)| *name == "Server-Timing").map(|(_, value)| value.clone())
    };
    assert_eq!(times(&token).as_deref(), Some("gate;dur=0, store;dur=0, object;dur=0, origin;dur=0"));
    assert_eq!((times(""), times(&token[1..]), times(&format!("{token}t"))), (None, None, None));

    platform.logged.take();
    for (url, host) in [
        ("https://gate.example/api/orders/7", Value::from("gate.example")),
        ("https://GATE.example/api/orders/7", Value::from("gate.example")),
        ("https://kw_live_secret.gate.example/api/orders/7", Value::Null),
        ("https://other.example/api/orders/7", Value::Null),
    ] {
        let _ = platform.handle(*ALL, &Request { url, ..Request::default() });
        assert_eq!(logged(&platform)[0]["server.address"], host, "{url}");
    }
    let _ = platform.handle(*ALL, &Request { method: "KW_LIVE", url: PUBLIC, ..Request::default() });
    assert_eq!(logged(&platform)[0]["http.request.method"], "_OTHER");
}
