//! Tokens that people sign in to the admin API with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secret,
    sign_in_token::{Identity, SignInToken},
    time::{MINUTE, Span, Timestamp},
};
use keyward_gate::admin::AdminCaller;
use keyward_policy::{Claims, Jwt, SignIn};
use keyward_testing::{
    NOON,
    call::platform,
    fake_platform::{CALLER, FakePlatform, now},
    jose::{self, Key},
    policy::POLICY,
};
use serde_json::{Value, json};

const SIGN_IN: SignIn = SignIn {
    name: "Acme",
    password: false,
    header: None,
    jwt: Jwt { claims: Claims { subject: &["sub"], tenant: None, scopes: None }, ..jose::PUBLIC },
};

/// An ID token's claims at noon, with some changed; `Null` takes one away.
fn claims(changes: &[(&str, Value)]) -> Value {
    let mut claims = json!({
        "iss": "https://id.example.com",
        "aud": ["https://api.example.com"],
        "iat": NOON.0 / 1_000,
        "exp": NOON.0 / 1_000 + 3_600,
        "email": "Ada@example.com",
    });
    for (name, value) in changes {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(*name),
            value => claims.as_object_mut().unwrap().insert((*name).to_owned(), value.clone()),
        };
    }
    claims
}

fn verify(platform: &FakePlatform, sign_in: &SignIn, token: &str) -> Result<SignInToken, u16> {
    let caller = AdminCaller { client: CALLER, request_id: "req-1", within: Span::from_secs(8) };
    let gate = platform.gate(Some(&*POLICY));
    now(gate.verify_sign_in(sign_in, &Secret::new(token), caller)).map_err(|answer| answer.status)
}

fn identity(platform: &FakePlatform, token: &str) -> Option<Identity> {
    verify(platform, &SIGN_IN, token).unwrap().identity
}

#[test]
fn a_token_of_the_issuer_says_who_it_is_since_when_and_until_when() {
    let platform = platform();
    let found = identity(&platform, &Key::Ec.token(&claims(&[]))).unwrap();
    assert_eq!(found.email, "Ada@example.com");
    assert_eq!(found.authenticated_at, Timestamp(NOON.0 / 1_000 * 1_000));
    // The issuer's clock may be a minute off.
    assert_eq!(found.expires_at, found.authenticated_at + Span::from_mins(61));
    let at = |changes: &[(&str, Value)]| {
        let found = identity(&platform, &Key::Rsa.token(&claims(changes))).unwrap();
        (found.authenticated_at.0 - NOON.0 / 1_000 * 1_000) / 1_000
    };
    let noon = NOON.0 / 1_000;
    assert_eq!(at(&[("auth_time", json!(noon - 600))]), -600, "shown again without signing in");
    assert_eq!(at(&[("auth_time", json!(noon + 600))]), 0);
    for verified in [json!(true), json!("true"), Value::Null] {
        assert!(identity(&platform, &Key::Ec.token(&claims(&[("email_verified", verified)]))).is_some());
    }
}

#[test]
fn a_token_is_told_apart_by_what_was_signed_however_its_signature_is_written() {
    let platform = platform();
    let hash = |token: &str| identity(&platform, token).unwrap().hash;
    let token = Key::Ec.token(&claims(&[]));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = jose::decode(signature);
    let (r, s) = bytes.split_at(32);
    // Of an ECDSA signature (r, s), (r, n - s) is one, too.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut borrow = 0;
    let mut other = vec![0; 32];
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        other[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{signed}.{}", jose::encode([r, &other].concat()));
    assert_ne!(twin, token);
    assert_eq!(hash(&twin), hash(&token));
    assert_ne!(hash(&Key::Ec.token(&claims(&[("jti", json!("2"))]))), hash(&token));
}

#[test]
fn a_token_that_is_not_in_order_names_nobody_and_the_log_says_why() {
    let platform = platform();
    let none = format!("{}.{}.", jose::encode(r#"{"alg":"none"}"#), jose::encode(claims(&[]).to_string()));
    let good = Key::Ec.token(&claims(&[]));
    let noon = NOON.0 / 1_000;
    let ec = |name: &str, value: Value| Key::Ec.token(&claims(&[(name, value)]));
    for (token, why) in [
        (none, "algorithm"),
        (Key::Shared.token(&claims(&[])), "algorithm"),
        (format!("{}AA", &good[..good.len() - 2]), "signature"),
        (Key::Ec.sign(&json!({ "alg": "ES256", "kid": "another" }), &claims(&[])), "key id"),
        (ec("iss", json!("https://evil.example")), "another issuer"),
        (ec("iss", Value::Null), "lacks the claim iss"),
        (ec("aud", json!("another")), "audience"),
        (ec("exp", json!(noon - 61)), "expired"),
        (ec("exp", Value::Null), "lacks the claim exp"),
        (ec("nbf", json!(noon + 61)), "not valid yet"),
        (ec("iat", json!(noon + 61)), "not valid yet"),
        (ec("iat", Value::Null), "lacks the claim iat"),
        (ec("auth_time", json!("noon")), "auth_time"),
        (ec("email", Value::Null), "lacks the claim email"),
        (ec("email", json!(["ada@example.com"])), "claim email is not valid"),
        (ec("email_verified", json!(false)), "email_verified"),
        (ec("email_verified", json!("false")), "email_verified"),
        ("kw_live_x".to_owned(), "malformed"),
        ("a".repeat(100_000), "bytes"),
    ] {
        platform.logged.borrow_mut().clear();
        assert_eq!(identity(&platform, &token), None, "{why}");
        let log = platform.logged.borrow().join("\n");
        assert!(log.contains(why) && log.contains("req-1") && !log.contains("eyJ"), "{why}: {log}");
    }
}

#[test]
fn without_the_issuers_keys_nothing_is_said_of_a_token() {
    let platform = FakePlatform::new();
    let token = Key::Ec.token(&claims(&[]));
    assert_eq!(verify(&platform, &SIGN_IN, &token), Err(503));
    let shared = SignIn { jwt: Jwt { keys: jose::SHARED.keys, ..SIGN_IN.jwt }, ..SIGN_IN };
    assert_eq!(verify(&platform, &shared, &Key::Shared.token(&claims(&[]))), Err(503));
    platform.pass_time(MINUTE);
    platform.named_secrets.borrow_mut().insert("ISSUER_SECRET", jose::SECRET);
    assert!(verify(&platform, &shared, &Key::Shared.token(&claims(&[]))).unwrap().identity.is_some());
}
