//! Where a realm looks for credentials, and the query parameters in which it refuses them.

use super::{
    field_names::is_reserved,
    reader::{Item, Table},
};
use crate::{
    leak::leak,
    model::{CredentialSource, Link, SourceKind},
};

/// Query parameters whose names say that a credential of the API stands in them (`access_token`: RFC 6750, section
/// 2.3). Names like `key` and `token` say no such thing: pages and objects have keys and tokens too.
const FORBIDDEN_QUERY_PARAMETERS: &[&str] = &["api_key", "apikey", "api-key", "x-api-key", "access_token"];

/// Schemes (of the IANA registry, and of wide use) in which something else stands than one key or token as it is:
/// parameters, base64 of a name and a password, a signature.
const OTHER_SCHEMES: &[&str] = &[
    "aws4-hmac-sha256",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "kerberos",
    "mutual",
    "negotiate",
    "ntlm",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "vapid",
];

const EXAMPLE: &str = "credentials = [{ header = \"Authorization\", scheme = \"Bearer\" }]";

pub(super) const KINDS: [(&str, SourceKind); 2] = [("key", SourceKind::Key), ("jwt", SourceKind::Jwt)];

/// Where a realm looks for credentials.
pub(super) struct Sources {
    pub(super) list: &'static [CredentialSource],
    /// Whether all of them could be read.
    whole: bool,
}

impl Sources {
    /// Whether one of this kind is there, or may be among what cannot be read.
    pub(super) fn may_have(&self, kind: SourceKind) -> bool {
        !self.whole || self.list.iter().any(|source| source.kind == kind)
    }

    /// Whether a key and a token can stand in two headers of one request. Where one of them has no place at all, that is
    /// another mistake.
    pub(super) fn may_have_both(&self) -> bool {
        let places =
            |kind| self.list.iter().filter(move |source| source.kind == kind).map(|source| source.header);
        let in_two = places(SourceKind::Key).any(|key| places(SourceKind::Jwt).any(|token| token != key));
        in_two
            || !self.whole
            || [SourceKind::Key, SourceKind::Jwt].iter().any(|kind| places(*kind).next().is_none())
    }
}

/// Reads `credentials`.
pub(super) fn read(realm: &Table<'_>) -> Sources {
    let items = realm.need("credentials", EXAMPLE).and_then(|item| item.items(EXAMPLE));
    let mut sources: Vec<CredentialSource> = Vec::new();
    for item in items.iter().flatten() {
        let Some(source) = source(item) else { continue };
        let scheme = |source: &CredentialSource| source.scheme.map(str::to_lowercase);
        let of_header: Vec<_> = sources.iter().filter(|earlier| earlier.header == source.header).collect();
        if of_header.iter().any(|earlier| scheme(earlier) == scheme(&source)) {
            item.refuse(
                format!("the credential source {:?} is there twice", source.header),
                "take one of them out; names and schemes are compared without case",
            );
        } else if of_header.iter().any(|earlier| earlier.scheme.is_none() || source.scheme.is_none()) {
            item.refuse(
                format!("the header {:?} is there with a scheme and without one", source.header),
                "give each entry its scheme: without one the header's whole value is the key, scheme and all",
            );
        }
        sources.push(source);
    }
    let whole = items.is_some_and(|items| items.len() == sources.len());
    Sources { list: Vec::leak(sources), whole }
}

fn source(item: &Item<'_>) -> Option<CredentialSource> {
    const HEADERS: &str = "use \"Authorization\" with a scheme, or a header of your own like \"X-Api-Key\"";
    let table = item.table("{ header = \"X-Api-Key\" }")?;
    let header = table
        .need("header", "header = \"X-Api-Key\"")
        .and_then(|item| {
            let is_subprotocol =
                item.as_text().is_some_and(|text| text.eq_ignore_ascii_case(CredentialSource::SUBPROTOCOLS));
            if is_subprotocol {
                if table.get("scheme").is_none() {
                    item.refuse(
                        format!("{} is one of a WebSocket's subprotocols, which cannot be told from others without a scheme", item.name),
                        "add scheme = \"key\": then \"key.…\" is the credential",
                    );
                }
                return Some(CredentialSource::SUBPROTOCOLS);
            }
            own_header(&item, "a credential", HEADERS)
        });
    let kind = table.get("kind").map_or(Some(SourceKind::Key), |item| item.choice(&KINDS));
    let forward_item = table.get("forward");
    let forward = forward_item.as_ref().and_then(Item::flag).unwrap_or(false);
    if let (Some(item), true, Some(SourceKind::Key)) = (&forward_item, forward, kind) {
        item.refuse(
            "a key is never forwarded: the origin has the verified identity instead",
            "take `forward` out; only tokens (kind = \"jwt\") may be forwarded",
        );
    }
    let scheme = match table.get("scheme") {
        None => None,
        Some(item) => Some(scheme(&item)?),
    };
    let source = CredentialSource { header: header?, scheme, kind: kind?, forward };
    if let Some(item) = forward_item.filter(|_| forward && source.is_subprotocol()) {
        item.refuse(
            "a token among the subprotocols is never forwarded: the origin chooses one of the others",
            "take `forward` out, or have the token in a header of its own",
        );
    }
    if let Some(item) = table.get("scheme").filter(|_| source.is_basic() && source.kind == SourceKind::Jwt) {
        item.refuse("a token is no user name", "use \"Bearer\"; \"Basic\" is for keys");
    }
    Some(source)
}

fn scheme(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"Bearer\"")?;
    if !is_token(text) {
        let alone = text.trim().trim_end_matches(':');
        let alone = if is_token(alone) { alone } else { "Bearer" };
        item.refuse(
            format!("{} is {text:?}, which is not one word", item.name),
            format!("write the scheme alone, like {alone:?}; leave it out when the header's whole value is the key"),
        );
        return None;
    }
    if OTHER_SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(text)) {
        item.refuse(
            format!(
                "{} is {text:?}, after which stands something else than a key or token as it is",
                item.name
            ),
            "use \"Bearer\", or a word of your own like \"ApiKey\"",
        );
        return None;
    }
    Some(leak(text))
}

/// The name of a header that has no other meaning, for `what`; `mend` says which one it could be.
pub(super) fn own_header(item: &Item<'_>, what: &str, mend: &str) -> Option<&'static str> {
    let header = header_name(item)?;
    if is_reserved(header) {
        item.refuse(
            format!("{what} may not stand in the header {header:?}, which has another meaning"),
            mend,
        );
        return None;
    }
    if header.contains('_') {
        item.refuse(
            format!("{what} may not stand in the header {header:?}, which has a `_`"),
            format!(
                "write {:?}: many servers drop names with `_`, or take them for those with `-`",
                header.replace('_', "-")
            ),
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
            "header names are letters, digits and `-`, like \"X-Api-Key\"",
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

/// Reads `url_parameters`, or its default, which leaves out the parameter of the realm's links.
pub(super) fn forbidden_query_parameters(realm: &Table<'_>, link: Option<&Link>) -> &'static [&'static str] {
    let of_link = |name: &str| link.is_some_and(|link| link.parameter.eq_ignore_ascii_case(name));
    const EXAMPLE: &str = "[\"api_key\"]";
    let Some(names) = realm.get("url_parameters").and_then(|item| item.list_by(EXAMPLE, str::to_lowercase))
    else {
        return Vec::leak(FORBIDDEN_QUERY_PARAMETERS.iter().copied().filter(|name| !of_link(name)).collect());
    };
    let mut parameters = Vec::new();
    for item in names {
        let Some(name) = item.text(EXAMPLE) else { continue };
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
