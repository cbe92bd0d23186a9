//! Answering a call of the admin API, step by step: the credential, what is refused at once, the body, the Registry; and
//! at each of them, whether those who fail so often are held back.

use keyward_core::{
    question::Question,
    record::Record,
    secret::{NoSecret, Secret, Secrets},
    sign_in_token::{Shown, SignInToken},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_policy::{Leaks, Policy, SignIn};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    admin_call::{AdminCall, AdminCredential, AdminReply},
    error::{ApiError, Code},
    front::{
        self,
        body::{BodyError, BodyForm, BodyRoom, MOST_BYTES, body_text, settlement},
        failures::{Failures, failures_of_open, failures_of_shown, held_back, is_failure, keep_back, proof},
        request::{Credential, Head, agent, judge, of_operator},
    },
    leaks::{report, take::Question as LeakQuestion},
    questions,
    router::{self, Open},
    sessions::{code, token},
};

/// Headers of every answer of the admin API, beside `X-Request-Id`.
const API_HEADERS: [(&str, &str); 2] = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")];

/// What this asks of the gate and of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait AdminPort {
    /// The time.
    fn now(&self) -> Timestamp;
    /// The answer to a request that has a key or token in its URL, of whichever realm.
    fn refuse_key_in_url(&self) -> Option<AdminReply>;
    /// The record of a key that is in order, else the answer.
    async fn verify_key(&self, key: &Secret) -> Result<Record, AdminReply>;
    /// What is to be said of what is shown to sign in through the issuer; else the answer, where that cannot be known.
    async fn verify_token(&self, sign_in: &SignIn, shown: &Shown) -> Result<SignInToken, AdminReply>;
    /// Reads the body, `most` bytes of it at most, in this room, which it leaves after [`HELD_FOR`](crate::front::HELD_FOR) at the latest.
    async fn body(&self, room: BodyRoom, most: usize) -> Result<Vec<u8>, BodyError>;
    /// How much longer what is counted under this subject is held back, if it is.
    fn held_back(&self, subject: &str) -> Option<Span>;
    /// Counts a failure, whose like are held back from then on if those are too many.
    async fn count(&self, failures: &Failures);
    /// The Registry's answer, if there is one, to a stranger or to whoever has shown something that is no guess
    /// (`is_proof`): calls that fail for the one are not taken for a failure of the other's.
    async fn ask(&self, call: &AdminCall, is_proof: bool) -> Option<AdminReply>;
    /// What an origin says with its token that a request has used. Whether its budget was open; `None` if there is no such token.
    async fn settle(&self, token: &str, used: u32) -> Option<Result<bool, Unavailable>>;
    /// Whether this body was signed by the scanner of the policy, with the key and the signature that its headers name; else
    /// the answer, where that cannot be known.
    async fn verify_report(
        &self,
        leaks: &Leaks,
        key_and_signature: (&str, &str),
        body: &str,
    ) -> Result<bool, AdminReply>;
    /// The gate's answer to a question, as JSON.
    fn answer(&self, question: &Question) -> Value;
    /// Ends after this time.
    async fn wait(&self, span: Span);
}

/// A request to the admin API.
pub struct AdminRequest<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The origin that it was sent to.
    pub origin: &'a str,
    /// The path below the API's base.
    pub path: &'a str,
    /// Base path of the admin page.
    pub page: &'a str,
    /// The query string without `?`.
    pub query: &'a str,
    /// Its headers.
    pub head: Head,
    /// `CF-Connecting-IP`
    pub address: String,
    /// The deployment's policy.
    pub policy: &'static Policy,
    /// Whose tokens sign people in, if the policy says so.
    pub sign_in: Option<&'a SignIn>,
    /// For the answer and the audit.
    pub request_id: &'a str,
    /// The deployment's secrets, if they are in order.
    pub secrets: Option<&'a Secrets>,
    /// The set-up token, where it proves who shows it.
    pub setup_token: Option<&'a Secret>,
    /// The recovery token, where it proves who shows it.
    pub recovery_token: Option<&'a Secret>,
}

