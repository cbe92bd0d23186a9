//! Realms: the protected APIs.

use super::{
    data::{list, optional_days, policy_data, seconds},
    key::{ImportedFormat, KeyFormat, StaticKey},
    pattern::{HostPattern, PathPattern},
    proof::{Jwt, Link},
    route::Routes,
    window::Windows,
};
use crate::span::Span;

/// Within this time an admitted request reaches its origin, if the policy does not say another one.
pub const USUAL_TRAVEL: Span = Span::from_ms(250);

policy_data! {
/// One protected API: who may ask for it, how they show a key, and what a key may do there.
pub struct Realm {
    /// Name in records, headers and the admin API: `[a-z0-9-]{1,32}`.
    pub id: &'static str,
    /// Hosts it answers for, without ports.
    #[serde(deserialize_with = "list")]
    pub hosts: &'static [HostPattern],
    /// Paths it answers for.
    #[serde(deserialize_with = "list")]
    pub paths: &'static [PathPattern],
    /// Where accepted requests go.
    pub origin: Origin,
    /// Whether the origin gets `Forwarded` (RFC 7239) beside `X-Forwarded-Host`, `-Proto` and `-For`.
    pub forwarded: bool,
    /// Whose `X-Request-Id` the client gets with the origin's answer.
    #[serde(default, skip_serializing_if = "RequestId::is_gates")]
    pub request_id: RequestId,
    /// How long the origin may keep the gate waiting: for more of the body, for its answer.
    #[serde(rename = "origin_timeout_ms")]
    pub origin_timeout: Span,
    /// How long the client may send nothing of a body that has not ended.
    #[serde(rename = "client_timeout_ms")]
    pub client_timeout: Span,
    /// How long a decision may take, over everything that it waits for.
    #[serde(rename = "decision_timeout_ms")]
    pub decision_timeout: Span,
    /// How old a decision may be: the bound of revocations and edits. Zero is strict.
    #[serde(rename = "freshness_ms")]
    pub freshness: Span,
    /// What happens to a request when the object that holds the counts cannot be reached.
    pub limits_unavailable: LimitsUnavailable,
    /// Which connections it takes.
    pub transport: Transport,
    /// Where a credential is looked for; nowhere else but in the cookie of a [`Link`].
    #[serde(deserialize_with = "list")]
    pub credentials: &'static [CredentialSource],
    /// Whose tokens it takes, if any.
    pub jwt: Option<Jwt>,
    /// Other issuers whose tokens it takes.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "<[_]>::is_empty")]
    pub other_issuers: &'static [Jwt],
    /// Links whose token becomes a session, if any.
    pub link: Option<Link>,
    /// Keys that stand in the policy, by their hash.
    #[serde(rename = "configured_keys", deserialize_with = "list")]
    pub static_keys: &'static [StaticKey],
    /// Header with the session that a request belongs to, in lower case. It is checked and the origin
    /// is told of it; a route may require it.
    pub session_id_header: Option<&'static str>,
    /// Whether a secret key that a web page sends is refused.
    pub secret_keys_from_pages: PageKeys,
    /// Names of query parameters (lower case) in which a credential is refused.
    #[serde(rename = "url_parameters", deserialize_with = "list")]
    pub forbidden_query_parameters: &'static [&'static str],
    /// What a key looks like and how it is stored.
    pub key: KeyFormat,
    /// How long a key may live from the moment on at which its end is set.
    #[serde(
        rename = "max_key_life_days",
        default,
        with = "optional_days",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_key_life: Option<Span>,
    /// Whether every key has an end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_must_expire: bool,
    /// Keys made elsewhere that it takes, too, once they are imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportedFormat>,
    /// The scope catalogue.
    #[serde(deserialize_with = "list")]
    pub scopes: &'static [Scope],
    /// In the order of the file; the first that matches takes the request.
    pub routes: Routes,
    /// Limits of keys that name none, and the most that a key may name.
    pub limits: Limits,
    /// What test keys may do.
    pub test_mode: TestMode,
    /// Actions on this realm's keys that ask for a password typed in the last five minutes.
    #[serde(deserialize_with = "list")]
    pub step_up: &'static [KeyAction],
    /// Actions on this realm's keys that only a tenant's owner may do, not its admins.
    #[serde(deserialize_with = "list")]
    pub owner_only: &'static [KeyAction],
    /// What happens to the old key when one is rotated and the request does not say.
    pub rotation: Rotation,
    /// Answers for browsers of other origins; `None` when the realm has no CORS.
    pub cors: Option<Cors>,
    /// How refusals look.
    pub refusals: Refusals,
    /// The token that says to the origin who asks, if it gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityToken>,
}

