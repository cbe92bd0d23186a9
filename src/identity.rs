//! What the origin learns of a request that passed, and what it must never see from a client.

use keyward_policy::Realm;

use crate::{
    gate::{Identity, Permit},
    record::Mode,
    registry::front::SESSION_COOKIE,
};

/// Every header whose name begins so is removed from what a client sends: only Keyward says it.
pub const PREFIX: &str = "keyward-";

/// Fields by which a client tells some origins to take the request for one with another method or
/// path than the gate has decided on.
pub const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Header fields of a client that the origin does not get: those that credentials stand in, but for a token's
/// that was found to be in order where the policy says so, and [`OVERRIDES`].
pub fn removed(realm: &Realm, permit: &Permit) -> Vec<&'static str> {
    let by_token = matches!(permit.identity(), Identity::Token(_));
    let stays = |header: &str| {
        let mut same = realm.credentials.iter().filter(|source| source.header == header);
        by_token && same.all(|source| source.forward)
    };
    let credentials = realm.credentials.iter().map(|source| source.header).filter(|header| !stays(header));
    credentials.chain(OVERRIDES).collect()
}

/// Cookies of the gate's own, which the origin does not get.
pub fn removed_cookies(realm: &Realm) -> Vec<&'static str> {
    realm.link.iter().map(|link| link.cookie).chain([SESSION_COOKIE]).collect()
}

/// Header fields by whose value answers differ, so that caches tell apart who may see what.
pub fn vary(realm: &Realm, permit: &Permit) -> Vec<&'static str> {
    if *permit.identity() == Identity::Anybody {
        return Vec::new();
    }
    let cookie = realm.link.map(|_| "cookie");
    realm.credentials.iter().map(|source| source.header).chain(cookie).collect()
}

/// The verified identity, as header fields.
pub fn headers(permit: &Permit, request_id: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Keyward-Request-Id", request_id.to_owned())];
    let mut add = |name, value: Option<&str>| {
        // A key of the policy's own need not have a tenant.
        if let Some(value) = value.filter(|value| !value.is_empty() || name == "Keyward-Scopes") {
            headers.push((name, value.to_owned()));
        }
    };
    let mut session_id = permit.session_id();
    match permit.identity() {
        Identity::Anybody | Identity::Sender => {}
        Identity::Key(record) => {
            let mode = match record.mode {
                Mode::Live => "live",
                Mode::Test => "test",
            };
            add("Keyward-Key-Id", Some(&record.id));
            add("Keyward-Tenant", Some(&record.tenant.id));
            add("Keyward-Scopes", Some(&record.scopes.join(" ")));
            add("Keyward-Mode", Some(mode));
            add("Keyward-Plan", record.tenant.plan.as_deref());
        }
        Identity::Token(claims) => {
            add("Keyward-Subject", Some(&claims.subject));
            add("Keyward-Tenant", claims.tenant.as_deref());
            add("Keyward-Scopes", Some(&claims.scopes.join(" ")));
        }
        Identity::Session(session) => {
            add("Keyward-Subject", session.subject.as_deref());
            add("Keyward-Tenant", Some(&session.tenant.id));
            add("Keyward-Plan", session.tenant.plan.as_deref());
            session_id = session_id.or(session.session_id.as_deref());
        }
    }
    add("Keyward-Session", session_id);
    headers
}
