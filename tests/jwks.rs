//! JWK Sets: which keys are taken from one, and when one is fetched.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use keyward::{
    jwt::{Error, FETCH_PATIENCE, JwksCache, Keys, Lookup, MOST_SET_BYTES, UnfitKeys},
    time::{HOUR, MINUTE, SECOND, Timestamp},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{
    NOON,
    jose::{Key, PUBLIC, claims, encode, set_of, verify},
};

/// What is wrong with a set of nothing but this key.
fn unfit(jwk: &Value) -> Option<UnfitKeys> {
    Keys::of_set(&json!({ "keys": [jwk] }).to_string()).err()
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
        json!({ "kty": "EC", "crv": "P-521", "kid": "a", "x": "AA", "y": "AA" }),
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
            let expected = (!fits).then_some(UnfitKeys::NoKey);
            assert_eq!(unfit(&with(key, name, value.clone())), expected, "{key:?}, {name}: {value}");
        }
    }
}

#[test]
fn a_key_whose_numbers_are_not_a_key_is_not_taken() {
    let odd = |bytes: usize| encode(vec![0xff; bytes]);
    for jwk in [
        with(Key::Rsa, "n", Value::Null),
        with(Key::Rsa, "n", json!("")),
        with(Key::Rsa, "n", json!(odd(128))),
        with(Key::Rsa, "n", json!(odd(255))),
        with(Key::Rsa, "n", json!(odd(513))),
        with(Key::Rsa, "n", json!(odd(4_000))),
        with(Key::Rsa, "n", json!(encode([vec![0; 128], vec![0xff; 128]].concat()))),
        with(Key::Rsa, "n", json!(encode([vec![0xff; 255], vec![0]].concat()))),
        with(Key::Rsa, "n", json!("not base64url!")),
        with(Key::Rsa, "e", Value::Null),
        with(Key::Rsa, "e", json!("")),
        with(Key::Rsa, "e", json!("AA")),
        with(Key::Rsa, "e", json!("AQ")),
        with(Key::Rsa, "e", json!(encode([4]))),
        with(Key::Rsa, "e", json!(odd(16))),
        with(Key::Ec, "x", Value::Null),
        with(Key::Ec, "x", json!("")),
        with(Key::Ec, "x", json!(odd(32))),
        with(Key::Ec, "x", json!(odd(33))),
        with(Key::Ec, "crv", json!("P-384")),
        with(Key::Ec, "y", Key::Ec.jwk()["x"].clone()),
        with(Key::Ed, "x", json!(odd(31))),
        with(Key::Ed, "x", json!("")),
        with(Key::Ed, "crv", json!("Ed448")),
        with(Key::Ed, "crv", Value::Null),
    ] {
        assert_eq!(unfit(&jwk), Some(UnfitKeys::NoKey), "{jwk}");
    }
}

#[test]
fn a_key_of_small_order_verifies_nothing() {
    let identity = with(Key::Ed, "x", json!(encode([&[1][..], &[0; 31]].concat())));
    let set = set_of(&[identity]);
    let header = encode(json!({ "alg": "EdDSA", "kid": "EdDSA" }).to_string());
    let signature = encode([&[1][..], &[0; 63]].concat());
    let token = format!("{header}.{}.{signature}", encode(claims(NOON).to_string()));
    assert_eq!(verify(&token, &PUBLIC, &set, NOON), Err(Error::BadSignature));
}

