//! How the parts of the policy become data: what they derive, and how JSON is read into what is kept for good.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::span::Span;

/// Derives what every part of the policy has.
macro_rules! policy_data {
    ($($(#[$meta:meta])* pub $kind:ident $name:ident { $($body:tt)* })*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        $(#[$meta])*
        pub $kind $name { $($body)* }
    )*};
}

pub(super) use policy_data;

/// Reads one value that is kept.
pub(super) fn kept<'de: 'static, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<&'static T, D::Error> {
    Ok(Box::leak(Box::new(T::deserialize(json)?)))
}

/// Reads a list that is kept.
pub(super) fn list<'de: 'static, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<&'static [T], D::Error> {
    Ok(Vec::deserialize(json)?.leak())
}

/// Reads a list that is kept, if there is one.
pub(super) fn optional_list<'de: 'static, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<Option<&'static [T]>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(json)?.map(|list| &*list.leak()))
}

/// Spans that JSON holds in whole seconds.
pub(super) mod seconds {
    use super::{Deserialize, Deserializer, Serializer, Span};

    pub(crate) fn serialize<S: Serializer>(span: &Span, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_i64(span.whole_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Span, D::Error> {
        Ok(Span::from_secs(u32::deserialize(json)?.into()))
    }
}

/// Spans that JSON holds in whole days, if there is one.
pub(super) mod optional_days {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Span};

    pub(crate) fn serialize<S: Serializer>(span: &Option<Span>, json: S) -> Result<S::Ok, S::Error> {
        span.map(|span| span.ms() / Span::from_days(1).ms()).serialize(json)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Span>, D::Error> {
        Ok(Option::<u32>::deserialize(json)?.map(|days| Span::from_days(days.into())))
    }
}
