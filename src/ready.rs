//! `/readyz`: what [`keyward_gate::ready`] finds.

use std::rc::Rc;

use futures_util::FutureExt;
use worker::{Result, web_sys};

use super::{admin, background, isolate, request::WebRequest, response, stores::EdgeStores};
use keyward_gate::{
    Gate,
    handle::Builtin,
    ready::{self, Readiness},
    request::RequestParts as _,
};

/// Answers a request for it.
pub async fn handle(
    gate: &Gate<'_, EdgeStores<'_>>,
    request: &WebRequest<'_>,
    builtin: Builtin<'_>,
    request_id: &str,
) -> Result<web_sys::Response> {
    let find = async || find(gate, builtin, request).await;
    let is_operator = async || admin::is_operator(gate, request, builtin, request_id).await;
    let answer = ready::answer(request.method(), find, is_operator).await;
    response::respond_to(&request.raw, &answer)
}

async fn find(
    gate: &Gate<'_, EdgeStores<'_>>,
    Builtin { policy, .. }: Builtin<'_>,
    request: &WebRequest<'_>,
) -> Rc<Readiness> {
    let cache = isolate::readiness();
    let check = async || {
        let (env, cache) = (gate.platform.env.clone(), Rc::clone(&cache));
        let check = async move { ready::check(policy, &EdgeStores::of(&env), &cache).await }.shared();
        // It goes on when whoever asked hangs up: others wait for it.
        background::keep_request(request.context, check.clone().map(drop));
        check.await
    };
    ready::find(gate.platform, &cache, check).await
}
