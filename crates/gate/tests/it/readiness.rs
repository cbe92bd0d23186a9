//! What `/readyz` looks at, and who is told what.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    registry_call::RegistryHealth,
    time::{MILLISECOND, Span},
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use keyward_gate::{
    ready::{self, Cache, Readiness},
    refusal::Answer,
};
use keyward_policy::{NetworkLimit, Origin, Policy, Realm, Route, Routes};
use keyward_testing::{
    SECRET,
    fake_platform::{FakePlatform, Fault, now},
    policy::POLICY,
};
use serde_json::Value;

/// A deployment that lacks nothing.
fn whole() -> FakePlatform {
    let platform = FakePlatform::new();
    platform.named_secrets.borrow_mut().insert("KEYWARD_SECRET", SECRET);
    platform
}

fn policy(origin: Origin) -> Policy {
    let realm = Realm { origin, ..POLICY.realms[0] };
    Policy { realms: Vec::leak(vec![realm]), ..*POLICY }
}

fn parts(policy: &Policy, platform: &FakePlatform) -> Value {
    let found = now(ready::check(policy, platform, &RefCell::default()));
    let body: Value = serde_json::from_str(&found.body(true)).unwrap();
    assert_eq!(found.status() == 200, body["status"] == "ok");
    body["parts"].clone()
}

/// The parts that something is wrong with.
fn faults(policy: &Policy, platform: &FakePlatform) -> Vec<(String, String)> {
    let parts = parts(policy, platform);
    let parts = parts.as_object().unwrap().iter();
    let told = parts.map(|(part, fault)| (part.clone(), fault.as_str().unwrap().to_owned()));
    told.filter(|(_, fault)| fault != "ok").collect()
}

#[test]
fn each_part_of_a_deployment_that_fails_is_named_and_logged_and_no_other() {
    let platform = whole();
    assert_eq!(faults(&POLICY, &platform), []);
    assert_eq!(platform.logged.take(), [] as [&str; 0]);
    let mut asked = platform.asked();
    asked.sort();
    assert_eq!(asked, ["Coordinator find", "KV", "Registry ready"], "each store is asked once");

    type Break = fn(&FakePlatform);
    let cases: [(&str, &str, Break); 9] = [
        ("kv", "it fails", |platform| platform.kv_fault.set(Some(Fault::Fails))),
        ("kv", "no answer", |platform| platform.kv_fault.set(Some(Fault::Hangs))),
        ("keyGate", "it fails", |platform| platform.gate_fault.set(Some(Fault::Fails))),
        ("registry", "it fails", |platform| platform.registry_fault.set(Some(Fault::Fails))),
        ("registry", "has schema 9", |platform| {
            platform.registry.replace(RegistryHealth { fault: Some("has schema 9".into()), set_up: None });
        }),
        ("secrets", "the token can be guessed", |platform| {
            let set_up = Some("the token can be guessed".into());
            platform.registry.replace(RegistryHealth { fault: None, set_up });
        }),
        ("secrets", "KEYWARD_SECRET is not set", |platform| platform.named_secrets.borrow_mut().clear()),
        ("page", "the binding ADMIN is missing", |platform| {
            platform.unbound.borrow_mut().insert("ADMIN".into());
        }),
        ("origins", "the binding ORIGIN is missing", |platform| {
            platform.unbound.borrow_mut().insert("ORIGIN".into());
        }),
    ];
    for (part, fault, break_it) in cases {
        let platform = whole();
        break_it(&platform);
        assert_eq!(faults(&POLICY, &platform), [(part.to_owned(), fault.to_owned())]);
        let line: Value = serde_json::from_str(&platform.logged.take()[0]).unwrap();
        assert_eq!(line["event"], "not ready");
        assert!(line["found"].as_str().unwrap().contains(fault));
    }
    let limit = NetworkLimit { binding: "ANYBODY", period: Span::from_secs(60) };
    let limited = Route { limit_by_network: Some(limit), ..POLICY.realms[0].routes[0] };
    let routes = Routes::new(Box::leak(Box::new([POLICY.realms[0].routes[0], limited])));
    let realms = Box::leak(Box::new([Realm { routes, ..POLICY.realms[0] }]));
    let limited = Policy { realms, ..*POLICY };
    for (policy, part, binding, fault) in [
        (&*POLICY, "relay", "RELAY", "the binding RELAY is missing"),
        (&*POLICY, "failures", "FAILURES", "the binding FAILURES is missing"),
        (&limited, "limitsByNetwork", "ANYBODY", "ANYBODY is no binding of a limiter"),
    ] {
        let platform = whole();
        platform.unbound.borrow_mut().insert(binding.into());
        assert_eq!(faults(policy, &platform), [(part.to_owned(), fault.to_owned())]);
    }
}

