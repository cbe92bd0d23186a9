//! E-mail addresses and passwords in every form in which people and keyboards write them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{secret::Secret, sql::Sql, time::MINUTE};
use keyward_registry::password::{ITERATIONS, PasswordJob, Purpose};
use keyward_testing::fake_registry_platform::derive;
use keyward_testing::registry_fixture::{PASSWORD, RegistryFixture};
use serde_json::json;

const COMPOSED: &str = "Zoë's café, naïve";
const DECOMPOSED: &str = "Zoe\u{308}'s cafe\u{301}, nai\u{308}ve";

fn add(
    fixture: &RegistryFixture,
    owner: &str,
    email: &str,
    password: &str,
) -> keyward_testing::registry_fixture::Answer {
    fixture.post(owner, "/members", json!({"email": email, "role": "viewer", "password": password}))
}

fn sign_in(fixture: &RegistryFixture, email: &str, password: &str) -> u16 {
    fixture.post("", "/session", json!({"email": email, "password": password})).status
}

#[test]
fn a_password_is_the_same_in_every_normal_form_wherever_it_is_typed() {
    let forms = [COMPOSED, DECOMPOSED, "Ｚｏë's café, naïve"];
    for chosen in forms {
        let (fixture, owner) = RegistryFixture::open();
        add(&fixture, &owner, "zoe@example.com", chosen).expect(201);
        for typed in forms {
            let answer = fixture.post("", "/session", json!({"email": "zoe@example.com", "password": typed}));
            let token = answer.expect(201).body["token"].as_str().unwrap().to_owned();
            fixture.post(&token, "/session/step-up", json!({"password": typed})).expect(204);
            let me = fixture.get(&token, "/session").body["member"]["id"].as_str().unwrap().to_owned();
            let change = json!({"password": chosen, "currentPassword": typed});
            fixture.patch(&token, &format!("/members/{me}"), change).expect(200);
        }
        assert_eq!(sign_in(&fixture, "zoe@example.com", "Zoe's cafe, naive"), 401, "another password");
    }
}

#[test]
fn a_password_is_as_long_as_its_normal_form() {
    let (fixture, owner) = RegistryFixture::open();
    // 11 and 12 letters, in 22 and 24 code points.
    assert_eq!(add(&fixture, &owner, "a@example.com", &"e\u{301}".repeat(11)).fields(), ["password"]);
    // Nothing that goes on as everybody expects, which is refused.
    let letters = |text: &str| -> String {
        "sobuqifatezy".chars().flat_map(|c| [c.to_string(), text.into()]).collect()
    };
    let (composed, decomposed) = (letters("é").repeat(8), letters("e\u{301}").repeat(8));
    add(&fixture, &owner, "a@example.com", &decomposed.chars().take(18).collect::<String>()).expect(201);
    add(&fixture, &owner, "b@example.com", &format!("{decomposed}wxyzqrst")).expect(201);
    assert_eq!(sign_in(&fixture, "b@example.com", &format!("{decomposed}wxyzqrst")), 201);
    assert_eq!(sign_in(&fixture, "b@example.com", &format!("{composed}wxyzqrst")), 201);
    assert_eq!(sign_in(&fixture, "b@example.com", &format!("{composed}wxyzqrstu")), 400);
}

#[test]
fn a_password_that_was_stored_as_typed_still_opens() {
    let (fixture, owner) = RegistryFixture::open();
    add(&fixture, &owner, "zoe@example.com", PASSWORD).expect(201);
    for stored in [COMPOSED, DECOMPOSED, "ﬁne old ½ password"] {
        let job = PasswordJob {
            purpose: Purpose::Set,
            password: Secret::new(stored),
            salt: [7; 16],
            iterations: ITERATIONS,
            refusal_if_wrong: None,
        };
        let values = [job.done(derive(&job)).stored().into(), "zoe@example.com".into()];
        fixture.db.run("UPDATE members SET password = ? WHERE email = ?", &values).unwrap();
        assert_eq!(sign_in(&fixture, "zoe@example.com", stored), 201, "{stored}");
        assert_eq!(sign_in(&fixture, "zoe@example.com", "not that password ½"), 401);
        let before = fixture.derivations.get();
        assert_eq!(sign_in(&fixture, "nobody@example.com", "not that password ½"), 401);
        assert_eq!(fixture.derivations.get() - before, 2, "nobody learns who is there by how long it takes");
        // An attempt counts once, however often it was derived: the fifth wrong one is still answered as such.
        for _ in 0..4 {
            assert_eq!(sign_in(&fixture, "zoe@example.com", "not that password ½"), 401);
        }
        assert_eq!(sign_in(&fixture, "zoe@example.com", "not that password ½"), 429);
        fixture.later(16 * MINUTE);
    }
}

