//! A database that is full: nothing new is taken, and revoking works to the last byte, with its entry in the audit.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{HOUR, Timestamp},
};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_policy::Policy;
use keyward_registry::usage;
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, policy_with};
use serde_json::{Value, json};

fn policy(storage: u64) -> &'static Policy {
    let mut policy = Policy { ..*policy_with(|_| {}) };
    policy.admin.storage = storage;
    Box::leak(Box::new(policy))
}

fn create(fixture: &RegistryFixture, token: &str) -> Answer {
    let text = "x".repeat(500);
    let metadata: Value = (0..20).map(|n| (format!("f{n}"), Value::from(text.as_str()))).collect();
    fixture.post(
        token,
        "/api-keys",
        json!({"name": "a key", "scopes": ["orders:read"], "metadata": metadata}),
    )
}

/// Makes keys until one is refused: their ids, and the refusal.
fn fill(fixture: &RegistryFixture, token: &str) -> (Vec<String>, Answer) {
    let mut ids = Vec::new();
    loop {
        let answer = create(fixture, token);
        if answer.status != 201 {
            return (ids, answer);
        }
        ids.push(answer.key_id());
    }
}

fn report(key_id: &str, hour: Timestamp) -> UsageReport {
    let hours = vec![UsageHour {
        hour: hour.floor(HOUR),
        accepted: 1,
        refused: Default::default(),
        ..UsageHour::default()
    }];
    UsageReport { key_id: key_id.to_owned(), hours, ..UsageReport::default() }
}

