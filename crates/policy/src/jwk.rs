//! Keys that verify tokens: what of a JWK Set (RFC 7517) can be used, and with which algorithms (RFC 7518,
//! RFC 8037). The build tries every key of a policy with this code, and the Worker verifies with it, so
//! that no key passes the one and fails the other.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey, signature::Verifier};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::model::PublicAlgorithm;

/// Most bytes of a JWK Set's text.
pub const MOST_SET_BYTES: usize = 64 * 1024;

/// Bits of an RSA key: fewer are forbidden by RFC 7518 (section 3.3), more cost too much time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Most bytes of a reason for which a key cannot be used, before it is cut.
const LONGEST_REASON: usize = 200;

/// A public key that can verify.
pub struct VerifyingKey {
    /// Its `kid`, if it has one.
    pub id: Option<String>,
    algorithms: Vec<PublicAlgorithm>,
    material: Material,
}

enum Material {
    Rsa(Box<RsaPublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

/// Why a JWK can verify nothing here: the rest of a sentence that begins with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitKey(String);

impl UnfitKey {
    /// Bounded, since it may repeat what the key says: it goes into a line of a log.
    fn new(mut reason: String) -> Self {
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
            reason.push('…');
        }
        Self(reason)
    }
}

impl fmt::Display for UnfitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why text is no JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfitSet {
    /// More than [`MOST_SET_BYTES`].
    TooLong,
    /// Not JSON.
    NotJson,
    /// Not an object with a list `keys`.
    NotASet,
}

impl fmt::Display for UnfitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "has more than {MOST_SET_BYTES} bytes"),
            Self::NotJson => f.write_str("is not JSON"),
            Self::NotASet => f.write_str("is not a JWK Set"),
        }
    }
}

/// The keys of a set's JSON text, each as one that verifies with some of these algorithms, or why it cannot.
///
/// # Errors
/// If it is not a set at all.
pub fn parse_set(
    json: &str,
    algorithms: &[PublicAlgorithm],
) -> Result<Vec<Result<VerifyingKey, UnfitKey>>, UnfitSet> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }

    if json.len() > MOST_SET_BYTES {
        return Err(UnfitSet::TooLong);
    }
    let set: Value = serde_json::from_str(json).map_err(|_| UnfitSet::NotJson)?;
    let set: Set = serde_json::from_value(set).map_err(|_| UnfitSet::NotASet)?;
    Ok(set.keys.into_iter().map(|jwk| VerifyingKey::parse(jwk, algorithms)).collect())
}

impl VerifyingKey {
    /// Reads a JWK.
    ///
    /// # Errors
    /// Why it cannot verify with any of these algorithms.
    pub fn parse(jwk: Value, algorithms: &[PublicAlgorithm]) -> Result<Self, UnfitKey> {
        if !jwk.is_object() {
            return unfit("is not a JSON object");
        }
        let jwk: Jwk =
            serde_json::from_value(jwk).map_err(|error| UnfitKey::new(format!("is no JWK: {error}")))?;
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return unfit("has a `use` other than \"sig\"");
        }
        if jwk.key_ops.as_ref().is_some_and(|uses| uses.iter().all(|usage| usage != "verify")) {
            return unfit("has `key_ops` without \"verify\"");
        }
        let material = jwk.material()?;
        let mut usable: Vec<_> = PublicAlgorithm::NAMES.iter().map(|(_, algorithm)| *algorithm).collect();
        usable.dedup();
        usable.retain(|algorithm| material.takes(*algorithm));
        if let Some(name) = &jwk.alg {
            let own = PublicAlgorithm::named(name);
            usable.retain(|algorithm| own == Some(*algorithm));
            if usable.is_empty() {
                return Err(UnfitKey::new(format!(
                    "has the `alg` {name:?}, with which a key of its type cannot verify here"
                )));
            }
        }
        usable.retain(|algorithm| algorithms.contains(algorithm));
        if usable.is_empty() {
            return unfit("is for none of `algorithms`");
        }
        Ok(Self { id: jwk.kid, algorithms: usable, material })
    }

    /// Whether it verifies with this algorithm.
    pub fn takes(&self, algorithm: PublicAlgorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether the signature is of this text by this key, with this algorithm.
    pub fn verify(&self, algorithm: PublicAlgorithm, text: &[u8], signature: &[u8]) -> bool {
        use PublicAlgorithm as A;
        if !self.takes(algorithm) {
            return false;
        }
        match (&self.material, algorithm) {
            (Material::Rsa(key), A::Rs256) => {
                key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text), signature).is_ok()
            }
            (Material::Rsa(key), A::Rs384) => {
                key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(text), signature).is_ok()
            }
            (Material::Rsa(key), A::Rs512) => {
                key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(text), signature).is_ok()
            }
            (Material::Rsa(key), A::Ps256) => {
                key.verify(Pss::<Sha256>::new(), &Sha256::digest(text), signature).is_ok()
            }
            (Material::Rsa(key), A::Ps384) => {
                key.verify(Pss::<Sha384>::new(), &Sha384::digest(text), signature).is_ok()
            }
            (Material::Rsa(key), A::Ps512) => {
                key.verify(Pss::<Sha512>::new(), &Sha512::digest(text), signature).is_ok()
            }
            (Material::P256(key), A::Es256) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            (Material::P384(key), A::Es384) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            (Material::Ed25519(key), A::EdDsa) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
            _ => false,
        }
    }
}

