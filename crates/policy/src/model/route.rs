//! Routes and what they ask for.

use serde::{Deserialize, Serialize};

use super::{PathPattern, Webhook, kept, list};

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
    /// How old a decision may be here, in milliseconds, where it differs from the realm.
    pub freshness_ms: Option<u32>,
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
    /// Every one of these scopes.
    #[serde(deserialize_with = "list")]
    pub scopes: &'static [&'static str],
    /// One of these plans; empty for any.
    #[serde(deserialize_with = "list")]
    pub plans: &'static [&'static str],
    /// Whether test keys are refused here, whatever the realm's test mode.
    pub live_only: bool,
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

impl KeyRequirement {
    /// Any secret key.
    pub const ANY_KEY: Self = Self { by: &[Proof::Key], scopes: &[], plans: &[], live_only: false };
}
