//! A key's way: its shape, its record, the decision, its limits.

use std::rc::Rc;

use keyward_policy::{KeyRequirement, Policy, Realm, TestMode};

use super::{
    cached_record::{CachedRecord, Validation},
    charge::CountedBy,
    context::{Pipeline, unavailable},
    failures::Failures,
    follow::Word,
    pool::{Charge, Charged},
    verdict::{Accepted, Refused},
};
use crate::{
    breakers::{Dependency, Owner},
    client_info::ClientInfo,
    denial::Denial,
    gate::{self, Permit, RequestContext},
    hint,
    memory::Limited,
    penalty_box::Lookup,
    platform::Platform,
    static_keys,
};
use keyward_core::{
    jurisdiction,
    key::{self, Shape},
    record::{Cost, Limits, Record},
    secret::{Secret, Secrets},
    time::{Span, Timestamp},
};
use keyward_limits::{
    lease::{self, Grantor},
    limit,
    wire::{CoordinatorCall, GetReply},
};

/// No such key, and nothing to be seen of it that would say why.
pub(crate) const UNKNOWN: Denial = Denial::UnknownKey { slip: None };

/// The store of a record that belongs to objects of another jurisdiction.
const ELSEWHERE: &str = "KV record of another jurisdiction";

/// What is seen of a key without any store: its record if it stands in the policy, and whether it may be another one.
///
/// # Errors
/// It is none of this realm's.
pub(crate) fn recognise(
    realm: &Realm,
    secrets: &Secrets,
    key: &Secret,
) -> Result<Option<Rc<Record>>, Denial> {
    let found = static_keys::find(realm, key);
    if found.is_some() {
        return Ok(found);
    }
    let slip = || hint::slip(&realm.key, key.expose());
    match key::shape_in(realm, secrets, key.expose()) {
        Shape::Foreign => Err(Denial::MalformedKey { slip: slip() }),
        Shape::Impossible => Err(Denial::UnknownKey { slip: slip() }),
        Shape::Possible => Ok(None),
    }
}

