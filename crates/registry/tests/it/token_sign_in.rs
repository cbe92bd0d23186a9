//! Signing in with tokens of an issuer, and a deployment without passwords.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secret,
    sign_in_token::{Identity, SignInToken},
    sql::{self, Sql},
    time::{MINUTE, Span},
};
use keyward_policy::{Claims, Jwt, JwtKeys, KeyAction, Policy, SecretForm, SignIn};
use keyward_testing::registry_fixture::{Answer, PASSWORD, RegistryFixture, SETUP_TOKEN, policy_with};
use serde_json::{Value, json};

const OWNER: &str = "owner@example.com";
const RECOVERY: &str = "Kk3vQ9mRw0q3VbT0xk7RzNw2";

/// The gate verifies with it.
pub const ISSUER: Jwt = Jwt {
    issuer: "https://id.example.com",
    audiences: &["admin"],
    keys: JwtKeys::Secret { name: "ISSUER_SECRET", form: SecretForm::Text },
    typ: None,
    claims: Claims { subject: &["sub"], tenant: None, scopes: None },
    skew: Span::ZERO,
    cookie: None,
};

/// With an issuer beside passwords, or in their place; keys are revoked with a password typed again.
fn policy(password: bool) -> &'static Policy {
    let mut policy = *policy_with(|realm| realm.step_up = &[KeyAction::Revoke]);
    policy.admin.sign_in = Some(SignIn { name: "Acme", password, header: None, code: None, jwt: ISSUER });
    policy.admin.step_up_roles = true;
    Box::leak(Box::new(policy))
}

/// A call with what the gate found of a token: whom it names, how long ago it was issued, and its hash.
fn show(
    fixture: &RegistryFixture,
    session: &str,
    path: &str,
    body: Value,
    (email, ago, hash): (&str, Span, &str),
) -> Answer {
    let now = fixture.now.get();
    let identity = Identity {
        email: email.into(),
        authenticated_at: now - ago,
        expires_at: now + Span::from_hours(1),
        hash: hash.into(),
    };
    send(fixture, session, path, body, Some(identity))
}

fn send(
    fixture: &RegistryFixture,
    session: &str,
    path: &str,
    body: Value,
    identity: Option<Identity>,
) -> Answer {
    let mut call = fixture.call("POST", session, path, body);
    call.token = Some(SignInToken { identity });
    fixture.send(call)
}

fn sign_in(fixture: &RegistryFixture, shown: (&str, Span, &str)) -> Answer {
    show(fixture, "", "/session", json!({"token": "t"}), shown)
}

fn session(answer: Answer) -> String {
    answer.expect(201).body["token"].as_str().unwrap().to_owned()
}

