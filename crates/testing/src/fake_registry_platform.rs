//! What the Registry's object finds outside of itself: a database, coordinators, KV and an alarm, on a
//! clock that only moves while something is waited for, with faults as a test asks for them.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    ops::Deref,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use keyward_core::{
    jurisdiction::MARKER,
    key::KV_PREFIX,
    record::Record,
    secret::Secret,
    sql::Sql,
    time::{Span, Timestamp},
};
use keyward_limits::{coordinator::Coordinator, wire::PutAck};
use keyward_policy::{
    Policy,
    jwk::{Signed, software},
};
use keyward_registry::{
    backup::search::{KvNames, NAMES_AT_ONCE},
    events::message::Message,
    password::PasswordJob,
    publish_error::PlatformError,
    publisher::{Platform, Waiting},
    task::Task,
};

use sha2::{Digest, Sha256};

use crate::{Database, NOON};

/// How long the platform waits for an answer.
pub const PATIENCE: Span = Span::from_secs(5);

/// A secret of the receiver of events.
pub const EVENTS_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

/// A request that the receiver of events got.
#[derive(Clone, Debug)]
pub struct Received {
    pub url: String,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
    /// What it was answered with.
    pub status: Option<u16>,
}

/// How one call goes, from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// When it takes effect, if it ever does; also when nobody waits for it any more.
    pub lands: Option<Span>,
    /// When it is answered.
    pub answers: Span,
    /// Whether the answer is a good one.
    pub succeeds: bool,
}

pub const AT_ONCE: Script = Script { lands: Some(Span::ZERO), answers: Span::ZERO, succeeds: true };
pub const DOWN: Script = Script { lands: None, answers: Span::ZERO, succeeds: false };

pub struct FakeRegistryPlatform {
    pub db: Database,
    pub policy: Cell<&'static Policy>,
    pub now: Cell<Timestamp>,
    pub gates_are_down: Cell<bool>,
    pub kv_is_down: Cell<bool>,
    /// Scripts of the next calls; then all is well.
    pub tells: RefCell<VecDeque<Script>>,
    pub puts: RefCell<VecDeque<Script>>,
    pub gates: RefCell<BTreeMap<String, Coordinator>>,
    /// KV as text.
    pub kv: RefCell<BTreeMap<String, String>>,
    pub kv_writes: Cell<u32>,
    /// Answers of the receiver of events to the next requests, `None` if there is none in time; then 200.
    pub receiver: RefCell<VecDeque<Option<u16>>>,
    /// The key whose events it never takes.
    pub refused_subject: RefCell<Option<String>>,
    /// What it got: the fields and the body.
    pub received: RefCell<Vec<Received>>,
    pub alarm: Cell<Option<Timestamp>>,
    pub alarm_cannot_be_set: Cell<bool>,
    /// How often it can still be set before it cannot.
    pub alarms_left: Cell<Option<u32>>,
    pub derivations: Cell<u32>,
    /// How long each takes.
    pub derivation: Cell<Span>,
    pub log: RefCell<Vec<String>>,
    timers: RefCell<Vec<(Timestamp, Waker)>>,
    landings: RefCell<Vec<(Timestamp, String, String)>>,
    tasks: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
}

impl FakeRegistryPlatform {
    pub fn new(policy: &'static Policy) -> Rc<Self> {
        Rc::new(Self {
            db: Database::new(),
            policy: Cell::new(policy),
            now: Cell::new(NOON),
            gates_are_down: Cell::default(),
            kv_is_down: Cell::default(),
            tells: RefCell::default(),
            puts: RefCell::default(),
            gates: RefCell::default(),
            kv: RefCell::default(),
            kv_writes: Cell::default(),
            receiver: RefCell::default(),
            refused_subject: RefCell::default(),
            received: RefCell::default(),
            alarm: Cell::default(),
            alarm_cannot_be_set: Cell::default(),
            alarms_left: Cell::default(),
            derivations: Cell::default(),
            derivation: Cell::default(),
            log: RefCell::default(),
            timers: RefCell::default(),
            landings: RefCell::default(),
            tasks: RefCell::default(),
        })
    }

    /// What the coordinator holds of a key.
    pub fn record(&self, id: &str) -> Record {
        let gates = self.gates.borrow();
        gates.values().filter_map(|gate| gate.record.as_ref()).find(|record| record.id == id).unwrap().clone()
    }

