//! Step 9: the request goes on, without the credential, with the verified identity, its body a
//! stream that is never read here.

use js_sys::{Promise, Reflect, futures::JsFuture};
use keyward_policy::Origin;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Env, console_error, web_sys};

use super::{gate::Routed, http, settings};
use crate::{
    denial::Denial,
    forwarding::{self, AnswerFields},
    gate::Permit,
};

#[wasm_bindgen(module = "/src/edge/forward.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn forward(
        request: &web_sys::Request,
        fetcher: &JsValue,
        url: Option<&str>,
        removed: &str,
        cookies: &str,
        fields: &str,
        patience: u32,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn decorate(
        response: &web_sys::Response,
        removed: &str,
        cookies: &str,
        set: &str,
        merged: &str,
        own: Option<&str>,
        asked: &str,
    ) -> Result<JsValue, JsValue>;
}

/// The origin's answer.
///
/// # Errors
/// Why there is none.
pub async fn ask(routed: Routed<'_>, permit: &Permit, env: &Env) -> Result<web_sys::Response, Denial> {
    let Routed { request, target, client, policy, realm, request_id, .. } = routed;
    let (fetcher, url) = match realm.origin {
        Origin::Binding(name) => (Reflect::get(env, &name.into()).unwrap_or_default(), None),
        Origin::Url(origin) => (JsValue::UNDEFINED, Some(format!("{origin}{}", target.path_and_query))),
    };
    if let (Origin::Binding(name), true) = (realm.origin, fetcher.is_undefined()) {
        return Err(failed(
            Denial::NotConfigured { what: name },
            "the service binding is missing",
            request_id,
        ));
    }
    let headers = request.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    let secrets = settings::secrets(env).ok();
    let mut removed =
        forwarding::removed(policy.realms, realm, permit, secrets.as_deref(), header).join("\n");
    for name in forwarding::removed_if_misspelt(policy.realms) {
        removed.push_str("\n~");
        removed.push_str(name);
    }
    let answer = forward(
        request,
        &fetcher,
        url.as_deref(),
        &removed,
        &forwarding::removed_cookies(policy.realms).join("\n"),
        &http::flat(&forwarding::added(realm, permit, target, client.caller(), request_id)),
        realm.origin_timeout_ms,
    );
    let fault = |error: JsValue| failed(Denial::Internal, &format!("{error:?}"), request_id);
    let answer = JsFuture::from(answer.map_err(fault)?).await.map_err(fault)?;
    answer.dyn_into().map_err(|why| match why.as_string().as_deref() {
        Some("timed out") => Denial::OriginTimeout,
        Some("broken off") => Denial::BrokenBody,
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
    let AnswerFields { removed, set, merged } = fields;
    let own = forwarding::own_address(realm);
    let (removed, set, merged) = (removed.join("\n"), http::flat(set), http::flat(merged));
    let cookies = forwarding::removed_cookies(policy.realms).join("\n");
    let answer = decorate(response, &removed, &cookies, &set, &merged, own, target.origin)
        .map_err(|error| failed(Denial::Internal, &format!("{error:?}"), request_id))?;
    answer
        .dyn_into()
        .map_err(|_| failed(Denial::OriginInvalid, &format!("it answered {}", response.status()), request_id))
}

/// The denial, of which the log says why.
fn failed(denial: Denial, error: &str, request_id: &str) -> Denial {
    console_error!("{}", serde_json::json!({ "event": "origin", "requestId": request_id, "error": error }));
    denial
}
