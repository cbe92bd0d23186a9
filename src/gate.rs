//! The gate ([`keyward_gate`]) with what this isolate has for it.

use std::future::ready;

use worker::{Context, Env};

use super::{background, isolate, policy, settings, stores::EdgeStores};
use keyward_gate::{Gate, Open, denial::Denial, handle::Background};

/// The gate, for one request.
pub fn of<'a>(stores: &'a EdgeStores<'a>) -> Gate<'a, EdgeStores<'a>> {
    Gate {
        policy: policy::get(),
        platform: stores,
        memory: isolate::memory(),
        issuers: isolate::issuers(),
        secrets: settings::secrets(stores.env).map_err(Denial::from),
        watchers: settings::watchers(stores.env),
    }
}

/// A request that is open does not go to the origin after all: it has ended, and used nothing.
pub fn never_sent(open: Option<Open>, env: &Env, context: &Context) {
    if let Some(open) = open {
        let env = env.clone();
        background::keep_request(context, async move {
            let used = ready(Some("0".to_owned()));
            of(&EdgeStores::of(&env)).follow(&open, used, ready(())).await;
        });
    }
}

/// Does what is to be done behind an answer, which does not wait for it.
pub fn run_behind(behind: Background, env: &Env, context: &Context) {
    if !behind.is_empty() {
        let env = env.clone();
        background::keep_request(context, async move { of(&EdgeStores::of(&env)).run(behind).await });
    }
}
