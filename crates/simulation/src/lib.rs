//! A whole deployment, simulated: locations, isolates, a network that delays and loses, clocks that are wrong. The code that
//! decides is the real one (pipeline, coordinators, relays); what is simulated is all around it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "it fails by panicking")]
#![allow(missing_docs, reason = "for tests and the simulation only")]

pub mod world;
