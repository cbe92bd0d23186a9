//! The deployment's keys for [identity tokens](super): the one that signs, and the set that is published.
//!
//! Three secrets: the key that signs, the next one, and the one before. All of them are in the set, so an origin that keeps
//! the set for a while knows each key before it signs, and for as long as what it has signed lives.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{denial::Denial, platform::Platform};
use keyward_core::{
    secret::{Secret, Seed},
    unavailable::CallFailed,
};

/// The secret whose key signs.
const CURRENT: &str = "KEYWARD_IDENTITY_KEY";
/// Those whose keys are published beside it.
const OTHERS: [&str; 2] = ["KEYWARD_IDENTITY_KEY_NEXT", "KEYWARD_IDENTITY_KEY_PREVIOUS"];
/// What each has to be.
const FORM: &str = "the 32 bytes of an Ed25519 seed in base64url, as `npm run secrets` makes them";

/// Which of the secrets are missing or not fit to be one, each in words that hold nothing of it. `get` has a secret by its name.
pub fn unfit(get: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let missing = get(CURRENT).is_none().then(|| format!("{CURRENT} is not set: it needs {FORM}"));
    let is_unfit = |name: &&str| get(name).is_some_and(|text| Seed::of(&Secret::new(text)).is_none());
    let unfit = [CURRENT].into_iter().chain(OTHERS).filter(is_unfit);
    missing.into_iter().chain(unfit.map(|name| format!("{name} is not fit: it needs {FORM}"))).collect()
}

/// The one that signs. `get` has a secret by its name.
///
/// # Errors
/// [`Denial::NotConfigured`] and [`Denial::UnfitSecret`]
pub fn signing(get: impl Fn(&str) -> Option<Secret>) -> Result<Seed, Denial> {
    let secret = get(CURRENT).ok_or(Denial::NotConfigured { what: CURRENT })?;
    Seed::of(&secret).ok_or_else(|| unfit_secret(&format!("it needs {FORM}")))
}

/// The deployment's keys.
#[derive(Debug)]
pub struct KeySet {
    seed: Seed,
    /// The JOSE header of every token, encoded.
    header: String,
    /// The public keys: a JWK Set (RFC 7517), as JSON.
    pub jwks: String,
}

impl KeySet {
    /// Those of the deployment. One that is only published and is not fit is left out.
    ///
    /// # Errors
    /// [`Denial::NotConfigured`] and [`Denial::UnfitSecret`] for the one that signs.
    pub async fn of_deployment(platform: &impl Platform) -> Result<Self, Denial> {
        let seed = signing(|name| platform.secret(name))?;
        let failed = |error: CallFailed| unfit_secret(&error.to_string());
        let current = Public::of(platform, &seed).await.map_err(failed)?;
        let header = format!(r#"{{"alg":"{ALGORITHM}","kid":"{}","typ":"JWT"}}"#, current.id);
        let header = URL_SAFE_NO_PAD.encode(header);
        let mut published = vec![current];
        for name in OTHERS {
            let Some(seed) = platform.secret(name).as_ref().and_then(Seed::of) else { continue };
            let key = Public::of(platform, &seed).await.map_err(failed)?;
            if published.iter().all(|other| other.id != key.id) {
                published.push(key);
            }
        }
        let keys: Vec<String> = published.iter().map(Public::jwk).collect();
        Ok(Self { seed, header, jwks: format!(r#"{{"keys":[{}]}}"#, keys.join(",")) })
    }

    /// Signs: a JWS in compact form (RFC 7515, section 7.1).
    ///
    /// # Errors
    /// [`Denial::UnfitSecret`] if the platform cannot sign.
    pub async fn sign(&self, platform: &impl Platform, payload: &str) -> Result<String, Denial> {
        let mut token = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(payload));
        let signature = platform.sign(&self.seed, token.as_bytes()).await;
        let signature = signature.map_err(|error| unfit_secret(&error.to_string()))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// The name of RFC 8037, section 3.1, which every library knows; that of RFC 9864, `Ed25519`, few do yet.
const ALGORITHM: &str = "EdDSA";

fn unfit_secret(reason: &str) -> Denial {
    Denial::UnfitSecret { secret: CURRENT, reason: reason.to_owned() }
}

/// A public key (RFC 8037, section 2).
struct Public {
    x: String,
    /// Its thumbprint (RFC 7638).
    id: String,
}

impl Public {
    async fn of(platform: &impl Platform, seed: &Seed) -> Result<Self, CallFailed> {
        let x = platform.public_key(seed).await?;
        // The members of RFC 8037, appendix A.3, in the order of their names.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
        Ok(Self { x, id })
    }

    fn jwk(&self) -> String {
        let Self { x, id } = self;
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{id}","use":"sig","alg":"{ALGORITHM}"}}"#)
    }
}
