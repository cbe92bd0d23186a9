//! Reading what a caller sent, field by field, so that one answer names everything that is wrong.

use keyward_core::{
    json::{self, JsonError},
    key::hex,
    time::Timestamp,
};
use keyward_policy::metadata;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    enum_text::text_of,
    error::{ApiError, Code, FieldError, MOST_FIELDS},
    text,
};

const TWICE: &str = "stands there twice";

/// What is wrong with one value: where in it (empty for the whole), and the message.
pub type FieldErrors = Vec<(String, String)>;

/// One thing wrong with the whole value.
pub fn invalid<T>(message: impl Into<String>) -> Result<T, FieldErrors> {
    Err(vec![(String::new(), message.into())])
}

/// Names as a message lists what there is.
pub fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A body or a query, being read.
pub struct Input {
    fields: Map<String, Value>,
    errors: Errors,
}

/// What is wrong: as much as an answer names, and one more, which says that there is more.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn note(&mut self, field: &str, message: &str) {
        if self.0.len() <= MOST_FIELDS {
            self.0.push(FieldError::new(field, message));
        }
    }

    /// What is wrong with the value of a field.
    fn note_all(&mut self, field: &str, wrong: FieldErrors) {
        for (at, message) in wrong {
            self.note(&format!("{field}{at}"), &message);
        }
    }
}

/// What an issuer sends browsers back with.
pub const CODE: [&str; 2] = ["code", "state"];

impl Input {
    /// Reads a JSON object with no other fields than these. No body at all is an empty object.
    ///
    /// # Errors
    /// MALFORMED_JSON, or VALIDATION_FAILED if it is something else than an object.
    pub fn body(text: &str, known: &[&str]) -> Result<Self, ApiError> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        if text.starts_with(text::BYTE_ORDER_MARK) {
            let detail = "The body is not JSON: it begins with a byte order mark (U+FEFF) at line 1, column 1. \
                          Send it without.";
            return Err(ApiError::new(Code::MalformedJson, detail));
        }
        // One more than an answer names, which says that there are more.
        let (value, repeated) = json::read(text, MOST_FIELDS + 1).map_err(|error| match error {
            JsonError::BeyondRange(path) => {
                ApiError::field(&shown(&path), "is a number beyond what can be read: write a smaller one")
            }
            JsonError::Malformed(error) => {
                // serde_json's own message may quote the body, in which a password may stand.
                let place = format!("line {}, column {}", error.line(), error.column());
                let detail = format!("The body is not JSON: it cannot be read at {place}.");
                ApiError::new(Code::MalformedJson, detail)
            }
        })?;
        let Value::Object(fields) = value else {
            return Err(ApiError::field("body", "must be a JSON object"));
        };
        let mut input = Self::known(fields, known, "field");
        for path in repeated {
            input.refuse(&shown(&path), TWICE);
        }
        Ok(input)
    }

    /// Reads a query string with no other parameters than these, each at most once.
    pub fn query(text: &str, known: &[&str]) -> Self {
        let mut fields = Map::new();
        let mut errors = Errors::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (form_decode(name), form_decode(value)) else {
                errors.note(&shown(name), "is not percent-encoded UTF-8");
                continue;
            };
            if fields.contains_key(&name) {
                errors.note(&shown(&name), TWICE);
            }
            fields.insert(name, Value::String(value));
        }
        let mut input = Self::known(fields, known, "parameter");
        for FieldError { field, message } in errors.0 {
            input.errors.note(&field, &message);
        }
        input
    }

    fn known(fields: Map<String, Value>, known: &[&str], what: &str) -> Self {
        let mut errors = Errors::default();
        let message = format!("is not a {what} here: there are {}", listed(known));
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())).take(MOST_FIELDS + 1) {
            errors.note(&shown(name), &message);
        }
        Self { fields, errors }
    }

    /// A hash of all that was sent but for this field, in whatever order.
    pub fn fingerprint(&self, without: &str) -> String {
        let mut fields = self.fields.clone();
        fields.remove(without);
        hex(&Sha256::digest(Value::Object(fields).to_string()))
    }

    /// Whether the field is there, be it `null`.
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Notes that this field is there, in which the gate has found no token to sign in with.
    pub fn refuse_token(&mut self, field: &str) {
        if self.has(field) {
            self.refuse(
                field,
                "is taken as text, and only where the policy names an issuer to sign in through",
            );
        }
    }

    /// Notes that a code is there, of which the gate has found none to sign in with.
    pub fn refuse_code(&mut self) {
        for field in CODE.iter().filter(|field| self.has(field)).collect::<Vec<_>>() {
            self.refuse(
                field,
                "is taken as text, beside the other of `code` and `state`, and only where the policy has an \
                 issuer's `authorization_url`",
            );
        }
    }

    /// Notes that a field is wrong.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.note(field, &message.into());
    }

    /// Reads a field, `null` included. `None` if it is not there or is wrong, which is noted.
    pub fn nullable<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&Value) -> Result<T, FieldErrors>,
    ) -> Option<Option<T>> {
        match self.fields.get(field)? {
            Value::Null => Some(None),
            value => match parse(value) {
                Ok(parsed) => Some(Some(parsed)),
                Err(wrong) => {
                    self.errors.note_all(field, wrong);
                    None
                }
            },
        }
    }

    /// Reads a field that may be left out or `null`.
    pub fn optional<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&Value) -> Result<T, FieldErrors>,
    ) -> Option<T> {
        self.nullable(field, parse).flatten()
    }

    /// Reads a field that may be left out, but not `null`.
    pub fn present<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&Value) -> Result<T, FieldErrors>,
    ) -> Option<T> {
        let read = self.nullable(field, parse)?;
        if read.is_none() {
            self.refuse(field, "cannot be null");
        }
        read
    }

    /// Reads a field that must be there.
    pub fn required<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&Value) -> Result<T, FieldErrors>,
    ) -> Option<T> {
        if matches!(self.fields.get(field), None | Some(Value::Null)) {
            self.refuse(field, "is required");
            return None;
        }
        self.optional(field, parse)
    }

    /// Reads a field that is an object with no other fields than these. Numbers and flags in it are read as in a query.
    pub fn object<T>(&mut self, field: &str, known: &[&str], read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let as_in_query = |value: &Value| match value {
            Value::Number(_) => {
                Value::String(exact(value).map_or_else(|| value.to_string(), |n| n.to_string()))
            }
            Value::Bool(_) => Value::String(value.to_string()),
            other => other.clone(),
        };
        let object = self.optional(field, |value| {
            let object = value.as_object().map(|object| {
                object.iter().map(|(name, value)| (name.clone(), as_in_query(value))).collect::<Map<_, _>>()
            });
            object.map_or_else(|| invalid("must be an object"), Ok)
        })?;
        let mut inner = Self::known(object, known, "field");
        let whole = read(&mut inner);
        for FieldError { field: below, message } in inner.errors.0 {
            self.refuse(&format!("{field}.{below}"), message);
        }
        Some(whole)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// VALIDATION_FAILED with everything that was noted.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.errors.0.is_empty() { Ok(()) } else { Err(self.refusal()) }
    }

    /// The refusal of everything that was noted.
    pub fn refusal(self) -> ApiError {
        ApiError::fields(self.errors.0)
    }
}

