//! The audit: one chain a tenant, append-only, each entry holding the hash of the one before.
//!
//! An entry's `hash` is the SHA-256, in hex, of the entry as `GET /audit` shows it without `hash`,
//! written by the JSON Canonicalization Scheme (RFC 8785). Whoever can read the entries can check
//! them; whoever notes the last hash can also tell when entries were cut off the end.

pub mod canonical;
pub mod chain;
pub mod daily;
pub mod event;
pub mod list;
pub mod record;
pub mod retention;
pub mod search;
pub mod short;
