//! The gate's platform, natively: KV, coordinators and relays with the real cores, each with its faults, and a clock that tests
//! move and that waiting moves.

mod port;
mod request;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use keyward_core::{
    changes::Change,
    key,
    link::Redeemed,
    record::{Mode, Record},
    registry_call::RegistryHealth,
    request_target::RequestTarget,
    secret::{Secret, Secrets},
    time::Span,
    unavailable::CallFailed,
};
use keyward_gate::{
    Gate, Verdict,
    admission::Admission,
    client_info::ClientInfo,
    deadline::Deadline,
    denial::Denial,
    jwt::Issuers,
    memory::Memory,
    pipeline::{Accepted, Pipeline, Refused},
    platform::Waits,
    watch::Watchers,
};
use keyward_limits::{
    coordinator::Coordinator,
    relay::Relay,
    timing::{RELAY_ANSWER, TRAVEL},
    wire::{Acquire, CoordinatorCall},
};
use keyward_policy::{Jurisdiction, KeyRequirement, Policy, Realm, Route};

pub use self::request::Request;
use crate::{NOON, Seeded, change_log::ChangeLog, clock::VirtualClock, policy::POLICY, secrets};

/// What is wrong with something that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails at once.
    Fails,
    /// It never answers.
    Hangs,
    /// It takes this long to answer.
    Slow(Span),
    /// It answers this, whatever it was asked.
    Says(&'static str),
    /// It answers with this HTTP status.
    Answers(u16),
}

/// All that one isolate can see, and what it asked for.
pub struct FakePlatform {
    /// The policy's.
    pub jurisdiction: Cell<Option<Jurisdiction>>,
    pub kv: RefCell<BTreeMap<String, String>>,
    pub gates: RefCell<BTreeMap<String, Coordinator>>,
    pub relays: RefCell<BTreeMap<String, Relay>>,
    /// The change log, if there is one.
    pub log: RefCell<Option<ChangeLog>>,
    pub log_fault: Cell<Option<Fault>>,
    pub kv_fault: Cell<Option<Fault>>,
    pub gate_fault: Cell<Option<Fault>>,
    /// Objects of other keys than of these hashes are well, if any are named.
    pub faulty: RefCell<HashSet<String>>,
    pub relay_fault: Cell<Option<Fault>>,
    pub limiter_fault: Cell<Option<Fault>>,
    pub registry_fault: Cell<Option<Fault>>,
    pub issuer_fault: Cell<Option<Fault>>,
    /// Why nothing can be signed, if nothing can.
    pub sign_fault: Cell<Option<&'static str>>,
    /// How long the next answers of objects take, the last one first.
    pub slow_answers: Cell<Vec<Span>>,
    pub limited_addresses: RefCell<HashSet<String>>,
    /// Events under one key after which a limiter says that they are too many.
    pub most_failures: Cell<Option<u32>>,
    failures: RefCell<BTreeMap<String, u32>>,
    pub clock: VirtualClock,
    pub asked: RefCell<Vec<String>>,
    /// What happens while an object is asked this; and how long it is waited for.
    pub meanwhile: RefCell<Option<Box<Meanwhile>>>,
    /// Lines of the log.
    pub logged: RefCell<Vec<String>>,
    /// Data points, as JSON.
    pub points: RefCell<Vec<String>>,
    /// Who is told of requests.
    pub watchers: RefCell<Watchers>,
    /// For what a request has waited.
    pub waits: Cell<Waits>,
    /// How many random numbers were asked for.
    pub randoms: Cell<u64>,
    /// Bindings that are missing.
    pub unbound: RefCell<HashSet<String>>,
    /// What the Registry says of itself.
    pub registry: RefCell<RegistryHealth>,
    pub memory: Rc<RefCell<Memory>>,
    pub secrets: Rc<Secrets>,
    /// What the Registry says of a link, by its hash. One that was granted is used from then on.
    pub links: RefCell<BTreeMap<String, Redeemed>>,
    pub web: RefCell<BTreeMap<String, String>>,
    pub named_secrets: RefCell<BTreeMap<&'static str, &'static str>>,
    pub issuers: Rc<Issuers>,
}

pub const READ: KeyRequirement = KeyRequirement { scopes: &["orders:read"], ..KeyRequirement::ANY_KEY };
pub const CALLER: ClientInfo<'static> = ClientInfo {
    method: "GET",
    upgrades: false,
    address: Some("192.0.2.1"),
    origin: None,
    tenant: None,
    token: None,
};

pub type Meanwhile = dyn Fn(&FakePlatform, &CoordinatorCall, Span);

