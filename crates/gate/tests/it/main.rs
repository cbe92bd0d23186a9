//! The gate. One binary, so that it is linked once.

mod addresses;
mod admission;
mod breaker;
mod credential_in_url;
mod credentials;
mod failures;
mod forwarding;
mod gate;
mod guesses;
mod jose_rfcs;
mod jwk_faults;
mod jwks;
mod jws_faults;
mod jwt;
mod jwt_claims;
mod limit_fields;
mod link_sessions;
mod pipeline;
mod refusals;
mod routing;
mod signature_faults;
mod tokens;
mod webhook;
mod webhook_bodies;
mod wycheproof;
