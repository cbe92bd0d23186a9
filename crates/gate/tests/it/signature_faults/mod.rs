//! Signatures that are wrong in their numbers, their padding or their encoding, each made here with the right key:
//! what a verifier takes that does not look closely. Project Wycheproof's are in `wycheproof.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod with_curves;
mod with_rsa;

use curve25519_dalek::Scalar;
use keyward_gate::jwt::{Error, Keys};
use keyward_policy::{
    JwkSet, Jwt, JwtKeys, PublicAlgorithm,
    jwk::{PublicKey, Signed, software},
};
use keyward_testing::{
    NOON,
    jose::{self, Key, PUBLIC, claims, decode, encode, rsa_signature, set_of, verify, with},
};
use p384::ecdsa::signature::Signer;
use rsa::BoxedUint;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Takes every algorithm with a public key.
const ANY: Jwt = Jwt { keys: JwtKeys::Public { algorithms: jose::ALL, set: JwkSet::Inline("") }, ..PUBLIC };

fn p384_key() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap()
}

fn p521_key() -> p521::ecdsa::SigningKey {
    p521::ecdsa::SigningKey::from_slice(&[&[0][..], &[7; 65]].concat()).unwrap()
}

fn keys() -> Keys {
    let point = p384_key().verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(48);
    let p384 = json!({ "kty": "EC", "kid": "ES384", "crv": "P-384", "x": encode(x), "y": encode(y) });
    let point = p521_key().verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(66);
    let p521 = json!({ "kty": "EC", "kid": "ES512", "crv": "P-521", "x": encode(x), "y": encode(y) });
    set_of(&[Key::Rsa.jwk(), Key::Ec.jwk(), Key::Ed.jwk(), p384, p521])
}

/// The text of a token of an algorithm that a signature is of.
fn text(algorithm: &str, claims: &Value) -> String {
    format!("{}.{}", encode(json!({ "alg": algorithm }).to_string()), encode(claims.to_string()))
}

/// Whether a token with this signature passes.
fn passes(keys: &Keys, text: &str, signature: &[u8]) -> bool {
    match verify(&format!("{text}.{}", encode(signature)), &ANY, keys, NOON) {
        Ok(_) => true,
        Err(Error::BadSignature) => false,
        Err(error) => panic!("{error}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A big-endian number with room for more.
fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(&[&[0; 8], bytes].concat())
}

/// A number's last bytes, as many as these.
fn bytes(number: &BoxedUint, length: usize) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let all = [vec![0; length], bytes.to_vec()].concat();
    all[all.len() - length..].to_vec()
}

fn plus(a: &[u8], b: &[u8], length: usize) -> Vec<u8> {
    bytes(&number(a).wrapping_add(number(b)), length)
}

fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    bytes(&number(a).wrapping_sub(number(b)), a.len())
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}
