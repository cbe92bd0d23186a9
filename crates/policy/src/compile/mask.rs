//! What an excerpt of a policy may show of its values: those of fields that everybody may see, and nothing else. It is
//! settled for the whole file before anything is read, so that no mistake depends on how far the reader came.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    nearest::nearest,
    report::Source,
    secret::looks_secret,
    section::{Field, Kind, Section},
    sections::{SECTIONS, TOP},
};

/// Masks values of a document.
pub(super) fn document(document: &DeTable<'_>, source: &Source<'_>) {
    table(&TOP, document, source);
}

/// Masks lines of a file that is not TOML, where nobody knows what is a value: each is shown up to the first word that
/// does not name a field whose value may be shown.
pub(super) fn lines(source: &Source<'_>) {
    let mut start = 0;
    for whole in source.text.split_inclusive('\n') {
        let line = whole.trim_end();
        source.report.mask(source.file, start + readable(line)..start + line.len());
        start += whole.len();
    }
}

fn table(section: &Section, entries: &DeTable<'_>, source: &Source<'_>) {
    for (key, it) in entries {
        let name = key.get_ref();
        note_escapes(key.span(), name, source);
        let Some(field) = field(section, name, entries) else {
            hide(it, source);
            continue;
        };
        if !field.is_shown || field.name != name.as_ref() {
            never_quote(&field.kind, it, source);
        }
        if field.is_shown { value(&field.kind, it, source) } else { hide(it, source) }
    }
}

/// The field of this name, or the missing one that it is a misspelling of, unless its name sounds like a secret's.
fn field(section: &Section, name: &str, entries: &DeTable<'_>) -> Option<&'static Field> {
    section.field(name).or_else(|| {
        let missing = section.names().filter(|field| !entries.contains_key(*field));
        nearest(name, missing).and_then(|field| section.field(field)).filter(|_| !looks_secret(name))
    })
}

/// Keeps what is text in a value out of all messages. The fields of a table have rules of their own.
fn never_quote(kind: &Kind, it: &Spanned<DeValue<'_>>, source: &Source<'_>) {
    match (kind, it.get_ref()) {
        (_, DeValue::String(text)) => source.report.never_quote(text),
        (Kind::Either(one, other), given) => {
            never_quote(if fits(one, given) { one } else { other }, it, source);
        }
        (Kind::List(kind), DeValue::Array(values)) => {
            values.iter().for_each(|it| never_quote(kind, it, source));
        }
        (Kind::Entries(kind), DeValue::Table(entries)) => {
            entries.values().for_each(|it| never_quote(kind, it, source));
        }
        _ => {}
    }
}

/// Masks what is not of the kind that it should be, where that holds something that may not be shown.
fn value(kind: &Kind, it: &Spanned<DeValue<'_>>, source: &Source<'_>) {
    match (kind, it.get_ref()) {
        (Kind::Either(one, other), given) => value(if fits(one, given) { one } else { other }, it, source),
        (Kind::Table(section), DeValue::Table(entries)) => table(section, entries, source),
        (Kind::Entries(kind), DeValue::Table(entries)) => {
            for (key, it) in entries {
                note_escapes(key.span(), key.get_ref(), source);
                if looks_secret(key.get_ref()) { hide(it, source) } else { value(kind, it, source) }
            }
        }
        (Kind::List(kind), DeValue::Array(values)) => values.iter().for_each(|it| value(kind, it, source)),
        // One in place of a list, a list in place of one.
        (Kind::List(kind) | Kind::Entries(kind), _) => value(kind, it, source),
        (Kind::Table(_), DeValue::Array(values)) => values.iter().for_each(|it| value(kind, it, source)),
        (Kind::Table(section), DeValue::String(_)) if !is_shown(section) => hide(it, source),
        (_, DeValue::Table(_) | DeValue::Array(_)) => hide(it, source),
        (_, DeValue::String(text)) => note_escapes(it.span(), text, source),
        _ => {}
    }
}

fn fits(kind: &Kind, given: &DeValue<'_>) -> bool {
    match given {
        DeValue::Table(_) => matches!(kind, Kind::Table(_) | Kind::Entries(_)),
        DeValue::Array(_) => matches!(kind, Kind::List(_)),
        _ => !matches!(kind, Kind::Table(_) | Kind::Entries(_) | Kind::List(_)),
    }
}

/// Whether all that a table of this section holds may be shown.
fn is_shown(section: &Section) -> bool {
    section.fields.iter().all(|field| field.is_shown && is_kind_shown(&field.kind))
}

fn is_kind_shown(kind: &Kind) -> bool {
    match kind {
        Kind::Table(section) => is_shown(section),
        Kind::List(kind) | Kind::Entries(kind) => is_kind_shown(kind),
        Kind::Either(one, other) => is_kind_shown(one) && is_kind_shown(other),
        _ => true,
    }
}

/// Masks a value and all that is in it, but not the headers of tables.
fn hide(it: &Spanned<DeValue<'_>>, source: &Source<'_>) {
    match it.get_ref() {
        DeValue::Table(entries) => {
            if source.text.get(it.span()).is_some_and(|text| text.starts_with('{')) {
                source.report.mask(source.file, it.span());
            }
            for (key, it) in entries {
                note_escapes(key.span(), key.get_ref(), source);
                hide(it, source);
            }
        }
        DeValue::Array(values) => values.iter().for_each(|it| hide(it, source)),
        DeValue::String(text) => {
            source.report.mask(source.file, it.span());
            note_escapes(it.span(), text, source);
        }
        _ => source.report.mask(source.file, it.span()),
    }
}

/// Notes text that is written with escapes, or in more than one line.
fn note_escapes(bytes: Range<usize>, text: &str, source: &Source<'_>) {
    if !source.text.get(bytes.clone()).is_some_and(|raw| !raw.contains('\n') && raw.contains(text)) {
        source.report.escaped(source.file, bytes, text);
    }
}

/// How much of a line can be shown that is not TOML: a table's name, or fields that everybody may see with their values.
fn readable(line: &str) -> usize {
    if line.trim_start().starts_with('[') && !line.contains(['=', '"', '\'']) {
        return line.len();
    }
    // Nobody knows what it would be without its escapes.
    let plain = line.find('\\').unwrap_or(line.len());
    let mut ends = line.match_indices('=').map(|(at, _)| at).peekable();
    if ends.peek().is_none() {
        return 0;
    }
    let hidden = ends.find(|at| {
        let (before, after) = line.split_at_checked(*at).unwrap_or_default();
        let is_table =
            after.get(1..).is_some_and(|value| value.trim_start_matches([' ', '\t', '[']).starts_with('{'));
        !may_show(last_word(before), is_table)
    });
    hidden.map_or(plain, |at| plain.min(at + 1))
}

/// The name before an equals sign.
fn last_word(before: &str) -> &str {
    let of_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let before = before.trim_end().trim_end_matches(['"', '\'']);
    let begin = before.rfind(|character| !of_word(character)).map_or(0, |at| at + 1);
    before.get(begin..).unwrap_or_default()
}

/// Whether whatever field has this name may be shown: with its value, or what of a table stands before its fields.
fn may_show(name: &str, is_table: bool) -> bool {
    let mut fields = SECTIONS.iter().filter_map(|section| section.field(name)).peekable();
    fields.peek().is_some()
        && !looks_secret(name)
        && fields.all(|field| field.is_shown && (is_table || is_kind_shown(&field.kind)))
}
