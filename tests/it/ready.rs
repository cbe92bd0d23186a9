//! What `/readyz` finds and tells.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashMap;

use keyward_core::{
    secret::Secret,
    time::{MILLISECOND, SECOND, Timestamp},
};
use keyward_gate::ready::{self, Cache, Look, Readiness};
use keyward_policy::{
    Admin, CodeFlow, EventEndpoint, EventType, Policy, Realm, Requirement, Route, Routes, SignIn, Webhook,
};
use keyward_registry::setup_token::{recovery_fault, set_up_fault};
use keyward_testing::policy::POLICY;

use crate::admin_order::ISSUER;

const NOON: Timestamp = Timestamp(1_900_000_000_000);
const GOOD: &str = "0123456789abcdef0123456789abcdef";

fn faults(policy: &Policy, secrets: &[(&str, &str)]) -> Option<String> {
    let secrets: HashMap<_, _> = secrets.iter().copied().collect();
    ready::secrets(policy, |name| secrets.get(name).map(|text| (*text).to_owned()))
}

#[test]
fn a_secret_that_is_missing_or_not_fit_is_named_and_nothing_of_it_is_shown() {
    let set_up = ("KEYWARD_SETUP_TOKEN", GOOD);
    assert_eq!(faults(&POLICY, &[("KEYWARD_SECRET", GOOD), set_up]), None);
    assert_eq!(faults(&POLICY, &[("KEYWARD_SECRET", GOOD)]), None, "there may be an owner");
    let rotated = [("KEYWARD_SECRET", GOOD), ("KEYWARD_SECRET_PREVIOUS", GOOD)];
    assert_eq!(faults(&POLICY, &rotated), None);
    for (secrets, name) in [
        (vec![], "KEYWARD_SECRET"),
        (vec![("KEYWARD_SECRET", "hush")], "KEYWARD_SECRET"),
        (vec![("KEYWARD_SECRET", GOOD), ("KEYWARD_SECRET_PREVIOUS", "hush")], "KEYWARD_SECRET_PREVIOUS"),
    ] {
        let fault = faults(&POLICY, &secrets).unwrap();
        assert!(fault.starts_with(name) && !fault.contains("hush"), "{fault}");
    }
}

#[test]
fn a_set_up_token_that_can_be_guessed_is_a_fault_while_there_is_no_owner() {
    let found = |has_owner, token: Option<&str>| set_up_fault(has_owner, token.map(Secret::new).as_ref());
    for weak in ["hush", "short-but-random-9x", "passwordpassword1234", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let fault = found(false, Some(weak)).unwrap_err().to_string();
        assert!(fault.starts_with("KEYWARD_SETUP_TOKEN") && !fault.contains(weak), "{fault}");
        assert_eq!(found(true, Some(weak)), Ok(()), "it opens nothing any more");
    }
    for token in [None, Some(""), Some("q3VbT0xk7RzNw2LdYh8J")] {
        assert_eq!(found(false, token), Ok(()), "a gate may do without an owner");
    }
}

#[test]
fn a_recovery_token_that_can_be_guessed_is_a_fault_whoever_has_set_up() {
    let found = |token: Option<&str>| recovery_fault(token.map(Secret::new).as_ref());
    for weak in ["hush", "passwordpassword1234"] {
        let fault = found(Some(weak)).unwrap_err().to_string();
        assert!(fault.starts_with("KEYWARD_RECOVERY_TOKEN") && !fault.contains(weak), "{fault}");
    }
    for token in [None, Some(""), Some("q3VbT0xk7RzNw2LdYh8J")] {
        assert_eq!(found(token), Ok(()), "a gate does without");
    }
}

#[test]
fn a_secret_that_signs_events_is_one_of_them() {
    let types = &[EventType::Revoked];
    let endpoint =
        EventEndpoint { name: "main", url: "https://hooks.example.com/", secrets: &["ONE", "TWO"], types };
    let admin = Admin { events: Vec::leak(vec![endpoint]), ..POLICY.admin };
    let policy = Policy { admin, ..*POLICY };
    let fault = faults(&policy, &[("KEYWARD_SECRET", GOOD), ("ONE", "hush")]).unwrap();
    assert_eq!(fault, "TWO is not set");
}

