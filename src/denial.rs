//! Every reason for which Keyward does not pass a request on, and the one map from a reason to what
//! the client is told. `docs/errors.md` has a section for each code; a test compares the two.

use crate::{jwt, time, wire::WindowState};

/// Why a request was not passed on. The reason in full is for the log; the client sees
/// [`Denial::public`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No realm answers for this host and path.
    NoRealm,
    /// No route of the realm has this method and path.
    NoRoute,
    /// The path can be read in more than one way.
    AmbiguousPath,
    /// The `Host` header holds no host's name.
    InvalidHost,
    /// A key is needed and there is none.
    MissingCredential,
    /// More than one credential, or a header that was sent twice.
    RepeatedCredential,
    /// A credential, or a parameter that the policy refuses, in the URL.
    KeyInUrl,
    /// It does not begin as keys of this realm do. Decided without I/O.
    MalformedKey,
    /// No key of this realm: with a wrong length, alphabet or keyed check that is seen without I/O.
    UnknownKey,
    /// Revoked by its owner.
    RevokedKey,
    /// Past its expiry.
    ExpiredKey,
    /// The key's tenant is not active.
    InactiveTenant,
    /// The route is for other plans.
    PlanRequired {
        /// The plans that it is for.
        plans: &'static [&'static str],
    },
    /// The key may not be used from this address.
    AddressRestricted,
    /// A publishable key from an origin, or on a route, that it is not for.
    OriginRestricted,
    /// A secret key that a web page sent, in a realm that forbids it.
    SecretKeyFromPage,
    /// A test key where only live keys may go.
    TestMode,
    /// A token that its issuer did not make so, or for another time or API.
    InvalidToken(jwt::Error),
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
    /// A body larger than what can be verified.
    BodyTooLarge,
    /// A scope is missing.
    InsufficientScope {
        /// Every scope that the route asks for.
        required: &'static [&'static str],
    },
    /// A window of the key is full.
    RateLimited {
        /// The key's windows.
        windows: Vec<WindowState>,
        /// Milliseconds until a request fits again.
        retry_after_ms: u64,
    },
    /// Too many unknown keys from this address.
    TooManyFailures,
    /// KV or an object did not answer, or not in a form that this build reads.
    StoreUnavailable {
        /// Which, for the log.
        store: &'static str,
    },
    /// The keys of a token's issuer cannot be had.
    IssuerUnavailable {
        /// Why, for the log.
        reason: String,
        /// Milliseconds until they are asked for again.
        retry_after_ms: u64,
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
    /// A GET or HEAD with a body whose length is not said.
    LengthRequired,
    /// The origin could not be reached.
    OriginUnreachable,
    /// The origin's answer is none that can be passed on.
    OriginInvalid,
    /// The origin did not begin its answer in time.
    OriginTimeout,
    /// A fault of Keyward itself.
    Internal,
}

/// What a client is told of a [`Denial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    /// HTTP status.
    pub status: u16,
    /// Stable code, in the default spelling.
    pub code: &'static str,
    /// One sentence: what was wrong and how to mend it.
    pub detail: &'static str,
    /// The challenge (RFC 6750, section 3), where there is one.
    pub challenge: Option<Challenge>,
}

/// A `WWW-Authenticate` challenge. Its `error` attribute, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No attribute: the client has not tried yet (RFC 6750, section 3.1).
    Bare,
    /// `error="…"`
    Error(&'static str),
}

/// The code of a full window, which a KeyGate counts too.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// How long a network with too many failures has to wait, in seconds: the period of the platform's
/// limiter (`FAILURES` in `wrangler.toml`).
pub const FAILURES_PERIOD: i64 = 10;
/// When to come back after a store, a secret or the origin was missing, in seconds.
const COME_BACK: u64 = 5;

const INVALID_TOKEN: Option<Challenge> = Some(Challenge::Error("invalid_token"));
const INVALID_REQUEST: Option<Challenge> = Some(Challenge::Error("invalid_request"));