impl AdminRequest<'_> {
    fn call(&self, credential: AdminCredential, body: String) -> AdminCall {
        AdminCall {
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            query: self.query.to_owned(),
            credential,
            if_match: self.head.if_match.clone(),
            idempotency_key: self.head.idempotency_key.clone(),
            body,
            address: self.address.clone(),
            agent: agent(self.head.user_agent.as_deref()),
            origin: Some(self.origin.to_owned()),
            token: None,
            request_id: self.request_id.to_owned(),
        }
    }

    /// Whether the token in the body of a call that anybody may make is no guess.
    fn proves(&self, open: Open, token: &str) -> bool {
        match open {
            Open::SetUp => self.setup_token.is_some_and(|own| own.equals(token)),
            Open::Recover => self.recovery_token.is_some_and(|own| own.equals(token)),
            Open::Accept => self.secrets.is_some_and(|secrets| token::is_our_invitation(secrets, token)),
            Open::SignIn | Open::Options | Open::Settle | Open::Report | Open::Restore => false,
        }
    }

    /// What is shown to sign in through the issuer, where the policy names one.
    fn token(&self, body: Option<&str>) -> Result<Option<Shown>, ApiError> {
        let (Some(body), Some(sign_in)) = (body, self.sign_in) else { return Ok(None) };
        let redirect_uri = sign_in.code.map(|_| code::redirect_uri(self.origin, self.page));
        front::token(self.method, self.path, body, self.origin, redirect_uri, &self.head)
    }

    fn failures_of_shown(&self, credential: &AdminCredential) -> Option<Failures> {
        failures_of_shown(credential, &self.address, self.secrets, self.setup_token)
    }
}

/// Answers a call of the admin API.
pub async fn answer(request: &AdminRequest<'_>, port: &impl AdminPort) -> AdminReply {
    let AdminReply { status, headers, body } = decide(request, port).await;
    let own = API_HEADERS.into_iter().chain([("X-Request-Id", request.request_id)]);
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    AdminReply { status, headers: own.chain(headers).collect(), body }
}

async fn decide(request: &AdminRequest<'_>, port: &impl AdminPort) -> AdminReply {
    let AdminRequest { method, path, request_id, secrets, setup_token, .. } = *request;
    let arrived = port.now();
    let open = router::open(method, path);
    if open == Some(Open::Settle) {
        return settle(request, port).await.unwrap_or_else(|refused| refused);
    }
    if open == Some(Open::Report) {
        return take_report(request, port).await.unwrap_or_else(|refused| refused);
    }
    // What proves who restores is in a header, as with calls that not everybody may make.
    let open = open.filter(|open| *open != Open::Restore);
    let admitted = admit(request, port).await;
    let shown = admitted.as_ref().ok();
    let failures =
        shown.filter(|_| open.is_none()).and_then(|credential| request.failures_of_shown(credential));
    // Before a body is read, where what is shown decides.
    if let Some(refusal) = refuse_held_back(failures.as_ref(), port) {
        return refusal.reply(request_id);
    }
    let proof = shown.and_then(|credential| proof(credential, secrets, setup_token));
    let room = BodyRoom::of(proof, &request.address);
    let read = match admitted {
        Ok(credential) => read(request, room, port).await.map(|body| (credential, body)),
        Err(reply) => Err(reply),
    };
    let body = read.as_ref().ok().map(|(_, body)| body.as_str());
    let token = request.token(body);
    let failures = match open {
        Some(open) => {
            let needs_password = matches!(token, Ok(None)) && request.sign_in.is_none_or(|it| it.password);
            let proves = |token: &str| request.proves(open, token);
            failures_of_open(open, body, &request.address, request_id, needs_password, proves)
        }
        None => failures,
    };
    let is_proven = failures.is_none();
    let is_grant = matches!(token, Ok(Some(Shown::Grant { .. })));
    // The issuer is asked before the Registry, whoever shows a code.
    let failures = failures.or_else(|| is_grant.then(|| Failures::of_code(&request.address)));
    if let Some(refusal) = refuse_held_back(failures.as_ref(), port) {
        return refusal.reply(request_id);
    }
    let verified = match token {
        Ok(token) => verify(request, token, port).await,
        Err(refusal) => Err(refusal.reply(request_id)),
    };
    let (mut reply, asked) = match read.and_then(|read| Ok((read, verified?))) {
        Err(reply) => (reply, false),
        Ok(((credential, body), token)) => {
            let call = AdminCall { token, ..request.call(credential, body) };
            let reply = ask(&call, is_proven, port).await;
            let asks_gate = reply.status == 200 && router::asks_gate(method, path);
            (if asks_gate { answer_by_gate(reply, request_id, port) } else { reply }, true)
        }
    };
    // A code that the issuer may not have seen can be shown again.
    if is_grant && reply.status < 500 {
        reply.headers.push(("Set-Cookie".to_owned(), code::clear_cookie()));
    }
    // An issuer that does not take a code as it should is not to be asked again and again.
    let fails = is_failure(open.is_some(), asked, reply.status) || is_grant && !asked && reply.status >= 400;
    if let Some(failures) = failures.filter(|_| fails) {
        port.count(&failures).await;
    }
    let wait = open.map_or(Span::ZERO, |open| keep_back(open, reply.status, arrived, port.now()));
    if wait > Span::ZERO {
        port.wait(wait).await;
    }
    reply
}

