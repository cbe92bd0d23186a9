//! Keyward: an API-key gate at the edge. This is the Worker: it translates between the Workers runtime and the crates
//! that decide, and takes no decision of its own.
//!
//! [`keyward_gate`] handles each request ([`decide`]): it reads parts of it ([`request`]), asks stores ([`stores`]) and
//! gives a verdict, at once where it has to wait for nothing ([`at_once`]). The verdict crosses as text ([`verdict`]) to the
//! JavaScript that answers or asks the origin; only where something is held for that is the origin asked from here
//! ([`origin`]). What is to be done behind the answer is begun ([`gate`]). Keyward's own paths are [`ready`], [`admin`],
//! which hands calls of the admin API to [`keyward_registry`], and [`page`]; they answer from here ([`response`]).
//!
//! The objects are [`key_gate`] and [`relay`] around [`keyward_limits`], and [`registry`] around [`keyward_registry`].
#![cfg(target_arch = "wasm32")]

mod admin;
mod at_once;
mod background;
mod bindings;
mod body;
mod clock;
mod decide;
mod gate;
mod handlers;
mod instance;
mod isolate;
mod jurisdiction;
mod key_gate;
mod log;
mod origin;
mod page;
mod policy;
mod ready;
mod registry;
mod relay;
mod request;
mod response;
mod settings;
mod sql;
mod stores;
mod verdict;
