//! Time as an argument. Nothing here reads a clock.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// One second, in milliseconds.
pub const SECOND: i64 = 1_000;
/// One minute, in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour, in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day, in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// Milliseconds as `Retry-After` says them (RFC 9110, 10.2.3): whole seconds, rounded up, so that
/// waiting them is enough, and at least 1.
pub fn retry_after(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(SECOND.unsigned_abs()).max(1)
}

impl Timestamp {
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

    /// The last whole step, of `step` milliseconds counted from 1970, that is not after this moment.
    #[must_use]
    pub fn floor(self, step: i64) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(step)))
    }

    /// This moment plus milliseconds.
    #[must_use]
    pub fn plus(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}
