//! A Registry over a real SQLite database, with coordinators and a KV of its own that can fail, called
//! as the edge calls it.

use std::{cell::RefCell, ops::Deref, rc::Rc};

use keyward_core::{
    secret::{Secret, Secrets},
    time::{Span, Timestamp},
};
use keyward_policy::{Policy, Realm};
use keyward_registry::{
    Outcome, Registry,
    admin_call::{AdminCall, AdminCredential},
    call::{self, Deployment},
    outbox::Outbox,
    publisher::Publisher,
};
use serde_json::{Value, json};

use crate::{
    Seeded,
    fake_registry_platform::{FakeRegistryPlatform, Object},
    policy::POLICY,
    secrets,
};

pub const SETUP_TOKEN: &str = "the-set-up-token-of-this-deployment";
pub const PASSWORD: &str = "correct horse battery";

pub struct RegistryFixture {
    platform: Rc<FakeRegistryPlatform>,
    pub publisher: Rc<Publisher>,
    pub secrets: Secrets,
    pub setup_token: Option<Secret>,
    pub recovery_token: Option<Secret>,
    pub policy: &'static Policy,
    pub address: RefCell<String>,
    entropy: RefCell<Seeded>,
}

impl Deref for RegistryFixture {
    type Target = FakeRegistryPlatform;

    fn deref(&self) -> &FakeRegistryPlatform {
        &self.platform
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The fields that it says are wrong.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    pub fn message(&self, field: &str) -> &str {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().find(|error| error["field"] == field).unwrap()["message"].as_str().unwrap()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.header("Content-Type"), Some("application/problem+json"));
    }

    /// Id of the key in it.
    pub fn key_id(&self) -> String {
        self.body["apiKey"]["id"].as_str().unwrap().to_owned()
    }

    pub fn plaintext(&self) -> String {
        self.body["plaintextKey"].as_str().unwrap().to_owned()
    }
}

/// The default policy, asking for no fresh password, with its realm changed.
pub fn policy_with(change: impl FnOnce(&mut Realm)) -> &'static Policy {
    let mut policy = *POLICY;
    let mut realm = POLICY.realms[0];
    change(&mut realm);
    policy.admin.step_up_roles = false;
    policy.realms = Box::leak(Box::new([realm]));
    Box::leak(Box::new(policy))
}

impl RegistryFixture {
    /// A Registry that nobody has set up.
    pub fn empty() -> Self {
        Self::over(policy_with(|_| {}))
    }

    pub fn over(policy: &'static Policy) -> Self {
        let platform = FakeRegistryPlatform::new(policy);
        let publisher = Publisher::new(Object(Rc::clone(&platform)));
        platform.run(publisher.open()).unwrap();
        Self {
            platform,
            publisher,
            secrets: secrets(),
            setup_token: Some(Secret::new(SETUP_TOKEN)),
            recovery_token: None,
            policy,
            address: RefCell::new("192.0.2.1".into()),
            entropy: RefCell::new(Seeded::new(7)),
        }
    }

    /// The object dies and wakes up again, perhaps with another policy.
    pub fn restart(&mut self, policy: &'static Policy) {
        self.crash();
        self.policy = policy;
        self.platform.policy.set(policy);
        self.publisher = Publisher::new(Object(Rc::clone(&self.platform)));
    }

    /// A Registry that was set up, and its owner's session token.
    pub fn open() -> (Self, String) {
        Self::open_over(policy_with(|_| {}))
    }

    pub fn open_over(policy: &'static Policy) -> (Self, String) {
        let fixture = Self::over(policy);
        let body = json!({"token": SETUP_TOKEN, "email": "owner@example.com", "password": PASSWORD});
        fixture.post("", "/setup", body).expect(201);
        let token = fixture.sign_in("owner@example.com");
        (fixture, token)
    }

