//! The JavaScript engine's tables.

use js_sys::{JsString, RegExp};

use super::Form;

pub fn normalized(text: &str, form: Form) -> String {
    let form = match form {
        Form::Nfc => "NFC",
        Form::Nfd => "NFD",
        Form::Nfkc => "NFKC",
        Form::Nfkd => "NFKD",
    };
    JsString::from(text).normalize(form).into()
}

pub fn without_marks(text: &str) -> String {
    JsString::from(text).replace_by_pattern(&RegExp::new(r"\p{M}+", "gu"), "").into()
}

pub fn is_mark(c: char) -> bool {
    is(r"^\p{M}", c)
}

pub fn is_alphanumeric(c: char) -> bool {
    is(r"^[\p{Alphabetic}\p{N}]", c)
}

fn is(pattern: &str, c: char) -> bool {
    RegExp::new(pattern, "u").test(c.encode_utf8(&mut [0; 4]))
}

pub fn lower(text: &str) -> String {
    JsString::from(text).to_lower_case().into()
}

pub fn upper(c: char) -> Option<char> {
    let upper = String::from(JsString::from(&*c.encode_utf8(&mut [0; 4])).to_upper_case());
    let mut upper = upper.chars();
    upper.next().filter(|_| upper.next().is_none())
}
