//! The wasm instance: what the entry module (`src/entry.js`) calls before anything else, and hears when it ends.

use wasm_bindgen::{handler, prelude::wasm_bindgen};

use super::policy;

#[wasm_bindgen(raw_module = "keyward-instance")]
extern "C" {
    #[wasm_bindgen(js_name = noteEnd)]
    fn note_end();
}

/// Begins an instance with the policy's document.
#[wasm_bindgen]
pub fn start(document: &str) {
    // In place of the crate `worker`'s handler, after which the next call, whichever it is, would find itself in a fresh
    // instance without a policy, or with a pointer of the one before.
    handler::set_on_abort(note_end);
    policy::set(document);
}
