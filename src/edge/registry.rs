//! The Registry's object: storage, alarm, password derivation and publishing around
//! [`crate::registry`].

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use futures_util::future::join_all;
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use serde_json::json;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{
    DurableObject, Env, Request, Response, Result, State, console_error, durable_object,
    wasm_bindgen_futures::JsFuture,
};

use super::{
    settings::{self, OsEntropy},
    sql::ObjectSql,
    stores,
};
use crate::{
    denial::Denial,
    policy::POLICY,
    registry::{self, Outcome, Step, error::Refusal, front, outbox::Publication, password::PasswordJob},
    secret::{Secret, Secrets},
    sql::SqlError,
    time::{SECOND, Timestamp},
    wire::{AdminCall, AdminReply, KeyGateCall, Told, UsageReport},
};

/// There is one Registry for a deployment, of this name.
pub const NAME: &str = "registry";

/// What is left in the outbox is tried this much later, and what is due then at the earliest.
const BACKSTOP: i64 = SECOND;
/// Keys that one event tells or publishes: two calls each stay below the platform's 1,000.
const MOST_AT_ONCE: usize = 400;
/// Keys that are told or published side by side.
const SIDE_BY_SIDE: usize = 20;

/// The object.
#[durable_object]
pub struct Registry {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    sql: ObjectSql,
    setup_token: Option<Secret>,
    is_open: Cell<bool>,
    alarm_at: Cell<Option<Timestamp>>,
    /// Keys that are being published: never one twice at a time, so that an older record can never
    /// be written over a newer one.
    publishing: RefCell<BTreeSet<String>>,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        let sql = ObjectSql::new(&state);
        let setup_token = settings::text(&env, "KEYWARD_SETUP_TOKEN").map(Secret::new);
        let inner = Inner {
            state,
            env,
            sql,
            setup_token,
            is_open: Cell::default(),
            alarm_at: Cell::default(),
            publishing: RefCell::default(),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let body = request.text().await?;
        match request.path().as_str() {
            "/admin" => {
                let reply = admin(&self.inner, &serde_json::from_str(&body)?).await;
                Response::ok(serde_json::to_string(&reply)?)
            }
            "/usage" => {
                let report: UsageReport = serde_json::from_str(&body)?;
                let secrets = self.inner.secrets().map_err(|refusal| failed(refusal.detail))?;
                let applied =
                    self.inner.open().and_then(|()| self.inner.registry(&secrets).apply_usage(&report));
                applied.map_err(failed)?;
                // To open the database may have put keys into the outbox.
                self.inner.keep_alarm().await?;
                Response::ok("{}")
            }
            _ => Response::error("no such call", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.alarm_at.set(None);
        if let Err(error) = publish_due(&self.inner).await {
            log("publishing", &error.0);
            // Nothing is known about the outbox: look again.
            self.inner.set_alarm(stores::now().plus(BACKSTOP)).await?;
        }
        Response::ok("")
    }
}

/// Answers one call of the admin API.
async fn admin(inner: &Rc<Inner>, call: &AdminCall) -> AdminReply {
    let request_id = call.request_id.clone();
    let secrets = match inner.secrets() {
        Ok(secrets) => secrets,
        Err(refusal) => return refusal.reply(&request_id),
    };
    let outcome = match inner.open() {
        Ok(()) => decide(inner, call, &secrets).await,
        Err(error) => {
            log("opening", &error.0);
            Outcome::refused(front::registry_unavailable())
        }
    };
    // Before anything is waited for: the alarm is then on disk together with what it is for.
    if let Err(error) = inner.keep_alarm().await {
        log("alarm", &error.to_string());
        return front::registry_unavailable().reply(&request_id);
    }
    let told = inner.tell_all(&outcome.publish).await;
    if told.is_some() && outcome.publish.len() <= SIDE_BY_SIDE {
        for id in outcome.publish.clone() {
            let inner = Rc::clone(inner);
            inner.clone().state.wait_until(async move { inner.publish(id).await });
        }
    }
    outcome.reply(told, &request_id)
}

/// Runs the call, deriving the passwords it asks for.
async fn decide(inner: &Inner, call: &AdminCall, secrets: &Secrets) -> Outcome {
    let mut derived = Vec::new();
    loop {
        match inner.registry(secrets).handle(call, &derived, stores::now(), &mut OsEntropy) {
            Step::Done(outcome) => return outcome,
            Step::Derive(job) => match derive(&job).await {
                Ok(key) => derived.push(job.done(key)),
                Err(error) => {
                    log("password derivation", &format!("{error:?}"));
                    return Outcome::refused(front::registry_unavailable());
                }
            },
        }
    }
}

/// Publishes what is due, and looks again when the next is.
async fn publish_due(inner: &Rc<Inner>) -> std::result::Result<(), SqlError> {
    inner.open()?;
    let secrets = inner.secrets().map_err(|refusal| SqlError(refusal.detail))?;
    let most = u32::try_from(MOST_AT_ONCE).unwrap_or_default();
    let due = inner.registry(&secrets).due(stores::now(), most)?;
    for ids in due.chunks(SIDE_BY_SIDE) {
        join_all(ids.iter().map(|id| inner.publish(id.clone()))).await;
    }
    inner.keep_alarm().await.map_err(|error| SqlError(error.to_string()))
}

impl Inner {
    fn registry<'a>(&'a self, secrets: &'a Secrets) -> registry::Registry<'a> {
        registry::Registry { db: &self.sql, policy: &POLICY, secrets, setup_token: self.setup_token.as_ref() }
    }

    fn secrets(&self) -> std::result::Result<Rc<Secrets>, Refusal> {
        settings::secrets(&self.env).map_err(|denial| match denial {
            Denial::NotConfigured { secret } => Refusal::not_configured(secret),
            _ => front::registry_unavailable(),
        })
    }

    /// Brings the database forward, once in the object's life in memory.
    fn open(&self) -> std::result::Result<(), SqlError> {
        if !self.is_open.get() {
            registry::migrate(&self.sql)?;
            registry::adopt(&self.sql, &POLICY, stores::now())?;
            self.is_open.set(true);
        }
        Ok(())
    }

    /// Sets the alarm if something is in the outbox and no alarm is set that is soon enough.
    async fn keep_alarm(&self) -> Result<()> {
        let next = registry::outbox::next_due(&self.sql).map_err(failed)?;
        let Some(next) = next.map(|next| next.max(stores::now().plus(BACKSTOP))) else { return Ok(()) };
        if self.alarm_at.get().is_none_or(|at| next < at) { self.set_alarm(next).await } else { Ok(()) }
    }

    async fn set_alarm(&self, at: Timestamp) -> Result<()> {
        self.alarm_at.set(Some(at));
        let set = self.state.storage().set_alarm(at.0.saturating_sub(stores::now().0).max(0)).await;
        if set.is_err() {
            // Or nobody would set it again.
            self.alarm_at.set(None);
        }
        set
    }

    /// Tells the KeyGates of these keys what holds now, in a bounded time. When the last one knew,
    /// or `None` if one could not be told.
    async fn tell_all(&self, ids: &[String]) -> Option<Timestamp> {
        let Ok(secrets) = self.secrets() else { return None };
        let now = ids.get(..MOST_AT_ONCE).unwrap_or(ids);
        let telling = async {
            for ids in now.chunks(SIDE_BY_SIDE) {
                for told in join_all(ids.iter().map(|id| self.tell_one(id, &secrets))).await {
                    told?;
                }
            }
            Ok(())
        };
        match stores::in_time(telling).await {
            Ok(()) if now.len() == ids.len() => Some(stores::now()),
            Ok(()) => None,
            Err(error) => {
                log("telling", &error);
                None
            }
        }
    }

    async fn tell_one(&self, id: &str, secrets: &Secrets) -> std::result::Result<(), String> {
        match self.registry(secrets).publication(id).map_err(|error| error.0)? {
            Some(publication) => self.tell(&publication, secrets).await,
            // Published in the meantime, and so told.
            None => Ok(()),
        }
    }

    /// Tells the KeyGate, unless it knows.
    async fn tell(&self, publication: &Publication, secrets: &Secrets) -> std::result::Result<(), String> {
        if publication.told {
            return Ok(());
        }
        let record = publication.record.clone();
        let (id, version) = (record.id.clone(), record.version);
        let call = KeyGateCall::Tell { record };
        let told: Told = stores::in_time(stores::ask_key_gate(&self.env, &publication.hash, &call)).await?;
        if told.version < version {
            return Err(format!("the KeyGate of {id} holds version {}, not {version}", told.version));
        }
        self.registry(secrets).told(&id, version, stores::now()).map_err(|error| error.0)
    }

    /// Publishes a key until nothing of it is left to publish, unless that is being done already.
    async fn publish(&self, id: String) {
        if !self.publishing.borrow_mut().insert(id.clone()) {
            return;
        }
        if let Err(error) = self.publish_all_of(&id).await {
            log("publishing", &error);
            let later =
                self.secrets().map(|secrets| self.registry(&secrets).publish_failed(&id, stores::now()));
            if let Ok(Err(error)) = later {
                log("outbox", &error.0);
            }
        }
        self.publishing.borrow_mut().remove(&id);
    }

    async fn publish_all_of(&self, id: &str) -> std::result::Result<(), String> {
        let secrets = self.secrets().map_err(|refusal| refusal.detail)?;
        while let Some(publication) = self.registry(&secrets).publication(id).map_err(|error| error.0)? {
            self.tell(&publication, &secrets).await?;
            let record = serde_json::to_string(&publication.record).map_err(|error| error.to_string())?;
            let put = async {
                let kv = self.env.kv("KEYS").map_err(|error| error.to_string())?;
                let put = kv.put(&publication.kv_key, record).map_err(|error| error.to_string())?;
                put.execute().await.map_err(|error| error.to_string())
            };
            stores::in_time(put).await?;
            let version = publication.record.version;
            self.registry(&secrets).published(id, version).map_err(|error| error.0)?;
        }
        Ok(())
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

fn failed(error: impl std::fmt::Display) -> worker::Error {
    worker::Error::RustError(error.to_string())
}

fn log(what: &str, error: &str) {
    console_error!("{}", json!({ "event": "registry", "what": what, "error": error }));
}
