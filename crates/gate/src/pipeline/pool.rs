//! A request is charged to its key and to the pool of its tenant: both or neither. The pool is counted by an object of its own,
//! of the class of keys' objects, with the same leases and relays.

use std::{borrow::Cow, rc::Rc};

use futures_util::future::join;
use keyward_policy::{KeyRequirement, Realm};

use super::{
    background::BackgroundTask,
    cached_record::{CachedRecord, Validation},
    charge::{Answer, CountedBy, Granted},
    context::{Pipeline, unavailable},
};
use crate::{denial::Denial, memory::Limited, platform::Platform};
use keyward_core::{
    record::{Cost, Limits, Record, pool_name},
    time::{Span, Timestamp},
};
use keyward_limits::{limit::WindowState, wire::Cancelled};

/// How charging a request ended.
pub(super) enum Charged {
    /// It may pass.
    Granted(Charge),
    /// A window is full.
    Limited(Limited),
    /// As many requests are in flight as may be.
    Busy { windows: Vec<WindowState>, limit: u32, by_budgets: bool, of_tenant: bool },
    /// Decide again on this record, which the key's coordinator confirmed at this moment.
    Changed { record: Rc<Record>, asked: Timestamp },
}

/// What was charged.
#[derive(Default)]
pub(super) struct Charge {
    pub windows: Vec<WindowState>,
    pub background: Option<BackgroundTask>,
    pub pool_background: Option<BackgroundTask>,
    /// Who counts it for the key, if it is charged.
    pub counted_by: Option<CountedBy>,
    /// The same for the pool, by its object's name.
    pub pool: Option<PoolCharge>,
}

/// What was charged to a pool.
pub(super) struct PoolCharge {
    /// Its object's name.
    pub name: String,
    pub counted_by: CountedBy,
    /// Whether the request counts as in flight there.
    pub in_flight: bool,
}

/// What is charged, and what it was granted so far.
struct Subject<'a> {
    cached: Cow<'a, CachedRecord>,
    is_pool: bool,
    /// 0 where only its object knows what is open elsewhere.
    freshness: Span,
    /// The bound on staleness all the same.
    bound: Span,
    granted: Option<Granted>,
}

