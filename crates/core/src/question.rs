//! What a caller of the admin API wants to know of the gate's decisions. The Registry, which knows who calls and has the
//! records, asks; the gate, which decides, answers; neither knows the other.

use serde::{Deserialize, Serialize};

use crate::{
    record::{Record, Tenant},
    strict,
};

/// A question, about a request or about the policy's routes. Not `Debug`: a key may stand in it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Whose caller asks.
    pub tenant: Tenant,
    /// The realm whose routes, or on one of whose hosts; `None` for every realm, and for the key's.
    #[serde(deserialize_with = "strict::nullable")]
    pub realm: Option<String>,
    /// The request that nobody sent; `None` asks about routes.
    #[serde(deserialize_with = "strict::nullable")]
    pub request: Option<SupposedRequest>,
    /// The key that it shows, if its text is known.
    #[serde(deserialize_with = "strict::nullable")]
    pub key: Option<String>,
    /// The record of that key. Without a text it is known by its id; without a realm it is one that nobody has, and of
    /// whichever realm is looked at.
    #[serde(deserialize_with = "strict::nullable")]
    pub record: Option<Record>,
}

/// A request that nobody sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupposedRequest {
    /// In upper case.
    pub method: String,
    /// Path, and perhaps `?` and a query.
    pub path: String,
    /// The host that it is sent to, perhaps with a port; `None` for one of the realm's.
    #[serde(deserialize_with = "strict::nullable")]
    pub host: Option<String>,
    /// The address that it comes from.
    #[serde(deserialize_with = "strict::nullable")]
    pub address: Option<String>,
    /// Its `Origin` header.
    #[serde(deserialize_with = "strict::nullable")]
    pub origin: Option<String>,
    /// The id of its session, in the realm's header for that.
    #[serde(deserialize_with = "strict::nullable")]
    pub session_id: Option<String>,
}
