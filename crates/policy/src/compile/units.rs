//! Reads numbers, and what is written as a number with a unit: `"5s"`, `"8GB"`, `"400d"`.

use toml::de::DeValue;

use super::{
    reader::{Item, kind},
    section::Kind,
};
use crate::span::Span;

pub(super) const MEGABYTE: u64 = 1_000_000;
pub(super) const GIGABYTE: u64 = 1_000 * MEGABYTE;

/// The units of a size, and their bytes.
const SIZES: [(&str, u64); 4] =
    [("MB", MEGABYTE), ("GB", GIGABYTE), ("MiB", 1_024 * 1_024), ("GiB", 1_024 * 1_024 * 1_024)];

impl Item<'_> {
    /// As a whole number, of this unit; empty where it has none.
    pub(super) fn number(&self, unit: &str) -> Option<u32> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Number(least, most) => Some((least, most)),
            _ => None,
        })?;
        let mend = format!("choose a number from {least} to {most}");
        let DeValue::Integer(digits) = self.value.get_ref() else {
            // Written out: 1e3 has no fraction, and `inf` is no number that could be chosen.
            let given = match self.value.get_ref() {
                DeValue::Float(float) => float.as_str(),
                other => kind(other),
            };
            let of = if unit.is_empty() { "" } else { " of " };
            self.refuse(
                format!("{} is {}, but must be a whole number{of}{unit}", self.name, shortened(given)),
                mend,
            );
            return None;
        };
        // What does not fit is as far out of range as what fits and is the largest.
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX);
        let number = u32::try_from(number).ok().filter(|number| (least..=most).contains(&number));
        if number.is_none() {
            let given = format!("{} {unit}", shortened(&digits.to_string()));
            self.refuse(format!("{} is {}, which is out of range", self.name, given.trim_end()), mend);
        }
        number
    }

    /// As a span of time: `"500ms"`, `"5s"`, `"2m"`, `"1h"`.
    pub(super) fn span(&self) -> Option<Span> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Duration(least, most) => Some((*least, *most)),
            _ => None,
        })?;
        let text = self.text("\"5s\"")?;
        let Some(span) = parse_span(text) else {
            self.refuse(
                format!("{} is {text:?}, which is not a length of time", self.name),
                "write a whole number and a unit (ms, s, m or h) with nothing between them, like \"5s\"",
            );
            return None;
        };
        let is_allowed = (least..=most).contains(&span);
        if !is_allowed {
            self.refuse(
                format!("{} is {text:?}, which is out of range", self.name),
                format!("choose from {} to {}", show(least), show(most)),
            );
        }
        is_allowed.then_some(span)
    }

    /// As bytes: `"500MB"`, `"8GB"`, `"25MiB"`.
    pub(super) fn size(&self) -> Option<u64> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Size(least, most) => Some((*least, *most)),
            _ => None,
        })?;
        let example = format!("{:?}", in_unit(most));
        let text = self.text(&example)?;
        let bytes = measure(text).and_then(|(number, unit)| {
            let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
            Some(number.saturating_mul(*bytes))
        });
        let Some(bytes) = bytes else {
            let units = "MB, GB, MiB or GiB";
            self.refuse(
                format!("{} is {text:?}, which is not a size", self.name),
                format!(
                    "write a whole number and a unit ({units}) with nothing between them, like {example}"
                ),
            );
            return None;
        };
        if !(least..=most).contains(&bytes) {
            self.refuse(
                format!("{} is {text:?}, which is out of range", self.name),
                format!("choose from {} to {}", in_unit(least), in_unit(most)),
            );
            return None;
        }
        Some(bytes)
    }

    /// As a number of days: `"400d"`.
    pub(super) fn days(&self, hint: &str) -> Option<u32> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Days(least, most) => Some((*least, *most)),
            _ => None,
        })?;
        let text = self.text("\"400d\"")?;
        let Some(days) = measure(text).filter(|(_, unit)| *unit == "d").map(|(number, _)| number) else {
            self.refuse(format!("{} is {text:?}, which is not a number of days", self.name), hint);
            return None;
        };
        let days = u32::try_from(days).ok().filter(|days| (least..=most).contains(days));
        if days.is_none() {
            self.refuse(
                format!("{} is {text:?}, which is out of range", self.name),
                format!("choose from {least}d to {most}d"),
            );
        }
        days
    }
}

/// Bytes in the unit in which people write them.
fn in_unit(bytes: u64) -> String {
    if bytes < GIGABYTE { format!("{}MB", bytes / MEGABYTE) } else { format!("{}GB", bytes / GIGABYTE) }
}

/// A whole number and what follows it. Too many digits are a number all the same, out of every range.
fn measure(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    (digits > 0).then(|| (number.parse().unwrap_or(u64::MAX), unit))
}

fn parse_span(text: &str) -> Option<Span> {
    let (number, unit) = measure(text)?;
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    Some(match unit {
        "ms" => Span::from_ms(number),
        "s" => Span::from_secs(number),
        "m" => Span::from_mins(number),
        "h" => Span::from_hours(number),
        _ => return None,
    })
}

/// A span without the part of a second: documents hold some in whole seconds.
pub(super) fn in_seconds(span: Span) -> Span {
    Span::from_secs(span.whole_secs())
}

/// A span as a policy writes it.
fn show(span: Span) -> String {
    match span.ms() {
        ms if ms % 1_000 != 0 => format!("{ms}ms"),
        ms @ 3_600_000.. if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        // A minute is shown in seconds, 90 seconds too.
        ms @ 120_000.. if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms => format!("{}s", ms / 1_000),
    }
}

/// The beginning of something long.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    text.char_indices()
        .nth(LONGEST)
        .and_then(|(at, _)| text.get(..at))
        .map_or_else(|| text.to_owned(), |text| format!("{text}…"))
}
