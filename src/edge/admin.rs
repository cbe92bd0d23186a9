//! The admin API's front: reads the request, has it judged by [`crate::registry::front`], and asks
//! the Registry.

use serde_json::json;
use worker::{Context, Env, Result, console_error, web_sys};

use super::{
    gate,
    http::{self, Client},
    settings,
    stores::{self, EdgeStores},
};
use crate::{
    admission::Incoming,
    breaker::Dependency,
    in_flight::READ_WITHIN,
    pipeline::{Pipeline, Stores, Unavailable},
    policy::POLICY,
    registry::{
        call,
        error::Refusal,
        front::{self, Failures, Head, Shown},
    },
    route::Target,
    wire::{AdminCall, AdminCredential, AdminReply},
};

/// A call of the admin API is answered within so many milliseconds.
const PATIENCE_MS: u32 = call::ANSWERED_WITHIN_MS;

/// Answers a request to the admin API. `path` is the one below its base.
pub async fn handle(
    request: web_sys::Request,
    target: Target<'_>,
    path: &str,
    env: &Env,
    context: &Context,
    request_id: &str,
) -> Result<web_sys::Response> {
    let method = request.method();
    let arrived = stores::now();
    let address = request.headers().get("cf-connecting-ip")?.unwrap_or_default();
    let (secrets, setup_token) = (settings::secrets(env).ok(), settings::setup_proof(env));
    let open = crate::registry::is_open(&method, path);
    let head = head(&request)?;
    let admitted = admit(&request, &method, target, path, &head, env, request_id).await?;
    let failures = match &admitted {
        Ok(credential) if !open => {
            front::failures_of_shown(credential, &address, secrets.as_deref(), setup_token.as_deref())
        }
        _ => None,
    };
    // Before a body is read, where what is shown decides.
    if let Some(refusal) = held_back(failures.as_ref()) {
        return respond(&request, refusal.reply(request_id), request_id);
    }
    let shown = admitted.as_ref().ok();
    let proof = shown.and_then(|shown| front::proof(shown, secrets.as_deref(), setup_token.as_deref()));
    let incoming = http::Incoming::of_admin_call(&request, context, proof);
    let read = match admitted {
        Err(reply) => Err(reply),
        Ok(credential) => {
            let mut bytes = Vec::new();
            let see = |piece: &[u8]| bytes.extend_from_slice(piece);
            let read = incoming.body(front::MOST_BYTES, READ_WITHIN, see).await;
            let body =
                read.map_err(|denial| front::unread(&denial)).and_then(|()| front::body_text(&head, bytes));
            body.map(|body| (credential, body)).map_err(|refusal| refusal.reply(request_id))
        }
    };
    let failures = if open {
        let body = read.as_ref().ok().map(|(_, body)| body.as_str());
        front::failures_of_open(path, body, &address, request_id, setup_token.as_deref())
    } else {
        failures
    };
    if let Some(refusal) = held_back(failures.as_ref()) {
        return respond(&request, refusal.reply(request_id), request_id);
    }
    let (reply, asked) = match read {
        Err(reply) => (reply, false),
        Ok((credential, body)) => {
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
                agent: front::agent(headers.get("user-agent")?.as_deref()),
                request_id: request_id.to_owned(),
            };
            // What waits for the Registry has its room as long as that may take.
            incoming.hold(2 * PATIENCE_MS);
            (ask(&call, env, failures.is_none()).await, true)
        }
    };
    drop(incoming);
    let stores = EdgeStores { env };
    let pipeline = gate::pipeline(&stores, PATIENCE_MS);
    if let Some(failures) = failures.filter(|_| front::is_failure(open, asked, reply.status)) {
        count(&failures, &pipeline).await;
    }
    let wait = if open { front::keep_back(path, reply.status, arrived, stores::now()) } else { 0 };
    if wait > 0 {
        stores.wait(wait).await;
    }
    respond(&request, reply, request_id)
}

