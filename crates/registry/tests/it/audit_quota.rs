//! How full an audit may be, and what goes on when it is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{DAY, MINUTE, SECOND},
};
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture};
use serde_json::{Value, json};

use crate::quotas::{create, entries, policy, used};

#[test]
fn with_a_full_audit_nothing_new_is_made_and_everything_can_still_be_ended() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.audit_entries = 10));
    let (second, member) = fixture.member(&owner, "second@example.com", "owner");
    let mut ids = Vec::new();
    let refused = loop {
        let answer = create(&fixture, &owner, json!({}));
        if answer.status != 201 {
            break answer;
        }
        ids.push(answer.key_id());
    };
    assert!(refused.body["detail"].as_str().unwrap().contains("has 10 of the 10 entries of the audit"));
    refused.refused(409, "QUOTA_EXCEEDED");
    let path = format!("/api-keys/{}", ids[0]);
    fixture.patch(&owner, &path, json!({"name": "other"})).refused(409, "QUOTA_EXCEEDED");
    fixture.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "QUOTA_EXCEEDED");
    let again = fixture.sign_in("owner@example.com");
    for id in &ids {
        fixture.post(&again, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    fixture.delete(&second, "/session").expect(204);
    fixture.delete(&owner, &format!("/members/{member}")).expect(204);
    let chain = fixture.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&chain["ok"], chain["entries"].as_u64()), (&json!(true), Some(11 + ids.len() as u64 + 2)));
}

/// What the entries say that tell of others which were left out.
fn left_out(fixture: &RegistryFixture) -> Vec<(String, i64)> {
    let rows = fixture
        .db
        .run("SELECT entry FROM audit WHERE entry LIKE '%\"leftOut\"%' ORDER BY rowid", &[])
        .unwrap();
    let after = rows.iter().map(|row| {
        let entry: Value = serde_json::from_str(row["entry"].as_str().unwrap()).unwrap();
        assert_eq!(entry["actor"]["type"], "system");
        entry["after"].clone()
    });
    after.map(|after| (after["of"].as_str().unwrap().into(), after["leftOut"].as_i64().unwrap())).collect()
}

fn next_day(fixture: &RegistryFixture) {
    fixture.later(fixture.now.get().floor(DAY) + DAY - fixture.now.get());
}

