//! `[admin.quotas]`, `[admin.rate]` and the other bounds of the admin side.

use super::{
    reader::{Item, Table},
    units::GIGABYTE,
};
use crate::{
    model::{AdminRate, Quotas},
    span::Span,
};

/// Most of anything, and most calls a minute.
pub(super) const MAX_QUOTA: u32 = 1_000_000_000;

pub(super) const DEFAULT: Quotas = Quotas {
    keys: 10_000,
    ended_keys: 10_000,
    key_bytes: 100_000_000,
    links: 10_000,
    members: 1_000,
    idempotency_keys: 10_000,
    audit_entries: 200_000,
};

pub(super) const DEFAULT_RATE: AdminRate = AdminRate { principal: 1_200, tenant: 3_000, network: 600 };

/// What an object's database can hold is 10 GB; something is to be left for what must always be possible.
pub(super) const MAX_STORAGE: u64 = 9 * GIGABYTE;
pub(super) const DEFAULT_STORAGE: u64 = 8 * GIGABYTE;
pub(super) const MAX_KEY_BYTES: u64 = 4 * GIGABYTE;
pub(super) const MIN_RETENTION_DAYS: u32 = 30;
pub(super) const MAX_RETENTION_DAYS: u32 = 36_500;

/// Reads `[admin.quotas]`, or its defaults.
pub(super) fn quotas(item: Option<Item<'_>>) -> Quotas {
    let Some(table) = item.and_then(|item| item.table("[admin.quotas]")) else {
        return DEFAULT;
    };
    let most = |field, default| number(&table, field, field, default);
    let key_bytes = table.get("key_bytes").and_then(|item| item.size());
    Quotas {
        keys: most("keys", DEFAULT.keys),
        ended_keys: number(&table, "ended_keys", "keys", DEFAULT.ended_keys),
        key_bytes: key_bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(DEFAULT.key_bytes),
        links: most("links", DEFAULT.links),
        members: most("members", DEFAULT.members),
        idempotency_keys: number(&table, "idempotency_keys", "requests", DEFAULT.idempotency_keys),
        audit_entries: number(&table, "audit_entries", "entries", DEFAULT.audit_entries),
    }
}

/// Reads `[admin.rate]`, or its defaults.
pub(super) fn rate(item: Option<Item<'_>>) -> AdminRate {
    let Some(table) = item.and_then(|item| item.table("[admin.rate]")) else {
        return DEFAULT_RATE;
    };
    let calls = |field, default| number(&table, field, "calls a minute", default);
    AdminRate {
        principal: calls("principal", DEFAULT_RATE.principal),
        tenant: calls("tenant", DEFAULT_RATE.tenant),
        network: calls("network", DEFAULT_RATE.network),
    }
}

/// Reads `storage`.
pub(super) fn storage(item: Option<Item<'_>>) -> u64 {
    item.and_then(|item| item.size()).unwrap_or(DEFAULT_STORAGE)
}

/// Reads `audit_retention`.
pub(super) fn retention(item: Option<Item<'_>>) -> Option<Span> {
    let days = item?.days(
        "write a whole number and `d` with nothing between them, like \"400d\"; without the field entries stay for good",
    )?;
    Some(Span::from_days(days.into()))
}

fn number(table: &Table<'_>, field: &str, unit: &str, default: u32) -> u32 {
    table.get(field).and_then(|item| item.number(unit)).unwrap_or(default)
}
