//! The Registry: where tenants, people, keys and the audit are kept, and the admin API that reads and changes them.
//!
//! Nothing here knows the platform. SQL, the time, randomness and secrets are arguments, and what waits is behind
//! [`publisher::Platform`]. In the Worker one Durable Object runs this crate; tests run it on SQLite in memory.
//!
//! # The path of a call
//! Take `POST /api-keys`, which makes a key:
//!
//! 1. In the Worker, [`front`] reads the request's head: where the credential stands, whether a browser was tricked into
//!    sending it, whether its network has failed too often. [`refuse_at_once`] refuses what needs no database for that. The
//!    rest becomes an [`AdminCall`](admin_call::AdminCall) and goes to the object ([`object`]).
//! 2. In the object, [`call`] makes attempts at it ([`dispatch`]). Each is one synchronous transaction: after a crash or a failed
//!    statement, all of it is there or nothing.
//! 3. [`router`] finds the route, whose row says all that depends on it. [`authenticate`] finds out who calls (a
//!    [`principal`]), [`counting`] applies the rate limits, and [`storage`] refuses what there is no space for.
//! 4. The handler, [`keys::create`], reads the [`input`], describes the new key as an *act*, has it [authorised](authorise)
//!    by the one table of what each act asks for ([`guard`]), and stores it with its [`audit`] entry.
//! 5. It cannot answer yet: whoever gets a key must have one that works. So it stops with a
//!    [`HandlerError`](handler::HandlerError) that says what to wait for: here for the key's coordinator, elsewhere for a
//!    password's derivation. [`call`] waits, notes the result in the [`CallState`], and makes the next attempt, in which the
//!    handler runs from its beginning.
//! 6. The handler ends with an [`Outcome`], which becomes the answer.
//!
//! # The path of a change
//! A change of a key raises its version and marks it as due, in the same transaction: it is in the [`outbox`]. The
//! [`publisher`] tells the key's coordinator before the call is answered, and writes KV after that. What fails is tried
//! again by an alarm, until it succeeds.
//!
//! # What is promised
//! - A change that was acknowledged reaches the coordinator and KV, whatever fails or restarts meanwhile.
//! - KV never gets a version that the coordinator has not been told.
//! - After the moment that an answer names ([`freshness`]), no isolate decides by what held before.
//! - Whatever a caller can add has a bound ([`quotas`], [`rates`], [`storage`]), and nothing that ends something is refused
//!   for one.
//! - No tenant sees anything of another.
//!
//! Small jobs after calls are in [`upkeep`], the tables in [`schema`].
//!
//! # Example
//! Calls as the Worker makes them, on a real database and with coordinators that a test can make fail:
//!
//! ```
//! use keyward_core::record::Status;
//! use keyward_testing::registry_fixture::RegistryFixture;
//! use serde_json::json;
//!
//! let (registry, owner) = RegistryFixture::open();
//! let key = json!({ "name": "Nightly export", "scopes": ["orders:read"] });
//! let id = registry.post(&owner, "/api-keys", key).expect(201).key_id();
//! assert_eq!(registry.record(&id).status, Status::Active, "the coordinator knew it before the caller did");
//!
//! let answer = registry.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
//! assert!(answer.body["refusedEverywhereBy"].is_string());
//! assert_eq!(registry.record(&id).status, Status::Revoked);
//! ```

pub mod addresses;
pub mod admin_call;
pub mod attempts;
pub mod audit;
pub mod authenticate;
pub mod authorise;
pub mod backup;
pub mod call;
pub mod call_state;
pub mod change_log;
pub mod context;
pub mod cost;
pub mod counting;
pub mod cursor;
pub mod dispatch;
pub mod effect;
pub mod email;
pub mod enum_text;
pub mod error;
pub mod events;
pub mod freshness;
pub mod front;
pub mod guard;
pub mod handler;
mod home;
pub mod ids;
pub mod input;
pub mod keys;
pub mod leaks;
pub mod links;
pub mod members;
pub mod memory;
pub mod metrics;
pub mod object;
pub mod outbox;
pub mod outcome;
pub mod passkeys;
pub mod password;
pub mod principal;
pub mod publish_error;
pub mod publisher;
pub mod questions;
pub mod quotas;
pub mod rates;
pub mod realms;
pub mod recovery;
pub mod remembered;
pub mod router;
pub mod rows;
pub mod schema;
pub mod sessions;
pub mod setup;
pub mod setup_token;
pub mod storage;
pub mod task;
pub mod tenants;
pub mod text;
pub mod throttle;
pub mod to_json;
pub mod upkeep;
pub mod usage;

pub use call_state::CallState;
pub use dispatch::{Progress, Registry};
pub use outcome::Outcome;
pub use realms::adopt;
pub use router::refuse_at_once;
pub use schema::migrate;
