//! What tokens are verified with: a shared secret, or the public keys of a JWK Set (RFC 7517), which
//! [`keyward_policy::jwk`] reads. With a public key the platform verifies ([`Platform::verify`](crate::platform::Platform::verify)):
//! here it is a function, `check`.

use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::{
    PublicAlgorithm, SecretForm,
    jwk::{self, PublicKey, Signed, UnfitKey, UnfitSet},
};
use sha2::Sha256;
use thiserror::Error as ThisError;

use super::error::Error;
use keyward_core::secret::Secret;

/// Fewest bytes of an HS256 secret (RFC 7518, section 3.2).
const FEWEST_SECRET_BYTES: usize = 32;

/// Most keys that are tried for one token.
const MOST_TRIED: usize = 4;

/// Of how many keys it is told why they cannot be used.
const MOST_REASONS: usize = 4;

/// What tokens are verified with.
pub struct Keys(Kind);

enum Kind {
    Shared(Hmac<Sha256>),
    Set(Vec<PublicKey>),
}

/// An algorithm that there is here. There is no `none`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Public(PublicAlgorithm),
}

impl Algorithm {
    /// By its name in `alg`.
    pub fn named(name: &str) -> Option<Self> {
        if name == "HS256" { Some(Self::Hs256) } else { PublicAlgorithm::named(name).map(Self::Public) }
    }
}

/// Why text cannot verify tokens.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum UnfitKeys {
    /// A secret that is not written as the policy says.
    #[error("the secret is not written in the form that the policy gives it")]
    SecretForm,
    /// A secret whose key has fewer than 32 bytes.
    #[error("an HS256 secret needs at least {FEWEST_SECRET_BYTES} bytes")]
    ShortSecret,
    /// No JWK Set.
    #[error("the text {0}")]
    Set(UnfitSet),
    /// A set without any key that verifies with one of the realm's algorithms; why each of the first few does not.
    #[error("{}", no_key(.0))]
    NoKey(Vec<String>),
}

fn no_key(reasons: &[String]) -> String {
    if reasons.is_empty() {
        "the JWK Set has no keys".to_owned()
    } else {
        format!("the JWK Set has no usable key: {}", reasons.join("; "))
    }
}

impl Keys {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// [`UnfitKeys::SecretForm`], [`UnfitKeys::ShortSecret`].
    pub fn shared(secret: &Secret, form: SecretForm) -> Result<Self, UnfitKeys> {
        let key = secret.key(form).ok_or(UnfitKeys::SecretForm)?;
        if key.len() < FEWEST_SECRET_BYTES {
            return Err(UnfitKeys::ShortSecret);
        }
        Hmac::new_from_slice(&key).map(|mac| Self(Kind::Shared(mac))).map_err(|_| UnfitKeys::SecretForm)
    }

    /// The keys of a set's JSON text. One that verifies with none of these algorithms, or is of a kind that is
    /// not known here, is as if it were not there (RFC 7517, section 5).
    ///
    /// # Errors
    /// [`UnfitKeys::Set`], [`UnfitKeys::NoKey`].
    pub async fn of_set(
        json: &str,
        algorithms: &[PublicAlgorithm],
        check: impl AsyncFn(Signed<'_>) -> Result<bool, UnfitKey>,
    ) -> Result<Self, UnfitKeys> {
        let mut keys = Vec::new();
        let mut reasons = Vec::new();
        for (at, key) in jwk::parse_set(json, algorithms).map_err(UnfitKeys::Set)?.into_iter().enumerate() {
            let tried = match key {
                Ok(key) => check(key.trial()).await.map(|_| key),
                Err(reason) => Err(reason),
            };
            match tried {
                Ok(key) => keys.push(key),
                Err(reason) if reasons.len() < MOST_REASONS => reasons.push(format!("keys[{at}] {reason}")),
                Err(_) => {}
            }
        }
        if keys.is_empty() { Err(UnfitKeys::NoKey(reasons)) } else { Ok(Self(Kind::Set(keys))) }
    }

    /// Whether a token of this key id can be looked at.
    pub(super) fn know(&self, id: Option<&str>) -> bool {
        match &self.0 {
            Kind::Shared(_) => true,
            Kind::Set(keys) => keys.iter().any(|key| may_be(key, id)),
        }
    }

    /// Whether the signature is of this text, by a key that may have this id, with this algorithm.
    pub(super) async fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        text: &[u8],
        signature: &[u8],
        check: impl AsyncFn(Signed<'_>) -> Result<bool, UnfitKey>,
    ) -> Result<(), Error> {
        let right = match (&self.0, algorithm) {
            // One secret, so the id tells nothing.
            (Kind::Shared(mac), Algorithm::Hs256) => {
                mac.clone().chain_update(text).verify_slice(signature).is_ok()
            }
            (Kind::Set(keys), Algorithm::Public(algorithm)) => {
                for key in fitting(keys, id, algorithm)? {
                    let signed = Signed { key, algorithm, text, signature };
                    if key.fits(signature) && check(signed).await.unwrap_or(false) {
                        return Ok(());
                    }
                }
                false
            }
            (Kind::Shared(_), Algorithm::Public(_)) | (Kind::Set(_), Algorithm::Hs256) => {
                return Err(Error::WrongAlgorithm);
            }
        };
        if right { Ok(()) } else { Err(Error::BadSignature) }
    }
}

/// Whether this may be the key that a token names. Neither has to have an id (RFC 7515, section 4.1.4; RFC
/// 7517, section 4.5).
fn may_be(key: &PublicKey, id: Option<&str>) -> bool {
    id.is_none() || key.id.is_none() || key.id.as_deref() == id
}

/// The keys that may have signed: all of the issuer's, so trying them (RFC 7515, appendix D) lets nobody
/// else in; few, since each try costs time.
fn fitting<'a>(
    keys: &'a [PublicKey],
    id: Option<&str>,
    algorithm: PublicAlgorithm,
) -> Result<Vec<&'a PublicKey>, Error> {
    let named: Vec<_> = keys.iter().filter(|key| may_be(key, id)).collect();
    let fitting: Vec<_> = named.iter().copied().filter(|key| key.takes(algorithm)).collect();
    match fitting.len() {
        0 if named.is_empty() => Err(Error::UnknownKey),
        0 => Err(Error::WrongAlgorithm),
        1..=MOST_TRIED => Ok(fitting),
        _ => Err(Error::UnknownKey),
    }
}
