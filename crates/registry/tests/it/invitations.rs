//! One-time links with which people join a tenant or set a new password, and what ends them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{HOUR, MINUTE, SECOND, Span},
};
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, policy_with};
use serde_json::{Value, json};

const ANOTHER: &str = "somebody chose another one";

fn invite(fixture: &RegistryFixture, by: &str, email: &str, role: &str) -> Answer {
    fixture.post(by, "/invitations", json!({"email": email, "role": role}))
}

fn accept(fixture: &RegistryFixture, made: &Answer) -> Answer {
    let body = json!({"token": made.body["token"], "password": PASSWORD});
    fixture.post("", "/invitations/accept", body)
}

fn id(made: &Answer) -> String {
    made.body["invitation"]["id"].as_str().unwrap().to_owned()
}

fn open(fixture: &RegistryFixture, by: &str) -> Vec<Value> {
    fixture.get(by, "/invitations").expect(200).body["invitations"].as_array().unwrap().clone()
}

#[test]
fn whoever_is_invited_joins_with_a_password_of_the_own_choice() {
    let (fixture, owner) = RegistryFixture::open();
    let made = invite(&fixture, &owner, "New@Example.com", "admin").expect(201);
    let invitation = &made.body["invitation"];
    assert_eq!((&invitation["email"], &invitation["role"]), (&json!("new@example.com"), &json!("admin")));
    assert_eq!(invitation["createdBy"]["email"], "owner@example.com");
    assert_eq!(invitation["expiresAt"], (fixture.now.get() + 72 * HOUR).to_rfc3339());
    assert_eq!(made.header("Location"), Some(&*format!("/api/admin/invitations/{}", id(&made))));
    let token = made.body["token"].as_str().unwrap();
    // In the fragment, which no server sees.
    assert_eq!(made.body["url"], format!("https://gate.example/admin/#invitation={token}"));
    assert_eq!(&open(&fixture, &owner)[0], invitation);
    assert!(!fixture.dump().contains(token), "only its hash is stored");

    let joined = accept(&fixture, &made).expect(201);
    let member = &joined.body["member"];
    assert_eq!((&member["email"], &member["role"]), (&json!("new@example.com"), &json!("admin")));
    assert_eq!(open(&fixture, &owner), Vec::<Value>::new());
    let session = fixture.sign_in("new@example.com");
    assert_eq!(fixture.get(&session, "/session").expect(200).body["member"]["role"], "admin");
    accept(&fixture, &made).refused(401, "INVALID_CREDENTIALS");

    let entries = fixture.get(&owner, "/audit?action=invitation.").body["entries"].clone();
    assert_eq!((&entries[0]["action"], &entries[0]["target"]), (&json!("invitation.accept"), &member["id"]));
    assert_eq!((&entries[0]["actor"]["id"], &entries[0]["after"]["id"]), (&member["id"], &json!(id(&made))));
    assert_eq!(
        (&entries[1]["action"], &entries[1]["target"]),
        (&json!("invitation.create"), &json!(id(&made)))
    );
    assert!(!entries.to_string().contains(token));
}

#[test]
fn an_invitation_lasts_three_days_and_can_be_ended() {
    let (fixture, _) = RegistryFixture::open();
    let owner = || fixture.sign_in("owner@example.com");
    let made = invite(&fixture, &owner(), "a@example.com", "viewer").expect(201);
    let late = invite(&fixture, &owner(), "b@example.com", "viewer").expect(201);
    fixture.later(72 * HOUR - SECOND);
    assert_eq!(open(&fixture, &owner()).len(), 2);
    accept(&fixture, &made).expect(201);
    fixture.later(Span::from_secs(1));
    accept(&fixture, &late).refused(401, "INVALID_CREDENTIALS");
    assert_eq!(open(&fixture, &owner()), Vec::<Value>::new());

    let ended = invite(&fixture, &owner(), "c@example.com", "viewer").expect(201);
    let path = format!("/invitations/{}", id(&ended));
    fixture.delete(&owner(), &path).expect(204);
    fixture.delete(&owner(), &path).refused(404, "NOT_FOUND");
    accept(&fixture, &ended).refused(401, "INVALID_CREDENTIALS");
    let entry = fixture.get(&owner(), "/audit?action=invitation.delete").body["entries"][0].clone();
    assert_eq!((&entry["target"], &entry["before"]["email"]), (&json!(id(&ended)), &json!("c@example.com")));
}

