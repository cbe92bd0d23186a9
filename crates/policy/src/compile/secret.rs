//! Keys that stand in a policy file: refused, and never shown.

use std::ops::Range;

use super::mistake::Source;
use crate::model::Realm;

/// The default format's prefixes, looked for in every file.
const PREFIXES: [&str; 2] = ["kw_live_", "kw_test_"];
/// With fewer characters after it a prefix is an example or a pattern, not a key.
const LEAST: usize = 16;

/// Where the text (comments too) has something with the form of a key: of the default format, or
/// of one of these realms.
pub(super) fn find<'r>(text: &str, realms: impl Iterator<Item = &'r Realm>) -> Vec<Range<usize>> {
    let own = realms.flat_map(|realm| {
        let prefixes = [Some(realm.key.live_prefix), realm.key.test_prefix];
        prefixes.into_iter().flatten().map(|prefix| (prefix, usize::from(realm.key.random).max(LEAST)))
    });
    let mut forms: Vec<(&str, usize)> =
        PREFIXES.map(|prefix| (prefix, LEAST)).into_iter().chain(own).collect();
    forms.sort_unstable();
    forms.dedup_by_key(|(prefix, _)| *prefix);
    forms.into_iter().flat_map(|(prefix, least)| keys(text, prefix, least)).collect()
}

/// Where a word begins with `prefix` and has at least `least` more characters.
fn keys(text: &str, prefix: &str, least: usize) -> impl Iterator<Item = Range<usize>> {
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.match_indices(prefix).filter_map(move |(start, _)| {
        let begins_word = !text.as_bytes().get(..start)?.last().is_some_and(of_word);
        let length = text.as_bytes().get(start..)?.iter().take_while(|byte| of_word(byte)).count();
        (begins_word && length >= prefix.len() + least).then_some(start..start + length)
    })
}

/// Notes it.
pub(super) fn refuse(place: &Range<usize>, source: &Source<'_>) {
    source.report.hide(source.text.get(place.clone()).unwrap_or_default());
    // An excerpt may end within it, where its text is not found as a whole.
    source.report.mask(source.file, place.clone());
    source.refuse(
        place,
        "there is an API key in the policy",
        "take it out of the file and revoke it, since it may have been seen; a policy holds no secrets",
    );
}
