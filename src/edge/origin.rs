//! Step 9: the request goes on, without the credential, with the verified identity, its body a
//! stream that is never read here.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Array, Promise, Reflect};
use keyward_policy::{Origin, Realm};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Delay, Env, console_error, web_sys};

use super::http;
use crate::{denial::Denial, gate::Permit, identity, registry::front::SESSION_COOKIE, route::Target};

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    #[allow(clippy::too_many_arguments, reason = "one crossing into JavaScript instead of eight")]
    fn forward(
        request: &web_sys::Request,
        fetcher: &JsValue,
        url: Option<String>,
        removed: Array,
        prefix: &str,
        cookie: &str,
        identity: Array,
        signal: &web_sys::AbortSignal,
    ) -> Result<Promise, JsValue>;
}

/// The origin's answer. Without a permit the request is one that the policy lets pass without a key.
pub async fn ask(
    realm: &Realm,
    permit: Option<&Permit>,
    request: &web_sys::Request,
    target: Target<'_>,
    env: &Env,
    request_id: &str,
) -> Result<web_sys::Response, Denial> {
    let unreachable = |error: JsValue| {
        console_error!(
            "{}",
            serde_json::json!({ "event": "origin unreachable", "requestId": request_id, "error": format!("{error:?}") })
        );
        Denial::OriginUnreachable
    };
    let (fetcher, url) = match realm.origin {
        Origin::Binding(name) => (Reflect::get(env, &name.into()).map_err(unreachable)?, None),
        Origin::Url(origin) => (JsValue::UNDEFINED, Some(format!("{origin}{}", target.path_and_query()))),
    };
    if url.is_none() && fetcher.is_undefined() {
        return Err(unreachable("the service binding is missing".into()));
    }
    let removed: Array = realm.credentials.iter().map(|source| JsValue::from_str(source.header)).collect();
    let identity = http::flat(&identity::headers(permit, request_id));
    let abort = web_sys::AbortController::new().map_err(unreachable)?;
    let answer =
        forward(request, &fetcher, url, removed, identity::PREFIX, SESSION_COOKIE, identity, &abort.signal());
    let answer = JsFuture::from(answer.map_err(unreachable)?);
    // Only the beginning of the answer has a limit: its body may stream for as long as it likes.
    let patience = Delay::from(Duration::from_millis(realm.origin_timeout_ms.into()));
    match select(answer, pin!(patience)).await {
        Either::Left((Ok(response), _)) => response.dyn_into().map_err(unreachable),
        Either::Left((Err(error), _)) => Err(unreachable(error)),
        Either::Right(_) => {
            abort.abort();
            Err(Denial::OriginTimeout)
        }
    }
}
