//! Every reason for which Keyward does not pass a request on, and the one map from a reason to what
//! the client is told. `docs/errors.md` has a section for each code; a test compares the two.

mod reason;
pub mod step;

use std::net::IpAddr;

use keyward_policy::{Proof, path::Ambiguous};

use crate::{
    hint::{Slip, Stray},
    jwt,
};
use keyward_core::{
    challenge::Challenge,
    record::Cost,
    route::NoMatch,
    secret::NoSecret,
    session_id,
    time::{self, Span},
};
use keyward_limits::limit::{RATE_LIMITED, WindowState};

/// Why a request was not passed on. The log has it in full ([`Denial::reason`], [`Denial::detail`]); the client sees
/// [`Denial::public`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No realm answers for this host and path.
    NoRealm,
    /// No route of the realm has this path.
    NoRoute,
    /// Routes of the realm have this path, with other methods.
    MethodNotAllowed {
        /// Those.
        allow: Vec<&'static str>,
    },
    /// The path can be read in more than one way.
    AmbiguousPath(Ambiguous),
    /// The `Host` header holds no host's name.
    InvalidHost,
    /// A credential is needed, and there is none that counts.
    MissingCredential {
        /// What the route takes.
        by: &'static [Proof],
        /// Where one seems to be instead.
        stray: Option<Stray>,
    },
    /// More than one credential, or a header that was sent twice.
    RepeatedCredential,
    /// A credential, or a parameter that the policy refuses, in the URL.
    KeyInUrl,
    /// It does not begin as keys of this realm do. Decided without I/O.
    MalformedKey {
        /// What seems to be wrong.
        slip: Option<Slip>,
    },
    /// No key of this realm: with a wrong length, alphabet or checksum that is seen without I/O.
    UnknownKey {
        /// What seems to be wrong.
        slip: Option<Slip>,
    },
    /// Revoked by its owner.
    RevokedKey {
        /// Another key has taken its place.
        replaced: bool,
    },
    /// Paused by its owner.
    PausedKey,
    /// Past its expiry.
    ExpiredKey {
        /// Another key has taken its place.
        replaced: bool,
    },
    /// The key's tenant is not active.
    InactiveTenant,
    /// The route is for other plans.
    PlanRequired {
        /// The plans that it is for.
        plans: &'static [&'static str],
    },
    /// The key may not be used from this address.
    AddressRestricted {
        /// The address, if the platform told one.
        address: Option<IpAddr>,
    },
    /// A publishable key from an origin, or on a route, that it is not for.
    OriginRestricted(PublishableFault),
    /// A secret key that a web page sent, in a realm that forbids it.
    SecretKeyFromPage,
    /// A test key where only live keys may go.
    TestMode {
        /// The whole route is for live keys, and not only what changes something.
        live_only: bool,
    },
    /// A token that its issuer did not make so, or for another time or API.
    InvalidToken(jwt::Error),
    /// An API key where a token belongs.
    KeyAsToken,
    /// A webhook without a signature of its sender.
    InvalidSignature {
        /// What is wrong with it, for the log.
        reason: String,
    },
    /// A link's token that was never made here.
    InvalidLink,
    /// A link's token after its end.
    ExpiredLink,
    /// A link's token that was used before.
    UsedLink,
    /// A session that has ended, or was never begun.
    InvalidSession,
    /// The session's id is missing or badly formed.
    InvalidSessionId,
    /// A write by session that does not come from the same site.
    CrossSite,
    /// Plain HTTP, or an older TLS than the realm takes.
    InsecureTransport,
    /// A body larger than what the gate reads itself.
    BodyTooLarge,
    /// A scope is missing.
    InsufficientScope {
        /// What lacks it.
        of: Proof,
        /// Every scope that the route asks for.
        required: &'static [&'static str],
    },
    /// A window of the key is full.
    RateLimited {
        /// The key's windows.
        windows: Vec<WindowState>,
        /// What the request counts as.
        cost: Cost,
        /// The time until a request fits again.
        retry_after: Span,
    },
    /// As many requests of the key are in flight as it may have.
    TooManyInFlight {
        /// The key's windows.
        windows: Vec<WindowState>,
        /// How many it may have, or has.
        limit: u32,
        /// Whether it is what open budgets reserve that leaves no room.
        by_budgets: bool,
        /// Whether all keys of the tenant together have them.
        of_tenant: bool,
    },
    /// Too many unknown keys, wrong tokens or forged webhooks from this network.
    TooManyFailures {
        /// How long it is still in the penalty box.
        retry_after: Span,
    },
    /// Too many requests without a credential from this network, on a route with a limit for those.
    NetworkLimited {
        /// The limiter's period: it does not say when a request fits again.
        retry_after: Span,
    },
    /// KV or an object did not answer, or not in a form that this build reads.
    StoreUnavailable {
        /// Which, for the log.
        store: &'static str,
    },
    /// The keys of a token's issuer cannot be had.
    IssuerUnavailable {
        /// Why, for the log.
        reason: String,
        /// The time until they are asked for again.
        retry_after: Span,
    },
    /// A secret of the deployment cannot be used.
    UnfitSecret {
        /// Which one.
        secret: &'static str,
        /// Why, for the log.
        reason: String,
    },
    /// The deployment lacks a secret or a binding.
    NotConfigured {
        /// Which one.
        what: &'static str,
    },
    /// The client did not send its body to the end.
    BrokenBody,
    /// The client did not send its body in time.
    LateBody,
    /// As many bytes of bodies as the gate may hold are being read already.
    Overloaded,
    /// A GET or HEAD with a body whose length is not said.
    LengthRequired,
    /// The origin could not be reached.
    OriginUnreachable,
    /// The origin's answer is none that can be passed on.
    OriginInvalid,
    /// The origin did not begin its answer in time.
    OriginTimeout,
    /// The gate had to start over while it worked on the request.
    Interrupted,
    /// A fault of Keyward itself.
    Internal,
}

