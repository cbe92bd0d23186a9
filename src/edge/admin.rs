//! The admin API's front: reads the request, has it judged by [`crate::registry::front`], and asks
//! the Registry.

use serde_json::json;
use worker::{Env, Result, console_error, web_sys};

use super::{
    gate,
    http::{self, Client},
    settings,
    stores::{self, EdgeStores},
};
use crate::{
    admission::Incoming,
    pipeline::Stores,
    policy::POLICY,
    registry::front::{self, Head, Shown},
    route::Target,
    wire::{AdminCall, AdminCredential, AdminReply},
};

/// Answers a request to the admin API. `path` is the one below its base.
pub async fn handle(
    request: web_sys::Request,
    target: Target<'_>,
    path: &str,
    env: &Env,
    request_id: &str,
) -> Result<web_sys::Response> {
    let method = request.method();
    let address = request.headers().get("cf-connecting-ip")?.unwrap_or_default();
    let caller = front::failures_of(&address);
    let held_back = gate::memory().borrow_mut().held_back(&caller, stores::now());
    if let Some(retry_after_ms) = held_back {
        return respond(front::held_back(retry_after_ms).reply(request_id), request_id);
    }
    let head = head(&request)?;
    let (reply, asked) = match admit(&request, &method, target, path, &head, env, request_id).await? {
        Err(reply) => (reply, false),
        Ok(credential) => {
            let bytes = http::Incoming::of(&request).body(front::MOST_BYTES).await;
            let body = bytes
                .map_err(|denial| front::unread(&denial))
                .and_then(|bytes| front::body_text(&head, bytes));
            match body {
                Err(refusal) => (refusal.reply(request_id), false),
                Ok(body) => {
                    let headers = request.headers();
                    let call = AdminCall {
                        method: method.clone(),
                        path: path.to_owned(),
                        query: target.query.to_owned(),
                        credential,
                        if_match: headers.get("if-match")?,
                        idempotency_key: headers.get("idempotency-key")?,
                        body,
                        address,
                        request_id: request_id.to_owned(),
                    };
                    (ask(&call, env).await, true)
                }
            }
        }
    };
    let open = crate::registry::is_open(&method, path);
    let stores = EdgeStores { env };
    if front::is_failure(open, asked, reply.status) && stores.fails_too_often(&caller).await {
        gate::memory().borrow_mut().hold_back(&caller, stores::now());
    }
    respond(reply, request_id)
}

/// The credential of a request that goes on to the Registry; else the answer.
async fn admit(
    request: &web_sys::Request,
    method: &str,
    target: Target<'_>,
    path: &str,
    head: &Head,
    env: &Env,
    request_id: &str,
) -> Result<std::result::Result<AdminCredential, AdminReply>> {
    let secrets = settings::secrets(env).ok();
    let credential = match front::judge(&POLICY, method, target, secrets.as_deref(), head, request_id) {
        Ok(Shown::Nothing) => AdminCredential::None,
        Ok(Shown::Session(token)) => AdminCredential::Session { token: token.expose().to_owned() },
        Ok(Shown::SetUp(token)) => AdminCredential::SetUp { token: token.expose().to_owned() },
        Ok(Shown::Key(key)) => match gate::verify_key(&POLICY, &key, &Client::of(request)?, env).await {
            Ok(record) => AdminCredential::Key { record },
            Err(denial) => return Ok(Err(front::denied(&denial, request_id))),
        },
        Err(reply) => return Ok(Err(reply)),
    };
    let refused = crate::registry::refuse_at_once(method, path, &credential);
    Ok(refused.map(|()| credential).map_err(|refusal| refusal.reply(request_id)))
}

/// The Registry's answer.
async fn ask(call: &AdminCall, env: &Env) -> AdminReply {
    let request_id = &call.request_id;
    // Longer than the Registry waits for its KeyGates, which is bounded as a store is.
    let asked = stores::ask_registry::<AdminReply>(env, "/admin", call, stores::PATIENCE * 3).await;
    asked.unwrap_or_else(|error| {
        console_error!(
            "{}",
            json!({ "event": "registry unavailable", "requestId": request_id, "error": error })
        );
        front::registry_unavailable().reply(request_id)
    })
}

fn head(request: &web_sys::Request) -> Result<Head> {
    let headers = request.headers();
    Ok(Head {
        authorization: headers.get("authorization")?,
        cookie: headers.get("cookie")?,
        content_type: headers.get("content-type")?,
        content_length: headers.get("content-length")?,
        origin: headers.get("origin")?,
        fetch_site: headers.get("sec-fetch-site")?,
    })
}

fn respond(reply: AdminReply, request_id: &str) -> Result<web_sys::Response> {
    let headers = web_sys::Headers::new()?;
    for (name, value) in front::API_HEADERS {
        headers.set(name, value)?;
    }
    headers.set("X-Request-Id", request_id)?;
    for (name, value) in &reply.headers {
        headers.append(name, value)?;
    }
    let init = web_sys::ResponseInit::new();
    init.set_status(reply.status);
    init.set_headers(&headers);
    let body = (!reply.body.is_empty()).then_some(reply.body.as_str());
    Ok(web_sys::Response::new_with_opt_str_and_init(body, &init)?)
}
