//! What an access token says: when it holds, for whom it is, and what the origin is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::Timestamp;
use keyward_gate::jwt::{Claims, Error};
use keyward_policy::{Jwt, Span};
use keyward_testing::{
    NOON,
    jose::{Key, SHARED, claims, shared_keys, verify, with},
};
use serde_json::{Value, json};

/// What happens to a token with these claims whose signature is right.
fn outcome(claims: &Value) -> Result<Claims, Error> {
    verify(&Key::Shared.token(claims), &SHARED, &shared_keys(), NOON)
}

#[test]
fn a_token_passes_until_it_expires_and_not_before_it_is_valid() {
    let at = |claims: &Value, offset: i64, skew_s| {
        let policy = Jwt { skew: Span::from_secs(skew_s), ..SHARED };
        verify(&Key::Shared.token(claims), &policy, &shared_keys(), Timestamp(NOON.0 + offset)).err()
    };
    let base = NOON.0 / 1_000;
    for skew_s in [0, 30, 60] {
        let skew = skew_s * 1_000;
        let expiring = with("exp", json!(base + 10));
        assert_eq!(at(&expiring, 10_000 + skew - 1, skew_s), None);
        assert_eq!(at(&expiring, 10_000 + skew, skew_s), Some(Error::Expired));
        for name in ["nbf", "iat"] {
            let later = with(name, json!(base + 100));
            assert_eq!(at(&later, 100_000 - skew, skew_s), None, "{name}");
            assert_eq!(at(&later, 100_000 - skew - 1, skew_s), Some(Error::NotYetValid), "{name}");
        }
    }
    let fraction = with("exp", json!(base as f64 + 10.5));
    assert_eq!(at(&fraction, 10_499, 0), None);
    assert_eq!(at(&fraction, 10_500, 0), Some(Error::Expired));
}

#[test]
fn claims_are_as_the_policy_says_or_the_token_is_refused() {
    const TENANT: &[&str] = &["app_metadata", "tenant_id"];
    let cases: Vec<(&str, Value, Error)> = vec![
        ("iss", Value::Null, Error::MissingClaim(&["iss"])),
        ("iss", json!("https://id.example.com/"), Error::WrongIssuer),
        ("iss", json!("HTTPS://ID.EXAMPLE.COM"), Error::WrongIssuer),
        ("iss", json!(["https://id.example.com"]), Error::WrongIssuer),
        ("aud", Value::Null, Error::MissingClaim(&["aud"])),
        ("aud", json!("https://other.example.com"), Error::WrongAudience),
        ("aud", json!("https://api.example.com https://other.example.com"), Error::WrongAudience),
        ("aud", json!(["https://other.example.com"]), Error::WrongAudience),
        ("aud", json!([]), Error::WrongAudience),
        ("aud", json!(""), Error::WrongAudience),
        ("aud", json!(17), Error::InvalidClaim(&["aud"])),
        ("aud", json!(["api", 17]), Error::InvalidClaim(&["aud"])),
        ("aud", json!({ "api": true }), Error::InvalidClaim(&["aud"])),
        ("exp", Value::Null, Error::MissingClaim(&["exp"])),
        ("exp", json!("2100-01-01"), Error::InvalidClaim(&["exp"])),
        ("exp", json!("1900003600"), Error::InvalidClaim(&["exp"])),
        ("exp", json!(true), Error::InvalidClaim(&["exp"])),
        ("exp", json!(-1), Error::Expired),
        ("exp", json!(-1e300), Error::Expired),
        ("nbf", json!("now"), Error::InvalidClaim(&["nbf"])),
        ("nbf", json!(1e300), Error::NotYetValid),
        ("iat", json!([]), Error::InvalidClaim(&["iat"])),
        ("sub", Value::Null, Error::MissingClaim(&["sub"])),
        ("sub", json!(""), Error::InvalidClaim(&["sub"])),
        ("sub", json!(17), Error::InvalidClaim(&["sub"])),
        ("sub", json!(" user"), Error::InvalidClaim(&["sub"])),
        ("sub", json!("user\r\nKeyward-Tenant: other"), Error::InvalidClaim(&["sub"])),
        ("sub", json!("jörg"), Error::InvalidClaim(&["sub"])),
        ("sub", json!("u".repeat(257)), Error::InvalidClaim(&["sub"])),
        ("app_metadata", Value::Null, Error::MissingClaim(TENANT)),
        ("app_metadata", json!({}), Error::MissingClaim(TENANT)),
        ("app_metadata", json!("tenant-1"), Error::MissingClaim(TENANT)),
        ("app_metadata", json!({ "tenant_id": null }), Error::InvalidClaim(TENANT)),
        ("scope", json!(["orders:read orders:write"]), Error::InvalidClaim(&["scope"])),
        ("scope", json!(["orders:read", ""]), Error::InvalidClaim(&["scope"])),
        ("scope", json!(["orders:read", 17]), Error::InvalidClaim(&["scope"])),
        ("scope", json!("orders:read\torders:write"), Error::InvalidClaim(&["scope"])),
        ("scope", json!("orders:\"read\""), Error::InvalidClaim(&["scope"])),
        ("scope", json!(true), Error::InvalidClaim(&["scope"])),
    ];
    for (name, value, expected) in cases {
        assert_eq!(outcome(&with(name, value.clone())), Err(expected), "{name}: {value}");
    }
    for (name, value) in [
        ("aud", json!("api")),
        ("aud", json!(["somebody", "api"])),
        ("exp", json!(1e300)),
        ("iat", Value::Null),
        ("sub", json!("auth0|user 17, of course")),
        ("sub", json!("u".repeat(256))),
        ("unknown", json!({ "anything": [1, 2, 3] })),
    ] {
        assert!(outcome(&with(name, value.clone())).is_ok(), "{name}: {value}");
    }
}

