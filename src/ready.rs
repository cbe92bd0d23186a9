//! `GET /readyz`: asks each store once in a while, and tells whether all is there.

use std::{cell::RefCell, rc::Rc, time::Duration};

use futures_util::FutureExt;
use js_sys::Reflect;
use keyward_policy::{Origin, Policy};
use serde::Deserialize;
use serde_json::json;
use worker::{Context, Delay, Env, Result, console_error, web_sys};

use super::{
    admin, clock, http, origin, settings,
    stores::{self, EdgeStores},
};
use keyward_core::request_target::RequestTarget;
use keyward_gate::{
    denial::Denial,
    ready::{self, Cache, Look, Readiness},
    refusal::{self, Answer},
    stores::Stores,
};
use keyward_limits::wire::{CoordinatorCall, GetReply};

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
    policy: &'static Policy,
    request: &web_sys::Request,
    target: RequestTarget<'_>,
    env: &Env,
    context: &Context,
    request_id: &str,
) -> Result<web_sys::Response> {
    let mut headers =
        vec![("Content-Type", "application/json".to_owned()), ("Cache-Control", "no-store".to_owned())];
    let method = request.method();
    if !matches!(method.as_str(), "GET" | "HEAD") {
        headers.push(("Allow", "GET, HEAD".to_owned()));
        return http::respond_to(request, &Answer { status: 405, headers, body: String::new() });
    }
    let Some(readiness) = find(policy, env, context).await else {
        return http::respond(&refusal::refuse(
            &Denial::StoreUnavailable { store: NOBODY },
            None,
            request_id,
        ));
    };
    let status = readiness.status();
    if status != 200 {
        headers.push(("Retry-After", "5".to_owned()));
    }
    let body = if method == "HEAD" {
        String::new()
    } else {
        readiness.body(admin::is_operator(policy, request, target, env, context, request_id).await?)
    };
    http::respond(&Answer { status, headers, body })
}

/// What was found, by this request or another; `None` if no check came to its end.
async fn find(policy: &'static Policy, env: &Env, context: &Context) -> Option<Rc<Readiness>> {
    for _ in 0..LOOKS {
        match CACHE.with_borrow_mut(|cache| cache.look(clock::now())) {
            Look::Known(readiness) => return Some(readiness),
            Look::Check => {
                let env = env.clone();
                let check = async move {
                    let found = check(policy, &env).await;
                    if found.status() != 200 {
                        console_error!("{}", json!({ "event": "not ready", "found": found.body(true) }));
                    }
                    CACHE.with_borrow_mut(|cache| cache.found(found, clock::now()))
                };
                let check = check.shared();
                // It goes on when whoever asked hangs up: others wait for it.
                context.wait_until(check.clone().map(drop));
                return Some(check.await);
            }
            Look::Wait => Delay::from(LOOK_AGAIN).await,
        }
    }
    None
}

/// Asks all parts.
async fn check(policy: &Policy, env: &Env) -> Readiness {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Opened {
        fault: Option<String>,
        /// What is wrong with the set-up token; an older build says nothing of it.
        #[serde(default)]
        set_up: Option<String>,
    }
    let registry = async {
        match stores::ask_registry::<Opened>(env, "/ready", &json!({}), PATIENCE_MS, true).await {
            Ok(Opened { fault, set_up }) => (fault.map_or(Ok(()), Err), set_up.map_or(Ok(()), Err)),
            // One of the build before, which answers.
            Err(error) if error == "answered 404" => (Ok(()), Ok(())),
            Err(error) => (Err(error), Ok(())),
        }
    };
    let kv_stores = EdgeStores::of(env);
    let kv = async {
        kv_stores.read(NOBODY, PATIENCE_MS).await.map(drop).map_err(|_| "KEYS cannot be read".to_owned())
    };
    let coordinator = async {
        stores::ask_key_gate::<GetReply>(env, NOBODY, &CoordinatorCall::Get, PATIENCE_MS).await.map(drop)
    };
    let (kv, coordinator, (registry, set_up)) = futures_util::join!(kv, coordinator, registry);
    let mut found = Readiness::default();
    found.note("secrets", ready::secrets(policy, |name| settings::text(env, name)).and(set_up));
    found.note("kv", kv);
    found.note("keyGate", coordinator);
    found.note("registry", registry);
    let bound = |name: &str| {
        let is_there = Reflect::get(env, &name.into()).is_ok_and(|binding| !binding.is_undefined());
        is_there.then_some(()).ok_or_else(|| format!("the binding {name} is missing"))
    };
    found.note("relay", bound("RELAY"));
    found.note("failures", bound("FAILURES"));
    found.note("page", bound("ADMIN"));
    let origins = policy.realms.iter().try_for_each(|realm| match realm.origin {
        Origin::Binding(name) => bound(name),
        Origin::Handler(name) => origin::handler(name)
            .map(drop)
            .ok_or_else(|| format!("the handler {name} is missing: the entry module gives keyward none")),
        Origin::Url(_) => Ok(()),
    });
    found.note("origins", origins);
    found
}
