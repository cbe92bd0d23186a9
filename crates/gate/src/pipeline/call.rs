//! One call of a key's object or relay: whom to ask, what to say, and what its answer leaves in memory.

use std::{pin::pin, rc::Rc};

use futures_util::future::{Either, select};

use super::context::Pipeline;
use crate::{
    breakers::{Dependency, Owner},
    stores::Stores,
};
use keyward_core::{record::Record, time::Timestamp, unavailable::Unavailable};
use keyward_limits::{
    lease::Lessor,
    timing::{CROWDED, PATIENT, PROMPT, WORTH_WAITING},
    wire::{KeyGateCall, Take, Taken, Unused},
};

/// What an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// To let the request at hand pass, which may have waited for an answer in vain before: if one came
    /// too late, instead of the place that it gave. The KeyGate itself is asked then.
    Pass { in_vain: bool, unused: Option<Unused> },
    /// Only for a lease.
    Lease,
    /// Only whether the record still holds.
    Word,
}

/// A call as it is to be made.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub hash: &'a str,
    pub record: &'a Rc<Record>,
    pub ask: Ask,
    pub life_ms: u32,
    /// Now.
    pub asked: Timestamp,
    /// For how long the answer is waited for at most, in milliseconds.
    pub patience: u32,
}

/// An answer and what it answers.
pub(super) struct Answered {
    pub taken: Taken,
    pub lessor: Lessor,
    pub within_ms: u32,
    /// When it was asked, by the clock as it was set when the answer came.
    pub asked: Timestamp,
    /// It came after `within_ms`, whatever the clock shows.
    pub is_late: bool,
    /// The call's name.
    pub call: u64,
}

