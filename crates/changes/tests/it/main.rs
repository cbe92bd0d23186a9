//! The change log's readers and relays. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod following;
mod golden;
mod reader;
mod relay;
