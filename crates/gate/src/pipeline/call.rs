//! One call of a key's coordinator or relay: whom to ask, what to say, and what its answer leaves in memory.

use std::{pin::pin, rc::Rc};

use futures_util::future::{Either, select};

use super::context::Pipeline;
use crate::{
    breakers::{Dependency, Owner},
    memory::Limited,
    platform::Platform,
};
use keyward_core::{
    record::{Cost, Record},
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    lease::{self, Grantor, Wish},
    timing::{
        FIRST_ANSWER, IN_FLIGHT, MAX_DELAY, RELAY_ANSWER, SECOND_ANSWER, SHORT_LEASE, SHORTEST_OF_RELAY,
    },
    wire::{Acquire, Acquired, Cancelled, CoordinatorCall},
};

/// What a coordinator is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// To admit this request. On a retry the coordinator is asked directly; `cancelled` is the late answer's
    /// reservation. `budget` is for how long it holds its cost until what it used is known; 0 if it uses it all.
    Pass { cost: Cost, budget: Span, is_retry: bool, cancelled: Option<Cancelled> },
    /// Only for a lease.
    Lease,
    /// Only whether the record still holds.
    Validation,
}

/// A call to be made.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub hash: &'a str,
    pub record: &'a Rc<Record>,
    pub ask: Ask,
    /// The bound on staleness.
    pub freshness: Span,
    /// The same for what the answer admits: more than `freshness` where a request asks only because its object counts it.
    pub bound: Span,
    /// Now.
    pub asked: Timestamp,
    /// Longest wait for the answer.
    pub patience: Span,
}

/// An answer, and what it answers.
pub(super) struct Answered {
    pub acquired: Acquired,
    pub grantor: Grantor,
    pub within: Span,
    /// When it was asked, by the clock as it was set when the answer came.
    pub asked: Timestamp,
    /// When, at the earliest, the coordinator said that the record of the answer holds.
    pub validated: Timestamp,
    /// It came after `within`, whatever the clock shows.
    pub is_late: bool,
    /// Identifies the call.
    pub call: u64,
}