impl<P: Platform> Pipeline<'_, P> {
    /// Checks a key, as it was confirmed within `freshness` at the most, and charges its limits.
    ///
    /// # Errors
    /// Why the request may not pass.
    pub async fn check(
        &self,
        realm: &Realm,
        freshness: Span,
        requirement: &KeyRequirement,
        key: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        let secrets = self.secrets.clone()?;
        if let Some(record) = recognise(realm, &secrets, key)? {
            let permit = gate::decide(realm, requirement, &record, caller.at(self.platform.now()))?;
            return Ok(Accepted { permit, windows: Vec::new(), background: None, pool: None, open: None });
        }
        let hashes = key::names(realm, &secrets, key.expose());
        let cached = self.find(&hashes, freshness, caller).await?;
        self.authorize(realm, freshness, requirement, cached, caller).await
    }

    /// Checks a key of whichever realm it belongs to, as the admin API does, which belongs to none. Always
    /// confirmed by its coordinator for this request, and without leases. A test key may only read there,
    /// whatever it may do in its realm: what it would make are live keys, too.
    ///
    /// # Errors
    /// Why the request may not pass.
    pub async fn check_in_any_realm(
        &self,
        policy: &Policy,
        requirement: &KeyRequirement,
        key: &Secret,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        let secrets = self.secrets.clone()?;
        let mut denial = Denial::MalformedKey { slip: None };
        for realm in policy.realms {
            if key::shape_in(realm, &secrets, key.expose()) != Shape::Possible {
                continue;
            }
            let hashes = key::names(realm, &secrets, key.expose());
            match self.find(&hashes, Span::ZERO, caller).await {
                Ok(cached) if cached.record.realm == realm.id => {
                    let realm = &Realm { test_mode: TestMode::ReadOnly, ..*realm };
                    return self.authorize(realm, Span::ZERO, requirement, cached, caller).await;
                }
                Ok(_) | Err(Denial::UnknownKey { .. }) => denial = UNKNOWN,
                Err(other) => return Err(other.into()),
            }
        }
        Err(denial.into())
    }

    /// Authorizes a request on a record and its coordinator's answer. A refusal is counted here if the
    /// coordinator has not counted it.
    async fn authorize(
        &self,
        realm: &Realm,
        freshness: Span,
        requirement: &KeyRequirement,
        cached: CachedRecord,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        let decided = self.decide(realm, freshness, requirement, cached, caller).await;
        if let Err(Refused { denial, key: Some(key) }) = &decided {
            let now = self.platform.now();
            self.memory.borrow_mut().ledger.refuse(&key.hash, denial.public().code, self.route(), now);
        }
        decided
    }

    async fn decide(
        &self,
        realm: &Realm,
        freshness: Span,
        requirement: &KeyRequirement,
        mut cached: CachedRecord,
        caller: ClientInfo<'_>,
    ) -> Result<Accepted, Refused> {
        let (mut task, mut pool_task) = (None, None);
        // Each round but the first, which may read the change log, and the last ends with a newer record; more than a few means
        // that a key is edited faster than it can be read.
        for _ in 0..5 {
            let now = self.platform.now();
            let context = caller.at(now);
            let freshness = if cached.record.strict { Span::ZERO } else { freshness };
            let word = self.follow(&mut cached, freshness, now);
            let decided = gate::decide(realm, requirement, &cached.record, context);
            let counts_nothing = cached.record.limits == Limits::default() && !cached.record.strict;
            let is_settled = match &decided {
                Ok(_) => word == Word::Holds,
                Err(_) => word != Word::None || cached.is_fresh(freshness, now),
            };
            if !is_settled && !cached.has_caught_up {
                cached.has_caught_up = true;
                self.catch_up(freshness).await;
                continue;
            }
            match decided {
                // Of a key without a limit there is nothing to ask its object.
                Ok(permit) => match self
                    .charge_all(
                        realm,
                        &cached,
                        requirement,
                        word != Word::Holds || !counts_nothing,
                        freshness,
                    )
                    .await?
                {
                    Charged::Granted(charge) => {
                        let now = self.platform.now();
                        // Meanwhile the log was read on, or what it said has become too old.
                        let later =
                            if now == context.now { word } else { self.follow(&mut cached, freshness, now) };
                        let permit = self.revalidate(permit, realm, requirement, &cached, context);
                        let is_too_old = word == Word::Holds && later == Word::None && !cached.has_caught_up;
                        let passes = permit.is_ok() && !is_too_old;
                        if !passes {
                            self.take_back(&cached.hash, &charge);
                        } else if charge.counted_by.is_none_or(|by| by == CountedBy::Gate) {
                            let ledger = &mut self.memory.borrow_mut().ledger;
                            ledger.accept(&cached.hash, self.from.as_ref(), now);
                        }
                        let open = self.open(&cached, &charge, requirement);
                        let Charge { windows, background, pool_background, .. } = charge;
                        task = background.or(task);
                        pool_task = pool_background.or(pool_task);
                        if permit.is_err() || passes {
                            let (background, pool) = (task, pool_task);
                            return Ok(Accepted { permit: permit?, windows, background, pool, open });
                        }
                        cached.has_caught_up = true;
                        self.catch_up(freshness).await;
                    }
                    Charged::Limited(limited) => {
                        return Err(self.limited(&cached, requirement.cost, limited));
                    }
                    Charged::Busy { windows, limit, by_budgets, of_tenant } => {
                        let denial = Denial::TooManyInFlight { windows, limit, by_budgets, of_tenant };
                        return Err(Refused { denial, key: Some(cached.known_key()) });
                    }
                    Charged::Changed { record, asked } => cached = self.replace(cached, record, asked),
                },
                Err(denial) if is_settled => {
                    return Err(Refused { denial, key: Some(cached.known_key()) });
                }
                // A cached record may not refuse by itself either.
                Err(_) => match self.refresh(&cached, freshness).await? {
                    Some((record, asked)) => cached = self.replace(cached, record, asked),
                    None => cached.validation = Validation::Now,
                },
            }
        }
        Err(unavailable("KeyGate").into())
    }

    /// Revalidates the permit: the key may have expired, or its tenant been deactivated, while its coordinator was asked.
    fn revalidate(
        &self,
        permit: Permit,
        realm: &Realm,
        requirement: &KeyRequirement,
        cached: &CachedRecord,
        then: RequestContext<'_>,
    ) -> Result<Permit, Refused> {
        let now = self.platform.now();
        let is_same = permit.record().is_some_and(|record| Rc::ptr_eq(record, &cached.record));
        if now == then.now && is_same {
            return Ok(permit);
        }
        gate::decide(realm, requirement, &cached.record, RequestContext { now, ..then })
            .map_err(|denial| Refused { denial, key: Some(cached.known_key()) })
    }

    /// The record of a key: from memory, else from KV, else from its coordinator, which knows a new key before
    /// KV does, and every key when KV fails.
    async fn find(
        &self,
        hashes: &[String],
        freshness: Span,
        caller: ClientInfo<'_>,
    ) -> Result<CachedRecord, Denial> {
        let source = caller.source(Failures::Keys);
        let is_log_known = {
            let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
            memory.notice(now);
            for hash in hashes {
                if let Some((record, asked)) = memory.record(hash) {
                    return Ok(CachedRecord {
                        hash: hash.clone(),
                        record,
                        validation: Validation::Earlier(asked),
                        epoch: memory.epoch(),
                        has_caught_up: false,
                    });
                }
            }
            memory.changes.is_within(lease::counts_for(freshness), now)
        };
        // Whoever guesses is told so; but a neighbour in the same network has a key that KV knows.
        self.may_look_up(&source, Lookup::Kv)?;
        let without_kv = match self.while_catching_up(freshness, self.published(hashes)).await {
            Ok(Some(cached)) => return Ok(CachedRecord { has_caught_up: !is_log_known, ..cached }),
            Ok(None) => {
                self.not_penalized(&source)?;
                None
            }
            // Other objects would say that there is no such key.
            Err(denial @ Denial::StoreUnavailable { store: ELSEWHERE }) => return Err(denial),
            // It may be a neighbour's key that could not be read: that is not counted as a failure of the
            // network.
            Err(denial) if self.may_look_up(&source, Lookup::Coordinator).is_err() => return Err(denial),
            Err(denial) => Some(denial),
        };
        for hash in hashes {
            let asked = self.platform.now();
            let before = self.memory.borrow_mut().notice(asked);
            let owner = Owner::Network(&source.network);
            if let Some(record) = self.ask(hash, owner).await? {
                let cached = self.answered(hash.clone(), Rc::new(record));
                let set_back = self.memory.borrow_mut().notice(self.platform.now()) - before;
                self.confirm(&cached, asked - set_back);
                return Ok(cached);
            }
        }
        // Guesses cost the coordinators a call each also while KV fails.
        self.count_failure(&source).await;
        // One of the two stores that should know could not be asked.
        Err(without_kv.unwrap_or(UNKNOWN))
    }

    /// The record of a key as KV has it.
    async fn published(&self, hashes: &[String]) -> Result<Option<CachedRecord>, Denial> {
        for hash in hashes {
            // The rest of the time is for the coordinator, which is asked next.
            let within = self.left() / 2;
            let read = async |within| self.platform.read(&key::kv_key(hash), within).await;
            let text = self.ask_of(Dependency::Kv, within, read).await.map_err(|_| unavailable("KV"))?;
            if let Some(text) = text {
                // A format that this build does not know, or no record at all.
                let record = keyward_json::from_str(&text).map_err(|_| unavailable("KV record"))?;
                let record = Rc::new(self.of_this_deployment(record, Dependency::Kv)?);
                // For requests that arrive meanwhile: they need not read it again.
                self.memory.borrow_mut().keep(hash, &record);
                let epoch = self.memory.borrow().epoch();
                let (hash, validation) = (hash.clone(), Validation::None);
                return Ok(Some(CachedRecord { hash, record, validation, epoch, has_caught_up: true }));
            }
        }
        Ok(None)
    }

    async fn ask(&self, hash: &str, owner: Owner<'_>) -> Result<Option<Record>, Denial> {
        let find = async |within| {
            self.platform
                .coordinator::<GetReply>(hash, Grantor::Coordinator, &CoordinatorCall::Get, within)
                .await
        };
        let found = self.ask_of(Dependency::Coordinator { hash, owner }, self.left(), find).await;
        let record = found.map_err(|_| unavailable("KeyGate"))?.record;
        record
            .map(|record| self.of_this_deployment(record, Dependency::Coordinator { hash, owner }))
            .transpose()
    }

    /// The record, if its key's objects are those that the policy names. Others would count from zero.
    fn of_this_deployment(&self, record: Record, from: Dependency<'_>) -> Result<Record, Denial> {
        match jurisdiction::check(record.jurisdiction, self.jurisdiction) {
            Ok(()) => Ok(record),
            Err(misplaced) => {
                self.log_unavailable(from, &misplaced.to_string());
                Err(unavailable(ELSEWHERE))
            }
        }
    }

    /// A newer record takes the place of the cached one; its coordinator, asked at this moment, sent it.
    fn replace(&self, old: CachedRecord, record: Rc<Record>, asked: Timestamp) -> CachedRecord {
        let cached = self.answered(old.hash, record);
        self.confirm(&cached, asked);
        cached
    }

    /// A record that its coordinator has just sent.
    fn answered(&self, hash: String, record: Rc<Record>) -> CachedRecord {
        let epoch = self.memory.borrow().epoch();
        CachedRecord { hash, record, validation: Validation::Now, epoch, has_caught_up: true }
    }

    fn confirm(&self, cached: &CachedRecord, asked: Timestamp) {
        self.memory.borrow_mut().confirm(&cached.hash, &cached.record, asked);
    }

    fn limited(&self, cached: &CachedRecord, cost: Cost, limited: Limited) -> Refused {
        let Limited { mut windows, retry_after, .. } = limited;
        limit::agree(&mut windows, cost, retry_after);
        let denial = Denial::RateLimited { windows, cost, retry_after };
        Refused { denial, key: Some(cached.known_key()) }
    }
}