/// `POST /settlements`. The Registry is not asked, since origins call this as often as they are called. Nor are failures counted: a
/// token is too long to be guessed, and one that is wrong costs a MAC.
async fn settle(request: &AdminRequest<'_>, port: &impl AdminPort) -> Result<AdminReply, AdminReply> {
    shown(request, port)?;
    let room = BodyRoom::of(None, &request.address);
    let body = read(request, room, port).await?;
    let settled = async {
        request.secrets.ok_or(NoSecret)?;
        let (token, used) = settlement(&body)?;
        match port.settle(&token, used).await {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(ApiError::new(
                Code::BudgetClosed,
                "The budget was settled before, or its time is over and all that it reserved counts as used.",
            )),
            Some(Err(Unavailable)) => Err(ApiError::new(
                Code::StoreUnavailable,
                "The object that counts did not answer. Send the same again: what was settled meanwhile is then BUDGET_CLOSED.",
            )),
            None => Err(ApiError::new(
                Code::InvalidCredentials,
                "The token is wrong: send the whole value of the request's `Keyward-Settle`.",
            )),
        }
    };
    settled.await.map_err(|refusal: ApiError| refusal.reply(request.request_id))?;
    let json = vec![("Content-Type", "application/json".to_owned())];
    Ok(AdminReply::of(200, json, r#"{"settled":true}"#.to_owned()))
}

/// `POST /leaks`. Whoever has not signed it learns nothing, and is held back after a while. What cannot be a key is told without
/// asking the Registry.
async fn take_report(request: &AdminRequest<'_>, port: &impl AdminPort) -> Result<AdminReply, AdminReply> {
    let refuse = |refusal: ApiError| refusal.reply(request.request_id);
    let Some(leaks) = &request.policy.admin.leaks else {
        return Err(refuse(ApiError::new(
            Code::NotFound,
            "This deployment takes no reports of leaked keys.",
        )));
    };
    shown(request, port)?;
    let failures = Failures::of_report(&request.address);
    if let Some(refusal) = refuse_held_back(Some(&failures), port) {
        return Err(refuse(refusal));
    }
    let body = signed_report(request, leaks, port).await;
    if let Err(reply) = &body
        && is_failure(true, false, reply.status)
    {
        port.count(&failures).await;
    }
    let body = body?;
    let secrets = request.secrets.ok_or_else(|| refuse(NoSecret.into()))?;
    let matches = report::read(&body).map_err(refuse)?;
    let candidates: Vec<_> = matches.iter().map(|found| found.candidate(request.policy, secrets)).collect();
    let mut is_key: Vec<bool> =
        candidates.iter().map(|found| found.as_ref().is_some_and(|(_, is_keyed)| *is_keyed)).collect();
    let (at, found): (Vec<usize>, Vec<_>) = candidates
        .into_iter()
        .enumerate()
        .filter_map(|(at, found)| found.map(|(candidate, _)| (at, candidate)))
        .unzip();
    if !found.is_empty() {
        #[derive(Deserialize)]
        struct Answer {
            known: Vec<bool>,
        }
        let question = serde_json::to_string(&LeakQuestion { found }).unwrap_or_default();
        let reply = ask(&request.call(AdminCredential::Scanner, question), true, port).await;
        let answer = keyward_json::from_str::<Answer>(&reply.body).ok().filter(|_| reply.status == 200);
        let Some(Answer { known }) = answer else { return Err(reply) };
        for (at, known) in at.into_iter().zip(known) {
            if let Some(is_key) = is_key.get_mut(at) {
                *is_key |= known;
            }
        }
    }
    let labels: Vec<Value> = matches.iter().zip(is_key).map(|(found, is_key)| found.label(is_key)).collect();
    let json = vec![("Content-Type", "application/json".to_owned())];
    Ok(AdminReply::of(200, json, Value::from(labels).to_string()))
}

/// The body of a report, if the scanner has signed it.
async fn signed_report(
    request: &AdminRequest<'_>,
    leaks: &Leaks,
    port: &impl AdminPort,
) -> Result<String, AdminReply> {
    let unsigned = |detail: &str| ApiError::new(Code::InvalidCredentials, detail).reply(request.request_id);
    let [Some(key), Some(signature)] = &request.head.report else {
        return Err(unsigned(
            "A report is signed: send Github-Public-Key-Identifier and Github-Public-Key-Signature.",
        ));
    };
    let body = read(request, BodyRoom::of(None, &request.address), port).await?;
    if port.verify_report(leaks, (key, signature), &body).await? {
        return Ok(body);
    }
    Err(unsigned(
        "The signature is not one of this body by a key that the scanner publishes (`keys_url` in the policy's [admin.leaks]).",
    ))
}

/// Whether a request shows what only an operator has: the session of one, or the set-up token, which is looked at
/// here, so that it is good for that also when the Registry cannot answer. Failures are counted.
pub async fn is_operator(request: &AdminRequest<'_>, port: &impl AdminPort) -> bool {
    let shown = shown(request, port).ok();
    let Some(credential) = shown.and_then(|shown| of_operator(shown, request.secrets)) else { return false };
    let failures = request.failures_of_shown(&credential);
    if refuse_held_back(failures.as_ref(), port).is_some() {
        return false;
    }
    let is_operator = match credential {
        AdminCredential::SetUp { token } => request.setup_token.is_some_and(|own| own.equals(&token)),
        credential => {
            let call = AdminCall {
                method: "GET".to_owned(),
                path: "/tenants".to_owned(),
                query: "limit=1".to_owned(),
                if_match: None,
                idempotency_key: None,
                ..request.call(credential, String::new())
            };
            ask(&call, failures.is_none(), port).await.status == 200
        }
    };
    if let Some(failures) = failures.filter(|_| !is_operator) {
        port.count(&failures).await;
    }
    is_operator
}

/// What is shown by a request that may be carried out, else the answer.
fn shown(request: &AdminRequest<'_>, port: &impl AdminPort) -> Result<Credential, AdminReply> {
    let most = BodyForm::of(request.method, request.path).most;
    let shown = judge(request.method, request.origin, &request.head, most);
    let shown = shown.map_err(|refusal| refusal.reply(request.request_id))?;
    // It ends in logs, whether it would have counted here or not.
    port.refuse_key_in_url().map_or(Ok(shown), Err)
}

/// The credential of a request that goes on to the Registry, else the answer.
async fn admit(request: &AdminRequest<'_>, port: &impl AdminPort) -> Result<AdminCredential, AdminReply> {
    let credential = match shown(request, port)? {
        Credential::None => AdminCredential::None,
        Credential::Session(token) => AdminCredential::Session { token: token.expose().to_owned() },
        Credential::SetUp(token) => AdminCredential::SetUp { token: token.expose().to_owned() },
        Credential::Key(key) => AdminCredential::Key { record: port.verify_key(&key).await? },
    };
    let refused = router::refuse_at_once(request.method, request.path, &credential);
    refused.map(|()| credential).map_err(|refusal| refusal.reply(request.request_id))
}

/// The body, else the answer.
async fn read(
    request: &AdminRequest<'_>,
    room: BodyRoom,
    port: &impl AdminPort,
) -> Result<String, AdminReply> {
    let form = BodyForm::of(request.method, request.path);
    // Strangers are refused anyway.
    let is_known = matches!(room, BodyRoom::Known(_)) || form == BodyForm::REPORT;
    let most = if is_known { form.most } else { form.most.min(MOST_BYTES) };
    let bytes = port.body(room, most).await.map_err(ApiError::from);
    let text = bytes.and_then(|bytes| body_text(form, request.head.content_type.as_deref(), bytes));
    text.map_err(|mut refusal| {
        // RFC 5789, section 2.2.
        if refusal.code == Code::UnsupportedMediaType && request.method == "PATCH" {
            refusal.headers.push(("Accept-Patch".to_owned(), form.essence.to_owned()));
        }
        refusal.reply(request.request_id)
    })
}

/// What the gate says of what is shown to sign in through the issuer, if anything is; else the answer.
async fn verify(
    request: &AdminRequest<'_>,
    token: Option<Shown>,
    port: &impl AdminPort,
) -> Result<Option<SignInToken>, AdminReply> {
    match (request.sign_in, token) {
        (Some(sign_in), Some(token)) => port.verify_token(sign_in, &token).await.map(Some),
        _ => Ok(None),
    }
}

/// The refusal of a call whose like have failed too often.
fn refuse_held_back(failures: Option<&Failures>, port: &impl AdminPort) -> Option<ApiError> {
    let Failures { held_back: subject, site, .. } = failures?;
    let subjects = [Some(subject), site.as_ref()].into_iter().flatten();
    subjects.filter_map(|subject| port.held_back(subject)).max().map(held_back)
}

async fn ask(call: &AdminCall, is_proof: bool, port: &impl AdminPort) -> AdminReply {
    let answered = port.ask(call, is_proof).await;
    answered.unwrap_or_else(|| unanswered(call).reply(&call.request_id))
}

/// What the gate answers to the Registry's question.
fn answer_by_gate(reply: AdminReply, request_id: &str, port: &impl AdminPort) -> AdminReply {
    match questions::asked(&reply) {
        Some(question) => AdminReply { body: port.answer(&question).to_string(), ..reply },
        None => ApiError::registry_unavailable().reply(request_id),
    }
}

/// The refusal when the Registry did not answer a call, which may have been carried out although no answer came.
fn unanswered(call: &AdminCall) -> ApiError {
    if call.is_safe() {
        return ApiError::registry_unavailable();
    }
    let detail = match call.idempotency_key {
        Some(_) => {
            "The registry did not answer, so it is not known whether this was done. Repeat it with the same \
             Idempotency-Key: that gets the key if it was made."
        }
        None => {
            "The registry did not answer, so it is not known whether this was done. Look first, then repeat it: what is \
             changed or ended can be so twice, what is made would be made twice. A key that was made and that nobody \
             has is to be revoked; with an Idempotency-Key the repeat would get it."
        }
    };
    ApiError::new(Code::StoreUnavailable, detail)
}