impl<P: Platform> Pipeline<'_, P> {
    /// Charges one request, to the key if `counts` says so, and to its tenant's pool if there is one.
    ///
    /// What a lease gives counts for the moment at which it is used, and what a call gives for half a second. So calls are made
    /// first, for both at once, and leases are used in the turn in which everything is there.
    pub(super) async fn charge_all(
        &self,
        realm: &Realm,
        cached: &CachedRecord,
        requirement: &KeyRequirement,
        counts: bool,
        freshness: Span,
    ) -> Result<Charged, Denial> {
        let mut key = counts.then_some(Subject {
            cached: Cow::Borrowed(cached),
            is_pool: false,
            freshness,
            bound: freshness,
            granted: None,
        });
        let mut pool = self.pool_of(&cached.record, freshness);
        for Subject { cached, freshness, .. } in key.iter_mut().chain(&mut pool) {
            if requirement.budget.is_some() || self.is_counted_in_flight(&cached.record) {
                *freshness = Span::ZERO;
            }
        }
        let came = self.platform.now();
        {
            let mut memory = self.memory.borrow_mut();
            memory.notice(came);
            // What asks for each request needs no leases.
            let leased = key.iter().chain(&pool).filter(|subject| subject.freshness > Span::ZERO);
            for Subject { cached, .. } in leased {
                if let Some(lessee) = memory.lessee(&cached.hash, cached.record.version) {
                    lessee.note_arrival(requirement.cost, came);
                }
            }
        }
        for _ in 0..5 {
            let now = self.platform.now();
            self.memory.borrow_mut().notice(now);
            // A timer may have been late.
            let waits = key.iter().chain(&pool).any(|subject| subject.granted.is_none());
            if waits && self.deadline.has_passed(now) {
                break;
            }
            let (mut asks_key, mut asks_pool) = (false, false);
            let mut full = None;
            for subject in key.iter_mut().chain(&mut pool) {
                if subject.granted.as_ref().is_some_and(|granted| !granted.counts(now)) {
                    self.give_back(subject);
                }
                let Subject { cached, is_pool, freshness, granted: None, .. } = subject else { continue };
                let is_delayed = self.delay(cached, requirement.cost, *freshness, now - came, now).is_some();
                let local = || self.admit_locally(cached, requirement.cost, *freshness, now);
                match if is_delayed { None } else { local() } {
                    Some(Answer::Limited(limited)) => full = full.or(Some(marked(limited, *is_pool))),
                    Some(_) => {}
                    None => *(if *is_pool { &mut asks_pool } else { &mut asks_key }) = true,
                }
            }
            // What is known to be full is not asked, and nothing else is charged.
            if let Some(limited) = full {
                self.give_all_back(key, pool);
                return Ok(Charged::Limited(limited));
            }
            if !asks_key && !asks_pool {
                return Ok(Charged::Granted(self.settle(key, pool, requirement.cost, now)));
            }
            let ask = async |subject: &Option<Subject<'_>>, asks: bool| match subject {
                Some(subject) if asks => Some(
                    self.charge(realm, &subject.cached, requirement, subject.freshness, subject.bound).await,
                ),
                _ => None,
            };
            let (of_key, of_pool) = join(ask(&key, asks_key), ask(&pool, asks_pool)).await;
            let mut end = None;
            for (subject, answer) in [(&mut key, of_key), (&mut pool, of_pool)] {
                let (Some(subject), Some(answer)) = (subject, answer) else { continue };
                match answer {
                    Ok(Answer::Leased) => {}
                    Ok(Answer::Granted(granted)) => subject.granted = Some(granted),
                    Ok(Answer::Changed { record, asked }) if subject.is_pool => {
                        self.memory.borrow_mut().confirm(&subject.cached.hash, &record, asked);
                        subject.cached.to_mut().record = record;
                    }
                    Ok(Answer::Changed { record, asked }) => {
                        end = Some(Ok(Charged::Changed { record, asked }));
                    }
                    Ok(Answer::Limited(limited)) => {
                        let limited = Charged::Limited(marked(limited, subject.is_pool));
                        end = end.or(Some(Ok(limited)));
                    }
                    Ok(Answer::Busy { mut windows, limit, by_budgets }) => {
                        let of_tenant = subject.is_pool;
                        mark(&mut windows, of_tenant);
                        end = end.or(Some(Ok(Charged::Busy { windows, limit, by_budgets, of_tenant })));
                    }
                    Err(denial) => end = end.or(Some(Err(denial))),
                }
            }
            if let Some(end) = end {
                self.give_all_back(key, pool);
                return end;
            }
        }
        self.give_all_back(key, pool);
        Err(unavailable("KeyGate"))
    }

    /// Everything is there: uses the leases.
    fn settle(
        &self,
        key: Option<Subject<'_>>,
        pool: Option<Subject<'_>>,
        cost: Cost,
        now: Timestamp,
    ) -> Charge {
        let mut charge = Charge::default();
        for Subject { cached, is_pool, freshness, granted, .. } in key.into_iter().chain(pool) {
            let granted = granted.or_else(|| self.use_lease(&cached, cost, freshness, now));
            let Some(granted) = granted else { continue };
            let Granted { mut windows, background, counted_by, .. } = granted;
            mark(&mut windows, is_pool);
            charge.windows.append(&mut windows);
            if is_pool {
                charge.pool_background = background;
                let (name, in_flight) = (cached.hash.clone(), self.is_counted_in_flight(&cached.record));
                charge.pool = Some(PoolCharge { name, counted_by, in_flight });
            } else {
                (charge.background, charge.counted_by) = (background, Some(counted_by));
            }
        }
        charge
    }

    /// The request with this key does not pass after all.
    pub(super) fn take_back(&self, hash: &str, charge: &Charge) {
        let of_key = charge.counted_by.map(|counted_by| (hash, counted_by));
        let of_pool = charge.pool.as_ref().map(|pool| (pool.name.as_str(), pool.counted_by));
        for (hash, counted_by) in of_key.into_iter().chain(of_pool) {
            self.cancel(hash, counted_by);
        }
    }

    fn give_all_back(&self, key: Option<Subject<'_>>, pool: Option<Subject<'_>>) {
        for mut subject in key.into_iter().chain(pool) {
            self.give_back(&mut subject);
        }
    }

    fn give_back(&self, subject: &mut Subject<'_>) {
        if let Some(Granted { counted_by, .. }) = subject.granted.take() {
            self.cancel(&subject.cached.hash, counted_by);
        }
    }

    fn cancel(&self, hash: &str, counted_by: CountedBy) {
        if let CountedBy::Coordinator { call, reservation } = counted_by {
            let now = self.platform.now();
            self.memory.borrow_mut().ledger.cancelled(hash, Cancelled { call, reservation }, now);
        }
    }

    /// The pool of a key's tenant: as its object said, where that is no older than what the key's record and the log say.
    fn pool_of(&self, key: &Record, freshness: Span) -> Option<Subject<'static>> {
        let mut memory = self.memory.borrow_mut();
        let latest = memory.changes.latest_tenant(key);
        let (change, tenant) = latest.unwrap_or((key.tenant_change, &key.tenant));
        let limits = tenant.pool.filter(|limits| *limits != Limits::default())?;
        let hash = pool_name(&key.tenant.id);
        let (record, validation) = match memory.record(&hash) {
            Some((record, asked)) if record.version >= change => (record, Validation::Earlier(asked)),
            _ => {
                let record = Rc::new(Record::of_pool(&key.tenant, limits, change));
                // Leases of an older one are given up, and reported with the next call.
                memory.confirm(&hash, &record, Timestamp::default());
                (record, Validation::None)
            }
        };
        let epoch = memory.epoch();
        let cached = CachedRecord { hash, record, validation, epoch, has_caught_up: true };
        Some(Subject {
            cached: Cow::Owned(cached),
            is_pool: true,
            freshness,
            bound: freshness,
            granted: None,
        })
    }
}

fn marked(mut limited: Limited, of_tenant: bool) -> Limited {
    mark(&mut limited.windows, of_tenant);
    limited
}

fn mark(windows: &mut [WindowState], of_tenant: bool) {
    for state in windows {
        state.of_tenant = of_tenant;
    }
}
