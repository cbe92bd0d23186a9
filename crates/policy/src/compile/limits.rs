//! `[realm.limits]`: limits of keys that name none, and the most that a key may name.

use super::reader::Item;
use crate::{
    model::{Limits, ResetForm, USUAL_TRAVEL, Window, Windows},
    span::Span,
};

/// Largest limit there may be, in requests.
pub(super) const MAX_LIMIT: u32 = 1_000_000_000;

const NONE: Windows = Windows {
    per_second: None,
    per_minute: None,
    per_hour: None,
    per_day: None,
    per_month: None,
    total: None,
    in_flight: None,
};

pub(super) const RESET_FORMS: [(&str, ResetForm); 2] =
    [("seconds", ResetForm::Seconds), ("epoch", ResetForm::Epoch)];

const DEFAULT: Limits = Limits {
    default: Windows { per_minute: Some(600), ..NONE },
    maximum: Windows { per_minute: Some(100_000), per_day: Some(10_000_000), ..NONE },
    travel: USUAL_TRAVEL,
    x_ratelimit: None,
};

/// Each request counts for as much longer than its window.
pub(super) const MAX_TRAVEL: Span = Span::from_secs(10);

/// What an object has said of a key is used for a request within this time: the answer's, and that of a delay.
const DECIDES_WITHIN: Span = Span::from_ms(1_250);

/// Reads the section, or its defaults, and says whether all of it could be read. `freshness` is the realm's, if that could be.
pub(super) fn read(item: Option<Item<'_>>, freshness: Option<Span>) -> (Limits, bool) {
    let is_missing = item.is_none();
    let Some(table) = item.and_then(|item| item.table("[realm.limits]")) else {
        return (DEFAULT, is_missing);
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
            if let Some(item) = item {
                refuse_contradiction(item, windows);
            }
        }
    }
    let is_known = default.is_some() && maximum.is_some();
    let (default, maximum) = (default.unwrap_or(DEFAULT.default), maximum.unwrap_or(DEFAULT.maximum));
    let travel_item = table.get("travel");
    let travel = travel_item.as_ref().map_or(Some(DEFAULT.travel), |item| item.span());
    let travel = travel.unwrap_or(DEFAULT.travel);
    if let (Some(item), Some(freshness)) = (&travel_item, freshness)
        && freshness > Span::ZERO
        && freshness < travel + DECIDES_WITHIN
    {
        item.refuse(
            format!("{} leaves too little of the realm's freshness", item.name),
            "lower it, or raise freshness to 1250 ms more: a revoked key's last request arrives within that, travel included",
        );
    }
    let x_ratelimit = table.get("x_ratelimit").and_then(|item| item.choice(&RESET_FORMS));
    (Limits { default, maximum, travel, x_ratelimit }, is_known)
}

/// Refuses a shorter window that can never be full.
pub(super) fn refuse_contradiction(item: &Item<'_>, windows: Windows) {
    if let Some([(short, most), (long, less)]) = windows.contradictions().next() {
        let (short, long) = (short.setting(), long.setting());
        item.refuse(
            format!("{} has {long} = {less}, which is below its {short} = {most}", item.name),
            format!("{short} could never be reached: raise {long}, or take {short} out"),
        );
    }
}

fn check(default: Windows, maximum: Windows, refuse: impl Fn(String, &str)) {
    const HINT: &str = "lower the default or raise the maximum";
    for window in Window::LIMITS {
        let Some(limit) = default.get(window) else { continue };
        let name = window.setting();
        if let Some(most) = maximum.get(window).filter(|most| limit > *most) {
            refuse(format!("the default limit {name} = {limit} is above the maximum {most}"), HINT);
        }
        // Nor may it be above that of a longer window for which there is no default.
        let longer = maximum
            .set()
            .find(|(longer, most)| *longer > window && default.get(*longer).is_none() && limit > *most);
        if let Some((longer, most)) = longer {
            let longer = longer.setting();
            refuse(
                format!("the default limit {name} = {limit} is above the maximum {longer} = {most}"),
                HINT,
            );
        }
    }
}

/// Reads limits.
pub(super) fn windows(item: &Item<'_>) -> Option<Windows> {
    let table = item.table("{ per_minute = 600 }")?;
    Some(Windows::each(|window| table.get(window.setting())?.number("requests")))
}
