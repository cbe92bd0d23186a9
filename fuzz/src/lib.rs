//! What must hold of every parser of something foreign, whatever it is given.
//!
//! A target is a function of bytes that panics when a promise is broken: more than "does not crash", it compares the parser
//! with a second reading (the `url` crate, the standard library, a naive one written here from the RFC), reads back what
//! was written, and bounds what comes out by what went in.
//!
//! `npm run fuzz` runs the targets under libFuzzer with coverage, on stable Rust. What has found new paths through the
//! code, or a fault, is kept in `corpus/`, and `cargo test -p keyward-fuzz` runs each target on all of it: a fault
//! that was found once stays found.
//!
//! Inputs are mostly lines of text, so that a person can read and write one. `$KEY` and the like stand for what
//! chance never finds: a key, token or signature that is in order ([`support::Filled`]).

//!
//! | target | reads |
//! | --- | --- |
//! | `address` | ranges in CIDR, client addresses, web origins, hosts of realms and tenants |
//! | `admin` | a call of the admin API: routes, `If-Match`, `Idempotency-Key`, every field of every body and query |
//! | `credential` | credential headers, `Cookie`, session ids, and what hints and refusals make of them |
//! | `fields` | RFC 3339, numbers, lines of text, e-mail addresses, passwords, queries, cursors, session tokens |
//! | `header` | `Authorization` and `Cookie` of admin calls, `Origin`, `Sec-Fetch-Site`, `Content-Type`, `Accept`, CORS |
//! | `json` | bodies of the admin API |
//! | `jwks` | JWK Sets |
//! | `key` | keys, and keys in URLs in any encoding |
//! | `link` | links in URLs, cookies, sealed sessions |
//! | `message` | what Worker and objects send and store: records, calls, leases, tallies, usage |
//! | `path` | paths and patterns, as the gate and as origin servers read them |
//! | `policy` | `keyward.toml` |
//! | `request_target` | URLs, own paths, routes, `Destination` |
//! | `token` | JWTs: form, header, claims |
//! | `webhook` | signature headers and times of each scheme |

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
mod path;
mod policy;
mod request_target;
mod support;
mod token;
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
    ("path", path::run),
    ("policy", policy::run),
    ("request_target", request_target::run),
    ("token", token::run),
    ("webhook", webhook::run),
];
