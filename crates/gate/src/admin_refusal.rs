//! What the gate refuses of a call of the admin API, which is not its own: a key that is not in order, or that stands in
//! the URL.

use keyward_core::{request_target::RequestTarget, secret::Secrets};
use keyward_policy::Policy;

use crate::{
    credential,
    denial::Denial,
    refusal::{self, Answer},
};

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
