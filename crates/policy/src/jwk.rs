//! Keys that verify tokens: what of a JWK Set (RFC 7517) can be used, and with which algorithms (RFC 7518,
//! RFC 8037). The build tries every key of a policy with this code, and the Worker reads keys with it, so that no key
//! passes the one and fails the other.
//!
//! The arithmetic itself is not here. In the Worker it is the platform's (WebCrypto), behind the gate's port; for
//! `keyward check` and natively it is that of `software`, which is held to the same vectors. What is stricter here than
//! WebCrypto (sizes, exponents, points of small order) is decided here, before either is asked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::model::PublicAlgorithm;

mod der;
#[cfg(feature = "compile")]
pub mod software;

pub use der::{p256_coordinates, raw_signature};

/// Most bytes of a JWK Set's text.
pub const MOST_SET_BYTES: usize = 64 * 1024;

/// Bits of an RSA key: fewer are forbidden by RFC 7518 (section 3.3), more cost too much time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Public exponents of RSA keys: those that workerd imports. Issuers use the last.
const RSA_EXPONENTS: [&[u8]; 4] = [&[3], &[17], &[37], &[1, 0, 1]];

/// Most bytes of a reason for which a key cannot be used, before it is cut.
const LONGEST_REASON: usize = 200;

/// A public key whose form is right. Whether it is one at all, a point of its curve say, whoever verifies with it finds
/// out.
pub struct PublicKey {
    /// Its `kid`, if it has one.
    pub id: Option<String>,
    algorithms: Vec<PublicAlgorithm>,
    material: Material,
}

/// Numbers are in big-endian bytes, those of RSA without zeros before them.
enum Material {
    Rsa { n: Vec<u8>, e: &'static [u8] },
    P256 { x: [u8; 32], y: [u8; 32] },
    P384 { x: [u8; 48], y: [u8; 48] },
    P521 { x: [u8; 66], y: [u8; 66] },
    Ed25519 { x: [u8; 32] },
}

/// A signature that is to be verified.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// By this key.
    pub key: &'a PublicKey,
    /// With this algorithm, which the key takes.
    pub algorithm: PublicAlgorithm,
    /// Of this text.
    pub text: &'a [u8],
    /// As JWS has it (RFC 7518, 3.3 to 3.5; RFC 8037, 3.1).
    pub signature: &'a [u8],
}

/// Why a JWK can verify nothing here: the rest of a sentence that begins with the key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UnfitKey(String);

impl UnfitKey {
    /// For this reason. It is bounded, since it may repeat what the key says: it goes into a line of a log.
    pub fn new(mut reason: String) -> Self {
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
            reason.push('…');
        }
        Self(reason)
    }
}

impl UnfitKey {
    /// Whoever verifies cannot read this key, for this reason.
    pub fn refused(key: &PublicKey, reason: &str) -> Self {
        match key.material {
            Material::Rsa { .. } => Self::new(format!("is no RSA key: {reason}")),
            Material::P256 { .. }
            | Material::P384 { .. }
            | Material::P521 { .. }
            | Material::Ed25519 { .. } => Self(OFF_THE_CURVE.to_owned()),
        }
    }
}

/// Why text is no JWK Set.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UnfitSet {
    /// More than [`MOST_SET_BYTES`].
    #[error("has more than {MOST_SET_BYTES} bytes")]
    TooLong,
    /// Not JSON.
    #[error("is not JSON")]
    NotJson,
    /// Not an object with a list `keys`.
    #[error("is not a JWK Set")]
    NotASet,
}

/// The keys of a set's JSON text, each as one that may verify with some of these algorithms, or why it cannot.
///
/// # Errors
/// If it is not a set at all.
pub fn parse_set(
    json: &str,
    algorithms: &[PublicAlgorithm],
) -> Result<Vec<Result<PublicKey, UnfitKey>>, UnfitSet> {
    if json.len() > MOST_SET_BYTES {
        return Err(UnfitSet::TooLong);
    }
    let set = keyward_json::parse(json).map_err(|_| UnfitSet::NotJson)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(UnfitSet::NotASet)?;
    Ok(keys.iter().map(|jwk| PublicKey::parse(jwk, algorithms)).collect())
}

impl PublicKey {
    /// Reads a JWK.
    ///
    /// # Errors
    /// Why it cannot verify with any of these algorithms.
    pub fn parse(jwk: &Value, algorithms: &[PublicAlgorithm]) -> Result<Self, UnfitKey> {
        if !jwk.is_object() {
            return unfit("is not a JSON object");
        }
        let jwk: Jwk =
            keyward_json::from_value(jwk).map_err(|error| UnfitKey::new(format!("is no JWK: {error}")))?;
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

    /// A signature that nobody has made: verifying it shows whether this is a key at all.
    pub fn trial(&self) -> Signed<'_> {
        Signed { key: self, algorithm: self.material.algorithm(), text: &[], signature: &[] }
    }

