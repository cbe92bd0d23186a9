//! Signatures after Standard Webhooks 1.0.0, the symmetric ones.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_core::{secret::Secret, time::Timestamp};
use keyward_policy::SecretForm;
use sha2::Sha256;

/// How many bytes a secret has.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const PREFIX: &str = "whsec_";

/// What signs: all secrets of an endpoint.
pub struct Signer(Vec<Hmac<Sha256>>);

/// A secret is not there, or is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitSecret {
    /// It is not set.
    #[error("the secret {0} is not set")]
    Missing(&'static str),
    /// It is not written as Standard Webhooks has it.
    #[error("the secret {0} is not `whsec_` and 24 to 64 bytes in base64")]
    Form(&'static str),
}

impl Signer {
    /// With these secrets, each by its name.
    ///
    /// # Errors
    /// The first that is not fit.
    pub fn new(
        names: &[&'static str],
        secret: impl Fn(&'static str) -> Option<Secret>,
    ) -> Result<Self, UnfitSecret> {
        let keys = names.iter().map(|name| {
            let secret = secret(name).ok_or(UnfitSecret::Missing(name))?;
            let is_one = secret.expose().starts_with(PREFIX);
            let bytes = secret.key(SecretForm::Base64 { prefix: PREFIX }).filter(|_| is_one);
            let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
            bytes.and_then(|bytes| Hmac::new_from_slice(&bytes).ok()).ok_or(UnfitSecret::Form(name))
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// The field `webhook-signature` for this message, sent in this second.
    pub fn sign(&self, id: &str, sent: Timestamp, body: &str) -> String {
        let signed = format!("{id}.{}.{body}", seconds(sent));
        let signatures = self.0.iter().map(|key| {
            let mac = key.clone().chain_update(signed.as_bytes()).finalize().into_bytes();
            format!("v1,{}", STANDARD.encode(mac))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// The field `webhook-timestamp`: whole seconds since 1970.
pub fn seconds(sent: Timestamp) -> i64 {
    sent.0.div_euclid(1_000)
}