    pub fn sign_in(&self, email: &str) -> String {
        let answer = self.post("", "/session", json!({"email": email, "password": PASSWORD})).expect(201);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    /// Adds a member to the tenant of `owner` and signs in: the session's token and the id.
    pub fn member(&self, owner: &str, email: &str, role: &str) -> (String, String) {
        let body = json!({"email": email, "role": role, "password": PASSWORD});
        let answer = self.post(owner, "/members", body).expect(201);
        (self.sign_in(email), answer.body["member"]["id"].as_str().unwrap().to_owned())
    }

    /// Adds a tenant with an owner: the owner's session token and the tenant's id.
    pub fn tenant(&self, operator: &str, name: &str) -> (String, String) {
        let email = format!("owner@{name}.example");
        let body = json!({"name": name, "owner": {"email": email, "password": PASSWORD}});
        let answer = self.post(operator, "/tenants", body).expect(201);
        (self.sign_in(&email), answer.body["tenant"]["id"].as_str().unwrap().to_owned())
    }

    /// Makes a key with these fields beside a name and `orders:read`.
    pub fn key(&self, token: &str, fields: Value) -> Answer {
        let mut body = json!({"name": "a key", "scopes": ["orders:read"]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.post(token, "/api-keys", body).expect(201)
    }

    pub fn later(&self, span: Span) {
        self.now.set(self.now.get() + span);
    }

    pub fn get(&self, token: &str, path: &str) -> Answer {
        self.send(self.call("GET", token, path, Value::Null))
    }

    pub fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(self.call("POST", token, path, body))
    }

    pub fn patch(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(self.call("PATCH", token, path, body))
    }

    pub fn delete(&self, token: &str, path: &str) -> Answer {
        self.send(self.call("DELETE", token, path, Value::Null))
    }

    /// `token`: a session token, nothing, `key:` and the id of an API key, or `setup:` and a token.
    pub fn call(&self, method: &str, token: &str, target: &str, body: Value) -> AdminCall {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let credential = match token.strip_prefix("key:") {
            Some(id) => AdminCredential::Key { record: self.record(id) },
            None if token.starts_with("setup:") => {
                AdminCredential::SetUp { token: token["setup:".len()..].into() }
            }
            None if token.is_empty() => AdminCredential::None,
            None => AdminCredential::Session { token: token.into() },
        };
        AdminCall {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            credential,
            if_match: None,
            idempotency_key: None,
            body: if body.is_null() { String::new() } else { body.to_string() },
            address: self.address.borrow().clone(),
            agent: None,
            origin: Some("https://gate.example".into()),
            token: None,
            request_id: "req-1".into(),
        }
    }

    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { db: &self.platform.db, policy: self.policy }
    }

    fn deployment(&self) -> Deployment<'_> {
        let (setup_token, recovery_token) = (self.setup_token.as_ref(), self.recovery_token.as_ref());
        Deployment { secrets: &self.secrets, setup_token, recovery_token }
    }

    pub fn registry(&self) -> Registry<'_> {
        let Deployment { secrets, setup_token, recovery_token } = self.deployment();
        let memory = &self.publisher.memory;
        Registry { db: &self.platform.db, policy: self.policy, secrets, setup_token, recovery_token, memory }
    }

    /// What was told in the log of what is nearly full.
    pub fn notices(&self) -> Vec<String> {
        let log = self.log.borrow();
        log.iter().filter_map(|line| line.strip_prefix("nearly full: ")).map(str::to_owned).collect()
    }

    /// The call's turns, and nothing after them.
    pub fn step(&self, call: &AdminCall) -> Outcome {
        let entropy = &mut *self.entropy.borrow_mut();
        let end = self.now.get() + call::DELIVERED_WITHIN;
        self.run(self.publisher.decide(call, self.deployment(), entropy, end))
    }

    /// A whole call.
    pub fn send(&self, call: AdminCall) -> Answer {
        let entropy = &mut *self.entropy.borrow_mut();
        let reply = self.run(self.publisher.answer(&call, self.deployment(), entropy));
        self.run_tasks();
        let body = serde_json::from_str(&reply.body).unwrap_or_default();
        Answer { status: reply.status, headers: reply.headers, text: reply.body, body }
    }

    /// Whole calls, all at the same time.
    pub fn send_at_once(&self, calls: &[AdminCall]) -> Vec<Answer> {
        let answers = calls.iter().enumerate().map(|(number, call)| async move {
            let mut entropy = Seeded::new(number as u64 + 1_000);
            let reply = self.publisher.answer(call, self.deployment(), &mut entropy).await;
            let body = serde_json::from_str(&reply.body).unwrap_or_default();
            Answer { status: reply.status, headers: reply.headers, text: reply.body, body }
        });
        self.run(futures_util::future::join_all(answers))
    }

    /// Lets time pass, with its alarms: what has begun goes on before the next one rings, and may set another.
    pub fn pass_with_alarms(&self, span: Span) {
        let end = self.now.get() + span;
        loop {
            self.run_tasks();
            let alarm = self.alarm.get().filter(|at| *at <= end);
            let stop = alarm.unwrap_or(end);
            if self.pass_to_next(Some(stop)) {
                continue;
            }
            self.now.set(stop.max(self.now.get()));
            if alarm.is_none() {
                return;
            }
            self.alarm.set(None);
            self.alarm();
        }
    }

    /// The alarm rings.
    pub fn alarm(&self) {
        self.run(self.publisher.alarm()).unwrap();
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.outbox().next_due().unwrap()
    }

    /// Everything that is stored, as text.
    pub fn dump(&self) -> String {
        self.db.dump()
    }
}
