//! The Registry's clock was a day ahead for a while: what is counted from then on is as if it never had been.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{DAY, HOUR, MINUTE, SECOND};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::office::Office;
use keyward_testing::{NOON, policy::POLICY};
use serde_json::json;

const AHEAD: i64 = DAY;

#[test]
fn attempts_lock_out_for_no_longer_than_any_and_retry_after_is_true() {
    let (office, _) = Office::open();
    let wrong =
        || office.post("", "/session", json!({"email": "owner@example.com", "password": "not the password"}));
    office.later(AHEAD);
    while wrong().body["code"] != "TOO_MANY_ATTEMPTS" {}
    office.later(-AHEAD);
    let answer = wrong();
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    let seconds: i64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{seconds}");
    office.later((seconds - 1) * SECOND - 1);
    wrong().refused(429, "TOO_MANY_ATTEMPTS");
    office.later(SECOND + 1);
    wrong().refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn a_password_that_was_typed_then_opens_nothing_now() {
    let (office, _) = Office::open_over(&POLICY);
    office.later(AHEAD);
    let owner = office.sign_in("owner@example.com");
    office.later(-AHEAD);
    let add = || {
        office.post(
            &owner,
            "/members",
            json!({"email": "b@example.com", "role": "viewer", "password": "a long enough password"}),
        )
    };
    add().refused(403, "STEP_UP_REQUIRED");
    office
        .post(&owner, "/session/step-up", json!({"password": keyward_testing::office::PASSWORD}))
        .expect(204);
    add().expect(201);
}

#[test]
fn what_was_put_off_then_is_published_now() {
    let (office, _) = Office::open();
    office.later(AHEAD);
    office.kv_is_down.set(true);
    let id = office.key(&office.sign_in("owner@example.com"), json!({})).key_id();
    office.kv_is_down.set(false);
    office.later(-AHEAD);
    assert!(office.next_due().unwrap() > NOON.plus(HOUR));
    // Any call will do, or the alarm.
    office.sign_in("owner@example.com");
    office.later(2 * SECOND);
    office.alarm();
    assert_eq!(office.published(&id).map(|record| record.id), Some(id));
    assert!(office.next_due().is_none_or(|due| due <= office.now.get().plus(MINUTE)));
}

#[test]
fn what_was_promised_holds_from_now_at_the_latest() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    office.later(AHEAD);
    let ahead = office.sign_in("owner@example.com");
    let revoke = |token: &str| office.post(token, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    revoke(&ahead);
    office.later(-AHEAD);
    let by = office.now.get().plus(5 * SECOND).to_rfc3339();
    let again = office.sign_in("owner@example.com");
    assert_eq!(revoke(&again).body["refusedEverywhereBy"], by);
}

#[test]
fn an_idempotent_request_is_remembered_for_a_day_from_now() {
    let (office, _) = Office::open();
    office.later(AHEAD);
    let owner = office.sign_in("owner@example.com");
    let create = |token: &str| {
        let mut call =
            office.call("POST", token, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
        call.idempotency_key = Some("order-1".into());
        office.send(call).expect(201).key_id()
    };
    let first = create(&owner);
    office.later(-AHEAD);
    assert_eq!(create(&owner), first);
    office.later(DAY - 1);
    assert_eq!(create(&office.sign_in("owner@example.com")), first);
    office.later(1);
    assert_ne!(create(&office.sign_in("owner@example.com")), first);
}

#[test]
fn usage_of_hours_that_have_not_come_is_told_again_once_clocks_agree() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
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
    };
    let taken = usage::apply(&office.db, &report, true, NOON).unwrap();
    assert_eq!(taken.early, [NOON.plus(AHEAD).floor(HOUR)]);
    let read = |path: &str| office.get(&owner, &format!("/api-keys/{id}{path}")).expect(200).body;
    assert_eq!(read("")["apiKey"]["lastUsedAt"], NOON.to_rfc3339());
    let query = format!("/usage?from={}&to={}", NOON.to_rfc3339(), NOON.plus(2 * DAY).to_rfc3339());
    let points =
        read(&query)["points"].as_array().unwrap().iter().filter(|point| point["accepted"] == 3).count();
    assert_eq!(points, 1);
}
