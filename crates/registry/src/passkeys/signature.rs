//! Signatures: verified outside by the platform's own crypto, which is asynchronous. A handler that needs one verified stops
//! with a [`SignatureJob`], and is called again with the result.

use keyward_policy::PublicAlgorithm;
use keyward_policy::jwk::{PublicKey, Signed};

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
            PublicAlgorithm::Es256 => raw(signature)?,
            _ => signature.to_vec(),
        };
        key.fits(&signature).then_some(Self { key, text, signature })
    }

    /// What is to be verified.
    pub fn signed(&self) -> Signed<'_> {
        Signed { text: &self.text, signature: &self.signature, ..self.key.trial() }
    }
}

/// The two numbers of an ECDSA signature, one after the other, from their ASN.1 (RFC 3279, 2.2.3).
fn raw(mut der: &[u8]) -> Option<Vec<u8>> {
    const NUMBER_BYTES: usize = 32;
    let mut numbers = element(&mut der, 0x30).filter(|_| der.is_empty())?;
    let mut raw = Vec::with_capacity(2 * NUMBER_BYTES);
    for _ in 0..2 {
        let number = element(&mut numbers, 0x02)?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        raw.resize(raw.len() + NUMBER_BYTES.checked_sub(number.len())?, 0);
        raw.extend(number);
    }
    numbers.is_empty().then_some(raw)
}

/// The content of the element of this type at the beginning.
fn element<'a>(bytes: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    let ([own, length @ ..0x80], rest) = bytes.split_first_chunk::<2>()? else { return None };
    let (content, rest) = rest.split_at_checked((*length).into()).filter(|_| *own == kind)?;
    *bytes = rest;
    Some(content)
}