/// A token (JWT, RFC 7519) that every request carries to the origin, in which the gate signs who asks.
pub struct IdentityToken {
    /// Its `iss`.
    pub issuer: &'static str,
    /// Where the gate answers with the keys that verify it (a JWK Set, RFC 7517), on the realm's hosts.
    pub jwks_path: &'static str,
    /// Names of the key's metadata that it tells.
    #[serde(deserialize_with = "list")]
    pub metadata: &'static [&'static str],
}

/// Whose `X-Request-Id` the client gets with the origin's answer.
#[derive(Default)]
pub enum RequestId {
    /// The gate's.
    #[default]
    Gate,
    /// The origin's, if it has one; the gate's is in `Keyward-Request-Id`.
    Origin,
}

/// Where accepted requests go.
pub enum Origin {
    /// A service binding of this name.
    Binding(&'static str),
    /// Scheme, host and port of an HTTP origin; path and query are the request's own.
    Url(&'static str),
    /// Code in the same Worker, which its entry module names so.
    Handler(&'static str),
}

/// What happens to a request when the object that holds the counts cannot be reached.
pub enum LimitsUnavailable {
    /// 503.
    Refuse,
    /// Each isolate lets a share of the limit through for a bounded time, then 503.
    AllowLocal,
}

/// Which connections a realm takes.
pub struct Transport {
    /// The oldest TLS version that is taken; `None` takes plain HTTP too.
    pub least_tls: Option<TlsVersion>,
    /// Whether this machine itself may come without TLS, for development.
    pub local_http: bool,
}

/// A version of TLS.
#[derive(PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// A header in which a credential may stand.
pub struct CredentialSource {
    /// Header name in lower case.
    pub header: &'static str,
    /// `Bearer`, compared without case, or nothing when the header's whole value is the credential.
    pub scheme: Option<&'static str>,
    /// What stands there.
    pub kind: SourceKind,
    /// Whether the origin gets the header too. Never so for keys.
    pub forward: bool,
}

/// What stands in a header.
pub enum SourceKind {
    /// An API key.
    Key,
    /// A token of the realm's issuer.
    Jwt,
}

/// Whether a secret key may come from a web page, whose requests carry an `Origin` header.
pub enum PageKeys {
    /// It may.
    Pass,
    /// It is refused: whoever sees the page has the key.
    Refuse,
}

/// One scope of the catalogue.
pub struct Scope {
    /// `area:action`
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Every scope it includes, through any number of steps, itself left out.
    #[serde(deserialize_with = "list")]
    pub includes: &'static [&'static str],
    /// Who may put it on a key.
    pub grant: Grant,
}

/// Who may put a scope on a key.
pub enum Grant {
    /// Whoever may create keys.
    Anyone,
    /// A member whose role is admin or owner; never another key.
    Admin,
    /// Nobody: listed for later.
    Reserved,
}

/// Limits of a realm's keys.
pub struct Limits {
    /// Of keys (and tenants) that name none.
    pub default: Windows,
    /// The most that a key may name.
    pub maximum: Windows,
    /// A request reaches the origin within this time once it is admitted: what the limits rely on.
    #[serde(rename = "travel_ms", default = "usual_travel", skip_serializing_if = "is_usual_travel")]
    pub travel: Span,
    /// Whether answers have `X-RateLimit-*`, too, and how these say when a window is free again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_ratelimit: Option<ResetForm>,
}

/// How `X-RateLimit-Reset` is written, of which there is no standard.
pub enum ResetForm {
    /// In seconds from now.
    Seconds,
    /// In seconds since 1970.
    Epoch,
}

/// What test keys may do.
pub enum TestMode {
    /// GET, HEAD and OPTIONS only.
    ReadOnly,
    /// The same as live keys; the origin sees `Keyward-Mode: test`.
    Full,
}

/// An action on a key that a realm may make harder.
pub enum KeyAction {
    /// Create a key, or edit what one may do.
    Create,
    /// Rotate a key.
    Rotate,
    /// Revoke a key.
    Revoke,
}

/// What happens to the old key when one is rotated.
pub enum Rotation {
    /// It goes on as before.
    KeepOld,
    /// It is revoked.
    RevokeOld,
}

/// Answers for browsers of other origins (the Fetch standard's CORS protocol). Never with
/// credentials: keys are not cookies.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Cors {
    /// Origins (`https://app.example.com`), all below a domain (`https://*.example.com`), or one `*`.
    #[serde(deserialize_with = "list")]
    pub origins: &'static [&'static str],
    /// Methods that a preflight allows.
    #[serde(deserialize_with = "list")]
    pub methods: &'static [&'static str],
    /// Request headers that a preflight allows, in lower case.
    #[serde(deserialize_with = "list")]
    pub headers: &'static [&'static str],
    /// How long a browser may remember the answer.
    #[serde(with = "seconds")]
    pub max_age: Span,
}

