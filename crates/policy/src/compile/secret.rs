//! What of a text nobody may see, whoever wrote it and wherever it stands: keys, logins in URLs, and words that look
//! random. Mistakes repeat parts of a policy, and terminals and logs of builds are read by many.

use std::ops::Range;

use crate::model::{Link, Realm};

/// The default format's prefixes, looked for in every file.
const PREFIXES: [&str; 2] = ["kw_live_", "kw_test_"];
/// Fewest characters after a prefix that make a key: with fewer it is an example or a pattern.
const MIN_KEY: usize = 16;
/// Fewest characters after a prefix that are not shown: a key may be cut in two, or be shorter than its realm's are.
const MIN_COVERED: usize = 8;
/// A prefix of fewer characters begins words of people's, too: after it, only what is as long as a key is not shown.
const SHORT_PREFIX: usize = 3;
/// A prefix of fewer characters does that within words, and is not looked for with something in between.
const MIN_CUT_PREFIX: usize = 4;
/// From this many letters and digits in a row on, a word that has both may be a secret.
const MIN_RANDOM: usize = 20;

/// What keys look like in this policy.
pub(super) struct Forms(Vec<Form>);

/// A prefix, and the fewest characters that follow it in what is refused as a key: `None` where the realm's format is
/// not known.
struct Form {
    prefix: String,
    refused: Option<usize>,
}

impl Forms {
    /// The default format, those of these realms, and whatever else these files have as a prefix: the realm that it is
    /// for may be one that could not be read.
    pub(super) fn new<'r, 't>(
        realms: impl Iterator<Item = &'r Realm>,
        texts: impl Iterator<Item = &'t str>,
    ) -> Self {
        let default = PREFIXES.map(|prefix| (prefix, Some(MIN_KEY)));
        let own = realms.flat_map(|realm| {
            let characters = usize::from(realm.key.random).max(MIN_KEY);
            let imported = realm.imported.map_or(&[][..], |format| format.prefixes);
            let own = realm.key.prefixes().map(move |prefix| (prefix, Some(characters)));
            own.chain(imported.iter().map(|prefix| (*prefix, None)))
        });
        let written = texts.flat_map(written_prefixes).map(|prefix| (prefix, None));
        let written = written.chain([(Link::SESSION_PREFIX, None)]);
        let mut forms: Vec<Form> = Vec::new();
        for (prefix, refused) in default.into_iter().chain(own).chain(written) {
            match forms.iter_mut().find(|form| form.prefix == prefix) {
                Some(form) if refused.is_some() => form.refused = form.refused.min(refused),
                Some(_) => {}
                None => forms.push(Form { prefix: prefix.to_owned(), refused }),
            }
        }
        Self(forms)
    }

    /// Where a word of a text has the form of a key.
    pub(super) fn keys(&self, text: &str) -> Vec<Range<usize>> {
        let begins_word = |at: usize| {
            let before = text.as_bytes().get(..at).and_then(<[u8]>::last);
            !before.is_some_and(|byte| is_of_word(*byte))
        };
        let forms = self.0.iter().filter_map(|form| Some((form.prefix.as_str(), form.refused?)));
        let found = forms.flat_map(|(prefix, least)| words(text, prefix, least));
        found.filter(|bytes| begins_word(bytes.start)).collect()
    }

    /// A text without what nobody may see.
    pub(super) fn cover(&self, text: &str) -> String {
        cover(text, self.secrets(text))
    }

    /// What nobody may see of a text: in a longer word and in other cases, too, in which a message may have it.
    pub(super) fn secrets(&self, text: &str) -> Vec<Range<usize>> {
        let runs = runs(text);
        let keys = self.0.iter().flat_map(|form| {
            let prefix = fold(&form.prefix);
            runs.iter().filter_map(|run| run.key(&prefix)).collect::<Vec<_>>()
        });
        keys.chain(logins(text)).chain(authorizations(text)).chain(random_words(text)).collect()
    }
}

/// From where `prefix` stands to the end of that word, if it has at least `least` more characters.
fn words(text: &str, prefix: &str, least: usize) -> impl Iterator<Item = Range<usize>> {
    let shortest = prefix.len() + least;
    text.match_indices(prefix).filter_map(move |(start, _)| {
        let length = text.as_bytes().get(start..)?.iter().take_while(|byte| is_of_word(**byte)).count();
        (length >= shortest).then_some(start..start + length)
    })
}

/// Characters of a text of which one key may be made, whatever cuts it in two, folded, and where each stands.
#[derive(Default)]
struct Run {
    folded: String,
    places: Vec<usize>,
}

impl Run {
    /// From this folded prefix to the end, if it begins what may not be shown.
    fn key(&self, prefix: &str) -> Option<Range<usize>> {
        let end = self.places.last()? + 1;
        self.folded.match_indices(prefix).find_map(|(at, _)| {
            let (start, last) = (*self.places.get(at)?, *self.places.get(at + prefix.len() - 1)?);
            let is_cut = last - start >= prefix.len();
            let before = self.places.get(at.wrapping_sub(1)).filter(|before| **before + 1 == start);
            let is_in_word = before.is_some() && !self.folded.get(..at).unwrap_or_default().ends_with('-');
            let is_plain = prefix.len() < SHORT_PREFIX || (is_in_word && prefix.len() < MIN_CUT_PREFIX);
            let least = if is_plain { MIN_KEY } else { MIN_COVERED };
            let is_key = at + prefix.len() + least <= self.places.len();
            (is_key && (!is_cut || prefix.len() >= MIN_CUT_PREFIX)).then_some(start..end)
        })
    }
}