#[test]
fn who_is_invited_again_has_the_newer_link_only() {
    let (fixture, owner) = RegistryFixture::open();
    let first = invite(&fixture, &owner, "a@example.com", "owner").expect(201);
    let second = invite(&fixture, &owner, "a@example.com", "viewer").expect(201);
    assert_eq!(open(&fixture, &owner).len(), 1);
    accept(&fixture, &first).refused(401, "INVALID_CREDENTIALS");
    assert_eq!(accept(&fixture, &second).expect(201).body["member"]["role"], "viewer");
    invite(&fixture, &owner, "a@example.com", "viewer").refused(409, "CONFLICT");
    // Whoever was added in the meantime needs none.
    let made = invite(&fixture, &owner, "b@example.com", "owner").expect(201);
    fixture.member(&owner, "b@example.com", "viewer");
    assert_eq!(open(&fixture, &owner), Vec::<Value>::new());
    accept(&fixture, &made).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn an_invitation_ends_with_its_inviters_right_to_invite() {
    let (fixture, owner) = RegistryFixture::open();
    for ends in ["removed", "another role", "another role, by an older build"] {
        let (session, member) = fixture.member(&owner, "second@example.com", "owner");
        let made = invite(&fixture, &session, "a@example.com", "owner").expect(201);
        let path = format!("/members/{member}");
        match ends {
            "removed" => drop(fixture.delete(&owner, &path).expect(204)),
            "another role" => {
                fixture.patch(&owner, &path, json!({"role": "admin"})).expect(200);
                fixture.patch(&owner, &path, json!({"role": "owner"})).expect(200);
            }
            _ => {
                let other = "UPDATE members SET role = 'viewer' WHERE id = ?";
                fixture.db.run(other, &[member.as_str().into()]).unwrap();
            }
        }
        accept(&fixture, &made).refused(401, "INVALID_CREDENTIALS");
        assert_eq!(open(&fixture, &owner), Vec::<Value>::new(), "{ends}");
        if ends != "removed" {
            fixture.delete(&owner, &path).expect(204);
        }
    }
    // Other changes of the inviter end nothing.
    let (session, member) = fixture.member(&owner, "second@example.com", "owner");
    let made = invite(&fixture, &session, "a@example.com", "viewer").expect(201);
    fixture.patch(&owner, &format!("/members/{member}"), json!({ "password": ANOTHER })).expect(200);
    accept(&fixture, &made).expect(201);
}

#[test]
fn only_owners_invite_and_end_invitations_and_no_key_does() {
    let (fixture, owner) = RegistryFixture::open();
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let (viewer, member) = fixture.member(&owner, "viewer@example.com", "viewer");
    let key = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    let made = invite(&fixture, &owner, "a@example.com", "viewer").expect(201);
    for by in [&admin, &viewer, &key] {
        invite(&fixture, by, "b@example.com", "viewer").refused(403, "FORBIDDEN");
        fixture.post(by, &format!("/members/{member}/reset"), json!({})).refused(403, "FORBIDDEN");
        fixture.delete(by, &format!("/invitations/{}", id(&made))).refused(403, "FORBIDDEN");
        assert_eq!(open(&fixture, by).len(), 1);
    }
    let (shop, _) = fixture.tenant(&owner, "shop");
    assert_eq!(open(&fixture, &shop), Vec::<Value>::new());
    fixture.delete(&shop, &format!("/invitations/{}", id(&made))).refused(404, "NOT_FOUND");
    fixture.post(&shop, &format!("/members/{member}/reset"), json!({})).refused(404, "NOT_FOUND");
    accept(&fixture, &made).expect(201);
}

#[test]
fn open_invitations_count_as_members() {
    let mut policy = *policy_with(|_| {});
    policy.admin.quotas.members = 3;
    let (fixture, owner) = RegistryFixture::open_over(Box::leak(Box::new(policy)));
    let a = invite(&fixture, &owner, "a@example.com", "viewer").expect(201);
    let b = invite(&fixture, &owner, "b@example.com", "viewer").expect(201);
    invite(&fixture, &owner, "c@example.com", "viewer").refused(409, "QUOTA_EXCEEDED");
    let c = json!({"email": "c@example.com", "role": "viewer", "password": PASSWORD});
    fixture.post(&owner, "/members", c).refused(409, "QUOTA_EXCEEDED");
    invite(&fixture, &owner, "a@example.com", "admin").expect(201);
    assert_eq!(fixture.get(&owner, "/quotas").body["quotas"]["members"], json!({"used": 3, "limit": 3}));
    accept(&fixture, &a).refused(401, "INVALID_CREDENTIALS");
    let member = accept(&fixture, &b).expect(201).body["member"]["id"].clone();
    // Who is a member already takes no place.
    fixture.post(&owner, &format!("/members/{}/reset", member.as_str().unwrap()), json!({})).expect(201);
    assert_eq!(fixture.get(&owner, "/quotas").body["quotas"]["members"]["used"], 3);
}

#[test]
fn an_owner_lets_a_member_set_a_new_password_and_all_sessions_end() {
    let (fixture, owner) = RegistryFixture::open();
    let (session, member) = fixture.member(&owner, "m@example.com", "admin");
    let reset = format!("/members/{member}/reset");
    let first = fixture.post(&owner, &reset, json!({})).expect(201);
    let made = fixture.post(&owner, &reset, json!({})).expect(201);
    assert_eq!(made.body["invitation"]["memberId"], member);
    let token = made.body["token"].as_str().unwrap();
    assert_eq!(made.body["url"], format!("https://gate.example/admin/#reset={token}"));
    fixture.get(&session, "/session").expect(200);
    assert_eq!(open(&fixture, &owner).len(), 1, "the newer one");
    accept(&fixture, &first).refused(401, "INVALID_CREDENTIALS");

    let body = json!({ "token": token, "password": ANOTHER });
    let done = fixture.post("", "/invitations/accept", body.clone()).expect(200);
    assert_eq!((&done.body["member"]["id"], &done.body["member"]["role"]), (&json!(member), &json!("admin")));
    fixture.get(&session, "/session").refused(401, "UNAUTHENTICATED");
    let sign_in = |password: &str| json!({"email": "m@example.com", "password": password});
    fixture.post("", "/session", sign_in(PASSWORD)).refused(401, "INVALID_CREDENTIALS");
    fixture.post("", "/session", sign_in(ANOTHER)).expect(201);
    fixture.post("", "/invitations/accept", body).refused(401, "INVALID_CREDENTIALS");
    let entries = fixture.get(&owner, &format!("/audit?object={member}")).body["entries"].clone();
    let actions: Vec<&str> =
        entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "session.create",
            "session.refused",
            "invitation.accept",
            "member.reset",
            "member.reset",
            "session.create",
            "member.create"
        ]
    );
}

