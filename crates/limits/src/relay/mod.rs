//! A relay: an object between a key's KeyGate and the isolates that use the key, for the time in which
//! so many of them do that one object could not answer them all. It holds leases as an isolate does and
//! grants leases as a KeyGate does, each no longer than the one that it is cut from, so that what
//! `docs/limits.md` proves holds through it unchanged. It stores nothing: what it forgets counts as used. What
//! isolates tell it of usage it passes on in tallies of its own.

mod desk;

pub use self::desk::{Desk, Upstream};
use crate::{
    key_gate::Askers,
    lease::Lessor,
    limit::{RATE_LIMITED, WindowState},
    tally::Untold,
    tellers::Tellers,
    timing::{PROMPT, TRAVEL},
    wire::{KeyGateCall, Lease, LeaseReport, RefusalCounts, Take, Taken, Tally, Via},
};
use keyward_core::{
    record::Record,
    time::{SECOND, Timestamp},
};

/// So many relays share a key; each isolate picks one.
pub const RELAYS: u32 = 64;
/// So long before a lease ends, what is left of it is given back: longer than the gap between two calls.
const RETURN: i64 = SECOND;
/// How long it is believed, at most, that a window is full …
const LIMITED: i64 = SECOND;
/// … and where nobody said until when.
const FULL: i64 = SECOND / 5;
/// Of all that isolates wish for, so many parts of a hundred are asked for at a time: before the next time,
/// not all of them will come back. They have some in reserve.
const TURN: u64 = 75;

/// What one relay knows of one key.
#[derive(Debug, Default)]
pub struct Relay {
    /// Tells relays, and the lives of one in memory, apart: a random number.
    id: u32,
    /// The latest moment seen.
    latest: Timestamp,
    /// By how much the clock was set back all in all.
    set_back: i64,
    /// The version that the KeyGate has confirmed last; when it was asked; what it said.
    version: u64,
    confirmed: Timestamp,
    record: Option<Record>,
    windows: Vec<WindowState>,
    /// Whether isolates are still to ask relays.
    is_needed: bool,
    /// A window was full when the KeyGate was last asked; until when this is believed.
    full_until: Option<Timestamp>,
    /// When it said that a request fits again.
    opens: Timestamp,
    pools: Vec<Pool>,
    parts: Vec<Part>,
    last_part: u64,
    askers: Askers,
    life_ms: u32,
    /// What the KeyGate is still to be told.
    unasked: u32,
    untold: Untold,
    /// Its name as a teller, and the number of its last tally.
    teller: u64,
    tallies: u64,
    tellers: Tellers,
    /// Somebody sees to it that this is told.
    tells: bool,
}

/// A lease that this relay holds.
#[derive(Debug)]
struct Pool {
    lease: Lease,
    begins: Timestamp,
    ends: Timestamp,
    left: u32,
    used: u32,
    last_use: Timestamp,
    /// Single requests that were allowed, each with the latest moment at which it is let through.
    singles: Vec<Timestamp>,
    renewed: bool,
    returned: bool,
    /// Somebody waits for the moment at which it is to be given back.
    watched: bool,
}

/// A lease that was cut from a pool.
#[derive(Debug)]
struct Part {
    id: u64,
    pool: u64,
    used: u32,
    open: u32,
}

impl Relay {
    /// A relay that knows nothing yet.
    pub fn new(random: u64) -> Self {
        let id = (random >> 32) as u32;
        // An isolate may still hold what an earlier life of this relay has granted.
        Self { id, teller: random, last_part: u64::from(id) << 20, ..Self::default() }
    }

    /// Where the clock was set back, every lease would last longer. By a little, they end earlier by as much; by more,
    /// they are forgotten with all that goes with them, and so count as used. By how much it was set back so far.
    pub fn notice(&mut self, now: Timestamp) -> i64 {
        let back = self.latest.0 - now.0;
        if back > i64::from(TRAVEL) {
            let Self { id, set_back, last_part, unasked, teller, tallies, tells, .. } = *self;
            let (untold, tellers) = (std::mem::take(&mut self.untold), std::mem::take(&mut self.tellers));
            *self = Self {
                id,
                set_back,
                last_part,
                unasked,
                untold,
                teller,
                tallies,
                tellers,
                tells,
                ..Self::default()
            };
            self.tellers.shift(-back);
        } else if back > 0 {
            self.shift(-back);
        }
        self.latest = now;
        self.set_back = self.set_back.saturating_add(back.max(0));
        self.set_back
    }

