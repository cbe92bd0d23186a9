//! The bounds that both sides of a lease rely on: isolates, which use it, and coordinators and relays, which grant it.
//! `docs/limits.md` says why they are as long as they are.

use keyward_core::{
    record::USUAL_TRAVEL,
    time::{Span, Timestamp},
};

/// An admitted request reaches the origin within this time, if the policy does not say another one: what the proof assumes. A
/// call reaches an object within it as well.
pub const TRAVEL: Span = USUAL_TRAVEL;

/// A request is admitted on the first answer only within this time after asking. On a later answer the isolate asks again.
pub const FIRST_ANSWER: Span = Span::from_ms(500);

/// The same for the second answer. Together with [`MAX_DELAY`] and [`TRAVEL`] it is still shorter than a usual bound on
/// staleness.
pub const SECOND_ANSWER: Span = Span::from_ms(3_500);

/// The same for a relay's first answer, since the relay may have to ask the coordinator; and for how long a request waits
/// for a call that another one has made.
pub const RELAY_ANSWER: Span = Span::from_ms(1_500);

/// Longest wait for the answer to a call that no request waits for.
pub const BACKGROUND_ANSWER: Span = Span::from_secs(5);

/// Longest wait for the answer to a call that asks for the next lease. If it is lost, there is time for another one.
pub const RENEWAL_ANSWER: Span = Span::from_secs(2);

/// Fewest requests that are worth a short lease, which costs one call to get and often one to give back.
pub const MIN_LEASE_REQUESTS: u32 = 5;

/// Leases of a key that is near its limit are this short, so that what is not used of them is soon free again; and so are
/// relays' subleases. Isolates predict their demand over this time.
pub const SHORT_LEASE: Span = Span::from_ms(4_750);

/// Leases of more than a few requests are no longer. A background task of the request that brought one reports its end, and
/// the platform ends those 30 s after the answer.
pub const MAX_LEASE_LENGTH: Span = Span::from_secs(25);

/// Small leases of a key that is far below its limit last as long as this. What nobody has reported of them by then counts as
/// used.
pub const LONG_LEASE: Span = Span::from_mins(3);

/// A request that fits within this time is delayed, not refused: the request that had the slot before may have been on its
/// way for that long. So a slot is free again exactly one window after it was given out.
pub const MAX_DELAY: Span = FIRST_ANSWER.plus(TRAVEL);

/// A request counts as in flight for this time, unless its isolate says that it has ended, or …
pub const IN_FLIGHT: Span = Span::from_secs(60);
/// … that it goes on, which it says this often: two messages may be lost.
pub const GOES_ON: Span = Span::from_secs(18);

/// The time from `then` to `now`, as it is sent: builds that read it into 32 bits take no more than 49 days, and `then` may
/// be later where the clock was set back.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> Span {
    Span::from_ms((now - then).timer_ms().into())
}

/// Leases shorter than this are not asked for at a relay: its own confirmation may be half of that old.
pub const SHORTEST_OF_RELAY: Span = Span::from_secs(3);
