//! Access tokens on their way through the gate, and the keys of their issuers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{HOUR, MILLISECOND, MINUTE, SECOND, Span};
use keyward_gate::{
    admission::Admission,
    denial::Denial,
    forwarding,
    hint::{Slip, Stray},
    jwt::Error,
};
use keyward_policy::{HostPattern, Proof, Realm, Requirement, Route};
use keyward_testing::{
    NOON,
    call::{Call, DEADLINE, FAULTS, by, platform, realm},
    fake_platform::{FakePlatform, Fault},
    jose::{self, Key},
};
use serde_json::{Value, json};

fn reason(denial: Denial) -> String {
    let Denial::InvalidToken(error) = denial else { panic!("{denial:?}") };
    error.to_string()
}
fn bearer(key: Key, claims: &Value) -> String {
    format!("Bearer {}", key.token(claims))
}
#[test]
fn a_token_of_each_algorithm_passes_and_the_origin_learns_what_it_says() {
    let platform = platform();
    for (key, jwt) in Key::ALL.map(|key| (key, if key == Key::Shared { jose::SHARED } else { jose::PUBLIC }))
    {
        let platform = if key == Key::Shared { support_world() } else { &platform };
        let token = bearer(key, &jose::claims(NOON));
        let call = Call {
            fields: vec![("authorization", &token)],
            ..Call::of(realm(jwt), by(&[Proof::Key, Proof::Jwt], &["orders:read"]))
        };
        let told = call.told(platform).unwrap();
        for (name, value) in [
            ("Keyward-Subject", "user-17"),
            ("Keyward-Tenant", "tenant-1"),
            ("Keyward-Scopes", "orders:read orders:write"),
        ] {
            assert!(told.contains(&(name, value.into())), "{key:?} {name}: {told:?}");
        }
    }
}

/// Another isolate: what verifies a realm's tokens does not change while one lives.
fn support_world() -> &'static FakePlatform {
    Box::leak(Box::new(platform()))
}

#[test]
fn a_token_that_its_issuer_did_not_make_so_is_refused_with_the_reason_for_the_log() {
    let platform = platform();
    let send = |value: &str| {
        let call = Call {
            fields: vec![("authorization", value)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
        };
        reason(call.told(&platform).unwrap_err())
    };
    let good = Key::Ec.token(&jose::claims(NOON));
    let none =
        format!("{}.{}.", jose::encode(r#"{"alg":"none"}"#), jose::encode(jose::claims(NOON).to_string()));
    for (token, expected) in [
        (good[..good.len() - 2].to_owned(), "signature"),
        (none, "algorithm"),
        (Key::Shared.token(&jose::claims(NOON)), "algorithm"),
        (Key::Ec.token(&jose::with("exp", json!(1))), "expired"),
        (Key::Ec.token(&jose::with("iss", json!("https://evil.example"))), "issuer"),
        (Key::Ec.token(&jose::with("aud", json!("other"))), "audience"),
        ("not a token".into(), "malformed"),
        ("a".repeat(100_000), "bytes"),
    ] {
        let told = send(&format!("Bearer {token}"));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_credential_of_a_kind_that_the_route_does_not_take_is_none() {
    let platform = platform();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let keys_only = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Key], &[]))
    };
    let none =
        |by: &'static [Proof], shown| Denial::MissingCredential { by, stray: Some(Stray::Kind(shown)) };
    assert_eq!(keys_only.told(&platform).unwrap_err(), none(&[Proof::Key], Proof::Jwt));
    let tokens_only = Call {
        fields: vec![("x-api-key", "kw_live_x")],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    assert_eq!(tokens_only.told(&platform).unwrap_err(), none(&[Proof::Jwt], Proof::Key));
    assert_eq!(platform.asked(), Vec::<String>::new());
}

#[test]
fn each_kind_of_credential_counts_in_its_own_header_only_and_two_are_refused() {
    let platform = platform();
    let token = Key::Ec.token(&jose::claims(NOON));
    let send = |fields: Vec<(&str, &str)>| {
        let route = by(&[Proof::Key, Proof::Jwt], &[]);
        Call { fields, ..Call::of(realm(jose::PUBLIC), route) }.told(&platform).unwrap_err()
    };
    assert_eq!(send(vec![("x-api-key", &token)]), Denial::MalformedKey { slip: Some(Slip::Token) });
    let key = platform.new_key(1);
    let bearer = format!("Bearer {}", key.expose());
    assert_eq!(send(vec![("authorization", &bearer)]), Denial::KeyAsToken);
    assert_eq!(
        send(vec![("authorization", &bearer), ("x-api-key", key.expose())]),
        Denial::RepeatedCredential
    );
}

#[test]
fn a_token_needs_the_scopes_of_the_route_and_the_tenant_of_the_host() {
    let platform = platform();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = |realm, scopes| Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm, by(&[Proof::Jwt], scopes))
    };
    let missing = call(realm(jose::PUBLIC), &["admin:read"]).told(&platform).unwrap_err();
    assert_eq!(missing, Denial::InsufficientScope { of: Proof::Jwt, required: &["admin:read"] });
    let on_host = |host: &str| {
        let realm = Realm { hosts: &[HostPattern::Tenant(".example")], ..realm(jose::PUBLIC) };
        let url = format!("https://{host}.example/api");
        Call { url: &url, ..call(realm, &[]) }.told(&platform)
    };
    assert!(on_host("tenant-1").is_ok());
    assert!(reason(on_host("tenant-2").unwrap_err()).contains("another tenant"));
}

