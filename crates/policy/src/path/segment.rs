//! What one segment of a path may be, and how it reads to a server that takes names loosely.
//!
//! Servers decode a second time, cut `;parameters` off, take dots and spaces from the end of a name, put compatible
//! characters in each other's place, and more. A segment is good if it is one segment, and not `.` or `..`, to all
//! of them: so the grammar is applied to its [`plain`] text, in which every such character is what it may become.

use std::borrow::Cow;

use keyward_unicode::{is_mark, lower, nfkd, without_marks};

use super::{ambiguous::Ambiguous, pattern::is_between};

/// Checks a decoded segment that is not empty.
///
/// # Errors
/// Why servers may take it for something else.
pub(super) fn check(text: &str) -> Result<(), Ambiguous> {
    check_grammar(&plain(text)?)
}

/// Checks how a segment begins, of which a pattern leaves the end open.
#[cfg(feature = "compile")]
pub(super) fn check_beginning(text: &str) -> Result<(), Ambiguous> {
    // As long as its name has not ended, letters may follow.
    let rest = if text.contains(';') { "" } else { "x" };
    if text.is_empty() { Ok(()) } else { check(&format!("{text}{rest}")) }
}

/// The grammar. ASCII that is not named here may stand anywhere, and so may what is beyond ASCII.
fn check_grammar(plain: &str) -> Result<(), Ambiguous> {
    let mut rest = plain.chars();
    while let Some(c) = rest.next() {
        let next = rest.clone().next();
        match c {
            '/' => return Err(Ambiguous::EncodedSlash),
            '\\' => return Err(Ambiguous::Backslash),
            '?' | '#' => return Err(Ambiguous::Delimiter),
            '<' | '>' => return Err(Ambiguous::Wildcard),
            // In `100%` it is a character; before digits (or `u`, for some servers) it begins another encoding.
            '%' if next.is_some_and(|c| c.is_ascii_hexdigit() || matches!(c, 'u' | 'U')) => {
                return Err(Ambiguous::DoubleEncoding);
            }
            // `name::$DATA` is the file `name` itself on Windows, `folder::$INDEX_ALLOCATION` the folder.
            ':' if next == Some('$') => return Err(Ambiguous::Stream),
            _ => {}
        }
    }
    if plain.starts_with(' ') || plain.ends_with(' ') {
        return Err(Ambiguous::Space);
    }
    let name = without_parameters(plain);
    match core(name) {
        "" if name.contains(['.', '"']) => Err(Ambiguous::DotSegment),
        "" if name.len() < plain.len() => Err(Ambiguous::Nameless),
        _ => Ok(()),
    }
}

/// A name without what some server takes off its ends: dots and spaces (Windows), `+` (a space to some), and `"`,
/// which Windows may take for a dot.
fn core(name: &str) -> &str {
    name.trim_end_matches(['.', ' ', '+', '"']).trim_start_matches([' ', '+'])
}

/// A segment without its matrix parameters, which Java servers cut off.
fn without_parameters(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

/// How the loosest of servers reads a good segment: two that one server takes for the same name have the same
/// reading. Empty for `+` alone.
pub(super) fn reading(text: &str) -> Cow<'_, str> {
    let as_it_is =
        |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b";+\"".contains(&byte);
    if text.bytes().all(as_it_is) && !text.ends_with('.') {
        return Cow::Borrowed(text);
    }
    // What is not good matches nothing that is.
    let Ok(plain) = plain(text) else { return Cow::Borrowed(text) };
    let name = core(without_parameters(&plain));
    let mut reading = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '+' => reading.push(' '),
            '"' => reading.push('.'),
            'ß' | 'ẞ' => reading.push_str("ss"),
            _ => reading.push(c),
        }
    }
    Cow::Owned(without_marks(&lower(&reading)).into_owned())
}

/// Whether a name, as read, is on Windows another one of what has this literal one: its short name, or a stream of it.
pub(super) fn is_name_of(name: &str, literal: &str) -> bool {
    let (file, is_stream) = name.split_once(':').map_or((name, false), |(file, _)| (core(file), true));
    is_stream && file == literal || is_short_name_of(file, literal)
}

/// Whether a name, as read, is on Windows another one of what has a literal beginning and end.
pub(super) fn is_name_between(name: &str, before: &str, after: &str) -> bool {
    let (file, is_stream) = name.split_once(':').map_or((name, false), |(file, _)| (core(file), true));
    is_stream && is_between(file, before, after) || short_name(file).is_some()
}

/// What stands before the `~` of a name that can be a short one.
fn short_name(name: &str) -> Option<&str> {
    let base = name.split('.').next().unwrap_or_default();
    let (stem, number) = base.rsplit_once('~').filter(|_| base.len() <= 8)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(stem)
}

