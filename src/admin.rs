//! Calls of the admin API: hands them to [`keyward_registry::front`], and what that asks for to the gate and the platform.

use std::cell::RefCell;

use keyward_policy::{Leaks, SignIn};
use serde_json::Value;
use worker::{Result, web_sys};

use super::{
    body::{self, Held},
    clock,
    request::WebRequest,
    response,
    settings::{self, Proofs},
    stores::{self, EdgeStores},
};
use keyward_core::{
    question::Question,
    record::Record,
    secret::Secret,
    sign_in_token::{Shown, SignInToken},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_gate::{
    Gate,
    admin::{self, AdminCaller},
    denial::Denial,
    handle::Builtin,
    in_flight::{READ_WITHIN, Sender},
    platform::Platform as _,
    refusal::Answer,
    request::{Client, RequestParts},
};
use keyward_registry::{
    admin_call::{AdminCall, AdminReply},
    call::ANSWERED_WITHIN,
    front::{
        BodyError, BodyRoom, Failures, HELD_FOR, Head,
        answer::{self, AdminPort, AdminRequest},
    },
};

/// Answers a request to the admin API. `path` is the one below its base.
pub async fn handle(
    gate: &Gate<'_, EdgeStores<'_>>,
    request: &WebRequest<'_>,
    builtin: Builtin<'_>,
    path: &str,
    request_id: &str,
) -> Result<web_sys::Response> {
    let proofs = settings::proofs(gate.platform.env);
    let client = Client::of(request);
    let front = Front::of(gate, request, builtin, &client, request_id);
    let call = front.call(request.method(), path, &proofs);
    let AdminReply { status, headers, body } = answer::answer(&call, &front).await;
    response::respond_with(&request.raw, status, headers, &body)
}

/// Whether a request shows what only an operator has.
pub async fn is_operator(
    gate: &Gate<'_, EdgeStores<'_>>,
    request: &WebRequest<'_>,
    builtin: Builtin<'_>,
    request_id: &str,
) -> bool {
    let proofs = settings::proofs(gate.platform.env);
    let client = Client::of(request);
    let front = Front::of(gate, request, builtin, &client, request_id);
    answer::is_operator(&front.call("GET", "", &proofs), &front).await
}

/// What the admin side asks for, for one call.
struct Front<'a> {
    gate: &'a Gate<'a, EdgeStores<'a>>,
    request: &'a WebRequest<'a>,
    builtin: Builtin<'a>,
    caller: AdminCaller<'a>,
    /// The body's room, from when it is read until the Registry has answered.
    held: RefCell<Option<Held>>,
}

impl<'a> Front<'a> {
    fn of(
        gate: &'a Gate<'a, EdgeStores<'a>>,
        request: &'a WebRequest<'a>,
        builtin: Builtin<'a>,
        client: &'a Client,
        request_id: &'a str,
    ) -> Self {
        let client = client.info(request.method());
        let caller = AdminCaller { client, request_id, within: ANSWERED_WITHIN };
        Self { gate, request, builtin, caller, held: RefCell::default() }
    }

    fn call(&self, method: &'a str, path: &'a str, proofs: &'a Proofs) -> AdminRequest<'a> {
        let header = |name| self.request.header(name);
        let sign_in = self.builtin.policy.admin.sign_in.as_ref();
        AdminRequest {
            method,
            origin: self.builtin.target.origin,
            path,
            page: self.builtin.policy.admin.page,
            query: self.builtin.target.query,
            head: Head {
                authorization: header("authorization"),
                cookie: header("cookie"),
                content_type: header("content-type"),
                content_length: header("content-length"),
                origin: header("origin"),
                fetch_site: header("sec-fetch-site"),
                if_match: header("if-match"),
                idempotency_key: header("idempotency-key"),
                assertion: sign_in.and_then(|sign_in| header(sign_in.header?)),
                report: ["github-public-key-identifier", "github-public-key-signature"].map(header),
                user_agent: header("user-agent"),
            },
            address: self.caller.client.address.unwrap_or_default().to_owned(),
            policy: self.builtin.policy,
            sign_in,
            request_id: self.caller.request_id,
            secrets: self.gate.secrets.as_deref().ok(),
            setup_token: proofs.setup.as_ref(),
            recovery_token: proofs.recovery.as_ref(),
        }
    }
}

impl AdminPort for Front<'_> {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn refuse_key_in_url(&self) -> Option<AdminReply> {
        let Builtin { policy, target, .. } = self.builtin;
        let secrets = self.gate.secrets.as_deref().ok();
        admin::refuse_key_in_url(policy, target, secrets, self.caller.request_id).map(reply)
    }

    async fn verify_key(&self, key: &Secret) -> std::result::Result<Record, AdminReply> {
        let country = || self.request.country();
        self.gate.verify_key(self.builtin.policy, key, self.caller, &country).await.map_err(reply)
    }

    async fn verify_token(
        &self,
        sign_in: &SignIn,
        shown: &Shown,
    ) -> std::result::Result<SignInToken, AdminReply> {
        self.gate.verify_sign_in(sign_in, shown, self.caller).await.map_err(reply)
    }

    async fn body(&self, room: BodyRoom, most: usize) -> std::result::Result<Vec<u8>, BodyError> {
        let (bodies, whose) = match room {
            BodyRoom::Known(name) => (body::the_known(), name),
            BodyRoom::Strangers(network) => (body::strangers(), network),
        };
        let mut bytes = Vec::new();
        let see = |piece: &[u8]| bytes.extend_from_slice(piece);
        let read = self.request.read_body((&bodies, Sender::new(whose)), most, READ_WITHIN, see).await;
        let held = read.map_err(|denial| match denial {
            Denial::BodyTooLarge => BodyError::TooLarge(most),
            Denial::LateBody => BodyError::Late,
            Denial::Overloaded => BodyError::Overloaded,
            _ => BodyError::Broken,
        })?;
        self.held.replace(held);
        Ok(bytes)
    }

    fn held_back(&self, subject: &str) -> Option<Span> {
        self.gate.penalty(subject)
    }

    async fn count(&self, Failures { counted, held_back, site }: &Failures) {
        // Whatever happened to the body, nobody waits with it any more.
        drop(self.held.take());
        self.gate.count_failure((counted, held_back), site.as_deref(), self.caller).await;
    }

    async fn ask(&self, call: &AdminCall, is_proof: bool) -> Option<AdminReply> {
        let held = self.held.take();
        if let Some(held) = &held {
            held.keep(HELD_FOR);
        }
        let env = self.gate.platform.env;
        let ask = async |within| stores::ask_registry(env, call, within).await;
        self.gate.ask_registry(is_proof, self.caller, ask).await
    }

    async fn settle(&self, token: &str, used: u32) -> Option<std::result::Result<bool, Unavailable>> {
        // As above.
        drop(self.held.take());
        self.gate.settle(token, used, self.caller).await
    }

    async fn verify_report(
        &self,
        leaks: &Leaks,
        key_and_signature: (&str, &str),
        body: &str,
    ) -> std::result::Result<bool, AdminReply> {
        let verified = self.gate.verify_report(leaks, key_and_signature, body.as_bytes(), self.caller).await;
        verified.map_err(reply)
    }

    fn answer(&self, question: &Question) -> Value {
        let Builtin { policy, target, .. } = self.builtin;
        self.gate.answer(policy, question, target.host)
    }

    async fn wait(&self, span: Span) {
        self.gate.platform.wait(span).await;
    }
}

/// The gate's refusal, as an answer of the admin API.
fn reply(Answer { status, headers, body }: Answer) -> AdminReply {
    AdminReply::of(status, headers, body)
}
