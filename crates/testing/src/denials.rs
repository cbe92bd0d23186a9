//! Every refusal there is, and a realm that takes every kind of credential.

use keyward_gate::{
    denial::{Denial, PublishableFault},
    hint::{Slip, Stray},
    jwt,
};
use keyward_limits::limit::{Window, WindowState};
use keyward_policy::{Cost, CredentialSource, Proof, Realm, SourceKind, Span, path::Ambiguous};

use crate::{LINK, policy::POLICY};

pub fn realm() -> Realm {
    POLICY.realms[0]
}

pub const BY_KEY: &[Proof] = &[Proof::Key];
const SCOPES: &[&str] = &["orders:read", "orders:write"];

/// One of each, and each kind of those that have several. A variant that is missing here fails
/// `every_code_has_a_section…`, which counts those of the source.
pub fn all() -> Vec<Denial> {
    let missing = |stray| Denial::MissingCredential { by: BY_KEY, stray };
    let malformed = |slip| Denial::MalformedKey { slip: Some(slip) };
    vec![
        Denial::NoRealm,
        Denial::NoRoute,
        Denial::MethodNotAllowed { allow: vec!["GET", "HEAD"] },
        Denial::AmbiguousPath(Ambiguous::EncodedSlash),
        Denial::AmbiguousPath(Ambiguous::DoubleEncoding),
        Denial::AmbiguousPath(Ambiguous::LookAlike('\u{ff0f}')),
        Denial::AmbiguousPath(Ambiguous::OtherRoute),
        Denial::InvalidHost,
        missing(None),
        missing(Some(Stray::Header("x-api-key"))),
        missing(Some(Stray::Scheme { header: "authorization", scheme: "Bearer" })),
        missing(Some(Stray::Empty("authorization"))),
        missing(Some(Stray::Kind(Proof::Jwt))),
        Denial::RepeatedCredential,
        Denial::KeyInUrl,
        Denial::MalformedKey { slip: None },
        malformed(Slip::Placeholder),
        malformed(Slip::Quoted),
        malformed(Slip::Scheme),
        malformed(Slip::Whitespace),
        malformed(Slip::Token),
        malformed(Slip::Short),
        Denial::UnknownKey { slip: None },
        Denial::UnknownKey { slip: Some(Slip::Long) },
        Denial::RevokedKey { replaced: false },
        Denial::RevokedKey { replaced: true },
        Denial::PausedKey,
        Denial::ExpiredKey { replaced: false },
        Denial::ExpiredKey { replaced: true },
        Denial::InactiveTenant,
        Denial::PlanRequired { plans: &["pro", "enterprise"] },
        Denial::AddressRestricted { address: None },
        Denial::AddressRestricted { address: Some("192.0.2.7".parse().unwrap()) },
        Denial::OriginRestricted(PublishableFault::Route),
        Denial::OriginRestricted(PublishableFault::NoOrigin),
        Denial::OriginRestricted(PublishableFault::OtherOrigin),
        Denial::SecretKeyFromPage,
        Denial::TestMode { live_only: false },
        Denial::TestMode { live_only: true },
        Denial::InvalidToken(jwt::Error::Expired),
        Denial::KeyAsToken,
        Denial::InvalidSignature { reason: "too old".into() },
        Denial::InvalidLink,
        Denial::ExpiredLink,
        Denial::UsedLink,
        Denial::InvalidSession,
        Denial::InvalidSessionId,
        Denial::CrossSite,
        Denial::InsecureTransport,
        Denial::BodyTooLarge,
        Denial::InsufficientScope { of: Proof::Key, required: SCOPES },
        Denial::InsufficientScope { of: Proof::Key, required: &["orders:read"] },
        Denial::InsufficientScope { of: Proof::Jwt, required: &["orders:read"] },
        Denial::InsufficientScope { of: Proof::Session, required: &["orders:read"] },
        Denial::RateLimited { windows: windows(), cost: Cost::ONE, retry_after: Span::from_ms(1_001) },
        Denial::RateLimited { windows: full_day(), cost: Cost::ONE, retry_after: Span::from_ms(60_001) },
        Denial::RateLimited { windows: windows(), cost: Cost::new(5), retry_after: Span::from_ms(1_001) },
        Denial::RateLimited { windows: of_tenant(), cost: Cost::ONE, retry_after: Span::from_ms(60_001) },
        Denial::TooManyInFlight { windows: windows(), limit: 5, by_budgets: false, of_tenant: false },
        Denial::TooManyInFlight { windows: Vec::new(), limit: 5, by_budgets: false, of_tenant: true },
        Denial::TooManyInFlight { windows: windows(), limit: 2, by_budgets: true, of_tenant: false },
        Denial::TooManyInFlight { windows: windows(), limit: 2, by_budgets: true, of_tenant: true },
        Denial::TooManyFailures { retry_after: Span::from_ms(9_001) },
        Denial::NetworkLimited { retry_after: Span::from_secs(10) },
        Denial::StoreUnavailable { store: "KV" },
        Denial::StoreUnavailable { store: "Registry" },
        Denial::IssuerUnavailable { reason: "answered 500".into(), retry_after: Span::from_ms(7_001) },
        Denial::UnfitSecret { secret: "ISSUER_SECRET", reason: "too short".into() },
        Denial::NotConfigured { what: "KEYWARD_SECRET" },
        Denial::BrokenBody,
        Denial::LateBody,
        Denial::Overloaded,
        Denial::LengthRequired,
        Denial::OriginInvalid,
        Denial::OriginUnreachable,
        Denial::OriginTimeout,
        Denial::Interrupted,
        Denial::Internal,
    ]
}

