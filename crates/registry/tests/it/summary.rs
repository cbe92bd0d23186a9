//! What is counted of all keys at once, and the usage of several.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::RefCell;

use keyward_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::{keys::summary::COUNTS, usage};
use keyward_testing::{NOON, registry_fixture::RegistryFixture};
use serde_json::{Value, json};

fn report(fixture: &RegistryFixture, report: UsageReport) {
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

fn counted(hour: Timestamp, accepted: u64, refused: &[(&str, u64)]) -> Vec<UsageHour> {
    let refused = refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    vec![UsageHour { hour: hour.floor(HOUR), accepted, refused, ..UsageHour::default() }]
}

/// Says of a key that it has just come near a limit.
fn near(fixture: &RegistryFixture, key_id: &str) {
    let near_limit_at = Some(fixture.now.get());
    report(fixture, UsageReport { key_id: key_id.into(), near_limit_at, ..UsageReport::default() });
}

#[test]
fn each_count_of_the_summary_is_the_total_of_the_list_that_it_stands_for() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    near(&fixture, &fixture.key(&other, json!({})).key_id());
    let session = RefCell::new(owner);
    let key = |fields: Value| fixture.key(&session.borrow(), fields).key_id();
    let act = |id: &str, what: &str| {
        fixture.post(&session.borrow(), &format!("/api-keys/{id}/{what}"), json!({})).expect(200);
    };
    let until = |days: i64| json!({"expiresAt": fixture.now.get().plus(days * DAY).to_rfc3339()});
    for _ in 0..3 {
        key(json!({}));
    }
    let ends = key(until(1));
    act(&key(until(1)), "pause");
    fixture.later(100 * DAY);
    let owner = fixture.sign_in("owner@example.com");
    session.replace(owner.clone());
    for days in [10, 29, 30, 31] {
        key(until(days));
    }
    for what in ["pause", "revoke", "revoke"] {
        act(&key(json!({})), what);
    }
    for (index, how) in [json!({"revokeOld": false}), json!({"graceSeconds": 60})].into_iter().enumerate() {
        let id = key(json!({}));
        fixture.post(&owner, &format!("/api-keys/{id}/rotate"), how).expect(201);
        near(&fixture, &id);
        if index == 0 {
            act(&id, "revoke");
        }
    }
    near(&fixture, &ends);
    near(&fixture, &key(json!({})));
    let summary = |query: &str| {
        fixture.get(&owner, &format!("/api-keys/summary{query}")).expect(200).body["summary"].clone()
    };
    let total =
        |query: &str| fixture.get(&owner, &format!("/api-keys?{query}")).expect(200).body["total"].clone();
    let soon = fixture.now.get().plus(30 * DAY).to_rfc3339();
    let mut seen = Vec::new();
    for realm in ["", "&realm=default"] {
        let shown = summary(&realm.replace('&', "?"));
        assert_eq!(shown["total"], total(realm));
        for (name, filter) in COUNTS {
            let expected = total(&format!("{}{realm}", filter.replace('?', &soon)));
            assert_eq!(shown[name], expected, "{name}{realm}");
            seen.push(expected.as_u64().unwrap());
        }
    }
    assert_eq!(seen[..8], [11, 2, 1, 3, 3, 3, 2, 2], "there is something of each");
    assert_eq!(summary("")["total"], 17);
    let answer = fixture.get(&owner, "/api-keys/summary?realm=none");
    answer.refused(400, "VALIDATION_FAILED");
    assert_eq!(fixture.get(&owner, "/api-keys/summary?q=a").fields(), ["q"]);
}

#[test]
fn the_summary_reads_each_key_once_however_much_it_counts() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    crate::many_keys::fill(&fixture, &id, 1_000);
    let before = fixture.db.work();
    assert_eq!(fixture.get(&owner, "/api-keys/summary").expect(200).body["summary"]["total"], 1_001);
    let steps = fixture.db.work() - before;
    assert!(steps < 100_000, "{steps} steps of SQLite for 1,000 keys");
    fixture.db.watch();
    fixture.get(&owner, "/api-keys/summary").expect(200);
    let passes = fixture.db.watched().into_iter().filter(|statement| statement.contains("keys_to_filter"));
    assert_eq!(passes.count(), 1);
}

