//! Step 9: the request goes on, without the credential, with the verified identity, its body a
//! stream that is never read here.

use js_sys::{Promise, Reflect, futures::JsFuture};
use keyward_policy::{Origin, Realm};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Env, console_error, web_sys};

use super::http;
use crate::{denial::Denial, gate::Permit, identity, route::Target};

#[wasm_bindgen(module = "/src/edge/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    #[allow(clippy::too_many_arguments, reason = "one crossing into JavaScript instead of eight")]
    fn forward(
        request: &web_sys::Request,
        fetcher: &JsValue,
        url: Option<&str>,
        removed: &str,
        prefix: &str,
        cookies: &str,
        identity: &str,
        patience: u32,
    ) -> Result<Promise, JsValue>;
}

/// The origin's answer.
pub async fn ask(
    realm: &Realm,
    permit: &Permit,
    request: &web_sys::Request,
    target: Target<'_>,
    env: &Env,
    request_id: &str,
) -> Result<web_sys::Response, Denial> {
    let unreachable = |error: JsValue| {
        let error = format!("{error:?}");
        console_error!(
            "{}",
            serde_json::json!({ "event": "origin unreachable", "requestId": request_id, "error": error })
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
    let answer = forward(
        request,
        &fetcher,
        url.as_deref(),
        &identity::removed(realm, permit).join("\n"),
        identity::PREFIX,
        &identity::removed_cookies(realm).join("\n"),
        &http::flat(&identity::headers(permit, request_id)),
        realm.origin_timeout_ms,
    );
    let answer = JsFuture::from(answer.map_err(unreachable)?).await.map_err(unreachable)?;
    if answer.is_undefined() {
        return Err(Denial::OriginTimeout);
    }
    answer.dyn_into().map_err(unreachable)
}
