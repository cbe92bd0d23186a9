//! `[admin.events.NAME]`: who is told what happens to keys.

use super::data::{list, policy_data};

policy_data! {
/// An endpoint that events are sent to, signed after Standard Webhooks.
pub struct EventEndpoint {
    /// Its name in the policy and the API.
    pub name: &'static str,
    /// Where events are posted.
    pub url: &'static str,
    /// Names of the secrets that sign: all of them, so that a receiver may change from one to the next.
    #[serde(deserialize_with = "list")]
    pub secrets: &'static [&'static str],
    /// The types that are sent there.
    #[serde(deserialize_with = "list")]
    pub types: &'static [EventType],
}

/// What an event tells.
#[derive(PartialOrd, Ord)]
pub enum EventType {
    /// A key was made or imported.
    #[serde(rename = "key.created")]
    Created,
    /// A key got a successor.
    #[serde(rename = "key.rotated")]
    Rotated,
    /// A key was revoked.
    #[serde(rename = "key.revoked")]
    Revoked,
    /// A key expires soon.
    #[serde(rename = "key.expiring")]
    Expiring,
    /// A key has not been used for long.
    #[serde(rename = "key.unused")]
    Unused,
    /// A key has used most of a limit, or all of it.
    #[serde(rename = "key.limit_reached")]
    LimitReached,
    /// A key was found where it should not be.
    #[serde(rename = "key.leaked")]
    Leaked,
    /// Somebody tries keys that do not exist.
    #[serde(rename = "guessing.detected")]
    Guessing,
}
}

impl EventType {
    /// Every type, by its name.
    pub const NAMES: [(&str, Self); 8] = [
        ("key.created", Self::Created),
        ("key.rotated", Self::Rotated),
        ("key.revoked", Self::Revoked),
        ("key.expiring", Self::Expiring),
        ("key.unused", Self::Unused),
        ("key.limit_reached", Self::LimitReached),
        ("key.leaked", Self::Leaked),
        ("guessing.detected", Self::Guessing),
    ];
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Rotated,
        Self::Revoked,
        Self::Expiring,
        Self::Unused,
        Self::LimitReached,
        Self::Leaked,
        Self::Guessing,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, named)| *named == self).map_or("", |(name, _)| name)
    }
}
