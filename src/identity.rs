//! What the origin learns of a request that passed, and what it must never see from a client.

use crate::{
    gate::{Identity, Permit},
    record::Mode,
};

/// Every header whose name begins so is removed from what a client sends: only Keyward says it.
pub const PREFIX: &str = "keyward-";

/// Fields by which a client tells some origins to take the request for one with another method or
/// path than the gate has decided on.
pub const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// The verified identity, as header fields.
pub fn headers(permit: &Permit, request_id: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Keyward-Request-Id", request_id.to_owned())];
    if let Some(session) = permit.session_id() {
        headers.push(("Keyward-Session", session.to_owned()));
    }
    let record = match permit.identity() {
        Identity::Anybody => return headers,
        Identity::Key(record) => record,
    };
    let mode = match record.mode {
        Mode::Live => "live",
        Mode::Test => "test",
    };
    headers.push(("Keyward-Key-Id", record.id.clone()));
    // A key of the policy's own need not have one.
    if !record.tenant.id.is_empty() {
        headers.push(("Keyward-Tenant", record.tenant.id.clone()));
    }
    headers.push(("Keyward-Scopes", record.scopes.join(" ")));
    headers.push(("Keyward-Mode", mode.to_owned()));
    if let Some(plan) = &record.tenant.plan {
        headers.push(("Keyward-Plan", plan.clone()));
    }
    headers
}