impl Material {
    /// Whether keys of this type verify with this algorithm.
    fn takes(&self, algorithm: PublicAlgorithm) -> bool {
        use PublicAlgorithm as A;
        match self {
            Self::Rsa(_) => {
                matches!(algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            }
            Self::P256(_) => algorithm == A::Es256,
            Self::P384(_) => algorithm == A::Es384,
            Self::Ed25519(_) => algorithm == A::EdDsa,
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

impl Jwk {
    fn material(&self) -> Result<Material, UnfitKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa(),
            ("EC", Some("P-256")) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.point::<32>()?);
                key.map(|key| Material::P256(Box::new(key))).or_else(|_| unfit(OFF_THE_CURVE))
            }
            ("EC", Some("P-384")) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&self.point::<48>()?);
                key.map(|key| Material::P384(Box::new(key))).or_else(|_| unfit(OFF_THE_CURVE))
            }
            ("OKP", Some("Ed25519")) => {
                let x = coordinate(&self.x, "x")?;
                match ed25519_dalek::VerifyingKey::from_bytes(&x) {
                    Ok(key) if key.is_weak() => {
                        unfit("is a point of small order, whose signatures anybody can make")
                    }
                    Ok(key) => Ok(Material::Ed25519(Box::new(key))),
                    Err(_) => unfit(OFF_THE_CURVE),
                }
            }
            ("EC" | "OKP", Some(curve)) => {
                Err(UnfitKey::new(format!("is on the curve {curve:?}, which is not known here")))
            }
            ("EC" | "OKP", None) => unfit("has no `crv`"),
            (kty, _) => Err(UnfitKey::new(format!("has the `kty` {kty:?}, which does not verify here"))),
        }
    }

    fn rsa(&self) -> Result<Material, UnfitKey> {
        let [n, e] = [(&self.n, "n"), (&self.e, "e")]
            .map(|(member, name)| decode(member, name).map(|bytes| BoxedUint::from_be_slice_vartime(&bytes)));
        let key = RsaPublicKey::new_with_size_limits(n?, e?, RSA_BITS);
        key.map(|key| Material::Rsa(Box::new(key))).map_err(|error| match error {
            rsa::Error::ModulusTooSmall | rsa::Error::ModulusTooLarge => UnfitKey::new(format!(
                "has an `n` of another size than {} to {} bits",
                RSA_BITS.start(),
                RSA_BITS.end()
            )),
            error => UnfitKey::new(format!("is no RSA key: {error}")),
        })
    }

    /// The uncompressed point (SEC 1, section 2.3.3).
    fn point<const N: usize>(&self) -> Result<Vec<u8>, UnfitKey> {
        let [x, y] = [coordinate::<N>(&self.x, "x")?, coordinate::<N>(&self.y, "y")?];
        Ok([&[4], x.as_slice(), y.as_slice()].concat())
    }
}

const OFF_THE_CURVE: &str = "is not a point of its curve";

fn unfit<T>(reason: &str) -> Result<T, UnfitKey> {
    Err(UnfitKey::new(reason.to_owned()))
}

fn decode(member: &Option<String>, name: &str) -> Result<Vec<u8>, UnfitKey> {
    let Some(text) = member else { return Err(UnfitKey::new(format!("has no `{name}`"))) };
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| UnfitKey::new(format!("has an `{name}` that is not base64url without padding")))
}

/// A coordinate has all its bytes (RFC 7518, section 6.2.1.2).
fn coordinate<const N: usize>(member: &Option<String>, name: &str) -> Result<[u8; N], UnfitKey> {
    let bytes = decode(member, name)?;
    bytes.try_into().map_err(|_| UnfitKey::new(format!("has an `{name}` of another length than {N} bytes")))
}
