//! The cloud: what isolates share, and messages between them and their objects, which take time or are lost.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, pending},
    pin::pin,
    rc::Rc,
};

use futures::{
    channel::oneshot,
    executor::LocalSpawner,
    future::{Either, LocalBoxFuture, select},
    task::LocalSpawnExt,
};
use keyward_changes::{self as changes, timing::ANSWER_WITHIN};
use keyward_core::{
    changes::{News, ReadChanges},
    secret::Secrets,
    time::{MILLISECOND, Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_gate::memory::Memory;
use keyward_limits::{
    relay::server::{RelayServer, Upstream},
    timing::RELAY_ANSWER,
    wire::{Acquire, Acquired, CoordinatorCall},
};
use keyward_policy::Realm;
use keyward_testing::{NOON, change_log::ChangeLog, clock::VirtualClock};
use serde::de::DeserializeOwned;

use crate::{
    keys::{Counted, Key},
    network::{Load, Network, Object, Purpose},
};

/// Isolates are spread over this many locations, unless [`FakeCloud::locations`] is set.
pub const LOCATIONS: usize = 300;
/// When time begins: some day.
pub const BEGIN: Timestamp = NOON;

/// A whole deployment. Everything in it shares this.
pub struct FakeCloud {
    pub(crate) clock: VirtualClock,
    spawner: LocalSpawner,
    random: Cell<u64>,
    pub(crate) network: Network,
    pub(crate) realm: Realm,
    pub(crate) secrets: Rc<Secrets>,
    isolates: RefCell<Vec<Isolate>>,
    pub(crate) servers: RefCell<HashMap<Object, Rc<RelayServer<Uplink>>>>,
    /// The Registry's.
    pub(crate) change_log: RefCell<ChangeLog>,
    pub(crate) log_relays: RefCell<HashMap<u32, Rc<changes::relay::Relay<LogUplink>>>>,
    /// The number of the key with a hash, or with a key of KV.
    pub(crate) numbers: RefCell<HashMap<String, usize>>,
    /// In the order in which they were created.
    pub keys: RefCell<Vec<Key>>,
    /// Calls to each object.
    pub loads: RefCell<HashMap<Object, Load>>,
    /// Reads of KV.
    pub kv_reads: Cell<u64>,
    /// Rows that objects have written.
    pub rows: Cell<u64>,
    /// Isolates are spread over this many locations.
    pub locations: Cell<usize>,
    /// Until then coordinators report usage to the Registry; not at all unless it is set.
    pub reports_until: Cell<Timestamp>,
    instances: Cell<u32>,
    /// Coordinators get calls and never answer.
    pub hangs: Cell<bool>,
    /// By how much the coordinators' clocks are ahead.
    pub objects_ahead: Cell<Span>,
}

#[derive(Clone)]
pub(crate) struct Isolate {
    pub memory: Rc<RefCell<Memory>>,
    /// By how much its clock is ahead.
    pub skew: Rc<Cell<Span>>,
    pub number: usize,
    /// Told apart from the one that had this number before a crash.
    pub instance: u32,
}

impl FakeCloud {
    pub(crate) fn new(spawner: LocalSpawner, seed: u64, network: Network, realm: Realm) -> Rc<Self> {
        Rc::new(Self {
            clock: VirtualClock::new(BEGIN),
            spawner,
            // Xorshift needs a bit that is set, and neighbouring seeds should not look alike.
            random: Cell::new((seed ^ 0x9E37_79B9_7F4A_7C15) | 1 << 63),
            network,
            realm,
            secrets: Rc::new(Secrets::new("a secret of the simulation's own, 32 or more", None)),
            isolates: RefCell::default(),
            servers: RefCell::default(),
            change_log: RefCell::default(),
            log_relays: RefCell::default(),
            numbers: RefCell::default(),
            keys: RefCell::default(),
            loads: RefCell::default(),
            kv_reads: Cell::default(),
            rows: Cell::default(),
            locations: Cell::new(LOCATIONS),
            reports_until: Cell::default(),
            instances: Cell::default(),
            hangs: Cell::default(),
            objects_ahead: Cell::default(),
        })
    }

    pub(crate) fn add_isolates(&self, most: usize) {
        let all = (0..most).map(|number| self.new_isolate(number)).collect();
        self.isolates.replace(all);
    }

    pub(crate) fn isolate(&self, number: usize) -> Isolate {
        self.isolates.borrow()[number].clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let spawned = self.spawner.spawn_local(task);
        assert!(spawned.is_ok(), "the pool outlives the cloud");
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Span {
        self.now() - BEGIN
    }

    /// A random number below a bound (xorshift64*).
    pub fn below(&self, bound: u64) -> u64 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        // The higher bits are the better ones.
        let random = u128::from(random.wrapping_mul(0x2545_F491_4F6C_DD1D));
        ((random * u128::from(bound)) >> 64) as u64
    }

    /// A random span of whole milliseconds below a bound.
    pub fn span_below(&self, bound: Span) -> Span {
        Span::from_ms(self.below(bound.timer_ms().into()) as i64)
    }

    pub(crate) fn random_bits(&self) -> u64 {
        self.below(1 << 32) << 32 | self.below(1 << 32)
    }

    fn new_isolate(&self, number: usize) -> Isolate {
        let most = self.network.skew;
        let skew = self.span_below(2 * most + MILLISECOND) - most;
        let memory = Memory::of(self.random_bits());
        let instance = self.instances.get();
        self.instances.set(instance + 1);
        Isolate { memory: Rc::new(RefCell::new(memory)), skew: Rc::new(Cell::new(skew)), number, instance }
    }

    /// An isolate dies with all that it knew, and another takes its place. Requests that are in progress go on.
    pub fn crash_isolate(&self, number: usize) {
        let isolate = self.new_isolate(number);
        let dead = std::mem::replace(&mut self.isolates.borrow_mut()[number], isolate);
        let mut keys = self.keys.borrow_mut();
        for key in keys.iter_mut().filter(|key| key.log.isolates.contains(&dead.instance)) {
            key.log.faults.push(self.now());
        }
    }

    /// An isolate's clock is set: ahead, or back.
    pub fn set_clock(&self, number: usize, by: Span) {
        let isolates = self.isolates.borrow();
        let skew = &isolates[number].skew;
        skew.set(skew.get() + by);
    }

    /// A key's coordinator dies and wakes up with what it had stored; its relays die, too.
    pub fn crash_objects(&self, key: usize) {
        self.keys.borrow_mut()[key].crash(self.now());
        self.servers.borrow_mut().retain(|object, _| object.key() != Some(key));
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.numbers.borrow().get(name).copied()
    }
}

impl FakeCloud {
    /// The time that a message takes between a location and an object; `None` if it is lost.
    pub(crate) fn leg(&self, location: usize, object: Object) -> Option<Span> {
        let key = object.key();
        if self.below(1_000) < self.network.lost {
            if let Some(key) = key {
                self.keys.borrow_mut()[key].log.faults.push(self.now());
            }
            return None;
        }
        // Always about the same between the same two ends.
        let (shortest, longest) = self.network.round_trip;
        let relay = match object {
            Object::Relay(_, relay) | Object::LogRelay(relay) => u64::from(relay) + 1,
            Object::Coordinator(_) | Object::Registry => 0,
        };
        let ends = [location as u64, key.unwrap_or(usize::MAX) as u64, relay];
        let mixed = ends.iter().fold(0xCBF2_9CE4_8422_2325, |sum: u64, end| {
            (sum ^ end).wrapping_mul(0x0100_0000_01B3).rotate_left(29)
        });
        let spread = (longest - shortest + MILLISECOND).ms() as u64;
        let round_trip = shortest + Span::from_ms((mixed % spread) as i64);
        let jitter = self.span_below(round_trip / 4 + MILLISECOND);
        Some((round_trip - jitter) / 2)
    }

    pub(crate) fn count(&self, object: Object, purpose: Purpose) {
        self.loads.borrow_mut().entry(object).or_default().count(purpose, self.now());
    }

    pub(crate) fn count_rows(&self, rows: u64) {
        self.rows.set(self.rows.get() + rows);
    }

    /// From now on figures are counted anew, for those of a steady state. What happened to the limits stays known.
    pub fn measure_from_now(&self) {
        self.loads.borrow_mut().values_mut().for_each(Load::restart);
        self.kv_reads.set(0);
        self.rows.set(0);
        self.keys.borrow_mut().iter_mut().for_each(|key| key.log.counted = Counted::default());
    }

    /// The coordinator's answer, if it answers.
    pub(crate) fn coordinator_answer(self: &Rc<Self>, key: usize, call: CoordinatorCall) -> Option<String> {
        self.count(Object::Coordinator(key), Purpose::of(&call));
        if self.hangs.get() {
            return None;
        }
        let now = self.now() + self.objects_ahead.get();
        let (answer, writes) = self.keys.borrow_mut()[key].answer(call, self.realm.limits.travel, now);
        self.count_rows(writes.into());
        self.set_alarm(key);
        Some(answer)
    }

    pub(crate) fn server(self: &Rc<Self>, key: usize, relay: u32) -> Rc<RelayServer<Uplink>> {
        let new = || {
            let uplink = Uplink { cloud: Rc::clone(self), key, relay };
            Rc::new(RelayServer::new(uplink, self.random_bits()))
        };
        Rc::clone(self.servers.borrow_mut().entry(Object::Relay(key, relay)).or_insert_with(new))
    }

    /// An answer, with the way there and back; an error where one of these is lost, or takes so long that the edge
    /// gives up. A call that was given up still arrives.
    pub(crate) async fn call<T: DeserializeOwned>(
        self: &Rc<Self>,
        location: usize,
        object: Object,
        within: Span,
        answer: impl Future<Output = Option<String>> + 'static,
    ) -> Result<T, Unavailable> {
        let gives_up = self.now() + within;
        let (cloud, (tell, told)) = (Rc::clone(self), oneshot::channel());
        self.spawn(async move {
            let Some(there) = cloud.leg(location, object) else { return };
            cloud.clock.sleep(there).await;
            let Some(answer) = answer.await else { return };
            let Some(back) = cloud.leg(location, object) else { return };
            cloud.clock.sleep(back).await;
            let _ = tell.send(answer);
        });
        // If a message is lost, this never ends.
        let told = async {
            match told.await {
                Ok(answer) => answer,
                Err(_) => pending().await,
            }
        };
        match select(pin!(told), pin!(self.clock.sleep_until(gives_up))).await {
            Either::Left((answer, _)) => keyward_json::from_str(&answer).map_err(|_| Unavailable),
            Either::Right(_) => Err(Unavailable),
        }
    }
}

/// What the relay's Durable Object does with a call.
pub(crate) async fn relay_answer(
    cloud: &Rc<FakeCloud>,
    key: usize,
    relay: u32,
    call: CoordinatorCall,
) -> Option<String> {
    cloud.count(Object::Relay(key, relay), Purpose::of(&call));
    let served = cloud.server(key, relay).serve(call).await.ok()??;
    cloud.spawn(served.afterwards);
    Some(served.answer)
}

/// Relays are spread over the locations.
pub(crate) fn location_of_relay(relay: u32, locations: usize) -> usize {
    relay as usize * 5 % locations
}

/// How a relay reaches its coordinator.
pub(crate) struct Uplink {
    cloud: Rc<FakeCloud>,
    key: usize,
    relay: u32,
}

impl Uplink {
    async fn call<T: DeserializeOwned>(&self, call: CoordinatorCall) -> Result<T, Unavailable> {
        let Uplink { cloud, key, relay } = self;
        let key = *key;
        let location = location_of_relay(*relay, cloud.locations.get());
        let at_object = Rc::clone(cloud);
        let answer = async move { at_object.coordinator_answer(key, call) };
        cloud.call(location, Object::Coordinator(key), RELAY_ANSWER, answer).await
    }
}

impl Upstream for Uplink {
    async fn ask(&self, take: &Acquire) -> Result<Acquired, Unavailable> {
        self.call(CoordinatorCall::Acquire(take.clone())).await
    }

    async fn report(&self, report: &CoordinatorCall) -> Result<(), Unavailable> {
        self.call::<serde_json::Value>(report.clone()).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        self.cloud.clock.now()
    }

    async fn wait(&self, span: Span) {
        self.cloud.clock.sleep(span).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.cloud.spawn(work);
    }
}

/// How a relay of the change log reaches it.
pub(crate) struct LogUplink {
    pub cloud: Rc<FakeCloud>,
    pub relay: u32,
}

impl changes::relay::Upstream for LogUplink {
    async fn read(&self, call: &ReadChanges) -> Result<News, Unavailable> {
        let (registry, call) = (Rc::clone(&self.cloud), call.clone());
        let answer = async move {
            registry.count(Object::Registry, Purpose::LogForRelay);
            let news = registry.change_log.borrow().read(&call);
            Some(serde_json::to_string(&news).unwrap())
        };
        let location = location_of_relay(self.relay, self.cloud.locations.get());
        self.cloud.call(location, Object::Registry, ANSWER_WITHIN, answer).await
    }

    fn now(&self) -> Timestamp {
        self.cloud.now()
    }

    async fn wait(&self, span: Span) {
        self.cloud.clock.sleep(span).await;
    }
}
