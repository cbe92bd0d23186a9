//! Signatures: verified outside by the platform's own crypto, which is asynchronous. A handler that needs one verified stops
//! with a [`SignatureJob`], and is called again with the result.

use keyward_policy::PublicAlgorithm;
use keyward_policy::jwk::{PublicKey, Signed, raw_signature};

/// A signature that is to be verified.
pub struct SignatureJob {
    key: PublicKey,
    text: Vec<u8>,
    signature: Vec<u8>,
}

impl SignatureJob {
    /// The signature of this text, as an authenticator writes it; `None` if this key cannot have made it.
    pub fn new(key: PublicKey, text: Vec<u8>, signature: &[u8]) -> Option<Self> {
        let signature = match key.trial().algorithm {
            PublicAlgorithm::Es256 => raw_signature(signature)?,
            _ => signature.to_vec(),
        };
        key.fits(&signature).then_some(Self { key, text, signature })
    }

    /// What is to be verified.
    pub fn signed(&self) -> Signed<'_> {
        Signed { text: &self.text, signature: &self.signature, ..self.key.trial() }
    }
}
