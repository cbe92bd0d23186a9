//! Scopes: `area:action`, or as an issuer writes them (`Orders.Read`, `orders:items:read`), and the one rule by which a key's
//! scopes answer for a required one.
//!
//! A key may hold a scope, `area:*` (every scope of that area, `orders:*` or `orders:items:*`) or `*` (every scope). Nothing
//! else is a wildcard: `*:read`, `orders:r*` and `**` grant nothing. What a held scope covers also counts
//! with everything that the realm's catalogue says it includes.
//!
//! Scopes of a token are its issuer's words, to which no standard gives wildcards: what would be one is left
//! out before it is asked what they hold.

use crate::model::{Grant, Scope};

/// Scopes that the admin API asks of a key.
pub const OF_ADMIN_API: [&str; 3] = ["admin:read", "admin:write", "links:write"];

/// Longest scope there may be, in characters. Bounds what a record, a token and a log line hold.
pub const MAX_LENGTH: usize = 64;

/// Whether `text` is a scope: names with `:` between, of letters, digits, `_`, `.`, `-` and `/`, at most [`MAX_LENGTH`]. It
/// begins with a letter or digit; a name after it may begin with a `/`, too. A part of what RFC 6749 (section 3.3) allows.
pub fn is_scope(text: &str) -> bool {
    text.len() <= MAX_LENGTH && !text.starts_with('/') && text.split(':').all(is_name)
}

/// The areas that a scope is in, the widest first: `orders` and `orders:items` of `orders:items:read`.
pub fn areas(scope: &str) -> impl Iterator<Item = &str> {
    scope.match_indices(':').filter_map(move |(at, _)| scope.get(..at))
}

/// Whether `text` has the form of a wildcard on a key.
pub fn is_wildcard(text: &str) -> bool {
    text == "*" || text.ends_with(":*")
}

/// Whether `text` may stand on a key: a scope, `area:*` or `*`.
pub fn is_held_form(text: &str) -> bool {
    text == "*"
        || is_scope(text)
        || (text.len() <= MAX_LENGTH && text.strip_suffix(":*").is_some_and(is_scope))
}

/// Whether a scope is the admin API's by its meaning, whatever a catalogue says of it: one that it asks for, or another
/// of the area `admin`, which a later version may ask for. Only a tenant's admin grants such a scope.
pub fn is_admin(scope: &str) -> bool {
    OF_ADMIN_API.contains(&scope) || scope.starts_with("admin:")
}

/// Whether only a tenant's admin may put `held` on a key: it covers a scope that [is the admin API's](is_admin), or one
/// that the catalogue keeps for admins.
pub fn needs_admin(catalogue: &[Scope], held: &str) -> bool {
    let kept = catalogue.iter().filter(|scope| scope.grant == Grant::Admin || is_admin(scope.name));
    kept.into_iter().any(|scope| holds(catalogue, &[held], scope.name))
}

/// Whether a key that holds `held` has the scope `required`, in a realm with this catalogue.
/// Something that is not a scope, or is reserved, is never held, whatever the key holds.
pub fn holds<S: AsRef<str>>(catalogue: &[Scope], held: &[S], required: &str) -> bool {
    let reserved = catalogue.iter().any(|scope| scope.name == required && scope.grant == Grant::Reserved);
    is_scope(required) && !reserved && held.iter().any(|held| answers_for(catalogue, held.as_ref(), required))
}

/// Whether one held scope has `required`, by itself or through what the catalogue includes in it.
fn answers_for(catalogue: &[Scope], held: &str, required: &str) -> bool {
    covers(held, required)
        || catalogue.iter().any(|scope| covers(held, scope.name) && scope.includes.contains(&required))
}

/// Whether `held` covers `scope` by its form alone, so whatever the catalogue lists, now or later. `scope` may be a
/// wildcard itself.
pub fn covers(held: &str, scope: &str) -> bool {
    held == "*"
        || held == scope
        || held
            .strip_suffix(":*")
            .is_some_and(|area| scope.strip_prefix(area).is_some_and(|rest| rest.starts_with(':')))
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/';
    let mut bytes = text.bytes();
    bytes.next().is_some_and(plain) && bytes.all(|byte| plain(byte) || matches!(byte, b'_' | b'.' | b'-'))
}