/// Why a publishable key does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishableFault {
    /// The route is not open to publishable keys.
    Route,
    /// The request has no `Origin`: it does not come from a web page.
    NoOrigin,
    /// The key does not list its `Origin`.
    OtherOrigin,
}

/// What a client is told of a [`Denial`] whatever the realm. Its words are [`crate::refusal`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// HTTP status.
    pub status: u16,
    /// Stable code, in the default spelling.
    pub code: &'static str,
    /// The challenge (RFC 6750, section 3), where there is one.
    pub challenge: Option<Challenge>,
}

/// When to come back after a store, a secret or the origin was missing.
pub(crate) const COME_BACK: Span = Span::from_secs(5);

impl From<NoMatch> for Denial {
    fn from(why: NoMatch) -> Self {
        match why {
            NoMatch::InvalidHost => Self::InvalidHost,
            NoMatch::AmbiguousPath(why) => Self::AmbiguousPath(why),
            NoMatch::NoRealm => Self::NoRealm,
            NoMatch::NoRoute => Self::NoRoute,
            NoMatch::MethodNotAllowed { allow } => Self::MethodNotAllowed { allow },
        }
    }
}

impl From<jwt::NoKeys> for Denial {
    fn from(why: jwt::NoKeys) -> Self {
        match why {
            jwt::NoKeys::Unknown => Self::InvalidToken(jwt::Error::UnknownKey),
            jwt::NoKeys::Unavailable { reason, retry_after } => {
                Self::IssuerUnavailable { reason, retry_after }
            }
            jwt::NoKeys::NotConfigured { secret } => Self::NotConfigured { what: secret },
            jwt::NoKeys::UnfitSecret { secret, reason } => Self::UnfitSecret { secret, reason },
            jwt::NoKeys::UnfitSet => Self::Internal,
        }
    }
}

impl From<NoSecret> for Denial {
    fn from(_: NoSecret) -> Self {
        Self::NotConfigured { what: NoSecret::NAME }
    }
}

impl From<session_id::Invalid> for Denial {
    fn from(_: session_id::Invalid) -> Self {
        Self::InvalidSessionId
    }
}

const INVALID_TOKEN: Option<Challenge> = Some(Challenge::INVALID_TOKEN);
const INVALID_REQUEST: Option<Challenge> = Some(Challenge::INVALID_REQUEST);

