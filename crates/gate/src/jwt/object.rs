//! JSON in which no name stands twice in an object, as RFC 7515 (section 4) and RFC 7519 (section 4) ask
//! of headers and claims: a second one must not be able to hide from whoever reads the first. A path leads
//! into objects within objects, so it holds for those too.

use keyward_core::json;
use serde_json::{Map, Value};

/// An object, read.
pub struct Object(Map<String, Value>);

impl Object {
    /// Reads one; `None` for anything else, also for one with a name that stands twice.
    pub fn read(text: &[u8]) -> Option<Self> {
        match json::read(str::from_utf8(text).ok()?, 1).ok()? {
            (Value::Object(members), repeated) if repeated.is_empty() => Some(Self(members)),
            _ => None,
        }
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The member at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.get(first)?, |value, name| value.get(name))
    }
}
