//! An event as receivers and callers of the API get it. Never a key or a hash.

use keyward_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::to_json::object;

/// An event as stored.
pub struct Event {
    /// Its place among all events.
    pub number: i64,
    /// Its id, by which receivers tell that they had it already.
    pub id: String,
    kind: String,
    at: Timestamp,
    data: String,
}

keyward_core::from_row!(Event { number, id, kind, at, data });

/// The columns of an [`Event`].
pub const COLUMNS: &str = "events.number, events.id, events.type AS kind, events.at, events.data";

/// Fields that hold a moment.
const MOMENTS: [&str; 4] = ["expiresAt", "refusedEverywhereBy", "lastUsedAt", "since"];

impl Event {
    /// What is sent: `{"type":…,"timestamp":…,"data":…}`.
    pub fn body(&self) -> Value {
        object!({ "type": self.kind, "timestamp": self.at.to_rfc3339(), "data": self.data() })
    }

    /// The same with its id, as lists have it.
    pub fn view(&self) -> Value {
        let mut view = self.body();
        if let Some(view) = view.as_object_mut() {
            view.insert("id".to_owned(), self.id.clone().into());
        }
        view
    }

    fn data(&self) -> Value {
        let mut data: Map<String, Value> = keyward_json::from_str(&self.data).unwrap_or_default();
        for name in MOMENTS {
            if let Some(moment) = data.get_mut(name)
                && let Some(at) = moment.as_i64()
            {
                *moment = Timestamp(at).to_rfc3339().into();
            }
        }
        Value::Object(data)
    }
}
