//! JWK Sets: which keys are taken from one, and when one is fetched.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;

use keyward_core::time::{HOUR, MILLISECOND, MINUTE, SECOND, Timestamp};
use keyward_gate::jwt::{JwksCache, Keys, Lookup, UnfitKeys};
use keyward_policy::{
    JwkSet, Jwt, JwtKeys, PublicAlgorithm, Span,
    jwk::{MOST_SET_BYTES, UnfitSet},
};
use keyward_testing::{
    NOON,
    jose::{self, ALL, Key, PUBLIC, claims, decode, encode, set_of, verify},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a realm with [`PUBLIC`] takes.
const ALGORITHMS: &[PublicAlgorithm] =
    &[PublicAlgorithm::Rs256, PublicAlgorithm::Es256, PublicAlgorithm::EdDsa];

fn of_set(json: &str) -> Result<Keys, UnfitKeys> {
    jose::of_set(json, ALGORITHMS)
}

/// What is wrong with the only key of a set.
fn unfit(jwk: &Value) -> Option<String> {
    match of_set(&json!({ "keys": [jwk] }).to_string()) {
        Ok(_) => None,
        Err(UnfitKeys::NoKey(reasons)) => Some(reasons.join("; ")),
        Err(error) => panic!("{error}"),
    }
}

/// A key with one parameter changed; `Null` takes it away.
fn with(key: Key, name: &str, value: Value) -> Value {
    let mut jwk = key.jwk();
    match value {
        Value::Null => jwk.as_object_mut().unwrap().remove(name),
        value => jwk.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    jwk
}

#[test]
fn keys_that_are_not_known_here_do_not_spoil_the_others() {
    let set = set_of(&[
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "a", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "b", "x": "AA" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
        json!({ "kid": 17 }),
        json!("a key"),
        json!(null),
        Key::Shared.jwk(),
        Key::Ec.jwk(),
    ]);
    assert!(verify(&Key::Ec.token(&claims(NOON)), &PUBLIC, &set, NOON).is_ok());
}

#[test]
fn a_key_is_taken_only_if_everything_it_says_fits() {
    for (key, other) in [(Key::Rsa, "PS256"), (Key::Ec, "ES384"), (Key::Ed, "Ed448")] {
        for (name, value, fits) in [
            ("use", json!("sig"), true),
            ("use", json!("enc"), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["sign", "verify"]), true),
            ("key_ops", json!(["encrypt"]), false),
            ("key_ops", json!([]), false),
            ("alg", json!(key.algorithm()), true),
            ("alg", json!("HS256"), false),
            ("alg", json!("none"), false),
            ("alg", json!(other), false),
            ("kty", json!("oct"), false),
            ("kty", Value::Null, false),
            ("x5c", json!(["anything"]), true),
        ] {
            assert_eq!(unfit(&with(key, name, value.clone())).is_none(), fits, "{key:?}, {name}: {value}");
        }
    }
}

#[test]
fn a_reason_is_bounded_whatever_the_key_says() {
    let long = "\u{2028}".repeat(10_000);
    for member in ["kty", "crv", "alg", "key_ops"] {
        let told = unfit(&with(Key::Ec, member, json!(long))).unwrap();
        assert!(told.len() < 250, "{} bytes", told.len());
    }
}

#[test]
fn a_key_that_can_verify_nothing_is_not_taken_and_the_reason_is_told() {
    let odd = |bytes: usize| encode(vec![0xff; bytes]);
    let identity = encode([&[1][..], &[0; 31]].concat());
    let order_4 = encode([0; 32]);
    let size = "an `n` of another size than 2048 to 8192 bits";
    for (jwk, reason) in [
        (with(Key::Rsa, "use", json!("enc")), "a `use` other than"),
        (with(Key::Rsa, "key_ops", json!(["sign"])), "`key_ops` without"),
        (with(Key::Rsa, "key_ops", json!("verify")), "no JWK: expected a sequence, found a string"),
        (with(Key::Rsa, "kid", json!(17)), "no JWK: expected a string, found a number"),
        (with(Key::Rsa, "kty", Value::Null), "no JWK: missing field `kty`"),
        (with(Key::Rsa, "kty", json!("rsa")), r#"the `kty` "rsa""#),
        (with(Key::Rsa, "kty", json!("EC")), "no `crv`"),
        (with(Key::Rsa, "alg", json!("ES256")), r#"the `alg` "ES256""#),
        (with(Key::Rsa, "alg", json!("RSA-OAEP")), r#"the `alg` "RSA-OAEP""#),
        (with(Key::Rsa, "alg", json!("RS512")), "none of `algorithms`"),
        (with(Key::Rsa, "n", Value::Null), "no `n`"),
        (with(Key::Rsa, "n", json!("")), size),
        (with(Key::Rsa, "n", json!(odd(128))), size),
        (with(Key::Rsa, "n", json!(odd(255))), size),
        (with(Key::Rsa, "n", json!(odd(1_025))), size),
        (with(Key::Rsa, "n", json!(odd(4_000))), size),
        (with(Key::Rsa, "n", json!(encode([vec![0; 128], vec![0xff; 128]].concat()))), size),
        (with(Key::Rsa, "n", json!(encode([vec![0xff; 255], vec![0]].concat()))), "no RSA key"),
        (with(Key::Rsa, "n", json!("not base64url!")), "an `n` that is not base64url"),
        (with(Key::Rsa, "n", json!(odd(256) + "==")), "an `n` that is not base64url"),
        (with(Key::Rsa, "e", Value::Null), "no `e`"),
        (with(Key::Rsa, "e", json!("")), "no RSA key"),
        (with(Key::Rsa, "e", json!("AA")), "no RSA key"),
        (with(Key::Rsa, "e", json!("AQ")), "no RSA key"),
        (with(Key::Rsa, "e", json!(encode([4]))), "no RSA key"),
        (with(Key::Rsa, "e", json!(odd(16))), "no RSA key"),
        (with(Key::Ec, "x", Value::Null), "no `x`"),
        (with(Key::Ec, "x", json!("")), "another length than 32 bytes"),
        (with(Key::Ec, "x", json!(odd(32))), "not a point of its curve"),
        (with(Key::Ec, "x", json!(odd(33))), "another length than 32 bytes"),
        (with(Key::Ec, "y", Key::Ec.jwk()["x"].clone()), "not a point of its curve"),
        (with(Key::Ec, "crv", json!("P-384")), "another length than 48 bytes"),
        (with(Key::Ec, "crv", json!("secp256k1")), r#"the curve "secp256k1""#),
        (with(Key::Ec, "crv", json!("P-521")), "another length than 66 bytes"),
        (with(Key::Ed, "x", json!(odd(31))), "another length than 32 bytes"),
        (with(Key::Ed, "x", json!("")), "another length than 32 bytes"),
        (with(Key::Ed, "x", json!(encode([&[2][..], &[0; 31]].concat()))), "not a point of its curve"),
        (with(Key::Ed, "x", json!(identity)), "a point of small order"),
        (with(Key::Ed, "x", json!(order_4)), "a point of small order"),
        (with(Key::Ed, "crv", json!("X25519")), r#"the curve "X25519""#),
        (with(Key::Ed, "crv", json!("Ed448")), r#"the curve "Ed448""#),
        (with(Key::Ed, "crv", Value::Null), "no `crv`"),
        (Key::Shared.jwk(), r#"the `kty` "oct""#),
        (json!("a key"), "not a JSON object"),
        (json!(null), "not a JSON object"),
    ] {
        let told = unfit(&jwk).unwrap_or_else(|| panic!("taken: {jwk}"));
        assert!(told.starts_with("keys[0] ") && told.contains(reason), "{jwk}: {told}");
    }
}

#[test]
fn a_number_with_zeros_before_it_is_the_same_number() {
    let n = [&[0][..], &decode(Key::Rsa.jwk()["n"].as_str().unwrap())].concat();
    // Some libraries write one (RFC 7518, section 6.3.1.1).
    let padded = json!({ "kty": "RSA", "kid": "RS256", "n": encode(n), "e": "AAEAAQ" });
    let keys = JwtKeys::Public { algorithms: ALL, set: JwkSet::Inline("") };
    for algorithm in ["RS256", "RS512", "PS256", "PS512"] {
        let token = Key::Rsa.sign_as(algorithm, &claims(NOON));
        assert!(
            verify(&token, &Jwt { keys, ..PUBLIC }, &set_of(std::slice::from_ref(&padded)), NOON).is_ok(),
            "{algorithm}"
        );
    }
}

#[test]
fn text_that_is_no_set_says_so() {
    for text in ["null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert_eq!(of_set(text).err(), Some(UnfitKeys::Set(UnfitSet::NotASet)), "{text}");
    }
    for text in ["", "{", "<html>", "\u{feff}{}"] {
        assert_eq!(of_set(text).err(), Some(UnfitKeys::Set(UnfitSet::NotJson)), "{text}");
    }
    assert_eq!(of_set(r#"{"keys":[]}"#).err(), Some(UnfitKeys::NoKey(Vec::new())));
    let long = format!(r#"{{"keys":[{}],"x":"{}"}}"#, Key::Ec.jwk(), "x".repeat(MOST_SET_BYTES));
    assert_eq!(of_set(&long).err(), Some(UnfitKeys::Set(UnfitSet::TooLong)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_a_key_is_made_of_there_is_an_answer(
        which in 0..3_usize,
        name in prop::sample::select(vec!["n", "e", "x", "y"]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let jwk = with(Key::PUBLIC[which], name, json!(encode(bytes)));
        if let Ok(keys) = of_set(&json!({ "keys": [jwk] }).to_string()) {
            let token = Key::PUBLIC[which].token(&claims(NOON));
            let _ = verify(&token, &PUBLIC, &keys, NOON);
        }
    }
}

/// How long a set is used.
const MAX_AGE: Span = Span::from_mins(10);

/// How long a fetch may take.
const PATIENCE: Span = Span::from_secs(2);

struct Issuer {
    cache: JwksCache,
    /// Keys that did not verify the token at hand.
    tried: Option<Rc<Keys>>,
    now: Timestamp,
}

impl Issuer {
    fn new() -> Self {
        Self { cache: JwksCache::new(Span::from_mins(10)), tried: None, now: NOON }
    }

    /// One whose set holds these keys since now.
    fn with(keys: &[Key]) -> Self {
        let mut issuer = Self::new();
        issuer.look_up(keys[0]);
        issuer.fetched(keys);
        issuer
    }

    fn wait(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self
    }

    fn look_up(&mut self, key: Key) -> &'static str {
        match self.cache.look_up(Some(key.algorithm()), self.tried.as_ref(), self.now) {
            Lookup::Use(_) => "use",
            Lookup::Fetch { .. } => {
                self.cache.fetches_until(self.now.plus(PATIENCE));
                "fetch"
            }
            Lookup::Wait => "wait",
            Lookup::Unknown => "unknown",
            Lookup::Unavailable { .. } => "unavailable",
        }
    }

    /// Whether what is used for a key verifies its tokens.
    fn verifies(&mut self, key: Key) -> bool {
        match self.cache.look_up(Some(key.algorithm()), self.tried.as_ref(), self.now) {
            Lookup::Use(keys) => verify(&key.token(&claims(NOON)), &PUBLIC, &keys, NOON).is_ok(),
            _ => false,
        }
    }

    fn fetched(&mut self, keys: &[Key]) {
        let jwks: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.cache.fetched(of_set(&json!({ "keys": jwks }).to_string()), self.now).unwrap();
    }

    fn failed(&mut self) {
        self.cache.failed("answered 500".to_owned(), self.now);
    }
}

#[test]
fn the_first_request_fetches_the_set_and_the_others_wait_for_it() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    assert_eq!(issuer.wait(Span::from_ms(100)).look_up(Key::Ec), "wait");
    assert_eq!(issuer.look_up(Key::Rsa), "wait");
    issuer.wait(Span::from_ms(100)).fetched(&[Key::Ec]);
    assert!(issuer.verifies(Key::Ec));
    assert_eq!(issuer.look_up(Key::Rsa), "unknown");
    assert_eq!(issuer.wait(MAX_AGE - MILLISECOND).look_up(Key::Ec), "use");
}

#[test]
fn a_fetch_that_nobody_brings_to_an_end_is_begun_anew() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    assert_eq!(issuer.wait(PATIENCE - MILLISECOND).look_up(Key::Ec), "wait");
    assert_eq!(issuer.wait(MILLISECOND).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.look_up(Key::Ec), "wait");
}

#[test]
fn without_a_set_a_failed_fetch_is_unavailable_and_tried_again_soon() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    issuer.failed();
    assert_eq!(issuer.look_up(Key::Ec), "unavailable");
    assert_eq!(issuer.wait(10 * SECOND - MILLISECOND).look_up(Key::Ec), "unavailable");
    assert_eq!(issuer.wait(MILLISECOND).look_up(Key::Ec), "fetch");
}

#[test]
fn an_old_set_is_fetched_anew_and_serves_meanwhile() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(MAX_AGE).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.look_up(Key::Ec), "use");
    assert_eq!(issuer.look_up(Key::Rsa), "wait");
    issuer.fetched(&[Key::Rsa]);
    assert_eq!(issuer.look_up(Key::Ec), "unknown", "the issuer withdrew it");
    assert_eq!(issuer.look_up(Key::Rsa), "use");
}

#[test]
fn an_old_set_serves_while_it_cannot_be_fetched_but_not_for_ever() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    issuer.wait(MAX_AGE);
    let mut fetches = 0;
    for _ in 0..HOUR / SECOND {
        if issuer.look_up(Key::Ec) == "fetch" {
            fetches += 1;
            issuer.failed();
        }
        assert_eq!(issuer.look_up(Key::Ec), "use");
        assert_eq!(issuer.look_up(Key::Rsa), "unavailable", "what the issuer would say is not known");
        issuer.wait(SECOND);
    }
    assert_eq!(fetches, HOUR / (10 * SECOND));
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    issuer.failed();
    assert_eq!(issuer.look_up(Key::Ec), "unavailable");
}

#[test]
fn a_new_key_of_the_issuer_is_found_before_the_set_is_old() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(MINUTE).look_up(Key::Ed), "fetch");
    issuer.fetched(&[Key::Ec, Key::Ed]);
    assert!(issuer.verifies(Key::Ed));
    assert!(issuer.verifies(Key::Ec));
}

#[test]
fn made_up_key_ids_cause_one_fetch_a_minute_at_most() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    let mut fetches = 0;
    for _ in 0..HOUR / SECOND {
        if issuer.look_up(Key::Rsa) == "fetch" {
            fetches += 1;
            issuer.fetched(&[Key::Ec]);
        }
        assert_eq!(issuer.look_up(Key::Rsa), "unknown");
        assert_eq!(issuer.look_up(Key::Ec), "use");
        issuer.wait(SECOND);
    }
    assert!((58..=60).contains(&fetches), "{fetches}");
}

#[test]
fn while_a_set_cannot_be_had_it_is_told_why_and_how_long_it_is_until_the_next_try() {
    let mut issuer = Issuer::new();
    let told = |issuer: &mut Issuer| match issuer.cache.look_up(None, None, issuer.now) {
        Lookup::Unavailable { reason, retry_after } => (reason, retry_after),
        _ => panic!("it is available"),
    };
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    issuer.failed();
    assert_eq!(told(&mut issuer), ("answered 500".to_owned(), 10 * SECOND));
    assert_eq!(told(issuer.wait(Span::from_ms(2_500))).1, Span::from_ms(7_500));
    assert_eq!(told(issuer.wait(Span::from_ms(7_499))).1, MILLISECOND);
    assert_eq!(issuer.wait(-HOUR).look_up(Key::Ec), "fetch", "after a clock that went back no pause is left");
    assert_eq!(issuer.wait(HOUR + MILLISECOND).look_up(Key::Ec), "fetch");
    issuer.cache.fetched(of_set("<html>"), issuer.now).unwrap_err();
    assert_eq!(told(&mut issuer), ("the text is not JSON".to_owned(), 10 * SECOND));
    issuer.wait(10 * SECOND).look_up(Key::Ec);
    issuer.cache.fetched(of_set(r#"{"keys":[{"kty":"oct"}]}"#), issuer.now).unwrap_err();
    let (reason, _) = told(&mut issuer);
    assert!(reason.contains(r#"no usable key: keys[0] has the `kty` "oct""#), "{reason}");
}

#[test]
fn a_token_that_the_known_keys_do_not_verify_has_the_set_fetched_once_a_minute_at_most() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    let Lookup::Use(keys) = issuer.cache.look_up(Some("ES256"), None, issuer.now) else { panic!() };
    issuer.tried = Some(keys);
    assert_eq!(issuer.wait(MINUTE - MILLISECOND).look_up(Key::Ec), "unknown");
    assert_eq!(issuer.wait(MILLISECOND).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.look_up(Key::Ec), "wait");
    issuer.fetched(&[Key::Ec]);
    assert_eq!(issuer.look_up(Key::Ec), "use", "these are new");
    let Lookup::Use(keys) = issuer.cache.look_up(Some("ES256"), None, issuer.now) else { panic!() };
    issuer.tried = Some(keys);
    assert_eq!(issuer.look_up(Key::Ec), "unknown");
}

#[test]
fn a_set_without_a_usable_key_does_not_take_the_place_of_one_that_has_some() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(MAX_AGE).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.cache.fetched(of_set(r#"{"keys":[]}"#), issuer.now), Err(UnfitKeys::NoKey(Vec::new())));
    assert_eq!(issuer.look_up(Key::Ec), "use");
    assert_eq!(issuer.look_up(Key::Rsa), "unavailable");
}

#[test]
fn after_a_clock_that_goes_back_nothing_is_taken_for_young() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(-HOUR).look_up(Key::Ec), "fetch");
    issuer.fetched(&[Key::Ec]);
    assert_eq!(issuer.look_up(Key::Ec), "use");
    assert_eq!(issuer.look_up(Key::Rsa), "unknown");
}
