//! The log: `console`, a JSON object a line.

use worker::{console_error, console_log};

use keyward_core::{
    log::{Event, Level},
    unavailable::{CallFailed, Unavailable},
};

/// Writes a line.
pub fn log(event: &Event<'_>) {
    match event.level() {
        Level::Info => console_log!("{}", event.line()),
        Level::Error => console_error!("{}", event.line()),
    }
}

/// Logs that a store failed, of which the caller learns no more.
pub fn log_failure<T>(store: &str, answer: Result<T, CallFailed>) -> Result<T, Unavailable> {
    answer.map_err(|error| {
        log(&Event::StoreUnavailable { request_id: None, store, error: &error.to_string() });
        Unavailable
    })
}
