//! Secrets as types that cannot be printed, and the deployment's own secrets.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use keyward_policy::SecretForm;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Text that must not reach a log, an error or a URL. `Debug` shows nothing of it and there is no
/// `Display`; whoever needs the text says so with [`Secret::expose`].
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The bytes of the key that is written in the text; `None` if it is not written so.
    pub fn key(&self, form: SecretForm) -> Option<Vec<u8>> {
        const LENIENT: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        match form {
            SecretForm::Text => Some(self.0.as_bytes().to_vec()),
            SecretForm::Base64 { prefix } => {
                let text = self.0.strip_prefix(prefix).unwrap_or(&self.0);
                let text = text.replace('-', "+").replace('_', "/");
                GeneralPurpose::new(&STANDARD, LENIENT).decode(text).ok()
            }
        }
    }

    /// Equality in time that depends on the lengths only.
    pub fn equals(&self, other: &str) -> bool {
        bool::from(self.0.as_bytes().ct_eq(other.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether text can be a deployment's secret: at least 32 visible ASCII characters, and no comma,
/// since commas separate previous secrets.
pub fn is_fit(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// The deployment's secrets for keyed checks and keyed hashes: the current one, which makes new
/// ones, and any number of previous ones, which still verify.
#[derive(Clone, Debug)]
pub struct Secrets {
    current: Secret,
    previous: Vec<Secret>,
}

impl Secrets {
    /// `current` is `KEYWARD_SECRET`; `previous` is `KEYWARD_SECRET_PREVIOUS`, where several may
    /// stand, separated by commas.
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        let previous = previous.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
        Self { current: Secret::new(current), previous: previous.map(Secret::new).collect() }
    }

    /// HMAC-SHA-256 (RFC 2104) of `parts`, one after the other, under the current secret. `purpose`
    /// keeps uses apart.
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.current, purpose, parts)
    }

    /// The same under every secret, the current one first.
    pub fn macs<'a>(
        &'a self,
        purpose: &'a str,
        parts: &'a [&'a [u8]],
    ) -> impl Iterator<Item = [u8; 32]> + 'a {
        std::iter::once(&self.current).chain(&self.previous).map(move |secret| mac(secret, purpose, parts))
    }
}

fn mac(secret: &Secret, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error type exists for other MACs.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return [0; 32] };
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
