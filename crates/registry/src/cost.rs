//! As how many calls a call counts ([`crate::rates`]). An ordinary one costs the Registry, which does nothing else
//! meanwhile, about a millisecond; one that may cost a multiple of that counts as that many calls.

use crate::keys::list;

/// It derives a password, some 30 ms. Not so where people sign in: that has bounds of its own
/// ([`crate::throttle`]), and a whole office does it at once.
const DERIVES: u32 = 10;
/// It hashes a thousand entries.
const VERIFIES: u32 = 20;
/// It goes through all of a tenant's keys.
const SEARCHES: u32 = 10;
/// It counts all of a tenant's keys and links, or goes through the usage of years.
const COUNTS: u32 = 5;
/// It counts the keys, in an index, beside what it does.
const COUNTS_KEYS: u32 = 2;
/// It changes all of a tenant's keys.
const CHANGES_ALL: u32 = 20;

/// Of a call.
pub fn of(method: &str, path: &str, query: &str) -> u32 {
    let below = |base: &str| path.strip_prefix(base).is_some_and(|id| !id.is_empty());
    match method {
        "GET" | "HEAD" => match path {
            "/audit/verify" => VERIFIES,
            "/api-keys" if list::looks_for_something(query) => SEARCHES,
            "/quotas" => COUNTS,
            _ if below("/tenants/") || path.ends_with("/usage") => COUNTS,
            _ => 1,
        },
        "POST" if matches!(path, "/session/step-up" | "/members" | "/tenants") => DERIVES,
        "POST" if path == "/api-keys" || path.ends_with("/rotate") => COUNTS_KEYS,
        "PATCH" if below("/members/") => DERIVES,
        "PATCH" if below("/tenants/") => CHANGES_ALL,
        _ => 1,
    }
}
