//! Who is signed in, and ending that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{MILLISECOND, MINUTE, Timestamp},
};
use keyward_registry::{front, sessions::token};
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture};
use keyward_testing::{NOON, secrets};
use serde_json::{Value, json};

fn sessions(fixture: &RegistryFixture, token: &str, path: &str) -> Vec<Value> {
    fixture.get(token, path).expect(200).body["sessions"].as_array().unwrap().clone()
}

fn current(fixture: &RegistryFixture, token: &str) -> String {
    let all = sessions(fixture, token, "/sessions");
    let mine = all.iter().find(|session| session["current"] == true).unwrap();
    mine["id"].as_str().unwrap().to_owned()
}

fn is_open(fixture: &RegistryFixture, token: &str) -> bool {
    fixture.get(token, "/session").status == 200
}

#[test]
fn people_see_where_they_are_signed_in_and_nothing_to_sign_in_with() {
    let (fixture, owner) = RegistryFixture::open();
    let (member, _) = fixture.member(&owner, "member@example.com", "viewer");
    let mut call =
        fixture.call("POST", "", "/session", json!({"email": "member@example.com", "password": PASSWORD}));
    call.agent = Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/149.0".into());
    call.address = "2001:db8:1:2:3:4:5:6".into();
    let second = fixture.send(call).expect(201).body["token"].as_str().unwrap().to_owned();
    let listed = fixture.get(&member, "/sessions").expect(200);
    assert_eq!(listed.body["sessions"].as_array().unwrap().len(), 2, "one's own only");
    let session = &listed.body["sessions"][1];
    assert_eq!(
        (&session["network"], &session["userAgent"], &session["current"]),
        (&json!("2001:db8:1:2::/64"), &json!("Mozilla/5.0 (X11; Linux x86_64) Firefox/149.0"), &json!(false))
    );
    assert_eq!(listed.body["sessions"][0]["current"], true);
    assert_eq!(session["createdAt"], NOON.to_rfc3339());
    for token in [&member, &second] {
        assert!(!listed.text.contains(token.as_str()) && !listed.text.contains(&token::token_hash(token)));
    }
    // To within five minutes, so that few calls write.
    let seen =
        |at: Timestamp| assert_eq!(sessions(&fixture, &owner, "/sessions")[0]["lastSeenAt"], at.to_rfc3339());
    fixture.later(5 * MINUTE - MILLISECOND);
    seen(NOON);
    fixture.later(MILLISECOND);
    seen(NOON.plus(5 * MINUTE));
    // A clock that was ahead then shows nobody in the future.
    fixture.later(-MINUTE);
    seen(NOON.plus(4 * MINUTE));
}

#[test]
fn somebody_ends_one_session_or_all_but_the_present_one() {
    let (fixture, owner) = RegistryFixture::open();
    let [first, second, third] = [0, 1, 2].map(|_| fixture.sign_in("owner@example.com"));
    fixture.delete(&owner, &format!("/sessions/{}", current(&fixture, &first))).expect(204);
    assert_eq!(
        [&owner, &first, &second, &third].map(|token| is_open(&fixture, token)),
        [true, false, true, true]
    );
    fixture.delete(&owner, "/sessions").expect(204);
    assert_eq!([&owner, &second, &third].map(|token| is_open(&fixture, token)), [true, false, false]);
    let last = fixture.delete(&owner, &format!("/sessions/{}", current(&fixture, &owner))).expect(204);
    assert!(last.header("Set-Cookie").unwrap().contains("Max-Age=0"), "the browser's own is taken away");
    assert!(!is_open(&fixture, &owner));
    let audit = fixture.get(&fixture.sign_in("owner@example.com"), "/audit").expect(200).text;
    assert_eq!(audit.matches("\"session.end\"").count(), 3);
}

#[test]
fn ending_what_has_ended_adds_nothing_to_the_audit() {
    let (fixture, owner) = RegistryFixture::open();
    let entries = || fixture.get(&owner, "/audit").expect(200).body["entries"].as_array().unwrap().len();
    let me = fixture.get(&owner, "/session").expect(200).body["member"]["id"].as_str().unwrap().to_owned();
    fixture.delete(&owner, "/sessions").expect(204);
    let before = entries();
    for path in ["/sessions".to_owned(), format!("/members/{me}/sessions")] {
        fixture.delete(&owner, &path).expect(204);
    }
    assert_eq!(entries(), before);
}

