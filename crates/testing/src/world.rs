//! The platform, natively: KV, coordinators and relays with the real cores, each with its faults, and a clock that tests
//! move and that waiting moves.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use keyward_core::{
    key,
    link::{Redeem, Redeemed},
    record::{Mode, Record},
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    time::Timestamp,
    unavailable::Unavailable,
};
use keyward_gate::{
    admission::{Admission, RequestParts},
    client_info::ClientInfo,
    deadline::Deadline,
    denial::Denial,
    jwt::Issuers,
    memory::Memory,
    pipeline::{Accepted, Pipeline, Refused},
    stores::Stores,
};
use keyward_limits::{
    coordinator::Coordinator,
    lease::Grantor,
    relay::Relay,
    wire::{Acquire, CoordinatorCall},
};
use keyward_policy::{KeyRequirement, Policy, Realm, Route};
use serde::de::DeserializeOwned;

use crate::{NOON, Seeded, policy::POLICY, secrets};

/// What is wrong with something that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails at once.
    Fails,
    /// It never answers.
    Hangs,
    /// Milliseconds until it answers.
    Slow(i64),
    /// It answers this, whatever it was asked.
    Says(&'static str),
}

/// All that one isolate can see, and what it asked for.
pub struct World {
    pub kv: RefCell<BTreeMap<String, String>>,
    pub gates: RefCell<BTreeMap<String, Coordinator>>,
    pub relays: RefCell<BTreeMap<String, Relay>>,
    pub kv_fault: Cell<Option<Fault>>,
    pub gate_fault: Cell<Option<Fault>>,
    /// Objects of other keys than of these hashes are well, if any are named.
    pub faulty: RefCell<HashSet<String>>,
    pub relay_fault: Cell<Option<Fault>>,
    pub limiter_fault: Cell<Option<Fault>>,
    pub registry_fault: Cell<Option<Fault>>,
    pub issuer_fault: Cell<Option<Fault>>,
    /// How long the next answers of objects take, the last one first.
    pub slow_answers: Cell<Vec<i64>>,
    pub limited_addresses: RefCell<HashSet<String>>,
    /// After so many failures of a network the limiter says that they are too many.
    pub most_failures: Cell<Option<u32>>,
    failures: RefCell<BTreeMap<String, u32>>,
    pub clock: Cell<Timestamp>,
    pub asked: RefCell<Vec<String>>,
    /// What happens while an object is asked this, and waited for so many milliseconds.
    pub meanwhile: RefCell<Option<Box<Meanwhile>>>,
    /// What stands in the log about what is outside.
    pub noted: RefCell<Vec<String>>,
    pub memory: Rc<RefCell<Memory>>,
    pub secrets: Rc<Secrets>,
    /// What the Registry says of a link, by its hash. One that was granted is used from then on.
    pub links: RefCell<BTreeMap<String, Redeemed>>,
    pub web: RefCell<BTreeMap<String, String>>,
    pub named_secrets: RefCell<BTreeMap<&'static str, &'static str>>,
    pub issuers: Rc<Issuers>,
}

pub const READ: KeyRequirement = KeyRequirement { scopes: &["orders:read"], ..KeyRequirement::ANY_KEY };
pub const CALLER: ClientInfo<'static> =
    ClientInfo { method: "GET", upgrades: false, address: Some("192.0.2.1"), origin: None, tenant: None };

pub type Meanwhile = dyn Fn(&World, &CoordinatorCall, u32);

