//! How many requests a key may make, held exactly by any number of isolates.
//!
//! Each key has one *coordinator* ([`coordinator`]), an object that counts what passes in sliding windows ([`limit`]). Most
//! requests never ask it: an isolate holds a *lease* ([`lease`]), a number of requests that the coordinator has counted
//! in advance, and reports what it has used of it. Where more isolates use a key than one object could
//! answer, *relays* ([`relay`]) hold leases and sublet them. What was used, refused or not used after all is told
//! behind the answers ([`tally`]) and gathered by the hour ([`usage`]).
//!
//! Everything here is a state and a call in, a state and an answer out. `docs/limits.md` proves that no window ever
//! admits too many.

pub mod coordinator;
pub mod fallback;
pub mod lease;
pub mod limit;
pub mod relay;
pub mod tally;
pub mod tellers;
pub mod timing;
pub mod usage;
pub mod wire;
