//! A call of the admin API from its first attempt to its answer. Whatever has to be waited for is waited for here, between
//! attempts and after them.

use std::rc::Rc;

use keyward_core::{
    entropy::Entropy,
    secret::{Secret, Secrets},
    time::{Span, Timestamp},
};
use keyward_limits::wire::{UsageReport, UsageTaken};

use crate::{
    admin_call::{AdminCall, AdminReply},
    attempts,
    backup::restore,
    call_state::CallState,
    dispatch::{Progress, Registry},
    error::ApiError,
    outcome::Outcome,
    publish_error::PublishError,
    publisher::{PATIENCE, Publisher},
    storage,
    task::Task,
    upkeep::Upkeep,
    usage::report as usage,
};

/// How long the gate waits for the answer to a call.
pub const ANSWERED_WITHIN: Span = Span::from_secs(10);
/// How long a call may take to tell all the coordinators that it has to. Less than the gate waits: an answer that nobody waits
/// for any more would be lost, and with it a key that was made.
pub const DELIVERED_WITHIN: Span = Span::from_secs(8);

/// What a deployment's calls have in common.
#[derive(Clone, Copy)]
pub struct Deployment<'a> {
    /// Its secrets.
    pub secrets: &'a Secrets,
    /// `KEYWARD_SETUP_TOKEN`, if it is set.
    pub setup_token: Option<&'a Secret>,
    /// `KEYWARD_RECOVERY_TOKEN`, if it is set.
    pub recovery_token: Option<&'a Secret>,
}

impl Publisher {
    /// Answers a call.
    pub async fn answer(
        self: &Rc<Self>,
        call: &AdminCall,
        deployment: Deployment<'_>,
        entropy: &mut dyn Entropy,
    ) -> AdminReply {
        let request_id = call.request_id.as_str();
        let unavailable = |task: Task, error: &str| {
            self.platform.log(task, error, Some(request_id));
            ApiError::registry_unavailable().reply(request_id)
        };
        let end = self.platform.now() + DELIVERED_WITHIN;
        match self.open().await {
            Ok(()) => {}
            Err(PublishError::Misplaced(misplaced)) => {
                self.platform.log(Task::Opening, &misplaced.to_string(), Some(request_id));
                return ApiError::misplaced(misplaced).reply(request_id);
            }
            Err(error) => return unavailable(Task::Opening, &error.to_string()),
        }
        let outcome = self.decide(call, deployment, entropy, end).await;
        for notice in self.memory.notices.take() {
            self.platform.log(Task::NearlyFull, &notice, Some(request_id));
        }
        if call.method != "GET" {
            self.mark_behind();
            self.keep_up(deployment.secrets);
        }
        if let Some(fault) = &outcome.fault {
            self.platform.log(Task::Database, &fault.to_string(), Some(request_id));
        }
        // What is done by now is done: whatever fails from here on does not take a key from whoever made it.
        let alarm = self.keep_alarm().await;
        let telling = self.tell_all(&outcome.publish, self.left(end)).await;
        self.publish_after(outcome.publish.clone());
        let alarm = if alarm.is_err() { self.keep_alarm().await } else { alarm };
        if let Err(error) = outcome.keep_promise(self.platform.db(), telling) {
            self.platform.log(Task::Database, &error.to_string(), Some(request_id));
        }
        let outcome = match alarm {
            Ok(()) => outcome,
            Err(error) => {
                self.platform.log(Task::Alarm, &error.to_string(), Some(request_id));
                outcome.without_alarm()
            }
        };
        outcome.reply(telling, request_id)
    }

    /// How long is left until then, at most as long as one answer is waited for.
    fn left(&self, end: Timestamp) -> Span {
        (end - self.platform.now()).clamp(Span::ZERO, PATIENCE)
    }

    /// Takes a coordinator's report of usage in.
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
        if restore::is_under_way(db)? {
            return Err(PublishError::Restoring);
        }
        let room = storage::has_space(db, self.platform.policy())?;
        let taken = usage::apply(db, report, room, self.platform.now())?;
        // What the report says may be an event.
        if !self.platform.policy().admin.events.is_empty() {
            self.keep_alarm().await?;
        }
        self.memory.latest.replace(usage::tenant_of(db, &report.key_id)?);
        if let Some(secrets) = secrets {
            self.keep_up(secrets);
        }
        Ok(taken)
    }

    /// One run of upkeep. What it leaves, the next one does.
    pub fn keep_up(&self, secrets: &Secrets) {
        let upkeep =
            Upkeep { db: self.platform.db(), policy: self.platform.policy(), secrets, memory: &self.memory };
        if let Err(error) = upkeep.run(self.platform.now()) {
            self.platform.log(Task::Upkeep, &error.to_string(), None);
        }
    }

    /// Makes attempts at the call until one of them is the last. Coordinators are told before `end`.
    pub async fn decide(
        self: &Rc<Self>,
        call: &AdminCall,
        deployment: Deployment<'_>,
        entropy: &mut dyn Entropy,
        end: Timestamp,
    ) -> Outcome {
        let Deployment { secrets, setup_token, recovery_token } = deployment;
        let (db, policy) = (self.platform.db(), self.platform.policy());
        let registry = Registry { db, policy, secrets, setup_token, recovery_token, memory: &self.memory };
        let mut state = CallState::default();
        loop {
            match registry.handle(call, &state, self.platform.now(), entropy) {
                Progress::Done(outcome) => return outcome,
                Progress::Derive(job) => match self.platform.derive(&job).await {
                    Ok(key) => state.derived.push(job.done(key)),
                    Err(error) => {
                        self.platform.log(
                            Task::PasswordDerivation,
                            &error.to_string(),
                            Some(&call.request_id),
                        );
                        return Outcome::refused(ApiError::registry_unavailable());
                    }
                },
                Progress::Verify(job) => state.verified = Some(self.platform.verify(job.signed()).await),
                Progress::Wait(rate_limited) => {
                    state.waits += 1;
                    state.rate_limited = rate_limited;
                    self.platform.pause(attempts::LOOK_AGAIN).await;
                }
                Progress::Tell(created) => {
                    let alarm = self.keep_alarm().await;
                    if let Err(error) = &alarm {
                        self.platform.log(Task::Alarm, &error.to_string(), Some(&call.request_id));
                    }
                    let ids = std::slice::from_ref(&created.id);
                    let told = alarm.is_ok() && self.tell_all(ids, self.left(end)).await.pending == 0;
                    state.introduced = Some(created.introduced(told));
                }
            }
        }
    }
}
