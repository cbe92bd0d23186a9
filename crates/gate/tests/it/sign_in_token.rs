//! Tokens that people sign in to the admin API with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secret,
    sign_in_token::{Grant, Identity, Shown, SignInToken},
    time::{MINUTE, Span, Timestamp},
};
use keyward_gate::admin::AdminCaller;
use keyward_policy::{Claims, CodeFlow, Jwt, SignIn};
use keyward_testing::{
    NOON,
    call::platform,
    fake_platform::{CALLER, FakePlatform, Fault, now},
    jose::{self, Key},
    policy::POLICY,
};
use serde_json::{Value, json};

const SIGN_IN: SignIn = SignIn {
    name: "Acme",
    password: false,
    header: None,
    code: None,
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
    show(platform, sign_in, &Shown::Token(Secret::new(token)))
}

fn show(platform: &FakePlatform, sign_in: &SignIn, shown: &Shown) -> Result<SignInToken, u16> {
    let caller = AdminCaller { client: CALLER, request_id: "req-1", within: Span::from_secs(8) };
    let gate = platform.gate(Some(&*POLICY));
    now(gate.verify_sign_in(sign_in, shown, caller)).map_err(|answer| answer.status)
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

const TOKEN_URL: &str = "https://id.example.com/token";
const FLOW: CodeFlow = CodeFlow {
    authorization_url: "https://id.example.com/authorize",
    token_url: TOKEN_URL,
    client_id: "key:ward",
    client_secret: None,
    scopes: "openid email",
};
const BY_CODE: SignIn = SignIn { code: Some(FLOW), ..SIGN_IN };
const BY_CLIENT: SignIn =
    SignIn { code: Some(CodeFlow { client_secret: Some("CLIENT_SECRET"), ..FLOW }), ..SIGN_IN };

fn grant(is_fresh: bool) -> Shown {
    let grant = Grant {
        code: Secret::new("c/1"),
        redirect_uri: "https://gate.example/admin/signed-in".into(),
        nonce: "n-1".into(),
        verifier: Secret::new("v-1"),
    };
    Shown::Grant { grant, is_fresh }
}

/// An issuer that gives this for a code.
fn answers(text: String) -> FakePlatform {
    let platform = platform();
    platform.web.borrow_mut().insert(TOKEN_URL.to_owned(), text);
    platform
}

fn gives(changes: &[(&str, Value)]) -> FakePlatform {
    let token = Key::Ec.token(&claims(&[&[("nonce", json!("n-1"))], changes].concat()));
    answers(json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }).to_string())
}

#[test]
fn a_code_is_exchanged_once_for_the_token_that_says_who_it_is() {
    let platform = gives(&[]);
    let found = show(&platform, &BY_CODE, &grant(false)).unwrap().identity.unwrap();
    assert_eq!(found.email, "Ada@example.com");
    let form = "grant_type=authorization_code&code=c%2F1&\
                redirect_uri=https%3A%2F%2Fgate.example%2Fadmin%2Fsigned-in&code_verifier=v-1";
    let sent = || platform.asked().into_iter().filter(|asked| asked.starts_with("POST")).collect::<Vec<_>>();
    assert_eq!(sent(), [format!("POST {TOKEN_URL} {form}&client_id=key%3Award")]);
    // RFC 6749, section 2.3.1: `key%3Award:s%20%2B%3A`
    platform.named_secrets.borrow_mut().insert("CLIENT_SECRET", "s +:");
    assert!(show(&platform, &BY_CLIENT, &grant(false)).unwrap().identity.is_some());
    assert_eq!(sent(), [format!("POST {TOKEN_URL} {form} as Basic a2V5JTNBd2FyZDpzJTIwJTJCJTNB")]);
}

#[test]
fn a_token_for_a_code_must_have_the_nonce_and_be_in_order_like_any() {
    let noon = NOON.0 / 1_000;
    for (name, value, why) in [
        ("nonce", json!("n-2"), "claim nonce is not valid"),
        ("nonce", Value::Null, "lacks the claim nonce"),
        ("nonce", json!(["n-1"]), "claim nonce is not valid"),
        ("aud", json!("another"), "audience"),
        ("iss", json!("https://evil.example"), "another issuer"),
        ("exp", json!(noon - 61), "expired"),
        ("email_verified", json!(false), "email_verified"),
    ] {
        let platform = gives(&[(name, value)]);
        assert_eq!(show(&platform, &BY_CODE, &grant(false)).unwrap().identity, None, "{why}");
        assert!(platform.logged.borrow().join("").contains(why), "{why}");
    }
}

#[test]
fn where_the_person_must_have_been_asked_the_token_says_when() {
    let platform = gives(&[]);
    assert_eq!(show(&platform, &BY_CODE, &grant(true)).unwrap().identity, None);
    assert!(platform.logged.borrow().join("").contains("lacks the claim auth_time"));
    let noon = NOON.0 / 1_000;
    let platform = gives(&[("auth_time", json!(noon - 7))]);
    let found = show(&platform, &BY_CODE, &grant(true)).unwrap().identity.unwrap();
    assert_eq!(found.authenticated_at, Timestamp((noon - 7) * 1_000));
}

#[test]
fn a_code_that_the_issuer_refuses_names_nobody_and_an_issuer_that_fails_is_503() {
    let platform = gives(&[]);
    platform.issuer_fault.set(Some(Fault::Answers(400)));
    assert_eq!(show(&platform, &BY_CODE, &grant(false)), Ok(SignInToken { identity: None }));
    assert!(platform.logged.borrow().join("").contains("the issuer refused the code"));
    for fault in [Fault::Answers(401), Fault::Answers(500), Fault::Answers(302), Fault::Fails, Fault::Hangs] {
        let platform = gives(&[]);
        platform.issuer_fault.set(Some(fault));
        assert_eq!(show(&platform, &BY_CODE, &grant(false)), Err(503), "{fault:?}");
        let log = platform.logged.borrow().join("");
        assert!(log.contains("issuer_unavailable") && !log.contains("c/1") && !log.contains("v-1"), "{log}");
    }
    for text in ["", "{}", r#"{"id_token": 1}"#, "<html>"] {
        assert_eq!(show(&answers(text.to_owned()), &BY_CODE, &grant(false)), Err(503), "{text}");
    }
    assert_eq!(show(&gives(&[]), &BY_CLIENT, &grant(false)), Err(503), "its secret is missing");
}
