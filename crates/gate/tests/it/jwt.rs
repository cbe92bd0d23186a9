//! Access tokens: right ones pass, whatever is not as the policy says does not. What is wrong as a JWS is in
//! `jws_faults.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{secret::Secret, time::Timestamp};
use keyward_gate::jwt::{Claims, Error, Keys, MOST_BYTES, Token};
use keyward_policy::{JwkSet, Jwt, JwtKeys, PublicAlgorithm, SecretForm};
use keyward_testing::{
    NOON,
    jose::{self, Key, PUBLIC, SHARED, claims, encode, public_keys, set_of, shared_keys, verify, with},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn policy_of(key: Key) -> &'static Jwt {
    if key == Key::Shared { &SHARED } else { &PUBLIC }
}

fn keys_of(key: Key) -> Keys {
    if key == Key::Shared { shared_keys() } else { public_keys() }
}

#[test]
fn tokens_of_another_library_pass_and_say_who_it_is() {
    let data: Value = serde_json::from_str(include_str!("../data/pyjwt.json")).unwrap();
    let secret = Secret::new(data["secret"].as_str().unwrap());
    let shared = Keys::shared(&secret, SecretForm::Text).unwrap();
    let public = jose::of_set(&data["jwks"].to_string(), jose::ALL).unwrap();
    for (algorithm, token) in data["tokens"].as_object().unwrap() {
        let (policy, keys) = if algorithm == "HS256" { (&SHARED, &shared) } else { (&PUBLIC, &public) };
        let expected = Claims {
            subject: "user-17".into(),
            tenant: Some("tenant-1".into()),
            scopes: vec!["orders:read".into(), "orders:write".into()],
            expires: Timestamp(1_900_003_660_000),
        };
        assert_eq!(verify(token.as_str().unwrap(), policy, keys, NOON), Ok(expected), "{algorithm}");
    }
}

#[test]
fn a_key_verifies_only_with_its_own_algorithm() {
    const NAMES: [&str; 20] = [
        "none", "None", "NONE", "", "HS256", "hs256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
        "ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448", "A256GCM",
    ];
    for key in Key::ALL {
        for name in NAMES {
            let token = key.sign(&json!({ "alg": name, "kid": key.algorithm() }), &claims(NOON));
            let right = name == key.algorithm() || (key == Key::Ed && name == "Ed25519");
            for other in Key::ALL {
                let outcome = verify(&token, policy_of(other), &keys_of(other), NOON);
                let same_policy = policy_of(other) == policy_of(key);
                assert_eq!(
                    outcome.is_ok(),
                    right && same_policy,
                    "{name} by {key:?} for {other:?}: {outcome:?}"
                );
                if !right && same_policy {
                    assert_eq!(outcome, Err(Error::WrongAlgorithm), "{name} by {key:?}");
                }
            }
        }
    }
}

#[test]
fn an_algorithm_that_the_policy_does_not_name_is_refused_although_the_set_has_a_key_for_it() {
    let set = JwkSet::Inline("");
    let only = Jwt { keys: JwtKeys::Public { algorithms: &[PublicAlgorithm::Es256], set }, ..PUBLIC };
    for key in Key::PUBLIC {
        let outcome = verify(&key.token(&claims(NOON)), &only, &public_keys(), NOON);
        assert_eq!(outcome.err(), (key != Key::Ec).then_some(Error::WrongAlgorithm), "{key:?}");
    }
}

#[test]
fn the_key_is_chosen_by_its_id() {
    let [rsa, ec] = [Key::Rsa, Key::Ec].map(Key::jwk);
    let token = Key::Ec.token(&claims(NOON));
    assert!(verify(&token, &PUBLIC, &set_of(&[rsa.clone(), ec.clone()]), NOON).is_ok());
    assert_eq!(verify(&token, &PUBLIC, &set_of(std::slice::from_ref(&rsa)), NOON), Err(Error::UnknownKey));
    let same_id =
        [rsa.clone(), json!({ "kid": "RS256", "x": ec["x"], "y": ec["y"], "kty": "EC", "crv": "P-256" })];
    let other_id = Key::Ec.sign(&json!({ "alg": "ES256", "kid": "RS256" }), &claims(NOON));
    assert!(verify(&other_id, &PUBLIC, &set_of(&same_id), NOON).is_ok(), "the algorithm tells them apart");
    assert_eq!(verify(&other_id, &PUBLIC, &set_of(&[rsa, ec]), NOON), Err(Error::WrongAlgorithm));
}