/// The refusal of a call whose like have failed too often.
fn held_back(failures: Option<&Failures>) -> Option<Refusal> {
    let Failures { held_back, site, .. } = failures?;
    let (memory, now) = (gate::memory(), stores::now());
    let mut memory = memory.borrow_mut();
    let subjects = [Some(held_back), site.as_ref()].into_iter().flatten();
    subjects.filter_map(|subject| memory.held_back(subject, now)).max().map(front::held_back)
}

/// Counts a failure, whose like are held back from then on if those are too many.
async fn count(failures: &Failures, pipeline: &Pipeline<'_, EdgeStores<'_>>) {
    let Failures { counted, held_back, site } = failures;
    let counts_site = gate::memory().borrow_mut().counts_site();
    let site = site.as_ref().filter(|_| counts_site).map(|site| (site, site));
    for (counted, held_back) in [Some((counted, held_back)), site].into_iter().flatten() {
        if pipeline.fails_too_often(counted).await {
            gate::memory().borrow_mut().hold_back(held_back, stores::now());
        }
    }
}

/// Whether a request shows what only an operator has: the session of one, or the set-up token, which is looked at
/// here, so that it is good for that also when the Registry cannot answer. Failures are counted.
pub async fn is_operator(
    request: &web_sys::Request,
    target: Target<'_>,
    env: &Env,
    request_id: &str,
) -> Result<bool> {
    const PATH: &str = "/tenants";
    let headers = request.headers();
    let address = headers.get("cf-connecting-ip")?.unwrap_or_default();
    let (secrets, setup_token) = (settings::secrets(env).ok(), settings::setup_proof(env));
    let shown = front::judge(&POLICY, "GET", target, secrets.as_deref(), &head(request)?, request_id);
    let Some(credential) = shown.ok().and_then(|shown| front::of_operator(shown, secrets.as_deref())) else {
        return Ok(false);
    };
    let failures =
        front::failures_of_shown(&credential, &address, secrets.as_deref(), setup_token.as_deref());
    if held_back(failures.as_ref()).is_some() {
        return Ok(false);
    }
    let is_operator = match credential {
        AdminCredential::SetUp { token } => setup_token.is_some_and(|own| own.equals(&token)),
        credential => {
            let call = AdminCall {
                method: "GET".to_owned(),
                path: PATH.to_owned(),
                query: "limit=1".to_owned(),
                credential,
                if_match: None,
                idempotency_key: None,
                body: String::new(),
                address,
                agent: front::agent(headers.get("user-agent")?.as_deref()),
                request_id: request_id.to_owned(),
            };
            ask(&call, env, failures.is_none()).await.status == 200
        }
    };
    let stores = EdgeStores { env };
    if let Some(failures) = failures.filter(|_| !is_operator) {
        count(&failures, &gate::pipeline(&stores, PATIENCE_MS)).await;
    }
    Ok(is_operator)
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

/// The Registry's answer, to a stranger or to whoever has shown something that is no guess: calls that fail for the one
/// are not taken for a failure of the other's.
async fn ask(call: &AdminCall, env: &Env, is_proof: bool) -> AdminReply {
    let request_id = &call.request_id;
    let of = if is_proof { Dependency::Registry } else { Dependency::SignIn };
    let stores = EdgeStores { env };
    let repeatable = matches!(call.method.as_str(), "GET" | "HEAD");
    let ask = async |within_ms| {
        let reply = stores::ask_registry::<AdminReply>(env, "/admin", call, within_ms, repeatable).await;
        reply.map_err(|error| {
            console_error!(
                "{}",
                json!({ "event": "registry unavailable", "requestId": request_id, "error": error })
            );
            Unavailable
        })
    };
    let asked = gate::pipeline(&stores, PATIENCE_MS).ask_of(of, PATIENCE_MS, ask).await;
    asked.unwrap_or_else(|Unavailable| {
        front::unanswered(&call.method, call.idempotency_key.is_some()).reply(request_id)
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

fn respond(request: &web_sys::Request, reply: AdminReply, request_id: &str) -> Result<web_sys::Response> {
    let own = front::API_HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let id = ("X-Request-Id".to_owned(), request_id.to_owned());
    let headers = own.chain([id]).chain(reply.headers).collect();
    http::respond_with(request, reply.status, headers, &reply.body)
}
