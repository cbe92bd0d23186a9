//! What a table of a policy may have: its fields, and what each may hold. The reader goes by it, the JSON Schema is
//! made of it.

use crate::span::Span;

/// A kind of table and the fields that it may have.
pub struct Section {
    /// As a policy writes it: `[realm.key]`.
    pub name: &'static str,
    /// Its fields, in the order in which the documentation has them.
    pub fields: &'static [Field],
}

/// A field of a table.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// Whether it must be there, whatever else is.
    pub is_required: bool,
    /// Whether its value may be shown beside a mistake: not where people put secrets.
    pub is_shown: bool,
}

/// What a value may be.
pub enum Kind {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from one to the other.
    Number(u32, u32),
    /// A span of time from one to the other, written as text: `"5s"`.
    Duration(Span, Span),
    /// Bytes from one to the other, written as text: `"8GB"`.
    Size(u64, u64),
    /// Days from one to the other, written as text: `"400d"`.
    Days(u32, u32),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of such values.
    List(&'static Kind),
    /// A table of this section.
    Table(&'static Section),
    /// A table whose fields are names of the policy's own, with such values.
    Entries(&'static Kind),
    /// One or the other.
    Either(&'static Kind, &'static Kind),
}

impl Section {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

/// The words of a choice.
pub(super) const fn words<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        #[allow(clippy::indexing_slicing, reason = "at compile time")]
        {
            words[at] = choices[at].0;
        }
        at += 1;
    }
    words
}

pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false, is_shown: true }
}

pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true, is_shown: true }
}

impl Field {
    /// One into which people put secrets by mistake: keys, passwords, URLs with a password.
    pub(super) const fn unseen(self) -> Self {
        Self { is_shown: false, ..self }
    }
}
