//! What the gate does for the admin side, which is another crate's: it checks API keys that are shown there, sees keys in
//! URLs, counts failures, and knows when the Registry is better left alone.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_policy::{CodeFlow, KeyRequirement, Leaks, Policy, SignIn};
use serde::Deserialize;

use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    credential,
    denial::Denial,
    handle::Gate,
    jwt::{self, Verified, Wanted},
    pipeline::Pipeline,
    platform::Platform,
    refusal::{self, Answer},
};
use keyward_core::{
    form,
    log::Event,
    record::Record,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    sign_in_token::{Grant, Shown, SignInToken},
    time::Span,
    unavailable::{CallFailed, Unavailable},
};
use keyward_limits::used_from::UsedFrom;

/// How long the issuer that signs people in is waited for: for a token, and for its keys.
const TOKEN_WITHIN: Span = Span::from_secs(5);
/// Its name among the issuers, which is no realm's.
const SIGN_IN_ISSUER: &str = "[admin.sign_in]";

/// A call of the admin API, as far as the gate sees it.
#[derive(Clone, Copy, Debug)]
pub struct AdminCaller<'a> {
    /// Who calls.
    pub client: ClientInfo<'a>,
    /// The call's id.
    pub request_id: &'a str,
    /// The time within which it is answered.
    pub within: Span,
}

