//! Names in a key's metadata: what its owner notes with it, and the gate may tell the origin.

/// Most characters of one.
pub const LONGEST_NAME: usize = 50;

/// Whether this is one: letters, digits, `_`, `-` and `.`.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(plain)
}
