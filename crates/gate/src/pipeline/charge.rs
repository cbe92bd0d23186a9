//! Step 8 of a request's life: every window of the key is charged, from a lease that this isolate holds
//! or by asking; and the chores that keep leases in order, after the answer and never before it.

use std::rc::Rc;

use keyward_policy::{LimitsUnavailable, Realm};

use super::{
    call::{Answered, Ask, Call, dependency, owner},
    candidate::Candidate,
    chore::{Chore, ChoreKind, end_of},
    context::{Pipeline, unavailable},
};
use crate::{denial::Denial, memory::Limited, stores::Stores};
use keyward_core::{record::Record, time::Timestamp, unavailable::Unavailable};
use keyward_limits::{
    lease::{self, Lessor},
    limit::WindowState,
    timing::PATIENT,
    wire::{KeyGateCall, Noted, Taken, Unused},
};

/// What is asked after an answer is waited for so long.
pub(super) const CHORE: u32 = 5_000;

/// What the key's object says to a request.
pub(super) enum Answer {
    /// It may pass.
    Granted { windows: Vec<WindowState>, chore: Option<Chore>, counted_by: CountedBy },
    /// A window is full.
    Limited(Limited),
    /// Decide again on this record, which held at this moment.
    Changed { record: Rc<Record>, asked: Timestamp },
}

/// Who counts as usage that a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedBy {
    /// Nobody yet: the gate tells it later.
    Gate,
    /// The key's object, when this call asked.
    KeyGate { call: u64, place: Option<Timestamp> },
}

