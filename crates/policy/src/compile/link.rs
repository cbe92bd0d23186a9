//! `[realm.link]`: links whose token becomes a session.

use super::{
    credential::is_token,
    leak,
    reader::{Item, Table},
};
use crate::model::{KeyFormat, Link};

/// The admin page's own cookie.
const ADMIN_COOKIE: &str = "__Host-keyward-session";
/// In seconds: a quarter of an hour and an hour.
const LIFE: u32 = 15 * 60;
const SESSION_LIFE: u32 = 3_600;
/// In milliseconds: an hour and a day. A link travels through other people's systems, and a session cannot be
/// taken back.
pub(super) const LONGEST_LIFE_MS: u32 = 3_600_000;
pub(super) const LONGEST_SESSION_MS: u32 = 24 * 3_600_000;

/// Reads the section, if there is one.
pub(super) fn read(item: Option<Item<'_>>, key: Option<&KeyFormat>) -> Option<Link> {
    let table = item?.table("[realm.link]")?;
    let parameter = table.need("parameter", "parameter = \"token\"").and_then(|item| parameter(&item));
    let prefix = table.need("prefix", "prefix = \"st_\"").and_then(|item| prefix(&item, key));
    let cookie = table.need("cookie", "cookie = \"__Host-session\"").and_then(|item| cookie(&item));
    let life_s = seconds(&table, "life").unwrap_or(LIFE);
    let session_life_s = seconds(&table, "session_life").unwrap_or(SESSION_LIFE);
    Some(Link { parameter: parameter?, prefix: prefix?, life_s, cookie: cookie?, session_life_s })
}

fn seconds(table: &Table<'_>, field: &str) -> Option<u32> {
    Some(table.get(field)?.duration_ms()? / 1_000)
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
    for other in taken.filter(|other| other.starts_with(text) || text.starts_with(other)) {
        item.refuse(
            format!("the prefix {text:?} of tokens and the prefix {other:?} of keys or sessions cannot be told apart"),
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
