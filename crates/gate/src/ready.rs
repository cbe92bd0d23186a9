//! Whether a deployment has what it needs to do its work: what `/readyz` answers. Anybody learns whether; which
//! part is at fault, the operator only.

use std::rc::Rc;

use keyward_policy::{JwtKeys, Policy, Requirement};
use serde_json::{Map, Value, json};

use crate::jwt::Keys;
use keyward_core::{
    secret::{self, Secret},
    time::{SECOND, Timestamp},
};

/// How long an isolate believes what it has found, so that asking often costs the stores nothing.
const FRESH_MS: i64 = 5 * SECOND;
/// A check that takes longer than this was ended by the runtime.
const MAX_CHECK_MS: i64 = 10 * SECOND;
/// How old what was found may be that is answered while a check runs.
const MAX_AGE_MS: i64 = FRESH_MS + MAX_CHECK_MS;

/// What was found: each part by its name, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    parts: Vec<(&'static str, Option<String>)>,
}

impl Readiness {
    /// Notes what is wrong with a part, or that nothing is.
    pub fn note(&mut self, part: &'static str, found: Result<(), String>) {
        self.parts.push((part, found.err()));
    }

    /// 200 if nothing is wrong, else 503.
    pub fn status(&self) -> u16 {
        if self.parts.iter().all(|(_, fault)| fault.is_none()) { 200 } else { 503 }
    }

    /// The answer's JSON; with `details` each part too.
    pub fn body(&self, details: bool) -> String {
        let status = if self.status() == 200 { "ok" } else { "unavailable" };
        let mut body = json!({ "status": status });
        if let (true, Some(body)) = (details, body.as_object_mut()) {
            let told = |fault: &Option<String>| Value::from(fault.as_deref().unwrap_or("ok"));
            let parts: Map<_, _> =
                self.parts.iter().map(|(part, it)| ((*part).to_owned(), told(it))).collect();
            body.insert("parts".to_owned(), Value::Object(parts));
        }
        body.to_string()
    }
}

/// Looks at every secret that the deployment and its policy need. `get` has a secret by its name.
///
/// # Errors
/// Which are missing or not fit to be one. Nothing of a secret is in it.
pub fn secrets(policy: &Policy, get: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let mut faults = Vec::new();
    match get("KEYWARD_SECRET") {
        None => faults.push("KEYWARD_SECRET is not set".to_owned()),
        Some(text) if !secret::is_fit(&text) => faults
            .push("KEYWARD_SECRET needs at least 32 characters, visible ASCII without a comma".to_owned()),
        Some(_) => {}
    }
    let previous = get("KEYWARD_SECRET_PREVIOUS").unwrap_or_default();
    if previous.split(',').map(str::trim).any(|text| !text.is_empty() && !secret::is_fit(text)) {
        faults.push("KEYWARD_SECRET_PREVIOUS has one that no key was made with: each has at least 32 characters, visible ASCII".to_owned());
    }
    for realm in policy.realms {
        if let Some(JwtKeys::Secret { name, form }) = realm.jwt.as_ref().map(|jwt| jwt.keys) {
            match get(name) {
                None => faults.push(format!("{name} is not set")),
                Some(text) => {
                    if let Err(error) = Keys::shared(&Secret::new(text), form) {
                        faults.push(format!("{name}: {error}"));
                    }
                }
            }
        }
        for route in realm.routes {
            let Requirement::Webhook(webhook) = route.requires else { continue };
            let name = webhook.secret;
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
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
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
    /// Says it, and notes that the caller checks if it is to. Whoever comes while somebody checks is answered what was
    /// found before, if that is not too old.
    pub fn look(&mut self, now: Timestamp) -> Look {
        let is_young = |since: &Timestamp, life: i64| (0..life).contains(&(now.0 - since.0));
        let is_checked = self.checking.as_ref().is_some_and(|since| is_young(since, MAX_CHECK_MS));
        if let Some((since, readiness)) = &self.known
            && is_young(since, if is_checked { MAX_AGE_MS } else { FRESH_MS })
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
