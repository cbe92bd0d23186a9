//! Makes tokens with the private keys that RFC 7515 (appendix A) and RFC 8037 (appendix A) publish.

use std::convert::Infallible;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use keyward_core::{entropy::Entropy, secret::Secret, time::Timestamp};
use keyward_gate::jwt::{Claims, Error, Keys, Token, UnfitKeys};
use keyward_policy::{
    JwkSet, Jwt, JwtKeys, PublicAlgorithm, SecretForm, Span,
    jwk::{Signed, UnfitKey, software},
};
use rsa::{
    pkcs1v15, pss,
    rand_core::{TryCryptoRng, TryRng},
    signature::{RandomizedSigner, SignatureEncoding, Signer},
};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::{
    NOON, Seeded,
    fake_platform::now as ready,
    rsa_key::{N as RSA_N, rsa_key},
};

/// RFC 7515, appendix A.1.
pub const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
/// How it is written there.
pub const SECRET_FORM: SecretForm = SecretForm::Base64 { prefix: "" };
/// RFC 7515, appendix A.3.
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// RFC 8037, appendix A.1.
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// A key that signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Shared,
    Rsa,
    Ec,
    Ed,
}

impl Key {
    pub const ALL: [Self; 4] = [Self::Shared, Self::Rsa, Self::Ec, Self::Ed];
    pub const PUBLIC: [Self; 3] = [Self::Rsa, Self::Ec, Self::Ed];

    /// Its one algorithm.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Shared => "HS256",
            Self::Rsa => "RS256",
            Self::Ec => "ES256",
            Self::Ed => "EdDSA",
        }
    }

    /// Its public half, with its algorithm as `kid`.
    pub fn jwk(self) -> Value {
        let kid = self.algorithm();
        match self {
            Self::Shared => json!({ "kty": "oct", "kid": kid, "k": SECRET }),
            Self::Rsa => json!({ "kty": "RSA", "kid": kid, "n": RSA_N, "e": "AQAB" }),
            Self::Ec => json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": EC_X, "y": EC_Y }),
            Self::Ed => json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": ED_X }),
        }
    }

    /// A signature of any text.
    pub fn signature(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Shared => mac(&decode(SECRET), text),
            Self::Rsa => pkcs1v15::SigningKey::<Sha256>::new(rsa_key()).sign(text).to_vec(),
            Self::Ec => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from_slice(&decode(EC_D)).unwrap().sign(text);
                signature.to_vec()
            }
            Self::Ed => {
                let key = ed25519_dalek::SigningKey::from_bytes(&decode(ED_D).try_into().unwrap());
                key.sign(text).to_vec()
            }
        }
    }

    /// A token of an RSA key with any of its algorithms.
    pub fn sign_as(self, algorithm: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "kid": self.algorithm() });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let (key, text) = (rsa_key(), signed.as_bytes());
        let mut random = Salt(Seeded::new(1));
        let signature = match algorithm {
            "RS256" => pkcs1v15::SigningKey::<Sha256>::new(key).sign(text).to_vec(),
            "RS384" => pkcs1v15::SigningKey::<Sha384>::new(key).sign(text).to_vec(),
            "RS512" => pkcs1v15::SigningKey::<Sha512>::new(key).sign(text).to_vec(),
            "PS256" => pss::SigningKey::<Sha256>::new(key).sign_with_rng(&mut random, text).to_vec(),
            "PS384" => pss::SigningKey::<Sha384>::new(key).sign_with_rng(&mut random, text).to_vec(),
            "PS512" => pss::SigningKey::<Sha512>::new(key).sign_with_rng(&mut random, text).to_vec(),
            other => panic!("{other}"),
        };
        format!("{signed}.{}", encode(signature))
    }

    /// A token with this header and these claims.
    pub fn sign(self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token with these two texts, whatever they are.
    pub fn sign_text(self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", encode(self.signature(signed.as_bytes())))
    }

    /// A token with these claims and the header that belongs to the key.
    pub fn token(self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm(), "kid": self.algorithm() }), claims)
    }
}

