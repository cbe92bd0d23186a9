//! `GET /readyz`: asks each store once in a while, and tells whether all is there.

use std::{cell::RefCell, time::Duration};

use js_sys::Reflect;
use keyward_policy::Origin;
use serde::Deserialize;
use serde_json::json;
use worker::{Delay, Env, Result, console_error, web_sys};

use super::{
    admin, http, settings,
    stores::{self, EdgeStores},
};
use crate::{
    denial::Denial,
    pipeline::Stores,
    policy::POLICY,
    ready::{self, Cache, Look, Readiness},
    refusal::{self, Answer},
    route::Target,
    wire::{Found, KeyGateCall},
};

/// A name that no key has, in KV and of an object, which keeps nothing of the question.
const NOBODY: &str = "readyz";
/// A part that takes longer than this has failed.
const PATIENCE_MS: u32 = 5_000;
/// How often a request looks whether another one has checked.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often at most: as long as stores are waited for.
const LOOKS: usize = 120;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// Answers a request for it.
pub async fn handle(
    request: &web_sys::Request,
    target: Target<'_>,
    env: &Env,
    request_id: &str,
) -> Result<web_sys::Response> {
    let mut headers =
        vec![("Content-Type", "application/json".to_owned()), ("Cache-Control", "no-store".to_owned())];
    let method = request.method();
    if !matches!(method.as_str(), "GET" | "HEAD") {
        headers.push(("Allow", "GET, HEAD".to_owned()));
        return http::respond_to(request, &Answer { status: 405, headers, body: String::new() });
    }
    for _ in 0..LOOKS {
        let look = CACHE.with_borrow_mut(|cache| cache.look(stores::now()));
        let readiness = match look {
            Look::Known(readiness) => readiness,
            Look::Check => {
                let found = check(env).await;
                if found.status() != 200 {
                    console_error!("{}", json!({ "event": "not ready", "found": found.body(true) }));
                }
                CACHE.with_borrow_mut(|cache| cache.found(found, stores::now()))
            }
            Look::Wait => {
                Delay::from(LOOK_AGAIN).await;
                continue;
            }
        };
        let details = admin::is_operator(request, target, env, request_id).await?;
        let status = readiness.status();
        if status != 200 {
            headers.push(("Retry-After", "5".to_owned()));
        }
        let body = if method == "HEAD" { String::new() } else { readiness.body(details) };
        return http::respond(&Answer { status, headers, body });
    }
    http::respond(&refusal::refuse(&Denial::StoreUnavailable { store: NOBODY }, None, request_id))
}

/// Asks all parts.
async fn check(env: &Env) -> Readiness {
    #[derive(Deserialize)]
    struct Opened {
        fault: Option<String>,
    }
    let registry = async {
        match stores::ask_registry::<Opened>(env, "/ready", &json!({}), PATIENCE_MS, true).await {
            Ok(Opened { fault }) => fault.map_or(Ok(()), Err),
            // One of the build before, which answers.
            Err(error) if error == "answered 404" => Ok(()),
            Err(error) => Err(error),
        }
    };
    let kv_stores = EdgeStores { env };
    let kv = async {
        kv_stores.read(NOBODY, PATIENCE_MS).await.map(drop).map_err(|_| "KEYS cannot be read".to_owned())
    };
    let key_gate =
        async { stores::ask_key_gate::<Found>(env, NOBODY, &KeyGateCall::Find, PATIENCE_MS).await.map(drop) };
    let (kv, key_gate, registry) = futures_util::join!(kv, key_gate, registry);
    let mut found = Readiness::default();
    found.note("secrets", ready::secrets(&POLICY, |name| settings::text(env, name)));
    found.note("kv", kv);
    found.note("keyGate", key_gate);
    found.note("registry", registry);
    let bound = |name: &str| {
        let is_there = Reflect::get(env, &name.into()).is_ok_and(|binding| !binding.is_undefined());
        is_there.then_some(()).ok_or_else(|| format!("the binding {name} is missing"))
    };
    found.note("relay", bound("RELAY"));
    found.note("failures", bound("FAILURES"));
    found.note("page", bound("ADMIN"));
    let mut origins = POLICY.realms.iter().filter_map(|realm| match realm.origin {
        Origin::Binding(name) => Some(name),
        Origin::Url(_) => None,
    });
    found.note("origins", origins.try_for_each(bound));
    found
}
