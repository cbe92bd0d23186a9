//! Publishing: what was acknowledged is kept, in whatever order things fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::Status,
    time::{HOUR, MINUTE, SECOND, Timestamp},
};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::registry_fixture::RegistryFixture;
use keyward_testing::{
    NOON,
    fake_registry_platform::{AT_ONCE, DOWN},
};
use serde_json::{Value, json};

#[test]
fn a_kv_that_fails_never_fails_the_call_and_is_retried_until_it_works() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.kv_is_down.set(true);
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    assert_eq!(fixture.published(&id), None);
    assert_eq!(fixture.record(&id).status, Status::Revoked);

    let mut waits = Vec::new();
    for _ in 0..12 {
        let due = fixture.next_due().unwrap();
        waits.push(due - fixture.now.get());
        fixture.now.set(due);
        fixture.alarm();
    }
    assert_eq!(waits[..4], [2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]);
    assert_eq!(waits[9..], [5 * MINUTE; 3]);
    fixture.kv_is_down.set(false);
    fixture.now.set(fixture.next_due().unwrap());
    fixture.alarm();
    assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked);
    // Some of the earlier attempts may still land: once more, when they have.
    assert_eq!(fixture.next_due(), Some(fixture.now.get().plus(MINUTE)));
    fixture.later(MINUTE);
    fixture.alarm();
    assert_eq!(fixture.next_due(), None);
}

#[test]
fn a_crash_right_after_the_change_leaves_it_in_the_outbox() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let calls = [
        fixture.call("POST", &owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]})),
        fixture.call("PATCH", &owner, &format!("/api-keys/{id}"), json!({"name": "m"})),
        fixture.call("POST", &owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": 5})),
        fixture.call("POST", &owner, &format!("/api-keys/{id}/revoke"), json!({})),
    ];
    for call in calls {
        // The turn is done and on disk; nothing after it ever runs.
        let outcome = fixture.step(&call);
        assert_eq!(fixture.next_due(), Some(fixture.now.get()), "{}", call.path);
        fixture.alarm();
        assert_eq!(fixture.next_due(), None);
        for id in outcome.publish {
            assert_eq!(fixture.published(&id), Some(fixture.record(&id)));
        }
    }
    assert_eq!(fixture.published(&id).unwrap().status, Status::Revoked);
}

#[test]
fn a_crash_between_gate_and_kv_is_made_good() {
    let (fixture, owner) = RegistryFixture::open();
    let outcome = fixture.step(&fixture.call(
        "POST",
        &owner,
        "/api-keys",
        json!({"name": "n", "scopes": ["orders:read"]}),
    ));
    let id = outcome.publish[0].clone();
    fixture.outbox().told(&id, 1, fixture.now.get()).unwrap();
    assert!(fixture.outbox().publication(&id).unwrap().unwrap().told);
    fixture.alarm();
    assert_eq!(fixture.published(&id).unwrap().version, 1);
}

#[test]
fn a_gate_that_cannot_be_told_makes_an_edit_503_and_a_repeat_shows_the_truth() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    fixture.gates_are_down.set(true);
    let revoke = || fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({}));
    for _ in 0..2 {
        let answer = revoke();
        answer.refused(503, "STORE_UNAVAILABLE");
        assert!(answer.header("Retry-After").is_some());
        assert!(answer.body["detail"].as_str().unwrap().contains("stored"));
    }
    fixture.patch(&owner, &format!("/api-keys/{id}"), json!({"name": "x"})).refused(409, "CONFLICT");
    assert_eq!(fixture.record(&id).status, Status::Active);

    fixture.gates_are_down.set(false);
    fixture.later(30 * SECOND);
    fixture.alarm();
    assert_eq!(fixture.record(&id).status, Status::Revoked);
    fixture.later(MINUTE);
    let answer = revoke().expect(200);
    let told = NOON.plus(30 * SECOND);
    assert_eq!(
        answer.body["refusedEverywhereBy"],
        told.plus(5 * SECOND).to_rfc3339(),
        "from when the gate knew"
    );
    assert_eq!(answer.body["apiKey"]["version"], 2);
}

#[test]
fn after_a_503_the_same_call_may_be_repeated_with_its_if_match() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let path = format!("/api-keys/{id}");
    let send = |method: &str, path: &str, body: Value, version: u32| {
        let mut call = fixture.call(method, &owner, path, body);
        call.if_match = Some(format!("\"{version}\""));
        fixture.send(call)
    };
    let edit = || send("PATCH", &path, json!({"name": "other"}), 1);
    let revoke = || send("POST", &format!("{path}/revoke"), json!({}), 2);
    for repeat in [&edit as &dyn Fn() -> keyward_testing::registry_fixture::Answer, &revoke] {
        fixture.gates_are_down.set(true);
        repeat().refused(503, "STORE_UNAVAILABLE");
        fixture.gates_are_down.set(false);
        repeat().expect(200);
    }
    assert_eq!(fixture.record(&id).version, 3);
    send("PATCH", &path, json!({"name": "another"}), 1).refused(409, "CONFLICT");
    let other = format!("/api-keys/{}", fixture.key(&owner, json!({})).key_id());
    send("PATCH", &other, json!({"name": "other"}), 9).refused(412, "VERSION_MISMATCH");
    send("POST", &format!("{other}/revoke"), json!({}), 9).refused(412, "VERSION_MISMATCH");
}

