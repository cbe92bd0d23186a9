//! What lies between an isolate and its stores: messages that take time or are lost, KV that lags.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    pin::pin,
    rc::Rc,
};

use futures::{
    channel::oneshot,
    future::{Either, LocalBoxFuture, select},
};
use keyward_core::{
    link::{Redeem, Redeemed},
    secret::Secret,
    time::{SECOND, Timestamp},
    unavailable::Unavailable,
};
use keyward_gate::{deadline::Deadline, pipeline::Pipeline, stores::Stores};
use keyward_limits::{
    lease::Grantor,
    relay::{RELAYS, RelayServer, Upstream},
    timing::RELAY_ANSWER_MS,
    wire::{Acquire, Acquired, CoordinatorCall},
};
use serde::de::DeserializeOwned;

use super::{Cloud, Isolate, LOCATIONS};

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The shortest and the longest round trip to an object, in milliseconds.
    pub round_trip: (i64, i64),
    /// How many of a thousand messages are lost.
    pub lost: u64,
    /// How long KV may lag, in milliseconds.
    pub kv_lag: i64,
    /// How far the clock of an isolate may be off, in milliseconds.
    pub skew: i64,
}

/// How long KV takes to answer.
const KV: i64 = 10;

/// An object: that of a key, or one of its relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub key: usize,
    pub relay: Option<u32>,
}

/// Calls to one object.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Those within the last second.
    recent: VecDeque<i64>,
    /// The most within any second.
    pub peak: usize,
    /// All of them.
    pub total: u64,
}

impl Load {
    fn count(&mut self, now: i64) {
        while self.recent.front().is_some_and(|call| now - call >= SECOND) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.peak = self.peak.max(self.recent.len());
        self.total += 1;
    }
}

impl Cloud {
    /// One way of the round trip between a location and an object; `None` if it is never made.
    fn leg(&self, location: usize, object: Object) -> Option<i64> {
        if self.below(1_000) < self.network.lost {
            self.keys.borrow_mut()[object.key].log.mishaps.push(self.clock.now());
            return None;
        }
        // Always about the same for the same two places.
        let (shortest, longest) = self.network.round_trip;
        let relay = object.relay.map_or(0, |relay| u64::from(relay) + 1);
        let places = [location as u64, object.key as u64, relay];
        let mixed = places.iter().fold(0xCBF2_9CE4_8422_2325, |sum: u64, place| {
            (sum ^ place).wrapping_mul(0x0100_0000_01B3).rotate_left(29)
        });
        let round_trip = shortest + (mixed % (longest - shortest + 1) as u64) as i64;
        let jitter = self.below(round_trip as u64 / 4 + 1) as i64;
        Some((round_trip - jitter) / 2)
    }

    fn count(&self, object: Object) {
        self.loads.borrow_mut().entry(object).or_default().count(self.clock.now());
    }

    /// What the key's object answers, if it does.
    fn gate(&self, key: usize, call: CoordinatorCall) -> Option<String> {
        self.count(Object { key, relay: None });
        if self.hangs.get() {
            return None;
        }
        Some(self.keys.borrow_mut()[key].answer(call, self.clock.now() + self.objects_ahead.get()))
    }

    fn server(self: &Rc<Self>, object: Object) -> Rc<RelayServer<Uplink>> {
        let new = || {
            let uplink = Uplink { cloud: Rc::clone(self), object };
            Rc::new(RelayServer::new(uplink, self.random_bits()))
        };
        Rc::clone(self.servers.borrow_mut().entry(object).or_insert_with(new))
    }

    /// An answer between two ways through the network; an error where one is lost or takes so long that
    /// the edge gives up. What was sent arrives all the same.
    async fn call<T: DeserializeOwned>(
        self: &Rc<Self>,
        location: usize,
        object: Object,
        within_ms: u32,
        answer: impl Future<Output = Option<String>> + 'static,
    ) -> Result<T, Unavailable> {
        let gives_up = self.clock.now() + i64::from(within_ms);
        let (cloud, (tell, told)) = (Rc::clone(self), oneshot::channel());
        self.clock.spawn(async move {
            let Some(there) = cloud.leg(location, object) else { return };
            cloud.clock.sleep(there).await;
            let Some(answer) = answer.await else { return };
            let Some(back) = cloud.leg(location, object) else { return };
            cloud.clock.sleep(back).await;
            let _ = tell.send(answer);
        });
        // One that is lost is waited for in vain.
        let told = async {
            match told.await {
                Ok(answer) => answer,
                Err(_) => pending().await,
            }
        };
        match select(pin!(told), pin!(self.clock.sleep_until(gives_up))).await {
            Either::Left((answer, _)) => serde_json::from_str(&answer).map_err(|_| Unavailable),
            Either::Right(_) => Err(Unavailable),
        }
    }
}

