//! `[realm.key]`: what a key looks like and how it is stored.

use super::reader::{Item, Table};
use crate::{
    leak::leak,
    model::{Alphabet, Hash, KeyFormat, TenantPart},
};

/// Entropy that no key may fall below, in bits: guessing stays hopeless at any rate of requests.
const MIN_BITS: f64 = 128.0;
pub(super) const MAX_RANDOM: u32 = 128;
/// A shorter checksum is found by chance too often to keep forged keys from costing a read.
const MIN_CHECKSUM: u32 = 4;
pub(super) const MAX_CHECKSUM: u32 = 10;
const MAX_PREFIX: usize = 32;
/// How many random characters the visible prefix has, where the key is long enough.
const VISIBLE: u32 = 4;

pub(super) const DEFAULT: KeyFormat = KeyFormat {
    live_prefix: "kw_live_",
    test_prefix: Some("kw_test_"),
    tenant: None,
    random: 30,
    alphabet: Alphabet::Base62,
    checksum: 6,
    visible: 4,
    hash: Hash::Sha256,
};

pub(super) const ALPHABETS: [(&str, Alphabet); 3] =
    [("base62", Alphabet::Base62), ("base64url", Alphabet::Base64Url), ("hex", Alphabet::Hex)];
pub(super) const TENANT_PARTS: [(&str, TenantPart); 2] = [("code", TenantPart::Code), ("id", TenantPart::Id)];
pub(super) const HASHES: [(&str, Hash); 2] = [("sha256", Hash::Sha256), ("hmac-sha256", Hash::HmacSha256)];

/// Reads the section, or its defaults; `None` where what keys look like cannot be read.
pub(super) fn read(item: Option<Item<'_>>) -> Option<KeyFormat> {
    let Some(item) = item else { return Some(DEFAULT) };
    let table = item.table("[realm.key]")?;
    let prefixes = prefixes(&table);
    let alphabet = table.get("alphabet").map_or(Some(DEFAULT.alphabet), |item| item.choice(&ALPHABETS));
    let tenant = table.get("tenant").and_then(|item| item.choice(&TENANT_PARTS));
    let hash = table.get("hash").and_then(|item| item.choice(&HASHES)).unwrap_or(DEFAULT.hash);
    // How many characters there are to be depends on the alphabet, and how many of them are visible on those.
    let alphabet = alphabet?;
    let random = random(&table, alphabet);
    let checksum = small(checksum(&table, alphabet));
    let visible = small(visible(&table, alphabet, random?, tenant));
    let (live_prefix, test_prefix) = prefixes?;
    Some(KeyFormat {
        live_prefix,
        test_prefix,
        tenant,
        random: small(random?),
        alphabet,
        checksum,
        visible,
        hash,
    })
}

/// Every number here was checked against a bound below 256.
fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The prefixes of live and test keys; `None` where one cannot be read.
fn prefixes(table: &Table<'_>) -> Option<(&'static str, Option<&'static str>)> {
    let live_item = table.need("live_prefix", "live_prefix = \"kw_live_\"");
    let test_item = table.get("test_prefix");
    let live = live_item.as_ref().and_then(prefix);
    let test = test_item.as_ref().and_then(prefix);
    match (live, test, &test_item, &live_item) {
        (Some(live), Some(test), Some(item), _) if live == test => item.refuse(
            "live and test keys have the same prefix",
            "choose two, like \"kw_live_\" and \"kw_test_\"",
        ),
        (Some(live), Some(test), Some(item), _) if live.starts_with(test) || test.starts_with(live) => item
            .refuse(
                "one of the prefixes of live and test keys is the beginning of the other",
                "choose two that differ before either ends, like \"kw_live_\" and \"kw_test_\"",
            ),
        (Some(live), None, None, Some(item)) if live.contains("live") => item.refuse(
            "test keys would begin with live_prefix too, since there is no test_prefix",
            "add one with `test` in place of `live`, like \"kw_test_\" for \"kw_live_\"",
        ),
        _ => {}
    }
    (test.is_some() || test_item.is_none()).then_some((live?, test))
}

