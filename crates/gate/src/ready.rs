//! Whether a deployment has what it needs to do its work: what `/readyz` answers. Anybody learns whether; which
//! part is at fault, the operator only.

use std::{cell::RefCell, rc::Rc};

use futures_util::future::join3;
use keyward_policy::{JwtKeys, Origin, Policy, Requirement};
use serde_json::{Map, Value, json};

use crate::{
    deadline::LOOK_AGAIN, denial::COME_BACK, identity_token::keys, jwt::Keys, platform::Platform,
    refusal::Answer, watch::TIMING_SECRET,
};
use keyward_core::{
    foreign_text,
    jurisdiction::{MARKER, Marker},
    log::Event,
    order,
    registry_call::RegistryHealth,
    secret::{self, FIT, NoSecret, Secret},
    time::{self, Span, Timestamp},
    unavailable::CallFailed,
};
use keyward_limits::{
    lease::Grantor,
    wire::{CoordinatorCall, GetReply},
};

/// A name that no key has: an object of this name keeps nothing of the question.
const NOBODY: &str = "readyz";
/// A part that takes longer than this has failed.
const PART_WITHIN: Span = Span::from_secs(5);
/// How often at most: longer than stores are waited for.
const MAX_LOOKS: usize = 120;
/// Bindings whose objects are not asked here.
const BINDINGS: [(&str, &str); 3] = [("relay", "RELAY"), ("failures", "FAILURES"), ("page", "ADMIN")];

/// How long an isolate believes what it has found, so that asking often costs the stores nothing.
const FRESH: Span = Span::from_secs(5);
/// A check that takes longer than this was ended by the runtime.
const MAX_CHECK: Span = Span::from_secs(10);
/// How old what was found may be that is answered while a check runs.
const MAX_AGE: Span = FRESH.plus(MAX_CHECK);

/// What was found: each part by its name, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    parts: Vec<(&'static str, Option<String>)>,
}

impl Readiness {
    /// Notes what is wrong with a part; `None` if nothing is.
    pub fn note(&mut self, part: &'static str, fault: Option<String>) {
        self.parts.push((part, fault.map(|fault| foreign_text::shown(&fault).into_owned())));
    }

    /// 200 if nothing is wrong, else 503.
    pub fn status(&self) -> u16 {
        if self.parts.iter().all(|(_, fault)| fault.is_none()) { 200 } else { 503 }
    }

    /// The answer's JSON; with `details` each part and the gate's version too.
    pub fn body(&self, details: bool) -> String {
        let status = if self.status() == 200 { "ok" } else { "unavailable" };
        let mut body = json!({ "status": status });
        if let (true, Some(body)) = (details, body.as_object_mut()) {
            let told = |fault: &Option<String>| Value::from(fault.as_deref().unwrap_or("ok"));
            let parts: Map<_, _> =
                self.parts.iter().map(|(part, it)| ((*part).to_owned(), told(it))).collect();
            body.insert("parts".to_owned(), Value::Object(parts));
            body.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        }
        body.to_string()
    }
}

