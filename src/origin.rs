//! Step 9: the request goes on, without the credential, with the verified identity, its body a
//! stream that is never read here.

use std::cell::{OnceCell, RefCell};

use js_sys::{Function, Promise, Reflect, Uint8Array, futures::JsFuture};
use keyward_policy::Origin;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use worker::{Context, Env, console_error, web_sys, worker_sys::Context as JsContext};

use super::{
    http::{self, Place},
    routed::Routed,
    settings,
};
use keyward_gate::{
    denial::Denial,
    forwarding::{self, AnswerFields},
    gate::Permit,
};

thread_local! {
    /// As lines of the list of what is removed: the same for every request.
    static MISSPELT: OnceCell<String> = const { OnceCell::new() };
}

#[wasm_bindgen(module = "/src/forward.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn forward(
        request: &web_sys::Request,
        fetcher: &JsValue,
        handler: Option<&Function>,
        env: &Env,
        context: &JsContext,
        url: Option<&str>,
        removed: &str,
        cookies: &str,
        fields: &str,
        held: Option<&Uint8Array>,
        gives_way: Option<&Promise>,
        has_come: Option<&Function>,
        origin_timeout: u32,
        client_timeout: u32,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn decorate(
        response: &web_sys::Response,
        removed: &str,
        cookies: &str,
        challenges: &str,
        set: &str,
        merged: &str,
        addresses: Option<&str>,
    ) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(raw_module = "keyward-handlers")]
extern "C" {
    /// The origin in the same Worker that has this name, if the entry module was given one.
    #[wasm_bindgen(js_name = handlerNamed)]
    pub fn handler(name: &str) -> Option<Function>;
}

/// The origin's answer. `held` is the body, if the gate has read it; `place` is for its copy, until all of that has come.
///
/// # Errors
/// Why there is none.
pub async fn ask(
    routed: Routed<'_>,
    held: Option<&Uint8Array>,
    place: Option<Place>,
    permit: &Permit,
    env: &Env,
    context: &Context,
) -> Result<web_sys::Response, Denial> {
    let Routed { request, target, client, policy, realm, request_id, .. } = routed;
    let mut handler = None;
    let (fetcher, url) = match realm.origin {
        Origin::Binding(name) => (Reflect::get(env, &name.into()).unwrap_or_default(), None),
        Origin::Url(origin) => (JsValue::UNDEFINED, Some(format!("{origin}{}", target.path_and_query))),
        Origin::Handler(name) => {
            handler = self::handler(name);
            (JsValue::UNDEFINED, None)
        }
    };
    let missing = match realm.origin {
        Origin::Binding(name) if fetcher.is_undefined() => Some((name, "the service binding is missing")),
        Origin::Handler(name) if handler.is_none() => Some((name, "the handler is missing")),
        _ => None,
    };
    if let Some((what, why)) = missing {
        return Err(failed(Denial::NotConfigured { what }, why, request_id));
    }
    let headers = request.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    let secrets = settings::secrets(env).ok();
    let mut removed =
        forwarding::removed(policy.realms, realm, permit, secrets.as_deref(), header).join("\n");
    MISSPELT.with(|misspelt| {
        let names = || forwarding::removed_if_misspelt(policy.realms);
        removed.push_str(misspelt.get_or_init(|| names().iter().map(|name| format!("\n~{name}")).collect()));
    });
    let gives_way = place.as_ref().map(|place| place.gives_way().clone());
    // Only what has a place pays for telling that it needs it no more.
    let has_come = place.map(|place| {
        let place = RefCell::new(Some(place));
        Closure::<dyn Fn()>::new(move || drop(place.take()))
    });
    let answer = forward(
        request,
        &fetcher,
        handler.as_ref(),
        env,
        context.as_ref(),
        url.as_deref(),
        &removed,
        &forwarding::removed_cookies(policy.realms).join("\n"),
        &http::flat(&forwarding::added(realm, permit, target, client.caller(), request_id)),
        held,
        gives_way.as_ref(),
        has_come.as_ref().map(|has_come| has_come.as_ref().unchecked_ref()),
        realm.origin_timeout_ms,
        realm.client_timeout_ms,
    );
    let fault = |error: JsValue| failed(Denial::Internal, &format!("{error:?}"), request_id);
    let answer = JsFuture::from(answer.map_err(fault)?).await.map_err(fault)?;
    answer.dyn_into().map_err(|why| match why.as_string().as_deref() {
        Some("timed out") => Denial::OriginTimeout,
        Some("stalled") => Denial::LateBody,
        Some("broken off") => Denial::BrokenBody,
        Some("gave way") => Denial::Overloaded,
        why => failed(Denial::OriginUnreachable, why.unwrap_or_default(), request_id),
    })
}

/// The origin's answer with fields of the gate's own, and without what is not for the client.
///
/// # Errors
/// [`Denial::OriginInvalid`]
pub fn hand_back(
    routed: Routed<'_>,
    response: &web_sys::Response,
    fields: &AnswerFields,
) -> Result<web_sys::Response, Denial> {
    let Routed { target, policy, realm, request_id, .. } = routed;
    let AnswerFields { removed, set, merged, challenges } = fields;
    let addresses = forwarding::own_address(realm).map(|own| format!("{own}\n{}", target.origin));
    let (removed, set, merged) = (removed.join("\n"), http::flat(set), http::flat(merged));
    let cookies = forwarding::removed_cookies(policy.realms).join("\n");
    let challenges = challenges.join("\n");
    let invalid = |why: String| failed(Denial::OriginInvalid, &why, request_id);
    // What cannot be made of the origin's answer is the origin's fault: it may have done what was asked.
    let answer = decorate(response, &removed, &cookies, &challenges, &set, &merged, addresses.as_deref())
        .map_err(|error| invalid(format!("{error:?}")))?;
    answer.dyn_into().map_err(|_| invalid(format!("it answered {}", response.status())))
}

/// The denial, of which the log says why.
fn failed(denial: Denial, error: &str, request_id: &str) -> Denial {
    console_error!("{}", serde_json::json!({ "event": "origin", "requestId": request_id, "error": error }));
    denial
}
