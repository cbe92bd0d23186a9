//! Whose data are: a Registry of another jurisdiction than the policy's answers nothing and publishes nothing, and one that is
//! empty is not set up where KV belongs to objects elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;

use keyward_core::{
    jurisdiction::MARKER,
    record::Jurisdiction,
    sql::Sql,
    time::{MINUTE, SECOND},
};
use keyward_policy::Policy;
use keyward_registry::object::ObjectContext;
use keyward_testing::{
    Seeded,
    fake_registry_platform::DOWN,
    registry_fixture::{Answer, PASSWORD, RegistryFixture, SETUP_TOKEN, policy_with},
    secrets,
};
use serde_json::{Value, json};

const OF_NONE: &str = r#"{"v":"1"}"#;
const OF_EU: &str = r#"{"v":"2","jurisdiction":"eu"}"#;

fn within(jurisdiction: Option<Jurisdiction>) -> &'static Policy {
    Box::leak(Box::new(Policy { jurisdiction, ..*policy_with(|_| {}) }))
}

fn eu() -> &'static Policy {
    within(Some(Jurisdiction::Eu))
}

fn ask(fixture: &RegistryFixture, path: &str, body: &Value) -> Result<Value, String> {
    let context = ObjectContext {
        secrets: Ok(Rc::new(secrets())),
        setup_token: fixture.setup_token.as_ref(),
        recovery_token: None,
        entropy: &mut Seeded::new(3),
    };
    let answer = fixture.run(fixture.publisher.serve(path, &body.to_string(), context));
    let text = answer.map_err(|error| error.to_string())?.unwrap();
    Ok(serde_json::from_str(&text).unwrap())
}

fn set_up(fixture: &RegistryFixture) -> Answer {
    let body = json!({"token": SETUP_TOKEN, "email": "owner@example.com", "password": PASSWORD});
    fixture.post("", "/setup", body)
}

fn marker(fixture: &RegistryFixture) -> Option<String> {
    fixture.kv.borrow().get(MARKER).cloned()
}

#[test]
fn set_up_says_in_kv_whose_it_is_and_keys_are_published_with_it() {
    for (policy, text, v) in [(within(None), OF_NONE, "1"), (eu(), OF_EU, "2")] {
        let fixture = RegistryFixture::over(policy);
        assert_eq!(marker(&fixture), None, "nothing is kept yet");
        set_up(&fixture).expect(201);
        assert_eq!(marker(&fixture).as_deref(), Some(text));
        let owner = fixture.sign_in("owner@example.com");
        let id = fixture.key(&owner, json!({})).key_id();
        let record = serde_json::to_value(fixture.published(&id).unwrap()).unwrap();
        assert_eq!(record["v"], v);
        assert_eq!(fixture.record(&id).jurisdiction, policy.jurisdiction, "its object has the same");
    }
}

#[test]
fn nothing_is_published_before_kv_says_whose_it_is() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.db.run("UPDATE home SET is_marked = 0", &[]).unwrap();
    fixture.restart(fixture.policy);
    fixture.kv.borrow_mut().insert(MARKER.to_owned(), OF_EU.to_owned());
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(10 * SECOND);
    assert_eq!(fixture.published(&id), None);
    assert!(fixture.log.borrow().iter().any(|line| line.contains("write `jurisdiction = \"eu\"`")));
    fixture.kv.borrow_mut().remove(MARKER);
    fixture.pass_with_alarms(10 * MINUTE);
    assert!(fixture.published(&id).is_some());
    assert_eq!(marker(&fixture).as_deref(), Some(OF_NONE));
}

