//! Carrying out a call: each attempt is one transaction, and says what has to be done before the next one.

use std::cell::{Cell, RefCell};

use keyward_core::{
    entropy::Entropy,
    secret::{Secret, Secrets},
    sql::{self, Sql, SqlError},
    time::Timestamp,
};
use keyward_policy::Policy;

use crate::{
    admin_call::AdminCall,
    call_state::{CallState, CreatedKey},
    context::RequestContext,
    effect::Effect,
    error::ApiError,
    handler::HandlerError,
    keys::delivery,
    memory::Memory,
    outcome::Outcome,
    passkeys::signature::SignatureJob,
    password::derivation::PasswordJob,
    rates::Weight,
    router::{self, Found},
    storage,
};

/// The Registry over one database.
#[derive(Clone, Copy)]
pub struct Registry<'a> {
    /// The object's database, brought forward by [`migrate`](crate::migrate).
    pub db: &'a dyn Sql,
    /// The deployment's policy.
    pub policy: &'static Policy,
    /// The deployment's secrets.
    pub secrets: &'a Secrets,
    /// `KEYWARD_SETUP_TOKEN`, if it is set.
    pub setup_token: Option<&'a Secret>,
    /// `KEYWARD_RECOVERY_TOKEN`, if it is set.
    pub recovery_token: Option<&'a Secret>,
    /// What the object remembers.
    pub memory: &'a Memory,
}

/// How far a call came.
pub enum Progress {
    /// Derive this password, then call again with all results so far.
    Derive(Box<PasswordJob>),
    /// Verify this signature, then call again with the result.
    Verify(Box<SignatureJob>),
    /// Tell this key's coordinator of it, then call again.
    Tell(CreatedKey),
    /// Wait for [`LOOK_AGAIN`](crate::attempts::LOOK_AGAIN), then call again with one wait more, and this.
    Wait(Option<ApiError>),
    /// The call is done.
    Done(Outcome),
}

impl Registry<'_> {
    /// Answers a call of the admin API, or says what has to be done first. Everything is written in one transaction. A call
    /// that fails or is refused writes nothing, with two exceptions: failed attempts are counted, and a key that it made in an
    /// earlier attempt is cancelled.
    pub fn handle(
        &self,
        call: &AdminCall,
        state: &CallState,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Progress {
        let found = match router::find(&call.method, &call.path) {
            Ok(found) => found,
            Err(refusal) => return Progress::Done(Outcome::refused(refusal)),
        };
        let weight = found.weight(&call.query);
        let before = self.db.size();
        let mut attempt = |further| {
            let mut context = self.context(call, state, now, &mut *entropy, weight);
            context.is_counted |= further > 0;
            self.attempt(context, found, further)
        };
        let progress = match found.route.effect {
            Effect::Ends | Effect::Admits | Effect::Helps => storage::retry_when_full(self.db, attempt),
            Effect::Reads | Effect::Repeats | Effect::Makes | Effect::Grows => attempt(0),
        };
        let progress = progress.unwrap_or_else(|error| {
            let context = self.context(call, state, now, entropy, weight);
            let mut outcome = Outcome::failed(error);
            // What cannot be cancelled now, the alarm cancels.
            if call.idempotency_key.is_none()
                && let Err(error) = context.cancel()
            {
                outcome.fault = Some(error);
            }
            Progress::Done(outcome)
        });
        if let (Ok(before), Ok(after)) = (before, self.db.size()) {
            self.memory.notices.borrow_mut().extend(storage::notice(self.policy, before, after));
        }
        progress
    }

    fn context<'t>(
        &'t self,
        call: &'t AdminCall,
        state: &'t CallState,
        now: Timestamp,
        entropy: &'t mut dyn Entropy,
        weight: Weight,
    ) -> RequestContext<'t> {
        RequestContext {
            db: self.db,
            policy: self.policy,
            secrets: self.secrets,
            setup_token: self.setup_token,
            recovery_token: self.recovery_token,
            memory: self.memory,
            call,
            state,
            now,
            entropy,
            stands: Cell::new(false),
            weight,
            is_counted: !state.derived.is_empty()
                || state.verified.is_some()
                || state.introduced.is_some()
                || state.waits > 0,
            counted: RefCell::default(),
        }
    }

    /// One attempt. `further`: how many attempts before it found no space in the database.
    fn attempt(
        &self,
        mut context: RequestContext<'_>,
        found: Found<'_>,
        further: usize,
    ) -> Result<Progress, SqlError> {
        let progress = sql::transaction(self.db, || {
            storage::release_reserve(self.db, further)?;
            match context.run(found) {
                Ok(outcome) => Ok(Progress::Done(outcome)),
                Err(HandlerError::Derive(job)) => Ok(Progress::Derive(job)),
                Err(HandlerError::Verify(job)) => Ok(Progress::Verify(job)),
                Err(HandlerError::Tell(created)) => Ok(Progress::Tell(created)),
                Err(HandlerError::Refused(refusal)) if context.stands.get() => {
                    Ok(Progress::Done(Outcome::refused(refusal)))
                }
                Err(stop) => Err(stop),
            }
        });
        let may_be_repeated = context.call.idempotency_key.is_some();
        let (mut outcome, is_kept) = match progress {
            Ok(progress) => return Ok(progress),
            Err(HandlerError::Refused(refusal)) => {
                context.give_back_if_cheap(&refusal);
                (Outcome::refused(refusal), false)
            }
            Err(HandlerError::Untold) => {
                (Outcome::refused(delivery::untold(may_be_repeated)), may_be_repeated)
            }
            Err(HandlerError::Failed(error)) => return Err(error),
            // These are kept above.
            Err(HandlerError::Derive(job)) => return Ok(Progress::Derive(job)),
            Err(HandlerError::Verify(job)) => return Ok(Progress::Verify(job)),
            Err(HandlerError::Tell(created)) => return Ok(Progress::Tell(created)),
            Err(HandlerError::Wait(rate_limited)) => return Ok(Progress::Wait(rate_limited)),
        };
        // What cannot be cancelled now, the alarm cancels.
        if !is_kept && let Err(error) = context.cancel() {
            outcome.fault = Some(error);
        }
        Ok(Progress::Done(outcome))
    }
}
