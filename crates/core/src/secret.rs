//! Secrets as types that cannot be printed, and the deployment's own secrets.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
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

/// The seed of an Ed25519 key (RFC 8032, section 5.1.5): a private key.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Reads one that is written in base64, of either alphabet; `None` if it is not one.
    pub fn of(secret: &Secret) -> Option<Self> {
        let bytes = secret.key(SecretForm::Base64 { prefix: "" })?;
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// What a deployment's secret has to be. Commas separate previous ones.
pub const FIT: &str = "at least 32 visible ASCII characters, and no comma";

/// Whether text is [what a deployment's secret has to be](FIT).
pub fn is_fit(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// A deployment without a secret, or with one that is not fit to be it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not set, or not fit: it needs {FIT}", Self::NAME)]
pub struct NoSecret;

impl NoSecret {
    /// Its name.
    pub const NAME: &str = "KEYWARD_SECRET";
}

/// The deployment's secrets for checksums and keyed hashes: the current one, which makes new
/// ones, and any number of previous ones, which still verify.
#[derive(Clone, Debug)]
pub struct Secrets {
    current: MacKey,
    previous: Vec<MacKey>,
}

impl Secrets {
    /// `current` is `KEYWARD_SECRET`; `previous` is `KEYWARD_SECRET_PREVIOUS`, where several may
    /// stand, separated by commas.
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        Self::of(current, previous, |_| true)
    }

    fn of(current: &str, previous: Option<&str>, is_one: impl Fn(&str) -> bool) -> Self {
        let previous = previous.unwrap_or_default().split(',').map(str::trim);
        let previous = previous.filter(|text| !text.is_empty() && is_one(text));
        Self { current: MacKey::of(current), previous: previous.map(MacKey::of).collect() }
    }

    /// The secrets of a deployment, from the values of `KEYWARD_SECRET` and `KEYWARD_SECRET_PREVIOUS`. Of the previous ones
    /// those that are not [fit](is_fit) never were one, and verify nothing: whoever guesses them could forge all that they do.
    ///
    /// # Errors
    /// [`NoSecret`] if the first is not there or not fit.
    pub fn of_deployment(current: Option<&str>, previous: Option<&str>) -> Result<Self, NoSecret> {
        let current = current.filter(|text| is_fit(text)).ok_or(NoSecret)?;
        Ok(Self::of(current, previous, is_fit))
    }

    /// HMAC-SHA-256 (RFC 2104) of `parts`, one after the other, under the current secret. `purpose`
    /// keeps uses apart.
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.current.mac(purpose, parts)
    }

    /// The same under every secret, the current one first.
    pub fn macs<'a>(
        &'a self,
        purpose: &'a str,
        parts: &'a [&'a [u8]],
    ) -> impl Iterator<Item = [u8; 32]> + 'a {
        std::iter::once(&self.current).chain(&self.previous).map(move |key| key.mac(purpose, parts))
    }

    /// Text that whoever holds it can read but not change: behind a prefix, with a MAC.
    pub fn seal(&self, purpose: &str, prefix: &str, text: &str) -> String {
        let said = URL_SAFE_NO_PAD.encode(text);
        let mac = URL_SAFE_NO_PAD.encode(self.mac(purpose, &[said.as_bytes()]));
        format!("{prefix}{said}.{mac}")
    }

    /// What [`Self::seal`] sealed here; `None` if it did not.
    pub fn unseal(&self, purpose: &str, prefix: &str, sealed: &str) -> Option<String> {
        let (said, mac) = sealed.strip_prefix(prefix)?.split_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let is_ours = self.macs(purpose, &[said.as_bytes()]).any(|own| bool::from(own.ct_eq(&mac)));
        String::from_utf8(URL_SAFE_NO_PAD.decode(said).ok().filter(|_| is_ours)?).ok()
    }
}

/// A secret as HMAC uses it, with what does not depend on a message computed once: it is two of the five blocks that a
/// short message takes.
#[derive(Clone)]
struct MacKey(Option<Hmac<Sha256>>);

impl MacKey {
    fn of(secret: &str) -> Self {
        // HMAC takes keys of any length; the error type exists for other MACs.
        Self(Hmac::new_from_slice(secret.as_bytes()).ok())
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let Some(mut mac) = self.0.clone() else { return [0; 32] };
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
