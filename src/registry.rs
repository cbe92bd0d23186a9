//! The Registry's object: storage, alarm and password derivation around [`keyward_registry`].

use std::{rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use keyward_policy::Policy;
use serde_json::json;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, console_error, durable_object,
    wasm_bindgen_futures::JsFuture,
};

use super::{
    bindings, clock, policy,
    settings::{self, OsEntropy},
    sql::ObjectSql,
    stores,
};
use keyward_core::{
    record::Record,
    secret::{Secret, Secrets},
    sql::Sql,
    time::Timestamp,
};
use keyward_gate::denial::Denial;
use keyward_limits::wire::{CoordinatorCall, PutAck, UsageReport};
use keyward_registry::{
    self,
    admin_call::{AdminCall, AdminReply},
    call::Deployment,
    error::ApiError,
    password::PasswordJob,
    publish_error::PlatformError,
    publisher::{Platform, Publisher},
    setup_token,
};

/// The object.
#[durable_object]
pub struct Registry {
    /// None without a policy.
    publisher: Option<Rc<Publisher<Runtime>>>,
    setup_token: Option<Secret>,
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
        let setup_token = settings::setup_token(&env);
        let sql = ObjectSql::new(&state);
        let publisher = policy::get().ok().map(|policy| Publisher::new(Runtime { state, env, sql, policy }));
        Self { publisher, setup_token }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let publisher = self.publisher()?;
        let body = request.text().await?;
        match request.path().as_str() {
            "/admin" => {
                let reply = self.admin(publisher, &serde_json::from_str(&body)?).await;
                Response::ok(serde_json::to_string(&reply)?)
            }
            "/ready" => {
                let fault = publisher.open().await.err().map(|error| error.to_string());
                let has_owner = keyward_registry::members::exist(&publisher.platform.sql);
                let set_up =
                    setup_token::set_up_fault(has_owner.unwrap_or(true), self.setup_token.as_ref()).err();
                Response::ok(
                    json!({ "fault": fault, "setUp": set_up.map(|error| error.to_string()) }).to_string(),
                )
            }
            "/redeem" => {
                publisher.open().await.map_err(failed)?;
                let db = &publisher.platform.sql;
                let redeemed = keyward_registry::links::redeem(
                    db,
                    publisher.platform.policy,
                    &serde_json::from_str(&body)?,
                    clock::now(),
                )
                .map_err(failed)?;
                Response::ok(serde_json::to_string(&redeemed)?)
            }
            "/usage" => {
                let report: UsageReport = serde_json::from_str(&body)?;
                let secrets = publisher.platform.secrets().ok();
                let taken = publisher.take_usage(&report, secrets.as_deref()).await.map_err(failed)?;
                Response::ok(serde_json::to_string(&taken)?)
            }
            _ => Response::error("no such call", 404),
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
    fn publisher(&self) -> Result<&Rc<Publisher<Runtime>>> {
        self.publisher.as_ref().ok_or_else(|| worker::Error::RustError("there is no policy".to_owned()))
    }

    /// Answers one call of the admin API.
    async fn admin(&self, publisher: &Rc<Publisher<Runtime>>, call: &AdminCall) -> AdminReply {
        let secrets = match publisher.platform.secrets() {
            Ok(secrets) => secrets,
            Err(refusal) => return refusal.reply(&call.request_id),
        };
        let deployment = Deployment { secrets: &secrets, setup_token: self.setup_token.as_ref() };
        publisher.answer(call, deployment, &mut OsEntropy).await
    }
}

impl Runtime {
    fn secrets(&self) -> std::result::Result<Rc<Secrets>, ApiError> {
        settings::secrets(&self.env).map_err(|denial| match denial {
            Denial::NotConfigured { what } => ApiError::not_configured(what),
            _ => ApiError::registry_unavailable(),
        })
    }
}

impl Platform for Runtime {
    fn db(&self) -> &dyn Sql {
        &self.sql
    }

    fn policy(&self) -> &'static Policy {
        self.policy
    }

    async fn tell(&self, hash: &str, record: &Record) -> std::result::Result<PutAck, PlatformError> {
        let tell = CoordinatorCall::Put { record: record.clone() };
        stores::ask_key_gate(&self.env, hash, &tell, stores::BACKGROUND_MS).await.map_err(PlatformError)
    }

    async fn put(&self, kv_key: &str, text: &str) -> std::result::Result<(), PlatformError> {
        let kv = self.env.kv(bindings::KEYS).map_err(platform)?;
        let put = kv.put(kv_key, text).map_err(platform)?;
        put.execute().await.map_err(platform)
    }

    async fn set_alarm(&self, at: Timestamp) -> std::result::Result<(), PlatformError> {
        let offset = at.0.saturating_sub(clock::now().0).max(0);
        self.state.storage().set_alarm(offset).await.map_err(platform)
    }

    async fn pause(&self, milliseconds: u32) {
        Delay::from(Duration::from_millis(milliseconds.into())).await;
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.state.wait_until(work);
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn derive(&self, job: &PasswordJob) -> std::result::Result<[u8; 32], PlatformError> {
        derive(job).await.map_err(|error| PlatformError(format!("{error:?}")))
    }

    fn log(&self, what: &str, error: &str, request_id: Option<&str>) {
        console_error!(
            "{}",
            json!({ "event": "registry", "what": what, "error": error, "requestId": request_id })
        );
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &Uint8Array,
        algorithm: &str,
        extractable: bool,
        usages: &Array,
    ) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = deriveBits)]
    fn derive_bits(algorithm: &Object, key: &JsValue, bits: u32) -> std::result::Result<Promise, JsValue>;
}

/// PBKDF2-HMAC-SHA-256 by the platform (Web Cryptography API, 28).
async fn derive(job: &PasswordJob) -> std::result::Result<[u8; 32], JsValue> {
    let password = Uint8Array::from(job.password.expose().as_bytes());
    let usages = Array::of1(&"deriveBits".into());
    let key = JsFuture::from(import_key("raw", &password, "PBKDF2", false, &usages)?).await?;
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &"PBKDF2".into())?;
    Reflect::set(&algorithm, &"hash".into(), &"SHA-256".into())?;
    Reflect::set(&algorithm, &"salt".into(), &Uint8Array::from(&job.salt[..]))?;
    Reflect::set(&algorithm, &"iterations".into(), &job.iterations.into())?;
    let bits = JsFuture::from(derive_bits(&algorithm, &key, 256)?).await?;
    let bytes = Uint8Array::new(&bits).to_vec();
    bytes.try_into().map_err(|_| JsValue::from_str("deriveBits gave another length"))
}

fn platform(error: impl std::fmt::Display) -> PlatformError {
    PlatformError(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}
