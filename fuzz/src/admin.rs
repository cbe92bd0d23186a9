//! Calls of the admin API, by an owner, from route and headers to what is stored.
//!
//! Input: calls, apart by lines of `---`; of each a line with method, path and query, one with `If-Match`, one with
//! `Idempotency-Key`, and the body. `$KEY` and `$MEMBER` stand for the ids of what there is.

use std::cell::Cell;

use keyward_core::{secret::Secret, sql::Sql};
use keyward_registry::{
    admin_call::{AdminCall, AdminCredential, AdminReply},
    call_state::CallState,
    dispatch::{Progress, Registry},
    freshness::Telling,
    memory::Memory,
    migrate,
};
use keyward_testing::Database;
use serde_json::{Value, json};

use crate::support::{Filled, NOW, Seeded, assert_sendable, lines, policy, secrets, shows, text};

const SETUP: &str = "the-set-up-token-of-this-deployment";
const PASSWORD: &str = "correct horse battery staple";
/// Calls of one input.
const MOST_CALLS: usize = 6;
/// Most bytes of an answer to what was sent here: of lists there is one page.
const MOST_ANSWERED: usize = 64 * 1024;

/// A Registry that was set up, with an owner who is signed in and a key.
struct RegistryFixture {
    db: Database,
    setup: Secret,
    session: String,
    key: String,
    member: String,
    calls: Cell<u64>,
}

thread_local! {
    static OFFICE: RegistryFixture = RegistryFixture::open();
}

pub fn run(data: &[u8]) {
    OFFICE.with(|fixture| {
        let text = Filled(&[("$KEY", &fixture.key), ("$MEMBER", &fixture.member)]).of(&text(data));
        // What an input writes is undone after it.
        let ran = fixture.db.attempt(&mut || {
            let memory = Memory::default();
            text.split("\n---\n").take(MOST_CALLS).for_each(|call| fixture.answers(call, &memory));
            fixture.is_in_order();
            false
        });
        ran.expect("the database works");
    });
}

impl RegistryFixture {
    fn open() -> Self {
        let db = Database::new();
        migrate(&db).expect("the schema is right");
        let [session, key, member] = Default::default();
        let mut fixture = Self { db, setup: Secret::new(SETUP), session, key, member, calls: Cell::new(0) };
        let memory = Memory::default();
        let person = json!({ "token": SETUP, "email": "ada@example.com", "password": PASSWORD });
        let made = fixture.call("POST", "/setup", AdminCredential::None, &person.to_string());
        fixture.reply(&made, &memory);
        let person = json!({ "email": "ada@example.com", "password": PASSWORD }).to_string();
        let signed_in =
            fixture.reply(&fixture.call("POST", "/session", AdminCredential::None, &person), &memory);
        let body: Value = serde_json::from_str(&signed_in.body).expect("an answer is JSON");
        fixture.session = body["token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        fixture.member = body["member"]["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        let key = json!({ "name": "a key", "realm": "shop", "scopes": ["orders:read"] }).to_string();
        let made = fixture.reply(&fixture.call("POST", "/api-keys", fixture.owner(), &key), &memory);
        let body: Value = serde_json::from_str(&made.body).expect("an answer is JSON");
        fixture.key = body["apiKey"]["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        fixture
    }

    fn owner(&self) -> AdminCredential {
        AdminCredential::Session { token: self.session.clone() }
    }

    fn call(&self, method: &str, target: &str, credential: AdminCredential, body: &str) -> AdminCall {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        AdminCall {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            credential,
            token: None,
            if_match: None,
            idempotency_key: None,
            body: body.to_owned(),
            address: "192.0.2.1".to_owned(),
            agent: None,
            origin: None,
            request_id: "0123".to_owned(),
        }
    }

    /// Carries a call out, as the object does.
    fn reply(&self, call: &AdminCall, memory: &Memory) -> AdminReply {
        let registry = Registry {
            db: &self.db,
            policy: policy(),
            secrets: secrets(),
            setup_token: Some(&self.setup),
            recovery_token: None,
            memory,
        };
        self.calls.set(self.calls.get() + 1);
        let mut entropy = Seeded(self.calls.get() << 32);
        let mut state = CallState::default();
        loop {
            match registry.handle(call, &state, NOW, &mut entropy) {
                // Any password is the right one: whether it is, is not what is looked at here.
                Progress::Derive(job) => state.derived.push(job.done([7; 32])),
                Progress::Verify(_) => state.verified = Some(true),
                Progress::Tell(created) => state.introduced = Some(created.introduced(true)),
                Progress::Wait(rate_limited) => {
                    state.waits += 1;
                    state.rate_limited = rate_limited;
                    assert!(state.waits < 1_000, "it waits without end");
                }
                Progress::Done(outcome) => {
                    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
                    return outcome.reply(Telling { at: NOW, pending: 0 }, &call.request_id);
                }
            }
        }
    }

    /// Whatever is sent is answered, in bounds, and without what is secret.
    fn answers(&self, text: &str, memory: &Memory) {
        let ([head, if_match, idempotency_key], body) = lines(text);
        let (method, target) = head.split_once(' ').unwrap_or((head, "/"));
        let mut call = self.call(method, target, self.owner(), body);
        call.if_match = Some(if_match).filter(|text| !text.is_empty()).map(str::to_owned);
        call.idempotency_key = Some(idempotency_key).filter(|text| !text.is_empty()).map(str::to_owned);
        let reply = self.reply(&call, memory);
        assert!(matches!(reply.status, 200..=299 | 400..=499), "{}: {}", reply.status, reply.body);
        assert!(reply.body.len() <= MOST_ANSWERED, "{} bytes", reply.body.len());
        assert_sendable(reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let told: Value = if reply.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&reply.body).expect("an answer is JSON")
        };
        let sent: Value = serde_json::from_str(body).unwrap_or_default();
        if reply.status >= 400 {
            assert!(told["code"].is_string() && told["detail"].is_string(), "{told}");
            assert!(!reply.body.contains(&self.session));
            for name in ["password", "token", "currentPassword"] {
                let Some(secret) = sent[name].as_str().filter(|secret| secret.len() > 20) else { continue };
                let of_another = |other: &str| {
                    let body = body.replacen(secret, other, 1);
                    self.reply(&AdminCall { body, ..call.clone() }, memory).body
                };
                assert!(
                    body.matches(secret).count() > 1
                        || !reply.body.contains(secret)
                        || !shows(secret, of_another),
                    "{secret} shows: {told}"
                );
            }
        } else if method == "POST" && target == "/api-keys" {
            assert!(told["plaintextKey"].is_string(), "{told}");
            for field in ["name", "scopes"] {
                assert!(!told["apiKey"][field].is_null(), "{told}");
            }
        }
    }

    /// Whatever was done, the audit is a whole chain, and what is listed can be read.
    fn is_in_order(&self) {
        let memory = Memory::default();
        for target in ["/api-keys?limit=100", "/audit/verify", "/members"] {
            let reply = self.reply(&self.call("GET", target, self.owner(), ""), &memory);
            // The owner may have signed out, or changed.
            assert!(matches!(reply.status, 200 | 401 | 403), "{target}: {}", reply.body);
            assert!(!reply.body.contains("\"ok\":false"), "{}", reply.body);
        }
    }
}
