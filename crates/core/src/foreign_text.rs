//! Text that others wrote, such as an error of the platform's or of an origin's code, as it may stand in the log and in
//! answers to operators.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// Most characters of it.
pub const MOST_CHARS: usize = 1_000;

/// It, on one line: at most [`MOST_CHARS`] characters, spaces for control characters and what is not seen, and URLs
/// without user info, query and fragment, where secrets stand.
pub fn shown(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut room = MOST_CHARS;
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        let gap = if shown.is_empty() { "" } else { " " };
        for part in [gap].into_iter().chain(without_secrets(word)) {
            for c in part.chars() {
                if room == 0 {
                    shown.pop();
                    shown.push('…');
                    return Cow::Owned(shown);
                }
                shown.push(c);
                room -= 1;
            }
        }
    }
    Cow::Owned(shown)
}

/// Writes it as it is shown, if there is any.
#[allow(clippy::ref_option, reason = "serde asks so")]
pub(crate) fn some_shown<S: Serializer>(text: &Option<&str>, to: S) -> Result<S::Ok, S::Error> {
    text.map(shown).serialize(to)
}

/// Whether nothing of it is to be changed: most texts.
fn is_plain(text: &str) -> bool {
    text.len() <= MOST_CHARS
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~' if !b"?#@".contains(&byte)))
}

/// What separates words, or is not seen.
fn is_gap(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The parts of a word that may be shown, one after the other.
fn without_secrets(word: &str) -> impl Iterator<Item = &str> {
    let shown = query(word).and_then(|at| word.get(..at)).unwrap_or(word);
    let mut pieces = shown.split("://");
    let scheme = pieces.next().unwrap_or_default();
    [scheme].into_iter().chain(pieces.flat_map(|piece| {
        let end = piece.find(['/', '\\']).unwrap_or(piece.len());
        let (authority, path) = piece.split_at_checked(end).unwrap_or((piece, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        ["://", host, path]
    }))
}

/// Where a word's query or fragment begins: at the first mark of one after which there is a `=`, or that stands in a URL,
/// which begins with `://`.
fn query(word: &str) -> Option<usize> {
    let mark = |from: usize| word.get(from..)?.find(['?', '#']).map(|at| from + at);
    mark(0)
        .filter(|at| word.get(*at..).is_some_and(|rest| rest.contains('=')))
        .or_else(|| mark(word.find("://")?))
}