impl Denial {
    /// What the client is told.
    pub fn public(&self) -> Public {
        let (status, code, challenge, detail) = match self {
            Self::NoRealm => {
                (404, "NO_REALM", None, "No API is served at this host and path. Check the URL.")
            }
            Self::NoRoute => (
                404,
                "NO_ROUTE",
                None,
                "This API has no such method and path. Check both against its documentation.",
            ),
            Self::AmbiguousPath => (
                400,
                "INVALID_REQUEST",
                None,
                "The path holds an encoded slash, backslash, dot segment or control character. Send it in its plain form.",
            ),
            Self::InvalidHost => (
                400,
                "INVALID_REQUEST",
                None,
                "The Host header does not hold the name of a host. Send the one of this API.",
            ),
            Self::MissingCredential => (
                401,
                "MISSING_AUTHORIZATION",
                Some(Challenge::Bare),
                "This request needs a credential, like an API key. Send it in the header that the API documents.",
            ),
            Self::RepeatedCredential => (
                400,
                "INVALID_REQUEST",
                INVALID_REQUEST,
                "More than one credential was sent. Send exactly one, in one header.",
            ),
            Self::KeyInUrl => (
                400,
                "KEY_IN_URL",
                INVALID_REQUEST,
                "A credential, or a parameter that is named like one, stands in the URL, which logs and histories keep. Send credentials in a header, and replace one that stood here.",
            ),
            Self::MalformedKey | Self::UnknownKey => (
                401,
                "INVALID_API_KEY",
                INVALID_TOKEN,
                "The API key is not valid. Check that it was copied whole.",
            ),
            Self::RevokedKey => {
                (401, "REVOKED_API_KEY", INVALID_TOKEN, "The API key was revoked. Use another one.")
            }
            Self::ExpiredKey => {
                (401, "EXPIRED_API_KEY", INVALID_TOKEN, "The API key has expired. Use another one.")
            }
            Self::InactiveTenant => {
                (403, "INACTIVE_ORGANIZATION", None, "The organization of this API key is not active.")
            }
            Self::PlanRequired { .. } => {
                (403, "PLAN_REQUIRED", None, "The organization's plan does not include this API.")
            }
            Self::AddressRestricted => {
                (403, "IP_RESTRICTED", None, "The API key may not be used from this address.")
            }
            Self::OriginRestricted => (
                403,
                "ORIGIN_RESTRICTED",
                None,
                "The API key is a publishable one: it works on the routes and from the web origins that it is meant for.",
            ),
            Self::SecretKeyFromPage => (
                403,
                "ORIGIN_RESTRICTED",
                None,
                "A secret key came from a web page, where others can read it. Use a publishable key there, and replace this one.",
            ),
            Self::InvalidToken(error) => (401, "INVALID_TOKEN", INVALID_TOKEN, of_token(*error).1),
            Self::InvalidSignature { .. } => (
                401,
                "INVALID_SIGNATURE",
                Some(Challenge::Bare),
                "The request does not carry a valid signature of its sender.",
            ),
            Self::InvalidLink => {
                (401, "INVALID_LINK", Some(Challenge::Bare), "The link is not valid. Ask for a new one.")
            }
            Self::ExpiredLink => {
                (401, "INVALID_LINK", Some(Challenge::Bare), "The link has expired. Ask for a new one.")
            }
            Self::UsedLink => (
                401,
                "INVALID_LINK",
                Some(Challenge::Bare),
                "The link was used before, and works once only. Ask for a new one.",
            ),
            Self::InvalidSession => {
                (401, "INVALID_SESSION", Some(Challenge::Bare), "The session has ended. Ask for a new link.")
            }
            Self::InvalidSessionId => (
                400,
                "INVALID_SESSION_ID",
                None,
                "The header with the session's id is missing, was sent twice, or is not 1 to 128 letters, digits and . _ ~ : -",
            ),
            Self::CrossSite => {
                (403, "CROSS_SITE", None, "A session can be used for changes from its own site only.")
            }
            Self::InsecureTransport => (
                403,
                "INSECURE_TRANSPORT",
                None,
                "This API takes HTTPS only, with a newer version of TLS than this. Replace a key that was sent so.",
            ),
            Self::BodyTooLarge => {
                (413, "BODY_TOO_LARGE", None, "The body is larger than what can be verified here.")
            }
            Self::TestMode => {
                (403, "TEST_MODE", None, "A test key can only read. Use a live key for this request.")
            }
            Self::InsufficientScope { .. } => (
                403,
                "INSUFFICIENT_SCOPE",
                Some(Challenge::Error("insufficient_scope")),
                "The API key lacks a scope that this request needs.",
            ),
            Self::RateLimited { .. } => (
                429,
                RATE_LIMITED,
                None,
                "The API key has used up its requests. Come back after the time in Retry-After.",
            ),
            Self::TooManyFailures => (
                429,
                RATE_LIMITED,
                None,
                "Too many unknown API keys came from this address. Come back after the time in Retry-After.",
            ),
            Self::StoreUnavailable { .. } => (
                503,
                "STORE_UNAVAILABLE",
                None,
                "The API key cannot be checked at the moment. Try again after the time in Retry-After.",
            ),
            Self::IssuerUnavailable { .. } => (
                503,
                "STORE_UNAVAILABLE",
                None,
                "The token cannot be checked at the moment, since the keys of its issuer cannot be had. Try again after the time in Retry-After.",
            ),
            Self::NotConfigured { .. } | Self::UnfitSecret { .. } => (
                503,
                "NOT_CONFIGURED",
                None,
                "This gate lacks a setting. Its owner finds in the log which one.",
            ),
            Self::BrokenBody => (
                400,
                "INVALID_REQUEST",
                None,
                "The request's body broke off before its end. Send it again, whole.",
            ),
            Self::LengthRequired => (
                411,
                "LENGTH_REQUIRED",
                None,
                "A GET or HEAD request came with a body in chunks. Send its Content-Length, or no body.",
            ),
            Self::OriginInvalid => (
                502,
                "ORIGIN_INVALID",
                None,
                "The API behind this gate gave an answer that is not valid HTTP. Whether it did what was asked is not known.",
            ),
            Self::OriginUnreachable => {
                (502, "ORIGIN_UNREACHABLE", None, "The API behind this gate cannot be reached at the moment.")
            }
            Self::OriginTimeout => {
                (504, "ORIGIN_TIMEOUT", None, "The API behind this gate did not answer in time.")
            }
            Self::Internal => (
                500,
                "INTERNAL_ERROR",
                None,
                "The gate could not handle this request. The request id finds it in the log.",
            ),
        };
        Public { status, code, detail, challenge }
    }

