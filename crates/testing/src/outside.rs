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

use futures_util::future::LocalBoxFuture;
use keyward_core::{
    record::Record,
    sql::Sql,
    time::{SECOND, Timestamp},
};
use keyward_limits::{coordinator::Coordinator, wire::PutAck};
use keyward_policy::Policy;
use keyward_registry::{password::PasswordJob, publish_error::PlatformError, publisher::Platform};

use sha2::{Digest, Sha256};

use crate::{Database, NOON};

/// How long the platform waits for an answer.
pub const PATIENCE: i64 = 5 * SECOND;

/// How one call goes, in milliseconds after it was made.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// When it takes effect, if it ever does; also when nobody waits for it any more.
    pub lands: Option<i64>,
    /// When it is answered.
    pub answers: i64,
    /// Whether the answer is a good one.
    pub well: bool,
}

pub const AT_ONCE: Course = Course { lands: Some(0), answers: 0, well: true };
pub const DOWN: Course = Course { lands: None, answers: 0, well: false };

pub struct Outside {
    pub db: Database,
    pub policy: Cell<&'static Policy>,
    pub now: Cell<Timestamp>,
    pub gates_are_down: Cell<bool>,
    pub kv_is_down: Cell<bool>,
    /// Courses of the next calls; then all is well.
    pub tells: RefCell<VecDeque<Course>>,
    pub puts: RefCell<VecDeque<Course>>,
    pub gates: RefCell<BTreeMap<String, Coordinator>>,
    /// KV as text.
    pub kv: RefCell<BTreeMap<String, String>>,
    pub kv_writes: Cell<u32>,
    pub alarm: Cell<Option<Timestamp>>,
    pub alarm_cannot_be_set: Cell<bool>,
    /// How often it can still be set before it cannot.
    pub alarms_left: Cell<Option<u32>>,
    pub derivations: Cell<u32>,
    /// How long each takes.
    pub derivation_ms: Cell<i64>,
    pub log: RefCell<Vec<String>>,
    timers: RefCell<Vec<(Timestamp, Waker)>>,
    landings: RefCell<Vec<(Timestamp, String, String)>>,
    tasks: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
}

impl Outside {
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
            alarm: Cell::default(),
            alarm_cannot_be_set: Cell::default(),
            alarms_left: Cell::default(),
            derivations: Cell::default(),
            derivation_ms: Cell::default(),
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
        kv.values().map(|text| serde_json::from_str::<Record>(text).unwrap()).find(|record| record.id == id)
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
    pub fn pass(&self, milliseconds: i64) {
        let end = self.now.get().plus(milliseconds);
        self.run_tasks();
        while self.pass_to_next(Some(end)) {}
        self.now.set(end);
    }

    /// To the next moment at which something happens, if it comes before `end`.
    fn pass_to_next(&self, end: Option<Timestamp>) -> bool {
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

    async fn wait(&self, milliseconds: i64) {
        let end = self.now.get().plus(milliseconds);
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
pub struct Object(pub Rc<Outside>);

impl Deref for Object {
    type Target = Outside;

    fn deref(&self) -> &Outside {
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

    async fn tell(&self, hash: &str, record: &Record) -> Result<PutAck, PlatformError> {
        let course = self.tells.borrow_mut().pop_front().unwrap_or(AT_ONCE);
        let course = if self.gates_are_down.get() { DOWN } else { course };
        // An object that is called and one that answers are the same: no landing without the wait.
        let told = course
            .lands
            .map(|_| self.gates.borrow_mut().entry(hash.to_owned()).or_default().put(record.clone()));
        self.wait(course.answers).await;
        told.filter(|_| course.well).ok_or_else(|| PlatformError("the KeyGate does not answer".to_owned()))
    }

    async fn put(&self, kv_key: &str, text: &str) -> Result<(), PlatformError> {
        let course = self.puts.borrow_mut().pop_front().unwrap_or(AT_ONCE);
        let course = if self.kv_is_down.get() { DOWN } else { course };
        self.kv_writes.set(self.kv_writes.get() + 1);
        if let Some(lands) = course.lands {
            let at = self.now.get().plus(lands);
            self.landings.borrow_mut().push((at, kv_key.to_owned(), text.to_owned()));
            self.land();
        }
        self.wait(course.answers).await;
        if course.well { Ok(()) } else { Err(PlatformError("KV does not answer".to_owned())) }
    }

    async fn set_alarm(&self, at: Timestamp) -> Result<(), PlatformError> {
        let left = self.alarms_left.get();
        self.alarms_left.set(left.map(|left| left.saturating_sub(1)));
        if self.alarm_cannot_be_set.get() || left == Some(0) {
            return Err(PlatformError("the alarm cannot be set".to_owned()));
        }
        self.alarm.set(Some(at));
        Ok(())
    }

    async fn pause(&self, milliseconds: u32) {
        self.wait(milliseconds.into()).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.tasks.borrow_mut().push(work);
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    async fn derive(&self, job: &PasswordJob) -> Result<[u8; 32], PlatformError> {
        self.derivations.set(self.derivations.get() + 1);
        self.wait(self.derivation_ms.get()).await;
        Ok(derive(job))
    }

    fn log(&self, what: &str, error: &str, _: Option<&str>) {
        self.log.borrow_mut().push(format!("{what}: {error}"));
    }
}
