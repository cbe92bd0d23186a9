//! What every part of Keyward stands on: time, secrets, keys, records, links, routes, SQL. Nothing here waits,
//! reads a clock or knows a platform: time, randomness and storage are arguments.

pub mod breaker;
pub mod challenge;
pub mod cookie;
pub mod entropy;
pub mod json;
pub mod key;
pub mod link;
pub mod network;
pub mod problem;
pub mod record;
pub mod request_target;
pub mod route;
pub mod secret;
pub mod session_id;
pub mod sql;
pub mod strict;
pub mod time;
pub mod unavailable;
