//! Where a key was used from: told with what is told anyway, and looked up no more often than that.

use std::fmt;

use keyward_core::{
    json::object_of,
    network,
    time::{SECOND, Timestamp},
};
use serde_json::Value;

use crate::routes::RouteName;

/// Where a request comes from, and which route it takes.
#[derive(Clone, Copy)]
pub struct UsedFrom<'a> {
    /// The client's address.
    pub address: Option<&'a str>,
    /// The route; `None` at the admin API.
    pub route: Option<RouteName<'a>>,
    /// The country of the address, which takes a while to find out.
    pub country: &'a dyn Fn() -> Option<String>,
}

impl fmt::Debug for UsedFrom<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UsedFrom")
    }
}

impl UsedFrom<'_> {
    /// The route's path, as the policy writes it.
    fn path(&self) -> Option<&str> {
        self.route.map(|route| route.path)
    }

    /// As it is told and stored.
    pub fn describe(&self) -> Value {
        object_of(&mut [
            ("network", self.address.map(network::of).into()),
            ("country", (self.country)().into()),
            ("route", self.path().into()),
        ])
    }
}

/// Where the last of the requests that one isolate or relay has counted came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastUse {
    at: Timestamp,
    /// As described.
    pub from: Option<Value>,
    /// The address that is described, as long as this is in memory.
    address: Option<String>,
    described: Timestamp,
}

impl LastUse {
    /// Takes note of a request. Described is another address, but only one in a second: many clients may share a key.
    pub fn note(&mut self, from: &UsedFrom<'_>, now: Timestamp) {
        match &mut self.from {
            Some(known) if self.address.as_deref() == from.address => {
                if let Some(route) = known.get_mut("route").filter(|route| route.as_str() != from.path()) {
                    *route = from.path().into();
                }
            }
            Some(_) if self.described.is_within(SECOND, now) => {}
            _ => {
                self.from = Some(from.describe());
                self.address = from.address.map(str::to_owned);
                self.described = now;
            }
        }
        self.at = now;
    }

    /// Takes over what another has told of a request at this moment.
    pub fn take(&mut self, from: Option<&Value>, at: Timestamp) {
        if at >= self.at {
            (self.at, self.from) = (at, from.cloned());
        }
    }
}
