//! The one form in which a request's path is compared, and the paths that have none.
//!
//! RFC 3986, section 6.2.2.2, decodes percent-encoded unreserved characters. Here every character
//! that may stand in a path as it is (`pchar`, section 3.3) is decoded, because origin servers
//! decode them all: otherwise `/v1/things%3Abatch` would slip past a route for `/v1/things:batch`.
//! This form is for comparing only; the origin gets the client's own bytes.

use std::{borrow::Cow, fmt};

/// Why a path is refused: origin servers read such paths in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// `%2F`: a slash to some, part of a segment to others.
    EncodedSlash,
    /// `\` or `%5C`: a slash to some.
    Backslash,
    /// A control character, as it is or encoded.
    Control,
    /// `%` without two hexadecimal digits after it.
    Percent,
    /// Percent-encoded bytes that are not UTF-8: overlong forms hide dots and slashes.
    NotUtf8,
    /// `%25` before the digits of a slash, backslash, dot or NUL: hidden from whoever decodes once.
    DoubleEncoding,
    /// A segment `.` or `..`, also with parameters (`..;x`), which some servers cut off.
    DotSegment,
    /// `//`: one slash to some, an empty segment to others.
    EmptySegment,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodedSlash => "the path has an encoded slash (%2F)",
            Self::Backslash => "the path has a backslash",
            Self::Control => "the path has a control character",
            Self::Percent => "the path has a % that is not followed by two hexadecimal digits",
            Self::NotUtf8 => "the path has percent-encoded bytes that are not UTF-8",
            Self::DoubleEncoding => "the path has a doubly encoded slash, backslash, dot or NUL",
            Self::DotSegment => "the path has a segment . or ..",
            Self::EmptySegment => "the path has an empty segment (//)",
        })
    }
}

impl std::error::Error for Ambiguous {}

/// The form in which `path` is compared: see the module. Allocates only where there is a `%`.
///
/// # Errors
/// [`Ambiguous`] when origin servers could read the path differently.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let path = if path.contains('%') { Cow::Owned(decode(path)?) } else { Cow::Borrowed(path) };
    if path.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Ambiguous::Control);
    }
    if path.contains('\\') {
        return Err(Ambiguous::Backslash);
    }
    let inner = path.strip_prefix('/').unwrap_or(&path);
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Ambiguous::EmptySegment);
        }
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        if name == "." || name == ".." {
            return Err(Ambiguous::DotSegment);
        }
    }
    Ok(path)
}

/// Whether this character may stand in a path segment as it is: `pchar` of RFC 3986, section 3.3.
pub(super) fn stands_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// Decodes what may stand in a path as it is, and writes the other encodings in upper case.
fn decode(path: &str) -> Result<String, Ambiguous> {
    let mut normal = String::with_capacity(path.len());
    // What a server that decodes everything would see, to check that it is UTF-8.
    let mut bytes = Vec::with_capacity(path.len());
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default();
    normal.push_str(first);
    bytes.extend_from_slice(first.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(Ambiguous::Percent)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Ambiguous::Percent);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Ambiguous::Percent)?;
        match byte {
            b'/' => return Err(Ambiguous::EncodedSlash),
            b'\\' => return Err(Ambiguous::Backslash),
            _ if byte.is_ascii_control() => return Err(Ambiguous::Control),
            _ if stands_in_path(byte) => normal.push(char::from(byte)),
            _ => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
            }
        }
        normal.push_str(rest);
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Err(Ambiguous::NotUtf8);
    }
    if normal.split("%25").skip(1).any(hides_separator) {
        return Err(Ambiguous::DoubleEncoding);
    }
    Ok(normal)
}

/// Whether what follows an encoded `%` makes it, however often it was encoded, the encoding of a
/// character that [`normalise`] refuses.
fn hides_separator(after: &str) -> bool {
    let mut rest = after;
    while let Some(deeper) = rest.strip_prefix("25") {
        rest = deeper;
    }
    rest.get(..2).is_some_and(|digits| {
        ["2F", "5C", "2E", "00"].iter().any(|hidden| digits.eq_ignore_ascii_case(hidden))
    })
}
