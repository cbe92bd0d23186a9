//! The Registry: the source of truth for tenants, people, keys and the audit, behind the admin API.
//!
//! Pure: SQL, time, randomness, secrets and finished password derivations come in, an answer comes out.
//!
//! # The way of a call
//! 1. In the Worker, [`front`] looks at the request: who sends it, what it shows, whether its network is held back, its
//!    body. [`refuse_at_once`] refuses what needs no database to be refused. What is left becomes an
//!    [`AdminCall`](admin_call::AdminCall) for the one object that has the database.
//! 2. There [`call`] carries it out, and [`dispatch`] makes attempts at it. Each is one synchronous transaction, so that a
//!    crash or a statement that fails leaves all of it or nothing.
//! 3. [`router`] finds the handler. [`authenticate`] says who calls (a [`principal`]), who may read and change what is of its
//!    own tenant only. [`counting`] counts the call, and [`room`] says whether the database has room for it.
//! 4. The handler ([`keys`], [`members`], [`tenants`], [`sessions`], [`links`] …) reads the [`input`], describes what it is about
//!    to do as an act, has it [authorised](authorise) by the one list of what each act asks for ([`guard`]), writes it
//!    with its [`audit`] entry, and gives an [`Outcome`].
//! 5. A handler that has to wait, for a password's derivation say, stops with a [`HandlerError`](handler::HandlerError).
//!    [`call`] waits, puts the result into the [`CallState`], and attempts the call again from its beginning.
//! 6. Before the answer goes out, the coordinators of the keys that it changed are told; KV is written after it
//!    ([`outbox`], [`publisher`]).
//!
//! What is done a little at a time, after calls: [`upkeep`]. The tables: [`schema`]. How much there may be of anything:
//! [`quotas`].
//!
//! ```
//! use keyward_registry::{admin_call::AdminCredential, refuse_at_once};
//!
//! let nobody = AdminCredential::None;
//! assert!(refuse_at_once("POST", "/session", &nobody).is_ok(), "anybody may sign in");
//! let refused = refuse_at_once("GET", "/api-keys", &nobody).unwrap_err();
//! assert_eq!(refused.code.facts(), (401, "UNAUTHENTICATED"));
//! ```

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