    fn shift(&mut self, by: i64) {
        let Self { confirmed, full_until, opens, tellers, .. } = self;
        for pool in &mut self.pools {
            let Pool { begins, ends, last_use, singles, .. } = pool;
            for moment in [begins, ends, last_use].into_iter().chain(singles) {
                *moment = moment.plus(by);
            }
        }
        for moment in [confirmed, opens].into_iter().chain(full_until) {
            *moment = moment.plus(by);
        }
        tellers.shift(by);
    }

    /// Takes in what a call has to tell. Once for each call, before [`Relay::answer`].
    pub fn hear(&mut self, take: &Take, now: Timestamp) {
        self.note(&take.refused, &take.leases, take.tally.as_ref(), now);
        self.tidy(now);
        self.unasked = self.unasked.saturating_add(take.unasked);
        self.life_ms = self.life_ms.max(take.life_ms);
        self.askers.note(take, now);
        if take.tally.is_none() {
            self.untold.accept(take.unasked.into(), now, now);
        }
    }

    /// Takes in what was counted, and what became of leases. Of an older build usage is counted here.
    pub fn note(
        &mut self,
        refused: &RefusalCounts,
        leases: &[LeaseReport],
        tally: Option<&Tally>,
        now: Timestamp,
    ) {
        // Set ahead, it would forget too soon who has told what.
        if now >= self.latest {
            self.tellers.follow(tally, self.latest, now);
        }
        self.notice(now);
        match tally {
            None => self.untold.refuse(refused, now, now),
            Some(tally) if self.tellers.hear(tally, now) => self.untold.pass_on(tally, now),
            Some(_) => {}
        }
        for report in leases {
            let Some(part) = self.parts.iter_mut().find(|part| part.id == report.id) else { continue };
            let used = report.used.saturating_sub(part.used).min(part.open);
            let open = (part.open - used).min(report.open);
            let back = part.open - used - open;
            part.used += used;
            part.open = open;
            if let Some(pool) = self.pools.iter_mut().find(|pool| pool.lease.id == part.pool) {
                pool.left += back;
                if used > 0 {
                    let at = now.plus(-i64::from(report.age_ms));
                    pool.use_up(used, at);
                    if tally.is_none() {
                        self.untold.accept(used.into(), at, now);
                    }
                }
            }
        }
        self.parts.retain(|part| part.open > 0);
    }

