//! What the origin learns of who asks.

use keyward_policy::{Realm, scope};

use crate::{
    gate::{Identity, Permit},
    jwt::Claims,
};
use keyward_core::record::{Mode, Record};

/// The verified identity, as header fields.
pub fn headers(realm: &Realm, permit: &Permit, request_id: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Keyward-Request-Id", request_id.to_owned())];
    let mut add = |name, value: Option<&str>| {
        // A key of the policy's own need not have a tenant.
        if let Some(value) = value.filter(|value| !value.is_empty() || name == "Keyward-Scopes") {
            headers.push((name, value.to_owned()));
        }
    };
    let mut session_id = permit.session_id();
    match permit.identity() {
        Identity::Anybody | Identity::Anonymous | Identity::Sender => {}
        Identity::Key(record) => {
            let mode = match record.mode {
                Mode::Live => "live",
                Mode::Test => "test",
            };
            add("Keyward-Key-Id", Some(&record.id));
            add("Keyward-Tenant", Some(&record.tenant.id));
            add("Keyward-Subject", permit.token().map(|token| token.subject.as_str()));
            add("Keyward-Scopes", Some(&scopes_of_key(realm, record, permit.token())));
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

/// The scopes of a request with this key, and with a token beside it where a route asks for both: neither may do more through
/// the other than by itself.
pub fn scopes_of_key(realm: &Realm, record: &Record, token: Option<&Claims>) -> String {
    let Some(token) = token else { return record.scopes.join(" ") };
    let names = realm.scopes.iter().map(|scope| scope.name);
    let holds = |held: &[String], name: &str| scope::holds(realm.scopes, held, name);
    let both = names.filter(|name| holds(&record.scopes, name) && holds(&token.scopes, name));
    both.collect::<Vec<_>>().join(" ")
}
