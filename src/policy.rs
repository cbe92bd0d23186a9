//! The deployment's policy, which the entry module hands over before anything else is called.

use std::sync::OnceLock;

use keyward_policy::{Policy, document};
use worker::console_error;

use keyward_gate::denial::Denial;

/// `None` where it cannot be read.
static POLICY: OnceLock<Option<Policy>> = OnceLock::new();

/// Reads the policy from the document that `keyward check` wrote. Once in the life of an instance.
pub fn set(document: &str) {
    POLICY.get_or_init(|| {
        document::read(document)
            .inspect_err(|error| {
                let error = error.to_string();
                console_error!("{}", serde_json::json!({ "event": "policy unreadable", "error": error }));
            })
            .ok()
    });
}

/// The policy.
///
/// # Errors
/// [`Denial::NotConfigured`]: nothing is decided without one.
pub fn get() -> Result<&'static Policy, Denial> {
    POLICY
        .get()
        .and_then(Option::as_ref)
        .ok_or(Denial::NotConfigured { what: "a policy that this version reads" })
}
