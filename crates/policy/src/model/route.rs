//! Routes and what they ask for.

use std::{fmt, ops::Deref, slice};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    data::{kept, list, policy_data, seconds},
    pattern::PathPattern,
    proof::Webhook,
    window::Cost,
};
use crate::{path::Index, span::Span};

policy_data! {
/// One route of a realm.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Route {
    /// Methods in upper case, as named; empty for [`crate::method::USUAL`].
    #[serde(deserialize_with = "list")]
    pub methods: &'static [&'static str],
    /// The path.
    pub path: PathPattern,
    /// What is asked for.
    pub requires: Requirement,
    /// Whether the request must say which session it belongs to.
    pub session_id: bool,
    /// How old a decision may be here, where it differs from the realm.
    #[serde(rename = "freshness_ms")]
    pub freshness: Option<Span>,
    /// How often a network may ask here without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_by_network: Option<NetworkLimit>,
}

/// A limit for each network, which the platform counts, approximately. How many requests it leaves room for stands in
/// `wrangler.toml`.
pub struct NetworkLimit {
    /// The binding of the platform's limiter.
    pub binding: &'static str,
    /// Its period, as `wrangler.toml` has it.
    #[serde(rename = "period_s", with = "seconds")]
    pub period: Span,
}

/// What a route asks for.
#[serde(bound(deserialize = "'de: 'static"))]
pub enum Requirement {
    /// Nothing.
    Public,
    /// The signature of a webhook's sender.
    Webhook(#[serde(deserialize_with = "kept")] &'static Webhook),
    /// A key, token or session that is in order and gives all of this.
    Key(KeyRequirement),
}

/// What a route asks of a key, token or session.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct KeyRequirement {
    /// What it may be; at least one.
    #[serde(deserialize_with = "list")]
    pub by: &'static [Proof],
    /// Whether both are needed: one of these keys, and a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Every one of these scopes.
    #[serde(deserialize_with = "list")]
    pub scopes: &'static [&'static str],
    /// One of these plans; empty for any.
    #[serde(deserialize_with = "list")]
    pub plans: &'static [&'static str],
    /// Whether test keys are refused here, whatever the realm's test mode.
    pub live_only: bool,
    /// Whether a request without any passes, too, as nobody's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What a request counts as in the windows of its key.
    #[serde(default, skip_serializing_if = "Cost::is_one")]
    pub cost: Cost,
    /// Where how much of that a request uses is known only afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// How it is said what a request has used of its cost. What is not said counts as used.
pub struct Budget {
    /// By this header of the origin's answer, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<&'static str>,
    /// By a call of the origin's, with a token that comes with the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub call: bool,
    /// Within this time.
    #[serde(rename = "within_s", with = "seconds")]
    pub within: Span,
}

/// What can prove who asks.
pub enum Proof {
    /// A secret key.
    Key,
    /// A publishable key.
    Publishable,
    /// A token of the realm's issuer.
    Jwt,
    /// A session that began with a link.
    Session,
}
}

impl Requirement {
    /// Whether a request that shows nothing passes.
    pub fn admits_anybody(&self) -> bool {
        matches!(self, Self::Public | Self::Key(KeyRequirement { optional: true, .. }))
    }
}

/// A realm's routes, in the order of the file: a list, beside what finds those that take a path
/// ([`crate::path`]), which is made once.
#[derive(Clone, Copy, Deserialize)]
#[serde(from = "List", bound(deserialize = "'de: 'static"))]
pub struct Routes {
    list: &'static [Route],
    pub(crate) index: &'static Index,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct List(#[serde(deserialize_with = "list")] &'static [Route]);

impl From<List> for Routes {
    fn from(List(list): List) -> Self {
        Self::new(list)
    }
}

impl Routes {
    /// These routes.
    pub fn new(list: &'static [Route]) -> Self {
        Self { list, index: Box::leak(Box::new(Index::of(list))) }
    }
}

impl Deref for Routes {
    type Target = [Route];

    fn deref(&self) -> &[Route] {
        self.list
    }
}

impl IntoIterator for Routes {
    type Item = &'static Route;
    type IntoIter = slice::Iter<'static, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl PartialEq for Routes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Routes {}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

impl Serialize for Routes {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(json)
    }
}

impl KeyRequirement {
    /// Any secret key.
    pub const ANY_KEY: Self = Self {
        by: &[Proof::Key],
        all: false,
        scopes: &[],
        plans: &[],
        live_only: false,
        optional: false,
        cost: Cost::ONE,
        budget: None,
    };
}