impl Denial {
    /// What the client is told.
    pub fn public(&self) -> Public {
        let (status, code, challenge) = match self {
            Self::NoRealm => (404, "NO_REALM", None),
            Self::NoRoute => (404, "NO_ROUTE", None),
            Self::MethodNotAllowed { .. } => (405, "METHOD_NOT_ALLOWED", None),
            Self::AmbiguousPath(_) | Self::InvalidHost | Self::BrokenBody => (400, "INVALID_REQUEST", None),
            Self::LateBody => (408, "REQUEST_TIMEOUT", None),
            Self::LengthRequired => (411, "LENGTH_REQUIRED", None),
            Self::MissingCredential { .. } => (401, "MISSING_AUTHORIZATION", Some(Challenge::BARE)),
            Self::RepeatedCredential => (400, "INVALID_REQUEST", INVALID_REQUEST),
            Self::KeyInUrl => (400, "KEY_IN_URL", INVALID_REQUEST),
            Self::MalformedKey { .. } | Self::UnknownKey { .. } => (401, "INVALID_API_KEY", INVALID_TOKEN),
            Self::RevokedKey { .. } => (401, "REVOKED_API_KEY", INVALID_TOKEN),
            Self::PausedKey => (401, "PAUSED_API_KEY", INVALID_TOKEN),
            Self::ExpiredKey { .. } => (401, "EXPIRED_API_KEY", INVALID_TOKEN),
            Self::InactiveTenant => (403, "INACTIVE_ORGANIZATION", None),
            Self::PlanRequired { .. } => (403, "PLAN_REQUIRED", None),
            Self::AddressRestricted { .. } => (403, "IP_RESTRICTED", None),
            Self::OriginRestricted(_) | Self::SecretKeyFromPage => (403, "ORIGIN_RESTRICTED", None),
            Self::InvalidToken(_) | Self::KeyAsToken => (401, "INVALID_TOKEN", INVALID_TOKEN),
            Self::InvalidSignature { .. } => (401, "INVALID_SIGNATURE", Some(Challenge::BARE)),
            Self::InvalidLink | Self::ExpiredLink | Self::UsedLink => {
                (401, "INVALID_LINK", Some(Challenge::BARE))
            }
            Self::InvalidSession => (401, "INVALID_SESSION", Some(Challenge::BARE)),
            Self::InvalidSessionId => (400, "INVALID_SESSION_ID", None),
            Self::CrossSite => (403, "CROSS_SITE", None),
            Self::InsecureTransport => (403, "INSECURE_TRANSPORT", None),
            Self::BodyTooLarge => (413, "BODY_TOO_LARGE", None),
            Self::TestMode { .. } => (403, "TEST_MODE", None),
            Self::InsufficientScope { required, .. } => {
                (403, "INSUFFICIENT_SCOPE", Some(Challenge::insufficient_scope(required)))
            }
            Self::RateLimited { .. }
            | Self::TooManyInFlight { .. }
            | Self::TooManyFailures { .. }
            | Self::NetworkLimited { .. } => (429, RATE_LIMITED, None),
            Self::StoreUnavailable { .. } | Self::IssuerUnavailable { .. } => {
                (503, "STORE_UNAVAILABLE", None)
            }
            Self::NotConfigured { .. } | Self::UnfitSecret { .. } => (503, "NOT_CONFIGURED", None),
            Self::Overloaded => (503, "OVERLOADED", None),
            Self::OriginUnreachable => (502, "ORIGIN_UNREACHABLE", None),
            Self::OriginInvalid => (502, "ORIGIN_INVALID", None),
            Self::OriginTimeout => (504, "ORIGIN_TIMEOUT", None),
            Self::Interrupted => (500, "INTERRUPTED", None),
            Self::Internal => (500, "INTERNAL_ERROR", None),
        };
        Public { status, code, challenge }
    }

    /// The name by which a realm tells this reason from others that share its code; else the code.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::MalformedKey { .. } => "MALFORMED_API_KEY",
            Self::UnknownKey { .. } => "UNKNOWN_API_KEY",
            Self::ExpiredLink => "EXPIRED_LINK",
            Self::UsedLink => "USED_LINK",
            Self::InvalidToken(error) => cause_of_token(*error),
            Self::KeyAsToken => "MALFORMED_TOKEN",
            Self::IssuerUnavailable { .. } => "ISSUER_UNAVAILABLE",
            _ => self.public().code,
        }
    }

    /// `Retry-After` in seconds: rounded up, so that waiting it is enough, and at least 1. Nobody
    /// knows how long a failure of the origin lasts, and what timed out there, or was interrupted, may have been done:
    /// none of these says when to repeat it. Nor does a total that is spent, since nothing comes back.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { windows, cost, .. } if windows.iter().any(|state| state.is_spent(*cost)) => {
                None
            }
            Self::RateLimited { retry_after, .. }
            | Self::TooManyFailures { retry_after }
            | Self::NetworkLimited { retry_after }
            | Self::IssuerUnavailable { retry_after, .. } => Some(time::retry_after(*retry_after)),
            Self::StoreUnavailable { .. }
            | Self::NotConfigured { .. }
            | Self::UnfitSecret { .. }
            | Self::Overloaded => Some(time::retry_after(COME_BACK)),
            // Any answer may end now.
            Self::TooManyInFlight { .. } => Some(1),
            _ => None,
        }
    }
}

/// What stands in a token is told apart only once its signature was found to be the issuer's, so a forged one
/// learns nothing from it.
fn cause_of_token(error: jwt::Error) -> &'static str {
    use jwt::Error as E;
    match error {
        E::TooLong | E::Malformed(_) | E::Critical => "MALFORMED_TOKEN",
        E::WrongAlgorithm | E::UnknownKey | E::BadSignature | E::RefusedCode => "UNTRUSTED_TOKEN",
        E::WrongType | E::WrongIssuer | E::WrongAudience | E::WrongTenant => "FOREIGN_TOKEN",
        E::MissingClaim(_) | E::InvalidClaim(_) => "INCOMPLETE_TOKEN",
        E::Expired => "EXPIRED_TOKEN",
        E::NotYetValid => "EARLY_TOKEN",
    }
}
