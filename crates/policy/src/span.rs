//! Spans of time.

use std::{
    fmt,
    ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign},
};

use serde::{Deserialize, Serialize};

/// A span of time, in whole milliseconds. It is negative where a clock was set back between two moments; JSON holds the
/// milliseconds as a number, never a negative one. Arithmetic stops at the greatest and least span instead of wrapping.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(#[serde(deserialize_with = "not_negative")] i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The greatest span, some 292 million years.
    pub const MAX: Self = Self(i64::MAX);

    /// A number of milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// A number of seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// A number of minutes.
    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins.saturating_mul(60))
    }

    /// A number of hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_mins(hours.saturating_mul(60))
    }

    /// A number of days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days.saturating_mul(24))
    }

    /// In milliseconds.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// In milliseconds as timers take them: 0 for a negative span, at most [`u32::MAX`] (49 days).
    pub const fn timer_ms(self) -> u32 {
        if self.0 <= 0 {
            0
        } else if self.0 > u32::MAX as i64 {
            u32::MAX
        } else {
            self.0 as u32
        }
    }

    /// In seconds, rounded down.
    pub const fn whole_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// In seconds, rounded up: waiting them is enough. 0 for a negative span.
    pub const fn secs_to_wait(self) -> u64 {
        if self.0 <= 0 { 0 } else { (self.0 as u64).div_ceil(1_000) }
    }

    /// This and another span, where `+` cannot be used: in constants.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This without another span, but never negative.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        (self - other).max(Self::ZERO)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Span {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Span {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Mul<i64> for Span {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// So that it reads as in text: `5 * MINUTE`.
impl Mul<Span> for i64 {
    type Output = Span;

    fn mul(self, span: Span) -> Span {
        span * self
    }
}

/// How many whole parts of another span are in this one, rounded towards zero. Of no length there are none.
impl Div for Span {
    type Output = i64;

    fn div(self, part: Self) -> i64 {
        self.0.checked_div(part.0).unwrap_or_default()
    }
}

/// Into equal parts, rounded towards zero. Into none, it stays whole.
impl Div<i64> for Span {
    type Output = Self;

    fn div(self, parts: i64) -> Self {
        Self(self.0.checked_div(parts).unwrap_or(self.0))
    }
}

fn not_negative<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let ms = u64::deserialize(deserializer)?;
    i64::try_from(ms).map_err(|_| serde::de::Error::custom("a span of more milliseconds than there are"))
}