impl<P: Platform> Pipeline<'_, P> {
    /// Makes the call, together with all that is to be reported, and notes the answer.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answered, (Unavailable, Grantor)> {
        let Call { hash, record, ask, asked, .. } = call;
        let (grantor, patience) = self.whom_to_ask(call);
        let of = dependency(hash, Owner::Tenant(&record.tenant.id), grantor);
        let asking = self.begin(of, patience).map_err(|error| (error, grantor))?;
        let acquire = self.prepare(call, grantor, patience);
        let set_back = |now| self.memory.borrow_mut().notice(now);
        let before = set_back(asked);
        let sent = CoordinatorCall::Acquire(acquire.clone());
        let answer = self.platform.coordinator::<Acquired>(hash, grantor, &sent, patience);
        // A timer goes on when a clock is set back.
        let (answer, is_late) = if acquire.immediate && acquire.within < patience {
            match select(pin!(answer), pin!(self.platform.wait(acquire.within))).await {
                Either::Left((answer, _)) => (answer, false),
                Either::Right((_, answer)) => (answer.await, true),
            }
        } else {
            (answer.await, false)
        };
        let answer = self.end_of(asking, answer);
        let now = self.platform.now();
        // What counts from before the call is, like all leases, earlier by as much as the clock was set back
        // meanwhile.
        let asked_then = asked;
        let asked = asked + (before - set_back(now));
        let mut memory = self.memory.borrow_mut();
        if let Some(tally) = &acquire.tally {
            memory.ledger.end(hash, tally, answer.is_ok(), now);
        }
        if acquire.immediate && answer.is_err() && grantor == Grantor::Coordinator {
            // It may have been granted.
            memory.ledger.cancelled(hash, Cancelled { call: acquire.call, reservation: None }, now);
        }
        if ask != Ask::Validation
            && let Some(lessee) = memory.lessee(hash, record.version)
        {
            let is_full = matches!(answer, Ok(Acquired::Limited { .. }));
            lessee.end_call(asked_then, &acquire, answer.is_ok(), is_full);
        }
        let Ok(mut acquired) = answer else {
            if let Some(fallback) = memory.fallback(hash) {
                fallback.put_back(acquire.unreported);
            }
            memory.set_grantor(hash, Grantor::Coordinator);
            return Err((Unavailable, grantor));
        };
        if let Acquired::Unreached { slow } = acquired {
            memory.set_slow(hash, slow);
            if !slow {
                return Err((Unavailable, grantor));
            }
        }
        if let Acquired::Granted { via, .. } | Acquired::Limited { via, .. } = &acquired {
            memory.set_slow(hash, false);
            memory.confirm(hash, record, asked - via.age);
            memory.set_grantor(hash, if via.relay { Grantor::Relay } else { Grantor::Coordinator });
            if let Some(fallback) = memory.fallback(hash) {
                fallback.ends();
            }
        }
        // Whether nothing is left, and until when: of what the coordinator said, to which leases are added below.
        let full = match &acquired {
            Acquired::Granted { windows, via, .. } if via.hold > Span::ZERO => {
                let full = windows.iter().filter(|state| state.remaining == 0);
                let opens = full.map(|state| state.reset).max();
                opens.map(|retry_after| Limited {
                    asked,
                    windows: windows.clone(),
                    cost: Cost::ONE,
                    retry_after,
                    held: Span::ZERO,
                })
            }
            _ => None,
        };
        if let Some(lessee) = memory.lessee(hash, record.version) {
            lessee.report_acked(grantor, &acquire.leases);
            match &mut acquired {
                Acquired::Granted { windows, lease, via, .. } => {
                    lessee.update_windows(windows, asked);
                    if let Some(lease) = lease {
                        lessee.add_lease(grantor, lease, *via, asked, now);
                    }
                    *windows = lessee.windows(asked);
                }
                Acquired::Limited { windows, lease: Some(lease), via, .. } => {
                    lessee.update_windows(windows, asked);
                    lessee.add_lease(grantor, lease, *via, asked, now);
                }
                _ => {}
            }
        }
        if let (Some(full), Acquired::Granted { via, .. }) = (full, &acquired) {
            memory.limit(hash, full, via.hold, now);
        }
        let validated = asked - oldest_validation(grantor, acquire.lease_length);
        let within = acquire.within;
        Ok(Answered { acquired, grantor, within, asked, validated, is_late, call: acquire.call })
    }

    /// Whom to ask, and how long to wait for the answer.
    fn whom_to_ask(&self, call: Call<'_>) -> (Grantor, Span) {
        let Call { hash, ask, freshness, asked, patience, .. } = call;
        let memory = self.memory.borrow();
        // If a relay does not answer, the coordinator is asked next; not if the coordinator does not answer the
        // relay.
        let is_slow = memory.is_slow(hash);
        let spare = patience.less(FIRST_ANSWER);
        let at_relay = RELAY_ANSWER.min(if is_slow && spare < FIRST_ANSWER { patience } else { spare });
        let to_relay = match ask {
            Ask::Pass { is_retry: true, .. } => false,
            // Only the coordinator's own answer is new enough.
            _ if lease::counts_for(freshness) < SHORTEST_OF_RELAY => false,
            _ => (is_slow || at_relay >= FIRST_ANSWER) && memory.grantor(hash) == Grantor::Relay,
        };
        if to_relay && memory.breakers.relay_is_closed(hash, asked) {
            (Grantor::Relay, at_relay)
        } else {
            (Grantor::Coordinator, patience)
        }
    }

    /// All that the call says.
    fn prepare(&self, call: Call<'_>, grantor: Grantor, patience: Span) -> Acquire {
        let Call { hash, record, ask, freshness, asked, .. } = call;
        let mut memory = self.memory.borrow_mut();
        let counts_for = lease::counts_for(freshness);
        let lease_length = match grantor {
            Grantor::Coordinator => lease::longest(freshness, !memory.changes.is_left_alone(asked)),
            // What relays hold is not for long.
            Grantor::Relay => counts_for.min(SHORT_LEASE),
        };
        let within = match (ask, grantor) {
            (Ask::Lease | Ask::Validation, _) => patience,
            (Ask::Pass { .. }, Grantor::Relay) => RELAY_ANSWER,
            (Ask::Pass { is_retry: false, .. }, Grantor::Coordinator) => FIRST_ANSWER,
            // Never use a decision older than the bound on staleness; with bound 0, only this request's own.
            (Ask::Pass { is_retry: true, .. }, Grantor::Coordinator) => match lease::counts_for(call.bound) {
                Span::ZERO => SECOND_ANSWER,
                counts_for => SECOND_ANSWER.min(counts_for.less(MAX_DELAY)).max(FIRST_ANSWER),
            },
        };
        let (Wish { wants, wants_for_long, queued }, leases) =
            memory.lessee(hash, record.version).map_or_else(Default::default, |lessee| {
                if let Ask::Pass { cost, budget: Span::ZERO, .. } = ask {
                    lessee.give_up_less_than(cost);
                }
                let wish = if ask == Ask::Validation {
                    Wish::default()
                } else {
                    lessee.plan_call(grantor, lease_length, asked)
                };
                (wish, lessee.report(grantor, asked))
            });
        let tally = memory.ledger.begin(hash, grantor, asked);
        let (cost, budget, cancelled) = match ask {
            Ask::Pass { cost, budget, cancelled, .. } => (cost, budget, cancelled),
            Ask::Lease | Ask::Validation => (Cost::ONE, Span::ZERO, None),
        };
        let immediate = matches!(ask, Ask::Pass { .. });
        // What a relay admits is counted here.
        let counts_there = immediate && grantor == Grantor::Coordinator;
        let is_in_flight = counts_there && self.is_counted_in_flight(record);
        Acquire {
            version: record.version,
            immediate,
            cost,
            from: self.from.filter(|_| counts_there).map(|from| from.describe()),
            route: self.route().filter(|_| counts_there).map(|route| route.name()),
            // No later than it is waited for.
            within: within.min(patience),
            wants,
            wants_for_long,
            queued,
            lease_length,
            may_defer: true,
            client_id: memory.client_id,
            leases,
            unreported: memory.fallback(hash).map_or(0, |fallback| fallback.take_unreported()),
            cancelled: cancelled.and_then(|cancelled| cancelled.reservation),
            cancelled_call: cancelled.map_or(0, |cancelled| cancelled.call),
            refused: tally.refused(),
            call: memory.ledger.call(),
            tally: Some(tally),
            budget,
            in_flight: if is_in_flight { IN_FLIGHT } else { Span::ZERO },
            ..Acquire::default()
        }
    }
}

/// Greatest age of the confirmation behind an answer.
fn oldest_validation(grantor: Grantor, lease_length: Span) -> Span {
    match grantor {
        Grantor::Coordinator => Span::ZERO,
        Grantor::Relay => lease_length / 2,
    }
}

pub(super) fn dependency<'a>(hash: &'a str, owner: Owner<'a>, grantor: Grantor) -> Dependency<'a> {
    match grantor {
        Grantor::Coordinator => Dependency::Coordinator { hash, owner },
        Grantor::Relay => Dependency::Relay(hash),
    }
}

/// Whose key this is, which this isolate may have forgotten.
pub(super) fn owner(record: Option<&Rc<Record>>) -> Owner<'_> {
    record.map_or(Owner::Network(""), |record| Owner::Tenant(&record.tenant.id))
}
