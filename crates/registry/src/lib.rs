//! The Registry: the source of truth for tenants, people, keys and the audit, behind the admin API.
//!
//! Pure: SQL, time, randomness, secrets and finished password derivations come in, an answer comes
//! out. A call is one synchronous turn and one transaction, so that a crash or a statement that fails
//! leaves all of it or nothing. What a call may read or change is bound to its principal's tenant.
//!
//! The life of a call: [`Registry::handle`] finds the route, authenticates, checks the right to do
//! it and runs the handler. A handler that has to wait for something stops with a [`Progress`] that says for what, and
//! runs again from its beginning, in a turn of its own, with the result. An [`Outcome`] names the keys whose
//! KeyGates must be told before the answer goes out. [`call`] carries all of it out.

pub mod addresses;
pub mod admin_call;
pub mod attempts;
pub mod audit;
pub mod authenticate;
pub mod authorise;
pub mod call;
pub mod call_state;
pub mod context;
pub mod cost;
pub mod counting;
pub mod cursor;
pub mod dispatch;
pub mod effect;
pub mod email;
pub mod enum_text;
pub mod error;
pub mod freshness;
pub mod front;
pub mod guard;
pub mod handler;
pub mod ids;
pub mod input;
pub mod keys;
pub mod links;
pub mod members;
pub mod memory;
pub mod outbox;
pub mod outcome;
pub mod password;
pub mod principal;
pub mod publish_error;
pub mod publisher;
pub mod quotas;
pub mod rates;
pub mod realms;
pub mod remembered;
pub mod room;
pub mod router;
pub mod rows;
pub mod schema;
pub mod sessions;
pub mod setup;
pub mod setup_token;
pub mod tenants;
pub mod text;
pub mod throttle;
pub mod upkeep;
pub mod usage;

pub use call_state::CallState;
pub use dispatch::{Progress, Registry};
pub use outcome::Outcome;
pub use realms::adopt;
pub use router::{is_open, refuse_at_once, routes};
pub use schema::migrate;
