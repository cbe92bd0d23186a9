//! What the Worker says to the Registry's object for each call of the admin API, and what it is answered: JSON over
//! `fetch`, the same structs on both sides.

use keyward_core::{record::Record, registry_call::RegistryCall, sign_in_token::SignInToken, strict};
use keyward_json::{by_tag, required};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    #[serde(deserialize_with = "strict::nullable")]
    pub if_match: Option<String>,
    /// `Idempotency-Key`
    #[serde(deserialize_with = "strict::nullable")]
    pub idempotency_key: Option<String>,
    /// The body as text; empty if there was none. At most 64 KiB.
    pub body: String,
    /// `CF-Connecting-IP`
    pub address: String,
    /// `User-Agent`, as far as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The origin that it was sent to, `https://gate.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What the gate found of the token that is shown to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SignInToken>,
    /// For the answer and the audit.
    pub request_id: String,
}

impl AdminCall {
    /// Whether it changes nothing (RFC 9110, 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

impl RegistryCall for AdminCall {
    const PATH: &'static str = "/admin";
    type Answer = AdminReply;

    fn is_repeatable(&self) -> bool {
        self.is_safe()
    }
}

/// Who asks the admin API.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", try_from = "Value")]
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
    /// A scanner, whose signature of its report the gate found to be right.
    Scanner,
}

impl TryFrom<Value> for AdminCredential {
    type Error = keyward_json::Error;

    fn try_from(sent: Value) -> Result<Self, Self::Error> {
        by_tag(&sent, "type", |kind| {
            Ok(Some(match kind {
                "none" => Self::None,
                "session" => Self::Session { token: required(&sent, "token")? },
                "setUp" => Self::SetUp { token: required(&sent, "token")? },
                "scanner" => Self::Scanner,
                "key" => Self::Key { record: required(&sent, "record")? },
                _ => return Ok(None),
            }))
        })
    }
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

impl AdminReply {
    /// An answer that was decided elsewhere.
    pub fn of(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { status, headers, body }
    }
}
