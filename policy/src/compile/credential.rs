//! Where a realm looks for credentials, and the query parameters in which it refuses them.

use super::{
    leak,
    reader::{Item, Table},
    sections,
};
use crate::model::{CredentialSource, Link, SourceKind};

/// Query parameters whose names say that a credential of the API stands in them (`access_token`: RFC 6750, section
/// 2.3). Names like `key` and `token` say no such thing: pages and objects have keys and tokens too.
const URL_PARAMETERS: &[&str] = &["api_key", "apikey", "api-key", "x-api-key", "access_token"];

/// Headers that mean something else to the connection, the browser, the platform or the origin.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const RESERVED_PREFIXES: &[&str] = &["keyward-", "cf-", "x-forwarded-", "sec-", "access-control-"];

const EXAMPLE: &str = "credentials = [{ header = \"Authorization\", scheme = \"Bearer\" }]";

/// Reads `credentials`.
pub(super) fn read(realm: &Table<'_>) -> &'static [CredentialSource] {
    let Some(item) = realm.need("credentials", EXAMPLE) else { return &[] };
    let Some(list) = item.items(EXAMPLE) else { return &[] };
    let mut sources: Vec<CredentialSource> = Vec::new();
    for item in list {
        let Some(source) = source(&item) else { continue };
        let same = |earlier: &CredentialSource| {
            let schemes = (earlier.scheme.map(str::to_lowercase), source.scheme.map(str::to_lowercase));
            earlier.header == source.header && schemes.0 == schemes.1
        };
        if sources.iter().any(same) {
            item.refuse(
                format!("the credential source {:?} is there twice", source.header),
                "take one of them out; names and schemes are compared without case",
            );
        }
        sources.push(source);
    }
    Vec::leak(sources)
}

fn source(item: &Item<'_>) -> Option<CredentialSource> {
    let table = item.table(&sections::CREDENTIAL, "{ header = \"X-Api-Key\" }")?;
    let header = own_header(&table.need("header", "header = \"X-Api-Key\"")?, "a credential")?;
    let kinds = [("key", SourceKind::Key), ("jwt", SourceKind::Jwt)];
    let kind = table.get("kind").and_then(|item| item.choice(&kinds)).unwrap_or(SourceKind::Key);
    let forward_item = table.get("forward");
    let forward = forward_item.as_ref().and_then(Item::flag).unwrap_or(false);
    if let (Some(item), true, SourceKind::Key) = (&forward_item, forward, kind) {
        item.refuse(
            "a key is never forwarded: the origin has the verified identity instead",
            "take `forward` out; only tokens (kind = \"jwt\") may be forwarded",
        );
    }
    let scheme = match table.get("scheme") {
        None => None,
        Some(item) => {
            let scheme = item.text("\"Bearer\"")?;
            if !is_token(scheme) {
                item.refuse(
                    format!("{} is {scheme:?}, which is not one word", item.name),
                    "write the scheme alone, like \"Bearer\"; leave it out when the header's whole value is the key",
                );
                return None;
            }
            Some(leak(scheme))
        }
    };
    Some(CredentialSource { header, scheme, kind, forward })
}

/// The name of a header that has no other meaning, for `what`.
pub(super) fn own_header(item: &Item<'_>, what: &str) -> Option<&'static str> {
    let header = header_name(item)?;
    if is_reserved(header) {
        item.refuse(
            format!("{what} may not stand in the header {header:?}, which has another meaning"),
            "use \"Authorization\" with a scheme, or a header of your own like \"X-Api-Key\"",
        );
        return None;
    }
    Some(header)
}

/// A header name in lower case, or a note that it is none. `*` is none either: where it stands for
/// every header, browsers leave `Authorization` out (Fetch standard, CORS-non-wildcard names).
pub(super) fn header_name(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"X-Api-Key\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || !text.bytes().all(plain) {
        item.refuse(
            format!("{} has {text:?}, which is not a header name", item.name),
            "header names are letters, digits, `-` and `_`, like \"X-Api-Key\"",
        );
        return None;
    }
    Some(leak(&text.to_ascii_lowercase()))
}

/// A `token` of RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

fn is_reserved(header: &str) -> bool {
    RESERVED.contains(&header) || RESERVED_PREFIXES.iter().any(|prefix| header.starts_with(prefix))
}

/// Reads `url_parameters`, or its default, which leaves out the parameter of the realm's links.
pub(super) fn url_parameters(realm: &Table<'_>, link: Option<&Link>) -> &'static [&'static str] {
    let of_link = |name: &str| link.is_some_and(|link| link.parameter.eq_ignore_ascii_case(name));
    let Some(names) = realm.get("url_parameters").and_then(|item| item.texts("[\"api_key\"]")) else {
        return Vec::leak(URL_PARAMETERS.iter().copied().filter(|name| !of_link(name)).collect());
    };
    let mut parameters = Vec::new();
    for (item, name) in names {
        if name.is_empty() || name.contains(['&', '=', '#', '%', '+']) || name.contains(char::is_whitespace) {
            item.refuse(
                format!("{} has {name:?}, which is not a parameter's name", item.name),
                "write the decoded name alone, like \"api_key\"",
            );
        }
        if of_link(name) {
            item.refuse(
                format!("{} has {name:?}, in which the realm's links carry their token", item.name),
                "take it out, or choose another `parameter` in [realm.link]",
            );
        }
        parameters.push(leak(&name.to_lowercase()));
    }
    Vec::leak(parameters)
}
