//! Keyward: an API-key gate at the edge. This is the Worker: it translates between the Workers runtime and the crates
//! that decide, and takes no decision of its own.
//!
//! The life of a request, and where each step is decided:
//!
//! 1. **Realm**: host and path choose it ([`keyward_core::route`]); it says which connections it takes
//!    ([`keyward_gate::transport`]).
//! 2. **Preflight**: answered from the policy ([`keyward_gate::cors`]).
//! 3. **Route**: method and path choose what is required ([`keyward_core::route`]).
//! 4. **Credential**: taken only from where the realm says ([`keyward_gate::credential`]). What is no key goes its own way
//!    from here: tokens, webhooks, links and sessions ([`keyward_gate::admission`]).
//! 5. **Shape**: prefix, length, alphabet, checksum, without any I/O ([`keyward_core::key`]).
//! 6. **Find**: static keys, the isolate's memory, KV, the key's coordinator ([`keyward_gate::pipeline`]).
//! 7. **Decide**: pure and synchronous, a `Permit` or a `Denial` ([`keyward_gate::gate`]).
//! 8. **Limit**: every window of the key, all or none ([`keyward_limits`]).
//! 9. **Forward**: without the credential, with the verified identity ([`keyward_gate::forwarding`]).
//! 10. **Account**: by outcome and reason, after the answer ([`keyward_limits::usage`]).
//!
//! The admin API is decided in [`keyward_registry`].
#![cfg(target_arch = "wasm32")]

mod admin;
mod bindings;
mod clock;
mod gate;
mod http;
mod instance;
mod isolate;
mod key_gate;
mod origin;
mod page;
mod policy;
mod ready;
mod registry;
mod relay;
mod routed;
mod settings;
mod sql;
mod stores;

use http::Client;
use keyward_policy::Policy;
use routed::Routed;
use worker::{Context, Env, console_error, event, web_sys};

use keyward_core::{
    request_target::RequestTarget,
    route::{self, RouteMatch},
};
use keyward_gate::{denial::Denial, refusal, transport};

/// Every request comes in here.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let request_id = http::request_id();
    let answer = match policy::get() {
        Ok(policy) => handle(policy, request, &env, &context, &request_id).await,
        Err(denial) => http::respond_to(&request, &refusal::refuse(&denial, None, &request_id)),
    };
    gate::tell(&env, &context);
    match answer {
        Ok(response) => Ok(response),
        Err(error) => {
            // Never passed on: a fault of the gate's own closes it.
            console_error!(
                "{}",
                serde_json::json!({ "event": "fault", "requestId": request_id, "error": error.to_string() })
            );
            http::respond(&refusal::refuse(&Denial::Internal, None, &request_id))
        }
    }
}

async fn handle(
    policy: &'static Policy,
    request: web_sys::Request,
    env: &Env,
    context: &Context,
    request_id: &str,
) -> worker::Result<web_sys::Response> {
    let url = request.url();
    let target = RequestTarget::of(&url);
    match route::side(policy, target) {
        Some(route::BuiltinRoute::Health) => return http::health(&request.method()),
        Some(route::BuiltinRoute::Ready) => {
            return ready::handle(policy, &request, target, env, context, request_id).await;
        }
        Some(route::BuiltinRoute::Admin { path }) => {
            return admin::handle(policy, request, target, path, env, context, request_id).await;
        }
        Some(route::BuiltinRoute::Page { path }) => {
            return page::handle(policy, &request, target, path, env).await;
        }
        None => {}
    }
    let client = Client::of(&request)?;
    // 1 to 3. Realm, preflight, route.
    let plan = match route::plan(policy, &client.method, target, client.is_preflight()) {
        Err((realm, why)) => {
            return gate::refuse(&request, realm, &Denial::from(why).into(), &client, request_id);
        }
        Ok(plan) => plan,
    };
    let realm = plan.realm();
    let tls = || http::tls_version(&request);
    if let Err(denial) = transport::check(&realm.transport, target.scheme, client.address.as_deref(), tls) {
        return gate::refuse(&request, Some(realm), &denial.into(), &client, request_id);
    }
    let route = match plan {
        RouteMatch::Preflight(_, cors) => return gate::preflight(cors, &client, request_id),
        RouteMatch::Route(_, route) => route,
    };
    let destination = client.destination();
    if !route::stays_on_route(policy, realm, route, &client.method, target, destination.as_deref()) {
        return gate::refuse(&request, Some(realm), &Denial::NoRoute.into(), &client, request_id);
    }
    if let Some(denial) = http::unfit_body(&request).await {
        return gate::refuse(&request, Some(realm), &denial.into(), &client, request_id);
    }
    // 4 to 10. Credential, shape, find, decide, limit, forward, account.
    let routed = Routed { request: &request, target, client: &client, policy, realm, route, request_id };
    gate::pass(routed, env, context).await
}
