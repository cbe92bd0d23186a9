//! Who is signed in, and ending that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    sql::Sql,
    time::{MINUTE, Timestamp},
};
use keyward_registry::{front, sessions::token};
use keyward_testing::office::{Office, PASSWORD};
use keyward_testing::{NOON, secrets};
use serde_json::{Value, json};

fn sessions(office: &Office, token: &str, path: &str) -> Vec<Value> {
    office.get(token, path).expect(200).body["sessions"].as_array().unwrap().clone()
}

fn current(office: &Office, token: &str) -> String {
    let all = sessions(office, token, "/sessions");
    let mine = all.iter().find(|session| session["current"] == true).unwrap();
    mine["id"].as_str().unwrap().to_owned()
}

fn is_open(office: &Office, token: &str) -> bool {
    office.get(token, "/session").status == 200
}

#[test]
fn people_see_where_they_are_signed_in_and_nothing_to_sign_in_with() {
    let (office, owner) = Office::open();
    let (member, _) = office.member(&owner, "member@example.com", "viewer");
    let mut call =
        office.call("POST", "", "/session", json!({"email": "member@example.com", "password": PASSWORD}));
    call.agent = Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/149.0".into());
    call.address = "2001:db8:1:2:3:4:5:6".into();
    let second = office.send(call).expect(201).body["token"].as_str().unwrap().to_owned();
    let listed = office.get(&member, "/sessions").expect(200);
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
        |at: Timestamp| assert_eq!(sessions(&office, &owner, "/sessions")[0]["lastSeenAt"], at.to_rfc3339());
    office.later(5 * MINUTE - 1);
    seen(NOON);
    office.later(1);
    seen(NOON.plus(5 * MINUTE));
}

#[test]
fn somebody_ends_one_session_or_all_but_the_present_one() {
    let (office, owner) = Office::open();
    let [first, second, third] = [0, 1, 2].map(|_| office.sign_in("owner@example.com"));
    office.delete(&owner, &format!("/sessions/{}", current(&office, &first))).expect(204);
    assert_eq!(
        [&owner, &first, &second, &third].map(|token| is_open(&office, token)),
        [true, false, true, true]
    );
    office.delete(&owner, "/sessions").expect(204);
    assert_eq!([&owner, &second, &third].map(|token| is_open(&office, token)), [true, false, false]);
    let last = office.delete(&owner, &format!("/sessions/{}", current(&office, &owner))).expect(204);
    assert!(last.header("Set-Cookie").unwrap().contains("Max-Age=0"), "the browser's own is taken away");
    assert!(!is_open(&office, &owner));
    let audit = office.get(&office.sign_in("owner@example.com"), "/audit").expect(200).text;
    assert_eq!(audit.matches("\"session.end\"").count(), 3);
}

#[test]
fn ending_what_has_ended_adds_nothing_to_the_audit() {
    let (office, owner) = Office::open();
    let entries = || office.get(&owner, "/audit").expect(200).body["entries"].as_array().unwrap().len();
    let me = office.get(&owner, "/session").expect(200).body["member"]["id"].as_str().unwrap().to_owned();
    office.delete(&owner, "/sessions").expect(204);
    let before = entries();
    for path in ["/sessions".to_owned(), format!("/members/{me}/sessions")] {
        office.delete(&owner, &path).expect(204);
    }
    assert_eq!(entries(), before);
}

