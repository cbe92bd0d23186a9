//! What is looked at of a body that is passed on unread: its length.

use crate::{denial::Denial, request::RequestParts, webhook};

/// The largest length that a stream of the runtime has (`Number.MAX_SAFE_INTEGER`).
const MAX_STREAM_BYTES: u64 = (1 << 53) - 1;

/// Whether the runtime sends on the body of such a request by itself, so that the gate sees a copy only.
fn is_copied(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// The length in bytes that a request declares for its body. A `Content-Length` that is not a number counts as too large.
pub fn declared_length(request: &impl RequestParts) -> Option<u64> {
    Some(request.header("content-length")?.parse().unwrap_or(u64::MAX))
}

/// What is known of a body before any of it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It can be passed on.
    Fit,
    /// It can if there is nothing in it: the runtime would forward the request without its body.
    FitIfEmpty,
}

/// Checks the body's length before the request is counted: one that no stream of the runtime has, or one of which the
/// gate would hold too much.
///
/// # Errors
/// [`Denial::BodyTooLarge`]
pub fn check_length(request: &impl RequestParts) -> Result<Fitness, Denial> {
    if !request.has_body() {
        return Ok(Fitness::Fit);
    }
    let is_copied = is_copied(request.method());
    let Some(length) = declared_length(request) else {
        return Ok(if is_copied { Fitness::FitIfEmpty } else { Fitness::Fit });
    };
    // To see where the body of a GET ends, the gate takes a copy, of which it may have to hold all.
    let most = if is_copied { webhook::MOST_BYTES as u64 } else { MAX_STREAM_BYTES };
    if length <= most { Ok(Fitness::Fit) } else { Err(Denial::BodyTooLarge) }
}

/// How many bytes are held of the copy that is taken to see where a body ends; `None` if none is taken.
pub fn copied_bytes(request: &impl RequestParts) -> Option<usize> {
    let declared = || usize::try_from(declared_length(request).unwrap_or_default()).unwrap_or(usize::MAX);
    (is_copied(request.method()) && request.has_body()).then(declared)
}