#[test]
fn from_its_bound_on_the_database_takes_nothing_new_and_ends_what_exists() {
    let (fixture, owner) = RegistryFixture::open_over(policy(2_000_000));
    let (second, member) = fixture.member(&owner, "second@example.com", "admin");
    let (_, tenant) = fixture.tenant(&owner, "shop");
    let (ids, refused) = fill(&fixture, &owner);
    assert!(ids.len() > 50, "{}", ids.len());
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("of the 2.0 MB") && detail.contains("`storage` in the policy's [admin]"),
        "{detail}"
    );
    refused.refused(507, "STORAGE_FULL");
    let told: Vec<u64> = fixture
        .notices()
        .iter()
        .filter(|notice| notice.contains("`storage`"))
        .map(|notice| notice.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(told, [80, 95]);

    let before = fixture.dump();
    let path = format!("/api-keys/{}", ids[0]);
    fixture.patch(&owner, &path, json!({"name": "b"})).refused(507, "STORAGE_FULL");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(507, "STORAGE_FULL");
    let person = json!({"email": "c@example.com", "role": "viewer", "password": PASSWORD});
    fixture.post(&owner, "/members", person).refused(507, "STORAGE_FULL");
    fixture.post(&owner, "/tenants", json!({"name": "Another"})).refused(507, "STORAGE_FULL");
    assert_eq!(fixture.dump(), before);
    // Of an hour of which nothing is known nothing is added; what is known is corrected.
    usage::apply(&fixture.db, &report(&ids[0], fixture.now.get()), false, fixture.now.get()).unwrap();
    assert_eq!(fixture.dump(), before);

    fixture.post(&owner, &format!("{path}/revoke"), json!({})).expect(200);
    fixture.delete(&second, "/session").expect(204);
    fixture.delete(&owner, &format!("/members/{member}")).expect(204);
    let again = fixture.sign_in("owner@example.com");
    fixture.patch(&again, &format!("/tenants/{tenant}"), json!({"status": "INACTIVE"})).expect(200);
    let entries = fixture.get(&again, "/audit?limit=5").body["entries"].as_array().unwrap().clone();
    let actions: Vec<&str> = entries.iter().rev().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["key.revoke", "session.delete", "member.delete", "session.create", "tenant.edit"]);
    assert_eq!(fixture.get(&again, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn a_repeat_of_what_was_made_is_answered_by_a_full_database_too() {
    let (fixture, owner) = RegistryFixture::open_over(policy(2_000_000));
    let mut call = fixture.call("POST", &owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
    call.idempotency_key = Some("once".into());
    let first = fixture.send(call.clone()).expect(201);
    fill(&fixture, &owner).1.refused(507, "STORAGE_FULL");
    assert_eq!(fixture.send(call).expect(201).text, first.text);
}

#[test]
fn when_sqlite_has_no_page_left_every_key_can_still_be_revoked_each_with_its_entry() {
    let (fixture, owner) = RegistryFixture::open_over(policy(1_000_000_000));
    fixture.db.allow_pages(300);
    let (ids, refused) = fill(&fixture, &owner);
    // 503 where the key did not fit, 507 where publishing the one before has needed the ballast.
    assert!([503, 507].contains(&refused.status), "{}", refused.text);
    assert!(ids.len() > 20, "{}", ids.len());
    for id in &ids {
        let revoke = || fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({"reason": "leaked"}));
        let first = revoke();
        if first.status == 503 { revoke() } else { first }.expect(200);
    }
    let revoked = "SELECT COUNT(*) AS n FROM audit WHERE entry LIKE '{\"action\":\"key.revoke\"%'";
    assert_eq!(fixture.db.run(revoked, &[]).unwrap()[0]["n"], ids.len());
    let refused = create(&fixture, &owner);
    assert!(refused.body["detail"].as_str().unwrap().contains("has no page left"), "{}", refused.text);
    refused.refused(507, "STORAGE_FULL");
    let status = "SELECT COUNT(*) AS n FROM keys WHERE status = 'ACTIVE'";
    assert_eq!(fixture.db.run(status, &[]).unwrap()[0]["n"], 0);
    assert_eq!(fixture.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn after_the_ballast_the_oldest_usage_gives_way_and_then_nothing_is_changed_at_all() {
    let (fixture, owner) = RegistryFixture::open_over(policy(1_000_000_000));
    let mut ids: Vec<String> = (0..60).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    let hour = |n: i64| UsageHour {
        hour: fixture.now.get().plus(-n * HOUR).floor(HOUR),
        accepted: 1,
        refused: [("INSUFFICIENT_SCOPE".to_owned(), 7)].into(),
        ..UsageHour::default()
    };
    let used = UsageReport {
        key_id: ids[0].clone(),
        hours: (0..1_200).map(hour).collect(),
        ..UsageReport::default()
    };
    usage::apply(&fixture.db, &used, true, fixture.now.get()).unwrap();
    let rows = || fixture.db.run("SELECT COUNT(*) AS n FROM usage", &[]).unwrap()[0]["n"].as_u64().unwrap();
    let revoke = |id: &str| {
        let reason = json!({"reason": "\u{1f511}".repeat(500)});
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), reason)
    };
    let fill_up = |gone: &str| {
        fixture.db.run(gone, &[]).unwrap();
        fixture.db.run("VACUUM", &[]).unwrap();
        fixture.db.allow_pages(0);
    };
    let state = || {
        let all = fixture.dump();
        let rows = all.lines().filter(|row| row.starts_with("keys ") || row.starts_with("audit "));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    fill_up("DELETE FROM ballast");
    for id in ids.split_off(30) {
        let before = state();
        let first = revoke(&id);
        if first.status == 503 {
            assert_eq!(state(), before, "never revoked, nor written down");
            revoke(&id).expect(200);
        } else {
            first.expect(200);
        }
    }
    let left = rows();
    assert!(0 < left && left < 1_200, "{left}");
    let newest = fixture.db.run("SELECT MAX(hour) AS hour FROM usage", &[]).unwrap();
    assert_eq!(newest[0]["hour"], fixture.now.get().floor(HOUR).0, "the newest stays");

    fill_up("DELETE FROM usage");
    let mut before = fixture.dump();
    let refused = loop {
        let answer = revoke(&ids.pop().unwrap());
        if answer.status != 200 {
            break answer;
        }
        before = fixture.dump();
    };
    refused.refused(503, "STORE_UNAVAILABLE");
    assert_eq!(fixture.dump(), before, "never revoked without an entry");
    assert_eq!(fixture.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn failed_sign_ins_that_a_full_database_takes_no_entries_of_are_told_as_left_out() {
    let (mut fixture, owner) = RegistryFixture::open_over(policy(1_000_000));
    fill(&fixture, &owner);
    for email in ["owner@example.com", "owner@example.com", "nobody@example.com"] {
        fixture.post("", "/session", json!({"email": email, "password": "a wrong password"})).expect(401);
    }
    let told = |fixture: &RegistryFixture| -> Vec<(i64, String)> {
        let entries = "SELECT entry FROM audit WHERE entry LIKE '%session.refused%' ORDER BY seq";
        let entries = fixture.db.run(entries, &[]).unwrap();
        let after = entries.iter().map(|row| {
            let entry: Value = serde_json::from_str(row["entry"].as_str().unwrap()).unwrap();
            entry["after"].clone()
        });
        let mut told: Vec<_> = after
            .map(|after| (after["leftOut"].as_i64().unwrap(), after["of"].as_str().unwrap().to_owned()))
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&fixture), []);
    fixture.later(24 * HOUR);
    fixture.restart(policy(2_000_000));
    fixture.sign_in("owner@example.com");
    assert_eq!(told(&fixture), [(1, "strangers".to_owned()), (2, "people".to_owned())]);
}
