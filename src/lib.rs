//! Keyward: an API-key gate at the edge.
//!
//! The life of a request, and where each step is decided:
//!
//! 1. **Realm**: host and path choose it ([`route`]); it says which connections it takes ([`transport`]).
//! 2. **Preflight**: answered from the policy ([`cors`]).
//! 3. **Route**: method and path choose what is required ([`route`]).
//! 4. **Credential**: taken only from where the realm says ([`credential`], [`session_id`]). What is no key
//!    goes its own way from here: tokens ([`jwt`]), webhooks ([`webhook`], whose bodies have bounded room: [`in_flight`]), links and sessions ([`link`]); see
//!    [`admission`].
//! 5. **Shape**: prefix, length, alphabet, keyed check, without any I/O ([`key`]).
//! 6. **Find**: hash, the policy's own keys, isolate memory, KV, KeyGate ([`pipeline`], [`configured`], [`memory`]).
//! 7. **Decide**: pure and synchronous, a `Permit` or a `Denial` ([`gate`]).
//! 8. **Limit**: every window of the key, all or none ([`lease`], [`limit`], [`coordinator`]).
//! 9. **Forward**: without the credential, with the verified identity ([`forwarding`], [`identity`]).
//! 10. **Account**: by outcome and reason, after the answer ([`usage`]).
//!
//! Everything outside `edge` knows no platform: time, randomness and secrets are arguments.
//! `edge` (wasm32 only) translates between this and the Workers runtime and takes no decision.

pub use keyward_core::{
    breaker, cookie, entropy, key, link, network, problem, record, route, secret, session_id, sql, strict,
    target, time, unavailable,
};
pub use keyward_gate::{
    admission, breakers, budget, caller, configured, cors, credential, deadline, denial, forwarding, gate,
    hint, identity, in_flight, jwt, memory, pipeline, ready, refusal, stores, transport, webhook,
};
pub use keyward_limits::{coordinator, fallback, lease, limit, relay, tally, tellers, timing, usage, wire};
pub use keyward_registry::{self as registry, admin_call};

pub mod admin_refusal;
pub mod policy;

#[cfg(target_arch = "wasm32")]
mod edge;