/// Where a request is checked.
pub(super) struct Place<'a> {
    pub cloud: &'a Rc<Cloud>,
    pub isolate: &'a Isolate,
}

impl Place<'_> {
    pub fn pipeline(&self) -> Pipeline<'_, Self> {
        let memory = Rc::clone(&self.isolate.memory);
        let issuers = Rc::default();
        let secrets = Ok(Rc::clone(&self.cloud.secrets));
        let deadline = Deadline::within(self.cloud.realm.decision_timeout_ms, self.now());
        Pipeline { stores: self, memory, issuers, secrets, deadline }
    }

    fn location(&self) -> usize {
        self.isolate.number % LOCATIONS
    }
}

impl Stores for Place<'_> {
    async fn read(&self, kv_key: &str, _: u32) -> Result<Option<String>, Unavailable> {
        let cloud = self.cloud;
        cloud.kv_reads.set(cloud.kv_reads.get() + 1);
        cloud.clock.sleep(KV).await;
        let Some(key) = cloud.number(kv_key) else { return Ok(None) };
        // Each location lags in its own way, and the same way for the same key.
        let lag = (self.location() + key) as i64 * 7_919 % cloud.network.kv_lag.max(1);
        Ok(cloud.keys.borrow()[key].seen(cloud.clock.now() - lag))
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within_ms: u32,
    ) -> Result<T, Unavailable> {
        let (cloud, location) = (self.cloud, self.location());
        let key = cloud.number(hash).ok_or(Unavailable)?;
        let relay = (grantor == Grantor::Relay).then_some(self.isolate.number as u32 % RELAYS);
        let object = Object { key, relay };
        let (at_object, call) = (Rc::clone(cloud), call.clone());
        let answer = async move {
            match relay {
                None => at_object.gate(key, call),
                Some(_) => relay_answer(&at_object, object, call).await,
            }
        };
        cloud.call(location, object, within_ms, answer).await
    }

    // Only keys are simulated.
    async fn redeem(&self, _: &Redeem, _: u32) -> Result<Redeemed, Unavailable> {
        Err(Unavailable)
    }

    async fn fetch(&self, _: &str, _: u32) -> Result<String, String> {
        Err("there is no issuer".to_owned())
    }

    fn note(&self, _: &str, _: &str) {}

    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }

    async fn fails_too_often(&self, _: &str, _: u32) -> Result<bool, Unavailable> {
        Ok(false)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.cloud.clock.now() + self.isolate.skew.get())
    }

    async fn wait(&self, milliseconds: u32) {
        self.cloud.clock.sleep(milliseconds.into()).await;
    }
}

/// As the edge answers for a relay.
async fn relay_answer(cloud: &Rc<Cloud>, object: Object, call: CoordinatorCall) -> Option<String> {
    cloud.count(object);
    let server = cloud.server(object);
    let tells = Rc::clone(&server);
    match call {
        CoordinatorCall::Acquire(take) => {
            let taken = server.acquire(&take).await;
            cloud.clock.spawn(async move { tells.tell().await });
            cloud.clock.spawn(async move { server.maintain().await });
            serde_json::to_string(&taken).ok()
        }
        CoordinatorCall::Report { refused, leases, tally } => {
            server.note(&refused, &leases, tally.as_ref());
            cloud.clock.spawn(async move { tells.tell().await });
            Some("{}".to_owned())
        }
        _ => None,
    }
}

/// The way from a relay to its coordinator.
pub(super) struct Uplink {
    cloud: Rc<Cloud>,
    object: Object,
}

impl Uplink {
    async fn call<T: DeserializeOwned>(&self, call: CoordinatorCall) -> Result<T, Unavailable> {
        let Object { key, relay } = self.object;
        // Relays are spread over the locations.
        let location = relay.unwrap_or_default() as usize * 5 % LOCATIONS;
        let cloud = Rc::clone(&self.cloud);
        let answer = async move { cloud.gate(key, call) };
        self.cloud.call(location, Object { key, relay: None }, RELAY_ANSWER_MS, answer).await
    }
}

impl Upstream for Uplink {
    async fn ask(&self, take: &Acquire) -> Result<Acquired, Unavailable> {
        self.call(CoordinatorCall::Acquire(take.clone())).await
    }

    async fn tell(&self, report: &CoordinatorCall) -> Result<(), Unavailable> {
        self.call::<serde_json::Value>(report.clone()).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.cloud.clock.now())
    }

    async fn wait(&self, milliseconds: u32) {
        self.cloud.clock.sleep(milliseconds.into()).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.cloud.clock.spawn(work);
    }
}
