//! `Keyward-Identity`: the token (JWT, RFC 7519) in which the gate signs for the origin who asks.
//!
//! A token is signed once and then used for all requests that it is true of, until it is half as old as it gets: so an
//! isolate signs at most once in half a life for each thing that there is to say. It is remembered by what it says, so
//! no change of a key, a realm or a policy can bring an older one back.

pub mod claims;
pub mod keys;
pub mod remembered;

use std::cell::RefCell;

use keyward_policy::{IdentityToken, Realm};

use self::{claims::claims, keys::KeySet};
use crate::{denial::Denial, gate::Permit, memory::Memory, platform::Platform};
use keyward_core::time::{Span, Timestamp};

/// The header field.
pub const FIELD: &str = "Keyward-Identity";

/// What a life is at least: clocks differ, and a request travels.
const LEAST_LIFE: Span = Span::from_secs(5);

/// How long a token lives, given the freshness that holds for the request: what it says is then never older than what the gate
/// itself may go by. Of a strict key or route the gate asks before each request, and the token still needs its few seconds. It needs
/// more where requests take longer than usual to their origin: even one that is half as old as it gets is to arrive in time.
pub fn life(realm: &Realm, freshness: Span) -> Span {
    let beyond_usual = realm.limits.travel_beyond_usual();
    freshness.max(LEAST_LIFE.plus(beyond_usual).plus(beyond_usual))
}

/// Signs who asks, or takes what was signed before.
///
/// # Errors
/// [`Denial::UnfitSecret`] if the platform cannot sign.
pub async fn token<P: Platform>(
    platform: &P,
    memory: &RefCell<Memory>,
    keys: &KeySet,
    (realm, identity): (&Realm, &IdentityToken),
    permit: &Permit,
    freshness: Span,
) -> Result<String, Denial> {
    let (claims, life) = (claims(realm, identity, permit), life(realm, freshness));
    let now = platform.now();
    if let Some(token) = memory.borrow_mut().identities.token(&claims, life, now) {
        return Ok(token);
    }
    // Seldom, and a request has no room for it.
    let token = Box::pin(keys.sign(platform, &payload(&claims, life, now))).await?;
    memory.borrow_mut().identities.remember(&claims, life, now, &token);
    Ok(token)
}

/// What is signed: the claims, with the time (RFC 7519, sections 4.1.4 and 4.1.6) in whole seconds, which every library takes. They
/// are rounded down, so that it is never longer than a life until it ends.
pub fn payload(claims: &str, life: Span, now: Timestamp) -> String {
    let open = claims.strip_suffix('}').unwrap_or(claims);
    let seconds = |at: Timestamp| at.0.div_euclid(1_000);
    format!("{open},\"iat\":{},\"exp\":{}}}", seconds(now), seconds(now + life))
}
