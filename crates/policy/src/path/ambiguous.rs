//! Paths that servers read in different ways.

use thiserror::Error;

/// Why a path is refused: servers read such paths in different ways.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Ambiguous {
    /// `%2F`: a slash to some, part of a segment to others.
    #[error("has an encoded slash (%2F)")]
    EncodedSlash,
    /// `\` or `%5C`: a slash to some.
    #[error("has a backslash")]
    Backslash,
    /// A control character or line break, as it is or encoded.
    #[error("has a control character or line break")]
    Control,
    /// `%` without two hexadecimal digits after it.
    #[error("has a % that two hexadecimal digits do not follow")]
    Percent,
    /// Percent-encoded bytes that are not UTF-8: overlong forms hide dots and slashes.
    #[error("has percent-encoded bytes that are not UTF-8")]
    NotUtf8,
    /// `%25` before what would make it an encoding: hidden from whoever decodes once.
    #[error("is percent-encoded twice")]
    DoubleEncoding,
    /// A segment `.` or `..`, also with what some servers cut off: parameters (`..;x`), spaces, more dots.
    #[error("has a segment that is . or .., or only dots and spaces")]
    DotSegment,
    /// `//`: one slash to some, an empty segment to others.
    #[error("has an empty segment (//)")]
    EmptySegment,
    /// An encoded `?` or `#`, which ends the path for whoever decodes before looking for a query.
    #[error("has an encoded ? or #")]
    Delimiter,
    /// A space where a segment begins or ends: some servers cut it off.
    #[error("has a space where a segment begins or ends")]
    Space,
    /// A segment of parameters alone (`;x`): empty to servers that cut them off.
    #[error("has a segment with nothing before its ;")]
    Nameless,
    /// `<` or `>`: wildcards in names of files on Windows.
    #[error("has a < or >")]
    Wildcard,
    /// `:$`: begins another name of the same file on Windows.
    #[error("has a : with a $ after it")]
    Stream,
    /// A character that some servers take for `/`, `\`, `?`, `#`, `<` or `>`.
    #[error("has the character U+{:04X}, which looks like one with a meaning", u32::from(*.0))]
    LookAlike(char),
    /// A character that shows nothing, or is none.
    #[error("has a character that shows nothing where it stands")]
    Unseen,
    /// A path that is another one to servers that ignore case and the like: that of a route that asks for other
    /// things.
    #[error("is one with other rights where case, accents, parameters or the ends of names are ignored")]
    OtherRoute,
}