fn actions(fixture: &RegistryFixture, session: &str) -> Vec<String> {
    let entries = fixture.get(session, "/audit?limit=100").expect(200).body["entries"].clone();
    let entries = entries.as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_token_begins_a_session_of_the_member_with_its_address_as_a_password_does() {
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    let answer = sign_in(&fixture, (" OWNER@Example.com", Span::ZERO, "1")).expect(201);
    assert!(answer.header("Set-Cookie").unwrap().starts_with("__Host-keyward-session="));
    let session = session(answer);
    let member = fixture.get(&session, "/session").expect(200).body["member"].clone();
    assert_eq!(member, fixture.get(&owner, "/session").body["member"]);
    assert_eq!(actions(&fixture, &session)[0], "session.create");
    // The header of a proxy needs no body.
    show(&fixture, "", "/session", Value::Null, (OWNER, Span::ZERO, "2")).expect(201);
    assert_eq!(fixture.sign_in(OWNER).len(), session.len(), "and the password does, too");
}

#[test]
fn who_is_no_member_is_refused_as_whoever_shows_a_bad_token_and_is_audited_and_slowed_like_a_wrong_password()
{
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    let unknown = sign_in(&fixture, ("nobody@example.com", Span::ZERO, "1"));
    unknown.refused(401, "INVALID_CREDENTIALS");
    let bad = send(&fixture, "", "/session", json!({"token": "t"}), None);
    assert_eq!((bad.status, &bad.text), (401, &unknown.text));
    for address in ["", "no address", "owner@example.com evil@example.com"] {
        sign_in(&fixture, (address, Span::ZERO, "2")).refused(401, "INVALID_CREDENTIALS");
    }
    assert_eq!(actions(&fixture, &owner).iter().filter(|action| *action == "session.refused").count(), 5);
    let count = "SELECT COUNT(*) FROM members";
    assert_eq!(
        sql::scalar::<u32>(&fixture.db, count, &[]).unwrap(),
        Some(1),
        "a token makes nobody a member"
    );
    let mut last = 401;
    for number in 0..200 {
        last = sign_in(&fixture, ("nobody@example.com", Span::ZERO, &format!("n{number}"))).status;
    }
    assert_eq!(last, 429);
    sign_in(&fixture, (OWNER, Span::ZERO, "3")).expect(201);
}

#[test]
fn a_token_works_once_until_it_has_expired_and_is_forgotten_then() {
    let (fixture, _) = RegistryFixture::open_over(policy(true));
    let session = session(sign_in(&fixture, (OWNER, Span::ZERO, "1")));
    let again = sign_in(&fixture, (OWNER, Span::ZERO, "1"));
    again.refused(401, "INVALID_CREDENTIALS");
    assert!(again.text.contains("used before"));
    assert_eq!(actions(&fixture, &session)[0], "session.refused");
    show(&fixture, &session, "/session/step-up", json!({"token": "t"}), (OWNER, Span::ZERO, "1"))
        .refused(401, "INVALID_CREDENTIALS");
    let kept = || sql::scalar::<u32>(&fixture.db, "SELECT COUNT(*) FROM used_tokens", &[]).unwrap();
    assert_eq!(kept(), Some(1));
    fixture.later(Span::from_hours(1));
    sign_in(&fixture, (OWNER, Span::ZERO, "2")).expect(201);
    assert_eq!(kept(), Some(1));
    // One that has expired between the gate's look and the Registry's: whether it was used is forgotten.
    let identity = Identity {
        email: OWNER.into(),
        authenticated_at: fixture.now.get(),
        expires_at: fixture.now.get(),
        hash: "1".into(),
    };
    send(&fixture, "", "/session", json!({"token": "t"}), Some(identity)).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn used_tokens_have_a_bound_and_the_oldest_go() {
    let (fixture, _) = RegistryFixture::open_over(policy(true));
    let number = "INSERT INTO used_tokens (number, hash, expires_at) VALUES (?, ?, ?)";
    let end = fixture.now.get() + Span::from_hours(1);
    for at in [1_i64, 2, 100_001] {
        let hash = format!("old {at}");
        fixture.db.run(number, &[at.into(), hash.as_str().into(), end.into()]).unwrap();
    }
    sign_in(&fixture, (OWNER, Span::ZERO, "1")).expect(201);
    let left = "SELECT COUNT(*) FROM used_tokens WHERE number IN (1, 2)";
    assert_eq!(sql::scalar::<u32>(&fixture.db, left, &[]).unwrap(), Some(0));
    sign_in(&fixture, (OWNER, Span::ZERO, "old 100001")).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn a_token_of_an_inactive_tenants_member_opens_nothing_and_is_not_used_up() {
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    let (_, id) = fixture.tenant(&owner, "shop");
    let path = format!("/tenants/{id}");
    fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
    fixture.patch(&owner, &path, json!({"status": "INACTIVE"})).expect(200);
    sign_in(&fixture, ("owner@shop.example", Span::ZERO, "1")).refused(403, "FORBIDDEN");
    fixture.patch(&owner, &path, json!({"status": "ACTIVE"})).expect(200);
    sign_in(&fixture, ("owner@shop.example", Span::ZERO, "1")).expect(201);
}

#[test]
fn signing_in_with_a_token_counts_as_fresh_from_when_the_issuer_saw_the_person() {
    let (fixture, _) = RegistryFixture::open_over(policy(true));
    let invite = |session: &str, email: &str| {
        fixture.post(session, "/invitations", json!({"email": email, "role": "viewer"})).status
    };
    let fresh = session(sign_in(&fixture, (OWNER, Span::from_mins(4), "1")));
    assert_eq!(invite(&fresh, "a@example.com"), 201);
    let stale = session(sign_in(&fixture, (OWNER, Span::from_hours(20), "2")));
    assert_eq!(invite(&stale, "b@example.com"), 403);
    // An issuer's clock may be ahead.
    let ahead = session(sign_in(&fixture, (OWNER, Span::from_secs(-30), "3")));
    assert_eq!(invite(&ahead, "c@example.com"), 201);
    fixture.later(Span::from_mins(6));
    assert_eq!(invite(&ahead, "d@example.com"), 403);
}

#[test]
fn a_token_of_the_last_five_minutes_counts_as_a_password_typed_again_for_the_same_member_only() {
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    fixture.member(&owner, "ada@example.com", "owner");
    let key = fixture.key(&owner, json!({})).key_id();
    let revoke = |session: &str| fixture.post(session, &format!("/api-keys/{key}/revoke"), json!({}));
    let step_up =
        |session: &str, shown| show(&fixture, session, "/session/step-up", json!({"token": "t"}), shown);
    let session = session(sign_in(&fixture, (OWNER, Span::ZERO, "1")));
    revoke(&session).refused(403, "STEP_UP_REQUIRED");
    for shown in [
        ("ada@example.com", Span::ZERO, "2"),
        ("nobody@example.com", Span::ZERO, "3"),
        (OWNER, Span::from_ms(5 * MINUTE.ms() + 1), "4"),
    ] {
        step_up(&session, shown).refused(401, "INVALID_CREDENTIALS");
        assert_eq!(actions(&fixture, &session)[0], "session.refused");
    }
    send(&fixture, &session, "/session/step-up", json!({"token": "t"}), None)
        .refused(401, "INVALID_CREDENTIALS");
    revoke(&session).refused(403, "STEP_UP_REQUIRED");
    step_up(&session, (OWNER, Span::from_mins(4), "5")).expect(204);
    assert_eq!(actions(&fixture, &session)[0], "session.stepUp");
    step_up(&session, (OWNER, Span::from_mins(4), "5")).refused(401, "INVALID_CREDENTIALS");
    revoke(&session).expect(200);
}

#[test]
fn without_passwords_every_call_with_one_says_so_and_does_nothing() {
    let fixture = RegistryFixture::over(policy(false));
    let set_up = json!({"token": SETUP_TOKEN, "email": OWNER, "password": PASSWORD});
    fixture.post("", "/setup", set_up).refused(403, "PASSWORD_OFF");
    fixture.post("", "/setup", json!({"token": SETUP_TOKEN, "email": OWNER})).expect(201);
    let owner = session(sign_in(&fixture, (OWNER, Span::ZERO, "1")));
    let id = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let ada =
        fixture.post(&owner, "/members", json!({"email": "ada@example.com", "role": "owner"})).expect(201);
    let ada = ada.body["member"]["id"].as_str().unwrap().to_owned();
    let link = fixture.post(&owner, "/invitations", json!({"email": "b@example.com", "role": "viewer"}));
    let link = link.expect(201).body["token"].clone();
    let before = fixture.dump();
    for (session, method, path, body) in [
        ("", "POST", "/session".to_owned(), json!({"email": OWNER, "password": PASSWORD})),
        ("", "POST", "/session".to_owned(), json!({"email": OWNER, "password": ""})),
        ("", "POST", "/invitations/accept".to_owned(), json!({"token": link, "password": PASSWORD})),
        (&owner, "POST", "/session/step-up".to_owned(), json!({"password": PASSWORD})),
        (&owner, "POST", "/session/step-up/options".to_owned(), json!({})),
        ("", "POST", "/session/passkey/options".to_owned(), json!({})),
        (&owner, "POST", "/passkeys/options".to_owned(), json!({})),
        (&owner, "POST", "/passkeys".to_owned(), json!({"name": "p", "passkey": {}})),
        (
            &owner,
            "POST",
            "/members".to_owned(),
            json!({"email": "c@example.com", "role": "owner", "password": PASSWORD}),
        ),
        (&owner, "PATCH", format!("/members/{ada}"), json!({"password": PASSWORD})),
        (&owner, "PATCH", format!("/members/{id}"), json!({"password": PASSWORD, "currentPassword": ""})),
        (&owner, "POST", format!("/members/{ada}/reset"), json!({})),
        (
            &owner,
            "POST",
            "/tenants".to_owned(),
            json!({"name": "x", "owner": {"email": "x@x.example", "password": PASSWORD}}),
        ),
    ] {
        let answer = fixture.send(fixture.call(method, session, &path, body));
        answer.refused(403, "PASSWORD_OFF");
        assert!(answer.text.contains("Acme"), "it says how people sign in: {}", answer.text);
    }
    assert_eq!(fixture.dump(), before);
    fixture.post(&owner, "/tenants", json!({"name": "x", "owner": {"email": "x@x.example"}})).expect(201);
    sign_in(&fixture, ("x@x.example", Span::ZERO, "2")).expect(201);
}

#[test]
fn who_has_no_password_signs_in_with_none_when_passwords_are_on_again() {
    let (mut fixture, _) = RegistryFixture::open_over(policy(true));
    fixture.restart(policy(false));
    let owner = session(sign_in(&fixture, (OWNER, Span::ZERO, "1")));
    fixture.post(&owner, "/members", json!({"email": "ada@example.com", "role": "viewer"})).expect(201);
    fixture.restart(policy(true));
    for password in ["", " ", PASSWORD] {
        let answer = fixture.post("", "/session", json!({"email": "ada@example.com", "password": password}));
        assert_eq!(answer.status, 401, "{password:?}");
    }
    fixture.sign_in(OWNER);
}

#[test]
fn an_invitation_is_accepted_with_a_token_of_the_address_that_was_invited() {
    for password in [true, false] {
        let (mut fixture, _) = RegistryFixture::open_over(policy(true));
        fixture.restart(policy(password));
        let owner = session(sign_in(&fixture, (OWNER, Span::ZERO, "1")));
        let made = fixture.post(&owner, "/invitations", json!({"email": "ada@example.com", "role": "admin"}));
        let token = made.expect(201).body["token"].clone();
        let accept =
            |shown| show(&fixture, "", "/invitations/accept", json!({"token": token, "idToken": "t"}), shown);
        accept(("eve@example.com", Span::ZERO, "2")).refused(401, "INVALID_CREDENTIALS");
        send(&fixture, "", "/invitations/accept", json!({"token": token}), None)
            .refused(401, "INVALID_CREDENTIALS");
        let joined = accept(("Ada@example.com", Span::ZERO, "3")).expect(201);
        assert_eq!(joined.body["member"]["role"], "admin");
        // The same token signs in then.
        sign_in(&fixture, ("ada@example.com", Span::ZERO, "3")).expect(201);
    }
}

#[test]
fn a_link_that_sets_a_password_takes_no_token() {
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    let (_, id) = fixture.member(&owner, "ada@example.com", "admin");
    let token =
        fixture.post(&owner, &format!("/members/{id}/reset"), json!({})).expect(201).body["token"].clone();
    let body = json!({"token": token, "idToken": "t"});
    let answer = show(&fixture, "", "/invitations/accept", body, ("ada@example.com", Span::ZERO, "1"));
    assert_eq!(answer.expect(400).fields(), ["password"]);
}

#[test]
fn recovery_makes_an_owner_without_a_password_who_then_signs_in_with_a_token() {
    let (mut fixture, _) = RegistryFixture::open_over(policy(true));
    fixture.restart(policy(false));
    fixture.recovery_token = Some(Secret::new(RECOVERY));
    let recover = |body: Value| fixture.post("", "/recover", body);
    let with_password = json!({"token": RECOVERY, "email": "new@example.com", "password": PASSWORD});
    recover(with_password).refused(403, "PASSWORD_OFF");
    recover(json!({"token": RECOVERY, "email": "new@example.com"})).expect(201);
    sign_in(&fixture, ("new@example.com", Span::ZERO, "1")).expect(201);
}

#[test]
fn where_the_policy_has_no_issuer_a_token_is_no_field() {
    let (fixture, session) = RegistryFixture::open();
    assert_eq!(
        fixture.post("", "/session", json!({"token": "t"})).expect(400).fields(),
        ["token", "email", "password"]
    );
    assert_eq!(
        fixture.post(&session, "/session/step-up", json!({"token": "t"})).expect(400).fields(),
        ["token", "password"]
    );
}

#[test]
fn an_address_is_the_issuers_and_not_one_that_only_looks_like_it_once_it_is_compared() {
    let (fixture, owner) = RegistryFixture::open_over(policy(true));
    fixture.member(&owner, "kim@example.com", "viewer");
    sign_in(&fixture, ("KIM@example.com", Span::ZERO, "1")).expect(201);
    sign_in(&fixture, ("\u{212A}im@example.com", Span::ZERO, "2")).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn nobody_but_the_operator_makes_somebody_a_member_without_a_word_of_that_persons_own() {
    for password in [true, false] {
        let (mut fixture, operator) = RegistryFixture::open_over(policy(true));
        fixture.tenant(&operator, "shop");
        fixture.restart(policy(password));
        let owner = session(sign_in(&fixture, ("owner@shop.example", Span::ZERO, "1")));
        let operator = session(sign_in(&fixture, (OWNER, Span::ZERO, "2")));
        let ada = |role: &str| json!({"email": "ada@example.com", "role": role});
        let refused = fixture.post(&owner, "/members", ada("viewer"));
        refused.refused(403, "FORBIDDEN");
        assert!(refused.text.contains("POST /invitations"), "{}", refused.text);
        sign_in(&fixture, ("ada@example.com", Span::ZERO, "3")).refused(401, "INVALID_CREDENTIALS");

        // Nor by a link that the owner has, too, and a password of the owner's.
        let link = fixture.post(&owner, "/invitations", ada("viewer")).expect(201).body["token"].clone();
        if password {
            let accepted =
                fixture.post("", "/invitations/accept", json!({"token": link, "password": PASSWORD}));
            accepted.refused(403, "FORBIDDEN");
            assert!(accepted.text.contains("Acme"), "{}", accepted.text);
        }
        let body = json!({"token": link, "idToken": "t"});
        let accepted = show(&fixture, "", "/invitations/accept", body, ("ada@example.com", Span::ZERO, "4"));
        assert_eq!(accepted.expect(201).body["member"]["role"], "viewer");

        let mut eve = json!({"email": "eve@example.com", "role": "viewer"});
        if password {
            eve["password"] = PASSWORD.into();
        }
        fixture.post(&operator, "/members", eve).expect(201);
        if password {
            let bob = json!({"email": "bob@example.com", "role": "viewer"});
            let link = fixture.post(&operator, "/invitations", bob).expect(201).body["token"].clone();
            fixture.post("", "/invitations/accept", json!({"token": link, "password": PASSWORD})).expect(201);
        }
    }
}
