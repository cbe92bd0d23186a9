//! Project Wycheproof's vectors for the signatures under a token: each with the outcome that is written there; and what
//! is right by another scheme or on another curve is refused. The faults of tokens and keys themselves are in
//! `jws_faults.rs`, `signature_faults` and `jwk_faults.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use keyward_policy::{
    PublicAlgorithm,
    jwk::{PublicKey, Signed, software},
};
use keyward_testing::wycheproof::{self, Vector};

/// Verifies each signature.
fn check(vectors: &[Vector]) {
    for Vector { name, jwk, algorithm, text, signature, right } in vectors {
        let key = PublicKey::parse(jwk, &[*algorithm]).unwrap_or_else(|error| panic!("{jwk} {error}"));
        let signed = Signed { key: &key, algorithm: *algorithm, text, signature };
        assert_eq!(key.fits(signature) && software::verify(signed).unwrap(), *right, "{name}");
    }
}

#[test]
fn ecdsa_signatures_are_taken_as_rfc_7518_writes_them() {
    check(&wycheproof::ecdsa());
}

#[test]
fn ecdsa_signatures_in_der_or_of_another_hash_are_refused() {
    check(&wycheproof::other_ecdsa());
}

#[test]
fn a_point_of_another_curve_is_no_key() {
    for jwk in wycheproof::points_of_other_curves() {
        let key = PublicKey::parse(&jwk, &[PublicAlgorithm::Es256, PublicAlgorithm::Es384]).unwrap();
        let told = software::check(&key).err().unwrap_or_else(|| panic!("taken: {jwk}")).to_string();
        assert_eq!(told, "is not a point of its curve", "{jwk}");
    }
}

#[test]
fn ed25519_signatures_are_taken_as_rfc_8032_writes_them() {
    check(&wycheproof::ed25519());
}

#[test]
fn rsa_signatures_are_taken_as_rfc_8017_writes_them() {
    check(&wycheproof::rsa());
}

#[test]
fn rsa_signatures_of_another_hash_salt_or_padding_are_refused() {
    check(&wycheproof::other_rsa());
}
