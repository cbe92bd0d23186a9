//! Every window of a key, or of a tenant's pool, is charged, from a lease that this isolate holds or by
//! asking the coordinator; and the background tasks that keep leases in order, after the answer and never before it.

use std::rc::Rc;

use keyward_policy::{KeyRequirement, LimitsUnavailable, Realm};

use super::{
    background::{BackgroundTask, TaskKind, end_of},
    cached_record::CachedRecord,
    call::{Answered, Ask, Call, dependency, owner},
    context::{Pipeline, unavailable},
};
use crate::{denial::Denial, memory::Limited, platform::Platform};
use keyward_core::{
    record::{Cost, POOL, Record},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    lease::{self, Grantor},
    limit::WindowState,
    timing::{BACKGROUND_ANSWER, FIRST_ANSWER, MAX_DELAY, RENEWAL_ANSWER, SECOND_ANSWER},
    wire::{Acquired, Cancelled, CoordinatorCall, ReportAck},
};

/// What the coordinator says to a request.
pub(super) enum Answer {
    /// It may pass under a lease that this isolate holds, once it is [used](Pipeline::use_lease).
    Leased,
    /// It may pass.
    Granted(Granted),
    /// A window is full.
    Limited(Limited),
    /// As many requests are in flight as may be.
    Busy { windows: Vec<WindowState>, limit: u32, by_budgets: bool },
    /// Decide again on this record, which the coordinator confirmed at this moment.
    Changed { record: Rc<Record>, asked: Timestamp },
}

/// Leave for one request, which no lease gives.
pub(super) struct Granted {
    pub windows: Vec<WindowState>,
    pub background: Option<BackgroundTask>,
    pub counted_by: CountedBy,
    /// When it was asked for, and for how long after that it counts.
    pub asked: Timestamp,
    pub lasts: Span,
}

impl Granted {
    /// Whether the request may still go on. If the clock was set back meanwhile, nobody knows.
    pub fn counts(&self, now: Timestamp) -> bool {
        (Span::ZERO..=self.lasts).contains(&(now - self.asked))
    }
}

/// Who counts the request as usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedBy {
    /// The gate, which reports it later.
    Gate,
    /// The coordinator has counted it when this call asked.
    Coordinator { call: u64, reservation: Option<Timestamp> },
}

