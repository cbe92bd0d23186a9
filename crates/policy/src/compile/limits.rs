//! `[realm.limits]`: limits of keys that name none, and the most that a key may name.

use super::reader::{Item, Table};
use crate::model::{Limits, Windows};

/// Largest limit there may be, in requests.
pub(super) const MAX_LIMIT: u32 = 1_000_000_000;

const NONE: Windows = Windows {
    per_second: None,
    per_minute: None,
    per_hour: None,
    per_day: None,
    per_month: None,
    total: None,
};

const DEFAULT: Limits = Limits {
    default: Windows { per_minute: Some(600), ..NONE },
    maximum: Windows { per_minute: Some(100_000), per_day: Some(10_000_000), ..NONE },
};

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Limits {
    let Some(table) = item.and_then(|item| item.table("[realm.limits]")) else {
        return DEFAULT;
    };
    let (default_item, maximum_item) = (table.get("default"), table.get("maximum"));
    let default = default_item.as_ref().map_or(Some(DEFAULT.default), windows);
    let maximum = maximum_item.as_ref().map_or(Some(DEFAULT.maximum), windows);
    // What cannot be read is compared with nothing.
    if let (Some(default), Some(maximum)) = (default, maximum) {
        check(default, maximum, |message, hint| match &default_item {
            Some(item) => item.refuse(message, hint),
            None => table.refuse(message, hint),
        });
        for (item, windows) in [(&default_item, default), (&maximum_item, maximum)] {
            let (Some(item), Some(minute), Some(day)) = (item, windows.per_minute, windows.per_day) else {
                continue;
            };
            if day < minute {
                item.refuse(
                    format!("{} has per_day = {day}, which is below its per_minute = {minute}", item.name),
                    "a day has 1,440 minutes: raise the limit of a day, or take that of a minute out",
                );
            }
        }
    }
    Limits { default: default.unwrap_or(DEFAULT.default), maximum: maximum.unwrap_or(DEFAULT.maximum) }
}

fn check(default: Windows, maximum: Windows, refuse: impl Fn(String, &str)) {
    for (name, default, maximum) in [
        ("per_minute", default.per_minute, maximum.per_minute),
        ("per_day", default.per_day, maximum.per_day),
    ] {
        if let (Some(default), Some(maximum)) = (default, maximum)
            && default > maximum
        {
            refuse(
                format!("the default limit {name} = {default} is above the maximum {maximum}"),
                "lower the default or raise the maximum",
            );
        }
    }
    if let (Some(minute), Some(day)) = (default.per_minute, maximum.per_day)
        && default.per_day.is_none()
        && minute > day
    {
        refuse(
            format!("the default limit per_minute = {minute} is above the maximum per_day = {day}"),
            "lower the default or raise the maximum",
        );
    }
}

fn windows(item: &Item<'_>) -> Option<Windows> {
    let table = item.table("{ per_minute = 600 }")?;
    Some(Windows { per_minute: window(&table, "per_minute"), per_day: window(&table, "per_day"), ..NONE })
}

fn window(table: &Table<'_>, field: &str) -> Option<u32> {
    table.get(field)?.number("requests")
}
