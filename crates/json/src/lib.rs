//! Reads JSON into types that derive serde's `Deserialize`, with less compiled code than `serde_json` itself:
//!
//! - A text becomes a [`Value`] first, and each type is read from that. Serde compiles what reads a type once for each
//!   source that it is read from, so there is one source.
//! - Each shape is read in one way. `serde_json` also takes lists for structs, and compiles what would read a fraction as an
//!   integer only to refuse it.
//! - Errors do not show the value that was found, which may be secret.

mod access;

use serde::{
    Deserialize,
    de::{self, DeserializeOwned, Deserializer, Expected, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

use access::{Items, Members, Variant};

/// Why a value was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Other(found) => Self(format!("expected {expected}, found {found}")),
            _ => Self(format!("expected {expected}")),
        }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("expected {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self(format!("invalid length {length}, expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("expected one of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self(format!("unknown field `{field}`"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(format!("duplicate field `{field}`"))
    }
}

/// Reads any JSON. The last of several members of one name counts.
///
/// # Errors
/// Where the text is not JSON.
pub fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(de::Error::custom)
}

/// Reads a text.
///
/// # Errors
/// Where it is not JSON, or what it lacks.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_value(&parse(text)?)
}

/// Reads a value.
///
/// # Errors
/// What it lacks.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Error> {
    T::deserialize(Reader(value))
}

/// Reads a member of an object, which must be there.
///
/// # Errors
/// If it is missing, or what it lacks.
pub fn required<T: DeserializeOwned>(object: &Value, name: &'static str) -> Result<T, Error> {
    from_value(object.get(name).ok_or_else(|| de::Error::missing_field(name))?)
}

/// Reads a member of an object if it is there.
///
/// # Errors
/// What it lacks.
pub fn optional<T: DeserializeOwned + Default>(object: &Value, name: &str) -> Result<T, Error> {
    object.get(name).map_or_else(|| Ok(T::default()), from_value)
}

/// Reads a member of an object if it is there, and takes it out.
///
/// # Errors
/// What it lacks.
pub fn taken<T: DeserializeOwned + Default>(object: &mut Map<String, Value>, name: &str) -> Result<T, Error> {
    object.remove(name).map_or_else(|| Ok(T::default()), |value| from_value(&value))
}

/// Reads an enum whose variant is named by a member, its tag, as serde's `tag` attribute has it written. That attribute
/// reads it, too, but compiles everything that a variant holds once more. `read` gets the tag; `None` is a tag that it does
/// not know.
///
/// ```
/// use keyward_json::{Error, by_tag, required};
///
/// #[derive(Debug, PartialEq)]
/// enum Shape {
///     Empty,
///     Circle { radius: u32 },
/// }
///
/// fn shape(text: &str) -> Result<Shape, Error> {
///     let sent = keyward_json::parse(text)?;
///     by_tag(&sent, "shape", |shape| {
///         Ok(match shape {
///             "empty" => Some(Shape::Empty),
///             "circle" => Some(Shape::Circle { radius: required(&sent, "radius")? }),
///             _ => None,
///         })
///     })
/// }
///
/// assert_eq!(shape(r#"{"shape":"circle","radius":3}"#), Ok(Shape::Circle { radius: 3 }));
/// assert_eq!(shape(r#"{"shape":"square"}"#).unwrap_err().to_string(), "`shape` has a value that is unknown");
/// ```
///
/// # Errors
/// If the tag is missing, no text or unknown, and what `read` says.
pub fn by_tag<T>(
    object: &Value,
    tag: &'static str,
    read: impl FnOnce(&str) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let variant: &str = from_value(object.get(tag).ok_or_else(|| de::Error::missing_field(tag))?)?;
    read(variant)?.ok_or_else(|| de::Error::custom(format_args!("`{tag}` has a value that is unknown")))
}

/// A value that is read.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

/// Methods of one body.
macro_rules! methods {
    ($body:ident: $($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$body(visitor)
        }
    )*};
}

impl<'de> Reader<'de> {
    fn unfit<T>(self, expected: &impl Visitor<'de>) -> Result<T, Error> {
        let found = match self.0 {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Err(de::Error::invalid_type(Unexpected::Other(found), expected))
    }

    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.0.as_u64(), self.0.as_i64()) {
            (Some(number), _) => visitor.visit_u64(number),
            (None, Some(number)) => visitor.visit_i64(number),
            (None, None) => self.unfit(&visitor),
        }
    }

    fn float<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => self.unfit(&visitor),
        }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => self.unfit(&visitor),
        }
    }

    /// If there are too few items, the visitor refuses them.
    fn list<V: Visitor<'de>>(self, most: usize, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) if list.len() <= most => visitor.visit_seq(Items(list.iter())),
            _ => self.unfit(&visitor),
        }
    }

    fn object<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::of(members)),
            _ => self.unfit(&visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    methods!(integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    methods!(integer: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    methods!(float: deserialize_f32 deserialize_f64);
    methods!(text: deserialize_char deserialize_str deserialize_string deserialize_identifier);
    methods!(object: deserialize_map);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) if number.is_f64() => self.float(visitor),
            Value::Number(_) => self.integer(visitor),
            Value::String(_) => self.text(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.object(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => self.unfit(&visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(usize::MAX, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.list(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.list(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.object(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match Variant::of(self.0) {
            Some(variant) => visitor.visit_enum(variant),
            None => self.unfit(&visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct }
}
