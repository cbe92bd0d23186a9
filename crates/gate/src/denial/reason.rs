//! A denial as the log tells it: a word that stays the same, and what else an operator would want to know. `docs/log.md`
//! lists the words; a test compares the two.

use super::Denial;
use crate::{hint::Stray, refusal};
use keyward_core::secret::NoSecret;

impl Denial {
    /// The word for this reason: unlike the code, it has one meaning only.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoRealm => "no_realm",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::AmbiguousPath(_) => "ambiguous_path",
            Self::InvalidHost => "invalid_host",
            Self::MissingCredential { .. } => "missing_credential",
            Self::RepeatedCredential => "repeated_credential",
            Self::KeyInUrl => "key_in_url",
            Self::MalformedKey { .. } => "malformed_key",
            Self::UnknownKey { .. } => "unknown_key",
            Self::RevokedKey { .. } => "revoked_key",
            Self::PausedKey => "paused_key",
            Self::ExpiredKey { .. } => "expired_key",
            Self::InactiveTenant => "inactive_tenant",
            Self::PlanRequired { .. } => "plan_required",
            Self::AddressRestricted { .. } => "address_restricted",
            Self::OriginRestricted(_) => "origin_restricted",
            Self::SecretKeyFromPage => "secret_key_from_page",
            Self::TestMode { .. } => "test_mode",
            Self::InvalidToken(_) => "invalid_token",
            Self::KeyAsToken => "key_as_token",
            Self::InvalidSignature { .. } => "invalid_signature",
            Self::InvalidLink => "invalid_link",
            Self::ExpiredLink => "expired_link",
            Self::UsedLink => "used_link",
            Self::InvalidSession => "invalid_session",
            Self::InvalidSessionId => "invalid_session_id",
            Self::CrossSite => "cross_site",
            Self::InsecureTransport => "insecure_transport",
            Self::BodyTooLarge => "body_too_large",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManyInFlight { .. } => "too_many_in_flight",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::NetworkLimited { .. } => "network_limited",
            Self::StoreUnavailable { .. } => "store_unavailable",
            Self::IssuerUnavailable { .. } => "issuer_unavailable",
            Self::UnfitSecret { .. } => "unfit_secret",
            Self::NotConfigured { .. } => "not_configured",
            Self::BrokenBody => "broken_body",
            Self::LateBody => "late_body",
            Self::Overloaded => "overloaded",
            Self::LengthRequired => "length_required",
            Self::OriginUnreachable => "origin_unreachable",
            Self::OriginInvalid => "origin_invalid",
            Self::OriginTimeout => "origin_timeout",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }

    /// What else is known of it. Never anything of a credential, nor of the URL.
    pub fn detail(&self) -> Option<String> {
        let told_to_client = || refusal::words::detail(self, None).into_owned();
        Some(match self {
            Self::MethodNotAllowed { allow } => format!("allowed: {}", allow.join(", ")),
            Self::AmbiguousPath(_)
            | Self::MalformedKey { slip: Some(_) }
            | Self::UnknownKey { slip: Some(_) }
            | Self::OriginRestricted(_) => told_to_client(),
            Self::MissingCredential { stray: Some(stray), .. } => match stray {
                Stray::Header(header) => format!("{header} is sent and not read here"),
                Stray::Scheme { header, scheme } => format!("{header} lacks the scheme {scheme}"),
                Stray::Empty(header) => format!("{header} is empty"),
                Stray::Kind(_) => "a credential of a kind that the route does not take".to_owned(),
                Stray::Alone(_) => {
                    "the route asks for a key and a token, and one of them is there".to_owned()
                }
            },
            Self::RevokedKey { replaced: true } | Self::ExpiredKey { replaced: true } => {
                "another key has replaced it".to_owned()
            }
            Self::PlanRequired { plans } => format!("for the plans {}", plans.join(", ")),
            Self::AddressRestricted { address: Some(address) } => format!("from {address}"),
            Self::AddressRestricted { address: None } => "from an unknown address".to_owned(),
            Self::TestMode { live_only: true } => "the route is for live keys".to_owned(),
            Self::TestMode { live_only: false } => "test keys may only read".to_owned(),
            Self::InvalidToken(error) => error.to_string(),
            Self::InvalidSignature { reason } | Self::IssuerUnavailable { reason, .. } => reason.clone(),
            Self::InsufficientScope { required, .. } => format!("needs {}", required.join(" ")),
            Self::RateLimited { windows, cost, .. } => {
                let full = windows.iter().filter(|state| !state.has_room(*cost));
                format!("full: {}", full.map(|state| state.name()).collect::<Vec<_>>().join(", "))
            }
            Self::StoreUnavailable { store } => (*store).to_owned(),
            Self::UnfitSecret { secret, reason } => format!("{secret}: {reason}"),
            Self::NotConfigured { what: NoSecret::NAME } => NoSecret.to_string(),
            Self::NotConfigured { what } => format!("{what} is missing"),
            _ => return None,
        })
    }
}
