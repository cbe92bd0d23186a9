//! What the log says of a request: one line, with the names of OpenTelemetry's HTTP conventions where they have one, and
//! Keyward's own under `keyward.`. [docs/log.md](../../../docs/log.md) has a row for each.
//!
//! Nothing in it is a client's own word, but for the id of a trace (hexadecimal, of a fixed length), an id that another
//! party vouches for, and a `detail`, which is [shown](crate::foreign_text::shown): no path, no query, no header, no address.

use serde::{Serialize, Serializer};

use crate::{foreign_text::some_shown, time::Span};

/// The line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestLine<'a> {
    /// The method, or `_OTHER`.
    #[serde(rename = "http.request.method")]
    pub method: &'a str,
    /// The path of the route, as the policy has it.
    #[serde(rename = "http.route", skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The answer's.
    #[serde(rename = "http.response.status_code")]
    pub status: u16,
    /// How long the head of the answer took.
    #[serde(rename = "http.server.request.duration", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// `http` or `https`.
    #[serde(rename = "url.scheme")]
    pub scheme: &'a str,
    /// The host, where the policy names it as a whole.
    #[serde(rename = "server.address", skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a str>,
    /// The code of a refusal, in the default spelling.
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    /// The trace, in 32 hexadecimal digits.
    pub trace_id: &'a str,
    /// The span that this line is, in 16.
    pub span_id: &'a str,
    /// The client's span, if its trace goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<&'a str>,
    /// The request's id, also in `X-Request-Id`.
    #[serde(rename = "keyward.request.id")]
    pub request_id: &'a str,
    /// The id of the realm.
    #[serde(rename = "keyward.realm", skip_serializing_if = "Option::is_none")]
    pub realm: Option<&'a str>,
    /// The id of the key, if it is known.
    #[serde(rename = "keyward.key.id", skip_serializing_if = "Option::is_none")]
    pub key_id: Option<&'a str>,
    /// The id of the caller's tenant.
    #[serde(
        rename = "keyward.tenant.id",
        skip_serializing_if = "Option::is_none",
        serialize_with = "some_shown"
    )]
    pub tenant_id: Option<&'a str>,
    /// Cloudflare's location.
    #[serde(rename = "keyward.colo", skip_serializing_if = "Option::is_none")]
    pub colo: Option<&'a str>,
    /// Why it was refused, which tells apart what shares a code.
    #[serde(rename = "keyward.reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// More about that.
    #[serde(
        rename = "keyward.detail",
        skip_serializing_if = "Option::is_none",
        serialize_with = "some_shown"
    )]
    pub detail: Option<&'a str>,
    /// How long the decision took: what it waited for.
    #[serde(rename = "keyward.wait.duration", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Seconds>,
    /// How long KV was waited for.
    #[serde(rename = "keyward.store.duration", skip_serializing_if = "Option::is_none")]
    pub store: Option<Seconds>,
    /// How long objects were.
    #[serde(rename = "keyward.object.duration", skip_serializing_if = "Option::is_none")]
    pub object: Option<Seconds>,
    /// How long a limiter of the platform was.
    #[serde(rename = "keyward.limiter.duration", skip_serializing_if = "Option::is_none")]
    pub limiter: Option<Seconds>,
    /// How long an issuer of tokens was.
    #[serde(rename = "keyward.issuer.duration", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Seconds>,
    /// How long the origin was.
    #[serde(rename = "keyward.origin.duration", skip_serializing_if = "Option::is_none")]
    pub origin: Option<Seconds>,
}

/// A span of time, in JSON as seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Span);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.value())
    }
}

impl Seconds {
    /// The number.
    #[allow(clippy::cast_precision_loss, reason = "spans of requests are far below 2^53 ms")]
    pub fn value(self) -> f64 {
        self.0.ms() as f64 / 1_000.0
    }
}
