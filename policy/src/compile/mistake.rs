//! What is wrong with a policy: every mistake with its line, what is wrong, and how to mend it.

use std::{cell::RefCell, fmt, ops::Range};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// Every mistake of one file, in the order of its lines. `Display` is what a build prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, as the caller named it.
    pub file: String,
    /// Never empty.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { line, message, hint }) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}error: {}:{line}: {message}\n  hint: {hint}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes while a file is read.
pub(super) struct Report<'a> {
    text: &'a str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, mistakes: RefCell::new(Vec::new()) }
    }

    /// Notes a mistake at this place (in bytes) of the file.
    pub(super) fn add(&self, place: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let mistake = Mistake { line: self.line(place), message: message.into(), hint: hint.into() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, place: &Range<usize>) -> usize {
        self.text.bytes().take(place.start).filter(|&byte| byte == b'\n').count() + 1
    }

    /// Whether anything was noted, and what, in the order of the lines. None of `hidden` shows.
    pub(super) fn finish(self, file: &str, hidden: &[&str]) -> Result<(), Mistakes> {
        let mut list = self.mistakes.into_inner();
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|mistake| mistake.line);
        for mistake in &mut list {
            for text in hidden {
                mistake.message = mistake.message.replace(text, "…");
                mistake.hint = mistake.hint.replace(text, "…");
            }
        }
        Err(Mistakes { file: file.to_owned(), list })
    }
}

/// `did you mean "…"? ` where a candidate is near, else nothing: the beginning of a hint.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean {candidate:?}? "))
        .unwrap_or_default()
}