#[test]
fn a_key_is_near_its_limit_for_a_day_after_its_coordinator_said_so_or_it_was_refused_for_the_limit() {
    let (fixture, owner) = RegistryFixture::open();
    let (told, limited, other) = (
        fixture.key(&owner, json!({})).key_id(),
        fixture.key(&owner, json!({})).key_id(),
        fixture.key(&owner, json!({})).key_id(),
    );
    let found = || -> Vec<String> {
        let owner = fixture.sign_in("owner@example.com");
        let list = fixture.get(&owner, "/api-keys?nearLimit=true&sort=-created").expect(200).body;
        assert_eq!(list["total"], list["apiKeys"].as_array().unwrap().len());
        let ids =
            list["apiKeys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let refused = |id: &str, code: &str, times: u64| {
        let hours = counted(fixture.now.get(), 50, &[(code, times)]);
        report(&fixture, UsageReport { key_id: id.into(), hours, ..UsageReport::default() });
    };
    near(&fixture, &told);
    refused(&other, "INSUFFICIENT_SCOPE", 9);
    assert_eq!(found(), [&*told]);
    fixture.later(HOUR);
    refused(&limited, "RATE_LIMITED", 1);
    assert_eq!(found(), [&*told, &*limited]);
    fixture.later(23 * HOUR);
    assert_eq!(found(), [&*limited], "24 hours and no longer");
    // A total that is told again is nothing new.
    let hours = counted(NOON.plus(HOUR), 50, &[("RATE_LIMITED", 1)]);
    report(&fixture, UsageReport { key_id: limited.clone(), hours, ..UsageReport::default() });
    fixture.later(HOUR);
    assert_eq!(found(), [""; 0]);
    refused(&limited, "RATE_LIMITED", 1);
    near(&fixture, &other);
    assert_eq!(found(), [&*limited, &*other]);
    // A clock that was ahead does not keep it there, nor does an older report take it away.
    let at = |key_id: &str, at: Timestamp| {
        let near_limit_at = Some(at);
        report(&fixture, UsageReport { key_id: key_id.into(), near_limit_at, ..UsageReport::default() });
    };
    at(&told, fixture.now.get().plus(100 * DAY));
    at(&other, fixture.now.get().plus(-DAY));
    assert_eq!(found(), [&*told, &*limited, &*other]);
    // Only what passes can come nearer.
    let owner = fixture.sign_in("owner@example.com");
    fixture.post(&owner, &format!("/api-keys/{other}/pause"), json!({})).expect(200);
    fixture.post(&owner, &format!("/api-keys/{limited}/revoke"), json!({})).expect(200);
    assert_eq!(found(), [&*told]);
    let paused = fixture.get(&owner, "/api-keys?nearLimit=true&status=PAUSED").expect(200).body;
    assert_eq!(paused["total"], 0);
    fixture.later(DAY + SECOND);
    assert_eq!(found(), [""; 0]);
    let owner = fixture.sign_in("owner@example.com");
    let answer = fixture.get(&owner, "/api-keys?nearLimit=yes");
    assert_eq!((answer.fields(), answer.message("nearLimit")), (vec!["nearLimit"], "must be one of true"));
}

#[test]
fn the_usage_of_several_keys_is_that_of_each_in_the_last_24_hours() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    fixture.later(30 * MINUTE);
    let (used, silent) = (fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id());
    let theirs = fixture.key(&other, json!({})).key_id();
    for id in [&used, &theirs] {
        for (ago, accepted) in [(0, 1), (1, 2), (23, 3), (24, 1_000)] {
            let hours = counted(
                fixture.now.get().plus(-ago * HOUR),
                accepted,
                &[("TEST_MODE", accepted), ("RATE_LIMITED", 10)],
            );
            report(&fixture, UsageReport { key_id: id.clone(), hours, ..UsageReport::default() });
        }
    }
    let shown = fixture
        .get(&viewer, &format!("/api-keys/usage?ids={silent},{theirs},key_none,{used},{used}"))
        .expect(200)
        .body;
    let mut accepted = [0; 24];
    (accepted[0], accepted[22], accepted[23]) = (3, 2, 1);
    let mut refused = [0; 24];
    (refused[0], refused[22], refused[23]) = (13, 12, 11);
    let nothing = [0; 24];
    let expected = json!({
        "from": fixture.now.get().floor(HOUR).plus(-23 * HOUR).to_rfc3339(),
        "step": "1h",
        "keys": [
            {"id": silent, "accepted": nothing, "refused": nothing},
            {"id": used, "accepted": accepted, "refused": refused},
        ],
    });
    assert_eq!(shown, expected);
    fixture.get("nobody", &format!("/api-keys/usage?ids={used}")).refused(401, "UNAUTHENTICATED");
}

#[test]
fn the_usage_of_up_to_a_hundred_keys_is_asked_for_by_their_ids() {
    let (fixture, owner) = RegistryFixture::open();
    let ids = |n: usize| (0..n).map(|n| format!("key_{n}")).collect::<Vec<_>>().join(",");
    fixture.get(&owner, &format!("/api-keys/usage?ids={}", ids(100))).expect(200);
    for (query, field, message) in [
        ("", "ids", "is required"),
        (&*format!("ids={}", ids(101)), "ids", "can have at most 100 entries, not 101"),
        ("ids=key_1&step=1d", "step", "is not a parameter here"),
    ] {
        let answer = fixture.get(&owner, &format!("/api-keys/usage?{query}"));
        answer.refused(400, "VALIDATION_FAILED");
        assert!(answer.message(field).starts_with(message), "{}", answer.text);
    }
}
