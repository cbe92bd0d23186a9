//! A whole deployment in virtual time: 300 locations with their isolates, a coordinator for each key, relays, KV, and a
//! network between them that delays and loses messages. The code that decides is the real one (the gate's pipeline,
//! coordinators, relays); what is simulated is everything around it. So minutes of traffic through 10,000 isolates take
//! seconds, and the same seed gives the same run.
//!
//! - [`Simulation`] schedules what happens and lets time pass.
//! - [`FakeCloud`] is what it happens to. It can lose isolates and objects, set their clocks and change keys.
//! - [`network::Network`] says how bad the network is: round trips, losses, KV's lag, clocks that are off.
//! - [`keys::Log`] is the exact log of one key: when each request arrived at an isolate, and when it reached the origin.
//!
//! Tests judge that log by what is promised (`tests/it/`); the program runs large scenarios and compares
//! their figures with what must hold (`src/main.rs`; its last result is in `bench/results/simulate.txt`).
//!
//! # Example
//! Sixty requests in a second through four isolates, of a key that has 20 a minute:
//!
//! ```
//! use keyward_core::{record::Limits, time::Span};
//! use keyward_simulation::{Simulation, network::Network, realm};
//!
//! let round_trip = (Span::from_ms(5), Span::from_ms(60));
//! let network = Network { round_trip, lost: 0, kv_lag: Span::ZERO, skew: Span::ZERO };
//! let simulation = Simulation::new(7, 4, network, realm(Span::from_secs(5)));
//! let key = simulation.cloud().make_key(Limits { per_minute: Some(20), ..Limits::default() });
//! for number in 0..60 {
//!     simulation.at(Span::from_ms(number * 16), move |cloud| cloud.request(number as usize % 4, key));
//! }
//! simulation.run();
//!
//! let keys = simulation.cloud().keys.borrow();
//! assert_eq!((keys[key].log.passed.len(), keys[key].log.limited.len()), (20, 40));
//! ```
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "it fails by panicking")]
#![allow(missing_docs, reason = "for tests and the simulation only")]

mod change_log;
mod cloud;
mod isolate_platform;
pub mod keys;
pub mod network;
mod registry;
mod simulation;

pub use cloud::{BEGIN, FakeCloud, LOCATIONS};
pub use simulation::{Simulation, realm};
