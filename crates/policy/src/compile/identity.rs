//! `[realm.identity]`: the token in which the gate signs for the origin who asks.

use super::{admin, mistake::Place, reader::Item};
use crate::{
    leak::leak,
    metadata::{LONGEST_NAME, is_name},
    model::IdentityToken,
};

/// Most of a key's metadata that a token tells: it is a header field of every request.
const MOST_METADATA: usize = 8;

/// Most characters of an issuer.
const MOST_ISSUER: usize = 256;

/// Reads the section, if there is one, and where its path stands.
pub(super) fn read(item: Option<Item<'_>>) -> Option<(IdentityToken, Place)> {
    let table = item?.table("[realm.identity]")?;
    let issuer = table.need("issuer", "issuer = \"https://api.example.com\"").and_then(|item| issuer(&item));
    let path_item = table.need("jwks_path", "jwks_path = \"/api/jwks.json\"");
    let path = path_item.as_ref().and_then(jwks_path);
    let metadata = table.get("metadata").map(|item| metadata(&item)).unwrap_or_default();
    let token = IdentityToken { issuer: issuer?, jwks_path: path?, metadata };
    Some((token, path_item?.place()))
}

/// RFC 7519, section 4.1.1: any text, a URI if there is a colon in it. Whoever verifies compares it to the letter.
fn issuer(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"https://api.example.com\"")?;
    if text.is_empty() || text.len() > MOST_ISSUER || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        item.refuse(
            format!("{} is {text:?}, which cannot name an issuer", item.name),
            format!("write 1 to {MOST_ISSUER} visible ASCII characters, like \"https://api.example.com\""),
        );
        return None;
    }
    Some(leak(text))
}

fn jwks_path(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"/api/jwks.json\"")?;
    if !admin::is_plain(text) {
        item.refuse(
            format!("{} is {text:?}, which is no path of a file", item.name),
            "write a path that begins with `/`, ends without one, and has no `*` or `{…}`, like \"/api/jwks.json\"",
        );
        return None;
    }
    Some(leak(text))
}

fn metadata(item: &Item<'_>) -> &'static [&'static str] {
    let items = item.items("metadata = [\"customer\"]").unwrap_or_default();
    if items.len() > MOST_METADATA {
        item.refuse(
            format!("{} names {} entries", item.name, items.len()),
            format!("name at most {MOST_METADATA}: they are in a header field of every request"),
        );
    }
    Vec::leak(items.iter().filter_map(name).collect())
}

fn name(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"customer\"")?;
    if !is_name(text) {
        item.refuse(
            format!("{} has {text:?}, which is no name of metadata", item.name),
            format!("use 1 to {LONGEST_NAME} letters, digits, `_`, `-` and `.`, like \"customer\""),
        );
        return None;
    }
    Some(leak(text))
}
