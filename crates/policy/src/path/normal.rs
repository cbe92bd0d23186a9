//! The one form in which a request's path is compared, and the paths that have none.
//!
//! RFC 3986, section 6.2.2.2, decodes percent-encoded unreserved characters. Here every character
//! that may stand in a path as it is (`pchar`, section 3.3) is decoded, because origin servers
//! decode them all: otherwise `/v1/things%3Abatch` would slip past a route for `/v1/things:batch`.
//! This form is for comparing only; the origin gets the client's own bytes.

use std::{borrow::Cow, fmt};

use super::segment;

/// Why a path is refused: servers read such paths in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// `%2F`: a slash to some, part of a segment to others.
    EncodedSlash,
    /// `\` or `%5C`: a slash to some.
    Backslash,
    /// A control character or line break, as it is or encoded.
    Control,
    /// `%` without two hexadecimal digits after it.
    Percent,
    /// Percent-encoded bytes that are not UTF-8: overlong forms hide dots and slashes.
    NotUtf8,
    /// `%25` before what would make it an encoding: hidden from whoever decodes once.
    DoubleEncoding,
    /// A segment `.` or `..`, also with what some servers cut off: parameters (`..;x`), spaces, more dots.
    DotSegment,
    /// `//`: one slash to some, an empty segment to others.
    EmptySegment,
    /// An encoded `?` or `#`, which ends the path for whoever decodes before looking for a query.
    Delimiter,
    /// A space where a segment begins or ends: some servers cut it off.
    Space,
    /// A segment of parameters alone (`;x`): empty to servers that cut them off.
    Nameless,
    /// `<` or `>`: wildcards in names of files on Windows.
    Wildcard,
    /// `:$`: begins another name of the same file on Windows.
    Stream,
    /// A character that some servers take for `/`, `\`, `?`, `#`, `<` or `>`.
    LookAlike(char),
    /// A character that shows nothing, or is none.
    Unseen,
    /// A path that is another one to servers that ignore case and the like: that of a route that asks for other
    /// things.
    OtherRoute,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodedSlash => "has an encoded slash (%2F)",
            Self::Backslash => "has a backslash",
            Self::Control => "has a control character or line break",
            Self::Percent => "has a % that two hexadecimal digits do not follow",
            Self::NotUtf8 => "has percent-encoded bytes that are not UTF-8",
            Self::DoubleEncoding => "is percent-encoded twice",
            Self::DotSegment => "has a segment that is . or .., or only dots and spaces",
            Self::EmptySegment => "has an empty segment (//)",
            Self::Delimiter => "has an encoded ? or #",
            Self::Space => "has a space where a segment begins or ends",
            Self::Nameless => "has a segment with nothing before its ;",
            Self::Wildcard => "has a < or >",
            Self::Stream => "has a : with a $ after it",
            Self::LookAlike(c) => {
                return write!(
                    f,
                    "has the character U+{:04X}, which looks like one with a meaning",
                    u32::from(*c)
                );
            }
            Self::Unseen => "has a character that shows nothing where it stands",
            Self::OtherRoute => {
                "is one with other rights where case, accents, parameters or the ends of names are ignored"
            }
        })
    }
}

impl std::error::Error for Ambiguous {}

/// The form in which `path` is compared: see the module. Allocates only where a character is not written as in it.
///
/// # Errors
/// [`Ambiguous`] when servers could read the path differently.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
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