    /// The answer, as far as this relay can give it; `None` if the KeyGate has to be asked before.
    pub fn answer(&mut self, take: &Take, now: Timestamp) -> Option<Taken> {
        self.tidy(now);
        // Half of what an isolate may believe is left for the isolate. Nothing is believed that is of the future.
        if self.confirmed > now || (now.0 - self.confirmed.0) * 2 >= i64::from(take.life_ms) {
            return None;
        }
        if take.version != self.version {
            let record = self.record.clone().filter(|record| record.version > take.version);
            return record.map(|record| Taken::Changed { record });
        }
        let within_ms = i64::from(take.within_ms);
        // A lease is cut only where it lasts for some time.
        let needed = if take.at_hand { within_ms } else { RETURN + i64::from(PROMPT) };
        let usable = |pool: &&mut Pool| pool.left > 0 && pool.ends.0 - now.0 > needed;
        let via = Via { relay: self.is_needed, age_ms: age(self.confirmed, now) };
        if !take.at_hand && take.expected == 0 {
            return Some(Taken::Granted {
                windows: self.windows(now),
                wait_ms: 0,
                place: None,
                lease: None,
                via,
            });
        }
        let Some(pool) = self.pools.iter_mut().rev().find(usable) else {
            self.full_until.filter(|until| now < *until)?;
            let retry_after_ms = u64::try_from(self.opens.0 - now.0).unwrap_or_default().max(1);
            if take.at_hand && take.tally.is_none() {
                self.untold.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now, now);
            }
            return Some(Taken::Limited { windows: self.windows(now), retry_after_ms, via });
        };
        if take.at_hand {
            pool.left -= 1;
            pool.singles.push(now.plus(within_ms));
            if take.tally.is_none() {
                self.untold.accept(1, now, now);
            }
        }
        // What is given back of it is known here before it ends itself.
        let life = (pool.ends.0 - now.0 - RETURN).min(take.life_ms.into());
        let share = self.askers.share(take, pool.left, now);
        let requests = take.expected.min(share).max(take.waiting.min(pool.left));
        let mut lease = None;
        if requests > 0 && life > i64::from(PROMPT) {
            pool.left -= requests;
            self.last_part += 1;
            self.parts.push(Part { id: self.last_part, pool: pool.lease.id, used: 0, open: requests });
            let life_ms = u32::try_from(life).unwrap_or_default();
            lease = Some(Lease { id: self.last_part, requests, life_ms });
        }
        Some(Taken::Granted { windows: self.windows(now), wait_ms: 0, place: None, lease, via })
    }

    /// Whether to ask the KeyGate for more now, ahead of need, or to give back what is left.
    pub fn is_short(&self, now: Timestamp) -> bool {
        if self.pools.iter().any(|pool| !pool.returned && pool.is_ending(now)) {
            return true;
        }
        self.pools.last().is_some_and(|newest| {
            let few = newest.left <= newest.lease.requests / 4;
            // What is cut from it gets shorter as it ages.
            let old = (now.0 - newest.begins.0) * 2 >= newest.ends.0 - newest.begins.0;
            (few || old) && !newest.renewed
        })
    }

    /// Milliseconds until what is left of a lease is to be given back; says so once for each.
    pub fn returns_in(&mut self, now: Timestamp) -> Option<u32> {
        let pool = self.pools.iter_mut().find(|pool| !pool.watched)?;
        pool.watched = true;
        Some(age(now, pool.ends.plus(-RETURN)))
    }

    /// What to ask the KeyGate, on behalf of requests that were decided on this version and of so many
    /// that wait.
    pub fn ask(&mut self, version: u64, waiting: u32, now: Timestamp) -> Take {
        self.tidy(now);
        for pool in self.pools.iter_mut().filter(|pool| pool.is_ending(now)) {
            pool.returned = true;
            pool.left = 0;
        }
        if let Some(newest) = self.pools.last_mut() {
            newest.renewed = true;
        }
        let parts = &self.parts;
        let report = |pool: &Pool| {
            let given: u32 =
                parts.iter().filter(|part| part.pool == pool.lease.id).map(|part| part.open).sum();
            let singles = u32::try_from(pool.singles.len()).unwrap_or(u32::MAX);
            let open = pool.left.saturating_add(given).saturating_add(singles);
            LeaseReport { id: pool.lease.id, used: pool.used, age_ms: age(pool.last_use, now), open }
        };
        let leases = self.pools.iter().map(report).collect();
        let tally = self.untold.begin(self.teller, &mut self.tallies, Lessor::KeyGate, now);
        let expected = u64::from(self.askers.wished(now)) * TURN / 100;
        Take {
            version,
            at_hand: false,
            within_ms: 0,
            expected: u32::try_from(expected).unwrap_or(u32::MAX),
            waiting,
            life_ms: self.life_ms,
            asker: self.id,
            leases,
            unasked: std::mem::take(&mut self.unasked),
            isolates: self.askers.isolates(now),
            refused: tally.refused(),
            tally: Some(tally),
            ..Take::default()
        }
    }

    /// Whether somebody is to see to it from now on that what was counted is told.
    pub fn begins_to_tell(&mut self) -> bool {
        let begins = !self.tells && !self.untold.is_empty();
        self.tells |= begins;
        begins
    }

    /// Milliseconds until something is to be told; `None` if nothing is left.
    pub fn tells_in(&mut self, now: Timestamp) -> Option<i64> {
        self.tells = !self.untold.is_empty();
        self.untold.due_in(now).filter(|_| self.tells)
    }

    /// Nobody sees to it any more.
    pub fn gives_up_telling(&mut self) {
        self.tells = false;
    }

    /// What to tell the KeyGate now; `None` if another call has it with it.
    pub fn tell(&mut self, now: Timestamp) -> Option<(Tally, KeyGateCall)> {
        let tally = self.untold.begin(self.teller, &mut self.tallies, Lessor::KeyGate, now);
        let call =
            KeyGateCall::Report { refused: tally.refused(), leases: Vec::new(), tally: Some(tally.clone()) };
        (!tally.is_empty()).then_some((tally, call))
    }

    /// It was heard, or nobody knows.
    pub fn told(&mut self, tally: &Tally, heard: bool, now: Timestamp) {
        self.untold.end(tally.number, heard, now);
    }

    /// What the KeyGate, asked at this moment by the clock as it is set now, has answered; `None` if nothing came.
    pub fn answered(&mut self, take: &Take, taken: Option<&Taken>, asked: Timestamp, now: Timestamp) {
        if let Some(tally) = &take.tally {
            self.told(tally, taken.is_some(), now);
        }
        let Some(taken) = taken else {
            self.unasked = self.unasked.saturating_add(take.unasked);
            // What it said last holds a little longer, so that not all of them ask it by themselves: for as long as it
            // is true.
            self.full_until = self.full_until.map(|_| now.plus(LIMITED).min(self.opens));
            return;
        };
        match taken {
            Taken::Granted { windows, lease, via, .. } => {
                self.confirm(take.version, asked);
                self.windows.clone_from(windows);
                self.is_needed = via.relay;
                // Less than those that wait need: the rest of them is over the limit.
                let is_full = lease.is_some_and(|lease| lease.requests < take.waiting);
                self.full_until = is_full.then(|| now.plus(FULL));
                self.opens = now.plus(FULL);
                if let Some(lease) = *lease {
                    // What is left of the older ones goes back with the next call: the new one is as
                    // large as all that is likely to be needed.
                    for pool in &mut self.pools {
                        pool.left = 0;
                    }
                    self.pools.push(Pool {
                        lease,
                        begins: asked,
                        ends: asked.plus(lease.life_ms.into()),
                        left: lease.requests,
                        used: 0,
                        last_use: asked,
                        singles: Vec::new(),
                        renewed: false,
                        returned: false,
                        watched: false,
                    });
                }
            }
            Taken::Limited { windows, retry_after_ms, via } => {
                self.confirm(take.version, asked);
                self.windows.clone_from(windows);
                self.is_needed = via.relay;
                let retry = i64::try_from(*retry_after_ms).unwrap_or(i64::MAX);
                // From now on, so that it is the answer for everybody who waits for one.
                self.full_until = Some(now.plus(retry.min(LIMITED)));
                self.opens = now.plus(retry);
            }
            Taken::Changed { record } => {
                self.confirm(record.version, asked);
                self.record = Some(record.clone());
            }
            Taken::Unknown | Taken::Unreached { .. } => {}
        }
    }

    /// The KeyGate, asked at this moment, holds this version.
    fn confirm(&mut self, version: u64, asked: Timestamp) {
        if version > self.version {
            // What an older version allowed, this one may not.
            for pool in &mut self.pools {
                pool.left = 0;
            }
            self.version = version;
            self.record = None;
            self.full_until = None;
        }
        self.confirmed = self.confirmed.max(asked);
    }

    /// Ends the leases that have ended, with everything that was cut from them; counts the single
    /// requests that were let through by now.
    fn tidy(&mut self, now: Timestamp) {
        self.notice(now);
        let parts = &mut self.parts;
        for ended in self.pools.extract_if(.., |pool| pool.ends <= now) {
            parts.retain(|part| part.pool != ended.lease.id);
        }
        for pool in &mut self.pools {
            for at in pool.singles.extract_if(.., |at| *at <= now).collect::<Vec<_>>() {
                pool.use_up(1, at);
            }
        }
    }

    fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = self.pools.iter().fold(0_u32, |sum, pool| sum.saturating_add(pool.left));
        let passed = u64::from(age(self.confirmed, now));
        let state = |state: &WindowState| WindowState {
            remaining: state.remaining.saturating_add(left).min(state.limit),
            reset_ms: state.reset_ms.saturating_sub(passed),
            ..*state
        };
        self.windows.iter().map(state).collect()
    }
}

impl Pool {
    fn is_ending(&self, now: Timestamp) -> bool {
        self.ends.0 - now.0 <= RETURN
    }

    fn use_up(&mut self, requests: u32, last: Timestamp) {
        self.used = self.used.saturating_add(requests);
        self.last_use = self.last_use.max(last);
    }
}

/// Milliseconds from then till now; 0 if that is later.
fn age(then: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(now.0 - then.0).unwrap_or_default()
}
