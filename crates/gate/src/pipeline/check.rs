//! Steps 5 to 8 of a key's way: its shape, its record, the decision, its limits.

use std::rc::Rc;

use keyward_policy::{KeyRequirement, Policy, Realm, TestMode};

use super::{
    candidate::{Candidate, Word},
    charge::{Answer, CountedBy},
    context::{Pipeline, unavailable},
    failures::Failures,
    verdict::{Accepted, Refused},
};
use crate::{
    breakers::{Dependency, Owner},
    caller::Caller,
    configured,
    denial::Denial,
    gate::{self, Circumstances, Permit},
    hint,
    memory::{Limited, Lookup},
    stores::Stores,
};
use keyward_core::{
    key::{self, Shape},
    record::Record,
    secret::Secret,
    time::Timestamp,
};
use keyward_limits::{
    lease::{self, Lessor},
    limit,
    wire::{Found, KeyGateCall, Unused},
};

/// No such key, and nothing to be seen of it that would say why.
const UNKNOWN: Denial = Denial::UnknownKey { slip: None };

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
