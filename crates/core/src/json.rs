//! JSON in which an object names each of its members once. RFC 8259, section 4, leaves open what a
//! name that is repeated means; an interface that keeps one of two values would guess what its
//! caller wants.
//!
//! What is noted of a text is bounded, and where a value stands is put into words only when it is noted: a text with
//! long names costs no more than any other of its length.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON, or is nested deeper than serde_json reads (128).
    #[error("it is not JSON: {0}")]
    Malformed(#[from] Error),
    /// It is JSON, with a number at this path that is beyond what can be held, such as `1e400`.
    #[error("{0} is a number beyond what can be read")]
    BeyondRange(String),
}

/// Reads a text: its value, and the paths of the first `most` members whose name is repeated, such as
/// `rateLimit.perDay`.
///
/// # Errors
/// As [`JsonError`].
pub fn read(text: &str, most: usize) -> Result<(Value, Vec<String>), JsonError> {
    let notes = Notes { most, ..Notes::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let reader = Reader { place: Place::Whole, notes: &notes };
    let value = reader.deserialize(&mut deserializer).map_err(|error| {
        // serde_json has no other sign of it.
        let beyond = error.to_string().starts_with("number out of range");
        match notes.failed.take() {
            Some(path) if beyond => JsonError::BeyondRange(path),
            _ => JsonError::Malformed(error),
        }
    })?;
    deserializer.end().map_err(JsonError::Malformed)?;
    Ok((value, notes.repeated.into_inner()))
}

/// An object of these members, which it takes. `serde_json::json!` compiles a serializer's call and a panic for each member
/// of each object; here the members are a list, and what runs over it is compiled once.
pub fn object_of(members: &mut [(&str, Value)]) -> Value {
    let mut object = Map::new();
    for (name, value) in members {
        object.insert((*name).to_owned(), std::mem::take(value));
    }
    Value::Object(object)
}

/// What is noted while a text is read.
#[derive(Default)]
struct Notes {
    /// Most repeated names that are noted.
    most: usize,
    repeated: RefCell<Vec<String>>,
    /// Where the reading ended.
    failed: RefCell<Option<String>>,
}

impl Notes {
    fn repeat(&self, place: &Place<'_>) {
        let mut repeated = self.repeated.borrow_mut();
        if repeated.len() < self.most {
            repeated.push(place.path());
        }
    }
}

/// Where a value stands: the whole text, or a member or item of what stands somewhere itself.
#[derive(Clone, Copy)]
enum Place<'a> {
    Whole,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// In words, as far as anybody reads on.
    fn path(&self) -> String {
        let mut path = String::new();
        self.write(&mut path);
        path
    }

    fn write(&self, path: &mut String) {
        const LONGEST: usize = 200;
        match self {
            Self::Whole => {}
            Self::Member(of, name) => {
                of.write(path);
                if path.len() < LONGEST {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.extend(name.chars().take(LONGEST));
                }
            }
            Self::Item(of, index) => {
                of.write(path);
                if path.len() < LONGEST {
                    path.push_str(&format!("[{index}]"));
                }
            }
        }
    }
}

/// Reads one value, and knows where it stands.
struct Reader<'a> {
    place: Place<'a>,
    notes: &'a Notes,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Self { place, notes } = self;
        deserializer.deserialize_any(self).inspect_err(|_| {
            // The innermost comes first.
            notes.failed.borrow_mut().get_or_insert_with(|| place.path());
        })
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let item = |index| Reader { place: Place::Item(&self.place, index), notes: self.notes };
        while let Some(value) = items.next_element_seed(item(list.len()))? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let place = Place::Member(&self.place, &name);
            let value = members.next_value_seed(Reader { place, notes: self.notes })?;
            if object.contains_key(&name) {
                self.notes.repeat(&place);
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}
