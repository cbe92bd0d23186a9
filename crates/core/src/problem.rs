//! Problem details (RFC 9457): the shape of every error that Keyward itself sends.

use serde_json::{Value, json};

/// Media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One problem. `type` is a URN, since it names the problem and is not meant to be fetched;
/// `docs/errors.md` has a section for each. `error` says it once more where the client libraries of many
/// APIs look for it: without it some take a refusal for data, and others find nothing to show.
pub fn problem(status: u16, type_code: &str, code: &str, detail: &str, request_id: &str) -> Value {
    json!({
        "type": format!("urn:keyward:error:{}", type_code.to_ascii_lowercase()),
        "title": title(status),
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
        "error": { "message": detail, "code": code, "type": error_type(status) },
    })
}

/// The names that client libraries know, by status.
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The reason phrase of a status (RFC 9110, section 15).
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        // RFC 4918, 11.5
        507 => "Insufficient Storage",
        _ => "Internal Server Error",
    }
}
