//! The steps of a decision, and the one at which each denial is made.

use keyward_policy::path::Ambiguous;

use super::{Denial, PublishableFault};
use crate::hint::Stray;

/// A step of a decision. `docs/admin-api.md` lists them in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Host and path can be read in one way only.
    Url,
    /// A realm answers there.
    Realm,
    /// It has a route for path and method.
    Route,
    /// The connection is one that the realm takes.
    Transport,
    /// The body can be passed on.
    Body,
    /// There is one credential, where one belongs.
    Credential,
    /// A link works.
    Link,
    /// The id of the session is in order.
    Session,
    /// A token, session or webhook is what it claims to be.
    Proof,
    /// The key is one of the realm's.
    Key,
    /// It is in use.
    Status,
    /// It has not expired.
    Expiry,
    /// Its tenant is active.
    Tenant,
    /// The tenant has a plan that the route is for.
    Plan,
    /// The address is one of the key's.
    Address,
    /// The route takes keys of this kind.
    Kind,
    /// The web page that sends it may.
    Origin,
    /// A test key may do this.
    Mode,
    /// It holds every scope that the route asks for.
    Scopes,
    /// Its limits leave room.
    Limit,
    /// The gate has what it needs, and the origin answers.
    Gate,
}

impl Step {
    /// Those that find the route, in their order.
    pub const OF_ROUTE: [Self; 3] = [Self::Url, Self::Realm, Self::Route];
    /// Those of [`decide`](crate::gate::decide), in its order.
    pub const OF_KEY: [Self; 10] = [
        Self::Key,
        Self::Status,
        Self::Expiry,
        Self::Tenant,
        Self::Plan,
        Self::Address,
        Self::Kind,
        Self::Origin,
        Self::Mode,
        Self::Scopes,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Realm => "realm",
            Self::Route => "route",
            Self::Transport => "transport",
            Self::Body => "body",
            Self::Credential => "credential",
            Self::Link => "link",
            Self::Session => "session",
            Self::Proof => "proof",
            Self::Key => "key",
            Self::Status => "status",
            Self::Expiry => "expiry",
            Self::Tenant => "tenant",
            Self::Plan => "plan",
            Self::Address => "address",
            Self::Kind => "kind",
            Self::Origin => "origin",
            Self::Mode => "mode",
            Self::Scopes => "scopes",
            Self::Limit => "limit",
            Self::Gate => "gate",
        }
    }
}

impl Denial {
    /// The step at which it is made.
    pub fn step(&self) -> Step {
        match self {
            Self::AmbiguousPath(Ambiguous::OtherRoute) | Self::NoRoute | Self::MethodNotAllowed { .. } => {
                Step::Route
            }
            Self::InvalidHost | Self::AmbiguousPath(_) => Step::Url,
            Self::NoRealm => Step::Realm,
            Self::InsecureTransport => Step::Transport,
            Self::BodyTooLarge | Self::BrokenBody | Self::LateBody | Self::LengthRequired => Step::Body,
            Self::MissingCredential { stray: Some(Stray::Kind(_)), .. }
            | Self::OriginRestricted(PublishableFault::Route) => Step::Kind,
            Self::MissingCredential { .. } | Self::RepeatedCredential | Self::KeyInUrl => Step::Credential,
            Self::InvalidLink | Self::ExpiredLink | Self::UsedLink => Step::Link,
            Self::InvalidSessionId => Step::Session,
            Self::InvalidToken(_)
            | Self::KeyAsToken
            | Self::InvalidSignature { .. }
            | Self::InvalidSession
            | Self::CrossSite => Step::Proof,
            Self::MalformedKey { .. } | Self::UnknownKey { .. } => Step::Key,
            Self::RevokedKey { .. } | Self::PausedKey => Step::Status,
            Self::ExpiredKey { .. } => Step::Expiry,
            Self::InactiveTenant => Step::Tenant,
            Self::PlanRequired { .. } => Step::Plan,
            Self::AddressRestricted { .. } => Step::Address,
            Self::OriginRestricted(_) | Self::SecretKeyFromPage => Step::Origin,
            Self::TestMode { .. } => Step::Mode,
            Self::InsufficientScope { .. } => Step::Scopes,
            Self::RateLimited { .. }
            | Self::TooManyInFlight { .. }
            | Self::TooManyFailures { .. }
            | Self::NetworkLimited { .. } => Step::Limit,
            Self::StoreUnavailable { .. }
            | Self::IssuerUnavailable { .. }
            | Self::UnfitSecret { .. }
            | Self::NotConfigured { .. }
            | Self::Overloaded
            | Self::OriginUnreachable
            | Self::OriginInvalid
            | Self::OriginTimeout
            | Self::Interrupted
            | Self::Internal => Step::Gate,
        }
    }
}