#[test]
fn neither_a_token_nor_a_key_has_to_have_an_id() {
    let without_id = |mut jwk: Value| {
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let stranger = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "stranger", "x": STRANGERS_KEY });
    for key in Key::PUBLIC {
        let unnamed = key.sign(&json!({ "alg": key.algorithm() }), &claims(NOON));
        assert!(verify(&unnamed, &PUBLIC, &public_keys(), NOON).is_ok(), "{key:?}");
        let keys = set_of(&Key::PUBLIC.map(Key::jwk).map(without_id));
        assert!(verify(&unnamed, &PUBLIC, &keys, NOON).is_ok(), "{key:?}");
        assert!(verify(&key.token(&claims(NOON)), &PUBLIC, &keys, NOON).is_ok(), "{key:?}");
    }
    // While an issuer changes its key there are two, and either may have signed.
    let unnamed = Key::Ed.sign(&json!({ "alg": "EdDSA" }), &claims(NOON));
    for set in [[stranger.clone(), Key::Ed.jwk()], [Key::Ed.jwk(), stranger.clone()]] {
        assert!(verify(&unnamed, &PUBLIC, &set_of(&set), NOON).is_ok());
    }
    assert_eq!(verify(&unnamed, &PUBLIC, &set_of(&[stranger]), NOON), Err(Error::BadSignature));
}

/// RFC 8032, section 7.1, test 2.
const STRANGERS_KEY: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

#[test]
fn of_several_keys_that_could_be_meant_at_most_four_are_tried() {
    let stranger = json!({ "kty": "OKP", "crv": "Ed25519", "x": STRANGERS_KEY });
    let outcome = |strangers: usize| {
        let mut set = vec![stranger.clone(); strangers];
        set.push(Key::Ed.jwk());
        verify(&Key::Ed.token(&claims(NOON)), &PUBLIC, &set_of(&set), NOON).err()
    };
    assert_eq!(outcome(3), None);
    assert_eq!(outcome(4), Some(Error::UnknownKey));
}

#[test]
fn an_id_that_stands_on_another_key_too_is_no_hindrance() {
    let stranger = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": STRANGERS_KEY });
    let set = set_of(&[stranger, Key::Ed.jwk(), Key::Rsa.jwk()]);
    assert!(verify(&Key::Ed.token(&claims(NOON)), &PUBLIC, &set, NOON).is_ok());
}

#[test]
fn an_rsa_key_verifies_with_each_algorithm_that_the_policy_names_unless_it_names_its_own() {
    let keys = JwtKeys::Public { algorithms: jose::ALL, set: JwkSet::Inline("") };
    let policy = Jwt { keys, ..PUBLIC };
    let rsa = Key::Rsa.jwk();
    for (name, _) in PublicAlgorithm::NAMES.iter().filter(|(name, _)| name.starts_with(['R', 'P'])) {
        let token = Key::Rsa.sign_as(name, &claims(NOON));
        assert!(verify(&token, &policy, &set_of(std::slice::from_ref(&rsa)), NOON).is_ok(), "{name}");
        for (own, _) in PublicAlgorithm::NAMES.iter().filter(|(name, _)| name.starts_with(['R', 'P'])) {
            let mut named = rsa.clone();
            named["alg"] = json!(own);
            let outcome = verify(&token, &policy, &set_of(&[named]), NOON);
            assert_eq!(outcome.err(), (own != name).then_some(Error::WrongAlgorithm), "{name} by {own}");
        }
        let set = JwkSet::Inline("");
        let other = Jwt { keys: JwtKeys::Public { algorithms: &[PublicAlgorithm::Es384], set }, ..PUBLIC };
        assert_eq!(verify(&token, &other, &public_keys(), NOON), Err(Error::WrongAlgorithm), "{name}");
    }
}

