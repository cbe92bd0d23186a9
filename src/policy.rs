//! The deployment's policy, which the entry module hands over before anything else is called.

use std::sync::OnceLock;

use super::log::log;
use keyward_core::log::Event;
use keyward_gate::request;
use keyward_policy::{Policy, document};

/// `None` where it cannot be read.
static POLICY: OnceLock<Option<Policy>> = OnceLock::new();
static USUAL_HEADERS: OnceLock<Vec<&str>> = OnceLock::new();

/// Reads the policy from the document that `keyward check` wrote. Once in the life of an instance.
pub fn set(document: &str) {
    POLICY.get_or_init(|| {
        document::read(document)
            .inspect_err(|error| {
                log(&Event::PolicyUnreadable { error: &error.to_string() });
            })
            .ok()
    });
}

/// The policy, if there is one that can be read.
pub fn get() -> Option<&'static Policy> {
    POLICY.get().and_then(Option::as_ref)
}

/// As [`request::usual_headers`]. Once the policy is there, always the same.
pub fn usual_headers() -> &'static [&'static str] {
    USUAL_HEADERS.get_or_init(|| request::usual_headers(get()))
}