fn prefix(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"kw_live_\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > MAX_PREFIX || !text.bytes().all(plain) {
        item.refuse(
            // Somebody may have put a whole key here.
            format!("{} cannot begin a key", item.name),
            format!("use 1 to {MAX_PREFIX} letters, digits, `_` and `-`, like \"kw_live_\""),
        );
        return None;
    }
    Some(leak(text))
}

/// How many random characters there are; `None` where that cannot be read.
fn random(table: &Table<'_>, alphabet: Alphabet) -> Option<u32> {
    let Some(item) = table.get("random") else {
        return Some(if alphabet == Alphabet::Hex { 32 } else { DEFAULT.random.into() });
    };
    let random = item.number("characters")?;
    let least = least_random(alphabet);
    if alphabet == Alphabet::Base64Url && random % 4 == 1 {
        item.refuse(
            format!("{} is {random} characters, which no number of bytes has in base64url", item.name),
            format!("use {} or {} characters", random - 1, random + 1),
        );
    } else if random < least {
        item.refuse(
            format!(
                "{} is {random} characters, which is {:.0} bits of entropy",
                item.name,
                bits(alphabet, random)
            ),
            format!("at least 128 bits are needed: {least} characters of this alphabet"),
        );
        return None;
    }
    Some(random)
}

fn checksum(table: &Table<'_>, alphabet: Alphabet) -> u32 {
    let Some(item) = table.get("check") else {
        return if alphabet == Alphabet::Hex { 0 } else { DEFAULT.checksum.into() };
    };
    let Some(checksum) = item.number("characters") else { return DEFAULT.checksum.into() };
    if checksum > 0 && checksum < MIN_CHECKSUM {
        item.refuse(
            format!("{} is {checksum}, so short that forged keys often have the right one", item.name),
            format!("use 0 for none, or {MIN_CHECKSUM} to {MAX_CHECKSUM}"),
        );
    } else if checksum > 0 && alphabet == Alphabet::Hex {
        item.refuse(
            format!("{} is {checksum}, but check characters are base62 and the alphabet is hex", item.name),
            "use check = 0, or alphabet = \"base62\"",
        );
    }
    checksum
}

fn visible(table: &Table<'_>, alphabet: Alphabet, random: u32, tenant: Option<TenantPart>) -> u32 {
    let most = random.saturating_sub(least_random(alphabet));
    // A tenant's part tells keys apart well enough.
    let default = if tenant.is_some() { 0 } else { most.min(VISIBLE) };
    let Some(item) = table.get("shown") else { return default };
    let Some(visible) = item.number("characters") else { return 0 };
    if visible > most {
        item.refuse(
            format!("{} is {visible}, which leaves less than 128 bits of the key unseen", item.name),
            format!("show at most {most} of {random} random characters, or make `random` larger"),
        );
    }
    visible
}

/// Fewest characters that carry [`MIN_BITS`].
fn least_random(alphabet: Alphabet) -> u32 {
    least_of_bits(alphabet, MIN_BITS)
}

/// Fewest characters that carry this entropy.
pub(super) fn least_of_bits(alphabet: Alphabet, least: f64) -> u32 {
    (1..=MAX_RANDOM).find(|&count| bits(alphabet, count) >= least).unwrap_or(MAX_RANDOM)
}

/// The entropy of this number of characters, in whole bits.
pub(super) fn bits(alphabet: Alphabet, count: u32) -> f64 {
    match alphabet {
        // The signs of token68 are counted for nothing: in many keys they only separate or pad.
        Alphabet::Base62 | Alphabet::Token68 => (f64::from(count) * 62_f64.log2()).floor(),
        // Whole bytes, so that the last character may carry less.
        Alphabet::Base64Url => f64::from(count * 6 / 8 * 8),
        Alphabet::Hex => f64::from(count * 4),
    }
}
