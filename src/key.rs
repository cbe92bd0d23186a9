//! Keys: how one is made, what a well-formed one looks like, and how one is stored.
//!
//! A key is `prefix`, then random characters, then check characters. The check is an HMAC under the
//! deployment's secret, so that nobody outside can make up a key that costs a lookup. Only a hash of
//! a key is ever stored. Golden vectors in `tests/golden.rs` pin all three: a change here must not
//! turn a live key away.

use keyward_policy::{Alphabet, Hash, KeyFormat};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    entropy::{self, Entropy},
    record::Mode,
    secret::{Secret, Secrets},
};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Purposes of MACs, so that one can never stand in for another.
const CHECK: &str = "keyward key check 1";
const STORAGE: &str = "keyward key storage 1";

/// Makes a new key. Every character of the alphabet is equally likely.
pub fn generate(format: &KeyFormat, mode: Mode, secrets: &Secrets, entropy: &mut dyn Entropy) -> Secret {
    let alphabet = alphabet(format.alphabet);
    // Bytes at or above the largest multiple of the alphabet's length would favour its beginning.
    let fair = 256 - 256 % alphabet.len();
    let mut key = prefix(format, mode).to_owned();
    let mut missing = usize::from(format.random);
    while missing > 0 {
        let [byte] = entropy::bytes::<1>(entropy);
        if let Some(character) =
            alphabet.get(usize::from(byte) % alphabet.len()).filter(|_| usize::from(byte) < fair)
        {
            key.push(char::from(*character));
            missing -= 1;
        }
    }
    let check = check_of(&secrets.mac(CHECK, &[key.as_bytes()]), format.check);
    Secret::new(key + &check)
}

/// Whether the key's prefix, length, alphabet and keyed check are right: no I/O. A check made under
/// a previous secret is right too.
pub fn is_well_formed(format: &KeyFormat, secrets: &Secrets, key: &str) -> bool {
    let Some(rest) = std::iter::once(format.live_prefix)
        .chain(format.test_prefix)
        .find_map(|prefix| key.strip_prefix(prefix))
    else {
        return false;
    };
    let random = usize::from(format.random);
    if rest.len() != random + usize::from(format.check) || !rest.is_ascii() {
        return false;
    }
    let (body, check) = key.split_at(key.len() - usize::from(format.check));
    let alphabet = alphabet(format.alphabet);
    if !rest.bytes().take(random).all(|byte| alphabet.contains(&byte)) {
        return false;
    }
    format.check == 0
        || secrets
            .macs(CHECK, &[body.as_bytes()])
            .any(|mac| bool::from(check_of(&mac, format.check).as_bytes().ct_eq(check.as_bytes())))
}

/// Names under which the key may be stored, the current one first: `sha256:<hex>`, or
/// `hmac-sha256:<hex>` under the current and each previous secret.
pub fn storage_hashes(format: &KeyFormat, secrets: &Secrets, key: &str) -> Vec<String> {
    match format.hash {
        Hash::Sha256 => vec![format!("sha256:{}", hex(&Sha256::digest(key)))],
        Hash::HmacSha256 => {
            secrets.macs(STORAGE, &[key.as_bytes()]).map(|mac| format!("hmac-sha256:{}", hex(&mac))).collect()
        }
    }
}

/// The name under which a new key is stored.
pub fn storage_hash(format: &KeyFormat, secrets: &Secrets, key: &str) -> String {
    storage_hashes(format, secrets, key).into_iter().next().unwrap_or_default()
}

/// The key's place in KV.
pub fn kv_key(hash: &str) -> String {
    format!("key:{hash}")
}

/// What people may see of a key's beginning: the prefix and `shown` random characters.
pub fn key_prefix(format: &KeyFormat, key: &str) -> String {
    let prefix = format.test_prefix.filter(|prefix| key.starts_with(prefix)).unwrap_or(format.live_prefix);
    key.chars().take(prefix.len() + usize::from(format.shown)).collect()
}

/// The last four characters.
pub fn last4(key: &str) -> String {
    key.chars().skip(key.chars().count().saturating_sub(4)).collect()
}

/// Whether text from a URL, its percent-encoding undone, seems to hold a key of this format.
pub fn appears_in(format: &KeyFormat, url: &str) -> bool {
    const TELLING: usize = 8;
    let alphabet = alphabet(format.alphabet);
    std::iter::once(format.live_prefix).chain(format.test_prefix).any(|prefix| {
        url.match_indices(prefix).any(|(at, _)| {
            let after = url.get(at + prefix.len()..).unwrap_or_default();
            after.bytes().take_while(|byte| alphabet.contains(byte)).count() >= TELLING
        })
    })
}

fn prefix(format: &KeyFormat, mode: Mode) -> &'static str {
    match mode {
        Mode::Live => format.live_prefix,
        Mode::Test => format.test_prefix.unwrap_or(format.live_prefix),
    }
}

fn alphabet(alphabet: Alphabet) -> &'static [u8] {
    match alphabet {
        Alphabet::Base62 => BASE62,
        Alphabet::Base64Url => BASE64URL,
        Alphabet::Hex => HEX,
    }
}

/// The first eight bytes of a MAC as so many base62 digits (at most ten fit).
fn check_of(mac: &[u8; 32], digits: u8) -> String {
    base62(mac.iter().take(8).fold(0, |number, byte| number << 8 | u128::from(*byte)), digits)
}

/// The lowest so many base62 digits of a number, least digit first.
pub fn base62(mut number: u128, digits: u8) -> String {
    (0..digits)
        .map(|_| {
            let digit = BASE62.get((number % 62) as usize).copied().unwrap_or(b'0');
            number /= 62;
            char::from(digit)
        })
        .collect()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
