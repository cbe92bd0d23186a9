//! What passes on to the origin and is held here meanwhile: a body that the gate has read, or the room for the copy of one.
//! All else `src/verdict.js` passes on by itself.

use std::cell::RefCell;

use js_sys::{Array, Function, Promise, Uint8Array, futures::JsFuture};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use worker::{Env, web_sys, worker_sys::Context as JsContext};

use super::{
    body::{self, Place},
    gate,
    request::WebRequest,
    response,
    stores::EdgeStores,
};
use keyward_gate::{
    Gate,
    handle::{Forward, OriginFailure},
    in_flight::Sender,
    watch::Watched,
};

#[wasm_bindgen(raw_module = "keyward-verdict")]
extern "C" {
    #[wasm_bindgen(catch, js_name = forwardHeld)]
    fn forward_held(
        verdict: &str,
        request: &web_sys::Request,
        env: &Env,
        context: &JsContext,
        held: Option<&Array<Uint8Array>>,
        gives_way: Option<&Promise>,
        has_come: Option<&Function>,
    ) -> Result<Promise, JsValue>;
}

/// Whether anything is held until the origin has answered.
pub fn needs_room(request: &WebRequest<'_>, forward: &Forward) -> bool {
    forward.copy.is_some() || request.has_held()
}

/// The origin's answer, or the gate's where it does not reach the client. `text` is the verdict for `src/verdict.js`.
pub async fn pass(
    gate: &Gate<'_, EdgeStores<'_>>,
    request: &WebRequest<'_>,
    forward: &Forward,
    (request_id, watched): (&str, Option<&Watched>),
    text: &str,
) -> worker::Result<web_sys::Response> {
    let passed = ask(request, forward, text, gate.platform.env).await;
    passed.or_else(|failure| {
        let answer = gate.refuse_forwarded(request, request_id, forward.profile.realm, &failure, watched);
        response::respond_to(&request.raw, &answer)
    })
}

async fn ask(
    request: &WebRequest<'_>,
    forward: &Forward,
    text: &str,
    env: &Env,
) -> Result<web_sys::Response, OriginFailure> {
    let held = request.held(forward.profile.realm.origin_timeout);
    let place = forward
        .copy
        .as_ref()
        .map(|room| Place::take(&body::copies(), Sender::new(&*room.network), room.bytes, room.within))
        .transpose()
        .map_err(|_| {
            gate::never_sent(forward.open.clone(), env, request.context);
            OriginFailure::NoRoom
        })?;
    let gives_way = place.as_ref().map(|place| place.gives_way().clone());
    // Only what has a place pays for telling that it needs it no more.
    let has_come = place.map(|place| {
        let place = RefCell::new(Some(place));
        Closure::<dyn Fn()>::new(move || drop(place.take()))
    });
    let answer = forward_held(
        text,
        &request.raw,
        env,
        request.context.as_ref(),
        held,
        gives_way.as_ref(),
        has_come.as_ref().map(|has_come| has_come.as_ref().unchecked_ref()),
    );
    let fault = |error: JsValue| OriginFailure::Fault(format!("{error:?}"));
    let answer = JsFuture::from(answer.map_err(fault)?).await.map_err(fault)?;
    answer.dyn_into().map_err(|why| failure(&why.as_string().unwrap_or_default()))
}

/// Why there is no answer, of which `src/forward.js` has the words (`NO_ANSWER`); of some, after a line break, the error.
pub fn failure(text: &str) -> OriginFailure {
    let (why, error) = text.split_once('\n').unwrap_or((text, ""));
    let error = error.to_owned();
    match why {
        "missing" => OriginFailure::Missing,
        "timed out" => OriginFailure::TimedOut,
        "stalled" => OriginFailure::Stalled,
        "broken off" => OriginFailure::BrokenOff,
        "gave way" => OriginFailure::NoRoom,
        "unreachable" => OriginFailure::Unreachable(error),
        "invalid" => OriginFailure::Invalid(error),
        _ => OriginFailure::Fault(error),
    }
}
