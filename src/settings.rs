//! The deployment's secrets and its randomness.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use worker::Env;

use keyward_core::{
    entropy::Entropy,
    secret::{NoSecret, Secret, Secrets, is_fit},
};
use keyward_gate::watch::{TIMING_SECRET, Watchers};
use keyward_registry::setup_token;

use super::bindings;

thread_local! {
    // A new deployment or a changed secret starts new isolates, so an isolate reads them once.
    static SECRETS: RefCell<Option<Rc<Secrets>>> = const { RefCell::new(None) };
    static WATCHERS: OnceCell<Watchers> = const { OnceCell::new() };
    static PROOFS: OnceCell<Rc<Proofs>> = const { OnceCell::new() };
}

/// The secrets of checks and hashes.
///
/// # Errors
/// As [`Secrets::of_deployment`].
pub fn secrets(env: &Env) -> Result<Rc<Secrets>, NoSecret> {
    if let Some(secrets) = SECRETS.with_borrow(Clone::clone) {
        return Ok(secrets);
    }
    let [current, previous] = ["KEYWARD_SECRET", "KEYWARD_SECRET_PREVIOUS"].map(|name| text(env, name));
    let secrets = Rc::new(Secrets::of_deployment(current.as_deref(), previous.as_deref())?);
    SECRETS.set(Some(Rc::clone(&secrets)));
    Ok(secrets)
}

/// Who is told of requests.
pub fn watchers(env: &Env) -> Watchers {
    let timing =
        || text(env, TIMING_SECRET).filter(|text| is_fit(text)).map(|text| Rc::new(Secret::new(text)));
    let watchers = || Watchers { timing: timing(), counts: bindings::has(env, bindings::ANALYTICS) };
    WATCHERS.with(|known| known.get_or_init(watchers).clone())
}

/// The token of set-up, if there is one.
pub fn setup_token(env: &Env) -> Option<Secret> {
    text(env, "KEYWARD_SETUP_TOKEN").map(Secret::new)
}

/// The token of recovery, if there is one.
pub fn recovery_token(env: &Env) -> Option<Secret> {
    text(env, "KEYWARD_RECOVERY_TOKEN").map(Secret::new)
}

/// The tokens of set-up and recovery where each proves who shows it: not if it can be guessed.
pub fn proofs(env: &Env) -> Rc<Proofs> {
    let fit = |token: Option<Secret>| token.filter(setup_token::is_fit_for_set_up);
    let proofs = || Rc::new(Proofs { setup: fit(setup_token(env)), recovery: fit(recovery_token(env)) });
    PROOFS.with(|known| Rc::clone(known.get_or_init(proofs)))
}

/// What [`proofs`] finds.
pub struct Proofs {
    /// The token of set-up.
    pub setup: Option<Secret>,
    /// The token of recovery.
    pub recovery: Option<Secret>,
}

/// A secret by its name; `None` when it is not there.
pub fn text(env: &Env, name: &str) -> Option<String> {
    env.secret(name).ok().map(|secret| secret.to_string()).filter(|text| !text.is_empty())
}

/// The platform's randomness (`crypto.getRandomValues`).
pub struct OsEntropy;

impl OsEntropy {
    /// Fills the whole buffer, or ends the request.
    pub fn fill_bytes(&self, buffer: &mut [u8]) {
        if getrandom::fill(buffer).is_err() {
            // Nothing may go on with bytes that are not random.
            wasm_bindgen::throw_str("the platform has no randomness");
        }
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.fill_bytes(buffer);
    }
}
