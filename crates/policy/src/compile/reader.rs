//! Reads a TOML document without stopping at the first mistake: every value knows its place, every
//! table its fields.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    mistake::{Place, Source, did_you_mean, looks_secret, nearest},
    sections::{Kind, Section},
};

pub(super) const MEGABYTE: u64 = 1_000_000;
pub(super) const GIGABYTE: u64 = 1_000 * MEGABYTE;

/// A table of the document.
pub(super) struct Table<'a> {
    section: &'static Section,
    entries: &'a DeTable<'a>,
    /// Fields that are not there, and the misspelt name under which each is: read all the same, so that the
    /// spelling is the only mistake.
    misspelt: Vec<(&'static str, &'a str)>,
    pub(super) place: Place,
    source: &'a Source<'a>,
}

/// A value of the document and what to call it in a message.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) name: String,
    value: &'a Spanned<DeValue<'a>>,
    /// What it may be.
    kind: &'static Kind,
    /// Whether it stands under a misspelt name: then something else than the field may have been meant.
    guessed: bool,
    source: &'a Source<'a>,
}

impl<'a> Table<'a> {
    /// Takes a table and notes every field that this section does not have.
    pub(super) fn new(
        section: &'static Section,
        entries: &'a DeTable<'a>,
        place: Place,
        source: &'a Source<'a>,
    ) -> Self {
        let mut misspelt: Vec<(&'static str, &'a str)> = Vec::new();
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            if let Some(field) = section.field(name) {
                if !field.is_shown {
                    source.report.mask(source.file, value.span());
                }
                continue;
            }
            let missing = section.names().filter(|field| !entries.contains_key(*field));
            let meant = nearest(name, missing);
            let meant = meant.filter(|field| misspelt.iter().all(|(taken, _)| taken != field));
            // Nobody knows what stands in a field that nobody knows.
            if looks_secret(name)
                || !meant.and_then(|field| section.field(field)).is_some_and(|it| it.is_shown)
            {
                source.report.mask(source.file, value.span());
            }
            if let Some(field) = meant {
                misspelt.push((field, name));
            } else if looks_secret(name) {
                source.refuse(
                    &key.span(),
                    format!("{} has the field {name:?}, and a policy holds no secrets", section.name),
                    "take it out of the file, make a new one since this one may have been seen, and set that \
                     with `wrangler secret put`",
                );
                continue;
            }
            let fields = section.names().collect::<Vec<_>>().join(", ");
            source.refuse(
                &key.span(),
                format!("{} has no field {name:?}", section.name),
                format!("{}its fields are {fields}", did_you_mean(name, section.names())),
            );
        }
        Self { section, entries, misspelt, place, source }
    }

    /// The value of a field, if it is there.
    pub(super) fn get(&self, field: &str) -> Option<Item<'a>> {
        let known = self.section.field(field);
        debug_assert!(known.is_some(), "{field} is not among the section's fields");
        let misspelt = self.misspelt.iter().find(|(meant, _)| *meant == field).map(|(_, name)| *name);
        let value = self.entries.get(misspelt.unwrap_or(field))?;
        let name = format!("{} {field}", self.section.name);
        Some(Item { name, value, kind: &known?.kind, guessed: misspelt.is_some(), source: self.source })
    }

    /// Whether it has no field at all, not even one that its section does not have.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether none of its section's fields is there.
    pub(super) fn has_none_of_its_fields(&self) -> bool {
        self.section.names().all(|field| self.get(field).is_none())
    }

    /// Whether all its fields are those of its section: else what is not there may be what was misnamed.
    pub(super) fn is_known(&self) -> bool {
        self.entries.keys().all(|key| self.section.field(key.get_ref()).is_some())
    }

    /// Whether no part of this field's list stands under a misspelt name beside it.
    pub(super) fn is_whole(&self, field: &str) -> bool {
        let unknown = self.entries.keys().map(|key| key.get_ref().as_ref());
        let mut unknown = unknown.filter(|name| self.section.field(name).is_none());
        unknown.all(|name| nearest(name, self.section.names()) != Some(field))
    }

    /// The value of a field that must be there; `example` shows how to write it.
    pub(super) fn need(&self, field: &str, example: &str) -> Option<Item<'a>> {
        let item = self.get(field);
        if item.is_none() {
            self.source.report.add(
                &self.place,
                format!("{} lacks the field {field:?}", self.section.name),
                format!("add it, for example: {example}"),
            );
        }
        item
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn refuse(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.source.report.add(&self.place, message, hint);
    }
}

