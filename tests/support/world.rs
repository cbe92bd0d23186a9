//! The platform, natively: KV with its faults, KeyGates with the real core, a clock that tests move.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use keyward::{
    admission::{Admission, Incoming, Issuers},
    denial::Denial,
    key,
    key_gate::KeyGate,
    lease::Lessor,
    memory::Memory,
    pipeline::{Accepted, Caller, Pipeline, Refused, Stores, Unavailable},
    policy::{KeyRequirement, POLICY, Policy, Realm, Route},
    record::{Mode, Record},
    route::Target,
    secret::{Secret, Secrets},
    time::Timestamp,
    wire::{KeyGateCall, Redeem, Redeemed},
};
use serde::de::DeserializeOwned;

use super::{NOON, Seeded, secrets};

/// All that one isolate can see, and what it asked for.
pub struct World {
    pub kv: RefCell<BTreeMap<String, String>>,
    pub gates: RefCell<BTreeMap<String, KeyGate>>,
    pub kv_fails: Cell<bool>,
    pub gates_fail: Cell<bool>,
    /// How long the next answers of objects take, the last one first.
    pub slow_answers: Cell<Vec<i64>>,
    pub limited_addresses: RefCell<HashSet<String>>,
    pub clock: Cell<Timestamp>,
    pub asked: RefCell<Vec<String>>,
    /// What stands in the log about what is outside.
    pub noted: RefCell<Vec<String>>,
    pub memory: Rc<RefCell<Memory>>,
    pub secrets: Rc<Secrets>,
    /// What the Registry says of a link, once, by its hash.
    pub links: RefCell<BTreeMap<String, Redeemed>>,
    pub web: RefCell<BTreeMap<String, String>>,
    pub named_secrets: RefCell<BTreeMap<&'static str, &'static str>>,
    pub issuers: Rc<RefCell<Issuers>>,
}

pub const READ: KeyRequirement = KeyRequirement { scopes: &["orders:read"], ..KeyRequirement::ANY_KEY };
pub const CALLER: Caller<'static> =
    Caller { method: "GET", upgrades: false, address: Some("192.0.2.1"), origin: None, tenant: None };

impl World {
    pub fn new() -> Self {
        Self {
            kv: RefCell::default(),
            gates: RefCell::default(),
            kv_fails: Cell::new(false),
            gates_fail: Cell::new(false),
            slow_answers: Cell::default(),
            limited_addresses: RefCell::default(),
            clock: Cell::new(NOON),
            asked: RefCell::default(),
            noted: RefCell::default(),
            memory: Rc::default(),
            secrets: Rc::new(secrets()),
            links: RefCell::default(),
            web: RefCell::default(),
            named_secrets: RefCell::default(),
            issuers: Rc::default(),
        }
    }

    pub fn new_key(&self, seed: u64) -> Secret {
        key::generate(&POLICY.realms[0].key, "", Mode::Live, &self.secrets, &mut Seeded::new(seed))
    }

    pub fn hash(&self, key: &Secret) -> String {
        key::storage_hash(&POLICY.realms[0].key, &self.secrets, key.expose())
    }

    /// Tells the key's object, as the Registry does before it acknowledges a change.
    pub fn tell(&self, key: &Secret, record: &Record) {
        self.gates.borrow_mut().entry(self.hash(key)).or_default().tell(record.clone());
    }

    /// Publishes to KV, which may come any time later.
    pub fn publish(&self, key: &Secret, record: &Record) {
        self.kv.borrow_mut().insert(key::kv_key(&self.hash(key)), serde_json::to_string(record).unwrap());
    }

    pub fn pass_time(&self, milliseconds: i64) {
        self.clock.set(self.clock.get().plus(milliseconds));
    }

    /// What was asked of the stores since the last call.
    pub fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    pub fn check(&self, key: &Secret) -> Result<Accepted, Refused> {
        self.check_in(&POLICY.realms[0], key, CALLER)
    }

