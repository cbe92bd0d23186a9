//! Reads a TOML document without stopping at the first mistake: every value knows its place, every
//! table its fields.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    mistake::Place,
    nearest::{did_you_mean, is_slip, nearest},
    report::Source,
    secret::looks_secret,
    section::{Kind, Section},
};

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
    pub(super) value: &'a Spanned<DeValue<'a>>,
    /// What it may be.
    pub(super) kind: &'static Kind,
    /// Whether it stands under a misspelt name. Something else than the field may have been meant, a secret too: the
    /// name is the only mistake that is noted.
    pub(super) guessed: bool,
    pub(super) source: &'a Source<'a>,
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
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            if section.field(name).is_some() {
                continue;
            }
            let missing = section.names().filter(|field| !entries.contains_key(*field));
            // A name like a secret's is taken for no other field, but for a slip in the name of one like `secret_form`.
            let is_known_slip = |field: &str| {
                let is_word = section.field(field).is_some_and(|field| {
                    matches!(field.kind, Kind::Text | Kind::Word(_) | Kind::Either(Kind::Text, _))
                });
                is_word && looks_secret(field) && is_slip(name, field)
            };
            let meant = nearest(name, missing).filter(|field| !looks_secret(name) || is_known_slip(field));
            if looks_secret(name) && meant.is_none() {
                source.refuse(
                    &key.span(),
                    format!("{} has the field {name:?}, and a policy holds no secrets", section.name),
                    "take it out of the file, make a new one since this one may have been seen, and set that \
                     with `wrangler secret put`",
                );
                continue;
            }
            if let Some(field) = meant.filter(|field| misspelt.iter().all(|(taken, _)| taken != field)) {
                misspelt.push((field, name));
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

    /// What it is called in a message.
    pub(super) fn name(&self) -> &'static str {
        self.section.name
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
        if !self.guessed {
            self.source.report.add(&self.place(), message, hint);
        }
    }

    pub(super) fn wrong_type(&self, expected: &str, example: &str) {
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
    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().as_array().is_some()
    }

    /// As text, if it is that.
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
    pub(super) fn of_kind<T>(&self, form: impl Fn(&'static Kind) -> Option<T>) -> Option<T> {
        let found = match self.kind {
            Kind::Either(one, other) => form(one).or_else(|| form(other)),
            kind => form(kind),
        };
        debug_assert!(found.is_some(), "{} is not of the kind that it is read as", self.name);
        found
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
                    guessed: self.guessed,
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
        if !self.item.guessed {
            self.item.source.refuse(&self.bytes, message, hint);
        }
    }
}

pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
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
