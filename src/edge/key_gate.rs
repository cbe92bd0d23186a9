//! The KeyGate's object: storage and alarms around [`crate::key_gate::KeyGate`].

use std::cell::Cell;

use worker::{DurableObject, Env, Request, Response, Result, State, console_error, durable_object};

use super::{sql::ObjectSql, stores};
use crate::{
    key_gate::{Keep, KeyGate as Core, store::Kept},
    sql::SqlError,
    wire::KeyGateCall,
};

/// A report that failed is tried again after this many milliseconds.
const RETRY_REPORT: i64 = 60_000;

/// One key's object.
#[durable_object]
pub struct KeyGate {
    state: State,
    env: Env,
    core: Kept,
    alarm_is_set: Cell<bool>,
}

impl DurableObject for KeyGate {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, core: Kept::default(), alarm_is_set: Cell::new(false) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let call = serde_json::from_str(&request.text().await?)?;
        let answer = self.answer(call).map_err(|error| worker::Error::RustError(error.to_string()))?;
        self.schedule_report().await?;
        Response::ok(answer)
    }

    async fn alarm(&self) -> Result<Response> {
        self.alarm_is_set.set(false);
        let report = self.turn(|core| Ok((core.report(), Keep::Nothing))).map_err(failed)?;
        let Some(report) = report.filter(|report| !report.hours.is_empty()) else { return Response::ok("") };
        let body = serde_json::to_string(&report)?;
        let registry = self.env.durable_object("REGISTRY")?.get_by_name(super::registry::NAME)?;
        if let Err(error) = stores::in_time(stores::post(&registry, "https://registry/usage", &body)).await {
            console_error!("{}", serde_json::json!({ "event": "usage not reported yet", "error": error }));
            self.state.storage().set_alarm(RETRY_REPORT).await?;
            self.alarm_is_set.set(true);
            return Response::ok("");
        }
        self.turn(|core| {
            core.reported(&report, stores::now());
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
    fn answer(&self, call: KeyGateCall) -> std::result::Result<String, SqlError> {
        self.turn(|core| core.answer(call, stores::now()).map_err(|error| SqlError(error.to_string())))
    }

    fn turn<T>(
        &self,
        turn: impl FnOnce(&mut Core) -> std::result::Result<(T, Keep), SqlError>,
    ) -> std::result::Result<T, SqlError> {
        self.core.turn(&ObjectSql::new(&self.state), turn)
    }

    async fn schedule_report(&self) -> Result<()> {
        let due = self.turn(|core| Ok((core.report_in(stores::now()), Keep::Nothing))).map_err(failed)?;
        if let Some(milliseconds) = due.filter(|_| !self.alarm_is_set.get()) {
            self.state.storage().set_alarm(milliseconds).await?;
            self.alarm_is_set.set(true);
        }
        Ok(())
    }
}

fn failed(error: SqlError) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