#[test]
fn text_that_is_no_set_says_so() {
    for text in ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "{", "<html>"] {
        assert_eq!(Keys::of_set(text).err(), Some(UnfitKeys::Malformed), "{text}");
    }
    assert_eq!(Keys::of_set(r#"{"keys":[]}"#).err(), Some(UnfitKeys::NoKey));
    let long = format!(r#"{{"keys":[{}],"x":"{}"}}"#, Key::Ec.jwk(), "x".repeat(MOST_SET_BYTES));
    assert_eq!(Keys::of_set(&long).err(), Some(UnfitKeys::TooLong));
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
        if let Ok(keys) = Keys::of_set(&json!({ "keys": [jwk] }).to_string()) {
            let token = Key::PUBLIC[which].token(&claims(NOON));
            let _ = verify(&token, &PUBLIC, &keys, NOON);
        }
    }
}

/// How long a set is used.
const MAX_AGE: i64 = 10 * MINUTE;

struct Issuer {
    cache: JwksCache,
    now: Timestamp,
}

impl Issuer {
    fn new() -> Self {
        Self { cache: JwksCache::new(600), now: NOON }
    }

    /// One whose set holds these keys since now.
    fn with(keys: &[Key]) -> Self {
        let mut issuer = Self::new();
        issuer.look_up(keys[0]);
        issuer.fetched(keys);
        issuer
    }

    fn wait(&mut self, milliseconds: i64) -> &mut Self {
        self.now = self.now.plus(milliseconds);
        self
    }

    fn look_up(&mut self, key: Key) -> &'static str {
        match self.cache.look_up(Some(key.algorithm()), self.now) {
            Lookup::Use(_) => "use",
            Lookup::Fetch => "fetch",
            Lookup::Wait => "wait",
            Lookup::Unknown => "unknown",
            Lookup::Unavailable => "unavailable",
        }
    }

    /// Whether what is used for a key verifies its tokens.
    fn verifies(&mut self, key: Key) -> bool {
        match self.cache.look_up(Some(key.algorithm()), self.now) {
            Lookup::Use(keys) => verify(&key.token(&claims(NOON)), &PUBLIC, &keys, NOON).is_ok(),
            _ => false,
        }
    }

    fn fetched(&mut self, keys: &[Key]) {
        let jwks: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.cache.fetched(&json!({ "keys": jwks }).to_string(), self.now).unwrap();
    }

    fn failed(&mut self) {
        self.cache.failed(self.now);
    }
}

#[test]
fn the_first_request_fetches_the_set_and_the_others_wait_for_it() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    assert_eq!(issuer.wait(100).look_up(Key::Ec), "wait");
    assert_eq!(issuer.look_up(Key::Rsa), "wait");
    issuer.wait(100).fetched(&[Key::Ec]);
    assert!(issuer.verifies(Key::Ec));
    assert_eq!(issuer.look_up(Key::Rsa), "unknown");
    assert_eq!(issuer.wait(MAX_AGE - 1).look_up(Key::Ec), "use");
}

#[test]
fn a_fetch_that_nobody_brings_to_an_end_is_begun_anew() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    assert_eq!(issuer.wait(FETCH_PATIENCE - 1).look_up(Key::Ec), "wait");
    assert_eq!(issuer.wait(1).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.look_up(Key::Ec), "wait");
}

#[test]
fn without_a_set_a_failed_fetch_is_unavailable_and_tried_again_soon() {
    let mut issuer = Issuer::new();
    assert_eq!(issuer.look_up(Key::Ec), "fetch");
    issuer.failed();
    assert_eq!(issuer.look_up(Key::Ec), "unavailable");
    assert_eq!(issuer.wait(10 * SECOND - 1).look_up(Key::Ec), "unavailable");
    assert_eq!(issuer.wait(1).look_up(Key::Ec), "fetch");
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
fn a_set_without_a_usable_key_does_not_take_the_place_of_one_that_has_some() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(MAX_AGE).look_up(Key::Ec), "fetch");
    assert_eq!(issuer.cache.fetched(r#"{"keys":[]}"#, issuer.now), Err(UnfitKeys::NoKey));
    assert_eq!(issuer.look_up(Key::Ec), "use");
    assert_eq!(issuer.look_up(Key::Rsa), "unavailable");
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let mut issuer = Issuer::with(&[Key::Ec]);
    assert_eq!(issuer.wait(-HOUR).look_up(Key::Ec), "use");
    assert_eq!(issuer.look_up(Key::Rsa), "unknown");
}
