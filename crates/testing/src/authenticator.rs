//! An authenticator in software, and the browser around it, which say whatever a test wants them to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey};
use rsa::{pkcs1v15, signature::SignatureEncoding, signature::Signer, traits::PublicKeyParts};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rsa_key::rsa_key;

/// Where browsers say they are.
pub const ORIGIN: &str = "https://gate.example";
/// The host there.
pub const HOST: &str = "gate.example";

/// Present, verified; and that a key is in it.
pub const VERIFIED: u8 = 0x05;
pub const HAS_KEY: u8 = 0x40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    EdDsa,
    Rs256,
}

/// A passkey.
#[derive(Clone, Debug)]
pub struct SoftPasskey {
    pub algorithm: Algorithm,
    pub seed: u8,
    pub id: Vec<u8>,
    pub counter: u32,
    pub flags: u8,
    /// As it was told when it was made.
    pub user: Option<String>,
}

/// What browser and authenticator say, signed as it stands when it is written.
#[derive(Clone, Debug)]
pub struct Said {
    pub passkey: SoftPasskey,
    pub client: Value,
    /// Hash of the host: 32 bytes; flags; four bytes of the counter; and the rest.
    pub data: Vec<u8>,
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl SoftPasskey {
    /// Each seed is another one.
    pub fn new(algorithm: Algorithm, seed: u8) -> Self {
        Self { algorithm, seed, id: vec![seed; 16], counter: 0, flags: VERIFIED, user: None }
    }

    /// What is said when it is made with these options.
    pub fn made(&mut self, options: &Value) -> Said {
        let options = &options["publicKey"];
        self.user = options["user"]["id"].as_str().map(str::to_owned);
        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), self.flags | HAS_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        Said { passkey: self.clone(), client: client("webauthn.create", options), data }
    }

    /// What is said when it is used with these options.
    pub fn used(&mut self, options: &Value) -> Said {
        let options = &options["publicKey"];
        if self.counter > 0 {
            self.counter += 1;
        }
        let data = self.data(options["rpId"].as_str().unwrap(), self.flags);
        Said { passkey: self.clone(), client: client("webauthn.get", options), data }
    }

    fn data(&self, host: &str, flags: u8) -> Vec<u8> {
        [&Sha256::digest(host)[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// The public key, as COSE has it.
    pub fn cose(&self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => {
                let point = self.es256().verifying_key().to_sec1_point(false);
                let (x, y) = (&point.as_bytes()[1..33], &point.as_bytes()[33..65]);
                [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat()
            }
            Algorithm::EdDsa => {
                let x = self.ed25519().verifying_key().to_bytes();
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32][..], &x].concat()
            }
            Algorithm::Rs256 => {
                let n = rsa_key().n().to_be_bytes();
                let (begin, end) = ([0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0], [0x21, 0x43, 1, 0, 1]);
                [&begin[..], &n, &end].concat()
            }
        }
    }

    fn es256(&self) -> SigningKey {
        SigningKey::from_slice(&[self.seed; 32]).unwrap()
    }

    fn ed25519(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&[self.seed; 32])
    }

    /// As authenticators write it.
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => {
                let signature: Signature = self.es256().sign(text);
                let (r, s) = signature.split_bytes();
                let number = |bytes: &[u8]| {
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    let sign = if bytes[zeros] >= 0x80 { &[0][..] } else { &[] };
                    let number = [sign, &bytes[zeros..]].concat();
                    [&[2, u8::try_from(number.len()).unwrap()][..], &number].concat()
                };
                let numbers = [number(&r), number(&s)].concat();
                [&[0x30, u8::try_from(numbers.len()).unwrap()][..], &numbers].concat()
            }
            Algorithm::EdDsa => self.ed25519().sign(text).to_vec(),
            Algorithm::Rs256 => pkcs1v15::SigningKey::<Sha256>::new(rsa_key()).sign(text).to_vec(),
        }
    }
}

fn client(kind: &str, options: &Value) -> Value {
    json!({"type": kind, "challenge": options["challenge"], "origin": ORIGIN, "crossOrigin": false})
}

impl Said {
    /// As `PublicKeyCredential.toJSON()` gives it.
    pub fn to_json(&self) -> Value {
        let client = self.client.to_string();
        let signed = [&self.data[..], &Sha256::digest(&client)].concat();
        json!({
            "id": encode(&self.passkey.id),
            "rawId": encode(&self.passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(client),
                "authenticatorData": encode(&self.data),
                "signature": encode(self.passkey.sign(&signed)),
                "userHandle": self.passkey.user,
            },
        })
    }
}
