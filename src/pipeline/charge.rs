//! Step 8 of a request's life: every window of the key is charged, from a lease that this isolate holds
//! or by asking; and the chores that keep leases in order, after the answer and never before it.

use std::rc::Rc;

use keyward_policy::{LimitsUnavailable, Realm};

use super::{Candidate, Pipeline, Stores, Unavailable, unavailable};
use crate::{
    denial::Denial,
    lease::{self, Lessor},
    memory::Limited,
    record::Record,
    time::Timestamp,
    wire::{KeyGateCall, Lease, Take, Taken, WindowState},
};

/// What keeps a lease in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chore {
    hash: String,
    version: u64,
    life_ms: u32,
    kind: ChoreKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChoreKind {
    /// Ask for more ahead of need.
    Renew,
    /// Report this lease shortly before it ends, so that what is unused is free again.
    End { lessor: Lessor, lease: u64, after_ms: u32 },
}

/// What the key's object says to a request.
pub(super) enum Answer {
    /// It may pass.
    Granted { windows: Vec<WindowState>, chore: Option<Chore> },
    /// A window is full.
    Limited(Limited),
    /// Decide again on this record, which held at this moment.
    Changed { record: Record, asked: Timestamp },
}

/// What an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// To let the request at hand pass, which may have waited for an answer in vain before: if it came
    /// too late, instead of the place that it gave.
    Pass { in_vain: bool, unused: Option<Timestamp> },
    /// Only for a lease.
    Lease,
    /// Only whether the record still holds.
    Word,
}

/// An answer and what it answers.
struct Answered {
    taken: Taken,
    lessor: Lessor,
    within_ms: u32,
}