#[test]
fn addresses_that_no_mail_server_takes_are_refused_wherever_somebody_is_added() {
    let (fixture, owner) = RegistryFixture::open();
    let long_label = format!("a@{}.example", "b".repeat(64));
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
    let wrong = [
        "a@c..de",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a@.example.com",
        "a@example.com.",
        "a@example",
        "a@localhost",
        "a@",
        "@example.com",
        "a",
        "",
        "a@b@example.com",
        "a b@example.com",
        "a@exa mple.com",
        "\"a b\"@example.com",
        "\"a\"@example.com",
        "a(x)@example.com",
        "a,b@example.com",
        "a;b@example.com",
        "a:b@example.com",
        "<a@example.com>",
        "Ada <a@example.com>",
        "a\\b@example.com",
        "a@-example.com",
        "a@example-.com",
        "a@exa_mple.com",
        "a@192.0.2.1",
        "a@[192.0.2.1]",
        "a@example.123",
        "a\n@example.com",
        "a\u{0}@example.com",
        "a@example.c\u{200b}om",
        "a\u{202e}@example.com",
        "a@exa!mple.com",
        "a@example.com/x",
        "a@example.com, b@example.com",
        &long_label,
        &long_local,
        &long,
    ];
    for email in wrong {
        let answer = add(&fixture, &owner, email, PASSWORD);
        assert_eq!((answer.status, answer.fields()), (400, vec!["email"]), "{email:?}");
        let body = json!({"name": "T", "owner": {"email": email, "password": PASSWORD}});
        assert_eq!(fixture.post(&owner, "/tenants", body).fields(), ["owner.email"], "{email:?}");
        let unset = RegistryFixture::empty();
        let body = json!({"token": keyward_testing::registry_fixture::SETUP_TOKEN, "email": email, "password": PASSWORD});
        assert_eq!(unset.post("", "/setup", body).fields(), ["email"], "{email:?}");
    }
    let longest = format!("{}@{}.com", "a".repeat(64), vec!["b".repeat(61); 3].join("."));
    for email in [
        "ada@example.com",
        "a.b+tag@sub.example.co.uk",
        "o'neil@example.com",
        "a_b-c=d@x-y.de",
        "1@2.de",
        "用户@例え.jp",
        "zoë@münchen.de",
        "x@xn--mnchen-3ya.de",
        &longest,
    ] {
        add(&fixture, &owner, email, PASSWORD).expect(201);
        assert_eq!(sign_in(&fixture, &format!(" {} ", email.to_uppercase()), PASSWORD), 201, "{email}");
    }
}

#[test]
fn an_address_is_one_in_every_normal_form_and_those_taken_before_still_sign_in() {
    let (fixture, owner) = RegistryFixture::open();
    add(&fixture, &owner, "zoe\u{308}@example.com", PASSWORD).expect(201);
    assert_eq!(sign_in(&fixture, "zoë@example.com", PASSWORD), 201);
    assert_eq!(sign_in(&fixture, "ZOE\u{308}@EXAMPLE.COM", PASSWORD), 201);
    add(&fixture, &owner, "ZOË@example.com", PASSWORD).refused(409, "CONFLICT");
    for old in ["a@c..de", "a@localhost", "zoe\u{308}@example.com", "\"a\"@example.com"] {
        fixture.db.run("UPDATE members SET email = ? WHERE role = 'viewer'", &[old.into()]).unwrap();
        assert_eq!(sign_in(&fixture, old, PASSWORD), 201, "{old}");
    }
}
