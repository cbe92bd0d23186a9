//! How full an audit may be, and what goes on when it is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{sql::Sql, time::DAY};
use keyward_testing::office::{Office, PASSWORD};
use serde_json::{Value, json};

use crate::quotas::{create, entries, policy, used};

#[test]
fn with_a_full_audit_nothing_new_is_made_and_everything_can_still_be_ended() {
    let (office, owner) = Office::open_over(policy(|quotas| quotas.audit_entries = 10));
    let (second, member) = office.member(&owner, "second@example.com", "owner");
    let mut ids = Vec::new();
    let refused = loop {
        let answer = create(&office, &owner, json!({}));
        if answer.status != 201 {
            break answer;
        }
        ids.push(answer.key_id());
    };
    assert!(refused.body["detail"].as_str().unwrap().contains("has 10 of the 10 entries of the audit"));
    refused.refused(409, "QUOTA_EXCEEDED");
    let path = format!("/api-keys/{}", ids[0]);
    office.patch(&owner, &path, json!({"name": "other"})).refused(409, "QUOTA_EXCEEDED");
    office.post(&owner, &format!("{path}/rotate"), json!({})).refused(409, "QUOTA_EXCEEDED");
    let again = office.sign_in("owner@example.com");
    for id in &ids {
        office.post(&again, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    office.delete(&second, "/session").expect(204);
    office.delete(&owner, &format!("/members/{member}")).expect(204);
    let chain = office.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&chain["ok"], chain["entries"].as_u64()), (&json!(true), Some(11 + ids.len() as u64 + 2)));
}

