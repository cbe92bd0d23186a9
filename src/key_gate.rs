//! A coordinator's object, of the class `KeyGate`: storage and alarms around [`CoordinatorObject`].

use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::{clock, jurisdiction, log::log, policy, sql::ObjectSql, stores};
use keyward_core::{log::Event, time::Span};
use keyward_limits::{
    coordinator::object::{CoordinatorObject, Due, WITHHELD},
    timing::{BACKGROUND_ANSWER, TRAVEL},
};

/// One key's object.
#[durable_object(alarm)]
pub struct KeyGate {
    state: State,
    env: Env,
    object: CoordinatorObject,
}

impl DurableObject for KeyGate {
    fn new(state: State, env: Env) -> Self {
        let jurisdiction = policy::get().and_then(|policy| policy.jurisdiction);
        Self { state, env, object: CoordinatorObject::within(jurisdiction) }
    }

    /// What a call changes is stored in one synchronous turn: the runtime sends the answer only once that is on disk.
    async fn fetch(&self, mut request: Request) -> Result<Response> {
        if let Some(refusal) = jurisdiction::refusal(&request) {
            return refusal;
        }
        let call = keyward_json::from_str(&request.text().await?).map_err(failed)?;
        let db = ObjectSql::new(&self.state);
        let path = request.path();
        let travel = |realm: &str| policy::get().map_or(TRAVEL, |policy| policy.travel(realm));
        let name = path.trim_start_matches('/');
        let answer = self.object.answer(&db, name, call, travel, clock::now()).map_err(failed)?;
        self.set_alarm(self.object.alarm_in(&db, clock::now()).map_err(failed)?).await?;
        Response::ok(answer)
    }

    async fn alarm(&self) -> Result<Response> {
        let db = ObjectSql::new(&self.state);
        if let Some(Due { report, may_be_sent }) = self.object.ring(&db, clock::now()).map_err(failed)? {
            if let Err(misplaced) = may_be_sent {
                log(&Event::UsageNotReported { error: &misplaced.to_string() });
                return self.set_alarm(Some(WITHHELD)).await.and_then(|()| Response::ok(""));
            }
            // An older build answers `{}`.
            let taken = stores::ask_registry(&self.env, &report, BACKGROUND_ANSWER).await;
            if let Err(error) = &taken {
                log(&Event::UsageNotReported { error: &error.to_string() });
            }
            let next = self.object.reported(&db, &report, taken.ok().as_ref(), clock::now());
            self.set_alarm(next.map_err(failed)?).await?;
        }
        Response::ok("")
    }
}

impl KeyGate {
    async fn set_alarm(&self, due: Option<Span>) -> Result<()> {
        if let Some(due) = due {
            self.state.storage().set_alarm(due.ms()).await?;
            self.object.alarm_is_set(clock::now() + due);
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