#[test]
fn scopes_stand_in_text_or_in_a_list_under_the_name_that_the_policy_gives() {
    let scopes = |claims: &Value| outcome(claims).unwrap().scopes;
    assert_eq!(scopes(&with("scope", Value::Null)), Vec::<String>::new());
    assert_eq!(scopes(&with("scope", json!(""))), Vec::<String>::new());
    assert_eq!(scopes(&with("scope", json!(" a  b "))), ["a", "b"]);
    assert_eq!(scopes(&with("scope", json!(["a", "b"]))), ["a", "b"]);
    let mut both = with("scope", Value::Null);
    both["scp"] = json!(["c"]);
    assert_eq!(scopes(&both), ["c"]);
    both["scope"] = json!("a");
    assert_eq!(scopes(&both), ["a"], "`scope` is the registered name");

    let mut named = SHARED;
    named.claims.scopes = Some(&["permissions"]);
    both["permissions"] = json!(["p"]);
    let claims = verify(&Key::Shared.token(&both), &named, &shared_keys(), NOON).unwrap();
    assert_eq!(claims.scopes, ["p"]);
}

#[test]
fn a_tenant_is_taken_only_where_the_policy_names_a_claim() {
    let mut none = SHARED;
    none.claims.tenant = None;
    let claims = verify(&Key::Shared.token(&claims(NOON)), &none, &shared_keys(), NOON).unwrap();
    assert_eq!(claims.tenant, None);
}

#[test]
fn a_token_of_another_type_is_refused_where_the_policy_asks_for_one() {
    let typed = Jwt { typ: Some("at+jwt"), ..SHARED };
    for (typ, right) in [
        (json!("at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!("application/at+jwt"), true),
        (json!("JWT"), false),
        (json!(""), false),
        (json!(17), false),
        (Value::Null, false),
    ] {
        let token = Key::Shared.sign(&json!({ "alg": "HS256", "typ": typ }), &claims(NOON));
        let outcome = verify(&token, &typed, &shared_keys(), NOON);
        assert_eq!(outcome.err(), (!right).then_some(Error::WrongType), "{typ}");
    }
    let untyped = Key::Shared.sign(&json!({ "alg": "HS256" }), &claims(NOON));
    assert_eq!(verify(&untyped, &typed, &shared_keys(), NOON), Err(Error::WrongType));
}
