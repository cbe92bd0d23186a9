//! Steps 4 to 10 for one request, in the runtime's terms.

use std::{cell::RefCell, rc::Rc};

use keyward_policy::{KeyRequirement, Policy, Realm};
use serde_json::json;
use worker::{Context, Env, Result, console_error, console_log, web_sys};

use super::{
    http::{self, Client},
    origin, settings,
    stores::{self, EdgeStores},
};
use crate::{
    cors, credential,
    denial::Denial,
    memory::Memory,
    pipeline::{Accepted, Caller, Pipeline, Refused},
    record::Record,
    refusal::{self, Answer},
    route::Target,
    secret::Secret,
    wire::KeyGateCall,
};

thread_local! {
    static MEMORY: Rc<RefCell<Memory>> = Rc::default();
}

/// A request that the policy has a route for.
#[derive(Clone, Copy)]
pub struct Routed<'a> {
    /// As it came in.
    pub request: &'a web_sys::Request,
    /// Its URL.
    pub target: Target<'a>,
    /// What was read of it.
    pub client: &'a Client,
    /// The realm that answers for it.
    pub realm: &'static Realm,
    /// Its id.
    pub request_id: &'a str,
}

/// Checks a request if the route asks for it, and forwards it or refuses it.
pub async fn pass(
    routed: Routed<'_>,
    requirement: Option<&KeyRequirement>,
    env: &Env,
    context: &Context,
) -> Result<web_sys::Response> {
    let Routed { request, target, client, realm, request_id } = routed;
    let accepted = match check(routed, requirement, env).await {
        Ok(accepted) => accepted,
        Err(refused) => {
            let answer = refuse(Some(realm), &refused.denial, client, request_id);
            if let Some(hash) = refused.hash {
                report(hash, env, context);
            }
            return answer;
        }
    };
    let permit = accepted.as_ref().map(|accepted| &accepted.permit);
    let response = match origin::ask(realm, permit, request, target, env, request_id).await {
        Ok(response) => response,
        Err(denial) => return refuse(Some(realm), &denial, client, request_id),
    };
    let mut set = cors::response_headers(realm.cors.as_ref(), client.origin.as_deref());
    let mut append: Vec<_> = set.extract_if(.., |(name, _)| *name == "Vary").collect();
    set.push(("X-Request-Id", request_id.to_owned()));
    if let Some(accepted) = &accepted {
        set.extend(refusal::rate_limit_headers(&accepted.windows));
        // What a key may see, another may not: caches must tell them apart.
        append.extend(realm.credentials.iter().map(|source| ("Vary", source.header.to_owned())));
    }
    http::decorate(&response, http::flat(&set), http::flat(&append)).map_err(|error| http::thrown(&error))
}

/// Checks a request against what its route asks for. `None` where it asks for nothing.
pub async fn check(
    routed: Routed<'_>,
    requirement: Option<&KeyRequirement>,
    env: &Env,
) -> std::result::Result<Option<Accepted>, Refused> {
    let Routed { request, target, client, realm, .. } = routed;
    let headers = request.headers();
    let credential = credential::take(realm, target, |name| headers.get(name).ok().flatten())?;
    let Some(requirement) = requirement else { return Ok(None) };
    let credential = credential.ok_or(Denial::MissingCredential)?;
    check_key(realm, requirement, &credential, client, env).await.map(Some)
}

/// Checks a key against a requirement of a realm and charges its limits.
async fn check_key(
    realm: &Realm,
    requirement: &KeyRequirement,
    key: &Secret,
    client: &Client,
    env: &Env,
) -> std::result::Result<Accepted, Refused> {
    let secrets = settings::secrets(env)?;
    let caller = Caller {
        method: &client.method,
        address: client.address.as_deref(),
        origin: client.origin.as_deref(),
    };
    let pipeline =
        Pipeline { stores: &EdgeStores { env }, memory: &MEMORY.with(Rc::clone), secrets: &secrets };
    pipeline.check(realm, requirement, key, caller).await
}

/// Checks a key that is shown to the admin API, whichever realm it is of. What it may do there, the
/// Registry decides.
///
/// # Errors
/// Why it is not in order.
pub async fn verify_key(
    policy: &Policy,
    key: &Secret,
    client: &Client,
    env: &Env,
) -> std::result::Result<Record, Denial> {
    const ANY: KeyRequirement = KeyRequirement { scopes: &[], plans: &[], publishable: false };
    let mut denial = Denial::MalformedKey;
    for realm in policy.realms {
        match check_key(realm, &ANY, key, client, env).await {
            Ok(accepted) => return Ok(accepted.permit.record().clone()),
            Err(Refused { denial: Denial::MalformedKey, .. }) => {}
            Err(Refused { denial: Denial::UnknownKey, .. }) => denial = Denial::UnknownKey,
            Err(refused) => return Err(refused.denial),
        }
    }
    Err(denial)
}

/// The answer to a refused request, which its own web page may read where the realm has CORS.
pub fn refuse(
    realm: Option<&Realm>,
    denial: &Denial,
    client: &Client,
    request_id: &str,
) -> Result<web_sys::Response> {
    console_log!(
        "{}",
        json!({
            "event": "refused",
            "requestId": request_id,
            "realm": realm.map(|realm| realm.id),
            "code": denial.public().code,
            "reason": format!("{denial:?}"),
        })
    );
    let mut answer = refusal::refuse(denial, realm, request_id);
    let cors = realm.and_then(|realm| realm.cors.as_ref());
    answer.headers.extend(cors::response_headers(cors, client.origin.as_deref()));
    http::respond(&answer)
}

/// The answer to a preflight.
pub fn preflight(realm: &Realm, client: &Client, request_id: &str) -> Result<web_sys::Response> {
    let mut headers =
        cors::preflight_headers(realm.cors.as_ref(), client.origin.as_deref().unwrap_or_default());
    headers.push(("X-Request-Id", request_id.to_owned()));
    http::respond(&Answer { status: 204, headers, body: String::new() })
}

/// Tells the key's object of refusals, after the answer and not for each of them.
fn report(hash: String, env: &Env, context: &Context) {
    let refused = MEMORY.with(|memory| memory.borrow_mut().take_refused_if_due(&hash, stores::now()));
    if refused.is_empty() {
        return;
    }
    let env = env.clone();
    context.wait_until(async move {
        let call = KeyGateCall::Report { refused };
        if let Err(error) = stores::ask_key_gate::<serde_json::Value>(&env, &hash, &call).await {
            console_error!("{}", json!({ "event": "report lost", "error": error }));
        }
    });
}
