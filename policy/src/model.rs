//! The policy as plain data. Every field is checked by `compile` before it can exist here.

/// Derives what every part of the policy has: plain-data traits, and with `compile` the ability to
/// write itself as a Rust expression.
macro_rules! policy_data {
    ($($(#[$meta:meta])* pub $kind:ident $name:ident { $($body:tt)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "compile", derive(databake::Bake), databake(path = keyward_policy::model))]
        pub $kind $name { $($body)* }
    )*};
}

mod proof;

pub use proof::*;

policy_data! {
/// One deployment's whole policy.
pub struct Policy {
    /// Where the admin API and page live, and what they ask for.
    pub admin: Admin,
    /// In the order of the file; the first whose host and path match takes the request.
    pub realms: &'static [Realm],
}

/// The admin side.
pub struct Admin {
    /// Base path of the admin API, without a slash at the end: `/api/admin`.
    pub api: &'static str,
    /// Base path of the admin page, without a slash at the end: `/admin`.
    pub page: &'static str,
    /// Whether a change of a member's role asks for a password typed in the last five minutes.
    pub step_up_roles: bool,
}

/// One protected API: who may ask for it, how they show a key, and what a key may do there.
pub struct Realm {
    /// Name in records, headers and the admin API: `[a-z0-9-]{1,32}`.
    pub id: &'static str,
    /// Hosts it answers for, without ports.
    pub hosts: &'static [HostPattern],
    /// Paths it answers for.
    pub paths: &'static [PathPattern],
    /// Where accepted requests go.
    pub origin: Origin,
    /// How long the origin may take to begin its answer, in milliseconds.
    pub origin_timeout_ms: u32,
    /// How old a decision may be, in milliseconds: the bound of revocations and edits. 0 is strict.
    pub freshness_ms: u32,
    /// What happens to a request when the object that holds the counts cannot be reached.
    pub limits_unavailable: LimitsUnavailable,
    /// Where a credential is looked for; nowhere else.
    pub credentials: &'static [CredentialSource],
    /// Names of query parameters (lower case) in which a credential is refused.
    pub url_parameters: &'static [&'static str],
    /// What a key looks like and how it is stored.
    pub key: KeyFormat,
    /// The scope catalogue.
    pub scopes: &'static [Scope],
    /// In the order of the file; the first that matches takes the request.
    pub routes: &'static [Route],
    /// Limits of keys that name none, and the most that a key may name.
    pub limits: Limits,
    /// What test keys may do.
    pub test_mode: TestMode,
    /// Actions on this realm's keys that ask for a password typed in the last five minutes.
    pub step_up: &'static [StepUp],
    /// Answers for browsers of other origins; `None` when the realm has no CORS.
    pub cors: Option<Cors>,
    /// How refusals look.
    pub refusals: Refusals,
}

/// A host in a realm: compared in lower case, without the port.
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// `api.example.com`
    Exact(&'static str),
    /// `*.example.com`, held as `.example.com`: every name below it, at any depth, not itself.
    Below(&'static str),
}

/// A path in a realm or route. See [`crate::path`] for the rule.
pub struct PathPattern {
    /// As written in the policy.
    pub source: &'static str,
    /// The segments before the tail.
    pub segments: &'static [Segment],
    /// How it ends.
    pub tail: Tail,
}

/// One segment of a path pattern.
pub enum Segment {
    /// Matches these bytes.
    Literal(&'static str),
    /// `{name}`: matches one segment that is not empty.
    Parameter(&'static str),
}

/// How a path pattern ends.
pub enum Tail {
    /// Nothing may follow.
    Exact,
    /// `/a/b*`, held as `b`: what follows the segments begins with these bytes. Empty for `/a/*`.
    Prefix(&'static str),
}

/// Where accepted requests go.
pub enum Origin {
    /// A service binding of this name.
    Binding(&'static str),
    /// Scheme, host and port of an HTTP origin; path and query are the request's own.
    Url(&'static str),
}

/// What happens to a request when the object that holds the counts cannot be reached.
pub enum LimitsUnavailable {
    /// 503.
    Refuse,
}

/// A place where a credential may stand.
pub struct CredentialSource {
    /// Header name in lower case.
    pub header: &'static str,
    /// `Bearer`, compared without case, or nothing when the header's whole value is the key.
    pub scheme: Option<&'static str>,
}

/// What a key looks like: prefix, random characters, check characters.
pub struct KeyFormat {
    /// Prefix of live keys: `kw_live_`.
    pub live_prefix: &'static str,
    /// Prefix of test keys: `kw_test_`; `None` when the prefix does not tell them apart.
    pub test_prefix: Option<&'static str>,
    /// Number of random characters.
    pub random: u8,
    /// What they are made of.
    pub alphabet: Alphabet,
    /// Number of check characters at the end (base62 of an HMAC); 0 for none.
    pub check: u8,
    /// How many of the random characters `keyPrefix` shows after the prefix.
    pub shown: u8,
    /// How a key is stored.
    pub hash: Hash,
}

/// The characters of a key's random part.
pub enum Alphabet {
    /// `0-9A-Za-z`
    Base62,
    /// `A-Za-z0-9-_` (RFC 4648, section 5)
    Base64Url,
    /// `0-9a-f`
    Hex,
}

/// How a key is stored.
pub enum Hash {
    /// SHA-256 of the key.
    Sha256,
    /// HMAC-SHA-256 of the key under the deployment's secret.
    HmacSha256,
}

/// One scope of the catalogue.
pub struct Scope {
    /// `area:action`
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Every scope it includes, through any number of steps, itself left out.
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

/// One route of a realm.
pub struct Route {
    /// Methods in upper case; empty for every method.
    pub methods: &'static [&'static str],
    /// The path.
    pub path: PathPattern,
    /// What is asked for.
    pub requires: Requirement,
}

/// What a route asks for.
pub enum Requirement {
    /// Nothing.
    Public,
    /// A key that is in order and holds every one of these.
    Key(KeyRequirement),
}

/// What a route asks of a key.
pub struct KeyRequirement {
    /// Every one of these scopes.
    pub scopes: &'static [&'static str],
    /// One of these plans; empty for any.
    pub plans: &'static [&'static str],
    /// Whether publishable keys pass here. Secret keys always do.
    pub publishable: bool,
}

/// Limits of a realm's keys.
pub struct Limits {
    /// Of keys (and tenants) that name none.
    pub default: Windows,
    /// The most that a key may name.
    pub maximum: Windows,
}

/// Requests in a window of time; `None` is no limit.
pub struct Windows {
    /// In any 60 seconds.
    pub per_minute: Option<u32>,
    /// In any 86,400 seconds.
    pub per_day: Option<u32>,
}

/// What test keys may do.
pub enum TestMode {
    /// GET, HEAD and OPTIONS only.
    ReadOnly,
    /// The same as live keys; the origin sees `Keyward-Mode: test`.
    Full,
}

/// An action on a key that may ask for a fresh password.
pub enum StepUp {
    /// Create a key, or edit what one may do.
    Create,
    /// Rotate a key.
    Rotate,
    /// Revoke a key.
    Revoke,
}

/// Answers for browsers of other origins (the Fetch standard's CORS protocol). Never with
/// credentials: keys are not cookies.
pub struct Cors {
    /// Exact origins (`https://app.example.com`), or one `*`.
    pub origins: &'static [&'static str],
    /// Methods that a preflight allows.
    pub methods: &'static [&'static str],
    /// Request headers that a preflight allows, in lower case.
    pub headers: &'static [&'static str],
    /// How long a browser may remember the answer, in seconds.
    pub max_age: u32,
}

/// How refusals look.
pub struct Refusals {
    /// The shape of the body.
    pub style: RefusalStyle,
    /// Codes that this realm spells in its own way: (ours, theirs).
    pub codes: &'static [(&'static str, &'static str)],
}

/// The shape of a refusal's body.
pub enum RefusalStyle {
    /// `application/problem+json` (RFC 9457) with `code` and `requestId`.
    Problem,
    /// `{"error": {"code", "message", "requestId"}}` as `application/json`.
    Json,
}
}

impl Policy {
    /// The realm of this name.
    pub fn realm(&self, id: &str) -> Option<&'static Realm> {
        self.realms.iter().find(|realm| realm.id == id)
    }
}
