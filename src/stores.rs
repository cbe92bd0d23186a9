//! KV, the objects, limiters and the network, each asked for a bounded time only.

use std::{cell::Cell, time::Duration};

use js_sys::{Promise, Reflect, Uint8Array, futures::JsFuture};
use keyward_policy::{
    Jurisdiction,
    jwk::{MOST_SET_BYTES, Signed, UnfitKey},
};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env};

use super::{bindings, clock, handlers, isolate, log, policy, settings};
use keyward_changes as changes;
use keyward_core::{
    changes::{News, ReadChanges},
    data_point::DataPoint,
    link::{Redeem, Redeemed},
    log::Event,
    registry_call::{GetHealth, RegistryCall, RegistryHealth},
    secret::{Secret, Seed},
    time::{Span, Timestamp},
    unavailable::CallFailed,
};
use keyward_gate::platform::{Platform, Waits};
use keyward_limits::{lease::Grantor, relay, wire::CoordinatorCall};
use keyward_registry::{
    backup::search::{KvNames, NAMES_AT_ONCE},
    events::{message::Message, sending::PATIENCE},
    password::PasswordJob,
};

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn read(env: &JsValue, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = list)]
    fn list_names(
        env: &JsValue,
        prefix: &str,
        cursor: &str,
        limit: u32,
        milliseconds: u32,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = write)]
    fn write_text(env: &JsValue, key: &str, text: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn ask(
        env: &JsValue,
        jurisdiction: Option<&str>,
        binding: &str,
        name: &str,
        path: &str,
        body: &str,
        milliseconds: u32,
        repeatable: bool,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn load(
        url: &str,
        most: u32,
        milliseconds: u32,
        form: Option<&str>,
        authorization: Option<&str>,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn post(url: &str, fields: &str, body: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn verify(jwk: &str, algorithm: &str, text: Vec<u8>, signature: Vec<u8>) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = publicKey)]
    fn public_key(seed: Vec<u8>) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn sign(seed: Vec<u8>, text: Vec<u8>) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = derive)]
    fn derive_bits(password: Vec<u8>, salt: Vec<u8>, iterations: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn exceeds(env: &JsValue, limiter: &str, key: &str, milliseconds: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = count)]
    fn write_point(env: &JsValue, binding: &str, point: &str) -> Result<(), JsValue>;
}

/// The bindings of one request.
pub struct EdgeStores<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
    /// Which of a key's relays this isolate asks.
    relay: u32,
    /// How long this request has waited.
    waits: Cell<Waits>,
}

impl<'a> EdgeStores<'a> {
    /// Those of this request.
    pub fn of(env: &'a Env) -> Self {
        let client_id = isolate::memory().borrow().client_id;
        Self { env, relay: relay::number(client_id), waits: Cell::default() }
    }

    /// Notes how long something is waited for.
    async fn timed<T>(&self, of: fn(&mut Waits) -> &mut Span, work: impl Future<Output = T>) -> T {
        let began = clock::now();
        let value = work.await;
        let mut waits = self.waits.get();
        let sum = of(&mut waits);
        *sum += (clock::now() - began).max(Span::ZERO);
        self.waits.set(waits);
        value
    }
}

