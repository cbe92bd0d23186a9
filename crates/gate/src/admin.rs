//! What the gate does for the admin side, which is another crate's: it checks API keys that are shown there, sees keys in
//! URLs, counts failures, and knows when the Registry is better left alone.

use keyward_policy::{KeyRequirement, Policy, SignIn};

use crate::{
    breakers::Dependency,
    client_info::ClientInfo,
    credential,
    denial::Denial,
    handle::Gate,
    jwt::Verified,
    pipeline::Pipeline,
    platform::Platform,
    refusal::{self, Answer},
};
use keyward_core::{
    log::Event,
    record::Record,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    sign_in_token::SignInToken,
    time::Span,
    unavailable::CallFailed,
};
use keyward_limits::used_from::UsedFrom;

/// How long the keys of the issuer that signs people in are waited for.
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

    /// Checks a token that somebody shows to sign in. The log says why one is not in order.
    ///
    /// # Errors
    /// The answer where the keys of its issuer cannot be had.
    pub async fn verify_sign_in(
        &self,
        sign_in: &SignIn,
        token: &Secret,
        caller: AdminCaller<'_>,
    ) -> Result<SignInToken, Answer> {
        let request_id = caller.request_id;
        let pipeline = self.pipeline(TOKEN_WITHIN, Some(request_id));
        let identity =
            |verified: &Verified<'_>| verified.identity(self.platform.now()).map_err(Denial::InvalidToken);
        let denial = match pipeline.verify(SIGN_IN_ISSUER, &sign_in.jwt, token, identity).await {
            Ok(identity) => return Ok(SignInToken { identity: Some(identity) }),
            Err(denial) => denial,
        };
        self.platform.log(&Event::Refused {
            request_id,
            realm: None,
            method: caller.client.method,
            key_id: None,
            code: denial.public().code,
            reason: denial.reason(),
            detail: denial.detail().as_deref(),
        });
        if matches!(denial, Denial::InvalidToken(_)) {
            return Ok(SignInToken { identity: None });
        }
        Err(denied(&denial, request_id))
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
