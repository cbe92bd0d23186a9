//! What the object is asked beside its alarm: each path, as the Worker and coordinators call it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;

use keyward_core::secret::{NoSecret, Secret, Secrets};
use keyward_registry::object::{ObjectContext, ObjectError};
use keyward_testing::{Seeded, registry_fixture::RegistryFixture, secrets};
use serde_json::{Value, json};

fn ask(fixture: &RegistryFixture, path: &str, body: &Value) -> Result<Option<Value>, ObjectError> {
    ask_with(fixture, path, body, Ok(Rc::new(secrets())), fixture.setup_token.as_ref())
}

fn ask_with(
    fixture: &RegistryFixture,
    path: &str,
    body: &Value,
    secrets: Result<Rc<Secrets>, NoSecret>,
    setup_token: Option<&Secret>,
) -> Result<Option<Value>, ObjectError> {
    let context = ObjectContext { secrets, setup_token, recovery_token: None, entropy: &mut Seeded::new(3) };
    let answer = fixture.run(fixture.publisher.serve(path, &body.to_string(), context))?;
    Ok(answer.map(|text| serde_json::from_str(&text).unwrap()))
}

#[test]
fn a_call_of_the_admin_api_is_answered_and_without_secrets_says_which_is_missing() {
    let (fixture, owner) = RegistryFixture::open();
    let call = serde_json::to_value(fixture.call("GET", &owner, "/session", Value::Null)).unwrap();
    assert_eq!(ask(&fixture, "/admin", &call).unwrap().unwrap()["status"], 200);
    let answer = ask_with(&fixture, "/admin", &call, Err(NoSecret), None).unwrap().unwrap();
    assert_eq!(answer["status"], 503);
    let body = answer["body"].as_str().unwrap();
    assert!(body.contains(&NoSecret.to_string()), "{body}");
    assert!(body.contains("`wrangler secret put KEYWARD_SECRET`"), "a command that works: {body}");
}

#[test]
fn readiness_names_a_set_up_token_that_can_be_guessed_until_there_is_an_owner() {
    let guessable = Secret::new("password");
    let ready = |fixture: &RegistryFixture, token: Option<&Secret>| {
        ask_with(fixture, "/ready", &Value::Null, Ok(Rc::new(secrets())), token).unwrap().unwrap()
    };
    let empty = RegistryFixture::empty();
    assert_eq!(ready(&empty, empty.setup_token.as_ref()), json!({"fault": null, "setUp": null}));
    let fault = ready(&empty, Some(&guessable));
    assert!(fault["setUp"].as_str().unwrap().contains("can be guessed"), "{fault}");
    let (owned, _) = RegistryFixture::open();
    assert_eq!(ready(&owned, Some(&guessable)), json!({"fault": null, "setUp": null}));
}

#[test]
fn readiness_tells_of_a_database_that_fails_also_after_the_object_has_opened_it() {
    let (fixture, _) = RegistryFixture::open();
    let ready = || ask(&fixture, "/ready", &Value::Null).unwrap().unwrap();
    assert_eq!(ready(), json!({"fault": null, "setUp": null}));
    fixture.db.fail_after(0);
    let found = ready();
    assert!(found["fault"].is_string(), "{found}");
    assert!(!fixture.db.has_not_failed(), "it was asked");
    assert_eq!(ready(), json!({"fault": null, "setUp": null}), "it works again");
}

#[test]
fn links_and_reports_of_usage_are_taken_in_and_what_is_neither_is_an_error() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let unknown = ask(&fixture, "/redeem", &json!({"realm": "default", "hash": "x"})).unwrap().unwrap();
    assert_eq!(unknown, serde_json::to_value(keyward_core::link::Redeemed::Unknown).unwrap());
    let report = keyward_limits::wire::UsageReport {
        key_id: id.clone(),
        hours: Vec::new(),
        last_used_at: Some(fixture.now.get()),
        sent: Some(fixture.now.get()),
        ..Default::default()
    };
    ask(&fixture, "/usage", &serde_json::to_value(report).unwrap()).unwrap().unwrap();
    let key = fixture.get(&owner, &format!("/api-keys/{id}")).expect(200);
    assert!(key.body["apiKey"]["lastUsedAt"].is_string());
    for path in ["/admin", "/redeem", "/usage"] {
        assert!(matches!(ask(&fixture, path, &json!({})), Err(ObjectError::Call(_))), "{path}");
    }
    assert!(ask(&fixture, "/else", &json!({})).unwrap().is_none());
}
