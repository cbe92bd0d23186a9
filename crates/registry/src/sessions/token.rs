//! Session tokens: random, of which only the hash is stored. A part of each is a check under the deployment's secret, so
//! that a made-up token is known for one before anything is asked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_core::{
    entropy::{self, Entropy},
    key::hex,
    secret::Secrets,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What session tokens begin with, which tells them from API keys.
pub const TOKEN_PREFIX: &str = "kws_";
/// What tokens of one-time links begin with.
const INVITATION_PREFIX: &str = "kwi_";
/// Bytes of a token that are random, and those after them that check it.
const RANDOM_BYTES: usize = 24;
const CHECK_BYTES: usize = 8;
const CHECK_PURPOSE: &str = "keyward session check 1";
const INVITATION_PURPOSE: &str = "keyward invitation check 1";

/// How a token is stored.
pub fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// A new token.
pub fn new_token(secrets: &Secrets, entropy: &mut dyn Entropy) -> String {
    made(TOKEN_PREFIX, CHECK_PURPOSE, secrets, entropy)
}

/// A new token of a one-time link, of the same form.
pub fn new_invitation(secrets: &Secrets, entropy: &mut dyn Entropy) -> String {
    made(INVITATION_PREFIX, INVITATION_PURPOSE, secrets, entropy)
}

fn made(prefix: &str, purpose: &str, secrets: &Secrets, entropy: &mut dyn Entropy) -> String {
    let random: Vec<u8> =
        entropy::bytes::<{ RANDOM_BYTES + CHECK_BYTES }>(entropy).into_iter().take(RANDOM_BYTES).collect();
    let check = secrets.mac(purpose, &[&random]).into_iter().take(CHECK_BYTES);
    let bytes: Vec<u8> = random.iter().copied().chain(check).collect();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether this deployment has made the token, whatever has become of its session since. A build before there were
/// checks made tokens that are not known so.
pub fn is_our_token(secrets: &Secrets, token: &str) -> bool {
    is_ours(TOKEN_PREFIX, CHECK_PURPOSE, secrets, token)
}

/// The same of the token of a one-time link.
pub fn is_our_invitation(secrets: &Secrets, token: &str) -> bool {
    is_ours(INVITATION_PREFIX, INVITATION_PURPOSE, secrets, token)
}

fn is_ours(prefix: &str, purpose: &str, secrets: &Secrets, token: &str) -> bool {
    let bytes = token.strip_prefix(prefix).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.filter(|bytes| bytes.len() == RANDOM_BYTES + CHECK_BYTES).is_some_and(|bytes| {
        let (random, check) = bytes.split_at(RANDOM_BYTES);
        secrets
            .macs(purpose, &[random])
            .any(|mac| bool::from(mac.get(..CHECK_BYTES).unwrap_or_default().ct_eq(check)))
    })
}
