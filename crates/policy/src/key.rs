//! What a key looks like, as far as that can be checked without the deployment's secret.

use crate::model::{Alphabet, ImportedFormat, KeyFormat, TenantPart};

/// Characters of a tenant's id that stand in a key.
pub const ID_PART: usize = 8;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";
const TOKEN68: &[u8; 69] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";

impl Alphabet {
    /// Its characters, in the order of their values.
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Base62 => BASE62,
            Self::Base64Url => BASE64URL,
            Self::Hex => HEX,
            Self::Token68 => TOKEN68,
        }
    }
}

impl TenantPart {
    fn is(self, text: &str) -> bool {
        match self {
            Self::Id => text.len() == ID_PART && text.bytes().all(|byte| HEX.contains(&byte)),
            Self::Code => is_tenant_code(text),
        }
    }
}

/// Whether text may be a tenant's code: what may stand in a key before a `_` and as a label of a host's
/// name (RFC 1123, section 2.1).
pub fn is_tenant_code(text: &str) -> bool {
    (2..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl KeyFormat {
    /// What keys begin with.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.live_prefix).chain(self.test_prefix)
    }

    /// What follows the prefix of a key; `None` if none of them is there.
    pub fn after_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        self.prefixes().find_map(|prefix| key.strip_prefix(prefix))
    }

    /// A key at the beginning of `text`, and what follows it: `None` unless prefix, tenant's part, length and
    /// alphabet are a key's.
    pub fn split<'k>(&self, text: &'k str) -> Option<(&'k str, &'k str)> {
        let after = self.after_prefix(text)?;
        let rest = match self.tenant {
            None => after,
            Some(part) => after.split_once('_').filter(|(tenant, _)| part.is(tenant))?.1,
        };
        let (random, checksum) = (usize::from(self.random), usize::from(self.checksum));
        let characters = rest.as_bytes().get(..random + checksum)?;
        let (random, checksum) = characters.split_at_checked(random)?;
        let fits = random.iter().all(|byte| self.alphabet.characters().contains(byte))
            && checksum.iter().all(u8::is_ascii_alphanumeric);
        fits.then(|| text.split_at_checked(text.len() - rest.len() + characters.len())).flatten()
    }

    /// Whether a key stands somewhere in `text`. `is_keyed` looks at the checksum of what has a key's form:
    /// then nothing else needs to be looked at. Without it, as where there is no checksum, a key is one that
    /// begins where a word does and is not part of something longer, unless that looks random too: words have
    /// letters of one case.
    pub fn appears_in(&self, text: &str, is_keyed: Option<&dyn Fn(&str) -> bool>) -> bool {
        let is_one = |at: usize| {
            let Some((before, (key, after))) =
                text.split_at_checked(at).and_then(|(before, rest)| Some((before, self.split(rest)?)))
            else {
                return false;
            };
            if let Some(is_keyed) = is_keyed.filter(|_| self.checksum > 0) {
                return is_keyed(key);
            }
            let goes_on = after.bytes().next().is_some_and(|byte| self.alphabet.characters().contains(&byte));
            let random = key.len() - usize::from(self.random) - usize::from(self.checksum);
            let random = key.get(random..).unwrap_or_default();
            let mixed = random.bytes().any(|byte| byte.is_ascii_uppercase())
                && random.bytes().any(|byte| byte.is_ascii_lowercase());
            !before.ends_with(|last: char| last.is_ascii_alphanumeric()) && (!goes_on || mixed)
        };
        self.prefixes().any(|prefix| starts(text, prefix).any(is_one))
    }
}

impl ImportedFormat {
    /// What may follow the prefix of a key: once for each prefix that it begins with.
    pub fn after_prefix<'k>(&self, key: &'k str) -> impl Iterator<Item = &'k str> {
        let any = self.prefixes.is_empty().then_some(key);
        any.into_iter().chain(self.prefixes.iter().filter_map(move |prefix| key.strip_prefix(prefix)))
    }

    /// Whether text has the form of such a key.
    pub fn is_one(&self, text: &str) -> bool {
        let lengths = usize::from(self.min_length)..=usize::from(self.max_length);
        self.after_prefix(text).any(|rest| lengths.contains(&rest.len()) && self.is_made_of(rest))
    }

    /// Whether text is made of the characters that follow a prefix.
    pub fn is_made_of(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.alphabet.characters().contains(&byte))
    }

    /// Whether a key stands somewhere in `text`: a prefix at the beginning of a word, and what looks random after it. Of keys
    /// without a prefix nobody can tell.
    pub fn appears_in(&self, text: &str) -> bool {
        let is_one = |at: usize, prefix: &str| {
            let Some((before, rest)) = text.split_at_checked(at) else { return false };
            let rest = rest.get(prefix.len()..).unwrap_or_default();
            let end = rest.find(|letter: char| !self.is_made_of(letter.encode_utf8(&mut [0; 4])));
            let run = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
            let random =
                has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
            random
                && run.len() >= self.min_length.into()
                && !before.ends_with(|last: char| last.is_ascii_alphanumeric())
        };
        self.prefixes.iter().any(|prefix| starts(text, prefix).any(|at| is_one(at, prefix)))
    }
}

/// Where `prefix`, which is ASCII, stands in `text`, also where it overlaps itself.
fn starts<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = usize> + 't {
    let next = move |from: usize| text.get(from..)?.find(prefix).map(|at| from + at);
    std::iter::successors(next(0), move |at| next(at + 1))
}
