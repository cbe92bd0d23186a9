//! What is wrong with a policy: every mistake with its line, what is wrong, and how to mend it.

use std::{cell::RefCell, fmt, ops::Range};

use super::sections::SECTIONS;

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
    /// The line itself, without what may be a secret; empty where there is none.
    pub excerpt: String,
}

/// Every mistake of a policy, file by file, in the order of their lines. `Display` says each with its hint; `{:#}`
/// shows the lines between them, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// Never empty.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { file, line, message, hint, excerpt }) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}error: {file}:{line}: {message}")?;
            if f.alternate() && !excerpt.is_empty() {
                write!(f, "\n  {line:>4} | {excerpt}")?;
            }
            write!(f, "\n  hint: {hint}")?;
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
    /// Those that were begun, and what stands in them.
    files: RefCell<Vec<(&'static str, String)>>,
    hidden: RefCell<Vec<String>>,
    /// Bytes of files that no excerpt may show.
    masked: RefCell<Vec<(&'static str, Range<usize>)>>,
}

impl Report {
    /// Notes a mistake.
    pub(super) fn add(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        let Place { file, line } = *place;
        let mistake =
            Mistake { file, line, message: message.into(), hint: hint.into(), excerpt: String::new() };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Takes in that a file is read; whether it had not been before.
    pub(super) fn begin(&self, file: &'static str) -> bool {
        let mut files = self.files.borrow_mut();
        let new = files.iter().all(|(other, _)| *other != file);
        if new {
            files.push((file, String::new()));
        }
        new
    }

    /// Takes in what stands in a file that was begun.
    pub(super) fn has_read(&self, file: &'static str, text: &str) {
        let mut files = self.files.borrow_mut();
        if let Some((_, known)) = files.iter_mut().find(|(other, _)| *other == file) {
            text.clone_into(known);
        }
    }

    /// No mistake may show this.
    pub(super) fn hide(&self, text: &str) {
        self.hidden.borrow_mut().push(text.to_owned());
    }

    /// No excerpt may show these bytes of a file.
    pub(super) fn mask(&self, file: &'static str, bytes: Range<usize>) {
        self.masked.borrow_mut().push((file, bytes));
    }

    /// Whether some of this may not be shown.
    pub(super) fn hides(&self, text: &str) -> bool {
        self.hidden.borrow().iter().any(|hidden| text.contains(hidden.as_str()))
    }

    /// What was noted, if anything was.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let (mut list, files, masked) =
            (self.mistakes.into_inner(), self.files.into_inner(), self.masked.into_inner());
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|mistake| (files.iter().position(|(file, _)| *file == mistake.file), mistake.line));
        for mistake in &mut list {
            if let Some((file, text)) = files.iter().find(|(file, _)| *file == mistake.file) {
                let masked = masked.iter().filter(|(other, _)| other == file).map(|(_, bytes)| bytes);
                mistake.excerpt = excerpt(text, mistake.line, masked);
            }
            for text in &*self.hidden.borrow() {
                mistake.message = mistake.message.replace(text, "…");
                mistake.hint = mistake.hint.replace(text, "…");
                mistake.excerpt = mistake.excerpt.replace(text, "…");
            }
        }
        Err(Mistakes { list })
    }
}

/// A line of a text, counted from 1, as far as it fits on a screen; what is masked is a `…`.
fn excerpt<'m>(text: &str, line: usize, masked: impl Iterator<Item = &'m Range<usize>>) -> String {
    const LONGEST: usize = 120;
    let Some(line) = text.split_inclusive('\n').nth(line - 1) else { return String::new() };
    let start = line.as_ptr().addr() - text.as_ptr().addr();
    let mut masked: Vec<_> =
        masked.filter(|bytes| bytes.start < start + line.len() && bytes.end > start).collect();
    masked.sort_unstable_by_key(|bytes| bytes.start);
    let (mut shown, mut at) = (String::new(), start);
    for bytes in masked {
        if bytes.end <= at {
            continue;
        }
        shown.push_str(text.get(at..bytes.start.max(at)).unwrap_or_default());
        shown.push('…');
        at = bytes.end.max(at);
    }
    shown.push_str(text.get(at..start + line.len()).unwrap_or_default());
    let shown = shown.trim_end();
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown.to_owned(),
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

    /// Where a line cannot be read, nobody knows what of it is a secret: it is shown up to the first word that does not
    /// name a field whose value may be shown.
    pub(super) fn mask_unread(&self, bytes: &Range<usize>) {
        let start = self.text.get(..bytes.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let shown = readable(line);
        if shown < line.len() {
            self.report.mask(self.file, start + shown..start + line.len());
        }
    }

    /// Notes a mistake at a place that is given in bytes.
    pub(super) fn refuse(&self, bytes: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.report.add(&self.place(bytes), message, hint);
    }
}

/// How much of a line can be shown that is not TOML: a table's name, or fields that everybody may see with their values.
fn readable(line: &str) -> usize {
    if line.trim_start().starts_with('[') && !line.contains(['=', '"', '\'']) {
        return line.len();
    }
    let is_shown = |name: &str| {
        let mut fields = SECTIONS.iter().filter_map(|section| section.field(name)).peekable();
        fields.peek().is_some() && !looks_secret(name) && fields.all(|field| field.is_shown)
    };
    let of_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let mut names = line.match_indices('=').peekable();
    if names.peek().is_none() {
        return 0;
    }
    let hidden = names.find(|(at, _)| {
        let before = line.get(..*at).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
        let begin = before.rfind(|character| !of_word(character)).map_or(0, |at| at + 1);
        !is_shown(before.get(begin..).unwrap_or_default())
    });
    hidden.map_or(line.len(), |(at, _)| at + 1)
}

/// Whether a field of this name would hold something that must not stand in a policy.
pub(super) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["secret", "password", "passwd", "token", "private_key", "api_key", "apikey"];
    name == "key" || words.iter().any(|word| name.contains(word))
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
