//! The Registry's clock was a day ahead for a while: what is counted from then on is as if it never had been.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{DAY, HOUR, MILLISECOND, MINUTE, SECOND, Span};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::registry_fixture::RegistryFixture;
use keyward_testing::{NOON, policy::POLICY};
use serde_json::json;

const AHEAD: Span = DAY;

#[test]
fn attempts_lock_out_for_no_longer_than_any_and_retry_after_is_true() {
    let (fixture, _) = RegistryFixture::open();
    let wrong = || {
        fixture.post("", "/session", json!({"email": "owner@example.com", "password": "not the password"}))
    };
    fixture.later(AHEAD);
    while wrong().body["code"] != "TOO_MANY_ATTEMPTS" {}
    fixture.later(-AHEAD);
    let answer = wrong();
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    let seconds: i64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{seconds}");
    fixture.later((seconds - 1) * SECOND - MILLISECOND);
    wrong().refused(429, "TOO_MANY_ATTEMPTS");
    fixture.later(SECOND + MILLISECOND);
    wrong().refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn a_password_that_was_typed_then_opens_nothing_now() {
    let (fixture, _) = RegistryFixture::open_over(&POLICY);
    fixture.later(AHEAD);
    let owner = fixture.sign_in("owner@example.com");
    fixture.later(-AHEAD);
    let add = || {
        fixture.post(
            &owner,
            "/members",
            json!({"email": "b@example.com", "role": "viewer", "password": "a long enough password"}),
        )
    };
    add().refused(403, "STEP_UP_REQUIRED");
    fixture
        .post(&owner, "/session/step-up", json!({"password": keyward_testing::registry_fixture::PASSWORD}))
        .expect(204);
    add().expect(201);
}

#[test]
fn nobody_owes_calls_for_longer_whatever_the_clock_was() {
    for back in [SECOND, MINUTE, 2 * MINUTE, AHEAD] {
        let (fixture, owner) = RegistryFixture::open();
        fixture.get(&owner, "/session").expect(200);
        fixture.later(-back);
        fixture.get(&owner, "/session").expect(200);
    }
}

#[test]
fn what_was_put_off_then_is_published_now() {
    let (fixture, _) = RegistryFixture::open();
    fixture.later(AHEAD);
    fixture.kv_is_down.set(true);
    let id = fixture.key(&fixture.sign_in("owner@example.com"), json!({})).key_id();
    fixture.kv_is_down.set(false);
    fixture.later(-AHEAD);
    assert!(fixture.next_due().unwrap() > NOON.plus(HOUR));
    // Any call will do, or the alarm.
    fixture.sign_in("owner@example.com");
    fixture.later(2 * SECOND);
    fixture.alarm();
    assert_eq!(fixture.published(&id).map(|record| record.id), Some(id));
    assert!(fixture.next_due().is_none_or(|due| due <= fixture.now.get().plus(MINUTE)));
}

#[test]
fn what_was_promised_holds_from_now_at_the_latest() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.later(AHEAD);
    let ahead = fixture.sign_in("owner@example.com");
    let revoke = |token: &str| fixture.post(token, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    revoke(&ahead);
    fixture.later(-AHEAD);
    let by = fixture.now.get().plus(5 * SECOND).to_rfc3339();
    let again = fixture.sign_in("owner@example.com");
    assert_eq!(revoke(&again).body["refusedEverywhereBy"], by);
}

#[test]
fn an_idempotent_request_is_remembered_for_a_day_from_now() {
    let (fixture, _) = RegistryFixture::open();
    fixture.later(AHEAD);
    let owner = fixture.sign_in("owner@example.com");
    let create = |token: &str| {
        let mut call =
            fixture.call("POST", token, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
        call.idempotency_key = Some("order-1".into());
        fixture.send(call).expect(201).key_id()
    };
    let first = create(&owner);
    fixture.later(-AHEAD);
    assert_eq!(create(&owner), first);
    fixture.later(DAY - MILLISECOND);
    assert_eq!(create(&fixture.sign_in("owner@example.com")), first);
    fixture.later(MILLISECOND);
    assert_ne!(create(&fixture.sign_in("owner@example.com")), first);
}

#[test]
fn usage_of_hours_that_have_not_come_is_told_again_once_clocks_agree() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let hours = [NOON, NOON.plus(AHEAD)].map(|at| UsageHour {
        hour: at.floor(HOUR),
        accepted: 3,
        ..UsageHour::default()
    });
    let report = UsageReport {
        key_id: id.clone(),
        last_used_at: Some(NOON.plus(AHEAD)),
        hours: hours.to_vec(),
        sent: Some(NOON.plus(AHEAD)),
        ..UsageReport::default()
    };
    let taken = usage::apply(&fixture.db, &report, true, NOON).unwrap();
    assert_eq!(taken.early, [NOON.plus(AHEAD).floor(HOUR)]);
    let read = |path: &str| fixture.get(&owner, &format!("/api-keys/{id}{path}")).expect(200).body;
    assert_eq!(read("")["apiKey"]["lastUsedAt"], NOON.to_rfc3339());
    let query = format!("/usage?from={}&to={}", NOON.to_rfc3339(), NOON.plus(2 * DAY).to_rfc3339());
    let points =
        read(&query)["points"].as_array().unwrap().iter().filter(|point| point["accepted"] == 3).count();
    assert_eq!(points, 1);
}
