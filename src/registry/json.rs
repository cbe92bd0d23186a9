//! JSON in which an object names each of its members once. RFC 8259, section 4, leaves open what a
//! name that is repeated means; an interface that keeps one of two values would guess what its
//! caller wants.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// Reads a text: its value, and the paths of members whose name is repeated, such as
/// `rateLimit.perDay`.
///
/// # Errors
/// If it is not JSON, or is nested deeper than serde_json reads (128).
pub fn read(text: &str) -> Result<(Value, Vec<String>), Error> {
    let repeated = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Reader { path: String::new(), repeated: &repeated }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, repeated.into_inner()))
}

/// Reads one value, and knows where it stands.
struct Reader<'a> {
    path: String,
    repeated: &'a RefCell<Vec<String>>,
}

impl Reader<'_> {
    fn at(&self, path: String) -> Self {
        Self { path, repeated: self.repeated }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
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
                self.repeated.borrow_mut().push(path);
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn every_kind_of_value_is_read_as_serde_json_reads_it() {
        for text in ["null", " true", "-1", "18446744073709551615", "1.5", "1e9", "\"a\\u00e9\"", "[1,[],{}]"]
        {
            assert_eq!(read(text).unwrap(), (serde_json::from_str(text).unwrap(), vec![]), "{text}");
        }
        let object = r#"{"a": {"b": [1, {"c": null}]}, "b": "x"}"#;
        assert_eq!(read(object).unwrap(), (json!({ "a": { "b": [1, { "c": null }] }, "b": "x" }), vec![]));
    }

    #[test]
    fn a_name_that_is_repeated_is_named_with_its_path() {
        let (_, repeated) =
            read(r#"{"a": 1, "b": [{"c": 1, "c": 1}], "d": {"e": 1, "e": 2}, "a": 2}"#).unwrap();
        assert_eq!(repeated, ["b[0].c", "d.e", "a"]);
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_an_error() {
        for text in ["", "{", "{} {}", "{a: 1}", "[1,]", "NaN", "1e999", &"[".repeat(100_000)] {
            assert!(read(text).is_err());
        }
    }
}
