//! JSON in which an object names each of its members once. RFC 8259, section 4, leaves open what a
//! name that is repeated means; an interface that keeps one of two values would guess what its
//! caller wants.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// Why a text was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is not JSON, or is nested deeper than serde_json reads (128).
    Malformed(Error),
    /// It is JSON, with a number at this path that is beyond what can be held, such as `1e400`.
    BeyondRange(String),
}

/// Reads a text: its value, and the paths of members whose name is repeated, such as
/// `rateLimit.perDay`.
///
/// # Errors
/// As [`Unread`].
pub fn read(text: &str) -> Result<(Value, Vec<String>), Unread> {
    let notes = Notes::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let reader = Reader { path: String::new(), notes: &notes };
    let value = reader.deserialize(&mut deserializer).map_err(|error| {
        // serde_json has no other sign of it.
        let beyond = error.to_string().starts_with("number out of range");
        match notes.failed.take() {
            Some(path) if beyond => Unread::BeyondRange(path),
            _ => Unread::Malformed(error),
        }
    })?;
    deserializer.end().map_err(Unread::Malformed)?;
    Ok((value, notes.repeated.into_inner()))
}

/// What is noted while a text is read.
#[derive(Default)]
struct Notes {
    repeated: RefCell<Vec<String>>,
    /// Where the reading ended.
    failed: RefCell<Option<String>>,
}

/// Reads one value, and knows where it stands.
struct Reader<'a> {
    path: String,
    notes: &'a Notes,
}

impl Reader<'_> {
    fn at(&self, path: String) -> Self {
        Self { path, notes: self.notes }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let (path, notes) = (self.path.clone(), self.notes);
        deserializer.deserialize_any(self).inspect_err(|_| {
            notes.failed.borrow_mut().get_or_insert(path);
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
        while let Some(item) = items.next_element_seed(self.at(format!("{}[{}]", self.path, list.len())))? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let value = members.next_value_seed(self.at(path.clone()))?;
            if object.insert(name, value).is_some() {
                self.notes.repeated.borrow_mut().push(path);
            }
        }
        Ok(object.into())
    }
}
