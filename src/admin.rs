//! Calls of the admin API: what [`keyward_registry::front`] asks of the gate and the platform.

use std::cell::RefCell;

use keyward_policy::Policy;
use serde_json::json;
use worker::{Context, Env, Result, console_error, web_sys};

use super::{
    clock, gate,
    http::{self, Client},
    isolate, settings,
    stores::{self, EdgeStores},
};
use keyward_core::{
    record::Record,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    time::Timestamp,
    unavailable::Unavailable,
};
use keyward_gate::{
    admin_refusal, admission::RequestParts as _, breakers::Dependency, denial::Denial,
    in_flight::READ_WITHIN_MS, refusal::Answer, stores::Stores,
};
use keyward_registry::{
    admin_call::{AdminCall, AdminReply},
    call,
    front::{
        BodyError, Failures, Head, MOST_BYTES,
        answer::{self, API_HEADERS, AdminRequest, Gate},
    },
};

/// Milliseconds within which a call of the admin API is answered.
const PATIENCE_MS: u32 = call::ANSWERED_WITHIN_MS;

/// Answers a request to the admin API. `path` is the one below its base.
pub async fn handle(
    policy: &Policy,
    request: web_sys::Request,
    target: RequestTarget<'_>,
    path: &str,
    env: &Env,
    context: &Context,
    request_id: &str,
) -> Result<web_sys::Response> {
    let method = request.method();
    let (secrets, setup_token) = (settings::secrets(env).ok(), settings::setup_proof(env));
    let (secrets, setup_token) = (secrets.as_deref(), setup_token.as_deref());
    let call = call(&request, &method, target, path, request_id, (secrets, setup_token))?;
    let client = Client::of(&request)?;
    let incoming = RefCell::default();
    let gate =
        EdgeGate { policy, request: &request, target, client, env, context, request_id, secrets, incoming };
    let reply = answer::answer(&call, &gate).await;
    respond(&request, reply, request_id)
}

/// Whether a request shows what only an operator has.
pub async fn is_operator(
    policy: &Policy,
    request: &web_sys::Request,
    target: RequestTarget<'_>,
    env: &Env,
    context: &Context,
    request_id: &str,
) -> Result<bool> {
    let (secrets, setup_token) = (settings::secrets(env).ok(), settings::setup_proof(env));
    let (secrets, setup_token) = (secrets.as_deref(), setup_token.as_deref());
    let call = call(request, "GET", target, "", request_id, (secrets, setup_token))?;
    let client = Client::of(request)?;
    let incoming = RefCell::default();
    let gate = EdgeGate { policy, request, target, client, env, context, request_id, secrets, incoming };
    Ok(answer::is_operator(&call, &gate).await)
}

fn call<'a>(
    request: &web_sys::Request,
    method: &'a str,
    target: RequestTarget<'a>,
    path: &'a str,
    request_id: &'a str,
    (secrets, setup_token): (Option<&'a Secrets>, Option<&'a Secret>),
) -> Result<AdminRequest<'a>> {
    let headers = request.headers();
    let head = Head {
        authorization: headers.get("authorization")?,
        cookie: headers.get("cookie")?,
        content_type: headers.get("content-type")?,
        content_length: headers.get("content-length")?,
        origin: headers.get("origin")?,
        fetch_site: headers.get("sec-fetch-site")?,
        if_match: headers.get("if-match")?,
        idempotency_key: headers.get("idempotency-key")?,
        user_agent: headers.get("user-agent")?,
    };
    let address = headers.get("cf-connecting-ip")?.unwrap_or_default();
    let (origin, query) = (target.origin, target.query);
    Ok(AdminRequest { method, origin, path, query, head, address, request_id, secrets, setup_token })
}

/// The gate, for one call.
struct EdgeGate<'a> {
    policy: &'a Policy,
    request: &'a web_sys::Request,
    target: RequestTarget<'a>,
    client: Client,
    env: &'a Env,
    context: &'a Context,
    request_id: &'a str,
    secrets: Option<&'a Secrets>,
    /// The body's room, from when it is read until the Registry has answered.
    incoming: RefCell<Option<http::Incoming<'a>>>,
}