/// The runs of a text. A quotation mark ends one, and so does white space outside double quotes, unless the next word
/// may be the rest of a key. Escapes, characters that nobody sees and white space within quotes do not.
fn runs(text: &str) -> Vec<Run> {
    let mut runs = vec![Run::default()];
    let (mut rest, mut is_quoted) = (text, false);
    while let Some(character) = rest.chars().next() {
        let at = text.len() - rest.len();
        let mut length = character.len_utf8();
        let mut ends = false;
        if let Some(byte) = u8::try_from(character).ok().filter(|byte| is_of_word(*byte)) {
            if let Some(run) = runs.last_mut() {
                run.folded.push_str(&fold(char::from(byte).encode_utf8(&mut [0; 4])));
                run.places.push(at);
            }
        } else if character == '\\' {
            length = escape(rest);
        } else if character.is_whitespace() {
            let next = rest.trim_start();
            length = rest.len() - next.len();
            ends = !is_quoted && is_of_people(next.split(is_gap).next().unwrap_or_default());
        } else if is_gap(character) {
            ends = true;
            is_quoted ^= character == '"';
        }
        if ends {
            runs.push(Run::default());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    runs
}

/// How long the escape is with which this begins.
fn escape(text: &str) -> usize {
    let of_code = text.strip_prefix("\\u{").and_then(|code| code.find('}')).map(|end| end + 4);
    of_code.unwrap_or_else(|| text.chars().take(2).map(char::len_utf8).sum())
}

/// Whether a word has neither digits nor capitals, as few keys have not.
fn is_of_people(word: &str) -> bool {
    !word.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// A text with `…` in place of these bytes.
pub(super) fn cover(text: &str, mut hidden: Vec<Range<usize>>) -> String {
    hidden.sort_unstable_by_key(|bytes| bytes.start);
    let (mut shown, mut at) = (String::new(), 0);
    for bytes in hidden.into_iter().filter(|bytes| !bytes.is_empty()) {
        if bytes.end <= at {
            continue;
        }
        if bytes.start >= at {
            shown.push_str(text.get(at..bytes.start).unwrap_or_default());
            shown.push('…');
        }
        at = bytes.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// Whether a field of this name would hold something that must not stand in a policy.
pub(super) fn looks_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "key" || ["pass", "auth"].iter().any(|word| lower.contains(word)) || speaks_of_secrets(name)
}

/// Where a comment of a line begins that may tell a secret.
pub(super) fn telling_comment(line: &str) -> Option<usize> {
    line.match_indices('#').map(|(at, _)| at).find(|at| line.get(*at..).is_some_and(speaks_of_secrets))
}

fn speaks_of_secrets(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace(['-', ' '], "_");
    let words = [
        "secret",
        "password",
        "passwd",
        "passphrase",
        "token",
        "bearer",
        "pwd",
        "credential",
        "private_key",
        "api_key",
        "apikey",
        "pass:",
        "pass=",
        "pass_=",
        "auth:",
        "auth=",
        "auth_=",
    ];
    words.iter().any(|word| text.contains(word))
}

/// A spelling for comparing, of the same length: messages may have a name in lower case, or with `-` for `_`.
pub(super) fn fold(text: &str) -> String {
    text.to_ascii_lowercase().replace('_', "-")
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What a file's text gives as prefixes of keys and links, read or not.
fn written_prefixes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("prefix").filter_map(|(at, name)| {
        let value = text.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        let length = value.bytes().take_while(|byte| is_of_word(*byte)).count();
        value.get(..length).filter(|prefix| prefix.len() > 1)
    })
}

/// What stands between words.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>' | '…')
}

/// Name and password before a host (RFC 3986, section 3.2.1), and the query of a URL.
fn logins(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for word in text.split(is_gap) {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        let scheme = word.find("://").map(|at| at + 3);
        let login = scheme.unwrap_or_default();
        if let Some(at) = word.rfind('@').filter(|at| *at > login) {
            // Without a scheme and a password it is somebody's address, or a version.
            let has_password = word.get(login..at).is_some_and(|login| login.contains(':'));
            if scheme.is_some() || has_password {
                found.push(start + login..start + at + 1);
            }
        }
        if let Some(at) = word.find('?').filter(|at| scheme.is_some_and(|scheme| *at >= scheme)) {
            found.push(start + at + 1..start + word.len());
        }
    }
    found
}

/// What follows a scheme of `Authorization` (RFC 9110, section 11.6.2), unless it is a word of people's.
fn authorizations(text: &str) -> Vec<Range<usize>> {
    let folded = fold(text);
    let schemes = ["bearer ", "basic "].into_iter();
    let starts = schemes.flat_map(|scheme| folded.match_indices(scheme).map(|(at, _)| at + scheme.len()));
    let credential = |start: usize| {
        let word = text.get(start..)?.split(is_gap).next()?;
        (!is_of_people(word)).then_some(start..start + word.len())
    };
    starts.filter_map(credential).collect()
}

/// Words in which letters and digits stand in a row that is longer than people write: tokens, hashes, base64.
fn random_words(text: &str) -> Vec<Range<usize>> {
    let is_of_token = |byte: u8| is_of_word(byte) || matches!(byte, b'+' | b'/' | b'=');
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let run = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let row = rest.get(..run).unwrap_or_default();
        // A number with its unit is none.
        let letters = row.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        let is_mixed = letters > 1 && letters < run;
        if run >= MIN_RANDOM && is_mixed {
            let before = bytes.get(..at).unwrap_or_default();
            let start = at - before.iter().rev().take_while(|byte| is_of_token(**byte)).count();
            let end = at + rest.iter().take_while(|byte| is_of_token(**byte)).count();
            found.push(start..end);
            at = end;
        } else {
            at += run.max(1);
        }
    }
    found
}
