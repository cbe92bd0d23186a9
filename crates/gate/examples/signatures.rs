//! What the platform is asked to verify, and what it has to answer: for `tests/e2e/signatures.test.mjs`. Lines of JSON: a
//! key, and whether it is one; or with a signature, and whether it is right. What is refused before the platform is asked is
//! not among them.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "it prints what tests are made of"
)]

use keyward_policy::jwk::{PublicKey, Signed, software};
use keyward_testing::{
    jose::{ALL, Key, encode},
    wycheproof::{self, Vector},
};
use serde_json::{Value, json};

fn main() {
    for jwk in wycheproof::points_of_other_curves().into_iter().chain(keys()) {
        if let Ok(key) = PublicKey::parse(&jwk, ALL) {
            let algorithm = key.trial().algorithm.name();
            println!(
                "{}",
                json!({ "jwk": key.to_jwk(), "algorithm": algorithm, "isKey": software::check(&key).is_ok() })
            );
        }
    }
    let vectors = [
        wycheproof::ecdsa(),
        wycheproof::other_ecdsa(),
        wycheproof::ed25519(),
        wycheproof::rsa(),
        wycheproof::other_rsa(),
    ];
    for Vector { name, jwk, algorithm, text, signature, .. } in vectors.into_iter().flatten() {
        let key = PublicKey::parse(&jwk, &[algorithm]).unwrap();
        if !key.fits(&signature) {
            continue;
        }
        let right =
            software::verify(Signed { key: &key, algorithm, text: &text, signature: &signature }).unwrap();
        println!(
            "{}",
            json!({
                "name": name, "jwk": key.to_jwk(), "algorithm": algorithm.name(),
                "text": encode(text), "signature": encode(signature), "right": right,
            })
        );
    }
}

/// RSA keys of every size and exponent that there may be, and points that are on their curve or not.
fn keys() -> Vec<Value> {
    let mut keys = Key::PUBLIC.map(Key::jwk).to_vec();
    for bits in [2048, 2049, 3072, 4096, 8191, 8192_usize] {
        for exponent in [&[3][..], &[17], &[37], &[1, 0, 1], &[0, 1, 0, 1], &[5], &[1, 0, 3]] {
            let mut number = vec![0xff; bits.div_ceil(8)];
            number[0] >>= (8 - bits % 8) % 8;
            keys.push(json!({ "kty": "RSA", "n": encode(number), "e": encode(exponent) }));
        }
    }
    for (curve, bytes) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
        for [x, y] in [[0, 0], [0, 1], [0xff, 0xff], [1, 0xff]] {
            let number = |byte| encode(vec![byte; bytes]);
            keys.push(json!({ "kty": "EC", "crv": curve, "x": number(x), "y": number(y) }));
        }
    }
    keys
}