impl<S: Stores> Pipeline<'_, S> {
    /// Charges one request: to a lease that this isolate holds, else by asking, unless others have just
    /// asked.
    pub(super) async fn charge(
        &self,
        realm: &Realm,
        candidate: &Candidate,
        freshness_ms: u32,
    ) -> Result<Answer, Denial> {
        let (hash, version) = (&candidate.hash, candidate.record.version);
        let life_ms = lease::life(freshness_ms);
        let came = self.stores.now();
        if let Some(holder) = self.memory.borrow_mut().holder(hash, version) {
            holder.arrives(came);
        }
        let mut has_stood_by = false;
        loop {
            let now = self.stores.now();
            self.memory.borrow_mut().notice(now);
            // A timer may have been late.
            if self.deadline.has_passed(now) {
                return Err(unavailable("KeyGate"));
            }
            if let Some(answer) = self.without_asking(candidate, freshness_ms, life_ms, now) {
                return Ok(answer);
            }
            let has_time = life_ms > 0 && self.deadline.left(now) > lease::LOOK;
            let is_patient = (0..i64::from(PATIENT)).contains(&(now.0 - came.0));
            let stands_by = self.memory.borrow_mut().holder(hash, version).is_some_and(|holder| {
                let stands_by =
                    has_time && if is_patient { holder.has_asked(now) } else { holder.is_busy(now) };
                if stands_by {
                    holder.stands_by(came);
                }
                stands_by
            });
            if !stands_by {
                // All that have waited for the same calls in vain would make one of their own now, for which no time
                // is left.
                if has_stood_by && !has_time {
                    return self.without_limits(realm, candidate, life_ms);
                }
                break;
            }
            has_stood_by = true;
            self.stores.wait(lease::LOOK).await;
            let mut memory = self.memory.borrow_mut();
            if let Some(holder) = memory.holder(hash, version) {
                holder.goes_on(came);
            }
            // The answer that it waited for may have brought another record.
            if let Some((record, asked)) = memory.record(hash).filter(|known| known.0.version > version) {
                return Ok(Answer::Changed { record, asked });
            }
        }
        let answer = self.take(realm, candidate, life_ms).await?;
        if let Answer::Limited(limited) = &answer {
            self.memory.borrow_mut().limit(hash, limited.clone());
        }
        Ok(answer)
    }

    /// What this isolate can say without asking.
    fn without_asking(
        &self,
        candidate: &Candidate,
        freshness_ms: u32,
        life_ms: u32,
        now: Timestamp,
    ) -> Option<Answer> {
        let spent = self.spend(candidate, life_ms, now);
        if spent.is_some() {
            return spent;
        }
        let limited = self.memory.borrow_mut().limited(&candidate.hash, freshness_ms.into(), now)?;
        Some(Answer::Limited(limited))
    }

    /// Lets the request through under a lease, if this isolate holds one.
    fn spend(&self, candidate: &Candidate, life_ms: u32, now: Timestamp) -> Option<Answer> {
        if life_ms == 0 {
            return None;
        }
        let mut memory = self.memory.borrow_mut();
        let spent = memory.holder(&candidate.hash, candidate.record.version)?.spend(life_ms, now)?;
        let chore = spent.renew.then(|| candidate.chore(life_ms, ChoreKind::Renew));
        Some(Answer::Granted { windows: spent.windows, chore, counted_by: CountedBy::Gate })
    }

    /// Asks the key's object for the request at hand, and for a lease where that is likely to save
    /// calls.
    async fn take(&self, realm: &Realm, candidate: &Candidate, life_ms: u32) -> Result<Answer, Denial> {
        let Candidate { hash, record, .. } = candidate;
        let mut unused = None;
        for in_vain in [false, true] {
            let asked = self.stores.now();
            let left = self.deadline.left(asked);
            if left == 0 {
                break;
            }
            let ask = Ask::Pass { in_vain, unused: unused.take() };
            // Where another way is left when the object does not answer, there is to be time for it.
            let patience = if may_be_local(realm, life_ms) { left - left / 4 } else { left };
            let called = self.call(Call { hash, record, ask, life_ms, asked, patience }).await;
            let Answered { taken, lessor, within_ms, asked, is_late, call } = match called {
                Ok(answered) => answered,
                Err((Unavailable, Lessor::Relay)) => continue,
                Err((Unavailable, Lessor::KeyGate)) => return self.without_limits(realm, candidate, life_ms),
            };
            // It is counted as let through by then: later it must not be. Nor where nobody knows how late it is,
            // since the clock was set back meanwhile.
            let in_time = |wait_ms: u32| {
                let latest = i64::from(within_ms) + i64::from(wait_ms);
                (0..=latest).contains(&(self.stores.now().0 - asked.0))
            };
            match taken {
                Taken::Granted { windows, wait_ms, place, lease, .. } => {
                    // A wait that would end too late is not begun.
                    let mut passes = !is_late && in_time(0) && wait_ms <= self.left();
                    if passes && wait_ms > 0 {
                        self.stores.wait(wait_ms).await;
                        // A timer may be late, too.
                        passes = in_time(wait_ms) && !self.deadline.has_passed(self.stores.now());
                    }
                    if !passes {
                        unused = (lessor == Lessor::KeyGate).then_some(Unused { call, place });
                        if let Some(unused) = unused {
                            let now = self.stores.now();
                            self.memory.borrow_mut().ledger.unused(hash, unused, now);
                        }
                        continue;
                    }
                    let chore = lease.map(|lease| candidate.chore(life_ms, end_of(lessor, lease)));
                    let counted_by = match lessor {
                        Lessor::KeyGate => CountedBy::KeyGate { call, place },
                        Lessor::Relay => CountedBy::Gate,
                    };
                    return Ok(Answer::Granted { windows, chore, counted_by });
                }
                Taken::Limited { windows, retry_after_ms, .. } => {
                    // The answer to another request may have brought a lease meanwhile.
                    if let Some(granted) = self.spend(candidate, life_ms, self.stores.now()) {
                        return Ok(granted);
                    }
                    let held_ms = match lessor {
                        Lessor::KeyGate => retry_after_ms.max(lease::FULL_AT_KEY_GATE),
                        Lessor::Relay => lease::FULL_AT_RELAY,
                    };
                    return Ok(Answer::Limited(Limited { asked, windows, retry_after_ms, held_ms }));
                }
                Taken::Changed { record } => {
                    let asked = asked.plus(-oldest_word(lessor, life_ms));
                    return Ok(Answer::Changed { record: Rc::new(record), asked });
                }
                // It asks for all that ask it. If each asked by itself now, the object would answer nobody.
                Taken::Unreached { .. } => return self.without_limits(realm, candidate, life_ms),
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
    ) -> Result<Option<(Rc<Record>, Timestamp)>, Denial> {
        for _ in 0..2 {
            let asked = self.stores.now();
            let Candidate { hash, record, .. } = candidate;
            let patience = self.deadline.left(asked);
            match self.call(Call { hash, record, ask: Ask::Word, life_ms, asked, patience }).await {
                Ok(Answered { taken: Taken::Changed { record }, lessor, asked, .. }) => {
                    return Ok(Some((Rc::new(record), asked.plus(-oldest_word(lessor, life_ms)))));
                }
                Ok(Answered { taken: Taken::Unknown | Taken::Unreached { .. }, .. }) => break,
                Ok(Answered { taken: Taken::Granted { .. } | Taken::Limited { .. }, .. }) => return Ok(None),
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
        let may_pass = may_be_local(realm, life_ms) && {
            memory.keep(hash, record);
            memory.local(hash).is_some_and(|local| local.admit(record.limits, self.stores.now()))
        };
        if may_pass {
            Ok(Answer::Granted { windows: Vec::new(), chore: None, counted_by: CountedBy::Gate })
        } else {
            Err(unavailable("KeyGate"))
        }
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
        let call = Call { hash, record: &record, ask: Ask::Lease, life_ms: *life_ms, asked, patience: CHORE };
        let Answered { taken, lessor, .. } = self.call(call).await.ok()?;
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
            memory.holder_of_any(&chore.hash).and_then(|holder| holder.end(lessor, lease, now))
        };
        let Some(report) = report else { return };
        let record = self.memory.borrow().peek(&chore.hash);
        let of = dependency(&chore.hash, owner(record.as_ref()), lessor);
        let Ok(asking) = self.begin(of, CHORE) else { return };
        let tally = self.memory.borrow_mut().ledger.begin(&chore.hash, lessor, now);
        let (refused, leases) = (tally.refused(), vec![report]);
        let call = KeyGateCall::Report { refused, leases, tally: Some(tally.clone()) };
        let hash = &chore.hash;
        let heard = self.stores.key_gate::<Noted>(hash, lessor, &call, CHORE).await;
        self.end_of(asking, &heard);
        let heard = heard.is_ok();
        let mut memory = self.memory.borrow_mut();
        memory.ledger.end(hash, &tally, heard, self.stores.now());
        if heard && let Some(holder) = memory.holder_of_any(hash) {
            holder.reported(lessor, &[report]);
        }
    }
}

/// Whether requests may pass while the key's object does not answer. Where decisions are strict only the object's own
/// word lets one through.
fn may_be_local(realm: &Realm, life_ms: u32) -> bool {
    realm.limits_unavailable == LimitsUnavailable::AllowLocal && life_ms > 0
}

/// How old the word may be that an answer stands on.
fn oldest_word(lessor: Lessor, life_ms: u32) -> i64 {
    match lessor {
        Lessor::KeyGate => 0,
        Lessor::Relay => i64::from(life_ms / 2),
    }
}
