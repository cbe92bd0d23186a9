//! Credentials in URLs, where logs and histories keep them. Only what can be a credential of the realm counts: a
//! URL of the origin's own has words that begin like keys, and parameters with names like theirs.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use keyward_policy::{Link, Realm};
use percent_encoding::percent_decode_str;

use crate::static_keys;
use keyward_core::{
    key,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
};

/// Fewest characters of a key of the policy's own that are looked at: less is no 128 bits.
const LEAST_CONFIGURED: usize = 16;

/// Whether the URL holds a key or token of this realm, or has a parameter that the policy refuses by its name.
/// Percent-encoding is undone, however often it was applied.
pub fn is_in_url(realm: &Realm, target: RequestTarget<'_>, secrets: Option<&Secrets>) -> bool {
    let named = || {
        // Some servers part at `;` too.
        target.query.split(['&', ';']).filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
            let name = decoded(name);
            !value.is_empty()
                && realm.forbidden_query_parameters.iter().any(|parameter| is_name(&name, parameter))
        })
    };
    let holds = |text: &str| readings(text).any(|text| holds_credential(realm, &text, secrets));
    named() || holds(target.path) || holds(target.query)
}

/// Whether a server may read a parameter's name as this one: PHP takes signs (`api.key`, `api+key`) for `_`.
fn is_name(name: &str, parameter: &str) -> bool {
    let sign = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    let read = |text: &str| {
        text.trim_start_matches([' ', '+'])
            .bytes()
            .map(sign)
            .eq(parameter.trim_start_matches([' ', '+']).bytes().map(sign))
    };
    name.eq_ignore_ascii_case(parameter) || read(name)
}

/// Whether text holds what has the form of a key or token of this realm.
pub(super) fn holds_credential(realm: &Realm, text: &str, secrets: Option<&Secrets>) -> bool {
    let least = usize::from(realm.key.random) + usize::from(realm.key.checksum);
    holds_key(least, &|text| key::appears_in(&realm.key, secrets, text), text)
        || realm
            .imported
            .is_some_and(|format| holds_key(format.min_length.into(), &|text| format.appears_in(text), text))
        || realm.issuers().any(|issuer| holds_token_of(issuer.issuer, text))
        || holds_static_key(realm, text)
}

/// Whether the URL holds the token of a link, on a route where none is exchanged.
pub fn is_link_in_url(link: &Link, target: RequestTarget<'_>, secrets: Option<&Secrets>) -> bool {
    [target.path, target.query]
        .into_iter()
        .flat_map(readings)
        .any(|text| key::appears_in(&link.token(), secrets, &text))
}

/// A key as it is, or in base64 as in Basic (RFC 7617).
fn holds_key(least: usize, appears_in: &dyn Fn(&str) -> bool, text: &str) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let least = least * 4 / 3;
    let in_base64 = |of_base64: fn(u8) -> bool| {
        // Bytes of no other character are those of ASCII, so text is parted between characters.
        let runs = text.as_bytes().split(|byte| !of_base64(*byte)).filter(|run| run.len() > least);
        runs.filter_map(|run| str::from_utf8(run).ok()).any(|run| {
            // Of a run that is no whole number of bytes the last character says nothing.
            let whole = run.len() - usize::from(run.len() % 4 == 1);
            let plain = run.get(..whole).unwrap_or_default().replace('+', "-").replace('/', "_");
            LENIENT.decode(plain).is_ok_and(|bytes| appears_in(&String::from_utf8_lossy(&bytes)))
        })
    };
    let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let standard = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // Most text is too short for one.
    let is_long = text.len() > least;
    appears_in(text) || is_long && (in_base64(url_safe) || in_base64(standard))
}

/// A token in its compact form (RFC 7515, section 7.1) that says it is this issuer's: three parts, of which the
/// middle one holds the claims.
fn holds_token_of(issuer: &str, text: &str) -> bool {
    let of_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let of_token = |character: char| of_part(character) || character == '.';
    let says_so = |part: &str| {
        let claims = URL_SAFE_NO_PAD.decode(part).ok();
        let claims = claims.and_then(|bytes| keyward_json::parse(str::from_utf8(&bytes).ok()?).ok());
        claims.is_some_and(|claims| claims.get("iss").and_then(|iss| iss.as_str()) == Some(issuer))
    };
    // Most text has no full stop.
    text.contains('.')
        && text.split(|character| !of_token(character)).any(|run| {
            let Some((_, rest)) = run.split_once('.') else { return false };
            let mut parts = rest.split('.').peekable();
            let claims = std::iter::from_fn(|| parts.next().filter(|_| parts.peek().is_some()));
            claims.into_iter().any(says_so)
        })
}

/// A key of the policy's own, whose form only its hash knows: each word of the text.
fn holds_static_key(realm: &Realm, text: &str) -> bool {
    let ends_word = |character: char| character.is_whitespace() || "/?&=;,+\"'".contains(character);
    !realm.static_keys.is_empty()
        && text
            .split(ends_word)
            .filter(|word| word.len() >= LEAST_CONFIGURED)
            .any(|word| static_keys::find(realm, &Secret::new(word)).is_some())
}

/// How servers may read text with percent-encoding: those that undo it once, and those that do until nothing is left.
fn readings(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let is_encoded = text.contains('%');
    let once = is_encoded.then(|| percent_decode_str(text).decode_utf8_lossy());
    once.into_iter().chain([if is_encoded { decoded(text) } else { Cow::Borrowed(text) }])
}

/// Text without percent-encoding, however often it was encoded, and whichever of its characters: `%252D` and `%25%32%44`
/// are what `%2D` is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        bytes.push(byte);
        // What was decoded may belong to another one.
        while let Some((before, [b'%', high, low])) = bytes.split_last_chunk::<3>()
            && let Some(byte) = byte_of(*high, *low)
        {
            let length = before.len();
            bytes.truncate(length);
            bytes.push(byte);
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte that two hexadecimal digits stand for.
fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
