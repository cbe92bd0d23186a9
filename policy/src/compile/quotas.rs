//! `[admin.quotas]`, `[admin.rate]` and the other bounds of the admin side.

use std::ops::RangeInclusive;

use super::{
    reader::{Item, Table},
    sections,
};
use crate::model::{AdminRate, Quotas};

/// Most of anything, and most calls a minute.
const MOST: u32 = 1_000_000_000;

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

const MEGABYTE: u64 = 1_000_000;
const GIGABYTE: u64 = 1_000 * MEGABYTE;
/// What an object's database can hold is 10 GB; something is to be left for what must always be possible.
const STORAGE: RangeInclusive<u64> = MEGABYTE..=9 * GIGABYTE;
pub(super) const DEFAULT_STORAGE: u64 = 8 * GIGABYTE;
const KEY_BYTES: RangeInclusive<u64> = MEGABYTE..=4 * GIGABYTE;
const RETENTION_DAYS: RangeInclusive<u32> = 30..=36_500;

/// Reads `[admin.quotas]`, or its defaults.
pub(super) fn quotas(item: Option<Item<'_>>) -> Quotas {
    let Some(table) = item.and_then(|item| item.table(&sections::QUOTAS, "[admin.quotas]")) else {
        return DEFAULT;
    };
    let most = |field, default| number(&table, field, 1, field, default);
    let key_bytes = table.get("key_bytes").and_then(|item| size(&item, KEY_BYTES));
    Quotas {
        keys: most("keys", DEFAULT.keys),
        ended_keys: number(&table, "ended_keys", 0, "keys", DEFAULT.ended_keys),
        key_bytes: key_bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(DEFAULT.key_bytes),
        links: most("links", DEFAULT.links),
        members: most("members", DEFAULT.members),
        idempotency_keys: number(&table, "idempotency_keys", 1, "requests", DEFAULT.idempotency_keys),
        audit_entries: number(&table, "audit_entries", 1_000, "entries", DEFAULT.audit_entries),
    }
}

/// Reads `[admin.rate]`, or its defaults.
pub(super) fn rate(item: Option<Item<'_>>) -> AdminRate {
    let Some(table) = item.and_then(|item| item.table(&sections::RATE, "[admin.rate]")) else {
        return DEFAULT_RATE;
    };
    let calls = |field, default| number(&table, field, 1, "calls a minute", default);
    AdminRate {
        principal: calls("principal", DEFAULT_RATE.principal),
        tenant: calls("tenant", DEFAULT_RATE.tenant),
        network: calls("network", DEFAULT_RATE.network),
    }
}

/// Reads `storage`.
pub(super) fn storage(item: Option<Item<'_>>) -> u64 {
    item.and_then(|item| size(&item, STORAGE)).unwrap_or(DEFAULT_STORAGE)
}

/// Reads `audit_retention`: `"400d"`.
pub(super) fn retention_days(item: Option<Item<'_>>) -> Option<u32> {
    let item = item?;
    let text = item.text("\"400d\"")?;
    let Some(days) = measure(text).filter(|(_, unit)| *unit == "d").map(|(number, _)| number) else {
        item.refuse(
            format!("{} is {text:?}, which is not a number of days", item.name),
            "write a whole number and `d` with nothing between them, like \"400d\"; without the field entries stay \
             for good",
        );
        return None;
    };
    let days = u32::try_from(days).ok().filter(|days| RETENTION_DAYS.contains(days));
    if days.is_none() {
        item.refuse(
            format!("{} is {text:?}, which is out of range", item.name),
            format!("choose from {}d to {}d", RETENTION_DAYS.start(), RETENTION_DAYS.end()),
        );
    }
    days
}

fn number(table: &Table<'_>, field: &str, least: u32, unit: &str, default: u32) -> u32 {
    table.get(field).and_then(|item| item.number(least..=MOST, unit)).unwrap_or(default)
}

/// As bytes: `"500MB"`, `"8GB"`.
fn size(item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
    let text = item.text("\"8GB\"")?;
    let bytes = measure(text).and_then(|(number, unit)| match unit {
        "MB" => Some(number.saturating_mul(MEGABYTE)),
        "GB" => Some(number.saturating_mul(GIGABYTE)),
        _ => None,
    });
    let Some(bytes) = bytes else {
        item.refuse(
            format!("{} is {text:?}, which is not a size", item.name),
            "write a whole number and a unit (MB or GB) with nothing between them, like \"8GB\"",
        );
        return None;
    };
    if !range.contains(&bytes) {
        item.refuse(
            format!("{} is {text:?}, which is out of range", item.name),
            format!("choose from {}MB to {}GB", range.start() / MEGABYTE, range.end() / GIGABYTE),
        );
        return None;
    }
    Some(bytes)
}

/// A whole number and what follows it. Too many digits are a number all the same, out of every range.
fn measure(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    (digits > 0).then(|| (number.parse().unwrap_or(u64::MAX), unit))
}
