//! The change log: what has changed, in the order in which it did. Whoever has read it up to a moment knows of every record
//! that it remembers whether it still holds, with one call for all of them.
//!
//! The log is a table of the Registry, written in the same transaction as the change itself; relays stand between it and the
//! isolates (`keyward_changes`). It names each key and tenant once, with its latest change. It keeps what changed for longer
//! than KV may lag behind ([`KV_LAG`]), so it also says of a record that was just read from KV whether that holds.

use keyward_json::{Error, by_tag, optional, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{record::Tenant, registry_call::RegistryCall, time::Span};

/// KV may answer with a record that was replaced this long ago, but not longer: the one assumption about KV. The platform
/// names a minute as usual.
pub const KV_LAG: Span = Span::from_hours(24);

/// Asks for what has changed since a position. Answered with [`News`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadChanges {
    /// The log by its random name; empty if nothing is known yet. A log that was restored from a backup has another name.
    pub log: String,
    /// The number of the last change that is known; 0 for none.
    pub after: u64,
    /// A relay may answer with what it heard this long ago.
    #[serde(default, rename = "maxAgeMs")]
    pub max_age: Span,
}

impl RegistryCall for ReadChanges {
    const PATH: &'static str = "/changes";
    type Answer = News;

    fn is_repeatable(&self) -> bool {
        true
    }
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// The log.
    pub log: String,
    /// The number of the last change of this part: the next question begins after it.
    pub position: u64,
    /// Whether this part begins at the log's beginning, although the question did not: what that knew was of another log, or
    /// older than anything that is kept. It must be forgotten, with every record.
    #[serde(default)]
    pub is_anew: bool,
    /// The number of the last change that the log has forgotten, since nobody needs it any more.
    pub begins: u64,
    /// Whether there is more.
    #[serde(default)]
    pub more: bool,
    /// The log names everything that changed within this time before it was asked.
    #[serde(rename = "coversMs")]
    pub covers: Span,
    /// How long ago the Registry said so; more than 0 from a relay.
    #[serde(default, rename = "ageMs")]
    pub age: Span,
    /// The changes, the earliest first.
    pub changes: Vec<Change>,
}

/// The latest change of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase", rename_all_fields = "camelCase", try_from = "Value")]
pub enum Change {
    /// A key has another record.
    Key {
        /// Its name in stores.
        hash: String,
        /// The record's version.
        version: u64,
        /// Whether it was revoked, for good.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        revoked: bool,
    },
    /// A tenant is another: that holds for all of its keys, whatever their records say.
    Tenant {
        /// The number of this change. A record that names a later one has a later tenant.
        number: u64,
        /// As it is now.
        tenant: Tenant,
    },
    /// What a newer build has logged. Whoever reads it can trust no record any more.
    Unknown,
}

impl TryFrom<Value> for Change {
    type Error = Error;

    fn try_from(sent: Value) -> Result<Self, Error> {
        by_tag(&sent, "of", |of| {
            Ok(Some(match of {
                "key" => Self::Key {
                    hash: required(&sent, "hash")?,
                    version: required(&sent, "version")?,
                    revoked: optional(&sent, "revoked")?,
                },
                "tenant" => {
                    Self::Tenant { number: required(&sent, "number")?, tenant: required(&sent, "tenant")? }
                }
                _ => Self::Unknown,
            }))
        })
    }
}
