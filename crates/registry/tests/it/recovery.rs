//! The recovery token: how the operator's last owner gets back in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{secret::Secret, time::Span};
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture};
use serde_json::json;

const TOKEN: &str = "q3VbT0xk7RzNw2LdYh8J";
const ANOTHER: &str = "somebody chose another one";

fn recover(fixture: &RegistryFixture, token: &str, email: &str) -> Answer {
    fixture.post("", "/recover", json!({"token": token, "email": email, "password": ANOTHER}))
}

fn with_token() -> (RegistryFixture, String) {
    let (mut fixture, owner) = RegistryFixture::open();
    fixture.recovery_token = Some(Secret::new(TOKEN));
    (fixture, owner)
}

fn signs_in(fixture: &RegistryFixture, email: &str) -> Answer {
    fixture.post("", "/session", json!({"email": email, "password": ANOTHER})).expect(201)
}

#[test]
fn the_last_owner_gets_another_password_once_for_each_value_of_the_token() {
    let (mut fixture, owner) = with_token();
    let done = recover(&fixture, TOKEN, "Owner@example.com").expect(200);
    assert_eq!(done.body["member"]["role"], "owner");
    fixture.get(&owner, "/session").refused(401, "UNAUTHENTICATED");
    let session = signs_in(&fixture, "owner@example.com").body["token"].as_str().unwrap().to_owned();
    let entry = fixture.get(&session, "/audit?action=recovery").body["entries"][0].clone();
    assert_eq!(entry["actor"], json!({"type": "recoveryToken", "id": null, "email": null}));
    assert_eq!(entry["target"], done.body["member"]["id"]);

    let dump = fixture.dump();
    assert!(!dump.contains(TOKEN), "only its hash is stored");
    let again = recover(&fixture, TOKEN, "owner@example.com");
    again.refused(409, "CONFLICT");
    assert!(again.text.contains("KEYWARD_RECOVERY_TOKEN"), "{}", again.text);
    assert_eq!(fixture.dump(), dump);
    fixture.recovery_token = Some(Secret::new("another-of-Kk3vQ9mRw0"));
    recover(&fixture, "another-of-Kk3vQ9mRw0", "owner@example.com").expect(200);
}

#[test]
fn an_owner_whose_account_is_gone_or_has_another_role_becomes_one() {
    let (mut fixture, owner) = with_token();
    let made = recover(&fixture, TOKEN, "new@example.com").expect(201);
    assert_eq!(made.body["member"]["role"], "owner");
    let session = signs_in(&fixture, "new@example.com").body["token"].as_str().unwrap().to_owned();
    fixture.get(&session, "/tenants").expect(200);
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    fixture.recovery_token = Some(Secret::new("another-of-Kk3vQ9mRw0"));
    let done = recover(&fixture, "another-of-Kk3vQ9mRw0", "viewer@example.com").expect(200);
    assert_eq!(done.body["member"]["role"], "owner");
    fixture.get(&viewer, "/session").refused(401, "UNAUTHENTICATED");
}

#[test]
fn recovery_changes_nobody_of_another_tenant_and_does_no_set_up() {
    let (fixture, operator) = with_token();
    let (shop, _) = fixture.tenant(&operator, "shop");
    recover(&fixture, TOKEN, "owner@shop.example").refused(409, "CONFLICT");
    fixture.get(&shop, "/session").expect(200);
    for wrong in ["nobody@localhost", "not an address"] {
        recover(&fixture, TOKEN, wrong).refused(400, "VALIDATION_FAILED");
    }
    let guessable = json!({"token": TOKEN, "email": "owner@example.com", "password": "passwordpassword"});
    fixture.post("", "/recover", guessable).refused(400, "VALIDATION_FAILED");
    recover(&fixture, TOKEN, "owner@example.com").expect(200);

    let mut empty = RegistryFixture::empty();
    empty.recovery_token = Some(Secret::new(TOKEN));
    recover(&empty, TOKEN, "owner@example.com").refused(409, "CONFLICT");
    assert!(!empty.dump().contains("owner@example.com"));
}

#[test]
fn a_token_that_is_wrong_is_counted_and_one_that_can_be_guessed_opens_nothing() {
    let (mut fixture, owner) = with_token();
    let wrong = (0..300)
        .take_while(|_| {
            fixture.later(Span::from_ms(200));
            recover(&fixture, "wrong", "owner@example.com").status == 401
        })
        .count();
    assert!((100..150).contains(&wrong), "{wrong}");
    recover(&fixture, "wrong", "owner@example.com").refused(429, "TOO_MANY_ATTEMPTS");
    let entries = fixture.get(&owner, "/audit?action=session.refused").body["entries"].clone();
    assert_eq!(entries[0]["actor"]["email"], "owner@example.com");
    fixture.later(Span::from_mins(1));
    recover(&fixture, TOKEN, "owner@example.com").expect(200);

    for weak in [None, Some(""), Some("short"), Some("passwordpassword1234")] {
        fixture.recovery_token = weak.map(Secret::new);
        let answer = recover(&fixture, weak.unwrap_or(PASSWORD), "owner@example.com");
        answer.refused(503, "NOT_CONFIGURED");
        assert!(answer.text.contains("KEYWARD_RECOVERY_TOKEN"), "{}", answer.text);
    }
}