#[test]
fn header_parameters_that_mean_nothing_here_are_ignored() {
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!(17)),
        ("cty", json!("JSON")),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
        ("jku", json!("https://elsewhere.example/keys")),
        ("x5c", json!(["AA=="])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("iss", json!("somebody")),
        ("nonce", json!({ "a": [1, 2.5, null] })),
        ("", json!("")),
        ("ALG", json!("none")),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "ES256" });
        header[name] = value;
        let token = Key::Ec.sign(&header, &claims(NOON));
        assert!(verify(&token, &PUBLIC, &public_keys(), NOON).is_ok(), "{header}");
    }
}

#[test]
fn json_is_read_as_rfc_8259_has_it() {
    let text = serde_json::to_string_pretty(&claims(NOON)).unwrap();
    let header = "\r\n\t {  \"\\u0061lg\" :\n\"HS256\" } \n";
    for payload in [
        format!(" \t\r\n{text}\n"),
        text.replace("\"iss\"", "\"\\u0069ss\""),
        text.replace("user", "us\\u0065r"),
    ] {
        let token = Key::Shared.sign_text(header, &payload);
        assert!(verify(&token, &SHARED, &shared_keys(), NOON).is_ok(), "{payload}");
    }
}

#[test]
fn critical_header_parameters_are_refused() {
    for crit in [json!(["b64"]), json!([]), json!(null), json!(["exp"])] {
        let header = json!({ "alg": "HS256", "crit": crit, "b64": false });
        let token = Key::Shared.sign(&header, &claims(NOON));
        assert_eq!(verify(&token, &SHARED, &shared_keys(), NOON), Err(Error::Critical), "{crit}");
    }
}