impl<S: Stores> Pipeline<'_, S> {
    /// Lets the request through under a lease, if this isolate holds one.
    pub(super) fn spend(
        &self,
        candidate: &Candidate,
        life_ms: u32,
        now: Timestamp,
    ) -> Option<(Vec<WindowState>, Option<Chore>)> {
        self.memory.borrow_mut().holder(&candidate.hash, candidate.record.version)?.arrives(now);
        self.spend_lease(candidate, life_ms, now)
    }

    fn spend_lease(
        &self,
        candidate: &Candidate,
        life_ms: u32,
        now: Timestamp,
    ) -> Option<(Vec<WindowState>, Option<Chore>)> {
        let mut memory = self.memory.borrow_mut();
        let holder = memory.holder(&candidate.hash, candidate.record.version)?;
        let spent = if life_ms == 0 { None } else { holder.spend(now) }?;
        Some((spent.windows, spent.renew.then(|| Chore::of(candidate, life_ms, ChoreKind::Renew))))
    }

    /// Asks the key's object for the request at hand, and for a lease where that is likely to save
    /// calls.
    pub(super) async fn take(
        &self,
        realm: &Realm,
        candidate: &Candidate,
        life_ms: u32,
    ) -> Result<Answer, Denial> {
        let mut unused = None;
        for in_vain in [false, true] {
            let asked = self.stores.now();
            let ask = Ask::Pass { in_vain, unused };
            let answer = self.call(&candidate.hash, &candidate.record, ask, life_ms, asked).await;
            let Answered { taken, lessor, within_ms } = match answer {
                Ok(answered) => answered,
                // The KeyGate itself is asked next.
                Err((Unavailable, Lessor::Relay)) => continue,
                Err((Unavailable, Lessor::KeyGate)) => return self.without_limits(realm, candidate, life_ms),
            };
            match taken {
                // It is counted as let through by then: later it must not be.
                Taken::Granted { place, .. } if self.stores.now().0 - asked.0 > i64::from(within_ms) => {
                    unused = place;
                }
                Taken::Granted { windows, wait_ms, lease, .. } => {
                    if wait_ms > 0 {
                        self.stores.wait(wait_ms).await;
                    }
                    let chore = lease.map(|lease| Chore::of(candidate, life_ms, end_of(lessor, lease)));
                    return Ok(Answer::Granted { windows, chore });
                }
                Taken::Limited { windows, retry_after_ms, via } => {
                    // The answer to another request may have brought a lease meanwhile.
                    if let Some((windows, chore)) = self.spend_lease(candidate, life_ms, self.stores.now()) {
                        return Ok(Answer::Granted { windows, chore });
                    }
                    let asked = asked.plus(-i64::from(via.age_ms));
                    return Ok(Answer::Limited(Limited { asked, windows, retry_after_ms }));
                }
                Taken::Changed { record } => return Ok(Answer::Changed { record, asked }),
                Taken::Unknown => break,
            }
        }
        Err(unavailable("KeyGate"))
    }

    /// The record that holds instead of the candidate's, and when its object said so; `None` if the
    /// candidate's still does.
    pub(super) async fn newer(
        &self,
        candidate: &Candidate,
        life_ms: u32,
    ) -> Result<Option<(Record, Timestamp)>, Denial> {
        for _ in 0..2 {
            let asked = self.stores.now();
            match self.call(&candidate.hash, &candidate.record, Ask::Word, life_ms, asked).await {
                Ok(Answered { taken: Taken::Changed { record }, .. }) => return Ok(Some((record, asked))),
                Ok(Answered { taken: Taken::Unknown, .. }) => break,
                Ok(_) => return Ok(None),
                Err((Unavailable, Lessor::Relay)) => {}
                Err((Unavailable, Lessor::KeyGate)) => break,
            }
        }
        Err(unavailable("KeyGate"))
    }

    /// The key's object cannot be asked.
    fn without_limits(&self, realm: &Realm, candidate: &Candidate, life_ms: u32) -> Result<Answer, Denial> {
        let Candidate { hash, record, .. } = candidate;
        let mut memory = self.memory.borrow_mut();
        let may_pass = match realm.limits_unavailable {
            LimitsUnavailable::Refuse => false,
            // Strict: only the KeyGate's own word lets a request through.
            LimitsUnavailable::AllowLocal if life_ms == 0 => false,
            LimitsUnavailable::AllowLocal => {
                memory.keep(hash, record);
                memory.local(hash).is_some_and(|local| local.admit(record.limits, self.stores.now()))
            }
        };
        if may_pass {
            Ok(Answer::Granted { windows: Vec::new(), chore: None })
        } else {
            Err(unavailable("KeyGate"))
        }
    }

    /// Sends what is asked for together with what there is to tell, and notes the answer.
    async fn call(
        &self,
        hash: &str,
        record: &Rc<Record>,
        ask: Ask,
        life_ms: u32,
        asked: Timestamp,
    ) -> Result<Answered, (Unavailable, Lessor)> {
        let (lessor, take) = self.prepare(hash, record.version, ask, life_ms, asked);
        let call = KeyGateCall::Take(take.clone());
        let answer = self.stores.key_gate::<Taken>(hash, lessor, &call).await;
        let mut memory = self.memory.borrow_mut();
        let Ok(mut taken) = answer else {
            if let Some(local) = memory.local(hash) {
                local.put_back(take.unasked);
            }
            memory.set_lessor(hash, Lessor::KeyGate);
            return Err((Unavailable, lessor));
        };
        if let Taken::Granted { via, .. } | Taken::Limited { via, .. } = &taken {
            memory.confirm(hash, record, asked.plus(-i64::from(via.age_ms)));
            memory.set_lessor(hash, if via.relay { Lessor::Relay } else { Lessor::KeyGate });
            if let Some(local) = memory.local(hash) {
                local.ends();
            }
        }
        if let Some(holder) = memory.holder(hash, record.version) {
            holder.reported(lessor, &take.leases);
            if let Taken::Granted { windows, lease, .. } = &mut taken {
                holder.told(windows, asked);
                if let Some(lease) = lease {
                    holder.granted(lessor, *lease, asked);
                }
                *windows = holder.windows(asked);
            }
        }
        Ok(Answered { taken, lessor, within_ms: take.within_ms })
    }

    /// Whom to ask, and the whole of what to say.
    fn prepare(&self, hash: &str, version: u64, ask: Ask, life_ms: u32, asked: Timestamp) -> (Lessor, Take) {
        let mut memory = self.memory.borrow_mut();
        // Only the KeyGate's own word is new enough where freshness is 0.
        let lessor = if life_ms == 0 { Lessor::KeyGate } else { memory.lessor(hash) };
        let within_ms = match (ask, lessor) {
            (Ask::Lease | Ask::Word, _) => 0,
            (Ask::Pass { .. }, Lessor::Relay) => lease::CROWDED,
            (Ask::Pass { in_vain: false, .. }, Lessor::KeyGate) => lease::PROMPT,
            // No decision is used that is older than freshness; where that is 0, none but this one's own is.
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) if life_ms == 0 => lease::PATIENT,
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) => {
                lease::PATIENT.min(life_ms).max(lease::PROMPT)
            }
        };
        let (expected, leases) = memory.holder(hash, version).map_or((0, Vec::new()), |holder| {
            let expected = if ask == Ask::Word { 0 } else { holder.expect(lessor, life_ms, asked) };
            (expected, holder.report(lessor, asked))
        });
        let take = Take {
            version,
            at_hand: matches!(ask, Ask::Pass { .. }),
            within_ms,
            expected,
            life_ms,
            asker: memory.asker,
            leases,
            unasked: memory.local(hash).map_or(0, |local| local.take_unreported()),
            unused: match ask {
                Ask::Pass { unused, .. } => unused,
                Ask::Lease | Ask::Word => None,
            },
            refused: memory.take_refused(hash, asked),
            ..Take::default()
        };
        (lessor, take)
    }

    /// Does what is to be done after an answer. Says what is to be done next.
    pub async fn do_chore(&self, chore: Chore) -> Option<Chore> {
        match chore.kind {
            ChoreKind::Renew => self.renew(chore).await,
            ChoreKind::End { lessor, lease, after_ms } => {
                self.stores.wait(after_ms).await;
                self.end(&chore, lessor, lease).await;
                None
            }
        }
    }

    async fn renew(&self, chore: Chore) -> Option<Chore> {
        let Chore { hash, version, life_ms, .. } = &chore;
        let known = self.memory.borrow_mut().record(hash);
        let (record, _) = known.filter(|(record, _)| record.version == *version)?;
        let asked = self.stores.now();
        let Answered { taken, lessor, .. } =
            self.call(hash, &record, Ask::Lease, *life_ms, asked).await.ok()?;
        match taken {
            Taken::Granted { lease: Some(lease), .. } => Some(Chore { kind: end_of(lessor, lease), ..chore }),
            Taken::Changed { record } => {
                self.memory.borrow_mut().confirm(hash, &Rc::new(record), asked);
                None
            }
            _ => None,
        }
    }

    async fn end(&self, chore: &Chore, lessor: Lessor, lease: u64) {
        let now = self.stores.now();
        let report = {
            let mut memory = self.memory.borrow_mut();
            memory.holder(&chore.hash, chore.version).and_then(|holder| holder.end(lessor, lease, now))
        };
        let Some(report) = report else { return };
        let refused = self.memory.borrow_mut().take_refused(&chore.hash, now);
        let call = KeyGateCall::Report { refused, leases: vec![report] };
        if self.stores.key_gate::<serde_json::Value>(&chore.hash, lessor, &call).await.is_ok() {
            let mut memory = self.memory.borrow_mut();
            if let Some(holder) = memory.holder(&chore.hash, chore.version) {
                holder.reported(lessor, &[report]);
            }
        }
    }
}

impl Chore {
    fn of(candidate: &Candidate, life_ms: u32, kind: ChoreKind) -> Self {
        Self { hash: candidate.hash.clone(), version: candidate.record.version, life_ms, kind }
    }
}

/// Shortly before the lease ends, and not so early that little of it is left to use.
fn end_of(lessor: Lessor, lease: Lease) -> ChoreKind {
    let after_ms = lease.life_ms - (lease.life_ms / 10).min(lease::PROMPT);
    ChoreKind::End { lessor, lease: lease.id, after_ms }
}
