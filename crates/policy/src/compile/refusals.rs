//! `[realm.refusals]`: how refusals look.

use super::{
    nearest::did_you_mean,
    reader::{Item, Table},
};
use crate::{
    leak::leak,
    model::{RefusalStyle, Refusals},
};

/// The gate's refusal codes that a realm may spell in its own way: all but `NO_REALM`, which is
/// answered where none is known. `docs/errors.md` describes them; a test compares.
pub const CODES: &[&str] = &[
    "MISSING_AUTHORIZATION",
    "INVALID_API_KEY",
    "REVOKED_API_KEY",
    "PAUSED_API_KEY",
    "EXPIRED_API_KEY",
    "INVALID_REQUEST",
    "KEY_IN_URL",
    "INSUFFICIENT_SCOPE",
    "INACTIVE_ORGANIZATION",
    "PLAN_REQUIRED",
    "IP_RESTRICTED",
    "ORIGIN_RESTRICTED",
    "TEST_MODE",
    "INVALID_TOKEN",
    "INVALID_SIGNATURE",
    "INVALID_LINK",
    "INVALID_SESSION",
    "INVALID_SESSION_ID",
    "CROSS_SITE",
    "INSECURE_TRANSPORT",
    "BODY_TOO_LARGE",
    "RATE_LIMITED",
    "NO_ROUTE",
    "METHOD_NOT_ALLOWED",
    "STORE_UNAVAILABLE",
    "NOT_CONFIGURED",
    "LENGTH_REQUIRED",
    "REQUEST_TIMEOUT",
    "OVERLOADED",
    "ORIGIN_INVALID",
    "ORIGIN_UNREACHABLE",
    "ORIGIN_TIMEOUT",
    "INTERRUPTED",
    "INTERNAL_ERROR",
];

/// Causes that share a code, each of which a realm may give a code or a message of its own:
/// `docs/errors.md` names them with their code.
pub const CAUSES: &[&str] = &[
    "MALFORMED_API_KEY",
    "UNKNOWN_API_KEY",
    "MALFORMED_TOKEN",
    "UNTRUSTED_TOKEN",
    "FOREIGN_TOKEN",
    "INCOMPLETE_TOKEN",
    "EXPIRED_TOKEN",
    "EARLY_TOKEN",
    "ISSUER_UNAVAILABLE",
    "EXPIRED_LINK",
    "USED_LINK",
];

/// In bytes.
const MAX_MESSAGE: usize = 300;

const DEFAULT: Refusals = Refusals { style: RefusalStyle::Problem, codes: &[], messages: &[], statuses: &[] };

pub(super) const STYLES: [(&str, RefusalStyle); 2] =
    [("problem", RefusalStyle::Problem), ("json", RefusalStyle::Json)];

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Refusals {
    let Some(table) = item.and_then(|item| item.table("[realm.refusals]")) else {
        return DEFAULT;
    };
    let style = table.get("style").and_then(|item| item.choice(&STYLES)).unwrap_or(DEFAULT.style);
    let codes = texts(&table, "codes", "\"IP_RESTRICTION\"", |item, ours, theirs| {
        if !is_code(theirs) {
            item.refuse(
                format!("the realm's spelling {theirs:?} of {ours} is not a code"),
                "use 1 to 64 letters, digits, `_`, `-` and `.`, beginning with a letter, like \"IP_RESTRICTION\"",
            );
        }
    });
    let messages = texts(&table, "messages", "\"Unknown API key\"", |item, ours, theirs| {
        if theirs.is_empty() || theirs.len() > MAX_MESSAGE || theirs.chars().any(char::is_control) {
            item.refuse(
                format!("the realm's message for {ours} is empty, too long or not one line"),
                format!("write a sentence of at most {MAX_MESSAGE} bytes"),
            );
        }
    });
    let statuses = entries(&table, "statuses", "404", status);
    Refusals { style, codes, messages, statuses }
}

/// Statuses that say no more than a refusal does. Others promise something: a field beside them, another protocol.
const STATUSES: [u16; 11] = [400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 451];
/// What is no fault of the client's stays what it is, so that clients try again and monitors see it.
const NOT_THE_CLIENTS: [&str; 9] = [
    "STORE_UNAVAILABLE",
    "NOT_CONFIGURED",
    "OVERLOADED",
    "ORIGIN_INVALID",
    "ORIGIN_UNREACHABLE",
    "ORIGIN_TIMEOUT",
    "INTERRUPTED",
    "INTERNAL_ERROR",
    "ISSUER_UNAVAILABLE",
];

/// The status that a realm answers with in place of ours.
fn status(item: &Item<'_>, ours: &str) -> Option<u16> {
    let status = item.number("")?;
    let status = u16::try_from(status).ok().filter(|status| STATUSES.contains(status));
    if status.is_none() {
        item.refuse(
            format!("{} is a status that says more than a refusal does", item.name),
            format!("its values are {}", STATUSES.map(|status| status.to_string()).join(", ")),
        );
    }
    if NOT_THE_CLIENTS.contains(&ours) {
        item.refuse(
            format!("{ours} is no fault of the client's, so its status stays"),
            "take it out: clients try again after a 5xx, and monitors count it",
        );
    }
    status
}

/// Reads a table from our codes and causes to a realm's own text, which `check` looks at.
fn texts(
    table: &Table<'_>,
    field: &str,
    example: &str,
    check: impl Fn(&Item<'_>, &str, &str),
) -> &'static [(&'static str, &'static str)] {
    entries(table, field, example, |item, ours| {
        let theirs = item.text(example)?;
        check(item, ours, theirs);
        Some(leak(theirs))
    })
}

/// Reads a table from our codes and causes to what `read` makes of a value.
fn entries<T: 'static>(
    table: &Table<'_>,
    field: &str,
    example: &str,
    read: impl Fn(&Item<'_>, &str) -> Option<T>,
) -> &'static [(&'static str, T)] {
    let known = || CODES.iter().chain(CAUSES).copied();
    let entries = table.get(field).and_then(|item| item.entries(&format!("{{ IP_RESTRICTED = {example} }}")));
    let mut list = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(ours) = known().find(|code| *code == entry.key) else {
            entry.refuse(
                format!("there is no refusal code {:?}", entry.key),
                format!("{}docs/errors.md lists the codes and causes", did_you_mean(entry.key, known())),
            );
            continue;
        };
        list.extend(read(&entry.item, ours).map(|theirs| (ours, theirs)));
    }
    Vec::leak(list)
}

fn is_code(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