impl Platform for EdgeStores<'_> {
    async fn read(&self, kv_key: &str, within: Span) -> Result<Option<String>, CallFailed> {
        self.timed(|waits| &mut waits.store, read_kv(self.env, kv_key, within)).await
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within: Span,
    ) -> Result<T, CallFailed> {
        let answer = async {
            match grantor {
                Grantor::Coordinator => ask_coordinator(self.env, hash, call, within).await,
                Grantor::Relay => {
                    let name = format!("{hash}/{}", self.relay);
                    let relay = Object { binding: bindings::RELAY, name: &name, path: &format!("/{name}") };
                    answer_of(self.env, relay, call, within, call.is_repeatable()).await
                }
            }
        };
        self.timed(|waits| &mut waits.object, answer).await
    }

    async fn changes(&self, relay: u32, call: &ReadChanges, within: Span) -> Result<News, CallFailed> {
        let name = format!("{}/{relay}", changes::relay::NAME);
        let relay = Object { binding: bindings::RELAY, name: &name, path: &format!("/{name}") };
        self.timed(|waits| &mut waits.object, answer_of(self.env, relay, call, within, true)).await
    }

    async fn exceeds(&self, limiter: &str, key: &str, within: Span) -> Result<bool, CallFailed> {
        let exceeds = settled(exceeds(self.env, limiter, key, within.timer_ms()));
        self.timed(|waits| &mut waits.limiter, exceeds).await.map(|exceeds| exceeds.is_truthy())
    }

    async fn redeem(&self, call: &Redeem, within: Span) -> Result<Redeemed, CallFailed> {
        self.timed(|waits| &mut waits.object, ask_registry(self.env, call, within)).await
    }

    async fn registry_health(&self, within: Span) -> Result<RegistryHealth, CallFailed> {
        ask_registry(self.env, &GetHealth {}, within).await
    }

    async fn fetch(&self, url: &str, within: Span) -> Result<String, CallFailed> {
        let text = loaded(load(url, MOST_SET_BYTES as u32, within.timer_ms(), None, None));
        self.timed(|waits| &mut waits.issuer, text).await
    }

    async fn send_form(
        &self,
        url: &str,
        form: &str,
        authorization: Option<&Secret>,
        within: Span,
    ) -> Result<String, CallFailed> {
        let authorization = authorization.map(Secret::expose);
        let text = loaded(load(url, MOST_SET_BYTES as u32, within.timer_ms(), Some(form), authorization));
        self.timed(|waits| &mut waits.issuer, text).await
    }

    async fn wait(&self, span: Span) {
        Delay::from(Duration::from_millis(span.timer_ms().into())).await;
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn public_key(&self, seed: &Seed) -> Result<String, CallFailed> {
        let x = settled(public_key(seed.expose().to_vec())).await?;
        x.as_string().ok_or_else(|| CallFailed::because("no text"))
    }

    async fn sign(&self, seed: &Seed, text: &[u8]) -> Result<[u8; 64], CallFailed> {
        bytes_of(sign(seed.expose().to_vec(), text.to_vec())).await
    }

    async fn verify(&self, signed: Signed<'_>) -> Result<bool, UnfitKey> {
        verify_signed(signed).await
    }

    fn random(&self) -> [u8; 16] {
        isolate::pooled()
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        settings::text(self.env, name).map(Secret::new)
    }

    fn has_binding(&self, name: &str) -> bool {
        bindings::has(self.env, name)
    }

    fn has_limiter(&self, name: &str) -> bool {
        let limit =
            Reflect::get(self.env, &name.into()).and_then(|binding| Reflect::get(&binding, &"limit".into()));
        limit.is_ok_and(|limit| limit.is_function())
    }

    fn has_handler(&self, name: &str) -> bool {
        handlers::named(name).is_some()
    }

    fn log(&self, event: &Event<'_>) {
        log::log(event);
    }

    fn count(&self, point: &DataPoint<'_>) {
        let written = serde_json::to_string(point).map_err(|error| error.to_string()).and_then(|text| {
            write_point(self.env, bindings::ANALYTICS, &text).map_err(|error| text_of(&error))
        });
        if let Err(error) = written {
            log::log(&Event::StoreUnavailable {
                request_id: None,
                store: bindings::ANALYTICS,
                error: &error,
            });
        }
    }

    fn waits(&self) -> Waits {
        self.waits.get()
    }
}

/// Whether a signature is right.
///
/// # Errors
/// If the key is none.
pub async fn verify_signed(signed: Signed<'_>) -> Result<bool, UnfitKey> {
    let Signed { key, algorithm, text, signature } = signed;
    let answer = verify(&key.to_jwk(), algorithm.name(), text.to_vec(), signature.to_vec());
    match settled(answer).await {
        Ok(right) => Ok(right.is_truthy()),
        Err(error) => Err(UnfitKey::refused(key, &error.to_string())),
    }
}

async fn loaded(promise: Result<Promise, JsValue>) -> Result<String, CallFailed> {
    settled(promise).await?.as_string().ok_or_else(|| CallFailed::because("no text"))
}