#[test]
fn a_secret_that_the_policy_names_is_one_of_them() {
    const STRIPE: Webhook = Webhook::standard("SENDER_SECRET");
    let route = Route { requires: Requirement::Webhook(&STRIPE), ..POLICY.realms[0].routes[0] };
    let realm = Realm { routes: Routes::new(Vec::leak(vec![route, route])), ..POLICY.realms[0] };
    let policy = Policy { realms: Vec::leak(vec![realm]), ..*POLICY };
    let with = |text| faults(&policy, &[("KEYWARD_SECRET", GOOD), ("SENDER_SECRET", text)]);
    assert_eq!(faults(&policy, &[("KEYWARD_SECRET", GOOD)]).unwrap(), "SENDER_SECRET is not set");
    assert_eq!(with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
    assert_eq!(with("not base64!").unwrap(), "SENDER_SECRET is not in the form that the policy says");

    const OTHER: Webhook = Webhook::standard("OTHER_SECRET");
    let other = Route { requires: Requirement::Webhook(&OTHER), ..route };
    let realm = Realm { routes: Routes::new(Vec::leak(vec![route, other, route])), ..realm };
    let policy = Policy { realms: Vec::leak(vec![realm]), ..policy };
    let each_once = "SENDER_SECRET is not set; OTHER_SECRET is not set";
    assert_eq!(faults(&policy, &[("KEYWARD_SECRET", GOOD)]).unwrap(), each_once);

    let flow = CodeFlow { client_secret: Some("CLIENT_SECRET"), ..ISSUER.code.unwrap() };
    let admin = Admin { sign_in: Some(SignIn { code: Some(flow), ..ISSUER }), ..POLICY.admin };
    let policy = Policy { admin, ..*POLICY };
    assert_eq!(faults(&policy, &[("KEYWARD_SECRET", GOOD)]).unwrap(), "CLIENT_SECRET is not set");
    assert_eq!(faults(&policy, &[("KEYWARD_SECRET", GOOD), ("CLIENT_SECRET", "any")]), None);
}

#[test]
fn strangers_learn_whether_and_operators_what() {
    let mut found = Readiness::default();
    found.note("kv", None);
    assert_eq!((found.status(), found.body(false)), (200, r#"{"status":"ok"}"#.to_owned()));
    found.note("registry", Some("has schema 9".into()));
    assert_eq!((found.status(), found.body(false)), (503, r#"{"status":"unavailable"}"#.to_owned()));
    let details: serde_json::Value = serde_json::from_str(&found.body(true)).unwrap();
    assert_eq!(details["parts"], serde_json::json!({ "kv": "ok", "registry": "has schema 9" }));
}

#[test]
fn one_request_checks_for_all_and_what_it_finds_is_believed_for_five_seconds() {
    let mut cache = Cache::default();
    assert_eq!(cache.look(NOON), Look::Check);
    assert_eq!(cache.look(NOON.plus(SECOND)), Look::Wait);
    let found = cache.found(Readiness::default(), NOON.plus(SECOND));
    let known = Look::Known(found);
    assert_eq!(cache.look(NOON.plus(6 * SECOND - MILLISECOND)), known);
    assert_eq!(cache.look(NOON.plus(6 * SECOND)), Look::Check);
    assert_eq!(cache.look(NOON.plus(6 * SECOND)), known, "what was found before, while one checks");
    assert_eq!(cache.look(NOON.plus(16 * SECOND - MILLISECOND)), known);
    assert_eq!(cache.look(NOON.plus(16 * SECOND)), Look::Check, "the check before was ended by the runtime");
    assert_eq!(cache.look(NOON.plus(16 * SECOND)), Look::Wait, "what was found before is too old");
    assert_eq!(cache.look(NOON), Look::Check, "a clock that is set back");
}
