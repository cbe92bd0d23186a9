//! `[admin.leaks]`: what happens to keys that a scanner has found in public.

use super::{address::https_url, reader::Item};
use crate::model::{AfterLeak, Leaks};

pub(super) const AFTER: [(&str, AfterLeak); 3] =
    [("revoke", AfterLeak::Revoke), ("pause", AfterLeak::Pause), ("tell", AfterLeak::Tell)];

/// Where GitHub publishes the keys with which it signs reports of its secret scanning.
const GITHUB: &str = "https://api.github.com/meta/public_keys/secret_scanning";

/// Reads the section, if there is one.
pub(super) fn read(item: Option<Item<'_>>) -> Option<Leaks> {
    let table = item?.table("[admin.leaks]")?;
    let then = table.need("then", "then = \"revoke\"").and_then(|item| item.choice(&AFTER));
    let keys_url = match table.get("keys_url") {
        Some(item) => https_url(&item),
        None => Some(GITHUB),
    };
    Some(Leaks { then: then?, keys_url: keys_url? })
}