#[test]
fn made_and_ended_in_a_loop_an_audit_passes_its_quota_by_what_there_was_to_end_and_a_hundred_sessions_a_day()
{
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| {
        (quotas.audit_entries, quotas.keys, quotas.members) = (200, 50, 10);
    }));
    next_day(&fixture);
    let owner_id =
        fixture.get(&fixture.sign_in("owner@example.com"), "/session").body["member"]["id"].clone();
    let owner_path = format!("/members/{}", owner_id.as_str().unwrap());
    drop(owner);
    let mut keys = Vec::new();
    for n in 0..300 {
        fixture.later(5 * SECOND);
        let owner = fixture.sign_in("owner@example.com");
        let mut call =
            fixture.call("POST", &owner, "/api-keys", json!({"name": "k", "scopes": ["orders:read"]}));
        call.idempotency_key = Some(format!("k-{}", n / 3));
        let made = fixture.send(call.clone());
        if made.status == 201 {
            keys.push(made.key_id());
        }
        fixture.send(call);
        let person = json!({"email": format!("n{n}@example.com"), "role": "viewer", "password": PASSWORD});
        let added = fixture.post(&owner, "/members", person);
        fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        fixture.sign_in("owner@example.com");
        fixture.delete(&owner, &format!("{owner_path}/sessions")).expect(204);
        if let Some(id) = added.body["member"]["id"].as_str() {
            fixture.delete(&owner, &format!("/members/{id}")).expect(204);
        }
        if n % 7 == 0
            && let Some(id) = keys.pop()
        {
            fixture.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": 0}));
            fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        }
        fixture.delete(&owner, "/session").expect(204);
    }
    let all = entries(&fixture, "%");
    assert!((200..=200 + 20 + 50 + 10 + 100).contains(&all), "{all}");
    assert_eq!(left_out(&fixture), []);
    next_day(&fixture);
    let owner = fixture.sign_in("owner@example.com");
    let told = left_out(&fixture);
    assert_eq!((told.len(), told[0].0.as_str()), (1, "sessions"));
    // What is written and what is left out is what was done.
    let sessions = entries(&fixture, "{\"action\":\"session.%") - 3;
    assert_eq!(sessions as i64 + told[0].1, 300 * 5, "{told:?}");
    assert_eq!(fixture.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn a_member_who_signs_in_and_out_in_a_loop_neither_fills_the_audit_nor_hides_what_others_do() {
    let (fixture, owner) = RegistryFixture::open_over(policy(|quotas| quotas.audit_entries = 150));
    let (_, viewer) = fixture.member(&owner, "viewer@example.com", "viewer");
    next_day(&fixture);
    let owner = fixture.sign_in("owner@example.com");
    for _ in 0..150 {
        fixture.later(SECOND);
        let token = fixture.sign_in("viewer@example.com");
        fixture.post(&token, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        fixture.delete(&token, "/session").expect(204);
    }
    let of = |id: &str| entries(&fixture, &format!("{{\"action\":\"session.%\"target\":\"{id}\"%"));
    let before = of(&viewer);
    assert!((100..=101).contains(&before), "{before}");
    create(&fixture, &owner, json!({})).expect(201);
    let owner_id = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let own = of(&owner_id);
    fixture.sign_in("owner@example.com");
    assert_eq!(of(&owner_id), own + 1);
    next_day(&fixture);
    fixture.sign_in("viewer@example.com");
    assert_eq!(left_out(&fixture), [("sessions".to_owned(), 350)]);
    assert_eq!(of(&viewer), before + 1, "a new day");
}

#[test]
fn an_api_key_that_fills_the_audit_keeps_no_owner_out_and_the_operator_can_always_change_the_tenant() {
    let (fixture, operator) = RegistryFixture::open_over(policy(|quotas| quotas.audit_entries = 40));
    let (owner, tenant) = fixture.tenant(&operator, "shop");
    let mut call = fixture.call("POST", &owner, "/api-keys", json!({"name": "k", "scopes": ["orders:read"]}));
    call.idempotency_key = Some("k".into());
    let key = fixture.send(call.clone()).expect(201).key_id();
    while create(&fixture, &owner, json!({})).status == 201 {}
    while fixture.send(call.clone()).status == 201 {}
    assert_eq!(used(&fixture, &owner, "auditEntries"), (42, 40), "half of the tenth is not for repeats");
    let again = fixture.sign_in("owner@shop.example");
    fixture.post(&again, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    fixture.post(&again, &format!("/api-keys/{key}/revoke"), json!({})).expect(200);
    // As often as it takes.
    for _ in 0..300 {
        fixture.later(SECOND);
        fixture.sign_in("owner@shop.example");
    }
    let path = format!("/tenants/{tenant}");
    fixture.patch(&operator, &path, json!({"status": "INACTIVE"})).expect(200);
    fixture
        .patch(&operator, &path, json!({"status": "ACTIVE", "quotas": {"auditEntries": 1_000}}))
        .expect(200);
    let again = fixture.sign_in("owner@shop.example");
    create(&fixture, &again, json!({})).expect(201);
    assert!(entries(&fixture, "%") < 300);
}

#[test]
fn an_operator_with_a_full_audit_changes_tenants_a_hundred_times_a_day_and_its_own_quota_always() {
    let (fixture, operator) = RegistryFixture::open_over(policy(|quotas| quotas.audit_entries = 20));
    let (_, tenant) = fixture.tenant(&operator, "shop");
    next_day(&fixture);
    let operator = fixture.sign_in("owner@example.com");
    while create(&fixture, &operator, json!({})).status == 201 {}
    let rename = |n: u32| {
        fixture.later(SECOND);
        fixture.patch(&operator, &format!("/tenants/{tenant}"), json!({"name": format!("shop {n}")}))
    };
    let done = (0..200).take_while(|n| rename(*n).status == 200).count();
    assert_eq!(done, 101, "one until it is full, and those of the day");
    let before = fixture.dump();
    rename(200).refused(409, "QUOTA_EXCEEDED");
    assert_eq!(fixture.dump().replace("session", ""), before.replace("session", ""));
    let own = fixture.get(&operator, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let more = json!({"quotas": {"auditEntries": 1_000}});
    fixture.patch(&operator, &format!("/tenants/{own}"), more).expect(200);
    rename(201).expect(200);
    next_day(&fixture);
    let operator = fixture.sign_in("owner@example.com");
    fixture.patch(&operator, &format!("/tenants/{tenant}"), json!({"name": "tomorrow"})).expect(200);
    assert_eq!(fixture.get(&operator, "/audit/verify").body["ok"], true);
}

#[test]
fn attempts_at_made_up_addresses_hide_none_at_people_nor_those_at_one_person_those_at_another() {
    let (fixture, owner) = RegistryFixture::open();
    for n in 0..3 {
        fixture.member(&owner, &format!("m{n}@example.com"), "viewer");
    }
    next_day(&fixture);
    let attempt = |n: u32, email: &str| {
        *fixture.address.borrow_mut() = format!("203.0.113.{n}");
        fixture.post("", "/session", json!({"email": email, "password": "a wrong password"})).expect(401);
    };
    // 200 strangers, and then 130 attempts at one person.
    for n in 0..200 {
        attempt(n, &format!("nobody-{n}@example.com"));
        fixture.later(60 * SECOND);
    }
    for n in 0..130 {
        attempt(n % 250, "m0@example.com");
        fixture.later(if n < 25 { SECOND } else { 4 * MINUTE });
        if n >= 25 {
            fixture.db.run("DELETE FROM guesses", &[]).unwrap();
        }
    }
    attempt(1, "m1@example.com");
    attempt(2, "owner@example.com");
    let at = |email: &str| {
        let id = fixture.db.run("SELECT id FROM members WHERE email = ?", &[email.into()]).unwrap()[0]["id"]
            .clone();
        entries(
            &fixture,
            &format!("{{\"action\":\"session.refused\"%\"target\":\"{}\"%", id.as_str().unwrap()),
        )
    };
    assert_eq!(entries(&fixture, "{\"action\":\"session.refused\"%\"target\":\"\"%"), 100);
    assert_eq!((at("m0@example.com"), at("m1@example.com"), at("owner@example.com")), (101, 1, 1));
    let owner = fixture.sign_in("owner@example.com");
    let own = used(&fixture, &owner, "auditEntries").0;
    next_day(&fixture);
    // Nobody calls but somebody of another tenant: upkeep tells.
    fixture.publisher.keep_up(&fixture.secrets);
    fixture.publisher.keep_up(&fixture.secrets);
    let told: std::collections::BTreeMap<String, i64> = left_out(&fixture).into_iter().collect();
    assert_eq!(told, [("people".to_owned(), 29), ("strangers".to_owned(), 100)].into());
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(used(&fixture, &owner, "auditEntries").0, own + 1, "none of it counts");
    assert_eq!(fixture.get(&owner, "/audit/verify").body["ok"], true);
}

#[test]
fn strangers_neither_fill_a_tenants_audit_nor_push_anything_out() {
    let (fixture, _) = RegistryFixture::open_over(policy(|quotas| quotas.audit_entries = 20));
    // All of it within one day.
    fixture.later(fixture.now.get().floor(DAY) + DAY - fixture.now.get());
    let owner = fixture.sign_in("owner@example.com");
    fixture.member(&owner, "second@example.com", "viewer");
    let own = used(&fixture, &owner, "auditEntries").0;
    let mut tried = 0;
    for hour in 0..11 {
        for n in 0..40 {
            *fixture.address.borrow_mut() = format!("203.0.113.{n}");
            let email = ["owner@example.com", "second@example.com", "nobody@example.com"][n % 3];
            let answer =
                fixture.post("", "/session", json!({"email": email, "password": "a wrong password"}));
            tried += u32::from(answer.status == 401);
            fixture.later(60 * SECOND);
        }
        assert!(hour == 0 || tried > 0);
    }
    let entries = fixture
        .db
        .run("SELECT COUNT(*) AS entries FROM audit WHERE entry LIKE '%session.refused%'", &[])
        .unwrap();
    // A hundred at people, the first at each, and a hundred at nobody.
    let written = entries[0]["entries"].as_u64().unwrap();
    assert!((150..=202).contains(&written), "{written} of {tried}");
    assert_eq!(used(&fixture, &owner, "auditEntries").0, own);
    create(&fixture, &owner, json!({})).expect(201);
    let chain = fixture.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&chain["ok"], chain["entries"].as_u64()), (&json!(true), Some(own + written + 1)));
}
