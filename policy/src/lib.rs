//! The policy: what a deployment's `keyward.toml` says, as plain data.
//!
//! [`model`] is the data, all of it `'static`, so that the Worker starts without parsing anything.
//! [`path`], [`method`], [`scope`], [`key`] and [`origin`] are the rules that are applied to it, both while it is checked and
//! for each request. `compile` (a feature of the same name) reads `keyward.toml`, refuses a wrong
//! one with file, line and hint, and writes the right one as a Rust expression.

#[cfg(feature = "compile")]
pub mod compile;
pub mod jwk;
pub mod key;
pub mod method;
pub mod model;
pub mod origin;
pub mod path;
pub mod scope;

pub use model::*;