#[test]
fn a_token_in_any_other_form_is_malformed() {
    let good = Key::Shared.token(&claims(NOON));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let header_of = |text: &str| Key::Shared.sign_text(text, &claims(NOON).to_string());
    let payload_of = |text: &str| Key::Shared.sign_text(r#"{"alg":"HS256"}"#, text);
    for (token, part) in [
        (String::new(), "form"),
        ("abc".into(), "form"),
        (format!("{header}.{payload}"), "form"),
        ("..".into(), "header"),
        (format!(".{payload}.{signature}"), "header"),
        (format!("{header}=.{payload}.{signature}"), "header"),
        (format!(" {good}"), "header"),
        (format!("{good} "), "signature"),
        (format!("{good}="), "signature"),
        (format!("{good}\n"), "signature"),
        (format!("{good}.{signature}"), "form"),
        (Key::Shared.sign_text(r#"{"alg":"HS256"}"#, "{}").replace('.', ".."), "form"),
        (good.replace('-', "+").replace('_', "/") + "/", "signature"),
        (header_of("null"), "header"),
        (header_of("[]"), "header"),
        (header_of(r#""HS256""#), "header"),
        (header_of("{}"), "header"),
        (header_of(r#"{"alg":null}"#), "header"),
        (header_of(r#"{"alg":["HS256"]}"#), "header"),
        (header_of(r#"{"alg":"HS256","kid":17}"#), "header"),
        (header_of(r#"{"alg":"HS256","alg":"HS256"}"#), "header"),
        (header_of(r#"{"alg":"HS256","\u0061lg":"none"}"#), "header"),
        (header_of(r#"{"alg":"HS256","kid":"a","kid":"b"}"#), "header"),
        (header_of("{\"alg\":\"HS256\"} {}"), "header"),
        (header_of("\u{feff}{\"alg\":\"HS256\"}"), "header"),
        (payload_of("null"), "claims"),
        (payload_of("[]"), "claims"),
        (payload_of("{"), "claims"),
        (payload_of(r#"{"sub":"a","sub":"b"}"#), "claims"),
        (payload_of(r#"{"sub":"a","s\u0075b":"b"}"#), "claims"),
        (payload_of(r#"{"app":{"tenant":"a","tenant":"b"}}"#), "claims"),
        (payload_of(r#"{"app":[{"a":1},[{"b":1,"b":1}]]}"#), "claims"),
        (payload_of(r#"{"exp":1e400}"#), "claims"),
        (payload_of(r#"{"unknown":-1e400}"#), "claims"),
        (payload_of(r#"{"exp":NaN}"#), "claims"),
        (payload_of(r#"{"exp":0x10}"#), "claims"),
        (payload_of(r#"{"exp":017}"#), "claims"),
        (payload_of(r#"{"sub":"\ud800"}"#), "claims"),
        (payload_of("{\"sub\":\"a\u{0}\"}"), "claims"),
        (payload_of("{'sub':'a'}"), "claims"),
        (payload_of(r#"{"sub":"a",}"#), "claims"),
        (payload_of(r#"{"sub":"a"}{"sub":"a"}"#), "claims"),
        (payload_of("\u{feff}{}"), "claims"),
        (payload_of(""), "claims"),
        (payload_of(&"[".repeat(5_000)), "claims"),
    ] {
        assert_eq!(verify(&token, &SHARED, &shared_keys(), NOON), Err(Error::Malformed(part)), "{token}");
    }
}

#[test]
fn a_token_that_is_too_long_is_refused_before_it_is_read() {
    for token in ["x".repeat(MOST_BYTES + 1), ".".repeat(100_000), format!("é{}", "x".repeat(100_000))] {
        assert_eq!(Token::read(&token, &SHARED).err(), Some(Error::TooLong));
    }
    assert_eq!(Token::read(&"x".repeat(MOST_BYTES), &SHARED).err(), Some(Error::Malformed("form")));
}

#[test]
fn no_error_shows_anything_of_the_token() {
    const MARK: &str = "veryprivate";
    let tokens = [
        Key::Shared.sign(&json!({ "alg": MARK, "kid": MARK, "typ": MARK }), &json!({ "iss": MARK })),
        Key::Shared.sign(&json!({ "alg": "HS256", "kid": MARK }), &json!({ "iss": MARK })),
        Key::Shared.token(&with("aud", json!(MARK))),
        Key::Shared.token(&with("sub", json!(format!("{MARK}\n")))),
        Key::Shared.token(&with("exp", json!(MARK))),
        MARK.repeat(1_000),
        MARK.into(),
    ];
    for token in tokens {
        let error = verify(&token, &SHARED, &shared_keys(), NOON).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(MARK), "{error}");
    }
}

#[test]
fn a_secret_is_a_key_only_if_it_is_long_enough_and_well_written() {
    let shared = |text: &str, form| Keys::shared(&Secret::new(text), form).is_ok();
    assert!(shared(&"x".repeat(32), SecretForm::Text));
    assert!(!shared(&"x".repeat(31), SecretForm::Text));
    assert!(shared(&encode([7; 32]), SecretForm::Base64 { prefix: "" }));
    assert!(!shared(&encode([7; 31]), SecretForm::Base64 { prefix: "" }));
    assert!(!shared(&"!".repeat(64), SecretForm::Base64 { prefix: "" }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_single_changed_bit_is_refused(which in 0..4_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let key = Key::ALL[which];
        let token = key.token(&claims(NOON));
        let mut bytes = token.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // A header's value that is not UTF-8 never gets this far.
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(verify(&changed, policy_of(key), &keys_of(key), NOON).is_err(), "{changed}");
        }
    }

    #[test]
    fn whatever_is_sent_gets_an_answer(text in ".{0,200}", header in ".{0,60}", claims in ".{0,60}") {
        prop_assert!(verify(&text, &SHARED, &shared_keys(), NOON).is_err());
        let signed = Key::Shared.sign_text(&header, &claims);
        prop_assert!(verify(&signed, &SHARED, &shared_keys(), NOON).is_err());
    }
}
