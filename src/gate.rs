//! Steps 4 to 10 for one request, in the runtime's terms.

use keyward_policy::{Cors, KeyRequirement, Policy, Realm};
use serde_json::json;
use worker::{Context, Env, Result, console_log, web_sys};

use super::{
    clock,
    http::{self, Client, Place},
    isolate, origin,
    routed::Routed,
    settings,
    stores::EdgeStores,
};
use keyward_core::{record::Record, secret::Secret};
use keyward_gate::{
    admission::Admission,
    cors,
    deadline::Deadline,
    denial::Denial,
    forwarding,
    pipeline::{BackgroundTask, Pipeline, Refused},
    refusal::{self, Answer, mcp},
};

/// Gives a request what its route asks for, and forwards it or refuses it.
pub async fn pass(routed: Routed<'_>, env: &Env, context: &Context) -> Result<web_sys::Response> {
    let Routed { request, target, client, realm, route, request_id, .. } = routed;
    let incoming = http::Incoming::of(request, context);
    let stores = EdgeStores::of(env);
    let pipeline = pipeline(&stores, realm.decision_timeout_ms);
    let admitted = pipeline.admit(realm, route, target, client.caller(), &incoming).await;
    // Before the origin is waited for: the runtime ends this with its client's connection.
    tell(env, context);
    let accepted = match admitted {
        Ok(Admission::Pass(accepted)) => accepted,
        Ok(Admission::Redirect(headers)) => {
            let headers = headers.into_iter().chain([("X-Request-Id", request_id.to_owned())]).collect();
            return http::respond(&Answer { status: 303, headers, body: String::new() });
        }
        Err(refused) => return refuse(request, Some(realm), &refused, client, request_id),
    };
    if let Some(task) = accepted.background {
        context.wait_until(run_background(task, env.clone()));
    }
    let permit = &accepted.permit;
    let fields = forwarding::answer(realm, permit, client.origin.as_deref(), &accepted.windows, request_id);
    let held = incoming.hold(realm.origin_timeout_ms);
    let in_all = i64::from(realm.client_timeout_ms) + i64::from(realm.origin_timeout_ms);
    let answer = match Place::of_copy(request, in_all) {
        Ok(place) => origin::ask(routed, held, place, permit, env, context).await,
        Err(denial) => Err(denial),
    };
    match answer.and_then(|response| origin::hand_back(routed, &response, &fields)) {
        Ok(response) => Ok(response),
        Err(denial) => refuse(request, Some(realm), &denial.into(), client, request_id),
    }
}

/// What decides, within `within_ms` from now.
pub fn pipeline<'a>(stores: &'a EdgeStores<'a>, within_ms: u32) -> Pipeline<'a, EdgeStores<'a>> {
    Pipeline {
        stores,
        memory: isolate::memory(),
        issuers: isolate::issuers(),
        secrets: settings::secrets(stores.env),
        deadline: Deadline::within(within_ms, clock::now()),
    }
}

/// Checks an API key that is shown to the admin API, whichever realm it is of. What it may do there,
/// the Registry decides.
///
/// # Errors
/// Why it is not in order.
pub async fn verify_key(
    policy: &Policy,
    key: &Secret,
    client: &Client,
    env: &Env,
) -> std::result::Result<Record, Denial> {
    let stores = EdgeStores::of(env);
    // It may be of any realm.
    let within_ms = policy.realms.iter().map(|realm| realm.decision_timeout_ms).max().unwrap_or_default();
    let pipeline = pipeline(&stores, within_ms);
    let checked = pipeline.check_in_any_realm(policy, &KeyRequirement::ANY_KEY, key, client.caller()).await;
    let accepted = checked.map_err(|refused| refused.denial)?;
    accepted.permit.record().map(|record| Record::clone(record)).ok_or(Denial::Internal)
}

/// The answer to a refused request, which its own web page may read where the realm has CORS.
pub fn refuse(
    request: &web_sys::Request,
    realm: Option<&Realm>,
    refused: &Refused,
    client: &Client,
    request_id: &str,
) -> Result<web_sys::Response> {
    let Refused { denial, key } = refused;
    // Not the URL: a key may stand in it.
    console_log!(
        "{}",
        json!({
            "event": "refused",
            "requestId": request_id,
            "realm": realm.map(|realm| realm.id),
            "method": client.method,
            "keyId": key.as_ref().map(|key| &key.id),
            "code": denial.public().code,
            "reason": format!("{denial:?}"),
        })
    );
    let mut answer = refusal::refuse(denial, realm, request_id);
    if mcp::is_asked_for(&client.method, client.accept().as_deref()) {
        answer = mcp::respond(answer);
    }
    let cors = realm.and_then(|realm| realm.cors.as_ref());
    answer.headers.extend(cors::response_headers(cors, client.origin.as_deref()));
    http::respond_to(request, &answer)
}

/// The answer to a preflight.
pub fn preflight(cors: &Cors, client: &Client, request_id: &str) -> Result<web_sys::Response> {
    let mut headers = cors::preflight_headers(cors, client.origin.as_deref().unwrap_or_default());
    headers.push(("X-Request-Id", request_id.to_owned()));
    http::respond(&Answer { status: 204, headers, body: String::new() })
}

/// Keeps leases in order while, and after, answers are sent.
async fn run_background(task: BackgroundTask, env: Env) {
    let stores = EdgeStores::of(&env);
    // Nothing is decided: each chore has a bound of its own.
    let pipeline = pipeline(&stores, 0);
    let mut next = Some(task);
    while let Some(task) = next {
        next = pipeline.run_background(task).await;
    }
}

/// Has the objects of keys hear, behind the answer, what this isolate has counted.
pub fn tell(env: &Env, context: &Context) {
    if pipeline(&EdgeStores::of(env), 0).begins_to_tell() {
        let env = env.clone();
        context.wait_until(async move { pipeline(&EdgeStores::of(&env), 0).tell().await });
    }
}
