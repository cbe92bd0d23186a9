//! Metadata of keys that the realm's origin is told: it is part of the record, and its changes are changes of the key.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    changes::{News, ReadChanges},
    sql::Sql as _,
    time::{MINUTE, Span},
};
use keyward_policy::{IdentityToken, KeyAction, Policy};
use keyward_registry::change_log;
use keyward_testing::{
    Seeded,
    registry_fixture::{RegistryFixture, policy_with},
};
use serde_json::json;

const TELLS: IdentityToken = IdentityToken {
    issuer: "https://api.example.com",
    jwks_path: "/api/jwks.json",
    metadata: &["customer", "region"],
};

fn policy() -> &'static Policy {
    policy_with(|realm| realm.identity = Some(TELLS))
}

fn news(fixture: &RegistryFixture, log: &str) -> News {
    let call = ReadChanges { log: log.into(), after: 0, max_age: Span::ZERO };
    change_log::read(&fixture.db, &call, fixture.now.get(), &mut Seeded::new(1), fixture.policy).unwrap()
}

#[test]
fn a_record_has_what_the_policy_names_of_the_metadata_and_no_more() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let metadata = json!({"customer": "c-7", "note": "ours"});
    let id = fixture.key(&owner, json!({ "metadata": metadata })).key_id();
    assert_eq!(fixture.record(&id).metadata.as_deref(), Some(r#"{"customer":"c-7"}"#));
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({ "metadata": metadata })).key_id();
    assert_eq!(fixture.record(&id).metadata, None);
}

#[test]
fn a_change_of_it_is_in_the_log() {
    let (mut fixture, owner) = RegistryFixture::open_over(policy());
    fixture.restart(policy());
    fixture.run(fixture.publisher.open()).unwrap();
    let id = fixture.key(&owner, json!({})).key_id();
    let log = news(&fixture, "").log;
    let edit = json!({"name": "another", "tags": ["a"]});
    fixture.patch(&owner, &format!("/api-keys/{id}"), edit).expect(200);
    assert_eq!(news(&fixture, &log).changes, []);
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"metadata": {"customer": "c-8"}})).expect(200);
    assert_eq!(news(&fixture, &log).changes.len(), 1);
    assert_eq!(fixture.record(&id).metadata.as_deref(), Some(r#"{"customer":"c-8"}"#));
}

/// A deployment with this policy begins, and publishes what it has to.
fn adopt(fixture: &mut RegistryFixture, policy: &'static Policy) {
    fixture.restart(policy);
    fixture.run(fixture.publisher.open()).unwrap();
    fixture.pass_with_alarms(MINUTE * 10);
}

#[test]
fn a_policy_that_tells_more_publishes_the_keys_again_and_the_same_policy_does_not() {
    let (mut fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"metadata": {"customer": "c-7"}})).key_id();
    let version = |fixture: &RegistryFixture| fixture.record(&id).version;
    let first = version(&fixture);
    adopt(&mut fixture, policy());
    assert_eq!(version(&fixture), first + 1);
    assert_eq!(fixture.record(&id).metadata.as_deref(), Some(r#"{"customer":"c-7"}"#));
    adopt(&mut fixture, policy());
    assert_eq!(version(&fixture), first + 1);
    // An older build has been here meanwhile.
    let limits = "INSERT OR REPLACE INTO realms (id, limits) SELECT id, limits FROM realms";
    fixture.db.run(limits, &[]).unwrap();
    adopt(&mut fixture, policy());
    assert_eq!(version(&fixture), first + 2);
    // One that names no metadata is like none.
    adopt(&mut fixture, policy_with(|realm| realm.identity = Some(IdentityToken { metadata: &[], ..TELLS })));
    assert_eq!(version(&fixture), first + 3);
    assert_eq!(fixture.record(&id).metadata, None);
    adopt(&mut fixture, policy_with(|_| {}));
    assert_eq!(version(&fixture), first + 3);
}

#[test]
fn an_edit_of_it_asks_for_what_an_edit_of_what_a_key_may_do_asks_for() {
    let guarded = |told: bool| {
        policy_with(|realm| {
            realm.step_up = &[KeyAction::Create];
            realm.identity = told.then_some(TELLS);
        })
    };
    for (told, edit, status) in [
        (true, json!({"metadata": {"customer": "c-8"}}), 403),
        (true, json!({"metadata": {"region": "eu"}}), 403),
        (true, json!({"metadata": {"customer": "c-7", "note": "other"}}), 200),
        (false, json!({"metadata": {"customer": "c-8"}}), 200),
    ] {
        let (mut fixture, owner) = RegistryFixture::open();
        let id = fixture.key(&owner, json!({"metadata": {"customer": "c-7"}})).key_id();
        fixture.restart(guarded(told));
        fixture.later(MINUTE * 6);
        let answer = fixture.patch(&owner, &format!("/api-keys/{id}"), edit.clone());
        answer.expect(status);
    }
}