#[test]
fn a_reset_is_for_others_and_ends_when_the_member_is_gone_or_has_another_role_or_password() {
    let (fixture, owner) = RegistryFixture::open();
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    fixture.post(&owner, &format!("/members/{me}/reset"), json!({})).refused(409, "CONFLICT");
    fixture.post(&owner, "/members/mem_x/reset", json!({})).refused(404, "NOT_FOUND");
    let (_, member) = fixture.member(&owner, "m@example.com", "admin");
    let path = format!("/members/{member}");
    for change in [json!({"role": "viewer"}), json!({ "password": ANOTHER }), Value::Null] {
        let made = fixture.post(&owner, &format!("{path}/reset"), json!({})).expect(201);
        if change.is_null() {
            fixture.delete(&owner, &path).expect(204);
        } else {
            fixture.patch(&owner, &path, change).expect(200);
        }
        accept(&fixture, &made).refused(401, "INVALID_CREDENTIALS");
        assert_eq!(open(&fixture, &owner), Vec::<Value>::new());
    }
}

#[test]
fn a_link_that_was_not_used_up_still_works_after_a_password_that_is_refused() {
    let (fixture, owner) = RegistryFixture::open();
    let made = invite(&fixture, &owner, "ada@example.com", "viewer").expect(201);
    for (password, field) in [("short", "password"), ("passwordpassword", "password")] {
        let body = json!({"token": made.body["token"], "password": password});
        let answer = fixture.post("", "/invitations/accept", body);
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), [field]);
    }
    accept(&fixture, &made).expect(201);
}

