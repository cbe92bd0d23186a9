//! What the tests share: a coordinator, one request, and the exact log of what is promised.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Limits, Record},
    time::{Span, Timestamp},
};
use keyward_limits::{
    coordinator::Coordinator,
    timing::{FIRST_ANSWER, TRAVEL},
    wire::{Acquire, Acquired},
};
use keyward_testing::record;

pub fn coordinator(per_minute: Option<u32>, per_day: Option<u32>) -> Coordinator {
    limited(Limits { per_minute, per_day, ..Limits::default() })
}

pub fn limited(limits: Limits) -> Coordinator {
    let mut coordinator = Coordinator::default();
    coordinator.put(Record { limits, ..record() });
    coordinator
}

/// In milliseconds, as all integers of these tests.
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// The longest from asking to the origin.
pub const ON_THE_WAY: i64 = FIRST_ANSWER.plus(TRAVEL).ms();

pub const fn ms(milliseconds: i64) -> Span {
    Span::from_ms(milliseconds)
}

/// An immediate request, decided on this version.
pub fn one(version: u64) -> Acquire {
    Acquire { version, immediate: true, within: FIRST_ANSWER, ..Acquire::default() }
}

pub fn acquire(coordinator: &mut Coordinator, now: Timestamp) -> Acquired {
    coordinator.acquire(&one(1), now)
}

pub fn passes(coordinator: &mut Coordinator, now: Timestamp) -> bool {
    matches!(acquire(coordinator, now), Acquired::Granted { .. })
}

/// What is promised, counted moment by moment.
pub fn within(log: &[i64], after: i64, until: i64) -> usize {
    log.iter().filter(|at| **at > after && **at <= until).count()
}

/// The most in any span of a minute.
pub fn most_in_a_minute(log: &mut [i64]) -> usize {
    log.sort_unstable();
    log.iter().map(|last| within(log, last - MINUTE, *last)).max().unwrap_or(0)
}
