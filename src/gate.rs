//! The gate ([`keyward_gate`]) with what this isolate has for it.

use worker::{Context, Env};

use super::{background, isolate, policy, settings, stores::EdgeStores};
use keyward_gate::{Gate, denial::Denial, handle::Background};

/// The gate, for one request.
pub fn of<'a>(stores: &'a EdgeStores<'a>) -> Gate<'a, EdgeStores<'a>> {
    Gate {
        policy: policy::get(),
        platform: stores,
        memory: isolate::memory(),
        issuers: isolate::issuers(),
        secrets: settings::secrets(stores.env).map_err(Denial::from),
    }
}

/// Does what is to be done behind an answer, which does not wait for it.
pub fn run_behind(behind: Background, env: &Env, context: &Context) {
    if !behind.is_empty() {
        let env = env.clone();
        background::keep_request(context, async move { of(&EdgeStores::of(&env)).run(behind).await });
    }
}