#[test]
fn nobody_joins_a_tenant_that_is_not_active() {
    let (fixture, operator) = RegistryFixture::open();
    let (shop, id) = fixture.tenant(&operator, "shop");
    let made = invite(&fixture, &shop, "a@shop.example", "viewer").expect(201);
    let set = |status: &str| {
        fixture.patch(&operator, &format!("/tenants/{id}"), json!({ "status": status })).expect(200)
    };
    set("INACTIVE");
    accept(&fixture, &made).refused(403, "FORBIDDEN");
    set("ACTIVE");
    accept(&fixture, &made).expect(201);
}

#[test]
fn wrong_tokens_count_as_failures_to_sign_in_and_hold_up_nobody_who_has_a_right_one() {
    let (fixture, owner) = RegistryFixture::open();
    let made = invite(&fixture, &owner, "a@example.com", "viewer").expect(201);
    let guess = || {
        let body = json!({"token": "kwi_guess", "password": PASSWORD});
        let answer = fixture.post("", "/invitations/accept", body);
        fixture.later(Span::from_ms(200));
        answer
    };
    let wrong = (0..300).take_while(|_| guess().status == 401).count();
    assert!((100..150).contains(&wrong), "{wrong}");
    let refused = guess();
    refused.refused(429, "TOO_MANY_ATTEMPTS");
    assert!(refused.header("Retry-After").is_some());
    fixture.later(MINUTE);
    accept(&fixture, &made).expect(201);
    let entries = fixture.get(&owner, "/audit?action=session.refused&limit=100").body["entries"].clone();
    let entries = entries.as_array().unwrap();
    assert!((1..=100).contains(&entries.len()), "{}", entries.len());
    assert!(entries.iter().all(|entry| entry["actor"]["type"] == "unknown"));
}

