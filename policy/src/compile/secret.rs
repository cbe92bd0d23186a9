//! Keys that stand in a policy file: refused, and never shown.

use std::ops::Range;

use super::mistake::Report;
use crate::model::Realm;

/// The default prefixes, looked for in every file.
const PREFIXES: &[&str] = &["kw_live_", "kw_test_"];
/// A prefix with fewer characters after it is an example or a pattern, not a key.
const LEAST: usize = 16;

/// Where the text (comments too) has something with the form of a key.
pub(super) fn find(text: &str, realms: &[Realm]) -> Vec<Range<usize>> {
    let own = realms.iter().flat_map(|realm| [Some(realm.key.live_prefix), realm.key.test_prefix]).flatten();
    let mut prefixes: Vec<&str> = PREFIXES.iter().copied().chain(own).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut found = Vec::new();
    for prefix in prefixes {
        for (start, _) in text.match_indices(prefix) {
            let rest = text.get(start + prefix.len()..).unwrap_or_default();
            let length =
                rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)).count();
            if length >= LEAST {
                found.push(start..start + prefix.len() + length);
            }
        }
    }
    found
}

/// Notes it.
pub(super) fn refuse(place: &Range<usize>, report: &Report<'_>) {
    report.add(
        place,
        "there is an API key in the policy",
        "take it out of the file and revoke it, since it may have been seen; a policy holds no secrets",
    );
}
