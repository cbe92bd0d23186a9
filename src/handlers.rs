//! Origins in the same Worker, which its entry module was given (`src/handlers.js`).

use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(raw_module = "keyward-handlers")]
extern "C" {
    /// The origin of this name, if there is one.
    #[wasm_bindgen(js_name = handlerNamed)]
    pub fn named(name: &str) -> Option<Function>;
}
