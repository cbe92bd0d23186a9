//! Steps 5 to 8 of a key's way: shape, find, decide, limit. [`crate::admission`] comes before. The only
//! thing that waits here is a [`Stores`], so that the whole of it runs natively against stores that fail,
//! lag or lie.
//!
//! A copy of a record (from memory or KV) may let a request through only together with the KeyGate,
//! which knows the version that holds, or under a lease of its; and it may refuse one only while the
//! KeyGate's word for it is not older than `freshness`. So neither an old copy that would pass nor one that would
//! refuse is ever the last word.

mod ask;
mod call;
mod charge;
mod failures;
mod tell;

use std::{cell::RefCell, rc::Rc};

use keyward_policy::{KeyRequirement, Policy, Realm, TestMode};
use serde::de::DeserializeOwned;

pub use self::charge::Chore;
use self::charge::{Answer, CountedBy};
pub(crate) use self::failures::Failures;
use crate::{
    admission::Issuers,
    breaker::{Dependency, Owner},
    configured,
    deadline::Deadline,
    denial::Denial,
    gate::{self, Circumstances, Permit},
    hint,
    key::{self, Shape},
    lease::{self, Lessor},
    limit,
    memory::{Limited, Lookup, Memory},
    record::Record,
    secret::{Secret, Secrets},
    time::Timestamp,
    wire::{Found, KeyGateCall, Redeem, Redeemed, Unused, WindowState},
};

/// A store did not answer in time, or not in a form that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// What a check asks of the platform. What is asked for an answer within so many milliseconds fails when those are over.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Stores {
    /// The published text under this key of KV.
    async fn read(&self, kv_key: &str, within_ms: u32) -> Result<Option<String>, Unavailable>;
    /// The answer of the KeyGate of this name, or of a relay of its.
    async fn key_gate<T: DeserializeOwned>(
        &self,
        hash: &str,
        lessor: Lessor,
        call: &KeyGateCall,
        within_ms: u32,
    ) -> Result<T, Unavailable>;
    /// Counts a failure of this network; whether it has now failed too often.
    async fn fails_too_often(&self, network: &str, within_ms: u32) -> Result<bool, Unavailable>;
    /// The time. On Workers it moves only while something is waited for.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, milliseconds: u32);
    /// Has the Registry use up a link.
    async fn redeem(&self, call: &Redeem, within_ms: u32) -> Result<Redeemed, Unavailable>;
    /// The text at a URL, of at most [`MOST_SET_BYTES`](keyward_policy::jwk::MOST_SET_BYTES), or why it cannot be
    /// had.
    async fn fetch(&self, url: &str, within_ms: u32) -> Result<String, String>;
    /// Notes in the log that something outside, of this name, cannot be used.
    fn note(&self, what: &str, reason: &str);
    /// A secret of the deployment, by its name.
    fn secret(&self, name: &str) -> Option<Secret>;
}

/// What a check needs beside the request.
pub struct Pipeline<'a, S> {
    /// The platform.
    pub stores: &'a S,
    /// The isolate's memory; never borrowed while something is waited for.
    pub memory: Rc<RefCell<Memory>>,
    /// What verifies tokens; never borrowed while something is waited for.
    pub issuers: Rc<RefCell<Issuers>>,
    /// The deployment's secrets, or that there are none.
    pub secrets: Result<Rc<Secrets>, Denial>,
    /// Until when the decision must be there.
    pub deadline: Deadline,
}

/// What a check looks at beside the key and the time.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Whether it asks for another protocol (`Upgrade`): a WebSocket.
    pub upgrades: bool,
    /// `CF-Connecting-IP` as sent by the platform.
    pub address: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The code of the tenant whose host was asked, where hosts are tenants' own.
    pub tenant: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// What a decision looks at, at this moment.
    pub fn at(self, now: Timestamp) -> Circumstances<'a> {
        let Self { method, upgrades, address, origin, tenant } = self;
        let address = address.and_then(|address| address.parse().ok());
        Circumstances { method, upgrades, address, origin, tenant, now }
    }
}

/// A request that may pass.
#[derive(Debug)]
pub struct Accepted {
    /// Proof, and the verified identity.
    pub permit: Permit,
    /// What is left in the key's windows.
    pub windows: Vec<WindowState>,
    /// What is to be done once the answer is on its way.
    pub chore: Option<Chore>,
}

/// A request that may not.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// Whose key it was, if the key is known.
    pub key: Option<KnownKey>,
}

/// A key that there is, in order or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id, for the log.
    pub id: String,
    /// Its storage hash, under which its refusals are counted.
    pub hash: String,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, key: None }
    }
}

/// No such key, and nothing to be seen of it that would say why.
const UNKNOWN: Denial = Denial::UnknownKey { slip: None };

/// A record at hand.
struct Candidate {
    hash: String,
    record: Rc<Record>,
    word: Word,
}

