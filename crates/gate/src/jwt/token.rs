//! A token in its compact form, and the order in which it is looked at.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_policy::{
    Jwt, JwtKeys,
    jwk::{Signed, UnfitKey},
};
use serde_json::Value;

use super::{
    claims::{self, Claims, Wanted},
    error::{Error, MOST_BYTES},
    keys::{Algorithm, Keys},
    object::Object,
};
use keyward_core::{sign_in_token::Identity, time::Timestamp};

/// A token whose form is right and whose algorithm is allowed. Nothing in it is trusted yet.
pub struct Token<'a> {
    policy: &'a Jwt,
    algorithm: Algorithm,
    key_id: Option<String>,
    /// The first two parts, as they were signed.
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Looks at the form and the header, which costs no cryptography and no keys.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Malformed`], [`Error::Critical`], [`Error::WrongType`],
    /// [`Error::WrongAlgorithm`].
    pub fn read(text: &'a str, policy: &'a Jwt) -> Result<Self, Error> {
        if text.len() > MOST_BYTES {
            return Err(Error::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Error::Malformed("form"))?;
        let parts = signed.split_once('.').filter(|(_, payload)| !payload.contains('.'));
        let (header, payload) = parts.ok_or(Error::Malformed("form"))?;
        let header = object(header, "header")?;
        if header.get("crit").is_some() {
            return Err(Error::Critical);
        }
        let text_of = |name| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Error::Malformed("header")),
        };
        if policy.typ.is_some_and(|wanted| !matches!(text_of("typ"), Ok(Some(typ)) if is_type(typ, wanted))) {
            return Err(Error::WrongType);
        }
        let algorithm = Algorithm::named(text_of("alg")?.ok_or(Error::Malformed("header"))?)
            .filter(|algorithm| is_allowed(policy, *algorithm))
            .ok_or(Error::WrongAlgorithm)?;
        let key_id = text_of("kid")?.map(str::to_owned);
        let signature = decode(signature, "signature")?;
        Ok(Self { policy, algorithm, key_id, signed, payload, signature })
    }

    /// The name of the key that it says it was signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Checks the signature. What it says counts only then.
    ///
    /// # Errors
    /// [`Error::WrongAlgorithm`], [`Error::UnknownKey`], [`Error::BadSignature`].
    pub async fn verify(
        &self,
        keys: &Keys,
        check: impl AsyncFn(Signed<'_>) -> Result<bool, UnfitKey>,
    ) -> Result<Verified<'_>, Error> {
        keys.verify(self.algorithm, self.key_id(), self.signed.as_bytes(), &self.signature, check).await?;
        Ok(Verified { policy: self.policy, signed: self.signed, payload: self.payload })
    }
}

/// The issuer that a token says it is of: it chooses by whose rules and keys the token is tried, and has no other say.
///
/// # Errors
/// [`Error::TooLong`], [`Error::Malformed`], [`Error::MissingClaim`].
pub fn claimed_issuer(text: &str) -> Result<String, Error> {
    if text.len() > MOST_BYTES {
        return Err(Error::TooLong);
    }
    let mut parts = text.split('.').skip(1);
    let claims = object(parts.next().ok_or(Error::Malformed("form"))?, "claims")?;
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Error::MissingClaim(&["iss"]))?;
    Ok(issuer.to_owned())
}

/// A token whose signature was found right: proof of it, since only [`Token::verify`] makes one.
pub struct Verified<'a> {
    policy: &'a Jwt,
    signed: &'a str,
    payload: &'a str,
}

impl Verified<'_> {
    /// Checks what the token says.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the claims, and those of [`Claims::check`].
    pub fn claims(&self, now: Timestamp) -> Result<Claims, Error> {
        Claims::check(&object(self.payload, "claims")?, self.policy, now)
    }

    /// Checks what a token says that somebody signs in with.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the claims, and what is wrong with one of them.
    pub fn identity(&self, wanted: Wanted<'_>, now: Timestamp) -> Result<Identity, Error> {
        claims::identity(&object(self.payload, "claims")?, self.signed, wanted, self.policy, now)
    }
}

fn is_allowed(policy: &Jwt, algorithm: Algorithm) -> bool {
    match (policy.keys, algorithm) {
        (JwtKeys::Secret { .. }, Algorithm::Hs256) => true,
        (JwtKeys::Public { algorithms, .. }, Algorithm::Public(algorithm)) => algorithms.contains(&algorithm),
        (JwtKeys::Secret { .. }, Algorithm::Public(_)) | (JwtKeys::Public { .. }, Algorithm::Hs256) => false,
    }
}

/// Media types are compared without case, and `application/` may be left out (RFC 7515, section 4.1.9).
fn is_type(typ: &str, wanted: &str) -> bool {
    let bare = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.strip_prefix("application/").map(str::to_owned).unwrap_or(text)
    };
    bare(typ) == bare(wanted)
}

fn object(text: &str, part: &'static str) -> Result<Object, Error> {
    Object::read(&decode(text, part)?).ok_or(Error::Malformed(part))
}

/// Base64url in the one form that RFC 7515 (section 2) allows: no padding, no spare bits.
fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Malformed(part))
}