impl<S: Stores> Pipeline<'_, S> {
    /// Sends what is asked for together with what there is to tell, and notes the answer.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answered, (Unavailable, Lessor)> {
        let Call { hash, record, ask, asked, .. } = call;
        let (lessor, patience) = self.whom_to_ask(call);
        let of = dependency(hash, Owner::Tenant(&record.tenant.id), lessor);
        let asking = self.begin(of, patience).map_err(|error| (error, lessor))?;
        let take = self.prepare(call, lessor, patience);
        let set_back = |now| {
            let mut memory = self.memory.borrow_mut();
            if let Some(holder) = memory.holder(hash, record.version) {
                holder.notice(now);
            }
            memory.notice(now)
        };
        let before = set_back(asked);
        let sent = KeyGateCall::Take(take.clone());
        let answer = self.stores.key_gate::<Taken>(hash, lessor, &sent, patience);
        // A timer goes on where a clock is set back.
        let (answer, is_late) = if take.at_hand && take.within_ms < patience {
            match select(pin!(answer), pin!(self.stores.wait(take.within_ms))).await {
                Either::Left((answer, _)) => (answer, false),
                Either::Right((_, answer)) => (answer.await, true),
            }
        } else {
            (answer.await, false)
        };
        self.end_of(asking, &answer);
        let now = self.stores.now();
        // What is counted from the call on is, like all leases, earlier by as much as the clock was set back meanwhile.
        let asked_then = asked;
        let asked = asked.plus(before - set_back(now));
        let mut memory = self.memory.borrow_mut();
        if let Some(tally) = &take.tally {
            memory.ledger.end(hash, tally, answer.is_ok(), now);
        }
        if take.at_hand && answer.is_err() && lessor == Lessor::KeyGate {
            // It may have been granted.
            memory.ledger.unused(hash, Unused { call: take.call, place: None }, now);
        }
        if ask != Ask::Word
            && let Some(holder) = memory.holder(hash, record.version)
        {
            holder.answered(asked_then, &take, matches!(answer, Ok(Taken::Limited { .. })));
        }
        let Ok(mut taken) = answer else {
            if let Some(local) = memory.local(hash) {
                local.put_back(take.unasked);
            }
            memory.set_lessor(hash, Lessor::KeyGate);
            return Err((Unavailable, lessor));
        };
        if let Taken::Unreached { slow } = taken {
            memory.set_slow(hash, slow);
            if !slow {
                return Err((Unavailable, lessor));
            }
        }
        if let Taken::Granted { via, .. } | Taken::Limited { via, .. } = &taken {
            memory.set_slow(hash, false);
            memory.confirm(hash, record, asked.plus(-i64::from(via.age_ms)));
            memory.set_lessor(hash, if via.relay { Lessor::Relay } else { Lessor::KeyGate });
            if let Some(local) = memory.local(hash) {
                local.ends();
            }
        }
        if let Some(holder) = memory.holder(hash, record.version) {
            holder.reported(lessor, &take.leases);
            if let Taken::Granted { windows, lease, via, .. } = &mut taken {
                holder.told(windows, asked);
                if let Some(lease) = lease {
                    holder.granted(lessor, *lease, via.age_ms, asked);
                }
                *windows = holder.windows(asked);
            }
        }
        Ok(Answered { taken, lessor, within_ms: take.within_ms, asked, is_late, call: take.call })
    }

    /// Whom to ask, and for how long to wait for the answer.
    fn whom_to_ask(&self, call: Call<'_>) -> (Lessor, u32) {
        let Call { hash, ask, life_ms, asked, patience, .. } = call;
        let memory = self.memory.borrow();
        // When a relay does not answer, the KeyGate is asked next; not so where it does not answer the relay.
        let is_slow = memory.is_slow(hash);
        let spare = patience.saturating_sub(PROMPT);
        let at_relay = CROWDED.min(if is_slow && spare < PROMPT { patience } else { spare });
        let to_relay = match ask {
            Ask::Pass { in_vain: true, .. } => false,
            // Nobody else's word is new enough.
            _ if life_ms < 2 * CROWDED => false,
            _ => (is_slow || at_relay >= PROMPT) && memory.lessor(hash) == Lessor::Relay,
        };
        if to_relay && memory.breakers.relay_is_closed(hash, asked) {
            (Lessor::Relay, at_relay)
        } else {
            (Lessor::KeyGate, patience)
        }
    }

    /// The whole of what to say.
    fn prepare(&self, call: Call<'_>, lessor: Lessor, patience: u32) -> Take {
        let Call { hash, record, ask, life_ms, asked, .. } = call;
        let mut memory = self.memory.borrow_mut();
        let within_ms = match (ask, lessor) {
            (Ask::Lease | Ask::Word, _) => patience,
            (Ask::Pass { .. }, Lessor::Relay) => CROWDED,
            (Ask::Pass { in_vain: false, .. }, Lessor::KeyGate) => PROMPT,
            // No decision is used that is older than freshness; where that is 0, none but this one's own is.
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) if life_ms == 0 => PATIENT,
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) => {
                PATIENT.min(life_ms.saturating_sub(WORTH_WAITING)).max(PROMPT)
            }
        };
        let ((expected, waiting), leases) =
            memory.holder(hash, record.version).map_or_else(Default::default, |holder| {
                let wish = if ask == Ask::Word { (0, 0) } else { holder.asks(lessor, life_ms, asked) };
                (wish, holder.report(lessor, asked))
            });
        let tally = memory.ledger.begin(hash, lessor, asked);
        let unused = match ask {
            Ask::Pass { unused, .. } => unused,
            Ask::Lease | Ask::Word => None,
        };
        Take {
            version: record.version,
            at_hand: matches!(ask, Ask::Pass { .. }),
            // No later than it is waited for.
            within_ms: within_ms.min(patience),
            expected,
            waiting,
            life_ms,
            asker: memory.asker,
            leases,
            unasked: memory.local(hash).map_or(0, |local| local.take_unreported()),
            unused: unused.and_then(|unused| unused.place),
            unused_call: unused.map_or(0, |unused| unused.call),
            refused: tally.refused(),
            call: memory.ledger.call(),
            tally: Some(tally),
            ..Take::default()
        }
    }
}

pub(super) fn dependency<'a>(hash: &'a str, owner: Owner<'a>, lessor: Lessor) -> Dependency<'a> {
    match lessor {
        Lessor::KeyGate => Dependency::KeyGate { hash, owner },
        Lessor::Relay => Dependency::Relay(hash),
    }
}

/// Whose a key is that this isolate may have forgotten.
pub(super) fn owner(record: Option<&Rc<Record>>) -> Owner<'_> {
    record.map_or(Owner::Network(""), |record| Owner::Tenant(&record.tenant.id))
}