/// The value of a promise of the glue's, which never keeps waiting; else why not.
async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, CallFailed> {
    let settled = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    settled.map_err(|error| {
        // Of an `UnexpectedStatus`.
        let status = Reflect::get(&error, &"unexpectedStatus".into()).ok().and_then(|status| status.as_f64());
        status.map_or_else(|| CallFailed::Other(text_of(&error)), |status| CallFailed::Status(status as u16))
    })
}

/// What a thrown value says.
fn text_of(error: &JsValue) -> String {
    let why = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    why.unwrap_or_else(|| format!("{error:?}"))
}

/// An object, and what is asked of it.
#[derive(Clone, Copy)]
struct Object<'a> {
    binding: &'a str,
    name: &'a str,
    path: &'a str,
}

/// Asks a key's coordinator, for a bounded time.
pub async fn ask_coordinator<T: DeserializeOwned>(
    env: &Env,
    hash: &str,
    call: &CoordinatorCall,
    within: Span,
) -> Result<T, CallFailed> {
    let object = Object { binding: bindings::KEY_GATE, name: hash, path: &format!("/{hash}") };
    answer_of(env, object, call, within, call.is_repeatable()).await
}

/// Asks the Registry, for a bounded time.
pub async fn ask_registry<C: RegistryCall>(
    env: &Env,
    call: &C,
    within: Span,
) -> Result<C::Answer, CallFailed> {
    let object = Object { binding: bindings::REGISTRY, name: bindings::REGISTRY_NAME, path: C::PATH };
    answer_of(env, object, call, within, call.is_repeatable()).await
}

/// The answer of an object, in a form that this build reads. A call that is repeatable may be made twice.
async fn answer_of<T: DeserializeOwned>(
    env: &Env,
    Object { binding, name, path }: Object<'_>,
    call: &impl Serialize,
    within: Span,
    repeatable: bool,
) -> Result<T, CallFailed> {
    let policy = policy::get().ok_or_else(|| CallFailed::because("there is no policy"))?;
    let jurisdiction = policy.jurisdiction.map(Jurisdiction::name);
    let call = serde_json::to_string(call).map_err(CallFailed::because)?;
    let text =
        settled(ask(env, jurisdiction, binding, name, path, &call, within.timer_ms(), repeatable)).await?;
    keyward_json::from_str(&text.as_string().unwrap_or_default()).map_err(CallFailed::because)
}

/// The text under a key of KV, for a bounded time.
pub async fn read_kv(env: &Env, kv_key: &str, within: Span) -> Result<Option<String>, CallFailed> {
    settled(read(env, kv_key, within.timer_ms())).await.map(|text| text.as_string())
}

/// Some names of KV that begin so: those after this cursor, which is empty at first.
pub async fn names(env: &Env, prefix: &str, cursor: &str, within: Span) -> Result<KvNames, CallFailed> {
    let names = settled(list_names(env, prefix, cursor, NAMES_AT_ONCE, within.timer_ms())).await?;
    keyward_json::from_str(&names.as_string().unwrap_or_default()).map_err(CallFailed::because)
}

/// Writes a text to KV, for as long as that takes.
pub async fn write(env: &Env, kv_key: &str, text: &str) -> Result<(), CallFailed> {
    settled(write_text(env, kv_key, text)).await.map(drop)
}

/// Posts a message; the status of its answer.
pub async fn send(message: &Message<'_>) -> Result<u16, CallFailed> {
    let fields = serde_json::to_string(&message.fields).map_err(CallFailed::because)?;
    let status = settled(post(message.url, &fields, &message.body, PATIENCE.timer_ms())).await?;
    Ok(status.as_f64().unwrap_or_default() as u16)
}

/// What a password becomes: PBKDF2-HMAC-SHA-256 by the platform (Web Cryptography API, 28).
pub async fn derive(job: &PasswordJob) -> Result<[u8; 32], CallFailed> {
    bytes_of(derive_bits(job.password.expose().into(), job.salt.into(), job.iterations)).await
}

/// The bytes that a promise is for.
async fn bytes_of<const LENGTH: usize>(
    promise: Result<Promise, JsValue>,
) -> Result<[u8; LENGTH], CallFailed> {
    let bytes = Uint8Array::new(&settled(promise).await?);
    bytes.to_vec().try_into().map_err(|_| CallFailed::because("another length"))
}
