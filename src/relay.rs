//! The relays' object around [`keyward_limits::relay`] or, as its name says, [`keyward_changes::relay`]. It stores nothing.

use std::{cell::OnceCell, rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, durable_object,
    wasm_bindgen_futures::spawn_local,
};

use super::{background, bindings, clock, jurisdiction, log, settings::OsEntropy, stores};
use keyward_changes::{self as changes, timing::ANSWER_WITHIN};
use keyward_core::{
    changes::{News, ReadChanges},
    entropy,
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    relay::server::{RelayServer, Served, Upstream},
    timing::{BACKGROUND_ANSWER, RELAY_ANSWER},
    wire::{Acquire, Acquired, CoordinatorCall, ReportAck},
};

/// One of the relays of a key, or of the change log.
#[durable_object(fetch)]
pub struct Relay {
    state: State,
    env: Env,
    server: OnceCell<Rc<RelayServer<Uplink>>>,
    log: changes::relay::Relay<LogUplink>,
}

/// The way to the change log.
struct LogUplink {
    env: Env,
}

/// The way to the key's object.
struct Uplink {
    env: Env,
    hash: String,
}

impl DurableObject for Relay {
    fn new(state: State, env: Env) -> Self {
        let log = changes::relay::Relay::new(LogUplink { env: env.clone() });
        Self { state, env, server: OnceCell::new(), log }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        if let Some(refusal) = jurisdiction::refusal(&request) {
            return refusal;
        }
        let hash = request.path().split('/').nth(1).unwrap_or_default().to_owned();
        if hash == changes::relay::NAME {
            let call = keyward_json::from_str(&request.text().await?).map_err(failed)?;
            let news = self.log.read(&call).await.map_err(|Unavailable| failed("no answer"))?;
            return Response::ok(serde_json::to_string(&news).map_err(failed)?);
        }
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

impl changes::relay::Upstream for LogUplink {
    async fn read(&self, call: &ReadChanges) -> std::result::Result<News, Unavailable> {
        let answer = stores::ask_registry(&self.env, call, ANSWER_WITHIN).await;
        log::log_failure(bindings::REGISTRY, answer)
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn wait(&self, span: Span) {
        pause(span).await;
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
        pause(span).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        spawn_local(work);
    }
}

async fn pause(span: Span) {
    Delay::from(Duration::from_millis(span.timer_ms().into())).await;
}

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
