//! Collects what is wrong while files are read, and shows it without secrets.

use std::{cell::RefCell, collections::HashSet, ops::Range};

use super::{
    mistake::{Mistake, Mistakes, Place},
    secret::{Forms, cover, fold, telling_comment},
};
use crate::leak::leak;

/// Longest excerpt, in characters: as much of a line as fits on a screen.
const MAX_EXCERPT: usize = 120;

/// Mistakes, and the files in which they are.
#[derive(Default)]
pub(super) struct Report {
    mistakes: RefCell<Vec<Mistake>>,
    files: RefCell<Vec<File>>,
    /// What was refused as a key.
    keys: RefCell<Vec<String>>,
    /// What no message may quote, as it would quote it.
    unquoted: RefCell<HashSet<String>>,
}

/// A file that was begun.
struct File {
    name: &'static str,
    text: String,
    /// Bytes that no excerpt may show.
    masked: Vec<Range<usize>>,
    /// Text that is written with escapes, and what it reads as.
    escaped: Vec<(Range<usize>, String)>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn add(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        let Place { file, line } = *place;
        let mistake =
            Mistake { file, line, message: message.into(), hint: hint.into(), excerpt: String::new() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Notes that a file is read; whether it had not been before.
    pub(super) fn begin(&self, file: &'static str) -> bool {
        let mut files = self.files.borrow_mut();
        let new = files.iter().all(|other| other.name != file);
        if new {
            files.push(File { name: file, text: String::new(), masked: Vec::new(), escaped: Vec::new() });
        }
        new
    }

    /// Keeps the text of a file that was begun.
    pub(super) fn has_read(&self, file: &'static str, text: &str) {
        self.with(file, |known| text.clone_into(&mut known.text));
    }

    /// No excerpt may show these bytes of a file.
    pub(super) fn mask(&self, file: &'static str, bytes: Range<usize>) {
        self.with(file, |known| known.masked.push(bytes));
    }

    /// These bytes of a file stand for this text.
    pub(super) fn escaped(&self, file: &'static str, bytes: Range<usize>, text: &str) {
        self.with(file, |known| known.escaped.push((bytes, text.to_owned())));
    }

    /// No message may quote this text, whatever it is about.
    pub(super) fn never_quote(&self, text: &str) {
        // Without letters and digits it is a pattern or nothing.
        if text.contains(char::is_alphanumeric) {
            self.unquoted.borrow_mut().insert(fold(&format!("{text:?}")));
        }
    }

    fn with(&self, file: &'static str, change: impl FnOnce(&mut File)) {
        if let Some(known) = self.files.borrow_mut().iter_mut().find(|known| known.name == file) {
            change(known);
        }
    }

    /// The texts of all files.
    pub(super) fn texts(&self) -> Vec<String> {
        self.files.borrow().iter().map(|file| file.text.clone()).collect()
    }

    /// Notes every key that stands in one of the files, comments too.
    pub(super) fn refuse_keys(&self, forms: &Forms) {
        let mut places = Vec::new();
        for file in &mut *self.files.borrow_mut() {
            let plain = forms.keys(&file.text).into_iter();
            let mut found: Vec<(usize, String)> =
                plain.filter_map(|bytes| Some((bytes.start, file.text.get(bytes)?.to_owned()))).collect();
            for (bytes, text) in &file.escaped {
                if !forms.secrets(&format!("{text:?}")).is_empty() {
                    file.masked.push(bytes.clone());
                }
                for key in forms.keys(text).into_iter().filter_map(|key| text.get(key)) {
                    let is_found = |(at, known): &(usize, String)| bytes.contains(at) && known == key;
                    if !found.iter().any(is_found) {
                        found.push((bytes.start, key.to_owned()));
                    }
                }
            }
            for (at, key) in found {
                places.push(Place { file: file.name, line: line_of(&file.text, at) });
                self.has_refused_key(&key);
            }
        }
        for place in places {
            self.add(
                &place,
                "there is an API key in the policy",
                "take it out of the file and revoke it, since it may have been seen; a policy holds no secrets",
            );
        }
    }

    /// Keeps what was refused as a key.
    pub(super) fn has_refused_key(&self, key: &str) {
        self.keys.borrow_mut().push(key.to_owned());
    }

    /// Whether some of this text was refused as a key.
    pub(super) fn has_refused_key_in(&self, text: &str) -> bool {
        self.keys.borrow().iter().any(|key| text.contains(key.as_str()))
    }

    /// What was noted, if anything was.
    pub(super) fn finish(self, forms: &Forms) -> Result<(), Mistakes> {
        let (mut list, files) = (self.mistakes.into_inner(), self.files.into_inner());
        let unquoted = self.unquoted.into_inner();
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|mistake| (files.iter().position(|file| file.name == mistake.file), mistake.line));
        for mistake in &mut list {
            if let Some(file) = files.iter().find(|file| file.name == mistake.file) {
                mistake.excerpt = excerpt(file, mistake.line, forms);
            }
            let quoted = quotations(&mistake.message);
            let hidden = quoted.filter(|bytes| {
                mistake.message.get(bytes.clone()).is_some_and(|text| unquoted.contains(&fold(text)))
            });
            let hidden = hidden.map(|bytes| bytes.start + 1..bytes.end - 1);
            let message = cover(&mistake.message, hidden.collect());
            mistake.message = forms.cover(&message);
            mistake.hint = forms.cover(&mistake.hint);
            if !forms.secrets(mistake.file).is_empty() {
                mistake.file = leak(&forms.cover(mistake.file));
            }
        }
        Err(Mistakes { list })
    }
}

/// What stands between two quotation marks that follow each other, with them.
fn quotations(message: &str) -> impl Iterator<Item = Range<usize>> {
    let mut is_escaped = false;
    let marks = message.bytes().enumerate().filter_map(move |(at, byte)| {
        let is_mark = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_mark.then_some(at)
    });
    let marks: Vec<usize> = marks.collect();
    let ends = marks.clone().into_iter().skip(1);
    marks.into_iter().zip(ends).map(|(start, end)| start..end + 1)
}

/// A line of a file, counted from 1, without what nobody may see.
fn excerpt(file: &File, line: usize, forms: &Forms) -> String {
    let Some(line) = file.text.split_inclusive('\n').nth(line - 1) else { return String::new() };
    let start = line.as_ptr().addr() - file.text.as_ptr().addr();
    let masked = file.masked.iter().filter(|bytes| bytes.start < start + line.len() && bytes.end > start);
    let masked = masked.map(|bytes| bytes.start.saturating_sub(start)..(bytes.end - start).min(line.len()));
    let comment = telling_comment(line).map(|at| at..line.len());
    let shown = cover(line, masked.chain(comment).chain(forms.secrets(line)).collect());
    let shown = shown.trim_end();
    match shown.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown.to_owned(),
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// One file while it is read.
pub(super) struct Source<'a> {
    pub(super) file: &'static str,
    pub(super) text: &'a str,
    pub(super) report: &'a Report,
}

impl Source<'_> {
    /// The line of a place that is given in bytes.
    pub(super) fn place(&self, bytes: &Range<usize>) -> Place {
        Place { file: self.file, line: line_of(self.text, bytes.start) }
    }

    /// Notes a mistake at a place that is given in bytes.
    pub(super) fn refuse(&self, bytes: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.report.add(&self.place(bytes), message, hint);
    }
}
