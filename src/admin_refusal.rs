//! What the gate refuses of a call of the admin API, which is not its own: a key that is not in order, or that stands in
//! the URL.

use crate::{
    admin_call::AdminReply, credential, denial::Denial, policy::Policy, refusal, secret::Secrets,
    target::Target,
};

/// The answer to a request that has a key or token in its URL, of whichever realm.
pub fn refuse_key_in_url(
    policy: &Policy,
    target: Target<'_>,
    secrets: Option<&Secrets>,
    request_id: &str,
) -> Option<AdminReply> {
    let is_in_url = policy.realms.iter().any(|realm| credential::is_in_url(realm, target, secrets));
    is_in_url.then(|| denied(&Denial::KeyInUrl, request_id))
}

/// The answer to a key that the gate finds not to be in order.
pub fn denied(denial: &Denial, request_id: &str) -> AdminReply {
    let answer = refusal::refuse(denial, None, request_id);
    // What every answer of the admin API has.
    let own = |name: &str| !matches!(name, "Cache-Control" | "X-Request-Id");
    let headers = answer.headers.into_iter().filter(|(name, _)| own(name));
    AdminReply {
        status: answer.status,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
        body: answer.body,
    }
}
