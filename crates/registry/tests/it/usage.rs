//! Usage of a key over time, as the admin API shows it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::sql::Sql;
use keyward_core::time::{DAY, HOUR, MILLISECOND, SECOND, Timestamp};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::NOON;
use keyward_testing::registry_fixture::RegistryFixture;
use serde_json::{Value, json};

fn report(fixture: &RegistryFixture, key_id: &str, hour: Timestamp, accepted: u64, refused: &[(&str, u64)]) {
    let refused = refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, refused, ..UsageHour::default() }];
    let report = UsageReport { key_id: key_id.to_owned(), hours, ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

fn points(fixture: &RegistryFixture, token: &str, key_id: &str, query: &str) -> Vec<Value> {
    let answer = fixture.get(token, &format!("/api-keys/{key_id}/usage{query}")).expect(200);
    answer.body["points"].as_array().unwrap().clone()
}

#[test]
fn the_last_day_is_shown_by_the_hour_with_the_hours_in_which_nothing_came() {
    let (fixture, owner) = RegistryFixture::open();
    let (id, other) = (fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id());
    report(&fixture, &id, NOON, 3, &[("INSUFFICIENT_SCOPE", 2)]);
    report(&fixture, &id, NOON.plus(-2 * HOUR), 5, &[]);
    report(&fixture, &id, NOON.plus(-25 * HOUR), 100, &[]);
    report(&fixture, &other, NOON, 1_000, &[]);
    let points = points(&fixture, &owner, &id, "");
    assert_eq!(points.len(), 25, "24 hours back, from the begin of that hour");
    assert_eq!(points[0]["time"], NOON.plus(-DAY).floor(HOUR).to_rfc3339());
    let last = json!({
        "time": NOON.floor(HOUR).to_rfc3339(), "accepted": 3, "refused": {"INSUFFICIENT_SCOPE": 2}
    });
    assert_eq!(points[24], last);
    assert_eq!(points[23]["accepted"], 0);
    assert_eq!(points[22]["accepted"], 5);
    assert_eq!(points.iter().map(|point| point["accepted"].as_u64().unwrap()).sum::<u64>(), 8);
}

#[test]
fn from_belongs_to_the_time_and_to_does_not() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let begin = NOON.floor(HOUR);
    for (hours, accepted) in [(0, 1), (1, 10), (2, 100)] {
        report(&fixture, &id, begin.plus(hours * HOUR), accepted, &[]);
    }
    let accepted = |from: Timestamp, to: Timestamp| -> Vec<u64> {
        let query = format!("?from={}&to={}", from.to_rfc3339(), to.to_rfc3339());
        points(&fixture, &owner, &id, &query)
            .iter()
            .map(|point| point["accepted"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(accepted(begin, begin.plus(2 * HOUR)), [1, 10]);
    assert_eq!(accepted(begin.plus(HOUR), begin.plus(2 * HOUR + MILLISECOND)), [10, 100]);
    assert_eq!(accepted(begin.plus(HOUR - MILLISECOND), begin.plus(HOUR)), [1]);
}

#[test]
fn days_are_the_sums_of_their_hours() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let day = NOON.floor(DAY);
    report(&fixture, &id, day.plus(-HOUR), 100, &[("RATE_LIMITED", 4)]);
    report(&fixture, &id, day, 1, &[("TEST_MODE", 1)]);
    report(&fixture, &id, day.plus(23 * HOUR), 10, &[("TEST_MODE", 2)]);
    let query = format!("?step=1d&from={}&to={}", day.plus(-DAY).to_rfc3339(), day.plus(DAY).to_rfc3339());
    assert_eq!(
        points(&fixture, &owner, &id, &query),
        [
            json!({"time": day.plus(-DAY).to_rfc3339(), "accepted": 100, "refused": {"RATE_LIMITED": 4}}),
            json!({"time": day.to_rfc3339(), "accepted": 11, "refused": {"TEST_MODE": 3}}),
        ]
    );
}

#[test]
fn wrong_parameters_are_named_with_how_to_mend_them() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    for (query, field, message) in [
        ("from=yesterday", "from", "RFC 3339"),
        ("to=1900000000", "to", "RFC 3339"),
        // U+2212, a minus to chrono.
        ("from=2030-01-31T00:00:00%E2%88%9201:00", "from", "RFC 3339"),
        ("step=5m", "step", "one of 1h, 1d"),
        ("since=2030-01-01T00:00:00Z", "since", "there are from, to, step"),
        ("from=2030-03-18T00:00:00Z&to=2030-03-17T00:00:00Z", "from", "must be before `to`"),
        ("from=2030-03-17T00:00:00Z&to=2030-03-17T00:00:00Z", "from", "must be before `to`"),
        ("from=2020-01-01T00:00:00Z", "from", "more than 1000 steps"),
        ("from=0000-01-01T00:00:00Z&step=1d", "from", "more than 1000 steps"),
    ] {
        let answer = fixture.get(&owner, &format!("/api-keys/{id}/usage?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field], "{query}");
        assert!(answer.message(field).contains(message), "{query}: {}", answer.text);
    }
    let longest =
        format!("?to={}&from={}", NOON.floor(HOUR).to_rfc3339(), NOON.plus(-1_000 * HOUR).to_rfc3339());
    assert_eq!(points(&fixture, &owner, &id, &longest).len(), 1_000);
}

#[test]
fn usage_is_for_whoever_may_read_the_key() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let id = fixture.key(&owner, json!({})).key_id();
    report(&fixture, &id, NOON, 1, &[]);
    let path = format!("/api-keys/{id}/usage");
    fixture.get(&viewer, &path).expect(200);
    fixture.get(&other, &path).refused(404, "NOT_FOUND");
    fixture.get("nobody", &path).refused(401, "UNAUTHENTICATED");
    fixture.later(SECOND);
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    assert_eq!(points(&fixture, &owner, &id, "").last().unwrap()["accepted"], 1, "also of a revoked key");
}

#[test]
fn usage_without_from_begins_with_the_first_hour_that_is_kept() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let first = usage::retention::first_hour(fixture.now.get());
    let shown = points(&fixture, &owner, &id, &format!("?to={}", first.plus(3 * HOUR).to_rfc3339()));
    assert_eq!((shown.len(), &shown[0]["time"]), (3, &json!(first.to_rfc3339())));
    let refused = fixture.get(&owner, &format!("/api-keys/{id}/usage?to={}", first.to_rfc3339()));
    assert_eq!(refused.fields(), ["to"]);
    assert!(refused.message("to").contains("step=1d"), "{}", refused.text);
    let days = points(&fixture, &owner, &id, &format!("?step=1d&to={}", first.to_rfc3339()));
    assert_eq!(days.len(), 24);
}

#[test]
fn a_key_shows_where_its_last_use_came_from_and_never_that_of_another_use() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({}));
    let id = key.key_id();
    assert_eq!(key.body["apiKey"]["lastUsedFrom"], Value::Null);
    let from = json!({ "network": "2001:db8::/64", "country": "CH", "route": "/api/orders*" });
    let used = |from: Option<&Value>, room| {
        fixture.later(SECOND);
        let (now, from) = (fixture.now.get(), from.cloned());
        let report = UsageReport {
            key_id: id.clone(),
            last_used_at: Some(now),
            last_used_from: from,
            sent: Some(now),
            ..UsageReport::default()
        };
        usage::apply(&fixture.db, &report, room, now).unwrap();
        let key = fixture.get(&owner, &format!("/api-keys/{id}")).expect(200).body["apiKey"].clone();
        assert_eq!(key["lastUsedAt"], now.to_rfc3339());
        key["lastUsedFrom"].clone()
    };
    let mut newer = from.clone();
    newer["later"] = json!("added by a newer build");
    assert_eq!(used(Some(&newer), true), from);
    assert_eq!(used(Some(&from), false), Value::Null, "nothing is written without room");
    assert_eq!(used(Some(&from), true), from);
    assert_eq!(used(None, true), Value::Null, "a coordinator of an older build");
    let long = json!({ "network": "x".repeat(500), "country": null, "route": null });
    assert_eq!(used(Some(&long), true), Value::Null);
    assert_eq!(used(Some(&from), true), from);
    // A Registry of an older build stores only when.
    let older = "UPDATE keys SET last_used_at = last_used_at + 1";
    fixture.db.run(older, &[]).unwrap();
    let listed = fixture.get(&owner, "/api-keys").expect(200);
    assert_eq!(listed.body["apiKeys"][0]["lastUsedFrom"], Value::Null);
}
