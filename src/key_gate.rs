//! The KeyGate's object: storage and alarms around [`keyward_limits::coordinator::Coordinator`].

use std::cell::Cell;

use worker::{DurableObject, Env, Request, Response, Result, State, console_error, durable_object};

use super::{clock, sql::ObjectSql, stores};
use keyward_core::{sql::SqlError, time::Timestamp};
use keyward_limits::{
    coordinator::{Coordinator, Keep, store::Kept},
    usage,
    wire::{CoordinatorCall, UsageTaken},
};

/// A report that failed is tried again after this many milliseconds.
const RETRY_REPORT_MS: i64 = 60_000;

/// One key's object.
#[durable_object]
pub struct KeyGate {
    state: State,
    env: Env,
    core: Kept,
    /// When the alarm rings, as far as is known.
    alarm_at: Cell<Option<Timestamp>>,
}

impl DurableObject for KeyGate {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, core: Kept::default(), alarm_at: Cell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let call = serde_json::from_str(&request.text().await?)?;
        let answer = self.answer(call).map_err(|error| worker::Error::RustError(error.to_string()))?;
        self.schedule_report().await?;
        Response::ok(answer)
    }

    async fn alarm(&self) -> Result<Response> {
        self.alarm_at.set(None);
        let report = self.turn(|core| Ok((core.report(clock::now()), Keep::Nothing))).map_err(failed)?;
        let Some(report) = report.filter(|report| !report.hours.is_empty()) else { return Response::ok("") };
        // An older build answers `{}`.
        let taken =
            stores::ask_registry::<UsageTaken>(&self.env, "/usage", &report, stores::BACKGROUND_MS, true)
                .await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                console_error!(
                    "{}",
                    serde_json::json!({ "event": "usage not reported yet", "error": error })
                );
                self.set_alarm(RETRY_REPORT_MS).await?;
                return Response::ok("");
            }
        };
        self.turn(|core| {
            core.reported(&report, &taken.early, clock::now());
            Ok(((), Keep::Counts))
        })
        .map_err(failed)?;
        self.schedule_report().await?;
        Response::ok("")
    }
}

impl KeyGate {
    /// Answers a call and keeps what it changed, in one synchronous turn: the runtime sends the answer
    /// only once that is on disk.
    fn answer(&self, call: CoordinatorCall) -> std::result::Result<String, SqlError> {
        self.turn(|core| core.answer(call, clock::now()).map_err(|error| SqlError(error.to_string())))
    }

    fn turn<T>(
        &self,
        turn: impl FnOnce(&mut Coordinator) -> std::result::Result<(T, Keep), SqlError>,
    ) -> std::result::Result<T, SqlError> {
        self.core.turn(&ObjectSql::new(&self.state), turn)
    }

    async fn schedule_report(&self) -> Result<()> {
        let due = self.turn(|core| Ok((core.report_in(clock::now()), Keep::Nothing))).map_err(failed)?;
        match due.filter(|_| !usage::rings(self.alarm_at.get(), clock::now())) {
            Some(milliseconds) => self.set_alarm(milliseconds).await,
            None => Ok(()),
        }
    }

    async fn set_alarm(&self, milliseconds: i64) -> Result<()> {
        self.state.storage().set_alarm(milliseconds).await?;
        self.alarm_at.set(Some(clock::now().plus(milliseconds)));
        Ok(())
    }
}

fn failed(error: SqlError) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