    /// Whether it may have made this signature, by what is quickly seen. Of Ed25519, points of small order are refused,
    /// with which one signature is right for many texts.
    pub fn fits(&self, signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, .. } => signature.len() == n.len(),
            Material::P256 { .. } => signature.len() == 64,
            Material::P384 { .. } => signature.len() == 96,
            Material::P521 { .. } => signature.len() == 132,
            Material::Ed25519 { .. } => signature
                .split_first_chunk()
                .filter(|(_, s)| s.len() == 32)
                .and_then(|(r, _)| point(r))
                .is_some_and(|r| !r.is_small_order()),
        }
    }

    /// It as a JWK, with nothing but its numbers.
    pub fn to_jwk(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.material {
            Material::Rsa { n, e } => format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, text(n), text(e)),
            Material::P256 { x, y } => {
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Material::P384 { x, y } => {
                format!(r#"{{"kty":"EC","crv":"P-384","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Material::P521 { x, y } => {
                format!(r#"{{"kty":"EC","crv":"P-521","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Material::Ed25519 { x } => format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, text(x)),
        }
    }
}

impl Material {
    /// One that keys of this type verify with.
    fn algorithm(&self) -> PublicAlgorithm {
        match self {
            Self::Rsa { .. } => PublicAlgorithm::Rs256,
            Self::P256 { .. } => PublicAlgorithm::Es256,
            Self::P384 { .. } => PublicAlgorithm::Es384,
            Self::P521 { .. } => PublicAlgorithm::Es512,
            Self::Ed25519 { .. } => PublicAlgorithm::EdDsa,
        }
    }

    /// Whether keys of this type verify with this algorithm.
    fn takes(&self, algorithm: PublicAlgorithm) -> bool {
        use PublicAlgorithm as A;
        match self {
            Self::Rsa { .. } => {
                matches!(algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            }
            Self::P256 { .. } => algorithm == A::Es256,
            Self::P384 { .. } => algorithm == A::Es384,
            Self::P521 { .. } => algorithm == A::Es512,
            Self::Ed25519 { .. } => algorithm == A::EdDsa,
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
                Ok(Material::P256 { x: coordinate(&self.x, "x")?, y: coordinate(&self.y, "y")? })
            }
            ("EC", Some("P-384")) => {
                Ok(Material::P384 { x: coordinate(&self.x, "x")?, y: coordinate(&self.y, "y")? })
            }
            ("EC", Some("P-521")) => {
                Ok(Material::P521 { x: coordinate(&self.x, "x")?, y: coordinate(&self.y, "y")? })
            }
            // The platform would take any 32 bytes for a key.
            ("OKP", Some("Ed25519")) => {
                let x = coordinate(&self.x, "x")?;
                match point(&x) {
                    Some(point) if point.is_small_order() => {
                        unfit("is a point of small order, whose signatures anybody can make")
                    }
                    Some(_) => Ok(Material::Ed25519 { x }),
                    None => unfit(OFF_THE_CURVE),
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
        let (n, e) = (number(&self.n, "n")?, number(&self.e, "e")?);
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(UnfitKey::new(format!(
                "has an `n` of another size than {} to {} bits",
                RSA_BITS.start(),
                RSA_BITS.end()
            )));
        }
        if n.last().is_some_and(|last| last % 2 == 0) {
            return unfit("is no RSA key: its `n` is even");
        }
        match RSA_EXPONENTS.into_iter().find(|exponent| *exponent == e) {
            Some(e) => Ok(Material::Rsa { n, e }),
            None => unfit("is no RSA key that is used here: its `e` is none of 3, 17, 37 and 65537"),
        }
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

/// A number, without zeros before it.
fn number(member: &Option<String>, name: &str) -> Result<Vec<u8>, UnfitKey> {
    let bytes = decode(member, name)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// A point of edwards25519, if it is one.
fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

/// A coordinate has all its bytes (RFC 7518, section 6.2.1.2).
fn coordinate<const N: usize>(member: &Option<String>, name: &str) -> Result<[u8; N], UnfitKey> {
    let bytes = decode(member, name)?;
    bytes.try_into().map_err(|_| UnfitKey::new(format!("has an `{name}` of another length than {N} bytes")))
}
