//! What `src/entry.js` calls for a request: the verdict about it, and what it needs to carry that out.

use js_sys::{Promise, futures::JsFuture};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Context, Env, Result, web_sys, worker_sys::Context as JsContext};

use super::{
    admin, at_once, background, gate, log, origin, page, policy, ready, request::WebRequest, response,
    stores::EdgeStores, verdict,
};
use keyward_core::{log::Event, route::BuiltinRoute};
use keyward_gate::{
    Gate, Open, Outcome, Verdict,
    denial::Denial,
    forwarding::profile::Profile,
    handle::Builtin,
    refusal,
    watch::{End, Watched},
};

/// Every request comes in here, with its head as [`WebRequest::of`] takes it. The verdict as text for `src/verdict.js`; for
/// some requests the response itself; and for those that had to wait a promise of the one or the other.
#[wasm_bindgen]
pub fn decide(head: String, request: web_sys::Request, env: Env, context: JsContext) -> JsValue {
    at_once::result_or_promise(decided(head, request, env, Context::new(context)))
}

async fn decided(head: String, request: web_sys::Request, env: Env, context: Context) -> JsValue {
    let request = WebRequest::of(head, request, &context);
    let stores = EdgeStores::of(&env);
    let gate = gate::of(&stores);
    let Verdict { request_id, outcome, background, watched } = gate.handle(&request).await;
    // Before the origin is waited for: the runtime ends this with its client's connection.
    gate::run_behind(background, &env, &context);
    // What is large and rare is boxed: each request has to find room for all of this.
    let answered = match outcome {
        Outcome::Answer(answer) => return verdict::of_answer(&answer).into(),
        Outcome::Forward(forward) => {
            let text = verdict::of_forward(&forward, &request_id, watched.as_deref());
            if !origin::needs_room(&request, &forward) {
                return text.into();
            }
            Box::pin(origin::pass(&gate, &request, &forward, (&request_id, watched.as_deref()), &text)).await
        }
        Outcome::Builtin(builtin) => {
            let response = Box::pin(respond(&gate, &request, builtin, &request_id)).await;
            if let (Some(watched), Ok(response)) = (&watched, &response) {
                gate.tell(watched, End { status: response.status(), denial: None });
            }
            response
        }
    };
    gate::run_behind(gate.background(), &env, &context);
    let answered = answered.or_else(|error| {
        // Never passed on: a fault of the gate's own closes it.
        log::log(&Event::Fault { request_id: &request_id, error: &error.to_string() });
        response::respond(&refusal::refuse(&Denial::Internal, None, &request_id))
    });
    answered.map_or(JsValue::UNDEFINED, JsValue::from)
}

/// The response of one of Keyward's own paths.
async fn respond(
    gate: &Gate<'_, EdgeStores<'_>>,
    request: &WebRequest<'_>,
    builtin: Builtin<'_>,
    request_id: &str,
) -> Result<web_sys::Response> {
    match builtin.route {
        BuiltinRoute::Admin { path } => admin::handle(gate, request, builtin, path, request_id).await,
        BuiltinRoute::Page { path } => page::handle(&request.raw, builtin, path, gate.platform.env).await,
        BuiltinRoute::Jwks(realm) => {
            response::respond_to(&request.raw, &Box::pin(gate.jwks(request, realm, request_id)).await)
        }
        BuiltinRoute::Ready | BuiltinRoute::Health => ready::handle(gate, request, builtin, request_id).await,
    }
}

/// Follows a request that is open, as the verdict names it, until these promises have settled: `used` with what the header of the
/// answer says, `ended` when that has ended.
#[wasm_bindgen]
pub fn follow(open: &str, used: Promise, ended: Promise, env: Env, context: JsContext) {
    let Some(request) = Open::read(open) else { return };
    let used = async { JsFuture::from(used).await.ok().and_then(|used| used.as_string()) };
    let ended = async { drop(JsFuture::from(ended).await) };
    background::keep_request(&Context::new(context), async move {
        gate::of(&EdgeStores::of(&env)).follow(&request, used, ended).await;
    });
}

/// Tells of a request that was forwarded, as its verdict has it, whose answer has this status: what its `Server-Timing` is to
/// say, if anything is.
#[wasm_bindgen]
pub fn ended(watched: &str, status: u16, env: Env) -> Option<String> {
    gate::of(&EdgeStores::of(&env)).ended(watched, status)
}

/// The profile of this number, as JSON.
#[wasm_bindgen]
pub fn profile(number: usize) -> String {
    let realms = policy::get().map_or(&[] as &[_], |policy| policy.realms);
    Profile::numbered(realms, number).map_or_else(String::new, |profile| profile.document(realms).to_string())
}

/// The verdict about a request that was forwarded under this profile, where the origin's response does not reach the client;
/// `failure` says why, as `src/forward.js` does.
#[wasm_bindgen(js_name = refuseForwarded)]
pub fn refuse_forwarded(
    request: web_sys::Request,
    env: Env,
    context: JsContext,
    request_id: &str,
    profile: usize,
    watched: &str,
    failure: &str,
) -> String {
    let context = Context::new(context);
    let request = WebRequest::unread(request, &context);
    let stores = EdgeStores::of(&env);
    let realms = policy::get().map_or(&[] as &[_], |policy| policy.realms);
    verdict::of_answer(&match Profile::numbered(realms, profile) {
        Some(profile) => {
            let failure = origin::failure(failure);
            let watched = Watched::read(watched);
            gate::of(&stores).refuse_forwarded(
                &request,
                request_id,
                profile.realm,
                &failure,
                watched.as_ref(),
            )
        }
        None => refusal::refuse(&Denial::Internal, None, request_id),
    })
}
