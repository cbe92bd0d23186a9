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
/// All whose keys are published.
const ALL: [&str; 3] = [CURRENT, "KEYWARD_IDENTITY_KEY_NEXT", "KEYWARD_IDENTITY_KEY_PREVIOUS"];
/// What each has to be.
const NEEDS: &str = "it needs the 32 bytes of an Ed25519 seed in base64url, as `npm run secrets` makes them";

/// Notes which of the secrets are missing or not fit to be one, in words that hold nothing of it. `get` has a secret by its name.
pub fn note_unfit(faults: &mut Vec<String>, get: &dyn Fn(&str) -> Option<String>) {
    for name in ALL {
        let what = match get(name) {
            None if name == CURRENT => "set",
            Some(text) if Seed::of(&Secret::new(text.as_str())).is_none() => "fit",
            _ => continue,
        };
        faults.push(format!("{name} is not {what}: {NEEDS}"));
    }
}

/// The one that signs. `get` has a secret by its name.
///
/// # Errors
/// [`Denial::NotConfigured`] and [`Denial::UnfitSecret`]
pub fn signing(get: &dyn Fn(&str) -> Option<Secret>) -> Result<Seed, Denial> {
    let secret = get(CURRENT).ok_or(Denial::NotConfigured { what: CURRENT })?;
    Seed::of(&secret).ok_or_else(|| unfit_secret(NEEDS))
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
        let get = |name: &str| platform.secret(name);
        let seed = signing(&get)?;
        let mut published: Vec<Public> = Vec::new();
        for seed in ALL.into_iter().filter_map(|name| Seed::of(&get(name)?)) {
            let key = Public::of(platform, &seed).await.map_err(|error| unfit_secret(&error.to_string()))?;
            if published.iter().all(|other| other.id != key.id) {
                published.push(key);
            }
        }
        // The first is the one that signs.
        let id = published.first().map_or("", |key| &key.id);
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{ALGORITHM}","kid":"{id}","typ":"JWT"}}"#));
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
