//! The gate: may a request pass, as whom, and what does it become on its way to the origin?
//!
//! One call answers that. [`Gate::handle`] takes a request's parts ([`request::RequestParts`]) and a platform
//! ([`platform::Platform`]: KV, objects, the network, the clock), and gives a [`Verdict`]: an answer, or what goes to the
//! origin, as data. The Worker in `src/` carries it out; nothing here knows the Workers runtime, so that all of it is
//! tested natively against stores that fail, lag or lie.
//!
//! ```
//! use keyward_gate::Outcome;
//! use keyward_testing::{
//!     fake_platform::{Request, published},
//!     policy::POLICY,
//!     record,
//! };
//!
//! // A key with the scope `orders:read`, which the platform knows.
//! let (platform, key) = published(&record());
//! let bearer = format!("Bearer {}", key.expose());
//! let fields = [("authorization", bearer.as_str())];
//! let request = Request { url: "https://api.example/api/orders", fields: &fields, ..Request::default() };
//!
//! // The origin is told whose key it is, and does not get the key.
//! let Outcome::Forward(forward) = platform.handle(&POLICY, &request).outcome else { panic!("refused") };
//! assert!(forward.credentials.contains(&"authorization"));
//! assert!(forward.added.contains(&("Keyward-Key-Id", "key_1".to_owned())));
//!
//! // Without the key the request is answered here.
//! let request = Request { fields: &[], ..request };
//! let Outcome::Answer(answer) = platform.handle(&POLICY, &request).outcome else { panic!("it passed") };
//! assert_eq!(answer.status, 401);
//! ```
//!
//! # A request's way
//! 1. [`handle`] has the order of all steps. What needs no waiting comes first: Keyward's own paths, realm and route, the
//!    connection ([`transport`]), preflights ([`cors`]), the body's length ([`request_body`]).
//! 2. The credential is taken only from where the realm says ([`credential`]), and [`admission`] hands it to whoever decides
//!    about it: a token ([`jwt`]), a webhook ([`webhook`], whose bodies have bounded room: [`in_flight`]), a link or session.
//! 3. A key goes through the [`pipeline`]: its shape, its record from the policy ([`static_keys`]), the isolate's [`memory`],
//!    KV or its coordinator, the decision, its limits.
//! 4. The decision itself is pure and synchronous ([`gate`]): a [`gate::Permit`], which is the only thing that lets a
//!    request be forwarded, or a [`denial::Denial`].
//! 5. [`forwarding`] says which header fields the request and its answer lose and gain, [`identity`] how the origin learns
//!    who asks, and [`identity_token`] signs that; [`refusal`] turns a denial into what the client reads.
//! 6. [`watch`] tells of the request once the head of its answer is there, and [`trace`] which trace it belongs to.
//!
//! # What holds everywhere
//! - Whatever waits has a bound ([`deadline`]), and what keeps failing is left alone for a while ([`breakers`]); networks that
//!   keep failing are refused before anything is asked for them ([`penalty_box`]).
//! - A cached record admits a request only under a lease or together with its coordinator, and refuses one only while it is
//!   fresh: no old copy has the last word.
//! - A store that fails means 503, never a verdict about the key.
//! - The admin side is another crate, which this one does not know; what it asks of the gate is in [`admin`], and whether
//!   the deployment is complete in [`ready`]. Why a request would pass or not, and which routes a key may call, says
//!   [`explain`].

pub mod admin;
pub mod admission;
mod bounded;
pub mod breakers;
pub mod budget;
pub mod client_info;
pub mod cors;
pub mod credential;
pub mod deadline;
pub mod denial;
pub mod explain;
pub mod forwarding;
pub mod gate;
pub mod handle;
pub mod hint;
pub mod identity;
pub mod identity_token;
pub mod in_flight;
pub mod jwt;
pub mod memory;
pub mod penalty_box;
pub mod pipeline;
pub mod platform;
pub mod ready;
pub mod refusal;
pub mod request;
pub mod request_body;
pub mod static_keys;
pub mod trace;
pub mod transport;
pub mod watch;
pub mod webhook;

pub use handle::{Gate, Outcome, Verdict};
pub use pipeline::Open;
