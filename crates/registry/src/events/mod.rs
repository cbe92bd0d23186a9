//! Events: what happens to keys, told to the endpoints of the policy's `[admin.events]`, signed after Standard Webhooks.
//!
//! What always holds:
//! - An event is written in the transaction of what it tells: triggers do it ([`crate::schema`]).
//! - Each event is delivered to each endpoint at least once, unless it is dropped ([`retention`]); that is counted.
//! - Of one key, none is sent before the earlier ones were delivered. Other keys do not wait for it.
//! - A receiver that fails is asked less and less often, and never keeps keys from being published.

pub mod body;
pub mod endpoints;
pub mod guesses;
pub mod limits;
pub mod list;
pub mod marks;
pub mod message;
pub mod notices;
pub mod queue;
pub mod retention;
pub mod revocations;
pub mod sending;
pub mod signature;
