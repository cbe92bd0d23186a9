//! KV, the objects, the limiter of failing networks and the network, each asked for a bounded time only.

use std::time::Duration;

use js_sys::{Promise, futures::JsFuture};
use keyward_policy::jwk::MOST_SET_BYTES;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env, console_error};

use super::{bindings, clock, isolate, settings};
use keyward_core::{
    link::{Redeem, Redeemed},
    secret::Secret,
    time::Timestamp,
    unavailable::Unavailable,
};
use keyward_gate::stores::Stores;
use keyward_limits::{lease::Grantor, relay::RELAYS, wire::CoordinatorCall};

/// Longest wait, in milliseconds, for what no request waits for.
pub const BACKGROUND_MS: u32 = 5_000;

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn read(env: &JsValue, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn ask(
        env: &JsValue,
        binding: &str,
        name: &str,
        path: &str,
        body: &str,
        milliseconds: u32,
        repeatable: bool,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn load(url: &str, most: u32, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn exceeds(env: &JsValue, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
}

/// The bindings of one request.
pub struct EdgeStores<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
    /// Which of a key's relays this isolate asks.
    relay: u32,
}

impl<'a> EdgeStores<'a> {
    /// Those of this request.
    pub fn of(env: &'a Env) -> Self {
        Self { env, relay: isolate::memory().borrow().client_id % RELAYS }
    }
}

impl Stores for EdgeStores<'_> {
    async fn read(&self, kv_key: &str, within_ms: u32) -> Result<Option<String>, Unavailable> {
        let text = settled(read(self.env, kv_key, within_ms)).await;
        log_failure(bindings::KEYS, text.map(|text| text.as_string()))
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within_ms: u32,
    ) -> Result<T, Unavailable> {
        match grantor {
            Grantor::Coordinator => {
                log_failure(bindings::KEY_GATE, ask_key_gate(self.env, hash, call, within_ms).await)
            }
            Grantor::Relay => {
                let name = format!("{hash}/{}", self.relay);
                let relay = Object { binding: bindings::RELAY, name: &name, path: &format!("/{name}") };
                log_failure(
                    bindings::RELAY,
                    ask_object(self.env, relay, call, within_ms, call.is_repeatable()).await,
                )
            }
        }
    }

    async fn fails_too_often(&self, network: &str, within_ms: u32) -> Result<bool, Unavailable> {
        let exceeds = settled(exceeds(self.env, network, within_ms)).await;
        log_failure(bindings::FAILURES, exceeds.map(|exceeds| exceeds.is_truthy()))
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn wait(&self, milliseconds: u32) {
        Delay::from(Duration::from_millis(milliseconds.into())).await;
    }

    async fn redeem(&self, call: &Redeem, within_ms: u32) -> Result<Redeemed, Unavailable> {
        // A link that was used up by a call whose answer was lost would seem to have been used by somebody else.
        log_failure(bindings::REGISTRY, ask_registry(self.env, "/redeem", call, within_ms, false).await)
    }

    async fn fetch(&self, url: &str, within_ms: u32) -> Result<String, String> {
        let text = settled(load(url, MOST_SET_BYTES as u32, within_ms)).await;
        text.and_then(|text| text.as_string().ok_or_else(|| "no text".to_owned()))
    }

    fn note(&self, what: &str, reason: &str) {
        note(what, reason);
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        settings::text(self.env, name).map(Secret::new)
    }
}

/// The value of a promise of the glue's, which never keeps waiting; else what was thrown, as text.
async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, String> {
    let settled = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    settled.map_err(|error| {
        error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| error.message().into())
    })
}

/// An object, and what is asked of it.
#[derive(Clone, Copy)]
struct Object<'a> {
    binding: &'a str,
    name: &'a str,
    path: &'a str,
}

/// Asks a KeyGate, for a bounded time.
pub async fn ask_key_gate<T: DeserializeOwned>(
    env: &Env,
    hash: &str,
    call: &CoordinatorCall,
    within_ms: u32,
) -> Result<T, String> {
    let object = Object { binding: bindings::KEY_GATE, name: hash, path: &format!("/{hash}") };
    ask_object(env, object, call, within_ms, call.is_repeatable()).await
}

/// Asks the Registry, for a bounded time.
pub async fn ask_registry<T: DeserializeOwned>(
    env: &Env,
    path: &str,
    call: &impl Serialize,
    within_ms: u32,
    repeatable: bool,
) -> Result<T, String> {
    let object = Object { binding: bindings::REGISTRY, name: bindings::REGISTRY_NAME, path };
    ask_object(env, object, call, within_ms, repeatable).await
}

/// The answer of an object, in a form that this build reads. A call that is repeatable may be made twice.
async fn ask_object<T: DeserializeOwned>(
    env: &Env,
    Object { binding, name, path }: Object<'_>,
    call: &impl Serialize,
    within_ms: u32,
    repeatable: bool,
) -> Result<T, String> {
    let call = serde_json::to_string(call).map_err(|error| error.to_string())?;
    let text = settled(ask(env, binding, name, path, &call, within_ms, repeatable)).await?;
    serde_json::from_str(&text.as_string().unwrap_or_default()).map_err(|error| error.to_string())
}

/// Notes that a store failed.
pub fn log_failure<T>(store: &str, answer: Result<T, String>) -> Result<T, Unavailable> {
    answer.map_err(|error| {
        note(store, &error);
        Unavailable
    })
}

fn note(store: &str, error: &str) {
    console_error!("{}", serde_json::json!({ "event": "store unavailable", "store": store, "error": error }));
}
