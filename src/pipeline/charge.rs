//! Step 8 of a request's life: every window of the key is charged, from a lease that this isolate holds
//! or by asking; and the chores that keep leases in order, after the answer and never before it.

use std::rc::Rc;

use keyward_policy::{LimitsUnavailable, Realm};

use super::{Candidate, Pipeline, Stores, Unavailable, unavailable};
use crate::{
    denial::Denial,
    key_gate::WORTH_WAITING,
    lease::{self, Lessor},
    memory::Limited,
    record::Record,
    time::Timestamp,
    wire::{KeyGateCall, Lease, Take, Taken, Unused, WindowState},
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

/// What an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// To let the request at hand pass, which may have waited for an answer in vain before: if one came
    /// too late, instead of the place that it gave. The KeyGate itself is asked then.
    Pass { in_vain: bool, unused: Option<Unused> },
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
    call: u64,
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
        loop {
            let now = self.stores.now();
            if let Some(answer) = self.without_asking(candidate, freshness_ms, life_ms, now) {
                return Ok(answer);
            }
            let has_time = life_ms > 0 && (0..i64::from(lease::PATIENT)).contains(&(now.0 - came.0));
            let stands_by = self.memory.borrow_mut().holder(hash, version).is_some_and(|holder| {
                let stands_by = has_time && holder.has_asked(now);
                if stands_by {
                    holder.stands_by(came);
                }
                stands_by
            });
            if !stands_by {
                break;
            }
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
        let chore = spent.renew.then(|| Chore::of(candidate, life_ms, ChoreKind::Renew));
        Some(Answer::Granted { windows: spent.windows, chore, counted_by: CountedBy::Gate })
    }

    /// Asks the key's object for the request at hand, and for a lease where that is likely to save
    /// calls.
    async fn take(&self, realm: &Realm, candidate: &Candidate, life_ms: u32) -> Result<Answer, Denial> {
        let mut unused = None;
        for in_vain in [false, true] {
            let asked = self.stores.now();
            let ask = Ask::Pass { in_vain, unused };
            let answer = self.call(&candidate.hash, &candidate.record, ask, life_ms, asked).await;
            let Answered { taken, lessor, within_ms, call } = match answer {
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
                    let mut passes = in_time(0);
                    if passes && wait_ms > 0 {
                        self.stores.wait(wait_ms).await;
                        // A timer may be late, too.
                        passes = in_time(wait_ms);
                    }
                    if !passes {
                        unused = (lessor == Lessor::KeyGate).then_some(Unused { call, place });
                        if let Some(unused) = unused {
                            let now = self.stores.now();
                            self.memory.borrow_mut().ledger.unused(&candidate.hash, unused, now);
                        }
                        continue;
                    }
                    let chore = lease.map(|lease| Chore::of(candidate, life_ms, end_of(lessor, lease)));
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
            match self.call(&candidate.hash, &candidate.record, Ask::Word, life_ms, asked).await {
                Ok(Answered { taken: Taken::Changed { record }, lessor, .. }) => {
                    return Ok(Some((Rc::new(record), asked.plus(-oldest_word(lessor, life_ms)))));
                }
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
            Ok(Answer::Granted { windows: Vec::new(), chore: None, counted_by: CountedBy::Gate })
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
        let now = self.stores.now();
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
            holder.answered(asked, &take, matches!(answer, Ok(Taken::Limited { .. })));
        }
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
            if let Taken::Granted { windows, lease, via, .. } = &mut taken {
                holder.told(windows, asked);
                if let Some(lease) = lease {
                    holder.granted(lessor, *lease, via.age_ms, asked);
                }
                *windows = holder.windows(asked);
            }
        }
        Ok(Answered { taken, lessor, within_ms: take.within_ms, call: take.call })
    }

    /// Whom to ask, and the whole of what to say.
    fn prepare(&self, hash: &str, version: u64, ask: Ask, life_ms: u32, asked: Timestamp) -> (Lessor, Take) {
        let mut memory = self.memory.borrow_mut();
        let lessor = match ask {
            Ask::Pass { in_vain: true, .. } => Lessor::KeyGate,
            // Nobody else's word is new enough.
            _ if life_ms < 2 * lease::CROWDED => Lessor::KeyGate,
            _ => memory.lessor(hash),
        };
        let within_ms = match (ask, lessor) {
            (Ask::Lease | Ask::Word, _) => 0,
            (Ask::Pass { .. }, Lessor::Relay) => lease::CROWDED,
            (Ask::Pass { in_vain: false, .. }, Lessor::KeyGate) => lease::PROMPT,
            // No decision is used that is older than freshness; where that is 0, none but this one's own is.
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) if life_ms == 0 => lease::PATIENT,
            (Ask::Pass { in_vain: true, .. }, Lessor::KeyGate) => {
                lease::PATIENT.min(life_ms.saturating_sub(WORTH_WAITING)).max(lease::PROMPT)
            }
        };
        let ((expected, waiting), leases) =
            memory.holder(hash, version).map_or_else(Default::default, |holder| {
                let wish = if ask == Ask::Word { (0, 0) } else { holder.asks(lessor, life_ms, asked) };
                (wish, holder.report(lessor, asked))
            });
        let tally = memory.ledger.begin(hash, lessor, asked);
        let unused = match ask {
            Ask::Pass { unused, .. } => unused,
            Ask::Lease | Ask::Word => None,
        };
        let take = Take {
            version,
            at_hand: matches!(ask, Ask::Pass { .. }),
            within_ms,
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
            memory.holder_of_any(&chore.hash).and_then(|holder| holder.end(lessor, lease, now))
        };
        let Some(report) = report else { return };
        let tally = self.memory.borrow_mut().ledger.begin(&chore.hash, lessor, now);
        let (refused, leases) = (tally.refused(), vec![report]);
        let call = KeyGateCall::Report { refused, leases, tally: Some(tally.clone()) };
        let heard = self.stores.key_gate::<serde_json::Value>(&chore.hash, lessor, &call).await.is_ok();
        let mut memory = self.memory.borrow_mut();
        memory.ledger.end(&chore.hash, &tally, heard, self.stores.now());
        if heard && let Some(holder) = memory.holder_of_any(&chore.hash) {
            holder.reported(lessor, &[report]);
        }
    }
}

impl Chore {
    fn of(candidate: &Candidate, life_ms: u32, kind: ChoreKind) -> Self {
        Self { hash: candidate.hash.clone(), version: candidate.record.version, life_ms, kind }
    }
}

/// How old the word may be that an answer stands on.
fn oldest_word(lessor: Lessor, life_ms: u32) -> i64 {
    match lessor {
        Lessor::KeyGate => 0,
        Lessor::Relay => i64::from(life_ms / 2),
    }
}

/// Shortly before the lease ends, and not so early that little of it is left to use.
fn end_of(lessor: Lessor, lease: Lease) -> ChoreKind {
    let after_ms = lease.life_ms - (lease.life_ms / 10).min(lease::PROMPT);
    ChoreKind::End { lessor, lease: lease.id, after_ms }
}
