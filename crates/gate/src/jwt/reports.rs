//! Signatures of reports of keys that were found in public, as GitHub's secret scanning makes them: ECDSA with P-256 and SHA-256
//! over the body as it was sent, by a key that is published under an identifier
//! (<https://docs.github.com/code-security/secret-scanning/secret-scanning-partner-program>).

use std::rc::Rc;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use keyward_policy::{
    Leaks, PublicAlgorithm,
    jwk::{p256_coordinates, raw_signature},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    issuers::{Issuers, NoKeys, Source},
    keys::{Algorithm, Keys},
};
use crate::{deadline::Deadline, platform::Platform};
use keyward_core::time::Span;

/// How long the published keys are used before they are asked for again.
const MAX_AGE: Span = Span::from_hours(1);
/// The name of their keys among the issuers', which is no realm's.
const NAME: &str = "[admin.leaks]";
/// Most characters of the header fields. An identifier has 64, a signature 96.
const LONGEST: usize = 256;

/// Whether the body was signed with the published key of this identifier. `signature` is base64 of its ASN.1.
///
/// # Errors
/// That the keys cannot be had now.
pub async fn verify(
    (issuers, platform, deadline): (&Issuers, &impl Platform, Deadline),
    leaks: &Leaks,
    key_id: &str,
    signature: &str,
    body: &[u8],
) -> Result<bool, NoKeys> {
    if key_id.len() > LONGEST || signature.len() > LONGEST {
        return Ok(false);
    }
    let signature = STANDARD.decode(signature.trim()).ok().and_then(|der| raw_signature(&der));
    let Some(signature) = signature else { return Ok(false) };
    let source = Source::in_other_form(
        (NAME, leaks.keys_url),
        leaks.keys_url,
        MAX_AGE,
        &[PublicAlgorithm::Es256],
        as_jwk_set,
    );
    let keys: Rc<Keys> = match issuers.fetched(platform, deadline, source, Some(key_id), None).await {
        Ok(keys) => keys,
        Err(NoKeys::Unknown) => return Ok(false),
        Err(unavailable) => return Err(unavailable),
    };
    let check = async |signed: keyward_policy::jwk::Signed<'_>| platform.verify(signed).await;
    let algorithm = Algorithm::Public(PublicAlgorithm::Es256);
    Ok(keys.verify(algorithm, Some(key_id), body, &signature, check).await.is_ok())
}

/// The published keys as a JWK Set. What is no public key of P-256 in PEM is left out.
pub fn as_jwk_set(published: &str) -> String {
    #[derive(Deserialize)]
    struct Published {
        public_keys: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        key_identifier: String,
        key: String,
    }
    let Ok(Published { public_keys }) = keyward_json::from_str(published) else { return String::new() };
    let jwk = |Named { key_identifier, key }: Named| -> Option<Value> {
        let lines = key.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----"));
        let spki = STANDARD.decode(lines.collect::<String>()).ok()?;
        let [x, y] = p256_coordinates(&spki)?.map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        Some(json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": key_identifier, "x": x, "y": y }))
    };
    json!({ "keys": public_keys.into_iter().filter_map(jwk).collect::<Vec<_>>() }).to_string()
}