/// What the entries say that tell of others which were left out.
fn left_out(office: &Office) -> Vec<(String, i64)> {
    let rows = office
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

fn next_day(office: &Office) {
    office.later(office.now.get().floor(DAY).plus(DAY).0 - office.now.get().0);
}

#[test]
fn made_and_ended_in_a_loop_an_audit_passes_its_quota_by_what_there_was_to_end_and_a_hundred_sessions_a_day()
{
    let (office, owner) = Office::open_over(policy(|quotas| {
        (quotas.audit_entries, quotas.keys, quotas.members) = (200, 50, 10);
    }));
    next_day(&office);
    let owner_id = office.get(&office.sign_in("owner@example.com"), "/session").body["member"]["id"].clone();
    let owner_path = format!("/members/{}", owner_id.as_str().unwrap());
    drop(owner);
    let mut keys = Vec::new();
    for n in 0..300 {
        office.later(5_000);
        let owner = office.sign_in("owner@example.com");
        let mut call =
            office.call("POST", &owner, "/api-keys", json!({"name": "k", "scopes": ["orders:read"]}));
        call.idempotency_key = Some(format!("k-{}", n / 3));
        let made = office.send(call.clone());
        if made.status == 201 {
            keys.push(made.key_id());
        }
        office.send(call);
        let person = json!({"email": format!("n{n}@example.com"), "role": "viewer", "password": PASSWORD});
        let added = office.post(&owner, "/members", person);
        office.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        office.sign_in("owner@example.com");
        office.delete(&owner, &format!("{owner_path}/sessions")).expect(204);
        if let Some(id) = added.body["member"]["id"].as_str() {
            office.delete(&owner, &format!("/members/{id}")).expect(204);
        }
        if n % 7 == 0
            && let Some(id) = keys.pop()
        {
            office.post(&owner, &format!("/api-keys/{id}/rotate"), json!({"graceSeconds": 0}));
            office.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
        }
        office.delete(&owner, "/session").expect(204);
    }
    let all = entries(&office, "%");
    assert!((200..=200 + 20 + 50 + 10 + 100).contains(&all), "{all}");
    assert_eq!(left_out(&office), []);
    next_day(&office);
    let owner = office.sign_in("owner@example.com");
    let told = left_out(&office);
    assert_eq!((told.len(), told[0].0.as_str()), (1, "sessions"));
    // What is written and what is left out is what was done.
    let sessions = entries(&office, "{\"action\":\"session.%") - 3;
    assert_eq!(sessions as i64 + told[0].1, 300 * 5, "{told:?}");
    assert_eq!(office.get(&owner, "/audit/verify").expect(200).body["ok"], true);
}

#[test]
fn a_member_who_signs_in_and_out_in_a_loop_neither_fills_the_audit_nor_hides_what_others_do() {
    let (office, owner) = Office::open_over(policy(|quotas| quotas.audit_entries = 150));
    let (_, viewer) = office.member(&owner, "viewer@example.com", "viewer");
    next_day(&office);
    let owner = office.sign_in("owner@example.com");
    for _ in 0..150 {
        office.later(1_000);
        let token = office.sign_in("viewer@example.com");
        office.post(&token, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        office.delete(&token, "/session").expect(204);
    }
    let of = |id: &str| entries(&office, &format!("{{\"action\":\"session.%\"target\":\"{id}\"%"));
    let before = of(&viewer);
    assert!((100..=101).contains(&before), "{before}");
    create(&office, &owner, json!({})).expect(201);
    let owner_id = office.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let own = of(&owner_id);
    office.sign_in("owner@example.com");
    assert_eq!(of(&owner_id), own + 1);
    next_day(&office);
    office.sign_in("viewer@example.com");
    assert_eq!(left_out(&office), [("sessions".to_owned(), 350)]);
    assert_eq!(of(&viewer), before + 1, "a new day");
}

#[test]
fn an_api_key_that_fills_the_audit_keeps_no_owner_out_and_the_operator_can_always_change_the_tenant() {
    let (office, operator) = Office::open_over(policy(|quotas| quotas.audit_entries = 40));
    let (owner, tenant) = office.tenant(&operator, "shop");
    let mut call = office.call("POST", &owner, "/api-keys", json!({"name": "k", "scopes": ["orders:read"]}));
    call.idempotency_key = Some("k".into());
    let key = office.send(call.clone()).expect(201).key_id();
    while create(&office, &owner, json!({})).status == 201 {}
    while office.send(call.clone()).status == 201 {}
    assert_eq!(used(&office, &owner, "auditEntries"), (42, 40), "half of the tenth is not for repeats");
    let again = office.sign_in("owner@shop.example");
    office.post(&again, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    office.post(&again, &format!("/api-keys/{key}/revoke"), json!({})).expect(200);
    // As often as it takes.
    for _ in 0..300 {
        office.later(1_000);
        office.sign_in("owner@shop.example");
    }
    let path = format!("/tenants/{tenant}");
    office.patch(&operator, &path, json!({"status": "INACTIVE"})).expect(200);
    office
        .patch(&operator, &path, json!({"status": "ACTIVE", "quotas": {"auditEntries": 1_000}}))
        .expect(200);
    let again = office.sign_in("owner@shop.example");
    create(&office, &again, json!({})).expect(201);
    assert!(entries(&office, "%") < 300);
}

#[test]
fn an_operator_with_a_full_audit_changes_tenants_a_hundred_times_a_day_and_its_own_quota_always() {
    let (office, operator) = Office::open_over(policy(|quotas| quotas.audit_entries = 20));
    let (_, tenant) = office.tenant(&operator, "shop");
    next_day(&office);
    let operator = office.sign_in("owner@example.com");
    while create(&office, &operator, json!({})).status == 201 {}
    let rename = |n: u32| {
        office.later(1_000);
        office.patch(&operator, &format!("/tenants/{tenant}"), json!({"name": format!("shop {n}")}))
    };
    let done = (0..200).take_while(|n| rename(*n).status == 200).count();
    assert_eq!(done, 101, "one until it is full, and those of the day");
    let before = office.dump();
    rename(200).refused(409, "QUOTA_EXCEEDED");
    assert_eq!(office.dump().replace("session", ""), before.replace("session", ""));
    let own = office.get(&operator, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let more = json!({"quotas": {"auditEntries": 1_000}});
    office.patch(&operator, &format!("/tenants/{own}"), more).expect(200);
    rename(201).expect(200);
    next_day(&office);
    let operator = office.sign_in("owner@example.com");
    office.patch(&operator, &format!("/tenants/{tenant}"), json!({"name": "tomorrow"})).expect(200);
    assert_eq!(office.get(&operator, "/audit/verify").body["ok"], true);
}

#[test]
fn attempts_at_made_up_addresses_hide_none_at_people_nor_those_at_one_person_those_at_another() {
    let (office, owner) = Office::open();
    for n in 0..3 {
        office.member(&owner, &format!("m{n}@example.com"), "viewer");
    }
    next_day(&office);
    let attempt = |n: u32, email: &str| {
        *office.address.borrow_mut() = format!("203.0.113.{n}");
        office.post("", "/session", json!({"email": email, "password": "a wrong password"})).expect(401);
    };
    // 200 strangers, and then 130 attempts at one person.
    for n in 0..200 {
        attempt(n, &format!("nobody-{n}@example.com"));
        office.later(60_000);
    }
    for n in 0..130 {
        attempt(n % 250, "m0@example.com");
        office.later(if n < 25 { 1_000 } else { 240_000 });
        if n >= 25 {
            office.db.run("DELETE FROM guesses", &[]).unwrap();
        }
    }
    attempt(1, "m1@example.com");
    attempt(2, "owner@example.com");
    let at = |email: &str| {
        let id = office.db.run("SELECT id FROM members WHERE email = ?", &[email.into()]).unwrap()[0]["id"]
            .clone();
        entries(
            &office,
            &format!("{{\"action\":\"session.refused\"%\"target\":\"{}\"%", id.as_str().unwrap()),
        )
    };
    assert_eq!(entries(&office, "{\"action\":\"session.refused\"%\"target\":\"\"%"), 100);
    assert_eq!((at("m0@example.com"), at("m1@example.com"), at("owner@example.com")), (101, 1, 1));
    let owner = office.sign_in("owner@example.com");
    let own = used(&office, &owner, "auditEntries").0;
    next_day(&office);
    // Nobody calls but somebody of another tenant: upkeep tells.
    office.publisher.keep_up(&office.secrets);
    office.publisher.keep_up(&office.secrets);
    let told: std::collections::BTreeMap<String, i64> = left_out(&office).into_iter().collect();
    assert_eq!(told, [("people".to_owned(), 29), ("strangers".to_owned(), 100)].into());
    let owner = office.sign_in("owner@example.com");
    assert_eq!(used(&office, &owner, "auditEntries").0, own + 1, "none of it counts");
    assert_eq!(office.get(&owner, "/audit/verify").body["ok"], true);
}

#[test]
fn strangers_neither_fill_a_tenants_audit_nor_push_anything_out() {
    let (office, _) = Office::open_over(policy(|quotas| quotas.audit_entries = 20));
    // All of it within one day.
    office.later(office.now.get().floor(DAY).plus(DAY).0 - office.now.get().0);
    let owner = office.sign_in("owner@example.com");
    office.member(&owner, "second@example.com", "viewer");
    let own = used(&office, &owner, "auditEntries").0;
    let mut tried = 0;
    for hour in 0..11 {
        for n in 0..40 {
            *office.address.borrow_mut() = format!("203.0.113.{n}");
            let email = ["owner@example.com", "second@example.com", "nobody@example.com"][n % 3];
            let answer = office.post("", "/session", json!({"email": email, "password": "a wrong password"}));
            tried += u32::from(answer.status == 401);
            office.later(60_000);
        }
        assert!(hour == 0 || tried > 0);
    }
    let entries = office
        .db
        .run("SELECT COUNT(*) AS entries FROM audit WHERE entry LIKE '%session.refused%'", &[])
        .unwrap();
    // A hundred at people, the first at each, and a hundred at nobody.
    let written = entries[0]["entries"].as_u64().unwrap();
    assert!((150..=202).contains(&written), "{written} of {tried}");
    assert_eq!(used(&office, &owner, "auditEntries").0, own);
    create(&office, &owner, json!({})).expect(201);
    let chain = office.get(&owner, "/audit/verify").expect(200).body;
    assert_eq!((&chain["ok"], chain["entries"].as_u64()), (&json!(true), Some(own + written + 1)));
}
