//! What Unicode says of characters beyond ASCII: normal forms (UAX #15), case, combining marks, letters and numbers.
//!
//! The tables for it are 120 KB of a compressed Worker, and every JavaScript engine has them. So in wasm the engine is
//! asked (`engine.rs`), and natively the standard library and the crate `unicode-normalization` (`tables.rs`). Like the
//! crate `getrandom`, this is the one place where a decision reaches for what its machine has. The answers are the same
//! everywhere: `tests/e2e/unicode.test.mjs` compares them for every character. ASCII never leaves Rust.
//!
//! ```
//! assert_eq!(keyward_unicode::nfkc("ﬁne"), "fine");
//! assert_eq!(keyward_unicode::without_marks("e\u{301}"), "e");
//! ```

use std::borrow::Cow;

#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(not(target_arch = "wasm32"))]
mod tables;

#[cfg(target_arch = "wasm32")]
use engine as machine;
#[cfg(not(target_arch = "wasm32"))]
use tables as machine;

/// A normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// Canonical composition.
pub fn nfc(text: &str) -> Cow<'_, str> {
    normalized(text, Form::Nfc)
}

/// Canonical decomposition.
pub fn nfd(text: &str) -> Cow<'_, str> {
    normalized(text, Form::Nfd)
}

/// Compatibility composition.
pub fn nfkc(text: &str) -> Cow<'_, str> {
    normalized(text, Form::Nfkc)
}

/// Compatibility decomposition.
pub fn nfkd(text: &str) -> Cow<'_, str> {
    normalized(text, Form::Nfkd)
}

fn normalized(text: &str, form: Form) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(machine::normalized(text, form)) }
}

/// In lower case, whatever the language; a sigma that ends a word is a final one.
pub fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { machine::lower(text) }
}

/// A character in upper case, if that is a single one: of `ß` there is none.
pub fn upper(c: char) -> Option<char> {
    if c.is_ascii() { Some(c.to_ascii_uppercase()) } else { machine::upper(c) }
}

/// Whether a character is a letter or a number of any script (Alphabetic, General_Category N).
pub fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { machine::is_alphanumeric(c) }
}

/// The text without its combining marks (General_Category M).
pub fn without_marks(text: &str) -> Cow<'_, str> {
    if text.chars().any(may_be_mark) { Cow::Owned(machine::without_marks(text)) } else { Cow::Borrowed(text) }
}

/// Whether a character is a combining mark (General_Category M).
pub fn is_mark(c: char) -> bool {
    may_be_mark(c) && machine::is_mark(c)
}

/// The first combining mark is U+0300.
fn may_be_mark(c: char) -> bool {
    c >= '\u{300}'
}