impl<'a> Item<'a> {
    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        self.source.place(&self.value.span())
    }

    /// Notes a mistake of this value.
    pub(super) fn refuse(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.source.report.add(&self.place(), message, hint);
    }

    fn wrong_type(&self, expected: &str, example: &str) {
        if self.guessed {
            return;
        }
        self.refuse(
            format!("{} is {}, but must be {expected}", self.name, kind(self.value.get_ref())),
            format!("write it like {example}"),
        );
    }

    /// As text; `example` shows how to write it.
    pub(super) fn text(&self, example: &str) -> Option<&'a str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type("text", example);
        }
        text
    }

    /// Its text if it is text, without a word if it is something else.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// As true or false.
    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type("true or false", "true");
        }
        flag
    }

    /// What its kind says, where that is of this form; a reader asks for nothing else.
    fn of_kind<T>(&self, form: impl Fn(&'static Kind) -> Option<T>) -> Option<T> {
        let found = match self.kind {
            Kind::Either(one, other) => form(one).or_else(|| form(other)),
            kind => form(kind),
        };
        debug_assert!(found.is_some(), "{} is not of the kind that it is read as", self.name);
        found
    }

    /// As a whole number.
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
            if !self.guessed {
                self.refuse(
                    format!("{} is {}, but must be a whole number of {unit}", self.name, shortened(given)),
                    mend,
                );
            }
            return None;
        };
        // What does not fit is as far out of range as what fits and is the largest.
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX);
        let number = u32::try_from(number).ok().filter(|number| (least..=most).contains(&number));
        if number.is_none() {
            let given = shortened(&digits.to_string());
            self.refuse(format!("{} is {given} {unit}, which is out of range", self.name), mend);
        }
        number
    }

    /// As a length of time, in milliseconds: `"500ms"`, `"5s"`, `"2m"`, `"1h"`.
    pub(super) fn duration_ms(&self) -> Option<u32> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Duration(least, most) => Some((*least, *most)),
            _ => None,
        })?;
        let text = self.text("\"5s\"")?;
        let Some(milliseconds) = parse_duration_ms(text) else {
            self.refuse(
                format!("{} is {text:?}, which is not a length of time", self.name),
                "write a whole number and a unit (ms, s, m or h) with nothing between them, like \"5s\"",
            );
            return None;
        };
        let milliseconds = u32::try_from(milliseconds).ok().filter(|number| (least..=most).contains(number));
        if milliseconds.is_none() {
            self.refuse(
                format!("{} is {text:?}, which is out of range", self.name),
                format!("choose from {} to {}", show_duration(least), show_duration(most)),
            );
        }
        milliseconds
    }

    /// As bytes: `"500MB"`, `"8GB"`.
    pub(super) fn size(&self) -> Option<u64> {
        let (least, most) = self.of_kind(|kind| match kind {
            Kind::Size(least, most) => Some((*least, *most)),
            _ => None,
        })?;
        let text = self.text("\"8GB\"")?;
        let bytes = measure(text).and_then(|(number, unit)| match unit {
            "MB" => Some(number.saturating_mul(MEGABYTE)),
            "GB" => Some(number.saturating_mul(GIGABYTE)),
            _ => None,
        });
        let Some(bytes) = bytes else {
            self.refuse(
                format!("{} is {text:?}, which is not a size", self.name),
                "write a whole number and a unit (MB or GB) with nothing between them, like \"8GB\"",
            );
            return None;
        };
        if !(least..=most).contains(&bytes) {
            self.refuse(
                format!("{} is {text:?}, which is out of range", self.name),
                format!("choose from {}MB to {}GB", least / MEGABYTE, most / GIGABYTE),
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

    /// As one of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let known = self.of_kind(|kind| match kind {
            Kind::Word(words) => Some(words),
            _ => None,
        })?;
        debug_assert!(known.iter().eq(choices.iter().map(|(word, _)| word)), "{} has other words", self.name);
        let (first, _) = choices.first()?;
        let text = self.text(&format!("{first:?}"))?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            let meant = did_you_mean(text, choices.iter().map(|(word, _)| *word));
            self.refuse(
                format!("{} is {text:?}, which is not one of its values", self.name),
                format!("{meant}its values are {}", words.join(", ")),
            );
        }
        chosen
    }

    /// As a list in which nothing stands twice.
    pub(super) fn list(&self, example: &str) -> Option<Vec<Item<'a>>> {
        self.list_by(example, str::to_owned)
    }

    /// As a list in which nothing stands twice, where what has the same `form` is the same.
    pub(super) fn list_by(&self, example: &str, form: impl Fn(&str) -> String) -> Option<Vec<Item<'a>>> {
        let list = self.sequence(example)?;
        let mut forms = Vec::new();
        for item in &list {
            let Some(text) = item.as_text() else { continue };
            let form = form(text);
            if forms.contains(&form) {
                item.refuse(format!("{} has {text:?} twice", item.name), "take one of them out");
            }
            forms.push(form);
        }
        Some(list)
    }

    /// As a list in which the same may stand twice.
    pub(super) fn sequence(&self, example: &str) -> Option<Vec<Item<'a>>> {
        let Some(values) = self.value.get_ref().as_array() else {
            self.wrong_type("a list", example);
            return None;
        };
        let kind = self.of_kind(|kind| match kind {
            Kind::List(kind) => Some(*kind),
            _ => None,
        })?;
        let (name, guessed, source) = (&self.name, self.guessed, self.source);
        let item = |value| Item { name: name.clone(), value, kind, guessed, source };
        Some(values.iter().map(item).collect())
    }

    /// As a list with something in it, and nothing twice.
    pub(super) fn items(&self, example: &str) -> Option<Vec<Item<'a>>> {
        self.items_by(example, str::to_owned)
    }

    /// As a list with something in it, and nothing twice that has the same `form`.
    pub(super) fn items_by(&self, example: &str, form: impl Fn(&str) -> String) -> Option<Vec<Item<'a>>> {
        self.filled(self.list_by(example, form)?, example)
    }

    /// A list with something in it.
    pub(super) fn filled(&self, list: Vec<Item<'a>>, example: &str) -> Option<Vec<Item<'a>>> {
        if list.is_empty() {
            self.refuse(
                format!("{} is an empty list", self.name),
                format!("name at least one, for example: {example}"),
            );
            return None;
        }
        Some(list)
    }

    /// As a list of text in which nothing stands twice; what is not text is noted and left out.
    pub(super) fn texts(&self, example: &str) -> Option<Vec<(Item<'a>, &'a str)>> {
        let items = self.list(example)?;
        Some(items.into_iter().filter_map(|item| item.text(example).map(|text| (item, text))).collect())
    }

    /// As a table.
    pub(super) fn table(&self, example: &str) -> Option<Table<'a>> {
        let section = self.of_kind(|kind| match kind {
            Kind::Table(section) => Some(*section),
            _ => None,
        })?;
        let Some(entries) = self.value.get_ref().as_table() else {
            self.wrong_type("a table", example);
            return None;
        };
        Some(Table::new(section, entries, self.place(), self.source))
    }

    /// As a table whose fields are names of the policy's own, in the order of the file.
    pub(super) fn entries(&self, example: &str) -> Option<Vec<Entry<'a>>> {
        let Some(entries) = self.value.get_ref().as_table() else {
            self.wrong_type("a table", example);
            return None;
        };
        let kind = self.of_kind(|kind| match kind {
            Kind::Entries(kind) => Some(*kind),
            _ => None,
        })?;
        let mut entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().as_ref(),
                bytes: key.span(),
                item: Item {
                    name: format!("{} {:?}", self.name, key.get_ref()),
                    value,
                    kind,
                    guessed: false,
                    source: self.source,
                },
            })
            .collect();
        entries.sort_by_key(|entry| entry.bytes.start);
        Some(entries)
    }
}

/// One entry of a table whose fields are names of the policy's own.
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    bytes: Range<usize>,
    pub(super) item: Item<'a>,
}

impl Entry<'_> {
    /// Notes a mistake of the entry's name.
    pub(super) fn refuse(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.item.source.refuse(&self.bytes, message, hint);
    }
}

/// A whole number and what follows it. Too many digits are a number all the same, out of every range.
fn measure(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    (digits > 0).then(|| (number.parse().unwrap_or(u64::MAX), unit))
}

fn parse_duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = measure(text)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number.saturating_mul(factor))
}

fn show_duration(milliseconds: u32) -> String {
    match milliseconds {
        _ if !milliseconds.is_multiple_of(1_000) => format!("{milliseconds}ms"),
        3_600_000.. if milliseconds.is_multiple_of(3_600_000) => format!("{}h", milliseconds / 3_600_000),
        // A minute is said in seconds, 90 seconds too.
        120_000.. if milliseconds.is_multiple_of(60_000) => format!("{}m", milliseconds / 60_000),
        _ => format!("{}s", milliseconds / 1_000),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
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