/// Whether this can be the short name (8.3) of what has a long name that begins so: `ADMINI~1`, `ADMINI~1.HTM` or, of the
/// fifth that would have the same, `AD3F2B~1`.
pub(super) fn is_short_name_of(short: &str, long: &str) -> bool {
    let Some(stem) = short_name(short) else { return false };
    // Some of these are left out of it, others are a `_`.
    let plain = |text: &str| -> String { text.chars().filter(|c| !" ._,;=[]".contains(*c)).collect() };
    let (stem, long) = (plain(stem), plain(long));
    let beginning = stem.get(..2).filter(|_| stem.len() == 6);
    let is_hash = stem.get(2..).is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !stem.is_empty() && long.starts_with(&stem)
        || is_hash && beginning.is_some_and(|beginning| long.starts_with(beginning))
}

/// The text with each character as the one in ASCII that some server takes it for, if there is one: by compatible
/// decomposition (NFKC, NFKD), by what Windows and its code pages fit best, or by leaving out marks and what is not
/// shown.
fn plain(text: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_control()) {
            Err(Ambiguous::Control)
        } else {
            Ok(Cow::Borrowed(text))
        };
    }
    let mut seen = String::with_capacity(text.len());
    let mut flaw = None;
    let mut before = None;
    for c in text.chars() {
        flaw = stands_after(before, c).err();
        if flaw.is_some() {
            break;
        }
        before = Some(c);
        if !c.is_ascii() && c.is_whitespace() {
            seen.push(' ');
        } else if !is_ignored(c) {
            seen.push(c);
        }
    }
    let plain = base(&seen);
    // What a character may become would be one of the path's syntax.
    let count = |text: &str| text.chars().filter(|c| is_syntax(*c)).count();
    if count(&plain) > count(&seen) {
        let leads_there = |c: &char| !c.is_ascii() && count(&base(c.encode_utf8(&mut [0; 4]))) > 0;
        return Err(seen.chars().find(leads_there).map_or(Ambiguous::Unseen, Ambiguous::LookAlike));
    }
    flaw.map_or(Ok(Cow::Owned(plain)), Err)
}

/// The base characters of a text, each as what fits it best.
fn base(text: &str) -> String {
    without_marks(&nfkd(text)).chars().map(best_fit).collect()
}

fn is_syntax(c: char) -> bool {
    matches!(c, '/' | '\\' | '?' | '#' | '<' | '>')
}

/// Whether a character may follow this one: what is seen may follow anything; what only changes what is before it,
/// what it changes.
fn stands_after(before: Option<char>, c: char) -> Result<(), Ambiguous> {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        return Err(Ambiguous::Control);
    }
    let beyond_ascii = before.is_some_and(|before| !before.is_ascii());
    let fits = match c {
        // Joiners, between letters of many scripts and in emoji; Mongolian's variants; tags, after a flag.
        '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180f}' => beyond_ascii,
        '\u{e0020}'..='\u{e007f}' => {
            before.is_some_and(|before| matches!(before, '\u{1f3f4}' | '\u{e0020}'..='\u{e007e}'))
        }
        _ if before.is_none() && is_mark(c) => false,
        _ => !is_ignored(c) && !is_unseen(c) || is_mark(c),
    };
    if fits { Ok(()) } else { Err(Ambiguous::Unseen) }
}

/// Default_Ignorable_Code_Point (Unicode 17, DerivedCoreProperties), and Braille's blank: shown as nothing.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Private use, what is no character, and what stands for one that is not there.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffd}' | '\u{40000}'..)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// What code pages of Windows have in the place of characters that no decomposition leads to ASCII; and the full stop
/// of Chinese and Japanese, which names of hosts take for a dot.
fn best_fit(c: char) -> char {
    match c {
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        // A yen or won sign stands where ASCII has the backslash, in code pages of Japan and Korea.
        '\u{a5}' | '\u{20a9}' | '\u{2216}' | '\u{29f5}' | '\u{29f9}' => '\\',
        '\u{2039}' => '<',
        '\u{203a}' => '>',
        '\u{b7}' | '\u{2022}' | '\u{2219}' | '\u{22c5}' | '\u{3002}' | '\u{30fb}' => '.',
        '\u{201c}'..='\u{201f}' | '\u{2033}' => '"',
        '\u{66a}' => '%',
        '\u{2236}' => ':',
        'ı' | 'ɪ' => 'i',
        'ł' | 'Ł' | 'ƚ' => 'l',
        'đ' | 'Đ' | 'ð' | 'Ð' | 'δ' => 'd',
        'ħ' | 'Ħ' => 'h',
        'ŧ' | 'Ŧ' | 'τ' | 'Θ' => 't',
        'ø' | 'Ø' | 'Ω' => 'o',
        'ƀ' => 'b',
        'ɡ' | 'Γ' => 'g',
        'α' => 'a',
        'ε' => 'e',
        'π' => 'p',
        'σ' | 'Σ' => 's',
        'φ' | 'Φ' | 'ƒ' => 'f',
        _ => c,
    }
}