#[test]
fn an_owner_ends_the_sessions_of_members_and_nobody_elses_are_touched() {
    let (office, owner) = Office::open();
    let (viewer, id) = office.member(&owner, "viewer@example.com", "viewer");
    let (admin, _) = office.member(&owner, "admin@example.com", "admin");
    let (stranger, _) = office.tenant(&owner, "shop");
    let path = format!("/members/{id}/sessions");
    let session = format!("/sessions/{}", current(&office, &viewer));
    for token in [&admin, &stranger] {
        office.delete(token, &session).refused(404, "NOT_FOUND");
    }
    let of_owner = format!("/sessions/{}", current(&office, &owner));
    for token in [&admin, &viewer, &stranger] {
        office.delete(token, &of_owner).refused(404, "NOT_FOUND");
    }
    let other = format!("{}x", &of_owner[..of_owner.len() - 1]);
    for id in [
        &of_owner[..of_owner.len() - 1],
        &other,
        &format!("{of_owner}0"),
        "/sessions/ses_%",
        "/sessions/ses_0",
    ] {
        office.delete(&owner, id).refused(404, "NOT_FOUND");
    }
    assert!(is_open(&office, &owner));
    office.get(&admin, &path).refused(403, "FORBIDDEN");
    office.delete(&admin, &path).refused(403, "FORBIDDEN");
    office.get(&stranger, &path).refused(404, "NOT_FOUND");
    office.delete(&stranger, &path).refused(404, "NOT_FOUND");
    let key = format!("key:{}", office.key(&owner, json!({"scopes": ["admin:write"]})).key_id());
    for (method, path) in
        [("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", session.as_str()), ("GET", &path)]
    {
        office.send(office.call(method, &key, path, Value::Null)).refused(403, "FORBIDDEN");
    }
    assert_eq!(sessions(&office, &owner, &path).len(), 1);
    assert!(is_open(&office, &viewer));
    office.delete(&owner, &session).expect(204);
    assert!(!is_open(&office, &viewer));
    let again = office.sign_in("viewer@example.com");
    office.delete(&owner, &path).expect(204);
    assert!(!is_open(&office, &again) && is_open(&office, &admin) && is_open(&office, &stranger));
}

#[test]
fn another_password_ends_the_other_sessions_and_another_role_or_removal_ends_all() {
    let (office, owner) = Office::open();
    let (member, id) = office.member(&owner, "member@example.com", "admin");
    let second = office.sign_in("member@example.com");
    let path = format!("/members/{id}");
    let change = json!({"password": "another long passphrase", "currentPassword": PASSWORD});
    office.patch(&member, &path, change).expect(200);
    assert_eq!([&member, &second].map(|token| is_open(&office, token)), [true, false]);
    office.patch(&owner, &path, json!({"role": "viewer"})).expect(200);
    assert!(!is_open(&office, &member));
    let body = json!({"email": "member@example.com", "password": "another long passphrase"});
    let third = office.post("", "/session", body).expect(201).body["token"].as_str().unwrap().to_owned();
    office.delete(&owner, &path).expect(204);
    assert!(!is_open(&office, &third));
    // Also of whoever takes a role from themselves.
    let (other, id) = office.member(&owner, "other@example.com", "owner");
    office.patch(&other, &format!("/members/{id}"), json!({"role": "viewer"})).expect(200);
    assert!(!is_open(&office, &other));
}

#[test]
fn a_session_that_an_older_build_began_is_listed_and_ended_like_any() {
    let (office, owner) = Office::open();
    office.db.run("UPDATE sessions SET seen_at = NULL, network = NULL, agent = NULL", &[]).unwrap();
    let me = office.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let columns = "INSERT INTO sessions (hash, tenant_id, member_id, created_at, expires_at)
        SELECT ?, tenant_id, id, ?, ? FROM members WHERE id = ?";
    let hash = token::token_hash("kws_of-an-older-build");
    let now = office.now.get();
    office.db.run(columns, &[hash.into(), now.into(), now.plus(MINUTE).into(), me.into()]).unwrap();
    let old = sessions(&office, &owner, "/sessions")[1].clone();
    assert_eq!((&old["lastSeenAt"], &old["network"]), (&json!(now.to_rfc3339()), &Value::Null));
    assert!(is_open(&office, "kws_of-an-older-build"));
    office.delete(&owner, &format!("/sessions/{}", old["id"].as_str().unwrap())).expect(204);
    assert!(!is_open(&office, "kws_of-an-older-build"));
}

#[test]
fn a_made_up_token_is_known_for_one_and_a_real_one_for_ours() {
    let (office, owner) = Office::open();
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
    let _ = office;
}

#[test]
fn of_a_user_agent_a_line_is_kept() {
    assert_eq!(front::agent(Some("curl/8.5.0")).as_deref(), Some("curl/8.5.0"));
    assert_eq!(front::agent(Some("  \u{202e}é \n")), None);
    assert_eq!(front::agent(None), None);
    assert_eq!(front::agent(Some(&"x".repeat(5_000))).unwrap().len(), 160);
}
