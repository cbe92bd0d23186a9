//! The policy as plain data. Every field is checked by `compile` before it can exist here; [`crate::document`] is its
//! form as JSON.
//!
//! A policy lives as long as the program: the isolate reads it once, and everything points into it.

mod admin;
mod data;
mod events;
mod jurisdiction;
mod key;
mod log;
mod pattern;
mod proof;
mod realm;
mod route;
mod window;

pub use admin::*;
pub use events::*;
pub use jurisdiction::*;
pub use key::*;
pub use log::*;
pub use pattern::*;
pub use proof::*;
pub use realm::*;
pub use route::*;
pub use window::*;

use crate::span::Span;
use data::{list, policy_data};

policy_data! {
/// One deployment's whole policy.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Policy {
    /// Where the admin API and page live, and what they ask for.
    pub admin: Admin,
    /// In the order of the file; the first whose host and path match takes the request.
    #[serde(deserialize_with = "list")]
    pub realms: &'static [Realm],
    /// Plans with limits.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "<[_]>::is_empty")]
    pub plans: &'static [Plan],
    /// What the log says of requests.
    #[serde(default, skip_serializing_if = "Log::is_default")]
    pub log: Log,
    /// Where the objects are; `None` for anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<Jurisdiction>,
    /// The hash of its document, in lower-case hexadecimal; empty where it was not read from one.
    #[serde(skip)]
    pub sha256: DocumentHash,
}

/// What tenants on a plan have that were given nothing else.
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Limits of their keys that name none.
    pub limits: Windows,
    /// Limits over all keys of a tenant together.
    pub pool: Windows,
}
}

/// The hash of the document that a policy was read from. It is nothing that the policy says, so any two are equal.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct DocumentHash(pub &'static str);

impl PartialEq for DocumentHash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Policy {
    /// The plan of this name, if it has limits.
    pub fn plan(&self, name: Option<&str>) -> Option<&'static Plan> {
        self.plans.iter().find(|plan| name == Some(plan.name))
    }

    /// Within this time a request reaches its origin, in the realm of this name. What counts for all realms is given another
    /// name, and the longest time of any.
    pub fn travel(&self, realm: &str) -> Span {
        let all = || self.realms.iter().map(|realm| realm.limits.travel);
        self.realm(realm).map_or_else(|| all().max().unwrap_or(USUAL_TRAVEL), |realm| realm.limits.travel)
    }

    /// The realm of this name.
    pub fn realm(&self, id: &str) -> Option<&'static Realm> {
        self.realms.iter().find(|realm| realm.id == id)
    }
}
