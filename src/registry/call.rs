//! A call of the admin API from its first turn to its answer: whatever is waited for is waited for here, between
//! turns and after them.

use std::rc::Rc;

use crate::{
    entropy::Entropy,
    registry::{
        Outcome, Progress, Registry, Step, attempts, front,
        publisher::{Platform, Publisher},
        upkeep::Upkeep,
    },
    secret::{Secret, Secrets},
    wire::{AdminCall, AdminReply},
};

/// What a deployment's calls have in common.
#[derive(Clone, Copy)]
pub struct Deployment<'a> {
    /// Its secrets.
    pub secrets: &'a Secrets,
    /// `KEYWARD_SETUP_TOKEN`, if it is set.
    pub setup_token: Option<&'a Secret>,
}

impl<P: Platform> Publisher<P> {
    /// Answers a call.
    pub async fn answer(
        self: &Rc<Self>,
        call: &AdminCall,
        deployment: Deployment<'_>,
        entropy: &mut dyn Entropy,
    ) -> AdminReply {
        let request_id = call.request_id.as_str();
        let unavailable = |what: &str, error: &str| {
            self.platform.log(what, error, Some(request_id));
            front::registry_unavailable().reply(request_id)
        };
        if let Err(error) = self.open().await {
            return unavailable("opening", &error);
        }
        let outcome = self.decide(call, deployment, entropy).await;
        for notice in self.memory.notices.take() {
            self.platform.log("nearly full", &notice, Some(request_id));
        }
        if call.method != "GET" {
            self.keep_up(deployment.secrets);
        }
        if let Some(fault) = &outcome.fault {
            self.platform.log("database", &fault.to_string(), Some(request_id));
        }
        if let Err(error) = self.keep_alarm().await {
            return unavailable("alarm", &error);
        }
        let telling = self.tell_all(&outcome.publish).await;
        self.publish_after(outcome.publish.clone());
        if let Err(error) = outcome.keep_promise(self.platform.db(), telling) {
            return unavailable("database", &error.to_string());
        }
        outcome.reply(telling, request_id)
    }

    /// One turn of upkeep. What it leaves is done by the next.
    pub fn keep_up(&self, secrets: &Secrets) {
        let upkeep =
            Upkeep { db: self.platform.db(), policy: self.platform.policy(), secrets, memory: &self.memory };
        if let Err(error) = upkeep.turn(self.platform.now()) {
            self.platform.log("upkeep", &error.to_string(), None);
        }
    }

    /// Runs the call's turns.
    pub async fn decide(
        self: &Rc<Self>,
        call: &AdminCall,
        deployment: Deployment<'_>,
        entropy: &mut dyn Entropy,
    ) -> Outcome {
        let Deployment { secrets, setup_token } = deployment;
        let (db, policy) = (self.platform.db(), self.platform.policy());
        let registry = Registry { db, policy, secrets, setup_token, memory: &self.memory };
        let mut progress = Progress::default();
        loop {
            match registry.handle(call, &progress, self.platform.now(), entropy) {
                Step::Done(outcome) => return outcome,
                Step::Derive(job) => match self.platform.derive(&job).await {
                    Ok(key) => progress.derived.push(job.done(key)),
                    Err(error) => {
                        self.platform.log("password derivation", &error, Some(&call.request_id));
                        return Outcome::refused(front::registry_unavailable());
                    }
                },
                Step::Wait(crowded) => {
                    progress.waits += 1;
                    progress.crowded = crowded;
                    self.platform.pause(attempts::LOOK_AGAIN_MS).await;
                }
                Step::Tell(fresh) => {
                    let alarm = self.keep_alarm().await;
                    if let Err(error) = &alarm {
                        self.platform.log("alarm", error, Some(&call.request_id));
                    }
                    let told =
                        alarm.is_ok() && self.tell_all(std::slice::from_ref(&fresh.id)).await.pending == 0;
                    progress.introduced = Some(fresh.introduced(told));
                }
            }
        }
    }
}
