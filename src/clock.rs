//! The isolate's clock.

use std::cell::Cell;

use worker::js_sys::Date;

use keyward_core::time::Timestamp;

thread_local! {
    /// While it stands still: the time, once somebody has asked for it.
    static STANDS_AT: Cell<Option<Option<Timestamp>>> = const { Cell::new(None) };
}

/// The time. On Workers it moves only while something is waited for.
#[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^53")]
pub fn now() -> Timestamp {
    let read = || Timestamp(Date::now() as i64);
    match STANDS_AT.get() {
        None => read(),
        Some(Some(time)) => time,
        Some(None) => {
            let time = read();
            STANDS_AT.set(Some(Some(time)));
            time
        }
    }
}

/// Does what waits for nothing, so that the platform need not be asked for the time again and again.
pub fn standing_still<T>(work: impl FnOnce() -> T) -> T {
    STANDS_AT.set(Some(None));
    let result = work();
    STANDS_AT.set(None);
    result
}