    /// What KV holds of a key.
    pub fn published(&self, id: &str) -> Option<Record> {
        let kv = self.kv.borrow();
        let of_keys = kv.iter().filter(|(key, _)| *key != MARKER);
        let mut records = of_keys.map(|(_, text)| keyward_json::from_str::<Record>(text).unwrap());
        records.find(|record| record.id == id)
    }

    /// Runs to the end, letting time pass whenever it waits.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            assert!(self.pass_to_next(None), "it waits for something that never comes");
        }
    }

    /// Lets time pass, with all that happens in it but alarms.
    pub fn pass(&self, span: Span) {
        let end = self.now.get() + span;
        self.run_tasks();
        while self.pass_to_next(Some(end)) {}
        self.now.set(end);
    }

    /// To the next moment at which something happens, if it comes before `end`.
    pub(crate) fn pass_to_next(&self, end: Option<Timestamp>) -> bool {
        let timer = self.timers.borrow().iter().map(|(at, _)| *at).min();
        let landing = self.landings.borrow().iter().map(|(at, ..)| *at).min();
        let Some(next) = timer.into_iter().chain(landing).min().filter(|at| end.is_none_or(|end| *at <= end))
        else {
            return false;
        };
        self.now.set(next.max(self.now.get()));
        for (_, waker) in self.timers.borrow_mut().extract_if(.., |(at, _)| *at <= next) {
            waker.wake();
        }
        self.land();
        self.run_tasks();
        true
    }

    fn land(&self) {
        let now = self.now.get();
        for (_, key, text) in self.landings.borrow_mut().extract_if(.., |(at, ..)| *at <= now) {
            self.kv.borrow_mut().insert(key, text);
        }
    }

    /// Runs what was spawned, as far as it gets at this moment.
    pub fn run_tasks(&self) {
        let mut queued = Vec::new();
        loop {
            let tasks = self.tasks.take();
            if tasks.is_empty() {
                break;
            }
            for mut task in tasks {
                if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                    queued.push(task);
                }
            }
        }
        self.tasks.replace(queued);
    }

    /// The object dies: nothing goes on but what is under way to KV.
    pub fn crash(&self) {
        self.tasks.take();
        self.timers.take();
    }

    async fn wait(&self, span: Span) {
        let end = self.now.get() + span;
        poll_fn(|context| {
            if self.now.get() >= end {
                return Poll::Ready(());
            }
            self.timers.borrow_mut().push((end, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Stands in for PBKDF2, which the edge has from the platform.
pub fn derive(job: &PasswordJob) -> [u8; 32] {
    Sha256::digest([&job.salt[..], job.password.expose().as_bytes()].concat()).into()
}

/// The object in memory, which can die while the rest goes on.
pub struct Object(pub Rc<FakeRegistryPlatform>);

impl Deref for Object {
    type Target = FakeRegistryPlatform;

    fn deref(&self) -> &FakeRegistryPlatform {
        &self.0
    }
}

impl Platform for Object {
    fn db(&self) -> &dyn Sql {
        &self.db
    }

    fn policy(&self) -> &'static Policy {
        self.policy.get()
    }

    fn tell<'a>(&'a self, hash: &'a str, record: &'a Record) -> Waiting<'a, PutAck> {
        async move {
            let script = self.tells.borrow_mut().pop_front().unwrap_or(AT_ONCE);
            let script = if self.gates_are_down.get() { DOWN } else { script };
            // An object that is called and one that answers are the same: no landing without the wait.
            let told = script
                .lands
                .map(|_| self.gates.borrow_mut().entry(hash.to_owned()).or_default().put(record.clone()));
            self.wait(script.answers).await;
            told.filter(|_| script.succeeds)
                .ok_or_else(|| PlatformError("the KeyGate does not answer".to_owned()))
        }
        .boxed_local()
    }

    fn held<'a>(&'a self, hash: &'a str) -> Waiting<'a, Option<Record>> {
        let held = self.gates.borrow().get(hash).and_then(|gate| gate.record.clone());
        async move { Ok(held) }.boxed_local()
    }

    fn names<'a>(&'a self, cursor: &'a str) -> Waiting<'a, KvNames> {
        let after = self
            .kv
            .borrow()
            .keys()
            .filter(|name| name.starts_with(KV_PREFIX) && name.as_str() > cursor)
            .cloned()
            .collect::<Vec<_>>();
        // The first page is empty, as any may be.
        let most = if cursor.is_empty() { 0 } else { NAMES_AT_ONCE as usize };
        let names: Vec<String> = after.iter().take(most).cloned().collect();
        if names.is_empty() && !after.is_empty() {
            return async { Ok(KvNames { names, next: Some(KV_PREFIX.to_owned()) }) }.boxed_local();
        }
        let next = names.last().filter(|_| names.len() < after.len()).cloned();
        async move { Ok(KvNames { names, next }) }.boxed_local()
    }

    fn read<'a>(&'a self, kv_key: &'a str) -> Waiting<'a, Option<String>> {
        async move {
            if self.kv_is_down.get() {
                return Err(PlatformError("KV does not answer".to_owned()));
            }
            Ok(self.kv.borrow().get(kv_key).cloned())
        }
        .boxed_local()
    }

    fn put<'a>(&'a self, kv_key: &'a str, text: &'a str) -> Waiting<'a, ()> {
        async move {
            // Tests count and script what is put of keys.
            if kv_key == MARKER {
                if self.kv_is_down.get() {
                    return Err(PlatformError("KV does not answer".to_owned()));
                }
                self.kv.borrow_mut().insert(kv_key.to_owned(), text.to_owned());
                return Ok(());
            }
            let script = self.puts.borrow_mut().pop_front().unwrap_or(AT_ONCE);
            let script = if self.kv_is_down.get() { DOWN } else { script };
            self.kv_writes.set(self.kv_writes.get() + 1);
            if let Some(lands) = script.lands {
                let at = self.now.get() + lands;
                self.landings.borrow_mut().push((at, kv_key.to_owned(), text.to_owned()));
                self.land();
            }
            self.wait(script.answers).await;
            if script.succeeds { Ok(()) } else { Err(PlatformError("KV does not answer".to_owned())) }
        }
        .boxed_local()
    }

    fn set_alarm(&self, at: Timestamp) -> Waiting<'_, ()> {
        async move {
            let left = self.alarms_left.get();
            self.alarms_left.set(left.map(|left| left.saturating_sub(1)));
            if self.alarm_cannot_be_set.get() || left == Some(0) {
                return Err(PlatformError("the alarm cannot be set".to_owned()));
            }
            self.alarm.set(Some(at));
            Ok(())
        }
        .boxed_local()
    }

    fn pause(&self, span: Span) -> LocalBoxFuture<'_, ()> {
        self.wait(span).boxed_local()
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.tasks.borrow_mut().push(work);
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn derive<'a>(&'a self, job: &'a PasswordJob) -> Waiting<'a, [u8; 32]> {
        async move {
            self.derivations.set(self.derivations.get() + 1);
            self.wait(self.derivation.get()).await;
            Ok(derive(job))
        }
        .boxed_local()
    }

    fn send<'a>(&'a self, message: &'a Message<'a>) -> Waiting<'a, u16> {
        async move {
            let is_refused =
                self.refused_subject.borrow().as_ref().is_some_and(|id| message.body.contains(id));
            let status = self.receiver.borrow_mut().pop_front().unwrap_or(Some(200));
            let status = if is_refused { Some(500) } else { status };
            self.received.borrow_mut().push(Received {
                url: message.url.to_owned(),
                fields: message.fields.clone(),
                body: message.body.clone(),
                status,
            });
            self.wait(if status.is_some() { Span::from_ms(1) } else { Span::from_hours(1) }).await;
            Ok(status.unwrap_or(500))
        }
        .boxed_local()
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        (name == "EVENTS_SECRET").then(|| Secret::new(EVENTS_SECRET))
    }

    fn verify<'a>(&'a self, signed: Signed<'a>) -> LocalBoxFuture<'a, bool> {
        async move {
            // As the platform's own, it takes a while.
            self.wait(self.derivation.get()).await;
            software::verify(signed).unwrap_or(false)
        }
        .boxed_local()
    }

    fn log(&self, task: Task, error: &str, _: Option<&str>) {
        self.log.borrow_mut().push(format!("{}: {error}", task.name()));
    }
}
