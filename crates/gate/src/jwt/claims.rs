//! What a token whose signature is right says, and whether it holds here and now.

use keyward_policy::{Jwt, scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{error::Error, object::Object};
use keyward_core::{key::hex, sign_in_token::Identity, time::Timestamp};

/// Most characters of a subject or a tenant: each goes to the origin in a header.
const MOST_CHARACTERS: usize = 256;

/// What the origin is told of a token. Text in it can stand in a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who it speaks for.
    pub subject: String,
    /// Of which tenant, where the policy names the claim.
    pub tenant: Option<String>,
    /// Its scopes (RFC 6749, section 3.3), but for what would be a wildcard on a key: here it says nothing, and the
    /// origin is not to take it for more.
    pub scopes: Vec<String>,
    /// The first moment at which it no longer passes, the allowed skew included.
    pub expires: Timestamp,
}

impl Claims {
    /// Those of a token that nobody sent.
    pub(crate) fn supposed() -> Self {
        Self { subject: String::new(), tenant: None, scopes: Vec::new(), expires: Timestamp(i64::MAX) }
    }

    /// Checks what holds for every token, then takes what the policy names.
    pub(super) fn check(claims: &Object, policy: &Jwt, now: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            expires: check(claims, policy, now)?,
            subject: name(claims, policy.claims.subject)?,
            tenant: policy.claims.tenant.map(|path| name(claims, path)).transpose()?,
            scopes: scopes(claims, policy.claims.scopes)?,
        })
    }
}

/// What a token must say beside what every token says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// This `nonce`.
    pub nonce: Option<&'a str>,
    /// When the person showed the issuer who they are.
    pub auth_time: bool,
}

/// Whom a token names that somebody shows to sign in (OpenID Connect Core 1.0, sections 2 and 5.1). `signed` is the text that
/// its signature is of.
pub(super) fn identity(
    claims: &Object,
    signed: &str,
    wanted: Wanted<'_>,
    policy: &Jwt,
    now: Timestamp,
) -> Result<Identity, Error> {
    let expires_at = check(claims, policy, now)?;
    if let Some(nonce) = wanted.nonce {
        let own = claims.get("nonce").ok_or(Error::MissingClaim(&["nonce"]))?;
        if own.as_str() != Some(nonce) {
            return Err(Error::InvalidClaim(&["nonce"]));
        }
    }
    let email = claims.get("email").ok_or(Error::MissingClaim(&["email"]))?;
    let email = email.as_str().ok_or(Error::InvalidClaim(&["email"]))?.to_owned();
    // Some issuers write it as text.
    let verified = claims.get("email_verified").is_none_or(|it| it.as_bool() == Some(true) || it == "true");
    if !verified {
        return Err(Error::InvalidClaim(&["email_verified"]));
    }
    let issued = moment(claims, &["iat"])?.ok_or(Error::MissingClaim(&["iat"]))?;
    let authenticated_at = match moment(claims, &["auth_time"])? {
        None if wanted.auth_time => return Err(Error::MissingClaim(&["auth_time"])),
        at => at.map_or(issued, |at| at.min(issued)),
    };
    Ok(Identity { email, authenticated_at, expires_at, hash: hex(&Sha256::digest(signed)) })
}

/// Checks issuer, audience and time (RFC 8725, sections 3.8 to 3.10). Returns the first moment at which it no longer passes.
fn check(claims: &Object, policy: &Jwt, now: Timestamp) -> Result<Timestamp, Error> {
    let issuer = claims.get("iss").ok_or(Error::MissingClaim(&["iss"]))?;
    if issuer.as_str() != Some(policy.issuer) {
        return Err(Error::WrongIssuer);
    }
    let audience = claims.get("aud").ok_or(Error::MissingClaim(&["aud"]))?;
    let audience = one_or_more(audience).ok_or(Error::InvalidClaim(&["aud"]))?;
    if !audience.iter().any(|name| policy.audiences.contains(name)) {
        return Err(Error::WrongAudience);
    }

    let expires = moment(claims, &["exp"])?.ok_or(Error::MissingClaim(&["exp"]))? + policy.skew;
    if now >= expires {
        return Err(Error::Expired);
    }
    for name in [&["nbf"], &["iat"]] {
        if moment(claims, name)?.is_some_and(|from| now + policy.skew < from) {
            return Err(Error::NotYetValid);
        }
    }

    Ok(expires)
}

/// A NumericDate (RFC 7519, section 2): seconds since 1970, perhaps with a fraction.
fn moment(claims: &Object, path: &'static [&'static str; 1]) -> Result<Option<Timestamp>, Error> {
    let Some(value) = claims.at(path) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(Error::InvalidClaim(path))?;
    // A date that is too far off for a timestamp becomes the farthest one.
    #[allow(clippy::cast_possible_truncation, reason = "it saturates")]
    Ok(Some(Timestamp((seconds * 1_000.0) as i64)))
}

/// Text that names somebody: visible ASCII, spaces only inside.
fn name(claims: &Object, path: &'static [&'static str]) -> Result<String, Error> {
    let value = claims.at(path).ok_or(Error::MissingClaim(path))?;
    let fits = |text: &&str| {
        (1..=MOST_CHARACTERS).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && text.trim() == *text
    };
    value.as_str().filter(fits).map(str::to_owned).ok_or(Error::InvalidClaim(path))
}

fn scopes(claims: &Object, path: Option<&'static [&'static str]>) -> Result<Vec<String>, Error> {
    let mut paths = path.map_or([&["scope"] as &[_], &["scp"]], |path| [path, path]).into_iter();
    let Some((path, value)) = paths.find_map(|path| Some((path, claims.at(path)?))) else {
        return Ok(Vec::new());
    };
    let scopes: Option<Vec<_>> = match value {
        Value::String(text) => Some(text.split(' ').filter(|scope| !scope.is_empty()).collect()),
        other => one_or_more(other),
    };
    let scopes = scopes.filter(|scopes| scopes.iter().all(|scope| is_scope(scope)));
    let scopes = scopes.ok_or(Error::InvalidClaim(path))?.into_iter();
    Ok(scopes.filter(|scope| !scope::is_wildcard(scope)).map(str::to_owned).collect())
}

/// A scope-token of RFC 6749, section 3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

/// Text, or a list of nothing but text.
fn one_or_more(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
