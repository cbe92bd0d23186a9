//! Refusals of the Model Context Protocol's HTTP transport (2025-11-25, Streamable HTTP). Its clients take an
//! error from a JSON-RPC error response only; of anything else some tell nothing but that it was one.

use serde_json::{Value, json};

use super::answer::Answer;
use keyward_core::problem;

/// JSON-RPC 2.0, section 5.1: what the client sent was wrong.
const INVALID_REQUEST: i32 = -32_600;
/// What the server has to do was not done.
const INTERNAL_ERROR: i32 = -32_603;

/// Whether a request is one of that transport: every one must list both types in `Accept`, and takes no
/// problem details.
pub fn is_asked_for(method: &str, accept: Option<&str>) -> bool {
    let lists = |wanted: &str| {
        accept
            .unwrap_or_default()
            .split(',')
            .any(|item| item.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(wanted)))
    };
    method == "POST"
        && lists("application/json")
        && lists("text/event-stream")
        && !lists(problem::CONTENT_TYPE)
}

/// The same answer with the problem as the data of a JSON-RPC error. Where a realm has a style of its own, that
/// one stays.
pub fn respond(answer: Answer) -> Answer {
    let Answer { status, mut headers, body } = answer;
    let content_type = headers
        .iter_mut()
        .find(|(name, value)| *name == "Content-Type" && value == problem::CONTENT_TYPE)
        .map(|(_, value)| value);
    let (Some(content_type), Ok(Value::Object(mut problem))) = (content_type, serde_json::from_str(&body))
    else {
        return Answer { status, headers, body };
    };
    "application/json".clone_into(content_type);
    // Said by the error itself.
    problem.remove("error");
    let code = if status < 500 { INVALID_REQUEST } else { INTERNAL_ERROR };
    let message = problem.get("detail").cloned().unwrap_or_default();
    let error = json!({ "code": code, "message": message, "data": problem });
    // Which request it was is in the body, which is not read before it is let in.
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
    Answer { status, headers, body }
}
