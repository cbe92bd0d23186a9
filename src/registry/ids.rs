//! Ids: random, so that one tells nothing of others.

use crate::{
    entropy::{self, Entropy},
    key::hex,
};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Base62 digits that hold 128 bits.
const DIGITS: usize = 22;

/// `prefix` and 128 random bits in base62: `key_0Zx…`.
pub fn id(prefix: &str, entropy: &mut dyn Entropy) -> String {
    let mut number = u128::from_be_bytes(entropy::bytes(entropy));
    let mut digits = String::with_capacity(prefix.len() + DIGITS);
    digits.push_str(prefix);
    for _ in 0..DIGITS {
        digits.extend(BASE62.get((number % 62) as usize).map(|digit| char::from(*digit)));
        number /= 62;
    }
    digits
}

/// A UUID of version 4 (RFC 9562, 5.4).
pub fn uuid(entropy: &mut dyn Entropy) -> String {
    const VERSION: u128 = 0x4 << 76;
    const VARIANT: u128 = 0x8 << 60;
    let random = u128::from_be_bytes(entropy::bytes(entropy));
    let number = random & !(0xf << 76) & !(0xc << 60) | VERSION | VARIANT;
    let text = hex(&number.to_be_bytes());
    let part = |from, to| text.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