impl FakePlatform {
    pub fn new() -> Self {
        Self {
            jurisdiction: Cell::default(),
            kv: RefCell::default(),
            gates: RefCell::default(),
            relays: RefCell::default(),
            log: RefCell::default(),
            log_fault: Cell::default(),
            kv_fault: Cell::default(),
            gate_fault: Cell::default(),
            faulty: RefCell::default(),
            relay_fault: Cell::default(),
            limiter_fault: Cell::default(),
            registry_fault: Cell::default(),
            issuer_fault: Cell::default(),
            sign_fault: Cell::default(),
            slow_answers: Cell::default(),
            limited_addresses: RefCell::default(),
            most_failures: Cell::default(),
            failures: RefCell::default(),
            clock: VirtualClock::new(NOON),
            asked: RefCell::default(),
            meanwhile: RefCell::default(),
            logged: RefCell::default(),
            points: RefCell::default(),
            watchers: RefCell::default(),
            waits: Cell::default(),
            randoms: Cell::default(),
            unbound: RefCell::default(),
            registry: RefCell::default(),
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

    /// Logs a change, as the Registry does in the transaction of it.
    pub fn log(&self, change: Change) {
        self.log.borrow_mut().get_or_insert_default().write(change);
    }

    /// This isolate reads the log on.
    pub fn read_log(&self) {
        now(self.pipeline(&POLICY.realms[0]).read_changes(POLICY.realms[0].freshness, Span::from_secs(1)));
    }

    /// Publishes to KV, which may come any time later.
    pub fn publish(&self, key: &Secret, record: &Record) {
        self.kv.borrow_mut().insert(key::kv_key(&self.hash(key)), serde_json::to_string(record).unwrap());
    }

    pub fn pass_time(&self, span: Span) {
        self.clock.advance(span);
    }

    /// What was asked of the stores since the last call.
    pub fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    /// Why a key is refused.
    pub fn denial(&self, key: &Secret) -> Denial {
        self.check(key).unwrap_err().denial
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

    pub fn authenticate(
        &self,
        realm: &Realm,
        route: &Route,
        target: RequestTarget<'_>,
        caller: ClientInfo<'_>,
        request: &Request<'_>,
    ) -> Result<Admission, Refused> {
        now(self.pipeline(realm).authenticate(realm, route, target, caller, request))
    }

    /// The gate of this isolate.
    pub fn gate(&self, policy: Option<&'static Policy>) -> Gate<'_, Self> {
        Gate {
            policy,
            platform: self,
            memory: Rc::clone(&self.memory),
            issuers: Rc::clone(&self.issuers),
            secrets: Ok(Rc::clone(&self.secrets)),
            watchers: self.watchers.borrow().clone(),
        }
    }

    /// The verdict about a request.
    pub fn handle<'r>(&self, policy: &'static Policy, request: &'r Request<'_>) -> Verdict<'r> {
        now(self.gate(Some(policy)).handle(request))
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
            gate.acquire(&Acquire { version, client_id, ..Acquire::default() }, self.clock.now());
        }
    }

    /// What a fault makes of a call: it fails, or this is said instead of the answer.
    fn suffer(&self, fault: Option<Fault>, within: Span) -> Result<Option<&'static str>, CallFailed> {
        assert!(within > Span::ZERO, "asked for an answer within no time");
        match fault {
            None => Ok(None),
            Some(Fault::Fails) => Err(CallFailed::because("it fails")),
            Some(Fault::Says(text)) => Ok(Some(text)),
            Some(Fault::Answers(status)) => Err(CallFailed::Status(status)),
            Some(Fault::Slow(span)) if span <= within => {
                self.clock.advance(span);
                Ok(None)
            }
            Some(Fault::Slow(_) | Fault::Hangs) => {
                self.clock.advance(within);
                Err(CallFailed::because("no answer"))
            }
        }
    }

    /// What is wrong with the object of this key.
    fn fault_of_gate(&self, hash: &str) -> Option<Fault> {
        let faulty = self.faulty.borrow();
        self.gate_fault.get().filter(|_| faulty.is_empty() || faulty.contains(hash))
    }

    /// What a relay answers.
    fn relay(&self, hash: &str, call: CoordinatorCall, within: Span) -> Result<String, CallFailed> {
        let mut relays = self.relays.borrow_mut();
        let relay = relays.entry(hash.to_owned()).or_insert_with(|| Relay::new(1));
        let now = self.clock.now();
        match call {
            CoordinatorCall::Acquire(take) => {
                relay.ingest(&take, now);
                let mut taken = relay.answer(&take, now);
                if taken.is_none() {
                    let in_time = within.min(RELAY_ANSWER) - TRAVEL;
                    match self.fault_of_gate(hash) {
                        None => {}
                        Some(Fault::Slow(span)) if span <= in_time => self.clock.advance(span),
                        // It tries again until whoever asks must hear of it.
                        Some(_) => {
                            self.clock.advance(in_time);
                            return Ok(r#"{"outcome":"unreached","slow":true}"#.to_owned());
                        }
                    }
                    let now = self.clock.now();
                    let ask = relay.ask(take.version, u32::from(take.immediate), now);
                    let asked = self
                        .gates
                        .borrow_mut()
                        .get_mut(hash)
                        .ok_or_else(|| CallFailed::because("there is none"))?
                        .acquire(&ask, now);
                    relay.answered(&ask, Some(&asked), now, now);
                    taken = relay.answer(&take, now);
                }
                Ok(serde_json::to_string(&taken.ok_or_else(|| CallFailed::because("there is none"))?)
                    .unwrap())
            }
            CoordinatorCall::Report { refused, leases, tally } => {
                relay.note(&refused, &leases, tally.as_ref(), now);
                Ok("{}".to_owned())
            }
            _ => Err(CallFailed::Status(404)),
        }
    }

    fn pipeline(&self, realm: &Realm) -> Pipeline<'_, Self> {
        Pipeline {
            platform: self,
            request_id: None,
            jurisdiction: self.jurisdiction.get(),
            from: None,
            memory: Rc::clone(&self.memory),
            issuers: Rc::clone(&self.issuers),
            secrets: Ok(Rc::clone(&self.secrets)),
            deadline: Deadline::within(realm.decision_timeout, self.clock.now()),
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
        now(self.pipeline(realm).check(realm, realm.freshness, requirement, key, caller))
    }
}

/// A platform where a key with this record is known to its object and to KV.
pub fn published(record: &Record) -> (FakePlatform, Secret) {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    platform.tell(&key, record);
    platform.publish(&key, record);
    (platform, key)
}

/// Runs a future that never has to wait.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the test's platform answers at once"),
    }
}