#[test]
fn an_owner_ends_the_sessions_of_members_and_nobody_elses_are_touched() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, id) = fixture.member(&owner, "viewer@example.com", "viewer");
    let (admin, _) = fixture.member(&owner, "admin@example.com", "admin");
    let (stranger, _) = fixture.tenant(&owner, "shop");
    let path = format!("/members/{id}/sessions");
    let session = format!("/sessions/{}", current(&fixture, &viewer));
    for token in [&admin, &stranger] {
        fixture.delete(token, &session).refused(404, "NOT_FOUND");
    }
    let of_owner = format!("/sessions/{}", current(&fixture, &owner));
    for token in [&admin, &viewer, &stranger] {
        fixture.delete(token, &of_owner).refused(404, "NOT_FOUND");
    }
    let other = format!("{}x", &of_owner[..of_owner.len() - 1]);
    for id in [
        &of_owner[..of_owner.len() - 1],
        &other,
        &format!("{of_owner}0"),
        "/sessions/ses_%",
        "/sessions/ses_0",
    ] {
        fixture.delete(&owner, id).refused(404, "NOT_FOUND");
    }
    assert!(is_open(&fixture, &owner));
    fixture.get(&admin, &path).refused(403, "FORBIDDEN");
    fixture.delete(&admin, &path).refused(403, "FORBIDDEN");
    fixture.get(&stranger, &path).refused(404, "NOT_FOUND");
    fixture.delete(&stranger, &path).refused(404, "NOT_FOUND");
    let key = format!("key:{}", fixture.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    for (method, path) in
        [("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", session.as_str()), ("GET", &path)]
    {
        fixture.send(fixture.call(method, &key, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    assert_eq!(sessions(&fixture, &owner, &path).len(), 1);
    assert!(is_open(&fixture, &viewer));
    fixture.delete(&owner, &session).expect(204);
    assert!(!is_open(&fixture, &viewer));
    let again = fixture.sign_in("viewer@example.com");
    fixture.delete(&owner, &path).expect(204);
    assert!(!is_open(&fixture, &again) && is_open(&fixture, &admin) && is_open(&fixture, &stranger));
}

#[test]
fn another_password_ends_the_other_sessions_and_another_role_or_removal_ends_all() {
    let (fixture, owner) = RegistryFixture::open();
    let (member, id) = fixture.member(&owner, "member@example.com", "admin");
    let second = fixture.sign_in("member@example.com");
    let path = format!("/members/{id}");
    let change = json!({"password": "another long passphrase", "currentPassword": PASSWORD});
    fixture.patch(&member, &path, change).expect(200);
    assert_eq!([&member, &second].map(|token| is_open(&fixture, token)), [true, false]);
    fixture.patch(&owner, &path, json!({"role": "viewer"})).expect(200);
    assert!(!is_open(&fixture, &member));
    let body = json!({"email": "member@example.com", "password": "another long passphrase"});
    let third = fixture.post("", "/session", body).expect(201).body["token"].as_str().unwrap().to_owned();
    fixture.delete(&owner, &path).expect(204);
    assert!(!is_open(&fixture, &third));
    // Also of whoever takes a role from themselves.
    let (other, id) = fixture.member(&owner, "other@example.com", "owner");
    fixture.patch(&other, &format!("/members/{id}"), json!({"role": "viewer"})).expect(200);
    assert!(!is_open(&fixture, &other));
}

#[test]
fn a_session_that_an_older_build_began_is_listed_and_ended_like_any() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.db.run("UPDATE sessions SET seen_at = NULL, network = NULL, agent = NULL", &[]).unwrap();
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let columns = "INSERT INTO sessions (hash, tenant_id, member_id, created_at, expires_at)
        SELECT ?, tenant_id, id, ?, ? FROM members WHERE id = ?";
    let hash = token::token_hash("kws_of-an-older-build");
    let now = fixture.now.get();
    fixture.db.run(columns, &[hash.into(), now.into(), now.plus(MINUTE).into(), me.into()]).unwrap();
    let old = sessions(&fixture, &owner, "/sessions")[1].clone();
    assert_eq!((&old["lastSeenAt"], &old["network"]), (&json!(now.to_rfc3339()), &Value::Null));
    assert!(is_open(&fixture, "kws_of-an-older-build"));
    fixture.delete(&owner, &format!("/sessions/{}", old["id"].as_str().unwrap())).expect(204);
    assert!(!is_open(&fixture, "kws_of-an-older-build"));
}

#[test]
fn a_made_up_token_is_known_for_one_and_a_real_one_for_ours() {
    let (fixture, owner) = RegistryFixture::open();
    assert!(token::is_our_token(&secrets(), &owner));
    let mut other = owner.clone();
    let last = if other.pop() == Some('A') { 'E' } else { 'A' };
    other.push(last);
    for made_up in [other.as_str(), "kws_", "kws_x", &"kws_A".repeat(9), owner.trim_start_matches("kws_")] {
        assert!(!token::is_our_token(&secrets(), made_up), "{made_up}");
    }
    assert!(token::is_our_token(
        &keyward_core::secret::Secrets::new(&"n".repeat(40), Some(keyward_testing::SECRET)),
        &owner
    ));
    let _ = fixture;
}

#[test]
fn of_a_user_agent_a_line_is_kept() {
    assert_eq!(front::agent(Some("curl/8.5.0")).as_deref(), Some("curl/8.5.0"));
    assert_eq!(front::agent(Some("  \u{202e}é \n")), None);
    assert_eq!(front::agent(None), None);
    assert_eq!(front::agent(Some(&"x".repeat(5_000))).unwrap().len(), 160);
}