#[test]
fn an_origin_is_a_binding_a_handler_or_a_url_of_which_nothing_has_to_be_there() {
    let platform = whole();
    platform.unbound.borrow_mut().insert("app".into());
    let fault = "the handler app is missing: the entry module gives keyward none";
    assert_eq!(
        faults(&policy(Origin::Handler("app")), &platform),
        [("origins".to_owned(), fault.to_owned())]
    );
    assert_eq!(faults(&policy(Origin::Handler("other")), &platform), []);
    assert_eq!(faults(&policy(Origin::Url("app")), &platform), []);
}

#[test]
fn a_registry_of_an_older_build_which_knows_no_such_call_is_there() {
    let platform = whole();
    platform.registry_fault.set(Some(Fault::Answers(404)));
    assert_eq!(faults(&POLICY, &platform), []);
    platform.registry_fault.set(Some(Fault::Answers(500)));
    assert_eq!(faults(&POLICY, &platform), [("registry".to_owned(), "answered 500".to_owned())]);
}

#[test]
fn what_was_found_serves_for_five_seconds_and_whoever_comes_meanwhile_waits_for_it() {
    let platform = whole();
    let (cache, checks) = (RefCell::<Cache>::default(), Cell::new(0));
    let check = async || {
        checks.set(checks.get() + 1);
        ready::check(&POLICY, &platform, &cache).await
    };
    let find = || now(ready::find(&platform, &cache, check));
    assert_eq!(find().status(), 200);
    platform.pass_time(Span::from_ms(4_999));
    find();
    assert_eq!(checks.get(), 1);
    platform.pass_time(MILLISECOND);
    find();
    assert_eq!(checks.get(), 2);

    // A check that never ends: others wait for it, but not for ever.
    let stuck = RefCell::<Cache>::default();
    let _ = stuck.borrow_mut().look(platform.clock.now());
    let began = platform.clock.now();
    let found = now(ready::find(&platform, &stuck, async || panic!("two check at once")));
    assert_eq!((found.status(), found.body(false).as_str()), (503, r#"{"status":"unavailable"}"#));
    let line: Value = serde_json::from_str(&platform.logged.take()[0]).unwrap();
    assert_eq!(line["found"], told(r#"{"check":"does not come to its end"}"#, "unavailable"));
    let waited = platform.clock.now().0 - began.0;
    assert!(
        (5_000..10_000).contains(&waited),
        "longer than a part may take, shorter than a check is believed in"
    );
}

/// What an operator reads.
fn told(parts: &str, status: &str) -> String {
    format!(r#"{{"parts":{parts},"status":"{status}","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

fn answer(method: &str, found: Readiness, asked: &Cell<u32>) -> Answer {
    let is_operator = async || {
        asked.set(asked.get() + 1);
        true
    };
    now(ready::answer(method, async || Rc::new(found), is_operator))
}

#[test]
fn parts_are_told_to_operators_who_are_only_asked_for_where_there_is_something_to_tell() {
    let found = |fault: Option<&str>| {
        let mut found = Readiness::default();
        found.note("kv", fault.map(str::to_owned));
        found
    };
    let asked = Cell::new(0);
    let retry = |answer: &Answer| answer.headers.iter().any(|(name, _)| *name == "Retry-After");
    let good = answer("GET", found(None), &asked);
    assert_eq!(
        (good.status, good.body.as_str(), retry(&good)),
        (200, told(r#"{"kv":"ok"}"#, "ok").as_str(), false)
    );
    assert_eq!(asked.get(), 1);
    let bad = answer("HEAD", found(Some("no answer")), &asked);
    assert_eq!((bad.status, bad.body.as_str(), retry(&bad)), (503, "", true));
    assert_eq!(answer("POST", found(None), &asked).status, 405);
    assert_eq!(asked.get(), 1, "nobody else is looked at");
    let stranger = now(ready::answer("GET", async || Rc::new(found(Some("x"))), async || false));
    assert_eq!((stranger.status, stranger.body.as_str()), (503, r#"{"status":"unavailable"}"#));
}