#[test]
fn an_old_key_that_cannot_be_told_does_not_lose_the_new_one() {
    let (fixture, owner) = RegistryFixture::open();
    let old = fixture.key(&owner, json!({})).key_id();
    fixture.tells.borrow_mut().extend([AT_ONCE, DOWN, DOWN]);
    let rotated =
        fixture.post(&owner, &format!("/api-keys/{old}/rotate"), json!({"revokeOld": true})).expect(201);
    assert_eq!(fixture.record(&rotated.key_id()).status, Status::Active, "it works");
    assert_eq!(rotated.body["previous"]["status"], "REVOKED");
    assert_eq!(rotated.body["previous"]["refusedEverywhereBy"], Value::Null, "nothing is promised");
    fixture.later(2 * SECOND);
    fixture.alarm();
    for id in [&rotated.key_id(), &old] {
        assert_eq!(fixture.published(id), Some(fixture.record(id)));
    }
}

#[test]
fn a_tenants_change_says_how_many_keys_are_still_to_be_told() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    let ids: Vec<String> = (0..5).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    fixture.gates_are_down.set(true);
    let change = || fixture.patch(&operator, &format!("/tenants/{tenant}"), json!({"status": "INACTIVE"}));
    let answer = change().expect(200);
    assert_eq!(answer.body["tenant"]["status"], "INACTIVE");
    assert_eq!(answer.body["pendingKeys"], 5);
    assert_eq!(answer.body["effectiveEverywhereBy"], Value::Null, "nothing is promised");
    fixture.gates_are_down.set(false);
    let answer = change().expect(200);
    assert_eq!(answer.body["pendingKeys"], Value::Null);
    assert_eq!(answer.body["effectiveEverywhereBy"], fixture.now.get().plus(5 * SECOND).to_rfc3339());
    for id in &ids {
        assert_eq!(fixture.record(id).version, 2, "the repeat made no further version");
    }
}

#[test]
fn a_change_while_an_older_version_is_being_published_is_published_after_it() {
    let (fixture, owner) = RegistryFixture::open();
    let created = fixture.step(&fixture.call(
        "POST",
        &owner,
        "/api-keys",
        json!({"name": "n", "scopes": ["orders:read"]}),
    ));
    let id = created.publish[0].clone();
    let first = fixture.outbox().begin(&id, fixture.now.get()).unwrap().unwrap();
    fixture.step(&fixture.call("POST", &owner, &format!("/api-keys/{id}/revoke"), json!({})));
    // The first version arrives only now.
    fixture.outbox().told(&id, first.record.version, fixture.now.get()).unwrap();
    fixture.outbox().published(&id, first.record.version, fixture.now.get()).unwrap();
    let left = fixture.outbox().publication(&id).unwrap().unwrap();
    assert_eq!((left.record.version, left.record.status, left.told), (2, Status::Revoked, false));
    // And a late word of the first never hides that the second is not told yet.
    fixture.outbox().told(&id, 2, fixture.now.get()).unwrap();
    fixture.outbox().told(&id, 1, fixture.now.get()).unwrap();
    assert!(fixture.outbox().publication(&id).unwrap().unwrap().told);
}

#[test]
fn usage_reports_count_once_in_whatever_order_they_come() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let report = |used: Timestamp, accepted: u64, refused: u64| UsageReport {
        key_id: id.clone(),
        last_used_at: Some(used),
        hours: vec![UsageHour {
            hour: NOON,
            accepted,
            refused: [("INSUFFICIENT_SCOPE".to_owned(), refused)].into(),
            ..UsageHour::default()
        }],
        ..UsageReport::default()
    };
    let (early, late) = (report(NOON.plus(MINUTE), 5, 1), report(NOON.plus(HOUR / 2), 9, 3));
    for report in [&early, &late, &late, &early] {
        usage::apply(&fixture.db, report, true, fixture.now.get()).unwrap();
    }
    let read = fixture.get(&owner, &format!("/api-keys/{id}"));
    assert_eq!(read.body["apiKey"]["lastUsedAt"], NOON.plus(HOUR / 2).to_rfc3339());
    assert_eq!(read.body["apiKey"]["version"], 1, "use is no change");
    let stored: Vec<Value> = keyward_core::sql::Sql::run(&fixture.db, "SELECT * FROM usage", &[]).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(
        (&stored[0]["accepted"], &stored[0]["refused"]),
        (&json!(9), &json!("{\"INSUFFICIENT_SCOPE\":3}"))
    );
    let stray = UsageReport { key_id: "key_nobody".into(), ..late };
    usage::apply(&fixture.db, &stray, true, fixture.now.get()).unwrap();
    assert_eq!(fixture.next_due(), None);
}

#[test]
fn a_tenant_with_more_keys_than_one_call_can_tell_is_changed_all_the_same() {
    let (fixture, operator) = RegistryFixture::open();
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    for _ in 0..410 {
        fixture.key(&owner, json!({}));
    }
    let path = format!("/tenants/{tenant}");
    let answer = fixture.patch(&operator, &path, json!({"plan": "pro"})).expect(200);
    assert_eq!(answer.body["pendingKeys"], 10);
    let answer = fixture.patch(&operator, &path, json!({"plan": "pro"})).expect(200);
    assert_eq!(answer.body["effectiveEverywhereBy"], fixture.now.get().plus(5 * SECOND).to_rfc3339());
}

#[test]
fn a_report_that_says_nothing_new_writes_nothing() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let refused = [("TEST_MODE".to_owned(), 1)].into();
    let hours = vec![UsageHour { hour: NOON, accepted: 5, refused, ..UsageHour::default() }];
    let report = UsageReport { key_id: id, last_used_at: Some(NOON), hours, ..UsageReport::default() };
    let written = || {
        usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
        let count = keyward_core::sql::Sql::run(&fixture.db, "SELECT total_changes() AS n", &[]).unwrap();
        count[0]["n"].as_u64().unwrap()
    };
    assert_eq!(written(), written());
}
