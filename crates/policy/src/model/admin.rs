//! The admin side: where it lives, what it asks for, and how much it takes.

use super::{
    data::{list, optional_days, policy_data},
    events::EventEndpoint,
    proof::Jwt,
};
use crate::span::Span;

policy_data! {
/// The admin side.
pub struct Admin {
    /// Base path of the admin API, without a slash at the end: `/api/admin`.
    pub api: &'static str,
    /// Base path of the admin page, without a slash at the end: `/admin`.
    pub page: &'static str,
    /// Whether a change of a member's role asks for a password typed in the last five minutes.
    pub step_up_roles: bool,
    /// What a tenant may have that was given no quotas of its own.
    pub quotas: Quotas,
    /// How often the admin API may be called.
    pub rate: AdminRate,
    /// Bytes of the Registry's database from which on it takes nothing new.
    pub storage: u64,
    /// How long entries of the audit are kept; `None` is for good.
    #[serde(rename = "audit_retention_days", with = "optional_days")]
    pub audit_retention: Option<Span>,
    /// Whose tokens sign people in; `None` for passwords alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// Who is told what happens to keys.
    #[serde(default, deserialize_with = "list", skip_serializing_if = "<[_]>::is_empty")]
    pub events: &'static [EventEndpoint],
    /// What happens to keys that a scanner has found in public; `None` where reports are not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaks: Option<Leaks>,
}

/// Reports of keys that were found in public.
pub struct Leaks {
    /// What happens to a key.
    pub then: AfterLeak,
    /// Where the scanner publishes the keys that it signs with.
    pub keys_url: &'static str,
}

/// What happens to a key that was found in public. In any case the audit says that it was.
pub enum AfterLeak {
    /// It is revoked.
    Revoke,
    /// It is paused.
    Pause,
    /// It goes on.
    Tell,
}

/// How people sign in with tokens of an issuer.
pub struct SignIn {
    /// What the page calls the issuer.
    pub name: &'static str,
    /// Whether passwords sign in, too.
    pub password: bool,
    /// A header that a proxy adds to every request, with a token, in lower case.
    pub header: Option<&'static str>,
    /// How the page gets a token by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeFlow>,
    /// Which tokens: by the claim `email` they say who it is.
    pub jwt: Jwt,
}

/// An issuer's authorization code flow (OpenID Connect Core 1.0, section 3.1), with PKCE (RFC 7636).
pub struct CodeFlow {
    /// Where browsers are sent to.
    pub authorization_url: &'static str,
    /// Where a code becomes a token.
    pub token_url: &'static str,
    /// What the issuer calls this deployment.
    pub client_id: &'static str,
    /// Name of the secret that it shows there; `None` for a public client.
    pub client_secret: Option<&'static str>,
    /// With spaces between; `openid` is one of them.
    pub scopes: &'static str,
}

/// How much a tenant may have.
pub struct Quotas {
    /// Keys that are neither revoked nor expired.
    pub keys: u32,
    /// Keys that are: of more the oldest go.
    pub ended_keys: u32,
    /// Bytes of what is set on all its keys.
    pub key_bytes: u32,
    /// Links that are neither used nor expired.
    pub links: u32,
    /// Members.
    pub members: u32,
    /// Requests with an `Idempotency-Key` that are remembered.
    pub idempotency_keys: u32,
    /// Entries of the audit, without failed attempts to sign in.
    pub audit_entries: u32,
}

/// Calls of the admin API a minute, which may also come all at once.
pub struct AdminRate {
    /// Of one member or API key.
    pub principal: u32,
    /// Of one tenant.
    pub tenant: u32,
    /// Of one network, while nobody has signed in.
    pub network: u32,
}
}

impl Admin {
    /// Whether people have passwords.
    pub fn has_passwords(&self) -> bool {
        self.sign_in.is_none_or(|sign_in| sign_in.password)
    }

    /// The paths that answer whether the gate is up, and whether all that it needs is. They belong to no realm.
    pub const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
}
