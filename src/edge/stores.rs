//! KV, the KeyGates and the limiter of failing networks, each asked for a bounded time only.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use js_sys::{JsString, Promise, Reflect, futures::JsFuture};
use keyward_policy::jwk::MOST_SET_BYTES;
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env, Method, Request, RequestInit, console_error, js_sys::Date};

use super::{registry, settings};
use crate::{
    lease::Lessor,
    pipeline::{Stores, Unavailable},
    relay::RELAYS,
    secret::Secret,
    time::Timestamp,
    wire::{KeyGateCall, Redeem, Redeemed},
};

/// A store that takes longer than this has failed.
pub const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS as u64);
const PATIENCE_MS: u32 = 5_000;

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn read(kv: &JsValue, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn ask(namespace: &JsValue, name: &str, body: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn load(url: &str, most: u32, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn exceeds(limiter: &JsValue, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
}

/// The bindings of one request.
pub struct EdgeStores<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
}

impl Stores for EdgeStores<'_> {
    async fn read(&self, kv_key: &str) -> Result<Option<String>, Unavailable> {
        let text = settled(self.binding("KEYS").and_then(|kv| read(&kv, kv_key, PATIENCE_MS))).await;
        log_failure("KEYS", text.map(|text| text.as_string()))
    }

    async fn key_gate<T: DeserializeOwned>(
        &self,
        hash: &str,
        lessor: Lessor,
        call: &KeyGateCall,
    ) -> Result<T, Unavailable> {
        match lessor {
            Lessor::KeyGate => log_failure("KEY_GATE", ask_key_gate(self.env, hash, call).await),
            Lessor::Relay => {
                let relay = super::gate::memory().borrow().asker % RELAYS;
                log_failure("RELAY", ask_object(self.env, "RELAY", &format!("{hash}/{relay}"), call).await)
            }
        }
    }

    async fn fails_too_often(&self, network: &str) -> bool {
        let limiter = self.binding("FAILURES");
        let exceeds = settled(limiter.and_then(|limiter| exceeds(&limiter, network, PATIENCE_MS))).await;
        // It guards KV against guessing and decides about no key: without it keys still work.
        log_failure("FAILURES", exceeds).is_ok_and(|exceeds| exceeds.is_truthy())
    }

    fn now(&self) -> Timestamp {
        now()
    }

    async fn wait(&self, milliseconds: u32) {
        Delay::from(Duration::from_millis(milliseconds.into())).await;
    }

    async fn redeem(&self, call: &Redeem) -> Result<Redeemed, Unavailable> {
        log_failure("REGISTRY", ask_registry(self.env, "/redeem", call, PATIENCE).await)
    }

    async fn fetch(&self, url: &str) -> Result<String, String> {
        let text = settled(load(url, MOST_SET_BYTES as u32, PATIENCE_MS)).await;
        text.and_then(|text| text.as_string().ok_or_else(|| "no text".to_owned()))
    }

    fn note(&self, what: &str, reason: &str) {
        note(what, reason);
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        settings::text(self.env, name).map(Secret::new)
    }
}

impl EdgeStores<'_> {
    fn binding(&self, name: &str) -> Result<JsValue, JsValue> {
        binding(self.env, name)
    }
}

fn binding(env: &Env, name: &str) -> Result<JsValue, JsValue> {
    Reflect::get(env, &JsString::from(name))
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

/// Asks a KeyGate, for a bounded time.
pub async fn ask_key_gate<T: DeserializeOwned>(
    env: &Env,
    hash: &str,
    call: &KeyGateCall,
) -> Result<T, String> {
    ask_object(env, "KEY_GATE", hash, call).await
}

async fn ask_object<T: DeserializeOwned>(
    env: &Env,
    class: &str,
    name: &str,
    call: &KeyGateCall,
) -> Result<T, String> {
    let call = serde_json::to_string(call).map_err(|error| error.to_string())?;
    let answer = binding(env, class).and_then(|objects| ask(&objects, name, &call, PATIENCE_MS));
    let text = settled(answer).await?.as_string().unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Asks the Registry, for a bounded time.
pub async fn ask_registry<T: DeserializeOwned>(
    env: &Env,
    path: &str,
    call: &impl Serialize,
    patience: Duration,
) -> Result<T, String> {
    let registries = env.durable_object("REGISTRY").map_err(|error| error.to_string())?;
    let stub = registries.get_by_name(registry::NAME).map_err(|error| error.to_string())?;
    let call = serde_json::to_string(call).map_err(|error| error.to_string())?;
    let text = within(patience, post(&stub, &format!("https://registry{path}"), &call)).await?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Sends JSON text to an object and returns the text of its answer.
pub async fn post(stub: &worker::durable::Stub, url: &str, body: &str) -> Result<String, String> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(body.into()));
    let request = Request::new_with_init(url, &init).map_err(|error| error.to_string())?;
    let mut response = stub.fetch_with_request(request).await.map_err(|error| error.to_string())?;
    if response.status_code() != 200 {
        return Err(format!("answered {}", response.status_code()));
    }
    response.text().await.map_err(|error| error.to_string())
}

/// The answer, if it comes in time.
pub async fn in_time<T>(answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    within(PATIENCE, answer).await
}

/// The answer, if it comes within this time.
pub async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match select(pin!(answer), pin!(Delay::from(patience))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(format!("no answer within {patience:?}")),
    }
}

/// The time of the isolate.
#[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^53")]
pub fn now() -> Timestamp {
    Timestamp(Date::now() as i64)
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
