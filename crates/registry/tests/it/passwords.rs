//! Which passwords somebody can choose.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_registry::password::is_guessable;
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture, SETUP_TOKEN};
use serde_json::json;

#[test]
fn what_is_tried_first_is_refused() {
    for password in [
        // Commonly used, with what people add to be let in.
        "password1234",
        "Password123!",
        "P@ssw0rd1234",
        "PASSWORD2024!!",
        "passwordpassword",
        "mypassword123",
        "welcome12345",
        "Welcome2026!!",
        "letmein123456",
        "iloveyou1234",
        "admin1234567",
        "administrator",
        "administrator1",
        "qwerty123456",
        "Qwertyuiop123",
        "football2024",
        "Summer2025!!!",
        "princess12345",
        "monkey123456",
        "sunshine2024",
        "michael12345",
        "michael.1985",
        "changeme1234",
        "trustno1trustno1",
        "1q2w3e4r5t6y",
        "superman1234",
        "dragon123456!",
        // Sequences, rows and columns of keys.
        "123456789012",
        "1234567890123",
        "987654321098",
        "abcdefghijkl",
        "lkjihgfedcba",
        "abcdef123456",
        "qwertyuiop[]",
        "asdfghjkl;'123",
        "1qaz2wsx3edc",
        "zaq12wsxcde3",
        "qazwsxedcrfv",
        "zxcvbnm,./123",
        "!@#$%^&*()_+",
        "poiuytrewq12",
        "qwertzuiop12",
        "azertyuiop12",
        // Repetitions.
        "aaaaaaaaaaaa",
        "            ",
        "ababababababab",
        "abcabcabcabc",
        "121212121212",
        "aabbccddeeff",
        "112233445566",
        "xyzzyxyzzyxyzzy",
        "ёёёёёёёёёёёё",
        "１１１１１１１１１１１１",
        // What belongs to the account.
        "owner@example.com",
        "owner@example.com1",
        "OWNER.example.com",
        "ownerexample1",
        "example.owner.2024",
        "acme-widgets",
        "AcmeWidgets2026",
        "keywardkeyward",
        "keyward-owner1",
        "acme widgets owner",
    ] {
        assert!(is_guessable(password, &["owner@example.com", "Acme Widgets"]), "{password}");
    }
}

#[test]
fn what_nobody_tries_first_is_taken_whatever_characters_it_is_made_of() {
    for password in [
        PASSWORD,
        "correct horse battery staple 1",
        "another long passphrase 2",
        "a long enough password",
        "tall giraffes knit",
        "zxkqvbwmplrt",
        "7f3a9c1e5b20",
        "830175926417",
        "Hk8#vQ2!mZ5$",
        "dragon monkey football sunshine",
        "ein Haus am See 7",
        "пароль из букв",
        "甲乙丙丁戊己庚辛壬癸子丑",
        "owner of nine grey cats",
        "ßüßöxkäqwpzl",
    ] {
        assert!(!is_guessable(password, &["owner@example.com", "Acme Widgets"]), "{password}");
    }
}

#[test]
fn wherever_somebody_chooses_a_password_a_guessable_one_is_refused_with_why_and_what_to_do() {
    let fixture = RegistryFixture::empty();
    for weak in ["password1234", "first@example.com", "aaaaaaaaaaaa"] {
        let answer = fixture.post(
            "",
            "/setup",
            json!({"token": SETUP_TOKEN, "email": "first@example.com", "password": weak}),
        );
        answer.refused(400, "VALIDATION_FAILED");
        assert_eq!(answer.fields(), ["password"]);
        assert!(!answer.text.contains(weak), "it is not said again");
    }
    let (fixture, owner) = RegistryFixture::open();
    let me = fixture.get(&owner, "/session").body["member"]["id"].as_str().unwrap().to_owned();
    let (_, other) = fixture.member(&owner, "other@example.com", "viewer");
    let calls = [
        (
            "POST",
            "/members".to_owned(),
            json!({"email": "new@example.com", "role": "viewer", "password": "new@example.com"}),
        ),
        ("PATCH", format!("/members/{other}"), json!({"password": "other.example.com"})),
        (
            "PATCH",
            format!("/members/{me}"),
            json!({"password": "owner.example.com", "currentPassword": PASSWORD}),
        ),
        (
            "POST",
            "/tenants".to_owned(),
            json!({"name": "Blue Lagoon", "owner": {"email": "x@example.com", "password": "bluelagoon2026"}}),
        ),
    ];
    for (method, path, body) in calls {
        let answer = fixture.send(fixture.call(method, &owner, &path, body));
        answer.refused(400, "VALIDATION_FAILED");
        let field = answer.fields()[0].to_owned();
        assert!(field.ends_with("password"), "{method} {path}: {field}");
        let message = answer.message(&field);
        assert!(message.contains("tried first") && message.contains("password manager"), "{message}");
    }
}

#[test]
fn a_password_that_was_taken_before_still_signs_in() {
    let (fixture, owner) = RegistryFixture::open();
    let (_, id) = fixture.member(&owner, "old@example.com", "viewer");
    // As an older build took it.
    let job = keyward_registry::password::PasswordJob {
        purpose: keyward_registry::password::Purpose::Set,
        password: keyward_core::secret::Secret::new("password1234"),
        salt: [7; 16],
        iterations: keyward_registry::password::ITERATIONS,
        refusal_if_wrong: None,
    };
    let stored = job.done(keyward_testing::fake_registry_platform::derive(&job)).stored();
    keyward_core::sql::Sql::run(
        &fixture.db,
        "UPDATE members SET password = ? WHERE id = ?",
        &[stored.into(), id.as_str().into()],
    )
    .unwrap();
    fixture.post("", "/session", json!({"email": "old@example.com", "password": "password1234"})).expect(201);
}

#[test]
fn the_longest_password_is_looked_at_in_no_time() {
    // 200 characters of each kind of work: it would take minutes if it grew with the third power.
    for text in ["ab", "ǆ", "1qaz", "p@ssw0rd"] {
        let long: String = text.chars().cycle().take(200).collect();
        assert!(is_guessable(&long, &["owner@example.com"]), "{text}");
    }
}
