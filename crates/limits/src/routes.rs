//! Counts by route: each under a name that outlives the policy. The policy has finitely many routes, and counts have fewer:
//! what is beyond that counts together.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::counts::{self, Counts};

/// Counts by the name of a route, `{"api GET /orders/{id}": 3}`, and under [`OTHER`].
pub type RouteCounts = Counts;

/// Most routes that counts name.
pub const MOST_ROUTES: usize = 32;
/// In place of a name: further routes, and those with a name longer than [`LONGEST`].
pub const OTHER: &str = "";
/// Most bytes of a name.
pub const LONGEST: usize = 200;

/// A route, and the method by which it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteName<'a> {
    /// The realm's id, which has no space.
    pub realm: &'a str,
    /// One of the route's.
    pub method: &'a str,
    /// As the policy writes it.
    pub path: &'a str,
}

impl fmt::Display for RouteName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.realm, self.method, self.path)
    }
}

impl<'a> RouteName<'a> {
    /// Reads a name; `None` if it is none, such as [`OTHER`].
    pub fn read(name: &'a str) -> Option<Self> {
        let (realm, rest) = name.split_once(' ')?;
        let (method, path) = rest.split_once(' ')?;
        Some(Self { realm, method, path })
    }

    /// The name, as counts have it.
    pub fn name(&self) -> String {
        if self.realm.len() + self.method.len() + self.path.len() + 2 > LONGEST {
            return OTHER.to_owned();
        }
        self.to_string()
    }
}

/// Counts one request. Nothing is allocated for a route that is counted already.
pub fn count(counts: &mut RouteCounts, route: RouteName<'_>) {
    if let Some((_, count)) = counts.iter_mut().find(|(name, _)| RouteName::read(name) == Some(route)) {
        *count = count.saturating_add(1);
    } else {
        let name = if counts.len() < MOST_ROUTES { route.name() } else { OTHER.to_owned() };
        *counts.entry(name).or_default() += 1;
    }
}

/// Adds counts to counts.
pub fn add(counts: &mut RouteCounts, more: &RouteCounts) {
    for (name, count) in more {
        let is_named = counts.contains_key(name) || counts.len() < MOST_ROUTES && name.len() <= LONGEST;
        let total = counts.entry(if is_named { name.clone() } else { OTHER.to_owned() }).or_default();
        *total = total.saturating_add(*count);
    }
}

/// What was counted in one hour. Each count only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnRoutes {
    /// Requests accepted.
    #[serde(skip_serializing_if = "RouteCounts::is_empty")]
    pub accepted: RouteCounts,
    /// Requests refused.
    #[serde(skip_serializing_if = "RouteCounts::is_empty")]
    pub refused: RouteCounts,
    /// Those of `accepted` that did not pass after all.
    #[serde(skip_serializing_if = "RouteCounts::is_empty")]
    pub taken_back: RouteCounts,
}

impl OnRoutes {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.refused.is_empty() && self.taken_back.is_empty()
    }

    /// A request that was counted as accepted, under this name, did not pass after all.
    pub fn take_back(&mut self, name: &str) {
        let name = if self.accepted.contains_key(name) { name } else { OTHER };
        let counted = self.accepted.get(name).copied().unwrap_or_default();
        let taken_back = self.taken_back.entry(name.to_owned()).or_default();
        *taken_back = counted.min(*taken_back + 1);
    }

    /// Takes out what is known elsewhere, and what did not pass.
    pub fn take(&mut self, known: &Self) {
        counts::take(&mut self.accepted, &known.accepted);
        counts::take(&mut self.refused, &known.refused);
        counts::take(&mut self.taken_back, &known.taken_back);
        counts::take(&mut self.accepted, &self.taken_back);
    }
}
