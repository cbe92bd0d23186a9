//! Text that people read. What shows nothing, or shows something else than it holds, is refused: a name with it cannot
//! be told from another, or from none. And the form in which text is searched.

use keyward_unicode::{is_mark, lower, nfc, nfd, nfkc, upper};

/// A character that cannot be seen for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Wherever it stands.
    #[error("cannot hold U+{code:04X}, {why}")]
    Unseen {
        /// Its code point.
        code: u32,
        /// Why it cannot be seen.
        why: &'static str,
    },
    /// At the beginning.
    #[error("cannot begin with U+{code:04X}, which only changes the character before it")]
    Combining {
        /// Its code point.
        code: u32,
    },
}

/// Refuses a text with a character that cannot be seen for what it is.
///
/// # Errors
/// Which character, by its code point, and why.
pub fn check(text: &str) -> Result<(), TextError> {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == BLACK_FLAG {
            rest = after_tags(rest);
        } else {
            if let Some(why) = flaw(before, c, rest.clone().next()) {
                return Err(TextError::Unseen { code: c.into(), why });
            }
            if before.is_none() && is_mark(c) {
                return Err(TextError::Combining { code: c.into() });
            }
        }
        before = Some(c);
    }
    Ok(())
}

/// Without white space, or byte order marks, around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK)
}

/// What of a text decides whether it is found: not its case, its normal form or what cannot be seen.
pub fn folded(text: &str) -> String {
    let compatible = nfkc(text);
    let seen = compatible.chars().filter(|c| !is_ignorable(*c));
    // By way of the upper case, so that a final sigma is a sigma. What has no single upper case, such as `ß`, stays.
    let upper: String = seen.map(|c| upper(c).unwrap_or(c)).collect();
    nfkc(&lower(&upper).replace('ς', "σ")).into_owned()
}

/// The forms in which a text may stand in what was stored before it was [`folded`], which was lower case only.
pub fn unfolded(text: &str) -> [String; 2] {
    [nfc(text), nfd(text)].map(|text| lower(&text))
}

/// The first `most` characters of a text, with a mark where something is left out.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// A text with a mark in the place of every character that cannot be seen.
pub fn masked(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whether a character shows nothing where it stands alone, or changes the order of others.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_ignorable(c) || BLANK.contains(&c) || is_separator(c)
}

/// Begins files of some programs, and shows nothing.
pub const BYTE_ORDER_MARK: char = '\u{feff}';
/// Flags of regions (England, Texas) are this and tags.
const BLACK_FLAG: char = '\u{1f3f4}';
const LAST_TAG: char = '\u{e007f}';
/// Shown as blank, or as nothing, by what they are and not by what Unicode lets be ignored: Braille's blank, the null
/// note head, annotation marks, the stand-in for an object.
const BLANK: [char; 6] = ['\u{2800}', '\u{1d159}', '\u{fff9}', '\u{fffa}', '\u{fffb}', '\u{fffc}'];

fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Default_Ignorable_Code_Point (Unicode 17, DerivedCoreProperties): shown as nothing.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Bidi_Control: changes the order in which others are shown.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is wrong with a character between these two.
fn flaw(before: Option<char>, c: char, after: Option<char>) -> Option<&'static str> {
    if c.is_control() {
        return Some("a control character or line break");
    }
    if is_separator(c) {
        return Some("a line break");
    }
    if is_bidi_control(c) {
        return Some("which changes the order in which text is shown");
    }
    if is_noncharacter(c) {
        return Some("which is no character");
    }
    let fits = match c {
        '\u{200c}' | '\u{200d}' => joins(before, after),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => before.is_some_and(has_variants),
        '\u{180b}'..='\u{180f}' => before.is_some_and(|c| matches!(c, '\u{1820}'..='\u{18aa}')),
        _ => !is_ignorable(c) && !BLANK.contains(&c),
    };
    (!fits).then_some("which shows nothing")
}

/// Whether a joiner, or non-joiner, between these does something: in Persian, in the scripts of India, in emoji.
/// After a mark (a virama) it does so at the end of a word too. Between letters of Latin, Greek or Cyrillic, which
/// never join, it would only make one name look like another.
fn joins(before: Option<char>, after: Option<char>) -> bool {
    let seen = |c: char| !c.is_whitespace() && !is_hidden(c);
    let Some(before) = before else { return false };
    let follows = seen(before) || is_variation(before);
    let mark = is_shaped(before) && is_mark(before);
    follows && (mark || after.is_some_and(|after| seen(after) && (is_shaped(before) || is_shaped(after))))
}

/// Whether a character may have more than one look: an emoji, an ideograph, a digit of a keycap.
fn has_variants(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*' | '©' | '®') || (is_shaped(c) && !is_hidden(c))
}

/// Emoji's and ideographs' (Mongolian has its own).
fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a character is of those in which neighbours change each other's looks: from Hebrew on.
fn is_shaped(c: char) -> bool {
    c >= '\u{590}'
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// What comes after a black flag, without its tags if they end as they should.
fn after_tags(rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let mut tags = rest.clone();
    while let Some(c) = tags.next() {
        match c {
            LAST_TAG => return tags,
            '\u{e0020}'..='\u{e007e}' => {}
            _ => break,
        }
    }
    rest
}
