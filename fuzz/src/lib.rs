//! What must hold of every parser of something foreign, whatever it is given.
//!
//! A target is a function of bytes that panics when a promise is broken: more than "does not crash", it compares the parser
//! with a second reading (the `url` crate, the standard library, a naive one written here from the RFC), reads back what
//! was written, and bounds what comes out by what went in.
//!
//! `README.md` says how to run them and what each reads. Inputs are mostly lines of text, so that a person can read and
//! write one. `$KEY` and the like stand for what chance never finds: a key, token or signature that is valid
//! (`support::Filled`).

mod address;
mod admin;
mod credential;
mod fields;
mod header;
mod json;
mod jwks;
mod key;
mod link;
mod message;
mod passkey;
mod path;
mod policy;
mod request_target;
mod support;
mod token;
mod trace;
mod webhook;

/// What is run with each input: it panics when a promise is broken.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also that of its folder in `corpus/`.
pub const TARGETS: &[(&str, Run)] = &[
    ("address", address::run),
    ("admin", admin::run),
    ("credential", credential::run),
    ("fields", fields::run),
    ("header", header::run),
    ("json", json::run),
    ("jwks", jwks::run),
    ("key", key::run),
    ("link", link::run),
    ("message", message::run),
    ("passkey", passkey::run),
    ("path", path::run),
    ("policy", policy::run),
    ("request_target", request_target::run),
    ("token", token::run),
    ("trace", trace::run),
    ("webhook", webhook::run),
];
