//! The bounds that both sides of a lease rely on: gates, which use it, and coordinators and relays, which grant it.
//! `docs/limits.md` says why they are as large as they are.

/// Milliseconds within which an admitted request reaches the origin: the assumption of all that is proved.
pub const TRAVEL_MS: u32 = 250;

/// Milliseconds after asking within which a request is admitted on the first answer. A later answer is not used: the
/// gate asks again.
pub const FIRST_ANSWER_MS: u32 = 500;

/// The same for the second answer. With the delay that it may bring and [`TRAVEL_MS`] still less than a usual bound on
/// staleness.
pub const SECOND_ANSWER_MS: u32 = 3_500;

/// The same for the first answer of a relay, which may have to ask the coordinator itself; also how long a request waits
/// for a call that another one has made.
pub const RELAY_ANSWER_MS: u32 = 1_500;

/// Fewest requests that are worth a lease, which costs one call to get and one to give back.
pub const MIN_LEASE: u32 = 5;

/// Greatest length of a lease, in milliseconds. Its end is reported by a background task of the request that brought it,
/// and the platform ends those 30 s after the answer.
pub const MAX_LEASE_MS: u32 = 25_000;

/// Greatest delay of a request, in milliseconds. One that fits within this time is delayed instead of refused: the
/// request that had the slot before may have been on its way for as long. So a slot is free again exactly one window
/// after it was given out.
pub const MAX_DELAY_MS: u32 = FIRST_ANSWER_MS + TRAVEL_MS;