/// Any text.
pub fn text(value: &Value) -> Result<String, FieldErrors> {
    value.as_str().map_or_else(|| invalid("must be a string"), |text| Ok(text.to_owned()))
}

/// One line of text for people, trimmed: `least` to `most` characters, each of which can be seen.
pub fn line(value: &Value, least: usize, most: usize) -> Result<String, FieldErrors> {
    let text = text::trimmed(&text(value)?).to_owned();
    let length = text.chars().count();
    if length < least || length > most {
        return invalid(format!("must be {least} to {most} characters long, not {length}"));
    }
    text::check(&text).map_or_else(|error| invalid(error.to_string()), |()| Ok(text))
}

/// What somebody looks for, at most `most` characters: in the form in which text is searched, and in those of older builds.
pub fn search(value: &Value, most: usize) -> Result<Vec<String>, FieldErrors> {
    let text = text::trimmed(&text(value)?).to_owned();
    let length = text.chars().count();
    if length > most {
        return invalid(format!("can be at most {most} characters long, not {length}"));
    }
    if text.chars().any(char::is_control) {
        return invalid("cannot hold control characters or line breaks");
    }
    let mut forms = vec![text::folded(&text)];
    if forms != [""] {
        for form in text::unfolded(&text) {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    Ok(forms)
}

/// True or false.
pub fn flag(value: &Value) -> Result<bool, FieldErrors> {
    value.as_bool().map_or_else(|| invalid("must be true or false"), Ok)
}

/// A whole number, however it is written: `1.0` and `1e3` are integers, too (JSON Schema, section 6.1.1 of its validation).
fn exact(value: &Value) -> Option<u64> {
    // From here on not every whole number has a float of its own.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let of_float = || {
        let float = value.as_f64().filter(|float| (0.0..MOST).contains(float) && float.fract() == 0.0)?;
        format!("{:.0}", float.abs()).parse().ok()
    };
    value.as_u64().or_else(of_float)
}

/// A whole number in a range.
pub fn whole(value: &Value, least: u32, most: u32) -> Result<u32, FieldErrors> {
    exact(value)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .map_or_else(|| invalid(format!("must be a whole number from {least} to {most}")), Ok)
}

/// A whole number in a range, written as the text of a query parameter.
pub fn whole_text(value: &Value, least: u32, most: u32) -> Result<u32, FieldErrors> {
    let digits = value.as_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .filter(|number| (least..=most).contains(number))
        .map_or_else(|| invalid(format!("must be a whole number from {least} to {most}")), Ok)
}

/// A time as in RFC 3339.
pub fn time(value: &Value) -> Result<Timestamp, FieldErrors> {
    let time = value.as_str().and_then(Timestamp::parse_rfc3339);
    time.map_or_else(|| invalid("must be a time as in RFC 3339, such as 2030-01-31T00:00:00Z"), Ok)
}

/// One of some words.
pub fn one_of<T: Copy>(value: &Value, words: &[(&str, T)]) -> Result<T, FieldErrors> {
    let text = value.as_str().unwrap_or_default();
    words.iter().find(|(word, _)| *word == text).map_or_else(
        || {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            invalid(format!("must be one of {}", words.join(", ")))
        },
        |(_, meaning)| Ok(*meaning),
    )
}

/// One of these values of an enum.
pub fn one_of_enum<T: Serialize + Copy>(value: &Value, all: &[T]) -> Result<T, FieldErrors> {
    let texts: Vec<String> = all.iter().map(text_of).collect();
    let texts: Vec<(&str, T)> = texts.iter().map(String::as_str).zip(all.iter().copied()).collect();
    one_of(value, &texts)
}

/// A list, each item read on its own, doubles dropped, in the order given.
pub fn list<T: PartialEq>(
    value: &Value,
    most: usize,
    parse: impl Fn(&Value) -> Result<T, FieldErrors>,
) -> Result<Vec<T>, FieldErrors> {
    let Some(items) = value.as_array() else { return invalid("must be a list") };
    if items.len() > most {
        return invalid(format!("can have at most {most} entries, not {}", items.len()));
    }
    let mut read = Vec::new();
    let mut errors = FieldErrors::new();
    for (index, item) in items.iter().enumerate() {
        match parse(item) {
            Ok(item) if read.contains(&item) => {}
            Ok(item) => read.push(item),
            Err(_) if errors.len() > MOST_FIELDS => {}
            Err(wrong) => note_under(&mut errors, &format!("[{index}]"), wrong),
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

/// Notes what is wrong with a part of a value. `at`: where that part stands in it.
pub fn note_under(errors: &mut FieldErrors, at: &str, wrong: FieldErrors) {
    for (below, message) in wrong {
        errors.push((format!("{at}{below}"), message));
    }
}

/// A flat object of strings with plain names.
pub fn dictionary(value: &Value, most: usize, longest: usize) -> Result<Map<String, Value>, FieldErrors> {
    let Some(object) = value.as_object() else {
        return invalid("must be an object whose values are strings");
    };
    if object.len() > most {
        return invalid(format!("can have at most {most} entries, not {}", object.len()));
    }
    let mut errors = FieldErrors::new();
    for (name, value) in object {
        let at = format!(".{}", shown(name));
        if !metadata::is_name(name) {
            errors.push((
                at,
                format!("its name must be 1 to {} letters, digits, '_', '-' or '.'", metadata::LONGEST_NAME),
            ));
            continue;
        }
        match value.as_str() {
            Some(text) if text.chars().count() <= longest => {}
            Some(_) => errors.push((at, format!("can be at most {longest} characters long"))),
            None => errors.push((at, "must be a string".to_owned())),
        }
    }
    if errors.is_empty() { Ok(object.clone()) } else { Err(errors) }
}

/// What of a caller's own text may be repeated to it.
pub fn shown(text: &str) -> String {
    text::masked(&text::cut(text, 64))
}

/// `application/x-www-form-urlencoded` (URL standard, 5.1), strictly. `None` if it is not that.
fn form_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