#[test]
fn the_issuers_keys_are_fetched_once_and_again_for_a_new_one() {
    let platform = platform();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let send = |platform: &FakePlatform, token: &str| {
        let route = by(&[Proof::Jwt], &[]);
        Call { fields: vec![("authorization", token)], ..Call::of(realm(jose::PUBLIC), route) }
            .told(platform)
            .map(|_| ())
    };
    let url = "https://id.example.com/jwks.json";
    let only = |key: Key| json!({ "keys": [key.jwk()] }).to_string();
    platform.web.borrow_mut().insert(url.into(), only(Key::Ec));
    assert_eq!((send(&platform, &token), send(&platform, &token)), (Ok(()), Ok(())));
    assert_eq!(platform.asked(), [format!("GET {url}")]);
    // The issuer rotates: what is signed with the new key passes once the floor of refetching is over.
    platform.web.borrow_mut().insert(url.into(), only(Key::Rsa));
    let rotated = bearer(Key::Rsa, &jose::claims(NOON));
    assert!(reason(send(&platform, &rotated).unwrap_err()).contains("key id"));
    platform.pass_time(2 * MINUTE);
    assert_eq!(send(&platform, &rotated), Ok(()));
}

#[test]
fn an_issuer_that_cannot_be_asked_is_a_503_and_never_a_401_nor_a_pass() {
    let platform = FakePlatform::new();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    let unavailable =
        |reason: &str, retry_after| Err(Denial::IssuerUnavailable { reason: reason.to_owned(), retry_after });
    assert_eq!(call.told(&platform), unavailable("answered 500", 10 * SECOND));
    platform.pass_time(4 * SECOND);
    assert_eq!(call.told(&platform), unavailable("answered 500", 6 * SECOND));
    assert_eq!(logged(&platform), ["https://id.example.com/jwks.json: answered 500"]);
    platform.pass_time(6 * SECOND);
    platform.web.borrow_mut().insert("https://id.example.com/jwks.json".into(), r#"{"keys":[]}"#.into());
    assert_eq!(call.told(&platform), unavailable("the JWK Set has no keys", 10 * SECOND));
    assert_eq!(logged(&platform), ["https://id.example.com/jwks.json: the JWK Set has no keys"]);

    let token = bearer(Key::Shared, &jose::claims(NOON));
    let shared = Call { realm: realm(jose::SHARED), fields: vec![("authorization", &token)], ..call };
    assert_eq!(shared.told(&platform).unwrap_err(), Denial::NotConfigured { what: "ISSUER_SECRET" });
    for (secret, why) in [("AAAA", "at least 32 bytes"), ("not base64!", "not written in the form")] {
        platform.named_secrets.borrow_mut().insert("ISSUER_SECRET", secret);
        let Err(Denial::UnfitSecret { secret, reason }) = shared.told(&platform) else { panic!() };
        assert!(secret == "ISSUER_SECRET" && reason.contains(why), "{reason}");
    }
}

#[test]
fn what_is_wrong_with_an_issuers_keys_stands_in_the_log_also_while_older_ones_serve() {
    let platform = platform();
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let call = Call {
        fields: vec![("authorization", &token)],
        ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
    };
    assert!(call.told(&platform).is_ok());
    platform.web.borrow_mut().clear();
    platform.pass_time(10 * MINUTE);
    assert!(call.told(&platform).is_ok());
    assert_eq!(logged(&platform), ["https://id.example.com/jwks.json: answered 500"]);
}

#[test]
fn an_issuer_that_changes_its_key_and_not_its_id_works_on() {
    const URL: &str = "https://id.example.com/jwks.json";
    let set_with = |kid: Option<&str>, key: Key| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(kid);
        json!({ "keys": [jwk] }).to_string()
    };
    for kid in [None, Some("the-key")] {
        let platform = platform();
        let token = |key: Key| {
            let mut header = json!({ "alg": key.algorithm() });
            if let Some(kid) = kid {
                header["kid"] = json!(kid);
            }
            format!("Bearer {}", key.sign(&header, &jose::claims(NOON)))
        };
        let send = |text: &str| {
            let call = Call {
                fields: vec![("authorization", text)],
                ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
            };
            call.told(&platform).map(|_| ())
        };
        platform.web.borrow_mut().insert(URL.into(), set_with(kid, Key::Ec));
        assert_eq!(send(&token(Key::Ec)), Ok(()));
        platform.web.borrow_mut().insert(URL.into(), set_with(kid, Key::Ed));
        assert_eq!(send(&token(Key::Ed)), Err(Denial::InvalidToken(Error::WrongAlgorithm)), "{kid:?}");
        platform.pass_time(MINUTE);
        assert_eq!(send(&token(Key::Ed)), Ok(()), "{kid:?}");
        assert_eq!(send(&token(Key::Ec)), Err(Denial::InvalidToken(Error::WrongAlgorithm)), "{kid:?}");

        // What is forged stays so, and asks the issuer seldom.
        platform.asked();
        let (forged, _) =
            token(Key::Ed).rsplit_once('.').map(|(text, _)| (format!("{text}.AAAA"), ())).unwrap();
        for _ in 0..120 {
            assert_eq!(send(&forged), Err(Denial::InvalidToken(Error::BadSignature)), "{kid:?}");
            platform.pass_time(SECOND);
        }
        let fetches = platform.asked().iter().filter(|asked| asked.starts_with("GET")).count();
        assert!((1..=2).contains(&fetches), "{fetches}");
    }
}

