//! What the gate does for the admin side: checking keys that are shown there, counting failures, asking the Registry.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;

use keyward_core::{
    record::{Record, Status},
    time::{SECOND, Span},
    unavailable::CallFailed,
};
use keyward_gate::admin::AdminCaller;
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, now, published},
    policy::POLICY,
    record,
};
use serde_json::{Value, json};

const ADMIN: AdminCaller<'_> =
    AdminCaller { client: CALLER, request_id: "req-1", within: Span::from_secs(8) };

#[test]
fn a_key_that_is_in_order_is_its_record_and_any_other_an_answer_of_the_admin_api() {
    let (platform, key) = published(&record());
    let verify =
        |key| now(platform.gate(Some(&*POLICY)).verify_key(&POLICY, key, ADMIN, &|| Some("CH".to_owned())));
    assert_eq!(verify(&key).unwrap(), record());
    let gates = platform.gates.borrow();
    let used_from = gates[&platform.hash(&key)].report(platform.clock.now()).unwrap().last_used_from;
    assert_eq!(used_from, Some(json!({ "network": "192.0.2.1", "country": "CH", "route": null })));
    drop(gates);
    platform.tell(&key, &Record { version: 2, status: Status::Revoked, ..record() });
    let refused = verify(&key).unwrap_err();
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(
        (refused.status, &body["code"], &body["requestId"]),
        (401, &"REVOKED_API_KEY".into(), &"req-1".into())
    );
    // What every answer of the admin API has is added there.
    for name in ["Cache-Control", "X-Request-Id"] {
        assert!(refused.headers.iter().all(|(header, _)| *header != name), "{name}");
    }
}

#[test]
fn who_fails_too_often_at_the_admin_api_is_refused_there_and_now_and_then_all_of_its_site() {
    let platform = FakePlatform::new();
    let gate = platform.gate(Some(&*POLICY));
    let fail = || now(gate.count_failure(("counted", "held back"), Some("site"), ADMIN));
    fail();
    assert_eq!(gate.penalty("held back"), None);
    platform.most_failures.set(Some(1));
    fail();
    assert_eq!((gate.penalty("held back"), gate.penalty("counted")), (Some(Span::from_secs(10)), None));
    assert_eq!(gate.penalty("site"), None, "of sixteen failures one is counted for the site");
    for _ in 0..32 {
        fail();
    }
    assert_eq!(gate.penalty("site"), Some(Span::from_secs(10)));
    platform.pass_time(10 * SECOND);
    assert_eq!(gate.penalty("held back"), None);
}

#[test]
fn calls_of_strangers_that_fail_keep_nobody_from_the_registry_who_has_shown_something() {
    let platform = FakePlatform::new();
    let gate = platform.gate(Some(&*POLICY));
    let asked = Cell::new(0);
    let ask = |is_proof, answer: Result<&'static str, CallFailed>| {
        let ask = async |within| {
            assert_eq!(within, 8 * SECOND);
            asked.set(asked.get() + 1);
            answer
        };
        now(gate.ask_registry(is_proof, ADMIN, ask))
    };
    for _ in 0..20 {
        assert_eq!(ask(false, Err(CallFailed::Status(500))), None);
    }
    assert!(asked.take() < 20, "what keeps failing is left alone for a while");
    assert_eq!(ask(true, Ok("an answer")), Some("an answer"));
    let line: Value = serde_json::from_str(&platform.logged.take()[0]).unwrap();
    assert_eq!((&line["event"], &line["store"]), (&"store unavailable".into(), &"REGISTRY".into()));
    assert_eq!((&line["requestId"], &line["error"]), (&"req-1".into(), &"answered 500".into()));
}