    pub fn check_anywhere(&self, policy: &Policy, key: &Secret) -> Result<Accepted, Refused> {
        now(self.pipeline().check_in_any_realm(policy, &READ, key, CALLER))
    }

    /// As the admin API checks one.
    pub fn check_for_admin_api(
        &self,
        policy: &Policy,
        key: &Secret,
        caller: Caller<'_>,
    ) -> Result<Accepted, Refused> {
        now(self.pipeline().check_in_any_realm(policy, &KeyRequirement::ANY_KEY, key, caller))
    }

    pub fn admit(
        &self,
        realm: &Realm,
        route: &Route,
        target: Target<'_>,
        caller: Caller<'_>,
        request: &Request<'_>,
    ) -> Result<Admission, Refused> {
        now(self.pipeline().admit(realm, route, target, caller, request))
    }

    fn pipeline(&self) -> Pipeline<'_, Self> {
        Pipeline {
            stores: self,
            memory: Rc::clone(&self.memory),
            issuers: Rc::clone(&self.issuers),
            secrets: Ok(Rc::clone(&self.secrets)),
        }
    }

    pub fn check_in(&self, realm: &Realm, key: &Secret, caller: Caller<'_>) -> Result<Accepted, Refused> {
        now(self.pipeline().check(realm, &READ, key, caller))
    }
}

/// A request that came in.
#[derive(Default)]
pub struct Request<'a> {
    pub fields: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Incoming for Request<'_> {
    fn header(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
    }

    async fn body(&self, most: usize) -> Result<Vec<u8>, Denial> {
        if self.body.len() <= most { Ok(self.body.to_vec()) } else { Err(Denial::BodyTooLarge) }
    }
}

impl Stores for World {
    async fn read(&self, kv_key: &str) -> Result<Option<String>, Unavailable> {
        self.asked.borrow_mut().push("KV".into());
        if self.kv_fails.get() { Err(Unavailable) } else { Ok(self.kv.borrow().get(kv_key).cloned()) }
    }

    async fn key_gate<T: DeserializeOwned>(
        &self,
        hash: &str,
        _: Lessor,
        call: &KeyGateCall,
    ) -> Result<T, Unavailable> {
        // Over the wire and back, as in the runtime.
        let call: KeyGateCall = serde_json::from_str(&serde_json::to_string(call).unwrap()).unwrap();
        let op = serde_json::to_value(&call).unwrap()["op"].as_str().unwrap().to_owned();
        self.asked.borrow_mut().push(format!("KeyGate {op}"));
        if self.gates_fail.get() {
            return Err(Unavailable);
        }
        let mut gates = self.gates.borrow_mut();
        let gate = gates.entry(hash.to_owned()).or_default();
        let (answer, _) = gate.answer(call, self.clock.get()).unwrap();
        let mut slow = self.slow_answers.take();
        self.pass_time(slow.pop().unwrap_or(0));
        self.slow_answers.set(slow);
        Ok(serde_json::from_str(&answer).unwrap())
    }

    async fn fails_too_often(&self, address: &str) -> bool {
        self.asked.borrow_mut().push("FAILURES".into());
        self.limited_addresses.borrow().contains(address)
    }

    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    async fn wait(&self, milliseconds: u32) {
        self.pass_time(milliseconds.into());
    }

    async fn redeem(&self, call: &Redeem) -> Result<Redeemed, Unavailable> {
        self.asked.borrow_mut().push("Registry redeem".into());
        self.links.borrow_mut().remove(&call.hash).ok_or(Unavailable)
    }

    async fn fetch(&self, url: &str) -> Result<String, String> {
        self.asked.borrow_mut().push(format!("GET {url}"));
        self.web.borrow().get(url).cloned().ok_or_else(|| "answered 500".to_owned())
    }

    fn note(&self, what: &str, reason: &str) {
        self.noted.borrow_mut().push(format!("{what}: {reason}"));
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.named_secrets.borrow().get(name).map(|text| Secret::new(*text))
    }
}

/// Runs a future that never has to wait.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the test's platform answers at once"),
    }
}
