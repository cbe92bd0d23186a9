//! A call of the admin API from its first turn to its answer: whatever is waited for is waited for here, between
//! turns and after them.

use std::rc::Rc;

use keyward_core::{
    entropy::Entropy,
    secret::{Secret, Secrets},
    time::Timestamp,
};
use keyward_limits::wire::{UsageReport, UsageTaken};

use crate::{
    admin_call::{AdminCall, AdminReply},
    attempts,
    call_state::CallState,
    dispatch::{Progress, Registry},
    error::ApiError,
    outcome::Outcome,
    publish_error::PublishError,
    publisher::{PATIENCE_MS, Platform, Publisher},
    room,
    upkeep::Upkeep,
    usage::report as usage,
};

/// Milliseconds that the gate waits for the answer to a call.
pub const ANSWERED_WITHIN_MS: u32 = 10_000;
/// Milliseconds in which a call tells all KeyGates that it has to, one after the other. Less than the gate waits: an answer
/// that nobody waits for any more would be lost, and with it a key that was made.
pub const DELIVERED_WITHIN_MS: i64 = 8_000;

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
            ApiError::registry_unavailable().reply(request_id)
        };
        let end = self.platform.now().plus(DELIVERED_WITHIN_MS);
        if let Err(error) = self.open().await {
            return unavailable("opening", &error.to_string());
        }
        let outcome = self.decide(call, deployment, entropy, end).await;
        for notice in self.memory.notices.take() {
            self.platform.log("nearly full", &notice, Some(request_id));
        }
        if call.method != "GET" {
            self.keep_up(deployment.secrets);
        }
        if let Some(fault) = &outcome.fault {
            self.platform.log("database", &fault.to_string(), Some(request_id));
        }
        // What is done by now is done: whatever fails from here on does not take a key from whoever made it.
        let alarm = self.keep_alarm().await;
        let telling = self.tell_all_within(&outcome.publish, self.left(end)).await;
        self.publish_after(outcome.publish.clone());
        let alarm = if alarm.is_err() { self.keep_alarm().await } else { alarm };
        if let Err(error) = outcome.keep_promise(self.platform.db(), telling) {
            self.platform.log("database", &error.to_string(), Some(request_id));
        }
        let outcome = match alarm {
            Ok(()) => outcome,
            Err(error) => {
                self.platform.log("alarm", &error.to_string(), Some(request_id));
                outcome.without_alarm()
            }
        };
        outcome.reply(telling, request_id)
    }

    /// Milliseconds until then, as many as one answer is waited for at the most.
    fn left(&self, end: Timestamp) -> u32 {
        u32::try_from(end.0.saturating_sub(self.platform.now().0)).unwrap_or_default().min(PATIENCE_MS)
    }

    /// Takes a KeyGate's report of usage in.
    ///
    /// # Errors
    /// What SQLite says, or that the alarm could not be set.
    pub async fn take_usage(
        &self,
        report: &UsageReport,
        secrets: Option<&Secrets>,
    ) -> Result<UsageTaken, PublishError> {
        self.open().await?;
        // An alarm that was set by a clock that was ahead rings late: here it is set anew.
        self.keep_alarm().await?;
        let db = self.platform.db();
        let room = room::is_left(db, self.platform.policy())?;
        let taken = usage::apply(db, report, room, self.platform.now())?;
        self.memory.latest.replace(usage::tenant_of(db, &report.key_id)?);
        if let Some(secrets) = secrets {
            self.keep_up(secrets);
        }
        Ok(taken)
    }

    /// One turn of upkeep. What it leaves is done by the next.
    pub fn keep_up(&self, secrets: &Secrets) {
        let upkeep =
            Upkeep { db: self.platform.db(), policy: self.platform.policy(), secrets, memory: &self.memory };
        if let Err(error) = upkeep.turn(self.platform.now()) {
            self.platform.log("upkeep", &error.to_string(), None);
        }
    }

    /// Runs the call's turns. What it tells to KeyGates is told before `end`.
    pub async fn decide(
        self: &Rc<Self>,
        call: &AdminCall,
        deployment: Deployment<'_>,
        entropy: &mut dyn Entropy,
        end: Timestamp,
    ) -> Outcome {
        let Deployment { secrets, setup_token } = deployment;
        let (db, policy) = (self.platform.db(), self.platform.policy());
        let registry = Registry { db, policy, secrets, setup_token, memory: &self.memory };
        let mut state = CallState::default();
        loop {
            match registry.handle(call, &state, self.platform.now(), entropy) {
                Progress::Done(outcome) => return outcome,
                Progress::Derive(job) => match self.platform.derive(&job).await {
                    Ok(key) => state.derived.push(job.done(key)),
                    Err(error) => {
                        self.platform.log("password derivation", &error.to_string(), Some(&call.request_id));
                        return Outcome::refused(ApiError::registry_unavailable());
                    }
                },
                Progress::Wait(crowded) => {
                    state.waits += 1;
                    state.crowded = crowded;
                    self.platform.pause(attempts::LOOK_AGAIN_MS).await;
                }
                Progress::Tell(created) => {
                    let alarm = self.keep_alarm().await;
                    if let Err(error) = &alarm {
                        self.platform.log("alarm", &error.to_string(), Some(&call.request_id));
                    }
                    let ids = std::slice::from_ref(&created.id);
                    let told = alarm.is_ok() && self.tell_all_within(ids, self.left(end)).await.pending == 0;
                    state.introduced = Some(created.introduced(told));
                }
            }
        }
    }
}
