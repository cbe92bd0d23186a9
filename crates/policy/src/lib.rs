//! The policy: what a deployment's `keyward.toml` says, as plain data.
//!
//! `compile` (a feature of the same name) reads `keyward.toml` and refuses a wrong one with file, line and hint.
//! [`document`] writes the right one as JSON, and reads that in the Worker. [`model`] is the data, all of it `'static`: an
//! isolate reads it once. [`path`], [`method`], [`scope`], [`key`] and [`origin`] are the rules that are applied to it, both
//! while it is checked and for each request.

#[cfg(feature = "compile")]
pub mod compile;
pub mod document;
pub mod jwk;
pub mod key;
pub mod method;
pub mod model;
pub mod origin;
pub mod path;
pub mod scope;

pub use model::*;
