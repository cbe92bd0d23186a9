//! `[admin]`: where the admin API and page live.

use super::{events, leaks, quotas, reader::Item, sign_in};
use crate::{
    leak::leak,
    model::{Admin, PathPattern, Tail},
};

/// In place of a base that cannot be read: no path begins so.
pub(super) const UNREAD: &str = "";

pub(super) const DEFAULT: Admin = Admin {
    api: "/api/admin",
    page: "/admin",
    step_up_roles: true,
    quotas: quotas::DEFAULT,
    rate: quotas::DEFAULT_RATE,
    storage: quotas::DEFAULT_STORAGE,
    audit_retention: None,
    sign_in: None,
    events: &[],
    leaks: None,
};

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Admin {
    let Some(table) = item.and_then(|item| item.table("[admin]")) else { return DEFAULT };
    let (api_item, page_item) = (table.get("api"), table.get("page"));
    let read = |item: &Option<Item<'_>>, default| item.as_ref().map_or(Some(default), base);
    let (api, page) = (read(&api_item, DEFAULT.api), read(&page_item, DEFAULT.page));
    let step_up_roles =
        table.get("step_up_roles").and_then(|item| item.flag()).unwrap_or(DEFAULT.step_up_roles);
    for (item, base) in [(&api_item, api), (&page_item, page)] {
        let (Some(item), Some(base)) = (item, base) else { continue };
        if let Some(path) = Admin::HEALTH.into_iter().find(|path| overlap(base, path)) {
            item.refuse(
                format!("{} {base:?} overlaps {path}, which answers whether the gate is up", item.name),
                "choose another path",
            );
        }
    }
    if let (Some(item), Some(api), Some(page)) = (page_item.or(api_item), api, page)
        && overlap(api, page)
    {
        item.refuse(
            format!("the admin API {api:?} and the admin page {page:?} overlap"),
            "choose two paths of which neither contains the other, like \"/api/admin\" and \"/admin\"",
        );
    }
    Admin {
        api: api.unwrap_or(UNREAD),
        page: page.unwrap_or(UNREAD),
        step_up_roles,
        quotas: quotas::quotas(table.get("quotas")),
        rate: quotas::rate(table.get("rate")),
        storage: quotas::storage(table.get("storage")),
        audit_retention: quotas::retention(table.get("audit_retention")),
        sign_in: sign_in::read(table.get("sign_in")),
        events: events::read(&table),
        leaks: leaks::read(table.get("leaks")),
    }
}

/// Whether one base path is, or is below, the other.
fn overlap(one: &str, other: &str) -> bool {
    let within = |path: &str, base: &str| {
        path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(one, other) || within(other, one)
}

/// Whether this is a path that stands for itself alone.
pub(super) fn is_plain(path: &str) -> bool {
    PathPattern::parse(path)
        .is_ok_and(|pattern| pattern.tail == Tail::Exact && !path.ends_with('/') && !path.contains('{'))
}

fn base(item: &Item<'_>) -> Option<&'static str> {
    let text = item.text("\"/admin\"")?;
    let plain = is_plain(text);
    if !plain {
        item.refuse(
            format!("{} is {text:?}, which is not a base path", item.name),
            "write a path that begins with `/`, ends without one, and has no `*` or `{…}`, like \"/admin\"",
        );
    }
    plain.then(|| leak(text))
}
