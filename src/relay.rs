//! The relay's object around [`keyward_limits::relay`]. It stores nothing.

use std::{cell::OnceCell, rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, durable_object,
    wasm_bindgen_futures::spawn_local,
};

use super::{background, bindings, clock, log, settings::OsEntropy, stores};
use keyward_core::{
    entropy,
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    relay::server::{RelayServer, Served, Upstream},
    timing::{BACKGROUND_ANSWER, RELAY_ANSWER},
    wire::{Acquire, Acquired, CoordinatorCall, ReportAck},
};

/// One of the relays of a key.
#[durable_object(fetch)]
pub struct Relay {
    state: State,
    env: Env,
    server: OnceCell<Rc<RelayServer<Uplink>>>,
}

/// The way to the key's object.
struct Uplink {
    env: Env,
    hash: String,
}

impl DurableObject for Relay {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, server: OnceCell::new() }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let hash = request.path().split('/').nth(1).unwrap_or_default().to_owned();
        let server = Rc::clone(self.server.get_or_init(|| {
            let random = u64::from_be_bytes(entropy::bytes(&mut OsEntropy));
            Rc::new(RelayServer::new(Uplink { env: self.env.clone(), hash }, random))
        }));
        let call = keyward_json::from_str(&request.text().await?).map_err(failed)?;
        let Some(Served { answer, afterwards }) = server.serve(call).await.map_err(failed)? else {
            return Response::error("no such call", 404);
        };
        background::keep_object(&self.state, afterwards);
        Response::ok(answer)
    }
}

impl Upstream for Uplink {
    async fn ask(&self, take: &Acquire) -> std::result::Result<Acquired, Unavailable> {
        let call = CoordinatorCall::Acquire(take.clone());
        let answer = stores::ask_coordinator(&self.env, &self.hash, &call, RELAY_ANSWER).await;
        log::log_failure(bindings::KEY_GATE, answer)
    }

    async fn report(&self, report: &CoordinatorCall) -> std::result::Result<(), Unavailable> {
        let heard =
            stores::ask_coordinator::<ReportAck>(&self.env, &self.hash, report, BACKGROUND_ANSWER).await;
        log::log_failure(bindings::KEY_GATE, heard.map(drop))
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn wait(&self, span: Span) {
        Delay::from(Duration::from_millis(span.timer_ms().into())).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        spawn_local(work);
    }
}

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