/// Looks at every secret that the deployment and its policy need: which are missing or not fit to be one, if any are.
/// Nothing of a secret is in it. `get` has a secret by its name.
pub fn secrets(policy: &Policy, get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut faults = Vec::new();
    let own = NoSecret::NAME;
    match get(own) {
        None => faults.push(format!("{own} is not set")),
        Some(text) if !secret::is_fit(&text) => faults.push(format!("{own} is not fit: it needs {FIT}")),
        Some(_) => {}
    }
    let previous = get("KEYWARD_SECRET_PREVIOUS").unwrap_or_default();
    if previous.split(',').map(str::trim).any(|text| !text.is_empty() && !secret::is_fit(text)) {
        faults.push(format!("KEYWARD_SECRET_PREVIOUS has one that no key was made with: each has {FIT}"));
    }
    if get(TIMING_SECRET).is_some_and(|text| !secret::is_fit(&text)) {
        faults.push(format!("{TIMING_SECRET} is not fit: it needs {FIT}"));
    }
    let client_secret = policy.admin.sign_in.and_then(|sign_in| sign_in.code?.client_secret);
    // What is wrong with one that signs events, the endpoint's state says.
    let of_events = policy.admin.events.iter().flat_map(|endpoint| endpoint.secrets.iter().copied());
    let named = client_secret.into_iter().chain(of_events);
    faults.extend(named.filter(|name| get(name).is_none()).map(|name| format!("{name} is not set")));
    let sign_in = policy.admin.sign_in.map(|sign_in| sign_in.jwt);
    for jwt in policy.realms.iter().flat_map(|realm| realm.issuers().copied()).chain(sign_in) {
        let JwtKeys::Secret { name, form } = jwt.keys else { continue };
        match get(name) {
            None => faults.push(format!("{name} is not set")),
            Some(text) => {
                if let Err(error) = Keys::shared(&Secret::new(text), form) {
                    faults.push(format!("{name}: {error}"));
                }
            }
        }
    }
    for realm in policy.realms {
        for route in realm.routes {
            let Requirement::Webhook(webhook) = route.requires else { continue };
            for name in webhook.secrets() {
                match get(name) {
                    None => faults.push(format!("{name} is not set")),
                    Some(text)
                        if Secret::new(&*text).key(webhook.secret_form).is_none_or(|key| key.is_empty()) =>
                    {
                        faults.push(format!("{name} is not in the form that the policy says"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    if policy.realms.iter().any(|realm| realm.identity.is_some()) {
        keys::note_unfit(&mut faults, &get);
    }
    let faults = order::distinct(faults);
    (!faults.is_empty()).then(|| faults.join("; "))
}

/// What this isolate, or another request of it, has found, or that no check came to its end. `check` is [`check`], and
/// must go on when the one who asked hangs up: others wait for it.
pub async fn find<P: Platform>(
    platform: &P,
    cache: &RefCell<Cache>,
    check: impl AsyncFnOnce() -> Rc<Readiness>,
) -> Rc<Readiness> {
    for _ in 0..MAX_LOOKS {
        let look = cache.borrow_mut().look(platform.now());
        match look {
            Look::Known(readiness) => return readiness,
            Look::Check => return check().await,
            Look::Wait => platform.wait(LOOK_AGAIN).await,
        }
    }
    let mut found = Readiness::default();
    found.note("check", Some("does not come to its end".to_owned()));
    log(platform, &found);
    Rc::new(found)
}

fn log<P: Platform>(platform: &P, found: &Readiness) {
    platform.log(&Event::NotReady { found: &found.body(true) });
}

/// Asks all parts, and keeps what was found.
pub async fn check<P: Platform>(policy: &Policy, platform: &P, cache: &RefCell<Cache>) -> Rc<Readiness> {
    let found = look_at_all(policy, platform).await;
    if found.status() != 200 {
        log(platform, &found);
    }
    cache.borrow_mut().found(found, platform.now())
}

async fn look_at_all<P: Platform>(policy: &Policy, platform: &P) -> Readiness {
    let kv = platform.read(MARKER, PART_WITHIN);
    let coordinator =
        platform.coordinator::<GetReply>(NOBODY, Grantor::Coordinator, &CoordinatorCall::Get, PART_WITHIN);
    let registry = platform.registry_health(PART_WITHIN);
    let (kv, coordinator, registry) = join3(kv, coordinator, registry).await;
    let (registry, set_up) = match registry {
        Ok(RegistryHealth { fault, set_up }) => (fault, set_up),
        // One of an older build, which answers.
        Err(CallFailed::Status(404)) => (None, None),
        Err(error) => (Some(error.to_string()), None),
    };
    let mut found = Readiness::default();
    let secret = |name: &str| platform.secret(name).map(|secret| secret.expose().to_owned());
    found.note("secrets", secrets(policy, secret).or(set_up));
    let (kv, misplaced) = match kv {
        Ok(marker) => (None, Marker::check(marker.as_deref(), policy.jurisdiction).err()),
        Err(error) => (Some(error.to_string()), None),
    };
    found.note("kv", kv);
    found.note("jurisdiction", misplaced.map(|error| error.to_string()));
    found.note("keyGate", coordinator.err().map(|error| error.to_string()));
    found.note("registry", registry);
    let unbound =
        |name: &str| (!platform.has_binding(name)).then(|| format!("the binding {name} is missing"));
    for (part, name) in BINDINGS {
        found.note(part, unbound(name));
    }
    let origins = policy.realms.iter().find_map(|realm| match realm.origin {
        Origin::Binding(name) => unbound(name),
        Origin::Handler(name) if !platform.has_handler(name) => {
            Some(format!("the handler {name} is missing: the entry module gives keyward none"))
        }
        Origin::Handler(_) | Origin::Url(_) => None,
    });
    found.note("origins", origins);
    let mut limits = policy.realms.iter().flat_map(|realm| realm.routes).filter_map(|it| it.limit_by_network);
    let no_limiter = limits.find(|limit| !platform.has_limiter(limit.binding));
    found.note(
        "limitsByNetwork",
        no_limiter.map(|limit| format!("{} is no binding of a limiter", limit.binding)),
    );
    found
}

/// The answer to a request for it. `is_operator` tells whether it comes from one: only if it matters.
pub async fn answer(
    method: &str,
    find: impl AsyncFnOnce() -> Rc<Readiness>,
    is_operator: impl AsyncFnOnce() -> bool,
) -> Answer {
    if !matches!(method, "GET" | "HEAD") {
        return Answer::method_not_allowed();
    }
    let readiness = find().await;
    let status = readiness.status();
    let mut headers = Answer::uncached_json();
    if status != 200 {
        headers.push(("Retry-After", time::retry_after(COME_BACK).to_string()));
    }
    let body = if method == "HEAD" { String::new() } else { readiness.body(is_operator().await) };
    Answer { status, headers, body }
}

/// What an isolate has found, and whether it is looking.
#[derive(Debug, Default)]
pub struct Cache {
    known: Option<(Timestamp, Rc<Readiness>)>,
    checking: Option<Timestamp>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Answer this.
    Known(Rc<Readiness>),
    /// Check, and tell [`Cache::found`].
    Check,
    /// Look again in a moment: another request is checking.
    Wait,
}

impl Cache {
    /// Returns what to do. [`Look::Check`] makes the caller the checker. While it checks, others get the last result, if
    /// that is younger than `MAX_AGE`.
    pub fn look(&mut self, now: Timestamp) -> Look {
        let is_checked = self.checking.as_ref().is_some_and(|since| since.is_within(MAX_CHECK, now));
        if let Some((since, readiness)) = &self.known
            && since.is_within(if is_checked { MAX_AGE } else { FRESH }, now)
        {
            return Look::Known(Rc::clone(readiness));
        }
        if is_checked {
            return Look::Wait;
        }
        self.checking = Some(now);
        Look::Check
    }

    /// Takes in what was found.
    pub fn found(&mut self, readiness: Readiness, now: Timestamp) -> Rc<Readiness> {
        let readiness = Rc::new(readiness);
        self.known = Some((now, Rc::clone(&readiness)));
        self.checking = None;
        readiness
    }
}