impl World {
    pub fn new() -> Self {
        Self {
            kv: RefCell::default(),
            gates: RefCell::default(),
            relays: RefCell::default(),
            kv_fault: Cell::default(),
            gate_fault: Cell::default(),
            faulty: RefCell::default(),
            relay_fault: Cell::default(),
            limiter_fault: Cell::default(),
            registry_fault: Cell::default(),
            issuer_fault: Cell::default(),
            slow_answers: Cell::default(),
            limited_addresses: RefCell::default(),
            most_failures: Cell::default(),
            failures: RefCell::default(),
            clock: Cell::new(NOON),
            asked: RefCell::default(),
            meanwhile: RefCell::default(),
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
        self.gates.borrow_mut().entry(self.hash(key)).or_default().put(record.clone());
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
        now(self.pipeline(&policy.realms[0]).check_in_any_realm(policy, &READ, key, CALLER))
    }

    /// As the admin API checks one.
    pub fn check_for_admin_api(
        &self,
        policy: &Policy,
        key: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        now(self.pipeline(&policy.realms[0]).check_in_any_realm(
            policy,
            &KeyRequirement::ANY_KEY,
            key,
            caller,
        ))
    }

    pub fn admit(
        &self,
        realm: &Realm,
        route: &Route,
        target: RequestTarget<'_>,
        caller: ClientInfo<'_>,
        request: &Request<'_>,
    ) -> Result<Admission, Refused> {
        now(self.pipeline(realm).admit(realm, route, target, caller, request))
    }

    /// What is to be done after an answer, and after that, until nothing is left to do.
    pub fn do_chores(&self, accepted: &Accepted) {
        let mut next = accepted.background.clone();
        while let Some(background) = next {
            next = now(self.pipeline(&POLICY.realms[0]).run_background(background));
        }
    }

    /// Makes the key's object believe in a crowd, so that it sends who asks to relays.
    pub fn gather(&self, key: &Secret) {
        let mut gates = self.gates.borrow_mut();
        let gate = gates.get_mut(&self.hash(key)).unwrap();
        let version = gate.record.as_ref().unwrap().version;
        for client_id in 1..=200 {
            gate.acquire(&Acquire { version, client_id, ..Acquire::default() }, self.clock.get());
        }
    }

    /// What a fault makes of a call: it fails, or this is said instead of the answer.
    fn suffer(&self, fault: Option<Fault>, within_ms: u32) -> Result<Option<&'static str>, Unavailable> {
        assert!(within_ms > 0, "asked for an answer within no time");
        let within = i64::from(within_ms);
        match fault {
            None => Ok(None),
            Some(Fault::Fails) => Err(Unavailable),
            Some(Fault::Says(text)) => Ok(Some(text)),
            Some(Fault::Slow(milliseconds)) if milliseconds <= within => {
                self.pass_time(milliseconds);
                Ok(None)
            }
            Some(Fault::Slow(_) | Fault::Hangs) => {
                self.pass_time(within);
                Err(Unavailable)
            }
        }
    }

    /// What a relay answers.
    fn relay(&self, hash: &str, call: CoordinatorCall) -> Result<String, Unavailable> {
        let mut relays = self.relays.borrow_mut();
        let relay = relays.entry(hash.to_owned()).or_insert_with(|| Relay::new(1));
        let now = self.clock.get();
        match call {
            CoordinatorCall::Acquire(take) => {
                relay.ingest(&take, now);
                let mut taken = relay.answer(&take, now);
                if taken.is_none() {
                    let ask = relay.ask(take.version, u32::from(take.immediate), now);
                    let asked = self.gates.borrow_mut().get_mut(hash).ok_or(Unavailable)?.acquire(&ask, now);
                    relay.answered(&ask, Some(&asked), now, now);
                    taken = relay.answer(&take, now);
                }
                Ok(serde_json::to_string(&taken.ok_or(Unavailable)?).unwrap())
            }
            CoordinatorCall::Report { refused, leases, tally } => {
                relay.note(&refused, &leases, tally.as_ref(), now);
                Ok("{}".to_owned())
            }
            _ => Err(Unavailable),
        }
    }

    fn pipeline(&self, realm: &Realm) -> Pipeline<'_, Self> {
        Pipeline {
            stores: self,
            memory: Rc::clone(&self.memory),
            issuers: Rc::clone(&self.issuers),
            secrets: Ok(Rc::clone(&self.secrets)),
            deadline: Deadline::within(realm.decision_timeout_ms, self.clock.get()),
        }
    }

    pub fn check_in(&self, realm: &Realm, key: &Secret, caller: ClientInfo<'_>) -> Result<Accepted, Refused> {
        self.check_for(realm, &READ, key, caller)
    }

    pub fn check_for(
        &self,
        realm: &Realm,
        requirement: &KeyRequirement,
        key: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        now(self.pipeline(realm).check(realm, requirement, key, caller))
    }
}

