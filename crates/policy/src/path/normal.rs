//! The one form in which a request's path is compared, and the paths that have none.
//!
//! RFC 3986, section 6.2.2.2, decodes percent-encoded unreserved characters. Here every character
//! that may stand in a path as it is (`pchar`, section 3.3) is decoded, because origin servers
//! decode them all: otherwise `/v1/things%3Abatch` would slip past a route for `/v1/things:batch`.
//! This form is for comparing only; the origin gets the client's own bytes.

use std::borrow::Cow;

use super::{ambiguous::Ambiguous, segment};

/// The form in which `path` is compared: see the module. Allocates only where a character is not written as in it.
///
/// # Errors
/// [`Ambiguous`] when servers could read the path differently.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let inner = path.strip_prefix('/').unwrap_or(path);
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        if !segment.is_empty() {
            segment::check(&decode(segment)?)?;
        } else if segments.peek().is_some() {
            return Err(Ambiguous::EmptySegment);
        }
    }
    if path.bytes().all(|byte| byte == b'/' || stands_in_path(byte)) {
        return Ok(Cow::Borrowed(path));
    }
    Ok(Cow::Owned(path.split('/').map(written).collect::<Result<Vec<_>, _>>()?.join("/")))
}

/// Whether a path is in that form, as most are, as far as one look at each byte tells.
fn is_plain(path: &str) -> bool {
    let mut before = b'/';
    for byte in path.bytes().skip(1) {
        let fits = match byte {
            // A name that is not empty and has something other than dots, since it does not end in one.
            b'/' => !matches!(before, b'/' | b'.'),
            // No name of these is read otherwise: not `;`, `+`, `:` and `%`.
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*,=@".contains(&byte),
        };
        if !fits {
            return false;
        }
        before = byte;
    }
    path.starts_with('/') && before != b'.'
}

/// Whether this character may stand in a path segment as it is: `pchar` of RFC 3986, section 3.3.
pub(super) fn stands_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// A segment with `pchar` as it is and everything else encoded, in upper case.
fn written(segment: &str) -> Result<String, Ambiguous> {
    let mut text = String::with_capacity(segment.len());
    for byte in decode(segment)?.bytes() {
        if stands_in_path(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(text)
}

/// A segment without percent-encoding.
pub(super) fn decode(segment: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let mut parts = segment.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == segment.len() {
        return Ok(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    bytes.extend_from_slice(first.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(Ambiguous::Percent)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Ambiguous::Percent);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Ambiguous::Percent)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(Cow::Owned(String::from_utf8(bytes).map_err(|_| Ambiguous::NotUtf8)?))
}