impl Gate for EdgeGate<'_> {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn refuse_key_in_url(&self) -> Option<AdminReply> {
        admin_refusal::refuse_key_in_url(self.policy, self.target, self.secrets, self.request_id).map(reply)
    }

    async fn verify_key(&self, key: &Secret) -> std::result::Result<Record, AdminReply> {
        let verified = gate::verify_key(self.policy, key, &self.client, self.env).await;
        verified.map_err(|denial| reply(admin_refusal::denied(&denial, self.request_id)))
    }

    async fn body(&self, proof: Option<String>) -> std::result::Result<Vec<u8>, BodyError> {
        let incoming = http::Incoming::of_admin_call(self.request, self.context, proof);
        let mut bytes = Vec::new();
        let see = |piece: &[u8]| bytes.extend_from_slice(piece);
        let read = incoming.body(MOST_BYTES, READ_WITHIN_MS, see).await;
        read.map_err(|denial| match denial {
            Denial::BodyTooLarge => BodyError::TooLarge,
            Denial::LateBody => BodyError::Late,
            Denial::Overloaded => BodyError::Overloaded,
            _ => BodyError::Broken,
        })?;
        self.incoming.replace(Some(incoming));
        Ok(bytes)
    }

    fn held_back_ms(&self, subject: &str) -> Option<u64> {
        isolate::memory().borrow_mut().held_back(subject, clock::now())
    }

    async fn count(&self, Failures { counted, held_back, site }: &Failures) {
        // Whatever became of the body, nobody waits with it any more.
        drop(self.incoming.take());
        let stores = EdgeStores::of(self.env);
        let pipeline = gate::pipeline(&stores, PATIENCE_MS);
        let counts_site = isolate::memory().borrow_mut().counts_site();
        let site = site.as_ref().filter(|_| counts_site).map(|site| (site, site));
        for (counted, held_back) in [Some((counted, held_back)), site].into_iter().flatten() {
            if pipeline.fails_too_often(counted).await {
                isolate::memory().borrow_mut().hold_back(held_back, clock::now());
            }
        }
    }

    async fn ask(&self, call: &AdminCall, is_proof: bool) -> Option<AdminReply> {
        // What waits for the Registry has its room as long as that may take.
        let incoming = self.incoming.take();
        if let Some(incoming) = &incoming {
            incoming.hold(2 * PATIENCE_MS);
        }
        let of = if is_proof { Dependency::Registry } else { Dependency::SignIn };
        let stores = EdgeStores::of(self.env);
        let repeatable = matches!(call.method.as_str(), "GET" | "HEAD");
        let ask = async |within_ms| {
            let reply =
                stores::ask_registry::<AdminReply>(self.env, "/admin", call, within_ms, repeatable).await;
            reply.map_err(|error| {
                console_error!(
                    "{}",
                    json!({ "event": "registry unavailable", "requestId": self.request_id, "error": error })
                );
                Unavailable
            })
        };
        gate::pipeline(&stores, PATIENCE_MS).ask_of(of, PATIENCE_MS, ask).await.ok()
    }

    async fn wait(&self, milliseconds: u32) {
        EdgeStores::of(self.env).wait(milliseconds).await;
    }
}

fn respond(request: &web_sys::Request, reply: AdminReply, request_id: &str) -> Result<web_sys::Response> {
    let own = API_HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let id = ("X-Request-Id".to_owned(), request_id.to_owned());
    let headers = own.chain([id]).chain(reply.headers).collect();
    http::respond_with(request, reply.status, headers, &reply.body)
}

/// The gate's refusal, as an answer of the admin API.
fn reply(Answer { status, headers, body }: Answer) -> AdminReply {
    AdminReply::of(status, headers, body)
}