impl<P: Platform> Pipeline<'_, P> {
    /// Finds room for one request: under a lease that this isolate holds, else by asking, unless calls in flight are about to
    /// bring an answer.
    pub(super) async fn charge(
        &self,
        realm: &Realm,
        cached: &CachedRecord,
        requirement: &KeyRequirement,
        freshness: Span,
        bound: Span,
    ) -> Result<Answer, Denial> {
        let (cost, budget) =
            (requirement.cost, requirement.budget.map_or(Span::ZERO, |budget| budget.within));
        let (hash, version) = (&cached.hash, cached.record.version);
        let has_leases = lease::counts_for(freshness) > Span::ZERO;
        let came = self.platform.now();
        let (mut has_waited, mut delayed) = (false, Span::ZERO);
        loop {
            let now = self.platform.now();
            self.memory.borrow_mut().notice(now);
            // A timer may have been late.
            if self.deadline.has_passed(now) {
                return Err(unavailable("KeyGate"));
            }
            if let Some(delay) = self.delay(cached, cost, freshness, delayed.max(now - came), now) {
                self.platform.wait(delay).await;
                delayed += delay;
                // A timer goes on when a clock stands still.
                if let Some(lessee) = self.memory.borrow_mut().lessee(hash, version) {
                    lessee.open(now + delay, self.platform.now());
                }
                continue;
            }
            if let Some(answer) = self.admit_locally(cached, cost, freshness, now) {
                return Ok(answer);
            }
            let has_time = has_leases && self.deadline.left(now) > lease::POLL;
            let is_patient = came.is_within(SECOND_ANSWER, now);
            let waits = self.memory.borrow_mut().lessee(hash, version).is_some_and(|lessee| {
                let waits = has_time
                    && if is_patient { lessee.has_call_in_flight(now) } else { lessee.is_at_call_limit(now) };
                if waits {
                    lessee.enqueue(cost, came);
                }
                waits
            });
            if !waits {
                // All that have waited in vain for the same calls would now call themselves, and no time is left for that.
                if has_waited && !has_time {
                    return self.fall_back(realm, cached, cost, freshness);
                }
                break;
            }
            has_waited = true;
            self.platform.wait(lease::POLL).await;
            let mut memory = self.memory.borrow_mut();
            if let Some(lessee) = memory.lessee(hash, version) {
                lessee.dequeue(cost, came);
            }
            // The answer that it waited for may have brought another record.
            if let Some((record, asked)) = memory.record(hash).filter(|known| known.0.version > version) {
                return Ok(Answer::Changed { record, asked });
            }
        }
        self.acquire(realm, cached, (cost, budget), freshness, bound).await
    }

    /// What this isolate can answer without a call.
    pub(super) fn admit_locally(
        &self,
        cached: &CachedRecord,
        cost: Cost,
        freshness: Span,
        now: Timestamp,
    ) -> Option<Answer> {
        let opens = self.opens_in(cached, cost, freshness, now);
        let holds = self.holds(cached, freshness, now);
        let mut memory = self.memory.borrow_mut();
        match opens {
            Some(Span::ZERO) => Some(Answer::Leased),
            Some(opens) => memory.deferred(&cached.hash, cost, opens, now).map(Answer::Limited),
            None => memory.limited(&cached.hash, cost, freshness, holds, now).map(Answer::Limited),
        }
    }

    /// The time until a lease that this isolate holds has room, if the record is known to hold; 0 if one has.
    fn opens_in(&self, cached: &CachedRecord, cost: Cost, freshness: Span, now: Timestamp) -> Option<Span> {
        if !self.holds(cached, freshness, now) {
            return None;
        }
        let mut memory = self.memory.borrow_mut();
        memory.lessee(&cached.hash, cached.record.version)?.opens_in(cost, now)
    }

    /// How long to delay a request that has waited for this long, so that it finds a deferred lease open: as at the object, not for
    /// longer than [`MAX_DELAY`] in all.
    pub(super) fn delay(
        &self,
        cached: &CachedRecord,
        cost: Cost,
        freshness: Span,
        waited: Span,
        now: Timestamp,
    ) -> Option<Span> {
        let opens = self.opens_in(cached, cost, freshness, now).filter(|opens| *opens > Span::ZERO)?;
        (waited + opens <= MAX_DELAY && opens < self.deadline.left(now)).then_some(opens)
    }

    /// Whether this isolate holds a lease with room, and the record is known to hold.
    fn has_lease(&self, cached: &CachedRecord, cost: Cost, freshness: Span, now: Timestamp) -> bool {
        self.opens_in(cached, cost, freshness, now) == Some(Span::ZERO)
    }

    /// Uses a lease that was found to have room at this moment.
    pub(super) fn use_lease(
        &self,
        cached: &CachedRecord,
        cost: Cost,
        freshness: Span,
        now: Timestamp,
    ) -> Option<Granted> {
        let mut memory = self.memory.borrow_mut();
        let admitted = memory.lessee(&cached.hash, cached.record.version)?.consume(cost, now)?;
        let background = admitted.renew.then(|| cached.background(freshness, TaskKind::Renew));
        let (windows, counted_by) = (admitted.windows, CountedBy::Gate);
        Some(Granted { windows, background, counted_by, asked: now, lasts: Span::ZERO })
    }

    /// Asks the coordinator or a relay to admit this request, and for a lease where that is likely to save calls.
    async fn acquire(
        &self,
        realm: &Realm,
        cached: &CachedRecord,
        (cost, budget): (Cost, Span),
        freshness: Span,
        bound: Span,
    ) -> Result<Answer, Denial> {
        let CachedRecord { hash, record, .. } = cached;
        let is_open = budget > Span::ZERO || self.is_counted_in_flight(record);
        let mut cancelled = None;
        for is_retry in [false, true] {
            let asked = self.platform.now();
            let left = self.deadline.left(asked);
            if left == Span::ZERO {
                break;
            }
            let ask = Ask::Pass { cost, budget, is_retry, cancelled: cancelled.take() };
            // Leaves time for the fallback limit, where the realm has one.
            let patience = if may_be_local(realm, freshness) { left - left / 4 } else { left };
            let called = self.call(Call { hash, record, ask, freshness, bound, asked, patience }).await;
            let Answered { acquired, grantor, within, asked, validated, is_late, call } = match called {
                Ok(answered) => answered,
                Err((Unavailable, Grantor::Relay)) => continue,
                Err((Unavailable, Grantor::Coordinator)) => {
                    return self.fall_back(realm, cached, cost, freshness);
                }
            };
            // The slot is reserved only until `within` (and the delay): a later answer must not admit. Nor must one
            // of unknown age, since the clock was set back meanwhile. At the last moment it still admits, as at a deadline.
            let in_time =
                |delay: Span| (Span::ZERO..=within + delay).contains(&(self.platform.now() - asked));
            match acquired {
                Acquired::Busy { windows, limit, by_budgets } => {
                    return Ok(Answer::Busy { windows, limit, by_budgets });
                }
                Acquired::Granted { windows, delay, reservation, cost: counted, lease, open, .. } => {
                    // An older build counts 1 and opens nothing, and a delay that would end too late is not begun.
                    let is_as_asked = counted == cost && open == is_open;
                    let mut passes = is_as_asked && !is_late && in_time(Span::ZERO) && delay <= self.left();
                    if passes && delay > Span::ZERO {
                        self.platform.wait(delay).await;
                        // A timer may be late, too.
                        passes = in_time(delay) && !self.deadline.has_passed(self.platform.now());
                    }
                    if !passes {
                        cancelled =
                            (grantor == Grantor::Coordinator).then_some(Cancelled { call, reservation });
                        if let Some(cancelled) = cancelled {
                            let now = self.platform.now();
                            self.memory.borrow_mut().ledger.cancelled(hash, cancelled, now);
                        }
                        continue;
                    }
                    let end = lease.as_ref().and_then(|lease| end_of(grantor, lease));
                    let background = end.map(|end| cached.background(freshness, end));
                    let counted_by = match grantor {
                        Grantor::Coordinator => CountedBy::Coordinator { call, reservation },
                        Grantor::Relay => CountedBy::Gate,
                    };
                    let lasts = within + delay;
                    return Ok(Answer::Granted(Granted { windows, background, counted_by, asked, lasts }));
                }
                Acquired::Limited { windows, retry_after, via, .. } => {
                    // The answer to another request may have brought a lease meanwhile.
                    if self.has_lease(cached, cost, freshness, self.platform.now()) {
                        return Ok(Answer::Leased);
                    }
                    let held = match grantor {
                        Grantor::Coordinator => retry_after.max(lease::FULL_BY_COORDINATOR),
                        Grantor::Relay => lease::FULL_BY_RELAY,
                    };
                    let limited = Limited { asked, windows, cost, retry_after, held };
                    let (mut memory, now) = (self.memory.borrow_mut(), self.platform.now());
                    memory.limit(hash, limited.clone(), via.hold, now);
                    memory.promise(hash, &limited, now);
                    return Ok(Answer::Limited(limited));
                }
                Acquired::Changed { record } => {
                    return Ok(Answer::Changed { record: Rc::new(record), asked: validated });
                }
                // The relay asks for all. If each isolate asked for itself now, the coordinator would answer nobody.
                Acquired::Unreached { .. } => return self.fall_back(realm, cached, cost, freshness),
                // A pool that was never told to anybody holds from when it is.
                Acquired::Unknown if hash.starts_with(POOL) => {
                    let (windows, counted_by, lasts) = (Vec::new(), CountedBy::Gate, within);
                    let background = None;
                    return Ok(Answer::Granted(Granted { windows, background, counted_by, asked, lasts }));
                }
                Acquired::Unknown => break,
            }
        }
        Err(unavailable("KeyGate"))
    }

    /// Refreshes a cached record: the newer one and when the coordinator confirmed it; `None` if the cached one still
    /// holds.
    pub(super) async fn refresh(
        &self,
        cached: &CachedRecord,
        freshness: Span,
    ) -> Result<Option<(Rc<Record>, Timestamp)>, Denial> {
        for _ in 0..2 {
            let asked = self.platform.now();
            let CachedRecord { hash, record, .. } = cached;
            let patience = self.deadline.left(asked);
            match self
                .call(Call {
                    hash,
                    record,
                    ask: Ask::Validation,
                    freshness,
                    bound: freshness,
                    asked,
                    patience,
                })
                .await
            {
                Ok(Answered { acquired: Acquired::Changed { record }, validated, .. }) => {
                    return Ok(Some((Rc::new(record), validated)));
                }
                Ok(Answered { acquired: Acquired::Unknown | Acquired::Unreached { .. }, .. }) => break,
                Ok(Answered {
                    acquired: Acquired::Granted { .. } | Acquired::Limited { .. } | Acquired::Busy { .. },
                    ..
                }) => return Ok(None),
                Err((Unavailable, Grantor::Relay)) => {}
                Err((Unavailable, Grantor::Coordinator)) => break,
            }
        }
        Err(unavailable("KeyGate"))
    }

    /// The coordinator cannot be asked: the fallback limit decides, where the realm has one.
    fn fall_back(
        &self,
        realm: &Realm,
        cached: &CachedRecord,
        cost: Cost,
        freshness: Span,
    ) -> Result<Answer, Denial> {
        let CachedRecord { hash, record, .. } = cached;
        let mut memory = self.memory.borrow_mut();
        let asked = self.platform.now();
        let may_pass = may_be_local(realm, freshness) && {
            memory.keep(hash, record);
            memory.fallback(hash).is_some_and(|fallback| fallback.allow(record.limits, cost, asked))
        };
        if may_pass {
            let (windows, counted_by, lasts) = (Vec::new(), CountedBy::Gate, FIRST_ANSWER);
            Ok(Answer::Granted(Granted { windows, background: None, counted_by, asked, lasts }))
        } else {
            Err(unavailable("KeyGate"))
        }
    }

    /// Runs a background task. Returns the one to run next.
    pub async fn run_background(&self, background: BackgroundTask) -> Option<BackgroundTask> {
        match background.kind {
            TaskKind::Renew => self.renew(background).await,
            TaskKind::End { grantor, lease, after } => {
                self.platform.wait(after).await;
                self.end(&background, grantor, lease).await;
                None
            }
        }
    }

    async fn renew(&self, background: BackgroundTask) -> Option<BackgroundTask> {
        let BackgroundTask { hash, version, freshness, .. } = &background;
        let known = self.memory.borrow_mut().record(hash);
        let (record, _) = known.filter(|(record, _)| record.version == *version)?;
        let asked = self.platform.now();
        let call = Call {
            hash,
            record: &record,
            ask: Ask::Lease,
            freshness: *freshness,
            bound: *freshness,
            asked,
            patience: RENEWAL_ANSWER,
        };
        let Answered { acquired, grantor, validated, .. } = self.call(call).await.ok()?;
        if let Acquired::Changed { record } = acquired {
            self.memory.borrow_mut().confirm(hash, &Rc::new(record), validated);
            return None;
        }
        let end = acquired.lease().and_then(|lease| end_of(grantor, lease));
        end.map(|kind| BackgroundTask { kind, ..background })
    }

    async fn end(&self, background: &BackgroundTask, grantor: Grantor, lease: u64) {
        let now = self.platform.now();
        let report = {
            let mut memory = self.memory.borrow_mut();
            memory.notice(now);
            memory.lessee_of_any(&background.hash).and_then(|lessee| lessee.end_lease(grantor, lease, now))
        };
        let Some(report) = report else { return };
        let record = self.memory.borrow().peek(&background.hash);
        let of = dependency(&background.hash, owner(record.as_ref()), grantor);
        let Ok(asking) = self.begin(of, BACKGROUND_ANSWER) else { return };
        let tally = self.memory.borrow_mut().ledger.begin(&background.hash, grantor, now);
        let (refused, leases) = (tally.refused(), vec![report]);
        let call = CoordinatorCall::Report { refused, leases, tally: Some(tally.clone()) };
        let hash = &background.hash;
        let heard = self.platform.coordinator::<ReportAck>(hash, grantor, &call, BACKGROUND_ANSWER).await;
        let heard = self.end_of(asking, heard).is_ok();
        let mut memory = self.memory.borrow_mut();
        memory.ledger.end(hash, &tally, heard, self.platform.now());
        if heard && let Some(lessee) = memory.lessee_of_any(hash) {
            lessee.report_acked(grantor, &[report]);
        }
    }
}

/// Whether requests may pass under the fallback limit while the coordinator does not answer. A strict realm, route or
/// key has none: only the coordinator's own answer admits.
fn may_be_local(realm: &Realm, freshness: Span) -> bool {
    realm.limits_unavailable == LimitsUnavailable::AllowLocal && lease::counts_for(freshness) > Span::ZERO
}
