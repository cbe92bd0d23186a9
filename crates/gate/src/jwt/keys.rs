//! What tokens are verified with: a shared secret, or the public keys of a JWK Set (RFC 7517), which
//! [`keyward_policy::jwk`] reads.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::{
    PublicAlgorithm, SecretForm,
    jwk::{self, UnfitSet, VerifyingKey},
};
use sha2::Sha256;

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
    Set(Vec<VerifyingKey>),
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnfitKeys {
    /// A secret that is not written as the policy says.
    SecretForm,
    /// A secret whose key has fewer than 32 bytes.
    ShortSecret,
    /// No JWK Set.
    Set(UnfitSet),
    /// A set without any key that verifies with one of the realm's algorithms; why each of the first few does not.
    NoKey(Vec<String>),
}

impl fmt::Display for UnfitKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretForm => f.write_str("the secret is not written in the form that the policy gives it"),
            Self::ShortSecret => write!(f, "an HS256 secret needs at least {FEWEST_SECRET_BYTES} bytes"),
            Self::Set(error) => write!(f, "the text {error}"),
            Self::NoKey(reasons) if reasons.is_empty() => f.write_str("the JWK Set has no keys"),
            Self::NoKey(reasons) => write!(f, "the JWK Set has no usable key: {}", reasons.join("; ")),
        }
    }
}

impl std::error::Error for UnfitKeys {}

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
    pub fn of_set(json: &str, algorithms: &[PublicAlgorithm]) -> Result<Self, UnfitKeys> {
        let mut keys = Vec::new();
        let mut reasons = Vec::new();
        for (at, key) in jwk::parse_set(json, algorithms).map_err(UnfitKeys::Set)?.into_iter().enumerate() {
            match key {
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
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        text: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let right = match (&self.0, algorithm) {
            // One secret, so the id tells nothing.
            (Kind::Shared(mac), Algorithm::Hs256) => {
                mac.clone().chain_update(text).verify_slice(signature).is_ok()
            }
            (Kind::Set(keys), Algorithm::Public(algorithm)) => {
                fitting(keys, id, algorithm)?.iter().any(|key| key.verify(algorithm, text, signature))
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
fn may_be(key: &VerifyingKey, id: Option<&str>) -> bool {
    id.is_none() || key.id.is_none() || key.id.as_deref() == id
}

/// The keys that may have signed: all of the issuer's, so trying them (RFC 7515, appendix D) lets nobody
/// else in; few, since each try costs time.
fn fitting<'a>(
    keys: &'a [VerifyingKey],
    id: Option<&str>,
    algorithm: PublicAlgorithm,
) -> Result<Vec<&'a VerifyingKey>, Error> {
    let named: Vec<_> = keys.iter().filter(|key| may_be(key, id)).collect();
    let fitting: Vec<_> = named.iter().copied().filter(|key| key.takes(algorithm)).collect();
    match fitting.len() {
        0 if named.is_empty() => Err(Error::UnknownKey),
        0 => Err(Error::WrongAlgorithm),
        1..=MOST_TRIED => Ok(fitting),
        _ => Err(Error::UnknownKey),
    }
}