    /// The name by which a realm tells this reason from others that share its code; else the code.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::MalformedKey => "MALFORMED_API_KEY",
            Self::UnknownKey => "UNKNOWN_API_KEY",
            Self::ExpiredLink => "EXPIRED_LINK",
            Self::UsedLink => "USED_LINK",
            Self::InvalidToken(error) => of_token(*error).0,
            Self::IssuerUnavailable { .. } => "ISSUER_UNAVAILABLE",
            _ => self.public().code,
        }
    }

    /// `Retry-After` in seconds: rounded up, so that waiting it is enough, and at least 1.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_ms, .. } => Some(time::retry_after(*retry_after_ms)),
            Self::TooManyFailures => Some(FAILURES_PERIOD.unsigned_abs()),
            Self::IssuerUnavailable { retry_after_ms, .. } => Some(time::retry_after(*retry_after_ms)),
            Self::StoreUnavailable { .. } | Self::NotConfigured { .. } | Self::UnfitSecret { .. } => {
                Some(COME_BACK)
            }
            _ => None,
        }
    }
}

/// Cause and text for a token's refusal. What stands in the token is told apart only once its signature was
/// found to be the issuer's, so a forged one learns nothing from it.
fn of_token(error: jwt::Error) -> (&'static str, &'static str) {
    use jwt::Error as E;
    match error {
        E::TooLong | E::Malformed(_) | E::Critical => (
            "MALFORMED_TOKEN",
            "This is not a token (a signed JWT) that can be read here. Check that it was copied whole.",
        ),
        E::WrongAlgorithm | E::UnknownKey | E::BadSignature => (
            "UNTRUSTED_TOKEN",
            "The token was not signed by the issuer that this API trusts, or was changed since. Sign in again to get another one.",
        ),
        E::WrongType | E::WrongIssuer | E::WrongAudience | E::WrongTenant => (
            "FOREIGN_TOKEN",
            "The token is not meant for this API: it is of another type, issuer, audience or tenant. Ask its issuer for an access token for this API.",
        ),
        E::MissingClaim(_) | E::InvalidClaim(_) => (
            "INCOMPLETE_TOKEN",
            "The token lacks a claim that this API needs, or has it in a form that is not taken. The owner of the API finds in the log which one.",
        ),
        E::Expired => ("EXPIRED_TOKEN", "The token has expired. Sign in again to get another one."),
        E::NotYetValid => (
            "EARLY_TOKEN",
            "The token is not valid yet. Try again in a moment; if that does not help, the clock of its issuer is wrong.",
        ),
    }
}
