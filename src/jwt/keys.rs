//! Keys that verify: a shared secret, or the public keys of a JWK Set (RFC 7517). The type of a key
//! is its algorithm.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::{PublicAlgorithm, SecretForm};
use rsa::{BoxedUint, RsaPublicKey, pkcs1v15, signature::Verifier};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::Error;
use crate::secret::Secret;

/// Most bytes of a JWK Set's text.
pub const MOST_SET_BYTES: usize = 64 * 1024;

/// Fewest bytes of an HS256 secret (RFC 7518, section 3.2).
const FEWEST_SECRET_BYTES: usize = 32;

/// Bits of an RSA key: fewer are forbidden by RFC 7518 (section 3.3), more cost too much time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// What tokens are verified with.
pub struct Keys(Kind);

enum Kind {
    Shared(Hmac<Sha256>),
    Set(Vec<Member>),
}

/// A usable key of a set.
struct Member {
    id: Option<String>,
    key: PublicKey,
}

enum PublicKey {
    Rs256(Box<pkcs1v15::VerifyingKey<Sha256>>),
    Es256(Box<p256::ecdsa::VerifyingKey>),
    EdDsa(Box<ed25519_dalek::VerifyingKey>),
}

/// An algorithm that there is here. There is no `none`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Public(PublicAlgorithm),
}

impl Algorithm {
    /// By its name in `alg` (RFC 7518, section 3.1; RFC 8037; RFC 9864).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Public(PublicAlgorithm::Rs256)),
            "ES256" => Some(Self::Public(PublicAlgorithm::Es256)),
            "EdDSA" | "Ed25519" => Some(Self::Public(PublicAlgorithm::EdDsa)),
            _ => None,
        }
    }
}

/// Why text cannot verify tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfitKeys {
    /// A secret that is not written as the policy says, or a key of fewer than 32 bytes.
    Secret,
    /// A set of more than [`MOST_SET_BYTES`].
    TooLong,
    /// Not a JWK Set.
    Malformed,
    /// A set without any key that fits one of the algorithms.
    NoKey,
}

impl fmt::Display for UnfitKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret => write!(f, "an HS256 secret needs at least {FEWEST_SECRET_BYTES} bytes"),
            Self::TooLong => write!(f, "the JWK Set has more than {MOST_SET_BYTES} bytes"),
            Self::Malformed => f.write_str("this is not a JWK Set, a JSON object with a list `keys`"),
            Self::NoKey => f.write_str("the JWK Set has no signing key for RS256, ES256 or EdDSA"),
        }
    }
}

impl std::error::Error for UnfitKeys {}

impl Keys {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// [`UnfitKeys::Secret`]
    pub fn shared(secret: &Secret, form: SecretForm) -> Result<Self, UnfitKeys> {
        let key = secret.key(form).filter(|key| key.len() >= FEWEST_SECRET_BYTES);
        let mac = key.and_then(|key| Hmac::new_from_slice(&key).ok());
        mac.map(|mac| Self(Kind::Shared(mac))).ok_or(UnfitKeys::Secret)
    }

    /// The keys of a set's JSON text. One that is not for signatures, or of a kind that is not known
    /// here, is as if it were not there (RFC 7517, section 5).
    ///
    /// # Errors
    /// All but [`UnfitKeys::Secret`].
    pub fn of_set(json: &str) -> Result<Self, UnfitKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }

        if json.len() > MOST_SET_BYTES {
            return Err(UnfitKeys::TooLong);
        }
        let set: Set = serde_json::from_str(json).map_err(|_| UnfitKeys::Malformed)?;
        let members: Vec<_> = set.keys.into_iter().filter_map(Member::of).collect();
        if members.is_empty() { Err(UnfitKeys::NoKey) } else { Ok(Self(Kind::Set(members))) }
    }

    /// Whether a token of this key id can be looked at: one without an id always.
    pub(super) fn know(&self, id: Option<&str>) -> bool {
        match &self.0 {
            Kind::Shared(_) => true,
            Kind::Set(members) => id.is_none() || members.iter().any(|member| member.id.as_deref() == id),
        }
    }

    /// Whether the signature is of this text, by the key of this id, with this algorithm.
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
            (Kind::Set(members), Algorithm::Public(algorithm)) => {
                pick(members, id, algorithm)?.verify(text, signature)
            }
            (Kind::Shared(_), Algorithm::Public(_)) | (Kind::Set(_), Algorithm::Hs256) => {
                return Err(Error::WrongAlgorithm);
            }
        };
        if right { Ok(()) } else { Err(Error::BadSignature) }
    }
}

/// The one key that fits.
fn pick<'a>(
    members: &'a [Member],
    id: Option<&str>,
    algorithm: PublicAlgorithm,
) -> Result<&'a PublicKey, Error> {
    let named = || members.iter().filter(|member| id.is_none() || member.id.as_deref() == id);
    let mut fitting = named().map(|member| &member.key).filter(|key| key.algorithm() == algorithm);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        // Which of several is meant cannot be told; trying each would let a token choose.
        (Some(_), Some(_)) => Err(Error::UnknownKey),
        (None, _) if named().next().is_some() => Err(Error::WrongAlgorithm),
        (None, _) => Err(Error::UnknownKey),
    }
}

impl PublicKey {
    fn algorithm(&self) -> PublicAlgorithm {
        match self {
            Self::Rs256(_) => PublicAlgorithm::Rs256,
            Self::Es256(_) => PublicAlgorithm::Es256,
            Self::EdDsa(_) => PublicAlgorithm::EdDsa,
        }
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
        }
    }
}

/// The parameters of a JWK (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Member {
    /// `None` for a key that cannot verify a token here.
    fn of(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let key = jwk.key()?;
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|usage| usage == "verify"))
            && jwk
                .alg
                .as_deref()
                .is_none_or(|alg| Algorithm::named(alg) == Some(Algorithm::Public(key.algorithm())));
        for_signatures.then_some(Self { id: jwk.kid, key })
    }
}

impl Jwk {
    fn key(&self) -> Option<PublicKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let [n, e] = [&self.n, &self.e].map(|number| decode(number).as_deref().map(number_of));
                let key = RsaPublicKey::new_with_size_limits(n?, e?, RSA_BITS).ok()?;
                Some(PublicKey::Rs256(Box::new(pkcs1v15::VerifyingKey::new(key))))
            }
            ("EC", Some("P-256")) => {
                // An uncompressed point (SEC 1, section 2.3.3), whose coordinates have 32 bytes each.
                let [x, y]: [Option<[u8; 32]>; 2] =
                    [&self.x, &self.y].map(|number| decode(number)?.try_into().ok());
                let point = [&[4], x?.as_slice(), y?.as_slice()].concat();
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
                Some(PublicKey::Es256(Box::new(key)))
            }
            ("OKP", Some("Ed25519")) => {
                let x: [u8; 32] = decode(&self.x)?.try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&x).ok()?;
                Some(PublicKey::EdDsa(Box::new(key)))
            }
            _ => None,
        }
    }
}

fn number_of(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(bytes)
}

fn decode(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()
}
