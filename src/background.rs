//! Work that goes on behind an answer, or when a client hangs up.

use std::panic::AssertUnwindSafe;

use js_sys::{Promise, futures::future_to_promise};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Context, State};

#[wasm_bindgen(raw_module = "keyward-instance")]
extern "C" {
    #[wasm_bindgen(js_name = waitUntil)]
    fn wait_until(whom: &JsValue, work: Promise);
}

/// Keeps a request alive for this work, but no longer than the instance lives.
pub fn keep_request(context: &Context, work: impl Future<Output = ()> + 'static) {
    wait_until(context.as_ref(), promise(work));
}

/// Keeps an object alive for this work, but no longer than the instance lives.
pub fn keep_object(state: &State, work: impl Future<Output = ()> + 'static) {
    wait_until(state.as_raw(), promise(work));
}

fn promise(work: impl Future<Output = ()> + 'static) -> Promise {
    future_to_promise(AssertUnwindSafe(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    }))
}
