//! What a token says. Sent to origins, who decide by it: `docs/origin.md` describes every claim, and golden vectors pin them.

use keyward_policy::{IdentityToken, Realm};

use crate::{
    gate::{Identity, Permit},
    identity::scopes_of_key,
    jwt,
};
use keyward_core::record::{KeyKind, Mode, Record};

/// Room for usual claims.
const USUAL_BYTES: usize = 320;

/// What the token for whoever has this permit says, but for the times: a JSON object. A request of nobody's has
/// neither `sub` nor `tenant`: its token says only that it came through the gate.
pub fn claims(realm: &Realm, identity: &IdentityToken, permit: &Permit) -> String {
    let mut claims = Claims(String::with_capacity(USUAL_BYTES));
    claims.push("iss", identity.issuer);
    claims.push("aud", realm.id);
    match permit.identity() {
        Identity::Anybody | Identity::Anonymous => {}
        Identity::Sender => claims.push("by", "webhook"),
        Identity::Key(record) => of_key(&mut claims, realm, record, permit.token(), identity),
        Identity::Token(token) => {
            claims.push("sub", &token.subject);
            claims.push("by", "jwt");
            claims.push_known("tenant", token.tenant.as_deref());
            claims.push("scope", &token.scopes.join(" "));
        }
        Identity::Session(session) => {
            claims.push_known("sub", session.subject.as_deref());
            claims.push("by", "session");
            claims.push("tenant", &session.tenant.id);
            claims.push_known("plan", session.tenant.plan.as_deref());
        }
    }
    claims.0.push('}');
    claims.0
}

fn of_key(
    claims: &mut Claims,
    realm: &Realm,
    record: &Record,
    token: Option<&jwt::Claims>,
    identity: &IdentityToken,
) {
    claims.push("sub", &record.id);
    let by = match record.kind {
        KeyKind::Secret => "key",
        KeyKind::Publishable => "publishable",
    };
    claims.push("by", by);
    claims.push_known("user", token.map(|token| token.subject.as_str()));
    // A key of the policy's own need not have a tenant.
    claims.push_known("tenant", Some(record.tenant.id.as_str()).filter(|tenant| !tenant.is_empty()));
    claims.push_known("plan", record.tenant.plan.as_deref());
    claims.push("scope", &scopes_of_key(realm, record, token));
    let mode = match record.mode {
        Mode::Live => "live",
        Mode::Test => "test",
    };
    claims.push("mode", mode);
    // A record of before the policy named none may have some.
    if let Some(metadata) = record.metadata.as_ref().filter(|_| !identity.metadata.is_empty()) {
        claims.push_name("metadata");
        claims.0.push_str(metadata);
    }
}

/// A JSON object that is being written: each request has one, so it is not put together as a value first.
struct Claims(String);

impl Claims {
    fn push(&mut self, name: &str, value: &str) {
        self.push_name(name);
        // Text can always be written.
        self.0.push_str(&serde_json::to_string(value).unwrap_or_default());
    }

    fn push_known(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    fn push_name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}