/// Randomness for salts.
struct Salt(Seeded);

impl TryRng for Salt {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Salt {}

/// What the RSA key makes of an encoded message, whatever its padding is (RFC 8017, section 5.2.1).
pub fn rsa_signature(encoded: &[u8]) -> Vec<u8> {
    let encoded = rsa::BoxedUint::from_be_slice(encoded, 2048).unwrap();
    rsa::hazmat::rsa_decrypt(None::<&mut Salt>, &rsa_key(), &encoded).unwrap().to_be_bytes().to_vec()
}

pub fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Every encoding of an Ed25519 point of small order, those with a number beyond the field's among them.
pub const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// Every algorithm with a public key.
pub const ALL: &[PublicAlgorithm] = &[
    PublicAlgorithm::Rs256,
    PublicAlgorithm::Rs384,
    PublicAlgorithm::Rs512,
    PublicAlgorithm::Ps256,
    PublicAlgorithm::Ps384,
    PublicAlgorithm::Ps512,
    PublicAlgorithm::Es256,
    PublicAlgorithm::Es384,
    PublicAlgorithm::Es512,
    PublicAlgorithm::EdDsa,
];

/// Takes HS256 tokens.
pub const SHARED: Jwt = Jwt {
    issuer: "https://id.example.com",
    audiences: &["https://api.example.com", "api"],
    keys: JwtKeys::Secret { name: "ISSUER_SECRET", form: SECRET_FORM },
    typ: None,
    claims: keyward_policy::Claims {
        subject: &["sub"],
        tenant: Some(&["app_metadata", "tenant_id"]),
        scopes: None,
    },
    skew: Span::from_mins(1),
    cookie: None,
};

/// Takes tokens of one algorithm for each of the public keys.
pub const PUBLIC: Jwt = Jwt {
    keys: JwtKeys::Public {
        algorithms: &[PublicAlgorithm::Rs256, PublicAlgorithm::Es256, PublicAlgorithm::EdDsa],
        set: JwkSet::Url { url: "https://id.example.com/jwks.json", max_age: Span::from_mins(10) },
    },
    ..SHARED
};

pub fn shared_keys() -> Keys {
    Keys::shared(&Secret::new(SECRET), SECRET_FORM).unwrap()
}

pub fn set_of(jwks: &[Value]) -> Keys {
    of_set(&json!({ "keys": jwks }).to_string(), ALL).unwrap()
}

pub fn public_keys() -> Keys {
    set_of(&Key::PUBLIC.map(Key::jwk))
}

/// Claims that pass for an hour from this moment.
pub fn claims(now: Timestamp) -> Value {
    let now = now.0 / 1_000;
    json!({
        "iss": "https://id.example.com",
        "aud": "https://api.example.com",
        "sub": "user-17",
        "iat": now,
        "exp": now + 3_600,
        "scope": "orders:read orders:write",
        "app_metadata": { "tenant_id": "tenant-1" },
    })
}

/// The usual claims at noon with one changed; `Null` takes it away.
pub fn with(name: &str, value: Value) -> Value {
    let mut claims = claims(NOON);
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    claims
}

/// The keys of a set's JSON text.
pub fn of_set(json: &str, algorithms: &[PublicAlgorithm]) -> Result<Keys, UnfitKeys> {
    ready(Keys::of_set(json, algorithms, check))
}

/// Reads and verifies.
pub fn verify(token: &str, policy: &Jwt, keys: &Keys, now: Timestamp) -> Result<Claims, Error> {
    verify_read(&Token::read(token, policy)?, keys, now)
}

/// Verifies.
pub fn verify_read(token: &Token<'_>, keys: &Keys, now: Timestamp) -> Result<Claims, Error> {
    ready(token.verify(keys, check))?.claims(now)
}

/// What the platform does.
async fn check(signed: Signed<'_>) -> Result<bool, UnfitKey> {
    software::verify(signed)
}