#[test]
fn an_operator_adds_an_owner_to_a_tenant_and_ends_its_sessions() {
    let (fixture, operator) = RegistryFixture::open();
    let made = fixture.post(&operator, "/tenants", json!({"name": "shop"})).expect(201);
    let tenant = made.body["tenant"]["id"].as_str().unwrap().to_owned();
    let owners = format!("/tenants/{tenant}/owners");
    let made = fixture.post(&operator, &owners, json!({"email": "a@shop.example"})).expect(201);
    assert_eq!(made.body["invitation"]["role"], "owner");
    let member = accept(&fixture, &made).expect(201).body["member"].clone();
    assert_eq!((&member["tenantId"], &member["role"]), (&json!(tenant), &json!("owner")));
    let shop = fixture.sign_in("a@shop.example");
    for by in [&shop, &operator] {
        let entries = fixture.get(by, "/audit?action=invitation.create").body["entries"].clone();
        assert_eq!(entries[0]["target"], made.body["invitation"]["id"], "in both chains");
    }
    // The tenant sees it and may end it, and so may who made it.
    for by in [&shop, &operator] {
        let made = fixture.post(&operator, &owners, json!({"email": "b@shop.example"})).expect(201);
        assert_eq!(open(&fixture, &shop), [made.body["invitation"].clone()]);
        assert_eq!(open(&fixture, &operator), Vec::<Value>::new());
        fixture.delete(by, &format!("/invitations/{}", id(&made))).expect(204);
    }

    let sessions = format!("/tenants/{tenant}/sessions");
    for path in [&owners, &sessions] {
        let method = if path == &owners { "POST" } else { "DELETE" };
        let call = fixture.call(method, &shop, path, json!({"email": "c@shop.example"}));
        fixture.send(call).refused(403, "FORBIDDEN");
    }
    fixture
        .post(&operator, "/tenants/none/owners", json!({"email": "c@x.example"}))
        .refused(404, "NOT_FOUND");
    fixture.delete(&operator, "/tenants/none/sessions").refused(404, "NOT_FOUND");
    fixture.delete(&operator, &sessions).expect(204);
    fixture.get(&shop, "/session").refused(401, "UNAUTHENTICATED");
    let again = fixture.sign_in("a@shop.example");
    let entry = fixture.get(&again, "/audit?action=tenant.").body["entries"][0].clone();
    assert_eq!((&entry["action"], &entry["before"]), (&json!("tenant.endSessions"), &json!({"sessions": 1})));
    // The operator's own people, too, but for the session that asks.
    let own = fixture.get(&operator, "/session").body["tenant"]["id"].as_str().unwrap().to_owned();
    let other = fixture.sign_in("owner@example.com");
    fixture.delete(&operator, &format!("/tenants/{own}/sessions")).expect(204);
    fixture.get(&operator, "/session").expect(200);
    fixture.get(&other, "/session").refused(401, "UNAUTHENTICATED");
}

#[test]
fn members_are_listed_with_when_they_were_last_seen_also_after_they_signed_out() {
    let (fixture, owner) = RegistryFixture::open();
    let (session, member) = fixture.member(&owner, "m@example.com", "viewer");
    let seen = || {
        let shown = fixture.get(&owner, &format!("/members/{member}")).expect(200).body["member"].clone();
        let list = fixture.get(&owner, "/members?q=M%40example").expect(200).body["members"].clone();
        assert_eq!(list, json!([shown.clone()]));
        shown["lastSeenAt"].as_str().unwrap().to_owned()
    };
    let at = |span: Span| (fixture.now.get() + span).to_rfc3339();
    let first = at(Span::ZERO);
    assert_eq!(seen(), first);
    fixture.later(4 * MINUTE);
    fixture.get(&session, "/session").expect(200);
    assert_eq!(seen(), first, "to five minutes");
    fixture.later(MINUTE);
    fixture.get(&session, "/session").expect(200);
    let second = at(Span::ZERO);
    assert_eq!(seen(), second);
    fixture.delete(&session, "/session").expect(204);
    assert_eq!(seen(), second);
    let new = json!({"email": "n@example.com", "role": "viewer", "password": PASSWORD});
    assert_eq!(fixture.post(&owner, "/members", new).expect(201).body["member"]["lastSeenAt"], Value::Null);
    let pages = |query: &str| fixture.get(&owner, &format!("/members?{query}")).expect(200).body;
    assert_eq!(pages("q=example.com&limit=2")["members"].as_array().unwrap().len(), 2);
    assert!(pages("q=example.com&limit=2")["nextCursor"].is_string());
    assert_eq!(pages("q=nobody")["members"], json!([]));
    fixture.get(&owner, &format!("/members?q={}", "a".repeat(255))).refused(400, "VALIDATION_FAILED");
}