#[test]
fn a_token_that_newer_keys_could_verify_is_503_while_those_cannot_be_had() {
    const URL: &str = "https://id.example.com/jwks.json";
    let set_with = |kid: Option<&str>, key: Key| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(kid);
        json!({ "keys": [jwk] }).to_string()
    };
    // Under the same id, without one, and under another.
    for (old_kid, new_kid) in [(Some("a"), Some("a")), (None, None), (Some("a"), Some("b"))] {
        for old_key in [Key::Ed, Key::Rsa] {
            for fault in FAULTS.into_iter().filter(|fault| *fault != Fault::Slow(Span::from_ms(1_500))) {
                // Within the set's age, beyond it, and beyond the hour for which it serves on.
                for age in [MINUTE, 20 * MINUTE, 2 * HOUR] {
                    let platform = platform();
                    let now = NOON.plus(age);
                    let token = |key: Key, kid: Option<&str>| {
                        let mut header = json!({ "alg": key.algorithm() });
                        if let Some(kid) = kid {
                            header["kid"] = json!(kid);
                        }
                        format!("Bearer {}", key.sign(&header, &jose::claims(now)))
                    };
                    let send = |text: &str| {
                        let call = Call {
                            fields: vec![("authorization", text)],
                            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
                        };
                        call.told(&platform).map(|_| ())
                    };
                    let case = format!("{old_kid:?} {new_kid:?} {old_key:?} {fault:?} {age:?}");
                    platform.web.borrow_mut().insert(URL.into(), set_with(old_kid, old_key));
                    platform.clock.set(now);
                    let (old, new) = (token(old_key, old_kid), token(Key::Ec, new_kid));
                    platform.clock.set(NOON);
                    let _ = send(&old);
                    platform.clock.set(now);
                    platform.web.borrow_mut().insert(URL.into(), set_with(new_kid, Key::Ec));
                    platform.issuer_fault.set(Some(fault));
                    for _ in 0..3 {
                        let came = platform.clock.now();
                        let told = send(&new);
                        assert!(matches!(told, Err(Denial::IssuerUnavailable { .. })), "{case}: {told:?}");
                        assert!(platform.clock.now() - came <= *DEADLINE, "{case}");
                    }
                    let served = send(&old);
                    assert_eq!(served.is_ok(), age < HOUR, "{case}: {served:?}");
                    platform.issuer_fault.set(None);
                    platform.pass_time(10 * SECOND);
                    assert_eq!(send(&new), Ok(()), "{case}: the wait was enough");
                    let told = send(&old).unwrap_err();
                    assert!(matches!(told, Denial::InvalidToken(_)), "{case}: {told:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_a_wildcard_among_a_tokens_scopes_and_the_origin_is_told_of_none() {
    let platform = platform();
    let send = |scope: Value, needs: &'static [&'static str]| {
        let token = bearer(Key::Ec, &jose::with("scope", scope));
        let call = Call {
            fields: vec![("authorization", &token)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], needs))
        };
        let told = call.told(&platform)?;
        Ok(told.into_iter().find(|(name, _)| *name == "Keyward-Scopes").unwrap().1)
    };
    for scope in [json!("*"), json!("openid *"), json!("orders:*"), json!(["orders:*", "*"]), json!("orders")]
    {
        let refused = Err(Denial::InsufficientScope { of: Proof::Jwt, required: &["orders:read"] });
        assert_eq!(send(scope.clone(), &["orders:read"]), refused, "{scope}");
    }
    assert_eq!(
        send(json!("orders:write"), &["orders:read"]),
        Ok("orders:write".to_owned()),
        "it includes it"
    );
    assert_eq!(send(json!("openid * orders:* a:b:* e*"), &[]), Ok("openid e*".to_owned()));
}

#[test]
fn a_network_that_keeps_sending_wrong_tokens_is_slowed() {
    let platform = platform();
    platform.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    let call_of = || Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]));
    let call = Call { fields: vec![("authorization", "Bearer x.y.z")], ..call_of() };
    reason(call.told(&platform).unwrap_err());
    assert_eq!(
        call.told(&platform).unwrap_err(),
        Denial::TooManyFailures { retry_after: Span::from_ms(10_000) }
    );
    platform.pass_time(Span::from_ms(9_999));
    assert_eq!(call.told(&platform).unwrap_err(), Denial::TooManyFailures { retry_after: Span::from_ms(1) });
    platform.pass_time(MILLISECOND);
    reason(call.told(&platform).unwrap_err());
    let honest = bearer(Key::Ec, &jose::claims(keyward_testing::NOON));
    let neighbour = Call { fields: vec![("authorization", &honest)], ..call_of() };
    assert!(neighbour.told(&platform).is_ok(), "whoever has a token passes, whatever is sent beside it");
    platform.pass_time(10 * SECOND);
    // What the issuer signed is no guess.
    for (name, value) in [
        ("exp", json!(1)),
        ("nbf", json!(1e12)),
        ("aud", json!("other")),
        ("iss", json!("other")),
        ("sub", Value::Null),
        ("sub", json!(7)),
    ] {
        let token = bearer(Key::Ec, &jose::with(name, value));
        let honest = Call { fields: vec![("authorization", token.as_str())], ..call_of() };
        reason(honest.told(&platform).unwrap_err());
        reason(honest.told(&platform).unwrap_err());
    }
}