impl<P: Platform> Gate<'_, P> {
    /// Checks an API key, whichever realm it is of. What it may do at the admin API, the Registry decides.
    /// `country` is the one that the call comes from.
    ///
    /// # Errors
    /// The answer to one that is not in order.
    pub async fn verify_key(
        &self,
        policy: &Policy,
        key: &Secret,
        caller: AdminCaller<'_>,
        country: &dyn Fn() -> Option<String>,
    ) -> Result<Record, Answer> {
        // It may be of any realm.
        let within = policy.realms.iter().map(|realm| realm.decision_timeout).max().unwrap_or_default();
        let from = UsedFrom { address: caller.client.address, route: None, country };
        let pipeline = Pipeline { from: Some(from), ..self.pipeline(within, Some(caller.request_id)) };
        let checked = pipeline.check_in_any_realm(policy, &KeyRequirement::ANY_KEY, key, caller.client).await;
        let record = checked.map_err(|refused| refused.denial).and_then(|accepted| {
            accepted.permit.record().map(|record| Record::clone(record)).ok_or(Denial::Internal)
        });
        record.map_err(|denial| denied(&denial, caller.request_id))
    }

    /// Checks what somebody shows to sign in through the issuer. The log says why it is not in order.
    ///
    /// # Errors
    /// The answer where the issuer does not answer, or the deployment lacks a secret.
    pub async fn verify_sign_in(
        &self,
        sign_in: &SignIn,
        shown: &Shown,
        caller: AdminCaller<'_>,
    ) -> Result<SignInToken, Answer> {
        let request_id = caller.request_id;
        let verified = match (shown, sign_in.code) {
            (Shown::Token(token), _) => {
                self.verify_token(sign_in, token, Wanted::default(), request_id).await
            }
            (Shown::Grant { grant, is_fresh }, Some(flow)) => match self.exchange(&flow, grant).await {
                Ok(token) => {
                    let wanted = Wanted { nonce: Some(&grant.nonce), auth_time: *is_fresh };
                    self.verify_token(sign_in, &token, wanted, request_id).await
                }
                Err(denial) => Err(denial),
            },
            (Shown::Grant { .. }, None) => Err(Denial::Internal),
        };
        let denial = match verified {
            Ok(token) => return Ok(token),
            Err(denial) => denial,
        };
        self.platform.log(&Event::SignInRefused {
            request_id,
            code: denial.public().code,
            reason: denial.reason(),
            detail: denial.detail().as_deref(),
        });
        if matches!(denial, Denial::InvalidToken(_)) {
            return Ok(SignInToken { identity: None });
        }
        Err(denied(&denial, request_id))
    }

    async fn verify_token(
        &self,
        sign_in: &SignIn,
        token: &Secret,
        wanted: Wanted<'_>,
        request_id: &str,
    ) -> Result<SignInToken, Denial> {
        let pipeline = self.pipeline(TOKEN_WITHIN, Some(request_id));
        let identity = |verified: &Verified<'_>| {
            verified.identity(wanted, self.platform.now()).map_err(Denial::InvalidToken)
        };
        let identity = pipeline.verify(SIGN_IN_ISSUER, &sign_in.jwt, token, identity).await?;
        Ok(SignInToken { identity: Some(identity) })
    }

    /// The token that the issuer gives for a code (RFC 6749, section 4.1.3).
    async fn exchange(&self, flow: &CodeFlow, grant: &Grant) -> Result<Secret, Denial> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", grant.code.expose()),
            ("redirect_uri", &grant.redirect_uri),
            ("code_verifier", grant.verifier.expose()),
        ];
        let authorization = match flow.client_secret {
            Some(name) => {
                let secret = self.platform.secret(name).ok_or(Denial::NotConfigured { what: name })?;
                // RFC 6749, section 2.3.1: encoded first, so that a colon is one.
                let pair = [flow.client_id, secret.expose()].map(form::encoded).join(":");
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
            }
            None => {
                fields.push(("client_id", flow.client_id));
                None
            }
        };
        let form = form::fields(&fields);
        let sent = self.platform.send_form(flow.token_url, &form, authorization.as_ref(), TOKEN_WITHIN).await;
        let reason = match sent {
            Ok(text) => match keyward_json::from_str::<Tokens>(&text) {
                Ok(Tokens { id_token }) => return Ok(Secret::new(id_token)),
                Err(_) => "the answer to the code has no id_token".to_owned(),
            },
            // RFC 6749, section 5.2: 400. Some issuers say 403. What is wrong with the client itself is 401.
            Err(CallFailed::Status(400 | 403)) => return Err(Denial::InvalidToken(jwt::Error::RefusedCode)),
            Err(error) => error.to_string(),
        };
        Err(Denial::IssuerUnavailable { reason, retry_after: Span::ZERO })
    }

    /// Whether a report of keys that were found in public was signed by whom the policy says.
    ///
    /// # Errors
    /// The answer while the scanner's keys cannot be had.
    pub async fn verify_report(
        &self,
        leaks: &Leaks,
        (key_id, signature): (&str, &str),
        body: &[u8],
        caller: AdminCaller<'_>,
    ) -> Result<bool, Answer> {
        let request_id = caller.request_id;
        let deadline = self.pipeline(TOKEN_WITHIN, Some(request_id)).deadline;
        let of = (&*self.issuers, self.platform, deadline);
        let verified = jwt::reports::verify(of, leaks, key_id, signature, body).await;
        verified.map_err(|unavailable| denied(&unavailable.into(), request_id))
    }

    /// Takes in what an origin says by a call: see [`Pipeline::settle_by_call`].
    pub async fn settle(
        &self,
        token: &str,
        used: u32,
        caller: AdminCaller<'_>,
    ) -> Option<Result<bool, Unavailable>> {
        self.pipeline(Span::ZERO, Some(caller.request_id)).settle_by_call(token, used).await
    }

    /// How much longer a subject is in the penalty box, if it is.
    pub fn penalty(&self, subject: &str) -> Option<Span> {
        self.memory.borrow_mut().penalty_box.left(subject, self.platform.now())
    }

    /// Counts a failure under a subject, and now and then under its site. If those are too many, `penalized` goes into the
    /// penalty box, or the site.
    pub async fn count_failure(
        &self,
        (counted, penalized): (&str, &str),
        site: Option<&str>,
        caller: AdminCaller<'_>,
    ) {
        let pipeline = self.pipeline(caller.within, Some(caller.request_id));
        pipeline.count_failure_of((counted, penalized), site, pipeline.left()).await;
    }

    /// The Registry's answer, if it is asked and has one: whoever has shown something that is no guess (`is_proof`) is not
    /// refused because calls of others fail.
    pub async fn ask_registry<T>(
        &self,
        is_proof: bool,
        caller: AdminCaller<'_>,
        ask: impl AsyncFnOnce(Span) -> Result<T, CallFailed>,
    ) -> Option<T> {
        let of = if is_proof { Dependency::Registry } else { Dependency::SignIn };
        let pipeline = self.pipeline(caller.within, Some(caller.request_id));
        pipeline.ask_of(of, caller.within, ask).await.ok()
    }
}

/// The answer to a request that has a key or token in its URL, of whichever realm.
pub fn refuse_key_in_url(
    policy: &Policy,
    target: RequestTarget<'_>,
    secrets: Option<&Secrets>,
    request_id: &str,
) -> Option<Answer> {
    let is_in_url = policy.realms.iter().any(|realm| credential::is_in_url(realm, target, secrets));
    is_in_url.then(|| denied(&Denial::KeyInUrl, request_id))
}

/// The answer to a key that the gate finds not to be in order.
pub fn denied(denial: &Denial, request_id: &str) -> Answer {
    let mut answer = refusal::refuse(denial, None, request_id);
    // What every answer of the admin API has.
    answer.headers.retain(|(name, _)| !matches!(*name, "Cache-Control" | "X-Request-Id"));
    answer
}
