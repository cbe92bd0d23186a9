//! The tables of the standard library and of the crate `unicode-normalization`.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::Form;

pub fn normalized(text: &str, form: Form) -> String {
    match form {
        Form::Nfc => text.nfc().collect(),
        Form::Nfd => text.nfd().collect(),
        Form::Nfkc => text.nfkc().collect(),
        Form::Nfkd => text.nfkd().collect(),
    }
}

pub fn without_marks(text: &str) -> String {
    text.chars().filter(|c| !is_mark(*c)).collect()
}

pub fn is_mark(c: char) -> bool {
    is_combining_mark(c)
}

pub fn lower(text: &str) -> String {
    text.to_lowercase()
}

pub fn upper(c: char) -> Option<char> {
    let mut upper = c.to_uppercase();
    upper.next().filter(|_| upper.next().is_none())
}

pub fn is_alphanumeric(c: char) -> bool {
    c.is_alphanumeric()
}
