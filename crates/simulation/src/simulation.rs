//! A run: requests that come to isolates, what happens meanwhile, and the time that passes.

use std::{cell::RefCell, rc::Rc};

use futures::executor::LocalPool;
use keyward_core::{
    record::Cost,
    time::{MILLISECOND, Span},
};
use keyward_gate::{
    client_info::ClientInfo,
    denial::Denial,
    handle::Background,
    pipeline::{BackgroundTask, Pipeline},
};
use keyward_limits::{routes::RouteName, used_from::UsedFrom};
use keyward_policy::{KeyRequirement, Realm};
use keyward_testing::policy::POLICY;

use crate::{
    cloud::{BEGIN, FakeCloud, Isolate},
    isolate_platform::{IsolatePlatform, gate, pipeline},
    network::Network,
};

const CALLER: ClientInfo<'static> =
    ClientInfo { method: "GET", upgrades: false, address: None, origin: None, tenant: None, token: None };

/// The routes that requests take in turn.
const PATHS: [&str; 3] = ["/a", "/b/*", "/c d"];

/// A run: a cloud, what happens in it, and the executor that lets time pass.
pub struct Simulation {
    pool: RefCell<LocalPool>,
    cloud: Rc<FakeCloud>,
}

impl Simulation {
    /// A deployment with this many isolates. The same seed gives the same run.
    pub fn new(seed: u64, isolates: usize, network: Network, realm: Realm) -> Self {
        let pool = LocalPool::new();
        let cloud = FakeCloud::new(pool.spawner(), seed, network, realm);
        cloud.add_isolates(isolates);
        Self { pool: RefCell::new(pool), cloud }
    }

    /// The deployment.
    pub fn cloud(&self) -> &Rc<FakeCloud> {
        &self.cloud
    }

    /// Schedules something, this long after the beginning.
    pub fn at(&self, moment: Span, what: impl FnOnce(&Rc<FakeCloud>) + 'static) {
        let cloud = Rc::clone(&self.cloud);
        self.cloud.spawn(async move {
            cloud.clock.sleep_until(BEGIN + moment).await;
            what(&cloud);
        });
    }

    /// Schedules something for each millisecond of the first span.
    pub fn each_millisecond(&self, span: Span, mut what: impl FnMut(&Rc<FakeCloud>) + 'static) {
        let cloud = Rc::clone(&self.cloud);
        self.cloud.spawn(async move {
            for moment in (0..span.ms()).map(Span::from_ms) {
                cloud.clock.sleep_until(BEGIN + moment).await;
                what(&cloud);
            }
        });
    }

    /// Lets time pass until nothing is left to do: whatever can run runs, then time jumps to the next moment that
    /// something waits for.
    pub fn run(&self) {
        let mut pool = self.pool.borrow_mut();
        loop {
            pool.run_until_stalled();
            if !self.cloud.clock.skip() {
                return;
            }
        }
    }
}

impl FakeCloud {
    /// A request with this key arrives at this isolate.
    pub fn request(self: &Rc<Self>, isolate: usize, key: usize) {
        self.request_of(isolate, key, Cost::ONE);
    }

    /// A request of this cost arrives. In the log, it is as many that arrive together.
    pub fn request_of(self: &Rc<Self>, isolate: usize, key: usize, cost: Cost) {
        let came = self.now();
        let isolate = self.isolate(isolate);
        let (secret, is_first, route) = {
            let key = &mut self.keys.borrow_mut()[key];
            key.log.came.push(came);
            let is_first = key.log.isolates.insert(isolate.instance);
            key.log.counted.requests += 1;
            key.log.counted.first += u64::from(is_first);
            let path = PATHS[key.log.came.len() % PATHS.len()];
            let route = RouteName { realm: self.realm.id, method: "GET", path };
            (Rc::clone(&key.secret), is_first, route)
        };
        let cloud = Rc::clone(self);
        self.spawn(async move {
            let requirement = KeyRequirement { cost, ..KeyRequirement::ANY_KEY };
            let place = IsolatePlatform { cloud: &cloud, isolate: &isolate };
            let from = UsedFrom { address: None, route: Some(route), country: &|| None };
            let checked = Pipeline { from: Some(from), ..pipeline(&place) }
                .check(&cloud.realm, cloud.realm.freshness_on(None), &requirement, &secret, CALLER)
                .await;
            let now = cloud.now();
            let background = gate(&place).background();
            if !background.is_empty() {
                cloud.spawn(run(Rc::clone(&cloud), isolate.clone(), background));
            }
            let log = &mut cloud.keys.borrow_mut()[key].log;
            log.counted.waited += u64::from(now > came);
            log.counted.first_waited += u64::from(is_first && now > came);
            log.longest = log.longest.max(now - came);
            match checked {
                Ok(accepted) => {
                    log.answer("accepted", route, now);
                    log.counted.accepted += 1;
                    let version = accepted.permit.record().map_or(0, |record| record.version);
                    let arrives = now + cloud.span_below(cloud.realm.limits.travel + MILLISECOND);
                    (0..cost.units()).for_each(|_| log.pass(version, arrives));
                    log.passed_after_all += u64::from(log.revoked_at.is_some_and(|revoked| revoked <= came));
                    // The platform may end a background task.
                    let is_ended = cloud.below(1_000) < cloud.network.lost;
                    if accepted.background.is_some() && is_ended {
                        log.faults.push(now);
                    } else if let Some(task) = accepted.background {
                        cloud.spawn(keep_lease(Rc::clone(&cloud), isolate.clone(), task));
                    }
                }
                Err(refused) => {
                    if refused.key.is_some() {
                        log.answer(refused.denial.public().code, route, now);
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

async fn keep_lease(cloud: Rc<FakeCloud>, isolate: Isolate, task: BackgroundTask) {
    let place = IsolatePlatform { cloud: &cloud, isolate: &isolate };
    let mut next = Some(task);
    while let Some(task) = next {
        next = pipeline(&place).run_background(task).await;
    }
}

/// What there is to do behind any answer, as the Worker does it.
async fn run(cloud: Rc<FakeCloud>, isolate: Isolate, background: Background) {
    gate(&IsolatePlatform { cloud: &cloud, isolate: &isolate }).run(background).await;
}

/// The default policy's realm with another freshness.
pub fn realm(freshness: Span) -> Realm {
    Realm { freshness, ..POLICY.realms[0] }
}
