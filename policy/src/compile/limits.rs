//! `[realm.limits]`: limits of keys that name none, and the most that a key may name.

use super::{
    reader::{Item, Section, Table},
    sections,
};
use crate::model::{Limits, Windows};

/// Largest limit there may be, in requests.
const MAX: u32 = 1_000_000_000;

const DEFAULT: Limits = Limits {
    default: Windows { per_minute: Some(600), per_day: None },
    maximum: Windows { per_minute: Some(100_000), per_day: Some(10_000_000) },
};

/// Reads the section, or its defaults.
pub(super) fn read(item: Option<Item<'_>>) -> Limits {
    let Some(table) = item.and_then(|item| item.table(&sections::LIMITS, "[realm.limits]")) else {
        return DEFAULT;
    };
    let default_item = table.get("default");
    let default = default_item
        .as_ref()
        .and_then(|item| windows(item, &sections::DEFAULT_LIMITS))
        .unwrap_or(DEFAULT.default);
    let maximum = table
        .get("maximum")
        .and_then(|item| windows(&item, &sections::MAXIMUM_LIMITS))
        .unwrap_or(DEFAULT.maximum);
    for (name, default, maximum) in [
        ("per_minute", default.per_minute, maximum.per_minute),
        ("per_day", default.per_day, maximum.per_day),
    ] {
        let (Some(default), Some(maximum)) = (default, maximum) else { continue };
        if default > maximum {
            let message = format!("the default limit {name} = {default} is above the maximum {maximum}");
            let hint = "lower the default or raise the maximum";
            match &default_item {
                Some(item) => item.refuse(message, hint),
                None => table.refuse(message, hint),
            }
        }
    }
    Limits { default, maximum }
}

fn windows(item: &Item<'_>, section: &'static Section) -> Option<Windows> {
    let table = item.table(section, "{ per_minute = 600 }")?;
    Some(Windows { per_minute: window(&table, "per_minute"), per_day: window(&table, "per_day") })
}

fn window(table: &Table<'_>, field: &str) -> Option<u32> {
    table.get(field)?.number(1..=MAX, "requests")
}