/// What the KeyGate's word for a record is worth.
#[derive(Clone, Copy)]
enum Word {
    /// It has not been asked: the record is KV's.
    None,
    /// It was asked at this moment, by an earlier request.
    Earlier(Timestamp),
    /// It was asked by this very request.
    Now,
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
        let secrets = self.secrets.clone()?;
        if let Some(record) = configured::find(realm, key) {
            let permit = gate::decide(realm, requirement, &record, caller.at(self.stores.now()))?;
            return Ok(Accepted { permit, windows: Vec::new(), chore: None });
        }
        match key::shape(&realm.key, &secrets, key.expose()) {
            Shape::Foreign => {
                return Err(Denial::MalformedKey { slip: hint::slip(&realm.key, key.expose()) }.into());
            }
            Shape::Impossible => {
                return Err(Denial::UnknownKey { slip: hint::slip(&realm.key, key.expose()) }.into());
            }
            Shape::Possible => {}
        }
        let hashes = key::storage_hashes(&realm.key, &secrets, key.expose());
        let candidate = self.find(&hashes, caller).await?;
        self.conclude(realm, realm.freshness_ms, requirement, candidate, caller).await
    }

    /// Checks a key of whichever realm it belongs to, as the admin API does, which belongs to none. Always
    /// by its KeyGate's own word, and without leases. A test key only reads there, whatever it may do in its realm: what
    /// it would make are live keys, too.
    ///
    /// # Errors
    /// Why the request may not pass.
    pub async fn check_in_any_realm(
        &self,
        policy: &Policy,
        requirement: &KeyRequirement,
        key: &Secret,
        caller: Caller<'_>,
    ) -> Result<Accepted, Refused> {
        let secrets = self.secrets.clone()?;
        let mut denial = Denial::MalformedKey { slip: None };
        for realm in policy.realms {
            if !key::is_well_formed(&realm.key, &secrets, key.expose()) {
                continue;
            }
            let hashes = key::storage_hashes(&realm.key, &secrets, key.expose());
            match self.find(&hashes, caller).await {
                Ok(candidate) if candidate.record.realm == realm.id => {
                    let realm = &Realm { test_mode: TestMode::ReadOnly, ..*realm };
                    return self.conclude(realm, 0, requirement, candidate, caller).await;
                }
                Ok(_) | Err(Denial::UnknownKey { .. }) => denial = UNKNOWN,
                Err(other) => return Err(other.into()),
            }
        }
        Err(denial.into())
    }

    /// Decides about a record, and asks its KeyGate. What is answered is counted here, if its KeyGate has not.
    async fn conclude(
        &self,
        realm: &Realm,
        freshness_ms: u32,
        requirement: &KeyRequirement,
        candidate: Candidate,
        caller: Caller<'_>,
    ) -> Result<Accepted, Refused> {
        let decided = self.decide(realm, freshness_ms, requirement, candidate, caller).await;
        if let Err(Refused { denial, key: Some(key) }) = &decided {
            let now = self.stores.now();
            self.memory.borrow_mut().ledger.refuse(&key.hash, denial.public().code, now);
        }
        decided
    }

    async fn decide(
        &self,
        realm: &Realm,
        freshness_ms: u32,
        requirement: &KeyRequirement,
        mut candidate: Candidate,
        caller: Caller<'_>,
    ) -> Result<Accepted, Refused> {
        // Each round but the last ends with a newer record; more than a few means that a key is being
        // edited faster than it can be read.
        for _ in 0..4 {
            let now = self.stores.now();
            let circumstances = caller.at(now);
            let freshness_ms = if candidate.record.strict { 0 } else { freshness_ms };
            match gate::decide(realm, requirement, &candidate.record, circumstances) {
                Ok(permit) => match self.charge(realm, &candidate, freshness_ms).await? {
                    Answer::Granted { windows, chore, counted_by } => {
                        let permit = self.again(permit, realm, requirement, &candidate, circumstances);
                        let now = self.stores.now();
                        let ledger = &mut self.memory.borrow_mut().ledger;
                        match (counted_by, &permit) {
                            (CountedBy::Gate, Ok(_)) => ledger.accept(&candidate.hash, now),
                            (CountedBy::KeyGate { call, place }, Err(_)) => {
                                ledger.unused(&candidate.hash, Unused { call, place }, now);
                            }
                            (CountedBy::Gate, Err(_)) | (CountedBy::KeyGate { .. }, Ok(_)) => {}
                        }
                        return Ok(Accepted { permit: permit?, windows, chore });
                    }
                    Answer::Limited(limited) => return Err(self.limited(&candidate, limited)),
                    Answer::Changed { record, asked } => candidate = self.replace(candidate, record, asked),
                },
                Err(denial) if candidate.is_fresh(freshness_ms, now) => {
                    return Err(Refused { denial, key: Some(candidate.known_key()) });
                }
                // What would refuse is not the last word either.
                Err(_) => match self.newer(&candidate, lease::life(freshness_ms)).await? {
                    Some((record, asked)) => candidate = self.replace(candidate, record, asked),
                    None => candidate.word = Word::Now,
                },
            }
        }
        Err(unavailable("KeyGate").into())
    }

    /// The permit, if it still holds now: the key may have expired while its object was asked.
    fn again(
        &self,
        permit: Permit,
        realm: &Realm,
        requirement: &KeyRequirement,
        candidate: &Candidate,
        then: Circumstances<'_>,
    ) -> Result<Permit, Refused> {
        let now = self.stores.now();
        if now == then.now {
            return Ok(permit);
        }
        gate::decide(realm, requirement, &candidate.record, Circumstances { now, ..then })
            .map_err(|denial| Refused { denial, key: Some(candidate.known_key()) })
    }

    /// The record of a key: from memory, else from KV, else from its KeyGate, which knows a new key
    /// before KV does, and every key where KV fails.
    async fn find(&self, hashes: &[String], caller: Caller<'_>) -> Result<Candidate, Denial> {
        let source = caller.source(Failures::Keys);
        {
            let mut memory = self.memory.borrow_mut();
            for hash in hashes {
                if let Some((record, asked)) = memory.record(hash) {
                    return Ok(Candidate { hash: hash.clone(), record, word: Word::Earlier(asked) });
                }
            }
        }
        // Whoever guesses is told so; but a neighbour of theirs has a key that KV knows.
        self.may_look_up(&source, Lookup::Kv)?;
        let without_kv = match self.published(hashes).await {
            Ok(Some(candidate)) => return Ok(candidate),
            Ok(None) => {
                self.not_held_back(&source)?;
                None
            }
            // It may be a neighbour's, which could not be read: that is not called a failure of the network.
            Err(denial) if self.may_look_up(&source, Lookup::KeyGate).is_err() => return Err(denial),
            Err(denial) => Some(denial),
        };
        for hash in hashes {
            let asked = self.stores.now();
            let owner = Owner::Network(&source.network);
            if let Some(record) = self.ask(hash, owner).await? {
                let candidate = Candidate { hash: hash.clone(), record: Rc::new(record), word: Word::Now };
                self.confirm(&candidate, asked);
                return Ok(candidate);
            }
        }
        // Guesses cost the objects a call each also while KV fails.
        self.count_failure(&source).await;
        // Of two that should know one could not be asked.
        Err(without_kv.unwrap_or(UNKNOWN))
    }

    /// The record of a key as KV has it.
    async fn published(&self, hashes: &[String]) -> Result<Option<Candidate>, Denial> {
        for hash in hashes {
            // The rest is for the key's object, which is asked next.
            let within_ms = self.left() / 2;
            let read = async |within_ms| self.stores.read(&key::kv_key(hash), within_ms).await;
            let text = self.ask_of(Dependency::Kv, within_ms, read).await.map_err(|_| unavailable("KV"))?;
            if let Some(text) = text {
                // A format that this build does not know, or no record at all.
                let record = serde_json::from_str(&text).map_err(|_| unavailable("KV record"))?;
                let record = Rc::new(record);
                // For those that come meanwhile: they need not read it again.
                self.memory.borrow_mut().keep(hash, &record);
                return Ok(Some(Candidate { hash: hash.clone(), record, word: Word::None }));
            }
        }
        Ok(None)
    }

    async fn ask(&self, hash: &str, owner: Owner<'_>) -> Result<Option<Record>, Denial> {
        let find = async |within_ms| {
            self.stores.key_gate::<Found>(hash, Lessor::KeyGate, &KeyGateCall::Find, within_ms).await
        };
        let found = self.ask_of(Dependency::KeyGate { hash, owner }, self.left(), find).await;
        found.map(|found| found.record).map_err(|_| unavailable("KeyGate"))
    }

    /// A newer record takes a candidate's place; its KeyGate, asked at this moment, sent it.
    fn replace(&self, old: Candidate, record: Rc<Record>, asked: Timestamp) -> Candidate {
        let candidate = Candidate { hash: old.hash, record, word: Word::Now };
        self.confirm(&candidate, asked);
        candidate
    }

    fn confirm(&self, candidate: &Candidate, asked: Timestamp) {
        self.memory.borrow_mut().confirm(&candidate.hash, &candidate.record, asked);
    }

    fn limited(&self, candidate: &Candidate, limited: Limited) -> Refused {
        let Limited { mut windows, retry_after_ms, .. } = limited;
        limit::agree(&mut windows, retry_after_ms);
        let denial = Denial::RateLimited { windows, retry_after_ms };
        Refused { denial, key: Some(candidate.known_key()) }
    }
}

impl Candidate {
    fn known_key(&self) -> KnownKey {
        KnownKey { id: self.record.id.clone(), hash: self.hash.clone() }
    }

    /// Whether the KeyGate's word is young enough to refuse on. Where freshness is 0 only its word to
    /// this very request is.
    fn is_fresh(&self, freshness_ms: u32, now: Timestamp) -> bool {
        match self.word {
            Word::None => false,
            // One of the future was given before the clock was set back.
            Word::Earlier(asked) => (0..i64::from(freshness_ms)).contains(&(now.0 - asked.0)),
            Word::Now => true,
        }
    }
}

/// The refusal when a store did not answer.
pub fn unavailable(store: &'static str) -> Denial {
    Denial::StoreUnavailable { store }
}
