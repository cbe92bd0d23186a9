//! Steps 5 to 8 of a request's life: shape, find, decide, limit. The only thing that waits here is a
//! [`Stores`], so that the whole of it runs natively against stores that fail, lag or lie.
//!
//! A copy of a record (from memory or KV) may let a request through only together with the KeyGate,
//! which knows the version that holds; and it may refuse one only while the KeyGate's word for it is
//! not older than the realm's `freshness`. So neither an old copy that would pass nor one that would
//! refuse is ever the last word.

use std::{cell::RefCell, rc::Rc};

use keyward_policy::{KeyRequirement, Realm};
use serde::de::DeserializeOwned;

use crate::{
    denial::{Denial, FAILURES_PERIOD},
    gate::{self, Circumstances, Permit},
    key,
    memory::Memory,
    record::Record,
    secret::{Secret, Secrets},
    time::{SECOND, Timestamp},
    wire::{Found, KeyGateCall, Taken, WindowState},
};

/// A store did not answer in time, or not in a form that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// What a check asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Stores {
    /// The published text under this key of KV.
    async fn read(&self, kv_key: &str) -> Result<Option<String>, Unavailable>;
    /// The answer of the KeyGate of this name.
    async fn key_gate<T: DeserializeOwned>(&self, hash: &str, call: &KeyGateCall) -> Result<T, Unavailable>;
    /// Counts a failure of this address; whether it has now failed too often.
    async fn fails_too_often(&self, address: &str) -> bool;
    /// The time. On Workers it moves only while something is waited for.
    fn now(&self) -> Timestamp;
}

/// What a check needs beside the request.
pub struct Pipeline<'a, S> {
    /// The platform.
    pub stores: &'a S,
    /// The isolate's memory; never borrowed while something is waited for.
    pub memory: &'a RefCell<Memory>,
    /// The deployment's secrets.
    pub secrets: &'a Secrets,
}

/// What a check looks at beside the key and the time.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The request's method.
    pub method: &'a str,
    /// `CF-Connecting-IP` as sent by the platform.
    pub address: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
}

/// A request that may pass.
#[derive(Debug)]
pub struct Accepted {
    /// Proof, and the verified identity.
    pub permit: Permit,
    /// What is left in the key's windows.
    pub windows: Vec<WindowState>,
}

/// A request that may not, and the storage hash of its key if the key is known.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// Whose refusals [`Memory`] has counted this one under.
    pub hash: Option<String>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, hash: None }
    }
}

/// A record at hand.
struct Candidate {
    hash: String,
    record: Rc<Record>,
    /// When the KeyGate last said that it holds, if that is known.
    confirmed: Option<Timestamp>,
}