/// A request that came in.
#[derive(Default)]
pub struct Request<'a> {
    pub fields: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// Why the body cannot be read, if it cannot.
    pub fault: Option<Denial>,
    /// How often the body was asked for.
    pub read: Cell<usize>,
    /// For how long it was waited at most, in milliseconds.
    pub read_within: Cell<i64>,
}

impl RequestParts for Request<'_> {
    fn header(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
    }

    async fn body(&self, most: usize, within_ms: i64, mut see: impl FnMut(&[u8])) -> Result<(), Denial> {
        self.read.set(self.read.get() + 1);
        self.read_within.set(within_ms);
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.body.len() > most {
            return Err(Denial::BodyTooLarge);
        }
        self.body.chunks(7).for_each(&mut see);
        Ok(())
    }
}

impl Stores for World {
    async fn read(&self, kv_key: &str, within_ms: u32) -> Result<Option<String>, Unavailable> {
        self.asked.borrow_mut().push("KV".into());
        let said = self.suffer(self.kv_fault.get(), within_ms)?;
        Ok(said.map(str::to_owned).or_else(|| self.kv.borrow().get(kv_key).cloned()))
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within_ms: u32,
    ) -> Result<T, Unavailable> {
        // Over the wire and back, as in the runtime.
        let call: CoordinatorCall = serde_json::from_str(&serde_json::to_string(call).unwrap()).unwrap();
        let op = serde_json::to_value(&call).unwrap()["op"].as_str().unwrap().to_owned();
        self.asked.borrow_mut().push(format!("{grantor:?} {op}"));
        if let Some(meanwhile) = &*self.meanwhile.borrow() {
            meanwhile(self, &call, within_ms);
        }
        let faulty = self.faulty.borrow();
        let fault = match grantor {
            Grantor::Relay => self.relay_fault.get(),
            Grantor::Coordinator => {
                self.gate_fault.get().filter(|_| faulty.is_empty() || faulty.contains(hash))
            }
        };
        if let Some(said) = self.suffer(fault, within_ms)? {
            return serde_json::from_str(said).map_err(|_| Unavailable);
        }
        let answer = match grantor {
            Grantor::Relay => self.relay(hash, call)?,
            Grantor::Coordinator => {
                let mut gates = self.gates.borrow_mut();
                gates.entry(hash.to_owned()).or_default().answer(call, self.clock.get()).unwrap().0
            }
        };
        let mut slow = self.slow_answers.take();
        let takes = slow.pop().unwrap_or(0);
        self.slow_answers.set(slow);
        self.suffer(Some(Fault::Slow(takes)), within_ms)?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    async fn fails_too_often(&self, address: &str, within_ms: u32) -> Result<bool, Unavailable> {
        self.asked.borrow_mut().push("FAILURES".into());
        match self.suffer(self.limiter_fault.get(), within_ms)? {
            Some(_) => Err(Unavailable),
            None => {
                let mut failures = self.failures.borrow_mut();
                let count = failures.entry(address.to_owned()).or_default();
                *count += 1;
                let too_many = self.most_failures.get().is_some_and(|most| *count > most);
                Ok(too_many || self.limited_addresses.borrow().contains(address))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    async fn wait(&self, milliseconds: u32) {
        self.pass_time(milliseconds.into());
    }

    async fn redeem(&self, call: &Redeem, within_ms: u32) -> Result<Redeemed, Unavailable> {
        self.asked.borrow_mut().push("Registry redeem".into());
        if let Some(said) = self.suffer(self.registry_fault.get(), within_ms)? {
            return serde_json::from_str(said).map_err(|_| Unavailable);
        }
        let mut links = self.links.borrow_mut();
        let link = links.get_mut(&call.hash).ok_or(Unavailable)?;
        let answer = link.clone();
        if matches!(answer, Redeemed::Granted(_)) {
            *link = Redeemed::Used;
        }
        Ok(answer)
    }

    async fn fetch(&self, url: &str, within_ms: u32) -> Result<String, String> {
        self.asked.borrow_mut().push(format!("GET {url}"));
        match self.suffer(self.issuer_fault.get(), within_ms) {
            Ok(Some(said)) => Ok(said.to_owned()),
            Ok(None) => self.web.borrow().get(url).cloned().ok_or_else(|| "answered 500".to_owned()),
            Err(Unavailable) => Err("no answer".to_owned()),
        }
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