#[test]
fn under_a_policy_that_names_another_jurisdiction_a_registry_answers_and_publishes_nothing() {
    let us = within(Some(Jurisdiction::Us));
    for (home, other) in [(within(None), eu()), (eu(), within(None)), (eu(), us)] {
        let (mut fixture, owner) = RegistryFixture::open_over(home);
        let id = fixture.key(&owner, json!({})).key_id();
        fixture.gates_are_down.set(true);
        let late = fixture.post(&owner, "/api-keys", json!({"name": "b", "scopes": ["orders:read"]}));
        assert_ne!(late.status, 500);
        fixture.gates_are_down.set(false);
        fixture.kv.borrow_mut().clear();

        fixture.restart(other);
        let refused = fixture.get(&owner, "/api-keys");
        refused.refused(503, "NOT_CONFIGURED");
        assert!(refused.body["detail"].as_str().unwrap().starts_with("The policy names objects"));
        set_up(&fixture).expect(503);
        let health = ask(&fixture, "/ready", &Value::Null).unwrap();
        assert!(health["fault"].as_str().unwrap().contains("but the data belong to"), "{health}");
        for (path, body) in [
            ("/redeem", json!({"realm": "default", "hash": "x"})),
            ("/usage", json!({"keyId": id, "hours": [], "lastUsedAt": null})),
        ] {
            let error = ask(&fixture, path, &body).unwrap_err();
            assert!(error.contains("but the data belong to"), "{error}");
        }
        fixture.log.borrow_mut().clear();
        fixture.pass_with_alarms(180 * MINUTE);
        assert!(fixture.kv.borrow().is_empty(), "its alarm publishes nothing");
        let lines = fixture.log.borrow().len();
        assert!((1..=4).contains(&lines), "and rings each hour only: {lines}");

        fixture.restart(home);
        fixture.get(&owner, "/api-keys").expect(200);
    }
}

#[test]
fn a_database_from_before_jurisdictions_belongs_to_objects_without_one() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.db.run("DELETE FROM home", &[]).unwrap();
    fixture.kv.borrow_mut().clear();
    fixture.restart(eu());
    fixture.get(&owner, "/session").expect(503);
    fixture.restart(within(None));
    fixture.get(&owner, "/session").expect(200);
    assert_eq!(marker(&fixture), None, "who only reads changes nothing");
    fixture.delete(&owner, "/session").expect(204);
    assert_eq!(marker(&fixture).as_deref(), Some(OF_NONE), "and says so with the next change");
}

#[test]
fn a_database_whose_jurisdiction_only_a_newer_build_knows_is_not_used() {
    for policy in [within(None), eu()] {
        let (mut fixture, owner) = RegistryFixture::open_over(policy);
        fixture.db.run("UPDATE home SET jurisdiction = 'mars'", &[]).unwrap();
        fixture.restart(policy);
        let refused = fixture.get(&owner, "/api-keys");
        refused.refused(503, "NOT_CONFIGURED");
        assert!(refused.text.contains("deploy the newer build again"), "{}", refused.text);
    }
}

#[test]
fn an_empty_registry_is_not_set_up_where_kv_belongs_to_objects_elsewhere_or_does_not_say() {
    let cases =
        [(OF_NONE, eu()), (OF_EU, within(None)), (OF_EU, within(Some(Jurisdiction::Us))), ("?", eu())];
    for (text, policy) in cases {
        let mut fixture = RegistryFixture::over(policy);
        // The object was empty before, and is so when it wakes up again.
        fixture.kv.borrow_mut().insert(MARKER.to_owned(), text.to_owned());
        fixture.restart(policy);
        set_up(&fixture).refused(503, "NOT_CONFIGURED");
        fixture.post(&format!("setup:{SETUP_TOKEN}"), "/api-keys", json!({"name": "a"})).expect(503);
        assert_eq!(marker(&fixture).as_deref(), Some(text), "it stays");
    }
    // A build from before jurisdictions put keys there and no marker.
    let mut fixture = RegistryFixture::over(eu());
    fixture.kv.borrow_mut().insert("key:sha256:00".to_owned(), "{}".to_owned());
    fixture.restart(eu());
    set_up(&fixture).refused(503, "NOT_CONFIGURED");
    fixture.restart(within(None));
    fixture.db.run("DELETE FROM home", &[]).unwrap();
    set_up(&fixture).expect(201);
    let mut fixture = RegistryFixture::empty();
    fixture.kv_is_down.set(true);
    fixture.restart(fixture.policy);
    // Nobody knows whose KV is.
    set_up(&fixture).refused(503, "STORE_UNAVAILABLE");
    fixture.kv_is_down.set(false);
    set_up(&fixture).expect(201);
}

#[test]
fn while_kv_fails_a_registry_that_was_set_up_goes_on() {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.kv_is_down.set(true);
    fixture.puts.borrow_mut().push_back(DOWN);
    fixture.restart(fixture.policy);
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
}
