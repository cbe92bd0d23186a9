//! The platform as an isolate sees it: KV that lags, and objects at the other end of the network.

use std::rc::Rc;

use keyward_core::{
    changes::{News, ReadChanges},
    time::{Span, Timestamp},
    unavailable::{CallFailed, Unavailable},
};
use keyward_gate::{
    deadline::Deadline, handle::Gate, pipeline::Pipeline, platform::Platform, watch::Watchers,
};
use keyward_limits::{lease::Grantor, relay, wire::CoordinatorCall};
use serde::de::DeserializeOwned;

use crate::{
    cloud::{FakeCloud, Isolate, relay_answer},
    network::Object,
};

/// The time until KV answers.
const KV_ANSWER: Span = Span::from_ms(10);

/// The platform as one isolate sees it.
pub(crate) struct IsolatePlatform<'a> {
    pub cloud: &'a Rc<FakeCloud>,
    pub isolate: &'a Isolate,
}

impl IsolatePlatform<'_> {
    fn location(&self) -> usize {
        self.isolate.number % self.cloud.locations.get()
    }
}

/// What decides there.
pub(crate) fn pipeline<'p, 'a>(platform: &'p IsolatePlatform<'a>) -> Pipeline<'p, IsolatePlatform<'a>> {
    let memory = Rc::clone(&platform.isolate.memory);
    let issuers = Rc::default();
    let secrets = Ok(Rc::clone(&platform.cloud.secrets));
    let deadline = Deadline::within(platform.cloud.realm.decision_timeout, platform.now());
    Pipeline {
        platform,
        request_id: None,
        jurisdiction: None,
        from: None,
        memory,
        issuers,
        secrets,
        deadline,
    }
}

/// What does there what is to be done behind an answer.
pub(crate) fn gate<'p, 'a>(platform: &'p IsolatePlatform<'a>) -> Gate<'p, IsolatePlatform<'a>> {
    let Pipeline { memory, issuers, secrets, .. } = pipeline(platform);
    Gate { policy: None, platform, memory, issuers, secrets, watchers: Watchers::default() }
}

impl Platform for IsolatePlatform<'_> {
    keyward_testing::only_keys!();

    async fn read(&self, kv_key: &str, _: Span) -> Result<Option<String>, CallFailed> {
        let cloud = self.cloud;
        cloud.kv_reads.set(cloud.kv_reads.get() + 1);
        cloud.clock.sleep(KV_ANSWER).await;
        let Some(key) = cloud.number(kv_key) else { return Ok(None) };
        // Each location and key has a lag of its own.
        let lag = (self.location() + key) as i64 * 7_919 % cloud.network.kv_lag.ms().max(1);
        Ok(cloud.keys.borrow()[key].seen(cloud.now() - Span::from_ms(lag)))
    }

    async fn coordinator<T: DeserializeOwned>(
        &self,
        hash: &str,
        grantor: Grantor,
        call: &CoordinatorCall,
        within: Span,
    ) -> Result<T, CallFailed> {
        let (cloud, location) = (self.cloud, self.location());
        let key = cloud.number(hash).ok_or_else(|| CallFailed::because("there is no such key"))?;
        let relay = (grantor == Grantor::Relay).then(|| relay::number(self.isolate.number as u32));
        let object = relay.map_or(Object::Coordinator(key), |relay| Object::Relay(key, relay));
        let (at_object, call) = (Rc::clone(cloud), call.clone());
        let answer = async move {
            match relay {
                None => at_object.coordinator_answer(key, call),
                Some(relay) => relay_answer(&at_object, key, relay, call).await,
            }
        };
        let answer = cloud.call(location, object, within, answer).await;
        answer.map_err(|Unavailable| CallFailed::because("no answer"))
    }

    async fn changes(&self, relay: u32, call: &ReadChanges, within: Span) -> Result<News, CallFailed> {
        let answer = Rc::clone(self.cloud).log_relay_answer(relay, call.clone());
        let answer = self.cloud.call(self.location(), Object::LogRelay(relay), within, answer).await;
        answer.map_err(|Unavailable| CallFailed::because("no answer"))
    }

    async fn exceeds(&self, _: &str, _: &str, _: Span) -> Result<bool, CallFailed> {
        Ok(false)
    }

    fn now(&self) -> Timestamp {
        self.cloud.now() + self.isolate.skew.get()
    }

    async fn wait(&self, span: Span) {
        self.cloud.clock.sleep(span).await;
    }
}
