//! A whole deployment in virtual time: isolates with the real pipeline, coordinators and relays with their
//! real cores, a network that delays and loses, KV that lags, clocks that are off. What reached the
//! origin is logged exactly. Used by the simulation and by `crates/simulation/tests/leases.rs`.
#![allow(dead_code, reason = "each of those who use it uses a part")]

pub mod keys;
pub mod network;
mod time;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use keyward_core::secret::Secrets;
use keyward_gate::{client_info::ClientInfo, denial::Denial, memory::Memory, pipeline::BackgroundTask};
use keyward_limits::{relay::RelayServer, timing::TRAVEL_MS};
use keyward_policy::{KeyRequirement, Realm};

use self::{
    keys::Key,
    network::{Load, Network, Object, Place, Uplink},
    time::{Clock, Executor},
};
use keyward_testing::policy::POLICY;

/// Isolates are spread over so many places.
pub const LOCATIONS: usize = 300;
/// When time begins: some day.
pub const BEGIN: i64 = 1_900_000_000_000;

const CALLER: ClientInfo<'static> =
    ClientInfo { method: "GET", upgrades: false, address: None, origin: None, tenant: None };

/// The world.
pub struct World {
    executor: Executor,
    cloud: Rc<Cloud>,
}

/// What everything in it shares.
pub struct Cloud {
    clock: Rc<Clock>,
    random: Cell<u64>,
    network: Network,
    realm: Realm,
    secrets: Rc<Secrets>,
    isolates: RefCell<Vec<Isolate>>,
    servers: RefCell<HashMap<Object, Rc<RelayServer<Uplink>>>>,
    /// The number of the key with a hash, or with a key of KV.
    numbers: RefCell<HashMap<String, usize>>,
    /// Keys, in the order in which they were made.
    pub keys: RefCell<Vec<Key>>,
    /// Calls to each object.
    pub loads: RefCell<HashMap<Object, Load>>,
    /// Reads of KV.
    pub kv_reads: Cell<u64>,
    /// Objects of keys get calls and never answer.
    pub hangs: Cell<bool>,
    /// How far the clocks of keys' objects are ahead.
    pub objects_ahead: Cell<i64>,
}

#[derive(Clone)]
struct Isolate {
    memory: Rc<RefCell<Memory>>,
    /// How far its clock is ahead.
    skew: Rc<Cell<i64>>,
    number: usize,
}

impl World {
    /// A world with this number of isolates, the same for the same seed.
    pub fn new(seed: u64, isolates: usize, network: Network, realm: Realm) -> Self {
        let executor = Executor::new(BEGIN);
        let cloud = Rc::new(Cloud {
            clock: executor.clock(),
            // Xorshift needs a bit that is set, and neighbouring seeds should not look alike.
            random: Cell::new((seed ^ 0x9E37_79B9_7F4A_7C15) | 1 << 63),
            network,
            realm,
            secrets: Rc::new(Secrets::new("a secret of the simulation's own, 32 or more", None)),
            isolates: RefCell::default(),
            servers: RefCell::default(),
            numbers: RefCell::default(),
            keys: RefCell::default(),
            loads: RefCell::default(),
            kv_reads: Cell::default(),
            hangs: Cell::default(),
            objects_ahead: Cell::default(),
        });
        let all = (0..isolates).map(|number| cloud.new_isolate(number)).collect();
        cloud.isolates.replace(all);
        Self { executor, cloud }
    }

    /// What it is made of.
    pub fn cloud(&self) -> &Rc<Cloud> {
        &self.cloud
    }

    /// Does something at a moment, in milliseconds from the beginning.
    pub fn at(&self, moment: i64, what: impl FnOnce(&Rc<Cloud>) + 'static) {
        let cloud = Rc::clone(&self.cloud);
        self.cloud.clock.spawn(async move {
            cloud.clock.sleep_until(BEGIN + moment).await;
            what(&cloud);
        });
    }

    /// Does something each millisecond of a span from the beginning.
    pub fn each_millisecond(&self, span: i64, mut what: impl FnMut(&Rc<Cloud>) + 'static) {
        let cloud = Rc::clone(&self.cloud);
        self.cloud.clock.spawn(async move {
            for moment in 0..span {
                cloud.clock.sleep_until(BEGIN + moment).await;
                what(&cloud);
            }
        });
    }

