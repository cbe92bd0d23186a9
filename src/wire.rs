//! What the Worker and its objects say to each other: JSON over `fetch`, the same structs on both
//! sides. Only the Worker can reach the objects. Golden vectors in `tests/golden.rs` pin the shapes,
//! since during a deployment an old Worker talks to a new object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{link::Session, record::Record, time::Timestamp};

/// Counts by refusal code: `{"INSUFFICIENT_SCOPE": 3}`.
pub type RefusalCounts = BTreeMap<String, u64>;

/// What a KeyGate is asked. `POST /` with this as the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum KeyGateCall {
    /// The Registry says what holds from now on. Answered with [`Told`].
    Tell {
        /// The whole record.
        record: Record,
    },
    /// A gate asks to let one request through. Answered with [`Taken`].
    Take {
        /// Version of the record that the decision was made on.
        version: u64,
        /// Refusals of this key since the last call.
        refused: RefusalCounts,
    },
    /// A gate asks for the record, because KV does not have it (yet). Answered with [`Found`].
    Find,
    /// A gate reports refusals when it has nothing to take. Answered with `{}`.
    Report {
        /// Refusals of this key since the last call.
        refused: RefusalCounts,
    },
}

/// Answer to [`KeyGateCall::Tell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The version that holds now: the told one or a later one.
    pub version: u64,
}

/// Answer to [`KeyGateCall::Find`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The record that holds now, if this object was ever told one.
    pub record: Option<Record>,
}

/// Answer to [`KeyGateCall::Take`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Taken {
    /// The request may pass; it is counted in every window.
    Granted {
        /// What is left.
        windows: Vec<WindowState>,
    },
    /// At least one window is full; nothing was counted.
    Limited {
        /// What is left.
        windows: Vec<WindowState>,
        /// After so many milliseconds, and not before, one request fits into every window again.
        retry_after_ms: u64,
    },
    /// The decision was made on another version: decide again on this record. Nothing was counted.
    Changed {
        /// The record that holds now.
        record: Record,
    },
    /// This object was never told of the key.
    Unknown,
}

/// One window of a key, as seen by the client that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowState {
    /// Which one.
    pub window: Window,
    /// Requests that it admits.
    pub limit: u32,
    /// Requests that still fit.
    pub remaining: u32,
    /// Milliseconds until `remaining` next grows.
    pub reset_ms: u64,
}

/// The windows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Any 60 seconds.
    Minute,
    /// Any 86,400 seconds.
    Day,
}

/// What a KeyGate reports to the Registry, from an alarm: whole totals, so that a repeat is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Id of the key.
    pub key_id: String,
    /// When it was last accepted.
    pub last_used_at: Option<Timestamp>,
    /// Totals of the hours that changed since the last report.
    pub hours: Vec<UsageHour>,
}

/// Totals of one key in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageHour {
    /// The hour's first moment.
    pub hour: Timestamp,
    /// Requests accepted.
    pub accepted: u64,
    /// Requests refused, by code.
    pub refused: RefusalCounts,
}

/// A call of the admin API, as the Worker hands it to the Registry. Not `Debug`: it holds tokens and
/// passwords.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminCall {
    /// In upper case.
    pub method: String,
    /// Path below the API's base, beginning with `/`: `/api-keys/key_1/revoke`.
    pub path: String,
    /// The query string without `?`.
    pub query: String,
    /// Who asks.
    pub credential: AdminCredential,
    /// `If-Match`
    pub if_match: Option<String>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<String>,
    /// The body as text; empty if there was none. At most 64 KiB.
    pub body: String,
    /// `CF-Connecting-IP`
    pub address: String,
    /// For the answer and the audit.
    pub request_id: String,
}

/// Who asks the admin API.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AdminCredential {
    /// Nobody.
    None,
    /// A session token, from the cookie or the `Authorization` header. Not verified yet.
    Session {
        /// The token.
        token: String,
    },
    /// The set-up token, which stands for an owner until there is one. Not verified yet.
    SetUp {
        /// The token.
        token: String,
    },
    /// An API key that the gate found to be in order.
    Key {
        /// Its record.
        record: Record,
    },
}

/// The Registry's answer to an [`AdminCall`], which the Worker turns into HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminReply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside the usual ones: `ETag`, `Set-Cookie`, `Retry-After`, `Location` ….
    pub headers: Vec<(String, String)>,
    /// JSON text; empty for no body.
    pub body: String,
}

/// A gate asks the Registry to use up a link. `POST /redeem`, answered with [`Redeemed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redeem {
    /// Storage hash of the link's token.
    pub hash: String,
    /// The realm in which it was followed.
    pub realm: String,
}

/// Answer to [`Redeem`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Redeemed {
    /// It is used up now, and becomes this session.
    Granted(Session),
    /// It was used before.
    Used,
    /// It ended before it was used.
    Expired,
    /// There is no such link in this realm, or its tenant is not active.
    Unknown,
}
