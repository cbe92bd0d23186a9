//! Ids: random, so that one tells nothing of others.

use keyward_core::{
    entropy::{self, Entropy},
    key::{base62, hex},
};

/// Base62 digits that hold 128 bits.
const DIGITS: u8 = 22;

/// `prefix` and 128 random bits in base62: `key_0Zx…`.
pub fn id(prefix: &str, entropy: &mut dyn Entropy) -> String {
    let number = u128::from_be_bytes(entropy::bytes(entropy));
    prefix.to_owned() + &base62(number, DIGITS)
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
