//! `[realm.cors]`: which web pages of other origins may call the realm, and how.

use super::{
    credential::header_name,
    reader::{Item, Table},
    route,
};
use crate::{
    leak::leak,
    model::{Cors, CredentialSource},
    origin::{self, BadOrigin},
    span::Span,
};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const HEADERS: &[&str] = &["authorization", "content-type", "idempotency-key"];
const MAX_AGE: Span = Span::from_mins(10);
/// Browsers cap it at two hours (Chromium) and a day (Firefox).
pub(super) const MAX_AGE_CEILING_S: u32 = 86_400;

/// Reads the section, if there is one. The realm's own headers for credentials and the session's id
/// are always allowed: a page could not call it without them.
pub(super) fn read(
    item: Option<Item<'_>>,
    credentials: &[CredentialSource],
    session_id_header: Option<&'static str>,
) -> Option<Cors> {
    let table = item?.table("[realm.cors]")?;
    let origins = origins(&table);
    let methods = match table.get("methods").and_then(|item| item.items("methods = [\"GET\"]")) {
        None => METHODS,
        Some(items) => Vec::leak(items.iter().filter_map(route::method).collect()),
    };
    let mut headers: Vec<&'static str> = match table
        .get("headers")
        .and_then(|item| item.list_by("[\"content-type\"]", str::to_ascii_lowercase))
    {
        None => HEADERS.to_vec(),
        Some(items) => items.iter().filter_map(header_name).collect(),
    };
    // A WebSocket is opened without a preflight.
    let of_requests = credentials.iter().filter(|source| !source.is_subprotocol());
    for header in of_requests.map(|source| source.header).chain(session_id_header) {
        if !headers.contains(&header) {
            headers.push(header);
        }
    }
    let max_age = table.get("max_age").and_then(|item| item.number("seconds"));
    let max_age = max_age.map_or(MAX_AGE, |seconds| Span::from_secs(seconds.into()));
    Some(Cors { origins, methods, headers: Vec::leak(headers), max_age })
}

fn origins(table: &Table<'_>) -> &'static [&'static str] {
    const EXAMPLE: &str = "origins = [\"https://app.example.com\"]";
    let or_as_is = |text: &str| form(text).unwrap_or_else(|_| text.to_owned());
    let Some(items) = table.need("origins", EXAMPLE).and_then(|item| item.items_by(EXAMPLE, or_as_is)) else {
        return &[];
    };
    let alone = items.len() == 1;
    Vec::leak(items.iter().filter_map(|item| origin(item, alone)).collect())
}

fn origin(item: &Item<'_>, alone: bool) -> Option<&'static str> {
    let text = item.text("\"https://app.example.com\"")?;
    if text != "*" {
        return form(text)
            .map(|origin| leak(&origin))
            // A URL may carry a password.
            .map_err(|BadOrigin { wrong, hint }| {
                item.refuse(format!("{} has an entry that {wrong}", item.name), hint);
            })
            .ok();
    }
    if !alone {
        item.refuse(
            format!("{} has \"*\" beside others", item.name),
            "use \"*\" alone for every origin, or name those that may",
        );
    }
    Some("*")
}

/// An origin, or all below a domain.
fn form(text: &str) -> Result<String, BadOrigin> {
    let of_many = origin::normalise_below(text);
    let is_many = of_many.is_some() || !text.contains('*');
    of_many.unwrap_or_else(|| origin::normalise(text)).map_err(|bad| if is_many { bad } else { MISPLACED })
}

const MISPLACED: BadOrigin = BadOrigin {
    wrong: "has a `*` that does not stand for the hosts below a domain, over https",
    hint: "write it like \"https://*.example.com\", or name each origin",
};
