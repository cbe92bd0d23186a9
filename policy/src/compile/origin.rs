//! `[[realm]] origin`: where accepted requests go.

use super::{
    leak,
    reader::{Item, Table},
    sections,
};
use crate::{
    model::Origin,
    origin::{BadOrigin, WebOrigin},
};

const EXAMPLE: &str = "{ binding = \"ORIGIN\" } or { url = \"https://api.example.com\" }";

/// Reads a realm's origin.
pub(super) fn read(realm: &Table<'_>) -> Option<Origin> {
    let item = realm.need("origin", &format!("origin = {EXAMPLE}"))?;
    let table = item.table(&sections::ORIGIN, EXAMPLE)?;
    let plain_item = table.get("plain_http");
    // Nothing where it cannot be read.
    let plain_http = plain_item.as_ref().map_or(Some(false), Item::flag);
    let refuse_plain = |what: &str| {
        if let Some(item) = plain_item.as_ref().filter(|_| plain_http == Some(true)) {
            item.refuse(format!("{} means nothing beside {what}", item.name), "take it out");
        }
    };
    match (table.get("binding"), table.get("url")) {
        (Some(binding), None) => {
            refuse_plain("a binding");
            self::binding(&binding)
        }
        (None, Some(url)) => {
            let origin = self::url(&url)?;
            if origin.is_https() {
                refuse_plain("an https URL");
            } else if origin.is_plain_to_elsewhere() && plain_http == Some(false) {
                url.refuse(
                    format!("{} is plain http to a host that is not this machine", url.name),
                    "use https; or, where nobody else is on the way (a private network, a container beside the gate), \
                     say so: { url = \"http://…\", plain_http = true }",
                );
            }
            Some(Origin::Url(leak(&origin.to_string())))
        }
        (Some(_), Some(_)) => {
            item.refuse("the origin has both a binding and a url", format!("keep one: {EXAMPLE}"));
            None
        }
        (None, None) => {
            if table.is_known() {
                item.refuse("the origin has neither a binding nor a url", format!("write {EXAMPLE}"));
            }
            None
        }
    }
}

fn binding(item: &Item<'_>) -> Option<Origin> {
    let name = item.text("\"ORIGIN\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(plain) {
        item.refuse(
            format!("{} is {name:?}, which cannot name a binding", item.name),
            "use the name that wrangler.toml gives the service: letters, digits and `_`, like \"ORIGIN\"",
        );
    }
    Some(Origin::Binding(leak(name)))
}

fn url(item: &Item<'_>) -> Option<WebOrigin> {
    let text = item.text("\"https://api.example.com\"")?;
    // Not shown: a URL may carry a password.
    WebOrigin::parse(text)
        .map_err(|BadOrigin { wrong, hint }| item.refuse(format!("{} {wrong}", item.name), hint))
        .ok()
}
