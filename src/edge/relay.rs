//! The relay's object around [`crate::relay`]. It stores nothing.

use std::{cell::OnceCell, rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, durable_object,
    wasm_bindgen_futures::spawn_local,
};

use super::{bindings, clock, settings::OsEntropy, stores};
use crate::{
    entropy,
    relay::{Desk, Upstream},
    time::Timestamp,
    timing::CROWDED,
    unavailable::Unavailable,
    wire::{KeyGateCall, Noted, Take, Taken},
};

/// One of the relays of a key.
#[durable_object]
pub struct Relay {
    state: State,
    env: Env,
    desk: OnceCell<Rc<Desk<Uplink>>>,
}

/// The way to the key's object.
struct Uplink {
    env: Env,
    hash: String,
}

impl DurableObject for Relay {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, desk: OnceCell::new() }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let hash = request.path().split('/').nth(1).unwrap_or_default().to_owned();
        let desk = Rc::clone(self.desk.get_or_init(|| {
            let random = u64::from_be_bytes(entropy::bytes(&mut OsEntropy));
            Rc::new(Desk::new(Uplink { env: self.env.clone(), hash }, random))
        }));
        let tells = Rc::clone(&desk);
        match serde_json::from_str(&request.text().await?)? {
            KeyGateCall::Take(take) => {
                let taken = desk.take(&take).await;
                self.state.wait_until(async move { tells.tell().await });
                self.state.wait_until(async move { desk.tend().await });
                Response::from_json(&taken)
            }
            KeyGateCall::Report { refused, leases, tally } => {
                desk.note(&refused, &leases, tally.as_ref());
                self.state.wait_until(async move { tells.tell().await });
                Response::ok("{}")
            }
            KeyGateCall::Tell { .. } | KeyGateCall::Find => Response::error("no such call", 404),
        }
    }
}

impl Upstream for Uplink {
    async fn ask(&self, take: &Take) -> std::result::Result<Taken, Unavailable> {
        let call = KeyGateCall::Take(take.clone());
        let answer = stores::ask_key_gate(&self.env, &self.hash, &call, CROWDED).await;
        stores::log_failure(bindings::KEY_GATE, answer)
    }

    async fn tell(&self, report: &KeyGateCall) -> std::result::Result<(), Unavailable> {
        let heard = stores::ask_key_gate::<Noted>(&self.env, &self.hash, report, stores::BACKGROUND_MS).await;
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
