//! The wasm instance: what the entry module (`src/entry.js`) calls before anything else, and hears when it ends.

use wasm_bindgen::{JsValue, handler, prelude::wasm_bindgen};
use worker::{Context, Env, web_sys, worker_sys::Context as JsContext};

use super::{gate, policy, request::WebRequest, response, stores::EdgeStores};

#[wasm_bindgen(raw_module = "keyward-instance")]
extern "C" {
    #[wasm_bindgen(js_name = noteEnd)]
    fn note_end();
}

/// Begins an instance with the policy's document. Tells which headers a request's head has, a name a line.
#[wasm_bindgen]
pub fn start(document: &str) -> String {
    // In place of the crate `worker`'s handler, after which the next call, whichever it is, would find itself in a fresh
    // instance without a policy, or with a pointer of the one before.
    handler::set_on_abort(note_end);
    policy::set(document);
    policy::usual_headers().join("\n")
}

/// The answer to a request whose instance ended before it was answered. It is made by the next instance.
///
/// # Errors
/// Where the runtime takes no such answer.
#[wasm_bindgen]
pub fn interrupted(
    request: web_sys::Request,
    env: Env,
    context: JsContext,
) -> Result<web_sys::Response, JsValue> {
    let context = Context::new(context);
    let request = WebRequest::unread(request, &context);
    let answer = gate::of(&EdgeStores::of(&env)).refuse_interrupted(&request);
    Ok(response::respond_to(&request.raw, &answer)?)
}
