//! `[realm.imported]`: keys that were made elsewhere.

use super::{
    key::{bits, least_of_bits},
    reader::{Item, Table},
};
use crate::{
    leak::leak,
    model::{Alphabet, ImportedFormat, Link},
};

/// Entropy that such a key may have at the least, in bits: less than of one that is made here, since nobody can make them
/// anew, and still more than anybody can guess at the gate.
const MIN_BITS: f64 = 112.0;
pub(super) const MAX_LENGTH: u32 = 250;
/// A shorter one begins many a word in a URL.
const PREFIX: std::ops::RangeInclusive<usize> = 3..=32;

/// What ids of the admin API begin with.
const OF_IDS: [&str; 6] = ["key_", "ses_", "inv_", "mem_", "link_", "pky_"];

pub(super) const ALPHABETS: [(&str, Alphabet); 4] = [
    ("base64url", Alphabet::Base64Url),
    ("base62", Alphabet::Base62),
    ("hex", Alphabet::Hex),
    ("token68", Alphabet::Token68),
];

/// Reads the section, if there is one.
pub(super) fn read(item: Option<Item<'_>>, link: Option<&Link>) -> Option<ImportedFormat> {
    let table = item?.table("[realm.imported]")?;
    let prefixes = prefixes(&table, link);
    let alphabet = table.get("alphabet").map_or(Some(Alphabet::Base64Url), |item| item.choice(&ALPHABETS))?;
    let least = table.need("min_length", "min_length = 32").and_then(|item| min_length(&item, alphabet))?;
    let max_length = table.get("max_length").map_or(Some(least), |item| {
        let most = item.number("characters")?;
        if most < least {
            item.refuse(
                format!("{} is {most}, less than min_length", item.name),
                format!("use {least} to {MAX_LENGTH}, or leave it out where all keys have the same length"),
            );
        }
        Some(most)
    })?;
    let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    Some(ImportedFormat { prefixes, min_length: small(least), max_length: small(max_length), alphabet })
}

fn prefixes(table: &Table<'_>, link: Option<&Link>) -> &'static [&'static str] {
    let items = table.get("prefixes").and_then(|item| item.items("[\"sk_live_\"]")).unwrap_or_default();
    Vec::leak(items.iter().filter_map(|item| prefix(item, link)).collect())
}

fn prefix(item: &Item<'_>, link: Option<&Link>) -> Option<&'static str> {
    let text = item.text("\"sk_live_\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !PREFIX.contains(&text.len()) || !text.bytes().all(plain) {
        item.refuse(
            // Somebody may have put a whole key here.
            format!("{} has an entry that cannot begin a key", item.name),
            "use 3 to 32 letters, digits, `_`, `-` and `.`, like \"sk_live_\"; without `prefixes` keys may begin with anything",
        );
        return None;
    }
    let is_like = |other: &str| other.starts_with(text) || text.starts_with(other);
    if OF_IDS.into_iter().any(is_like) {
        item.refuse(
            "a prefix of imported keys is one of ids, which stand in URLs of the admin API",
            "leave `prefixes` out: keys may then begin with anything, and none of them is looked for in URLs",
        );
    }
    if link.map(|link| link.prefix).into_iter().chain([Link::SESSION_PREFIX]).any(is_like) {
        item.refuse(
            "a prefix of imported keys and one of the realm's links or sessions cannot be told apart",
            "choose another `prefix` in [realm.link]",
        );
    }
    Some(leak(text))
}

fn min_length(item: &Item<'_>, alphabet: Alphabet) -> Option<u32> {
    let length = item.number("characters")?;
    let least = least_of_bits(alphabet, MIN_BITS);
    if length < least {
        item.refuse(
            format!("{} is {length}: keys of {:.0} bits could be guessed", item.name, bits(alphabet, length)),
            format!("at least {least} characters of this alphabet, after the prefix; replace shorter keys by new ones"),
        );
        return None;
    }
    Some(length)
}
