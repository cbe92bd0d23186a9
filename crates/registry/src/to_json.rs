//! Writing answers, entries of the audit and columns as JSON. `serde_json::json!` compiles a serializer's call and a panic for
//! each member of each object; here the members are a list, and what runs over it is compiled once.

use std::collections::BTreeMap;

use ipnet::IpNet;
use keyward_core::{
    json::object_of,
    record::{KeyKind, Limits, Status, TenantStatus, Window},
};
use keyward_policy::Windows;
use serde_json::{Map, Value};

/// What can stand in an answer.
pub trait ToJson {
    /// As JSON.
    fn to_json(&self) -> Value;
}

/// An object of JSON: `object!({ "name": key.name, "tags": key.tags })`.
macro_rules! object {
    ({ $($name:literal: $value:expr),+ $(,)? }) => {
        keyward_core::json::object_of(&mut [$(($name, $crate::to_json::ToJson::to_json(&$value))),+])
    };
}
pub(crate) use object;

impl<T: ToJson + ?Sized> ToJson for &T {
    fn to_json(&self) -> Value {
        (**self).to_json()
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
}

impl<T: ToJson> ToJson for [T] {
    fn to_json(&self) -> Value {
        let mut items = Vec::with_capacity(self.len());
        for item in self {
            items.push(item.to_json());
        }
        Value::Array(items)
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self) -> Value {
        self.as_slice().to_json()
    }
}

impl<T: ToJson> ToJson for BTreeMap<String, T> {
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        for (name, value) in self {
            object.insert(name.clone(), value.to_json());
        }
        Value::Object(object)
    }
}

impl ToJson for Map<String, Value> {
    fn to_json(&self) -> Value {
        Value::Object(self.clone())
    }
}

impl ToJson for Value {
    fn to_json(&self) -> Value {
        self.clone()
    }
}

impl ToJson for str {
    fn to_json(&self) -> Value {
        self.into()
    }
}

impl ToJson for String {
    fn to_json(&self) -> Value {
        self.as_str().into()
    }
}

/// Types that serde_json has values of.
macro_rules! plain {
    ($($type:ty),+) => { $(impl ToJson for $type {
        fn to_json(&self) -> Value {
            (*self).into()
        }
    })+ };
}
plain!(bool, u32, u64, i64, usize, f64);

/// Enums, as the API names them.
macro_rules! enums {
    ($($type:ty),+) => { $(impl $crate::to_json::ToJson for $type {
        fn to_json(&self) -> serde_json::Value {
            $crate::enum_text::text_of(self).into()
        }
    })+ };
}
pub(crate) use enums;
enums!(KeyKind, Status, TenantStatus);

impl ToJson for IpNet {
    fn to_json(&self) -> Value {
        self.to_string().into()
    }
}

impl ToJson for Limits {
    fn to_json(&self) -> Value {
        object_of(&mut Window::LIMITS.map(|window| (window.field(), self.get(window).into())))
    }
}

impl ToJson for Windows {
    fn to_json(&self) -> Value {
        Limits::each(|window| self.get(window)).to_json()
    }
}
