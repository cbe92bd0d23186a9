//! `[realm.link]`: links whose token becomes a session.

use super::{
    credential::is_token,
    reader::{Item, Table},
    units::in_seconds,
};
use crate::{
    leak::leak,
    model::{KeyFormat, Link},
    span::Span,
};

/// The admin page's own cookie.
pub(super) const ADMIN_COOKIE: &str = "__Host-keyward-session";
const LIFE: Span = Span::from_mins(15);
const SESSION_LIFE: Span = Span::from_hours(1);
pub(super) const MIN_LIFE: Span = Span::from_secs(1);
/// A link travels through other people's systems, and a session cannot be taken back.
pub(super) const MAX_LIFE: Span = Span::from_hours(1);
pub(super) const MAX_SESSION_LIFE: Span = Span::from_hours(24);

/// Reads the section, if there is one.
pub(super) fn read(item: Option<Item<'_>>, key: Option<&KeyFormat>) -> Option<Link> {
    let table = item?.table("[realm.link]")?;
    let parameter = table.need("parameter", "parameter = \"token\"").and_then(|item| parameter(&item));
    let prefix = table.need("prefix", "prefix = \"st_\"").and_then(|item| prefix(&item, key));
    let cookie = table.need("cookie", "cookie = \"__Host-session\"").and_then(|item| cookie(&item));
    let life = span(&table, "life").unwrap_or(LIFE);
    let session_life = span(&table, "session_life").unwrap_or(SESSION_LIFE);
    Some(Link { parameter: parameter?, prefix: prefix?, life, cookie: cookie?, session_life })
}

fn span(table: &Table<'_>, field: &str) -> Option<Span> {
    table.get(field)?.span().map(in_seconds)
}

fn parameter(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"token\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || !text.bytes().all(plain) {
        item.refuse(
            format!("{} is {text:?}, which is not a parameter's name", item.name),
            "use letters, digits, `-` and `_`, like \"token\"",
        );
        return None;
    }
    Some(leak(text))
}

fn prefix(item: &Item<'_>, key: Option<&KeyFormat>) -> Option<&'static str> {
    let text = item.text("\"st_\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || text.len() > 16 || !text.bytes().all(plain) {
        item.refuse(
            format!("{} cannot begin a token", item.name),
            "use 1 to 16 letters, digits and `_`, like \"st_\"",
        );
        return None;
    }
    let taken = key.into_iter().flat_map(KeyFormat::prefixes).chain([Link::SESSION_PREFIX]);
    if taken.into_iter().any(|other| other.starts_with(text) || text.starts_with(other)) {
        item.refuse(
            "the prefix of tokens and one of keys or sessions cannot be told apart",
            "choose two that differ before either ends, like \"st_\" and \"kw_live_\"",
        );
    }
    Some(leak(text))
}

fn cookie(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"__Host-session\"")?;
    if !text.starts_with("__Host-") || !is_token(text) || text.eq_ignore_ascii_case(ADMIN_COOKIE) {
        item.refuse(
            format!("{} is {text:?}, which cannot name the session's cookie", item.name),
            format!(
                "begin with `__Host-`, which browsers take from this host over HTTPS only; {ADMIN_COOKIE:?} is the admin page's"
            ),
        );
        return None;
    }
    Some(leak(text))
}