/// How refusals look.
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Refusals {
    /// The shape of the body.
    pub style: RefusalStyle,
    /// Codes that this realm spells in its own way: (our code or cause, theirs).
    #[serde(deserialize_with = "list")]
    pub codes: &'static [(&'static str, &'static str)],
    /// Messages in this realm's own words: (our code or cause, theirs).
    #[serde(deserialize_with = "list")]
    pub messages: &'static [(&'static str, &'static str)],
    /// Statuses that this realm answers with: (our code or cause, a status).
    #[serde(default, deserialize_with = "list", skip_serializing_if = "<[_]>::is_empty")]
    pub statuses: &'static [(&'static str, u16)],
}

/// The shape of a refusal's body.
pub enum RefusalStyle {
    /// `application/problem+json` (RFC 9457) with `code` and `requestId`.
    Problem,
    /// `{"error": {"code", "message", "requestId"}}` as `application/json`.
    Json,
}
}

fn usual_travel() -> Span {
    USUAL_TRAVEL
}

fn is_usual_travel(travel: &Span) -> bool {
    *travel == USUAL_TRAVEL
}

impl Limits {
    /// By how much a request may be on its way longer than [usual](USUAL_TRAVEL).
    pub fn travel_beyond_usual(&self) -> Span {
        self.travel.less(USUAL_TRAVEL)
    }
}

impl RequestId {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_gates(&self) -> bool {
        *self == Self::Gate
    }
}

impl CredentialSource {
    /// The list of subprotocols of a WebSocket: the one header field in which a page can send a key there.
    pub const SUBPROTOCOLS: &str = "sec-websocket-protocol";

    /// Whether a credential is one of a WebSocket's subprotocols: `scheme.credential`.
    pub fn is_subprotocol(&self) -> bool {
        self.header == Self::SUBPROTOCOLS
    }

    /// Whether a credential is the user name of Basic authentication (RFC 7617).
    pub fn is_basic(&self) -> bool {
        self.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    }
}

impl Realm {
    /// Whose tokens it takes.
    pub fn issuers(&self) -> impl Iterator<Item = &Jwt> {
        self.jwt.iter().chain(self.other_issuers)
    }

    /// The cookies in which a token may stand.
    pub fn token_cookies(&self) -> impl Iterator<Item = &'static str> {
        let all = || self.issuers().filter_map(|issuer| issuer.cookie).enumerate();
        all().filter(move |(at, name)| all().take(*at).all(|(_, other)| other != *name)).map(|(_, name)| name)
    }

    /// How old what is known of a key may be when it admits a request, which is then on its way for [`USUAL_TRAVEL`]: where it
    /// may take longer, it has to be younger. 0 means that each request asks. `of_route` is the route's own freshness.
    pub fn freshness_on(&self, of_route: Option<Span>) -> Span {
        of_route.unwrap_or(self.freshness).less(self.limits.travel_beyond_usual())
    }
}
