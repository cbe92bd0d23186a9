//! The bounds that both sides of a lease rely on: gates, which use it, and KeyGates and relays, which grant it.
//! `docs/limits.md` says why they are as large as they are.

/// A request that was let through reaches the origin within this time.
pub const TRAVEL: u32 = 250;

/// The request at hand is let through within this time of asking, or it asks again.
pub const PROMPT: u32 = 500;

/// A second answer may take this long: with what it may wait and travel, still less than a usual freshness.
pub const PATIENT: u32 = 3_500;

/// As [`PROMPT`] where a relay answers, which may have to ask, too; and how long those that wait for a call
/// of another request wait for it.
pub const CROWDED: u32 = 1_500;

/// A lease costs a call to get and one to give back: fewer requests than this are not worth it.
pub const WORTHWHILE: u32 = 5;

/// No lease lasts longer: what is to be done at its end is done by the request that brought it, which the
/// platform ends 30 s after its answer.
pub const LONGEST: u32 = 25_000;

/// A request that fits within this time waits for it at the gate instead of being refused: as long as
/// the one that it follows may have been on its way. So a place is free again exactly one window after
/// it was given out.
pub const WORTH_WAITING: u32 = PROMPT + TRAVEL;
