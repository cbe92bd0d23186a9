//! The signature algorithms in Rust: what `keyward check` tries keys with, and what native tests verify with. The Worker
//! has the platform do it, which `tests/e2e/signatures.test.mjs` holds to the same vectors as this.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rsa::{
    BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey,
    signature::{Signer, Verifier},
    traits::SignatureScheme,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{Material, PublicKey, RSA_BITS, Signed, UnfitKey};
use crate::model::PublicAlgorithm as A;

/// Whether the signature is right.
///
/// # Errors
/// If the key is none.
pub fn verify(Signed { key, algorithm, text, signature }: Signed<'_>) -> Result<bool, UnfitKey> {
    let refused = |error: &dyn std::fmt::Display| UnfitKey::refused(key, &error.to_string());
    match (&key.material, algorithm) {
        (Material::Rsa { n, e }, _) => {
            let [n, e] = [n, *e].map(BoxedUint::from_be_slice_vartime);
            let key = RsaPublicKey::new_with_size_limits(n, e, RSA_BITS).map_err(|error| refused(&error))?;
            Ok(match algorithm {
                A::Rs256 => rsa::<Sha256>(&key, Pkcs1v15Sign::new::<Sha256>(), text, signature),
                A::Rs384 => rsa::<Sha384>(&key, Pkcs1v15Sign::new::<Sha384>(), text, signature),
                A::Rs512 => rsa::<Sha512>(&key, Pkcs1v15Sign::new::<Sha512>(), text, signature),
                A::Ps256 => rsa::<Sha256>(&key, Pss::<Sha256>::new(), text, signature),
                A::Ps384 => rsa::<Sha384>(&key, Pss::<Sha384>::new(), text, signature),
                A::Ps512 => rsa::<Sha512>(&key, Pss::<Sha512>::new(), text, signature),
                A::Es256 | A::Es384 | A::Es512 | A::EdDsa => false,
            })
        }
        (Material::P256 { x, y }, _) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y));
            let key = key.map_err(|error| refused(&error))?;
            let signature = p256::ecdsa::Signature::from_slice(signature);
            Ok(algorithm == A::Es256 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()))
        }
        (Material::P384 { x, y }, _) => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y));
            let key = key.map_err(|error| refused(&error))?;
            let signature = p384::ecdsa::Signature::from_slice(signature);
            Ok(algorithm == A::Es384 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()))
        }
        (Material::P521 { x, y }, _) => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed(x, y));
            let key = key.map_err(|error| refused(&error))?;
            let signature = p521::ecdsa::Signature::from_slice(signature);
            Ok(algorithm == A::Es512 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()))
        }
        (Material::Ed25519 { x }, _) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(x).map_err(|error| refused(&error))?;
            let signature = ed25519_dalek::Signature::from_slice(signature);
            Ok(algorithm == A::EdDsa && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()))
        }
    }
}

/// Whether it is a key at all.
///
/// # Errors
/// If not.
pub fn check(key: &PublicKey) -> Result<(), UnfitKey> {
    verify(key.trial()).map(|_| ())
}

/// The public key of an Ed25519 seed, as a JWK has it.
pub fn ed25519_public_key(seed: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes())
}

/// Signs with an Ed25519 seed.
pub fn ed25519_sign(seed: &[u8; 32], text: &[u8]) -> [u8; 64] {
    ed25519_dalek::SigningKey::from_bytes(seed).sign(text).to_bytes()
}

fn rsa<D: Digest>(key: &RsaPublicKey, scheme: impl SignatureScheme, text: &[u8], signature: &[u8]) -> bool {
    key.verify(scheme, &D::digest(text), signature).is_ok()
}

/// A point (SEC 1, section 2.3.3).
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}