    /// Lets time pass until nothing is left to do.
    pub fn run(&self) {
        self.executor.run();
    }
}

impl Cloud {
    /// Milliseconds since the beginning.
    pub fn elapsed(&self) -> i64 {
        self.clock.now() - BEGIN
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

    fn random_bits(&self) -> u64 {
        self.below(1 << 32) << 32 | self.below(1 << 32)
    }

    fn new_isolate(&self, number: usize) -> Isolate {
        let most = self.network.skew;
        let skew = self.below(2 * most as u64 + 1) as i64 - most;
        let memory = Memory::of(self.random_bits());
        Isolate { memory: Rc::new(RefCell::new(memory)), skew: Rc::new(Cell::new(skew)), number }
    }

    /// An isolate dies with all that it knew; another takes its place. Requests of the old one that are
    /// under way go on.
    pub fn crash_isolate(&self, number: usize) {
        let isolate = self.new_isolate(number);
        self.isolates.borrow_mut()[number] = isolate;
        let mut keys = self.keys.borrow_mut();
        for key in keys.iter_mut().filter(|key| key.log.isolates.contains(&number)) {
            key.log.mishaps.push(self.clock.now());
        }
    }

    /// The clock of an isolate is set.
    pub fn set_clock(&self, number: usize, by: i64) {
        let isolates = self.isolates.borrow();
        let skew = &isolates[number].skew;
        skew.set(skew.get() + by);
    }

    /// The key's object dies and wakes up with what it had stored; its relays die, too.
    pub fn crash_objects(&self, key: usize) {
        self.keys.borrow_mut()[key].crash(self.clock.now());
        self.servers.borrow_mut().retain(|object, _| object.key != key);
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.numbers.borrow().get(name).copied()
    }

    /// A request with this key comes to this isolate.
    pub fn request(self: &Rc<Self>, isolate: usize, key: usize) {
        let came = self.clock.now();
        let secret = {
            let key = &mut self.keys.borrow_mut()[key];
            key.log.came.push(came);
            key.log.isolates.insert(isolate);
            Rc::clone(&key.secret)
        };
        let cloud = Rc::clone(self);
        let isolate = self.isolates.borrow()[isolate].clone();
        self.clock.spawn(async move {
            let place = Place { cloud: &cloud, isolate: &isolate };
            let checked =
                place.pipeline().check(&cloud.realm, &KeyRequirement::ANY_KEY, &secret, CALLER).await;
            let now = cloud.clock.now();
            if place.pipeline().begins_to_tell() {
                cloud.clock.spawn(tell(Rc::clone(&cloud), isolate.clone()));
            }
            let log = &mut cloud.keys.borrow_mut()[key].log;
            log.waited += u64::from(now > came);
            log.longest = log.longest.max(now - came);
            match checked {
                Ok(accepted) => {
                    log.answer("accepted", now);
                    log.passed.push(now + cloud.below(u64::from(TRAVEL_MS) + 1) as i64);
                    log.passed_after_all += u64::from(log.revoked_at.is_some_and(|revoked| revoked <= came));
                    // The platform may end what goes on after an answer.
                    let is_ended = cloud.below(1_000) < cloud.network.lost;
                    if accepted.background.is_some() && is_ended {
                        log.mishaps.push(now);
                    } else if let Some(background) = accepted.background {
                        cloud.clock.spawn(run_background(Rc::clone(&cloud), isolate.clone(), background));
                    }
                }
                Err(refused) => {
                    if refused.key.is_some() {
                        log.answer(refused.denial.public().code, now);
                    }
                    match refused.denial {
                        Denial::RateLimited { .. } => log.limited.push(now),
                        Denial::StoreUnavailable { .. } => log.failed += 1,
                        _ => log.unknown += 1,
                    }
                }
            }
        });
    }
}

async fn run_background(cloud: Rc<Cloud>, isolate: Isolate, background: BackgroundTask) {
    let place = Place { cloud: &cloud, isolate: &isolate };
    let mut next = Some(background);
    while let Some(background) = next {
        next = place.pipeline().run_background(background).await;
    }
}

async fn tell(cloud: Rc<Cloud>, isolate: Isolate) {
    Place { cloud: &cloud, isolate: &isolate }.pipeline().tell().await;
}

/// The default policy's realm with another freshness.
pub fn realm(freshness_ms: u32) -> Realm {
    Realm { freshness_ms, ..POLICY.realms[0] }
}
