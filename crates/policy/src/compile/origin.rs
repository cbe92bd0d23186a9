//! `[[realm]] origin`: where accepted requests go.

use super::reader::{Item, Table};
use crate::{
    leak::leak,
    model::Origin,
    origin::{BadOrigin, WebOrigin},
};

const EXAMPLE: &str =
    "{ binding = \"ORIGIN\" }, { url = \"https://api.example.com\" } or { handler = \"app\" }";
/// The fields of which there must be one, and no other.
const KINDS: [&str; 3] = ["binding", "url", "handler"];
const LONGEST_HANDLER: usize = 64;

/// Reads a realm's origin.
pub(super) fn read(realm: &Table<'_>) -> Option<Origin> {
    let item = realm.need("origin", &format!("origin = {EXAMPLE}"))?;
    let table = item.table(EXAMPLE)?;
    let plain_http = PlainHttp::read(&table);
    let mut given = KINDS.iter().filter_map(|kind| table.get(kind).map(|value| (*kind, value)));
    match (given.next(), given.next()) {
        (Some((kind, value)), None) => match kind {
            "binding" => binding(&value, &plain_http),
            "handler" => handler(&value, &plain_http),
            _ => url(&value, &plain_http),
        },
        (Some((one, _)), Some((other, _))) => {
            item.refuse(format!("the origin has both a {one} and a {other}"), format!("keep one: {EXAMPLE}"));
            None
        }
        (None, _) => {
            if table.is_known() {
                item.refuse(
                    "the origin has neither a binding, a url nor a handler",
                    format!("write {EXAMPLE}"),
                );
            }
            None
        }
    }
}

fn binding(item: &Item<'_>, plain_http: &PlainHttp<'_>) -> Option<Origin> {
    plain_http.refuse_beside("a binding");
    binding_name(item, "\"ORIGIN\"").map(Origin::Binding)
}

/// Reads the name of a binding of `wrangler.toml`.
pub(super) fn binding_name(item: &Item<'_>, example: &str) -> Option<&'static str> {
    let name = item.text(example)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(plain) {
        item.refuse(
            format!("{} is {name:?}, which cannot name a binding", item.name),
            format!("use the name that wrangler.toml gives it: letters, digits and `_`, like {example}"),
        );
    }
    Some(leak(name))
}

/// It begins with a letter, so that it is never one of JavaScript's own names with `__`.
fn handler(item: &Item<'_>, plain_http: &PlainHttp<'_>) -> Option<Origin> {
    plain_http.refuse_beside("a handler");
    let name = item.text("\"app\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.starts_with(|first: char| first.is_ascii_alphabetic())
        || !name.bytes().all(plain)
        || name.len() > LONGEST_HANDLER
    {
        item.refuse(
            format!("{} is {name:?}, which cannot name a handler", item.name),
            format!(
                "use the name that your Worker gives it: at most {LONGEST_HANDLER} letters, digits, `_` and `-`, \
                 beginning with a letter, like \"app\""
            ),
        );
    }
    Some(Origin::Handler(leak(name)))
}

fn url(item: &Item<'_>, plain_http: &PlainHttp<'_>) -> Option<Origin> {
    let text = item.text("\"https://api.example.com\"")?;
    // A URL may carry a password.
    let refuse = |BadOrigin { wrong, hint }| item.refuse(format!("{} {wrong}", item.name), hint);
    let origin = WebOrigin::parse(text).map_err(refuse).ok()?;
    if origin.is_https() {
        plain_http.refuse_beside("an https URL");
    } else if origin.is_plain_to_elsewhere() && plain_http.is_allowed == Some(false) {
        item.refuse(
            format!("{} is plain http to a host that is not this machine", item.name),
            "use https; or, where nobody else is on the way (a private network, a container beside the gate), say so: \
             { url = \"http://…\", plain_http = true }",
        );
    }
    Some(Origin::Url(leak(&origin.to_string())))
}

/// The field `plain_http`, which is for URLs alone.
struct PlainHttp<'a> {
    item: Option<Item<'a>>,
    /// `None` where it cannot be read.
    is_allowed: Option<bool>,
}

impl<'a> PlainHttp<'a> {
    fn read(origin: &Table<'a>) -> Self {
        let item = origin.get("plain_http");
        let is_allowed = item.as_ref().map_or(Some(false), Item::flag);
        Self { item, is_allowed }
    }

    fn refuse_beside(&self, other: &str) {
        if let Some(item) = self.item.as_ref().filter(|_| self.is_allowed == Some(true)) {
            item.refuse(format!("{} means nothing beside {other}", item.name), "take it out");
        }
    }
}