impl<S: Stores> Pipeline<'_, S> {
    /// Checks a key and charges its limits.
    ///
    /// # Errors
    /// Why the request may not pass.
    pub async fn check(
        &self,
        realm: &Realm,
        requirement: &KeyRequirement,
        key: &Secret,
        caller: Caller<'_>,
    ) -> Result<Accepted, Refused> {
        if !key::is_well_formed(&realm.key, self.secrets, key.expose()) {
            return Err(Denial::MalformedKey.into());
        }
        let hashes = key::storage_hashes(&realm.key, self.secrets, key.expose());
        let mut candidate = self.find(&hashes, caller).await?;
        // Each round but the last ends with a newer record; more than a few means that a key is being
        // edited faster than it can be read.
        for _ in 0..4 {
            let circumstances = Circumstances {
                method: caller.method,
                address: caller.address.and_then(|address| address.parse().ok()),
                origin: caller.origin,
                now: self.stores.now(),
            };
            match gate::decide(realm, requirement, &candidate.record, circumstances) {
                Ok(permit) => match self.take(&candidate).await? {
                    Taken::Granted { windows } => {
                        self.confirm(&candidate);
                        return Ok(Accepted { permit, windows });
                    }
                    Taken::Limited { windows, retry_after_ms } => {
                        self.confirm(&candidate);
                        return Err(Denial::RateLimited { windows, retry_after_ms }.into());
                    }
                    Taken::Changed { record } => candidate = self.replace(candidate, record),
                    Taken::Unknown => return Err(unavailable("KeyGate").into()),
                },
                Err(denial) if self.is_fresh(realm, &candidate) => {
                    self.memory.borrow_mut().refuse(&candidate.hash, denial.public().code);
                    return Err(Refused { denial, hash: Some(candidate.hash) });
                }
                Err(_) => match self.ask(&candidate.hash).await? {
                    Some(record) => candidate = self.replace(candidate, record),
                    None => return Err(unavailable("KeyGate").into()),
                },
            }
        }
        Err(unavailable("KeyGate").into())
    }

    /// The record of a key: from memory, else from KV, else from its KeyGate, which knows a new key
    /// before KV does.
    async fn find(&self, hashes: &[String], caller: Caller<'_>) -> Result<Candidate, Refused> {
        let now = self.stores.now();
        {
            let mut memory = self.memory.borrow_mut();
            for hash in hashes {
                if let Some((record, confirmed)) = memory.record(hash) {
                    return Ok(Candidate { hash: hash.clone(), record, confirmed: Some(confirmed) });
                }
            }
            if hashes.iter().all(|hash| memory.is_miss(hash, now)) {
                return Err(Denial::UnknownKey.into());
            }
            if caller.address.is_some_and(|address| memory.is_held_back(address, now)) {
                return Err(Denial::TooManyFailures.into());
            }
        }
        for hash in hashes {
            let text = self.stores.read(&key::kv_key(hash)).await.map_err(|_| unavailable("KV"))?;
            if let Some(text) = text {
                let record = serde_json::from_str(&text).map_err(|_| unavailable("KV"))?;
                return Ok(Candidate { hash: hash.clone(), record: Rc::new(record), confirmed: None });
            }
        }
        for hash in hashes {
            if let Some(record) = self.ask(hash).await? {
                let confirmed = Some(self.stores.now());
                let candidate = Candidate { hash: hash.clone(), record: Rc::new(record), confirmed };
                self.confirm(&candidate);
                return Ok(candidate);
            }
        }
        let now = self.stores.now();
        for hash in hashes {
            self.memory.borrow_mut().miss(hash, now);
        }
        if let Some(address) = caller.address
            && self.stores.fails_too_often(address).await
        {
            let period = i64::try_from(FAILURES_PERIOD).unwrap_or_default() * SECOND;
            self.memory.borrow_mut().hold_back(address, now, period);
        }
        Err(Denial::UnknownKey.into())
    }

    async fn take(&self, candidate: &Candidate) -> Result<Taken, Denial> {
        let refused = self.memory.borrow_mut().take_refused(&candidate.hash, self.stores.now());
        let call = KeyGateCall::Take { version: candidate.record.version, refused };
        self.stores.key_gate(&candidate.hash, &call).await.map_err(|_| unavailable("KeyGate"))
    }

    async fn ask(&self, hash: &str) -> Result<Option<Record>, Denial> {
        let found = self.stores.key_gate::<Found>(hash, &KeyGateCall::Find).await;
        found.map(|found| found.record).map_err(|_| unavailable("KeyGate"))
    }

    /// A newer record takes a candidate's place; its KeyGate has just sent it.
    fn replace(&self, old: Candidate, record: Record) -> Candidate {
        let candidate =
            Candidate { hash: old.hash, record: Rc::new(record), confirmed: Some(self.stores.now()) };
        self.confirm(&candidate);
        candidate
    }

    fn confirm(&self, candidate: &Candidate) {
        self.memory.borrow_mut().confirm(&candidate.hash, &candidate.record, self.stores.now());
    }

    fn is_fresh(&self, realm: &Realm, candidate: &Candidate) -> bool {
        let age = candidate.confirmed.map(|confirmed| self.stores.now().0 - confirmed.0);
        // The clock stands still between waits, so a record that came in this very request has age 0
        // and is fresh even where freshness is 0.
        age.is_some_and(|age| age <= i64::from(realm.freshness_ms))
    }
}

fn unavailable(store: &'static str) -> Denial {
    Denial::StoreUnavailable { store }
}
