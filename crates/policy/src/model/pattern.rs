//! Patterns of hosts and paths.

use super::data::{list, policy_data};

policy_data! {
/// A host in a realm: compared in lower case, without the port.
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// `api.example.com`
    Exact(&'static str),
    /// `*.example.com`, held as `.example.com`: every name below it, at any depth, not itself.
    Below(&'static str),
    /// `{tenant}.example.com`, held as `.example.com`: each tenant's code before it. A credential of
    /// another tenant is unknown there.
    Tenant(&'static str),
}

/// A path in a realm or route. See [`crate::path`] for the rule.
#[serde(from = "Parts")]
pub struct PathPattern {
    /// As written in the policy.
    pub source: &'static str,
    /// The segments before the tail.
    pub segments: &'static [Segment],
    /// How it ends.
    pub tail: Tail,
    /// The pattern that takes the readings of the paths that this one takes, where it is another one.
    #[serde(skip_serializing)]
    pub(crate) read: Option<&'static PathPattern>,
}

/// One segment of a path pattern.
pub enum Segment {
    /// Matches these bytes.
    Literal(&'static str),
    /// `{name}`: matches one segment that is not empty.
    Parameter(&'static str),
    /// `v{name}`, `{name}.json`, `{name}:cancel`: matches one segment that begins and ends so, with something between.
    Affixed {
        /// What it begins with, perhaps nothing.
        before: &'static str,
        /// The parameter's name.
        name: &'static str,
        /// What it ends with, perhaps nothing.
        after: &'static str,
    },
}

/// How a path pattern ends.
pub enum Tail {
    /// Nothing may follow.
    Exact,
    /// `/a/b*`, held as `b`: what follows the segments begins with these bytes. Empty for `/a/*`.
    Prefix(&'static str),
}
}

/// What is written of a pattern.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    source: &'static str,
    #[serde(deserialize_with = "list")]
    segments: &'static [Segment],
    tail: Tail,
}

impl From<Parts> for PathPattern {
    fn from(parts: Parts) -> Self {
        Self::of(parts.source, parts.segments, parts.tail)
    }
}
