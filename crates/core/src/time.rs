//! Time as an argument. Nothing here reads a clock.

use std::ops::{Add, Sub};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat};
pub use keyward_policy::Span;
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// One millisecond.
pub const MILLISECOND: Span = Span::from_ms(1);
/// One second.
pub const SECOND: Span = Span::from_secs(1);
/// One minute.
pub const MINUTE: Span = Span::from_mins(1);
/// One hour.
pub const HOUR: Span = Span::from_hours(1);
/// One day of 24 hours.
pub const DAY: Span = Span::from_days(1);

/// Seconds for `Retry-After` (RFC 9110, section 10.2.3): rounded up, so that waiting them is enough, and at least 1.
pub fn retry_after(wait: Span) -> u64 {
    wait.secs_to_wait().max(1)
}

impl Timestamp {
    /// A moment that never comes.
    pub const NEVER: Self = Self(i64::MAX);

    /// RFC 3339 in UTC with milliseconds: `2026-11-22T03:00:00.000Z`.
    pub fn to_rfc3339(self) -> String {
        DateTime::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Reads RFC 3339 with any offset. `None` for anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // chrono takes U+2212 for a minus, too.
        let time = text.is_ascii().then(|| DateTime::parse_from_rfc3339(text).ok()).flatten();
        time.map(|time| Self(time.timestamp_millis()))
    }

    /// The last whole step, counted from 1970, that is not after this moment. Without a step, the moment itself.
    #[must_use]
    pub fn floor(self, step: Span) -> Self {
        Self(self.0.saturating_sub(self.0.checked_rem_euclid(step.ms()).unwrap_or_default()))
    }

    /// The first moment of the month after this one, in UTC. Of a month that has no name, it never comes.
    #[must_use]
    pub fn next_month(self) -> Self {
        let first = DateTime::from_timestamp_millis(self.0).and_then(|moment| {
            let (year, month) = (moment.year(), moment.month());
            let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            NaiveDate::from_ymd_opt(year, month, 1)
        });
        first.map_or(Self::NEVER, |day| Self(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()))
    }

    /// Whether `now` is this moment, or later by less than a span. Earlier means that the clock was set back: what began
    /// at this moment counts as over, since nobody knows when it would end.
    pub fn is_within(self, span: Span, now: Self) -> bool {
        (Span::ZERO..span).contains(&(now - self))
    }

    /// This moment and a span, where `+` cannot be used: in constants.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.ms()))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        self.plus(span)
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.ms()))
    }
}

/// The time since an earlier moment; negative if the moment is later.
impl Sub for Timestamp {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span::from_ms(self.0.saturating_sub(earlier.0))
    }
}
