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
//! 8. **Limit**: every window of the key, all or none ([`lease`], [`limit`], [`key_gate`]).
//! 9. **Forward**: without the credential, with the verified identity ([`forwarding`], [`identity`]).
//! 10. **Account**: by outcome and reason, after the answer ([`usage`]).
//!
//! Everything outside `edge` knows no platform: time, randomness and secrets are arguments.
//! `edge` (wasm32 only) translates between this and the Workers runtime and takes no decision.

pub mod admin_call;
pub mod admin_refusal;
pub mod admission;
pub mod breaker;
pub mod breakers;
pub mod budget;
pub mod caller;
pub mod configured;
pub mod cookie;
pub mod cors;
pub mod credential;
pub mod deadline;
pub mod denial;
pub mod entropy;
pub mod forwarding;
pub mod gate;
pub mod hint;
pub mod identity;
pub mod in_flight;
pub mod jwt;
pub mod key;
pub mod key_gate;
pub mod lease;
pub mod limit;
pub mod link;
pub mod local;
pub mod memory;
pub mod network;
pub mod pipeline;
pub mod policy;
pub mod problem;
pub mod ready;
pub mod record;
pub mod refusal;
pub mod registry;
pub mod relay;
pub mod route;
pub mod secret;
pub mod session_id;
pub mod sql;
pub mod stores;
pub mod strict;
pub mod tally;
pub mod target;
pub mod tellers;
pub mod time;
pub mod timing;
pub mod transport;
pub mod unavailable;
pub mod usage;
pub mod webhook;
pub mod wire;

#[cfg(target_arch = "wasm32")]
mod edge;