#[test]
fn the_origin_gets_a_tokens_header_only_where_the_policy_says_so_and_it_was_found_right() {
    let platform = platform();
    let removed = |call: &Call<'_>| {
        let Admission::Pass(accepted) = call.send(&platform).unwrap() else { panic!() };
        let header = |name: &str| {
            call.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
        };
        forwarding::credentials(&[call.realm], &call.realm, &accepted.permit, Some(&platform.secrets), header)
    };
    let token = bearer(Key::Ec, &jose::claims(NOON));
    let fields = vec![("authorization", token.as_str())];
    let call = Call { fields: fields.clone(), ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[])) };
    assert!(!removed(&call).contains(&"authorization"));
    let public = Route { requires: Requirement::Public, ..call.route };
    let unverified = Call { route: public, fields, ..Call::of(realm(jose::PUBLIC), public) };
    assert!(removed(&unverified).contains(&"authorization"));
}
#[test]
fn whatever_the_issuer_does_a_token_is_told_by_the_deadline_and_older_keys_serve_on() {
    for fault in FAULTS {
        for is_known in [false, true] {
            let platform = platform();
            let token = bearer(Key::Ec, &jose::claims(NOON.plus(10 * MINUTE)));
            let call = || Call {
                fields: vec![("authorization", &token)],
                ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
            };
            platform.pass_time(10 * MINUTE);
            if is_known {
                assert!(call().told(&platform).is_ok());
                platform.pass_time(10 * MINUTE);
            }
            platform.issuer_fault.set(Some(fault));
            for round in 0..3 {
                let came = platform.clock.now();
                let told = call().told(&platform);
                let took = platform.clock.now() - came;
                assert!(took <= *DEADLINE && (round == 0 || took == Span::ZERO), "{fault:?}: {took:?}");
                if is_known || fault == Fault::Slow(Span::from_ms(1_500)) {
                    assert!(told.is_ok(), "{fault:?}: {told:?}");
                } else {
                    assert!(matches!(told, Err(Denial::IssuerUnavailable { .. })), "{fault:?}: {told:?}");
                }
            }
        }
    }
}

#[test]
fn whatever_the_limiter_does_a_wrong_token_is_told_by_the_deadline() {
    for fault in FAULTS {
        let platform = platform();
        platform.limiter_fault.set(Some(fault));
        let forged = format!("{}x", bearer(Key::Ec, &jose::claims(NOON)));
        let call = Call {
            fields: vec![("authorization", &forged)],
            ..Call::of(realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
        };
        for _ in 0..3 {
            let came = platform.clock.now();
            assert!(matches!(call.told(&platform), Err(Denial::InvalidToken(_))), "{fault:?}");
            assert!(platform.clock.now() - came <= Span::from_ms(500), "{fault:?}");
        }
    }
}

/// What the log says of stores and issuers, and forgets it.
fn logged(platform: &FakePlatform) -> Vec<String> {
    let lines = platform.logged.take();
    let read = |line: &String| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| event[name].as_str().unwrap().to_owned();
        format!("{}: {}", field("store"), field("error"))
    };
    lines.iter().map(read).collect()
}
