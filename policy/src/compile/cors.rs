//! `[realm.cors]`: which web pages of other origins may call the realm, and how.

use super::{
    address::web_origin,
    credential::header_name,
    leak,
    reader::{Item, Table},
    route, sections,
};
use crate::model::{Cors, CredentialSource};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const HEADERS: &[&str] = &["authorization", "content-type", "idempotency-key"];
/// In seconds.
const MAX_AGE: u32 = 600;
/// Browsers cap it at two hours (Chromium) and a day (Firefox).
const MAX_AGE_MOST: u32 = 86_400;

/// Reads the section, if there is one. The realm's own credential headers are always allowed: a
/// page could not show a key without them.
pub(super) fn read(item: Option<Item<'_>>, credentials: &[CredentialSource]) -> Option<Cors> {
    let table = item?.table(&sections::CORS, "[realm.cors]")?;
    let origins = origins(&table);
    let methods = table
        .get("methods")
        .and_then(|item| item.texts("[\"GET\"]"))
        .map(|methods| methods.iter().filter_map(|(item, text)| route::method(item, text)).collect())
        .map_or(METHODS, |methods: Vec<_>| Vec::leak(methods));
    let mut headers: Vec<&'static str> =
        match table.get("headers").and_then(|item| item.texts("[\"content-type\"]")) {
            None => HEADERS.to_vec(),
            Some(names) => names
                .iter()
                .filter_map(|(item, name)| header_name(item, name).map(|name| leak(&name)))
                .collect(),
        };
    for source in credentials {
        if !headers.contains(&source.header) {
            headers.push(source.header);
        }
    }
    let max_age =
        table.get("max_age").and_then(|item| item.number(0..=MAX_AGE_MOST, "seconds")).unwrap_or(MAX_AGE);
    Some(Cors { origins, methods, headers: Vec::leak(headers), max_age })
}

fn origins(table: &Table<'_>) -> &'static [&'static str] {
    const EXAMPLE: &str = "origins = [\"https://app.example.com\"]";
    let Some(item) = table.need("origins", EXAMPLE) else { return &[] };
    let Some(texts) = item.texts(EXAMPLE) else { return &[] };
    if texts.is_empty() {
        item.refuse(
            format!("{} is empty, so no page could use the realm", item.name),
            "name origins, or take [realm.cors] out",
        );
    }
    let several = texts.len() > 1;
    let mut origins = Vec::new();
    for (item, text) in texts {
        if text == "*" {
            if several {
                item.refuse(
                    format!("{} has \"*\" beside others", item.name),
                    "use \"*\" alone for every origin, or only exact ones",
                );
            }
            origins.push("*");
            continue;
        }
        match web_origin(text) {
            Ok(origin) => origins.push(leak(&origin)),
            Err((wrong, hint)) => item.refuse(format!("{} has {text:?}, which {wrong}", item.name), hint),
        }
    }
    Vec::leak(origins)
}
