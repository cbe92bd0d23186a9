//! What is wrong with a policy: every mistake with its line, what is wrong, and how to mend it.

use std::{cell::RefCell, fmt, ops::Range};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the caller or an `include` named it.
    pub file: &'static str,
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// Every mistake of a policy, file by file, in the order of their lines. `Display` is what a build prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// Never empty.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { file, line, message, hint }) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}error: {file}:{line}: {message}\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A line of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: &'static str,
    /// From 1.
    pub(super) line: usize,
}

impl Place {
    /// What to call this place in a mistake at another: `line 5`, or `line 5 of other.toml`.
    pub(super) fn seen_from(&self, other: &Self) -> String {
        let Self { file, line } = self;
        if *file == other.file { format!("line {line}") } else { format!("line {line} of {file}") }
    }
}

/// Collects mistakes while files are read.
#[derive(Default)]
pub(super) struct Report {
    mistakes: RefCell<Vec<Mistake>>,
    files: RefCell<Vec<&'static str>>,
    hidden: RefCell<Vec<String>>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn add(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        let Place { file, line } = *place;
        let mistake = Mistake { file, line, message: message.into(), hint: hint.into() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Takes in that a file is read; whether it had not been before.
    pub(super) fn begin(&self, file: &'static str) -> bool {
        let mut files = self.files.borrow_mut();
        let new = !files.contains(&file);
        if new {
            files.push(file);
        }
        new
    }

    /// No mistake may show this.
    pub(super) fn hide(&self, text: &str) {
        self.hidden.borrow_mut().push(text.to_owned());
    }

    /// Whether some of this may not be shown.
    pub(super) fn hides(&self, text: &str) -> bool {
        self.hidden.borrow().iter().any(|hidden| text.contains(hidden.as_str()))
    }

    /// What was noted, if anything was.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let (mut list, files) = (self.mistakes.into_inner(), self.files.into_inner());
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|mistake| (files.iter().position(|file| *file == mistake.file), mistake.line));
        for mistake in &mut list {
            for text in &*self.hidden.borrow() {
                mistake.message = mistake.message.replace(text, "…");
                mistake.hint = mistake.hint.replace(text, "…");
            }
        }
        Err(Mistakes { list })
    }
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
        let line = self.text.bytes().take(bytes.start).filter(|&byte| byte == b'\n').count() + 1;
        Place { file: self.file, line }
    }

    /// Notes a mistake at a place that is given in bytes.
    pub(super) fn refuse(&self, bytes: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.report.add(&self.place(bytes), message, hint);
    }
}

/// `did you mean "…"? ` where a candidate is near, else nothing: the beginning of a hint.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map(|candidate| format!("did you mean {candidate:?}? ")).unwrap_or_default()
}

/// The candidate that is most like a misspelt word, if one is like it at all.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
