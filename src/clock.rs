//! The isolate's clock.

use worker::js_sys::Date;

use keyward_core::time::Timestamp;

/// The time. On Workers it moves only while something is waited for.
#[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^53")]
pub fn now() -> Timestamp {
    Timestamp(Date::now() as i64)
}
