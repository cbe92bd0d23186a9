//! The relay's object around [`keyward_limits::relay`]. It stores nothing.

use std::{cell::OnceCell, rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, durable_object,
    wasm_bindgen_futures::spawn_local,
};

use super::{bindings, clock, settings::OsEntropy, stores};
use keyward_core::{entropy, time::Timestamp, unavailable::Unavailable};
use keyward_limits::{
    relay::{RelayServer, Upstream},
    timing::RELAY_ANSWER_MS,
    wire::{Acquire, Acquired, CoordinatorCall, ReportAck},
};

/// One of the relays of a key.
#[durable_object]
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
        let tells = Rc::clone(&server);
        match serde_json::from_str(&request.text().await?)? {
            CoordinatorCall::Acquire(take) => {
                let taken = server.acquire(&take).await;
                self.state.wait_until(async move { tells.tell().await });
                self.state.wait_until(async move { server.maintain().await });
                Response::from_json(&taken)
            }
            CoordinatorCall::Report { refused, leases, tally } => {
                server.note(&refused, &leases, tally.as_ref());
                self.state.wait_until(async move { tells.tell().await });
                Response::ok("{}")
            }
            CoordinatorCall::Put { .. } | CoordinatorCall::Get => Response::error("no such call", 404),
        }
    }
}

impl Upstream for Uplink {
    async fn ask(&self, take: &Acquire) -> std::result::Result<Acquired, Unavailable> {
        let call = CoordinatorCall::Acquire(take.clone());
        let answer = stores::ask_key_gate(&self.env, &self.hash, &call, RELAY_ANSWER_MS).await;
        stores::log_failure(bindings::KEY_GATE, answer)
    }

    async fn tell(&self, report: &CoordinatorCall) -> std::result::Result<(), Unavailable> {
        let heard =
            stores::ask_key_gate::<ReportAck>(&self.env, &self.hash, report, stores::BACKGROUND_MS).await;
        stores::log_failure(bindings::KEY_GATE, heard.map(drop))
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn wait(&self, milliseconds: u32) {
        Delay::from(Duration::from_millis(milliseconds.into())).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        spawn_local(work);
    }
}
