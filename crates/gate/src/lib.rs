//! From a request's parts to a verdict: may it pass, as whom, and what does it become on its way to the origin?
//!
//! In the order of a request's life:
//!
//! 1. which connections a realm takes ([`transport`]), and CORS preflights ([`cors`]);
//! 2. the credential, taken only from where the realm says ([`credential`]), and who decides about it ([`admission`]):
//!    tokens ([`jwt`]), webhooks ([`webhook`], whose bodies have bounded room: [`in_flight`]), links and sessions;
//! 3. a key: its record from the policy, memory, KV or its coordinator, the decision and its limits ([`pipeline`],
//!    [`configured`], [`memory`]);
//! 4. the decision itself, pure and synchronous: a `Permit` or a [`denial`] ([`gate`]);
//! 5. the way to the origin and back: header fields and the verified identity ([`forwarding`], [`identity`]);
//! 6. what a refused client reads ([`refusal`]).
//!
//! What is asked of the platform goes through one port ([`stores`]) and has a bound ([`deadline`], [`breakers`]). Nothing
//! here knows the admin side.

pub mod admin_refusal;
pub mod admission;
pub mod breakers;
pub mod budget;
pub mod client_info;
pub mod configured;
pub mod cors;
pub mod credential;
pub mod deadline;
pub mod denial;
pub mod forwarding;
pub mod gate;
pub mod hint;
pub mod identity;
pub mod in_flight;
pub mod jwt;
pub mod memory;
pub mod pipeline;
pub mod ready;
pub mod refusal;
pub mod stores;
pub mod transport;
pub mod webhook;
