//! KV, the KeyGates and the limiter of failing addresses, each asked for a bounded time only.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use worker::{Delay, Env, Method, Request, RequestInit, console_error, js_sys::Date};

use crate::{
    pipeline::{Stores, Unavailable},
    time::Timestamp,
    wire::KeyGateCall,
};

/// A store that takes longer than this has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The bindings of one request.
pub struct EdgeStores<'a> {
    /// The Worker's bindings.
    pub env: &'a Env,
}

impl Stores for EdgeStores<'_> {
    async fn read(&self, kv_key: &str) -> Result<Option<String>, Unavailable> {
        let answer = async {
            let kv = self.env.kv("KEYS").map_err(|error| error.to_string())?;
            kv.get(kv_key).text().await.map_err(|error| error.to_string())
        };
        log_failure("KEYS", in_time(answer).await)
    }

    async fn key_gate<T: DeserializeOwned>(&self, hash: &str, call: &KeyGateCall) -> Result<T, Unavailable> {
        log_failure("KEY_GATE", in_time(ask_key_gate(self.env, hash, call)).await)
    }

    async fn fails_too_often(&self, address: &str) -> bool {
        let outcome = match self.env.rate_limiter("FAILURES") {
            Ok(limiter) => limiter.limit(address.to_owned()).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(outcome) => !outcome.success,
            Err(error) => {
                // It guards KV against guessing and decides about no key: without it keys still work.
                let _ = log_failure::<()>("FAILURES", Err(error.to_string()));
                false
            }
        }
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

/// Asks a KeyGate.
pub async fn ask_key_gate<T: DeserializeOwned>(
    env: &Env,
    hash: &str,
    call: &KeyGateCall,
) -> Result<T, String> {
    let gates = env.durable_object("KEY_GATE").map_err(|error| error.to_string())?;
    let stub = gates.get_by_name(hash).map_err(|error| error.to_string())?;
    let text =
        post(&stub, "https://key-gate/", &serde_json::to_string(call).map_err(|error| error.to_string())?)
            .await?;
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

fn log_failure<T>(store: &str, answer: Result<T, String>) -> Result<T, Unavailable> {
    answer.map_err(|error| {
        console_error!(
            "{}",
            serde_json::json!({ "event": "store unavailable", "store": store, "error": error })
        );
        Unavailable
    })
}
