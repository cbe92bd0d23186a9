//! `[[realm.configured_key]]`: keys of people who have no store, only a policy. Never the keys
//! themselves, only hashes of them.

use super::{
    reader::{Item, Table},
    scopes::{Catalogue, held_scopes},
};
use crate::{leak::leak, model::StaticKey};

const ALGORITHM: &str = "sha256:";

/// Reads the list; without it there are none.
pub(super) fn read(realm: &Table<'_>, catalogue: &Catalogue) -> &'static [StaticKey] {
    let items = realm.get("configured_key").and_then(|item| item.items("[[realm.configured_key]]"));
    let mut keys: Vec<StaticKey> = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(key) = one(&item, catalogue) else { continue };
        if keys.iter().any(|earlier| earlier.id == key.id || earlier.sha256 == key.sha256) {
            item.refuse(
                format!("the configured key {:?} is there twice", key.id),
                "give each key an id of its own, and list each key once",
            );
        }
        keys.push(key);
    }
    Vec::leak(keys)
}

fn one(item: &Item<'_>, catalogue: &Catalogue) -> Option<StaticKey> {
    let table = item.table("[[realm.configured_key]]")?;
    let id = table.need("id", "id = \"agent\"").and_then(|item| name(&item));
    let hash = table.need("hash", "hash = \"sha256:<64 hex digits>\"").and_then(|item| hash(&item));
    let scopes = table.get("scopes").map(|item| held_scopes(&item, catalogue)).unwrap_or_default();
    let tenant = table.get("tenant").and_then(|item| name(&item));
    let plan = table.get("plan").and_then(|item| name(&item));
    Some(StaticKey { id: id?, sha256: hash?, scopes: Vec::leak(scopes), tenant, plan })
}

/// The digits of a hash. What stands in its place is not shown: it may be the key.
fn hash(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"sha256:<64 hex digits>\"")?;
    let digits = text.strip_prefix(ALGORITHM).map(str::to_ascii_lowercase);
    let digits = digits.filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if digits.is_none() {
        item.refuse(
            format!("{} is not the hash of a key, and the key itself must not stand in a policy", item.name),
            "write \"sha256:\" and what `printf %s \"$KEY\" | sha256sum` prints; a key that stood here may have \
             been seen: replace it",
        );
    }
    digits.map(|digits| leak(&digits))
}

/// A name that goes to origins in a header field.
fn name(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"agent\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if text.is_empty() || text.len() > 50 || !text.bytes().all(plain) {
        item.refuse(
            format!("{} is {text:?}, which is not a name", item.name),
            "use 1 to 50 letters, digits, `_`, `.` and `-`, like \"agent\"",
        );
        return None;
    }
    Some(leak(text))
}
