//! What is wrong with a policy: every mistake with its line, what is wrong, and how to mend it.

use std::fmt;

/// One mistake. No part of it shows a secret that was found in the policy.
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
    /// The line itself, with `…` in place of what may be a secret; empty where there is none.
    pub excerpt: String,
}

/// Every mistake of a policy, file by file, in the order of their lines. `Display` prints each with its hint; `{:#}`
/// prints the lines between them, too.
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
