//! The Registry's object: storage, alarm and password derivation around [`keyward_registry`].

use std::{rc::Rc, time::Duration};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use keyward_policy::{Policy, jwk::Signed};
use worker::{Delay, DurableObject, Env, Request, Response, Result, State, durable_object};

use super::{
    background, clock, jurisdiction,
    log::log,
    policy,
    settings::{self, OsEntropy},
    sql::ObjectSql,
    stores,
};
use keyward_core::{
    key::KV_PREFIX,
    log::Event,
    record::Record,
    secret::Secret,
    sql::Sql,
    time::{Span, Timestamp},
};
use keyward_limits::{
    timing::BACKGROUND_ANSWER,
    wire::{CoordinatorCall, GetReply, PutAck},
};
use keyward_registry::{
    backup::search::KvNames,
    events::message::Message,
    object::ObjectContext,
    password::PasswordJob,
    publish_error::PlatformError,
    publisher::{PATIENCE, Platform, Publisher, Waiting},
    task::Task,
};

/// The object.
#[durable_object(alarm)]
pub struct Registry {
    /// None without a policy.
    publisher: Option<Rc<Publisher>>,
    env: Env,
    setup_token: Option<Secret>,
    recovery_token: Option<Secret>,
}

/// What the runtime gives the object.
struct Runtime {
    state: State,
    env: Env,
    sql: ObjectSql,
    policy: &'static Policy,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        let (setup_token, recovery_token) = (settings::setup_token(&env), settings::recovery_token(&env));
        let sql = ObjectSql::new(&state);
        let runtime = |policy| Runtime { state, env: env.clone(), sql, policy };
        let publisher = policy::get().map(|policy| Publisher::new(runtime(policy)));
        Self { publisher, env, setup_token, recovery_token }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let publisher = self.publisher()?;
        if let Some(refusal) = jurisdiction::refusal(&request) {
            return refusal;
        }
        let body = request.text().await?;
        let (secrets, setup_token) = (settings::secrets(&self.env), self.setup_token.as_ref());
        let recovery_token = self.recovery_token.as_ref();
        let context = ObjectContext { secrets, setup_token, recovery_token, entropy: &mut OsEntropy };
        match publisher.serve(&request.path(), &body, context).await.map_err(failed)? {
            Some(answer) => Response::ok(answer),
            None => Response::error("no such call", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        self.publisher()?.alarm().await.map_err(failed)?;
        Response::ok("")
    }
}

impl Registry {
    /// What does the work.
    ///
    /// # Errors
    /// There is no policy: callers see a store that fails, and the platform rings an alarm again.
    fn publisher(&self) -> Result<&Rc<Publisher>> {
        self.publisher.as_ref().ok_or_else(|| worker::Error::RustError("there is no policy".to_owned()))
    }
}

impl Platform for Runtime {
    fn db(&self) -> &dyn Sql {
        &self.sql
    }

    fn policy(&self) -> &'static Policy {
        self.policy
    }

    fn tell<'a>(&'a self, hash: &'a str, record: &'a Record) -> Waiting<'a, PutAck> {
        let tell = CoordinatorCall::Put { record: record.clone() };
        async move { stores::ask_coordinator(&self.env, hash, &tell, BACKGROUND_ANSWER).await.map_err(platform) }
            .boxed_local()
    }

    fn held<'a>(&'a self, hash: &'a str) -> Waiting<'a, Option<Record>> {
        async move {
            let held =
                stores::ask_coordinator(&self.env, hash, &CoordinatorCall::Get, BACKGROUND_ANSWER).await;
            held.map(|GetReply { record }| record).map_err(platform)
        }
        .boxed_local()
    }

    fn names<'a>(&'a self, cursor: &'a str) -> Waiting<'a, KvNames> {
        async move { stores::names(&self.env, KV_PREFIX, cursor, PATIENCE).await.map_err(platform) }
            .boxed_local()
    }

    fn read<'a>(&'a self, kv_key: &'a str) -> Waiting<'a, Option<String>> {
        async move { stores::read_kv(&self.env, kv_key, PATIENCE).await.map_err(platform) }.boxed_local()
    }

    fn put<'a>(&'a self, kv_key: &'a str, text: &'a str) -> Waiting<'a, ()> {
        async move { stores::write(&self.env, kv_key, text).await.map_err(platform) }.boxed_local()
    }

    fn set_alarm(&self, at: Timestamp) -> Waiting<'_, ()> {
        let offset = at.0.saturating_sub(clock::now().0).max(0);
        async move { self.state.storage().set_alarm(offset).await.map_err(platform) }.boxed_local()
    }

    fn pause(&self, span: Span) -> LocalBoxFuture<'_, ()> {
        Delay::from(Duration::from_millis(span.timer_ms().into())).boxed_local()
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        background::keep_object(&self.state, work);
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn derive<'a>(&'a self, job: &'a PasswordJob) -> Waiting<'a, [u8; 32]> {
        async move { stores::derive(job).await.map_err(platform) }.boxed_local()
    }

    fn send<'a>(&'a self, message: &'a Message<'a>) -> Waiting<'a, u16> {
        async move { stores::send(message).await.map_err(platform) }.boxed_local()
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        settings::text(&self.env, name).map(Secret::new)
    }

    fn verify<'a>(&'a self, signed: Signed<'a>) -> LocalBoxFuture<'a, bool> {
        async move { stores::verify_signed(signed).await.unwrap_or(false) }.boxed_local()
    }

    fn log(&self, task: Task, error: &str, request_id: Option<&str>) {
        log(&Event::Registry { request_id, what: task.name(), error });
    }
}

fn platform(error: impl std::fmt::Display) -> PlatformError {
    PlatformError(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