pub fn windows() -> Vec<WindowState> {
    vec![
        WindowState {
            window: Window::Minute,
            limit: 600,
            remaining: 0,
            reset: Span::from_ms(1_001),
            of_tenant: false,
        },
        WindowState {
            window: Window::Day,
            limit: 10_000,
            remaining: 9_400,
            reset: Span::from_ms(86_000_000),
            of_tenant: false,
        },
    ]
}

fn of_tenant() -> Vec<WindowState> {
    full_day().into_iter().map(|state| WindowState { of_tenant: true, ..state }).collect()
}

fn full_day() -> Vec<WindowState> {
    vec![
        WindowState {
            window: Window::Minute,
            limit: 1,
            remaining: 0,
            reset: Span::from_ms(59_000),
            of_tenant: false,
        },
        WindowState {
            window: Window::Day,
            limit: 10_000,
            remaining: 0,
            reset: Span::from_ms(60_001),
            of_tenant: false,
        },
    ]
}

/// Takes keys as `X-API-Key`, tokens as `Authorization: Bearer`, and sessions.
pub fn mixed() -> Realm {
    let source = |header, scheme, kind| CredentialSource { header, scheme, kind, forward: false };
    let credentials = vec![
        source("x-api-key", None, SourceKind::Key),
        source("authorization", Some("Bearer"), SourceKind::Jwt),
    ];
    Realm { id: "mixed", credentials: credentials.leak(), link: Some(LINK), ..realm() }
}

/// The same where it takes more than one kind of credential: what names a header, or challenges.
pub fn in_a_mixed_realm() -> Vec<Denial> {
    let by = &[Proof::Key, Proof::Jwt, Proof::Session];
    vec![
        Denial::MissingCredential { by, stray: None },
        Denial::MissingCredential { by: BY_KEY, stray: Some(Stray::Header("authorization")) },
        Denial::MissingCredential { by: &[Proof::Publishable], stray: Some(Stray::Kind(Proof::Key)) },
        Denial::MissingCredential { by: &[Proof::Session], stray: None },
        Denial::RepeatedCredential,
        Denial::UnknownKey { slip: None },
        Denial::InvalidToken(jwt::Error::Expired),
        Denial::KeyAsToken,
        Denial::InvalidSession,
        Denial::InvalidSignature { reason: "too old".into() },
        Denial::InsufficientScope { of: Proof::Key, required: &["orders:read"] },
        Denial::InsufficientScope { of: Proof::Jwt, required: &["orders:read"] },
    ]
}
