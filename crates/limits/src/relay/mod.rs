//! A relay: an object between a key's coordinator and the isolates that use the key, while too many do for one
//! object to answer them all. It holds leases as an isolate does and grants subleases as a coordinator does,
//! each ending no later than the lease that it is part of, so that the proof in `docs/limits.md` holds through
//! it unchanged. It stores nothing: what it forgets counts as used. Usage that isolates report to it goes on in
//! tallies of its own.

mod server;

pub use self::server::{RelayServer, Upstream};
use crate::{
    coordinator::Clients,
    lease::Grantor,
    limit::{RATE_LIMITED, WindowState},
    tally::Untold,
    tellers::Tellers,
    timing::{FIRST_ANSWER_MS, TRAVEL_MS},
    wire::{Acquire, Acquired, CoordinatorCall, Lease, LeaseReport, RefusalCounts, RouteHint, Tally},
};
use keyward_core::{
    record::Record,
    time::{SECOND, Timestamp},
};

/// Relays of one key; each isolate uses one of them.
pub const RELAYS: u32 = 64;
/// Milliseconds before a lease's end at which what is left of it is given back: longer than the gap between two
/// calls.
const RETURN_MS: i64 = SECOND;
/// Longest time for which a coordinator's answer that a window is full is cached, in milliseconds …
const MAX_FULL_MS: i64 = SECOND;
/// … and for how long if it did not say when the window opens.
const DEFAULT_FULL_MS: i64 = SECOND / 5;
/// Per cent of the total demand that is requested at once: not all isolates return before the next request, and
/// each has some in reserve.
const REQUESTED_PERCENT: u64 = 75;

/// What one relay knows of one key.
#[derive(Debug, Default)]
pub struct Relay {
    /// Tells relays, and the instances of one, apart: a random number.
    id: u32,
    /// The latest moment that the clock has shown.
    latest: Timestamp,
    /// Milliseconds by which the clock was set back, all in all.
    set_back: i64,
    /// The version that the coordinator confirmed last, when it was asked, and what it said.
    version: u64,
    confirmed: Timestamp,
    record: Option<Record>,
    windows: Vec<WindowState>,
    /// Whether the coordinator still wants isolates to ask relays.
    is_crowd: bool,
    /// Until when a window counts as full, if the coordinator said so when it was last asked.
    full_until: Option<Timestamp>,
    /// When it said that a request fits again.
    opens: Timestamp,
    leases_held: Vec<RelayLease>,
    subleases: Vec<Sublease>,
    last_sublease: u64,
    clients: Clients,
    lease_length_ms: u32,
    /// What the coordinator has not been told yet.
    unreported: u32,
    untold: Untold,
    /// Its name as a teller, and the number of its last tally.
    teller: u64,
    tallies: u64,
    tellers: Tellers,
    /// A task is under way that delivers this.
    tells: bool,
}

/// A lease that this relay holds.
#[derive(Debug)]
struct RelayLease {
    lease: Lease,
    begins: Timestamp,
    ends: Timestamp,
    left: u32,
    used: u32,
    last_use: Timestamp,
    /// Single requests granted from it, each with the latest moment at which it is admitted.
    singles: Vec<Timestamp>,
    renewed: bool,
    returned: bool,
    /// A task waits for the moment at which it is to be given back.
    watched: bool,
}

/// A lease granted to an isolate as part of a lease held.
#[derive(Debug)]
struct Sublease {
    id: u64,
    lease_held: u64,
    used: u32,
    open: u32,
}

impl Relay {
    /// A relay that knows nothing yet.
    pub fn new(random: u64) -> Self {
        let id = (random >> 32) as u32;
        // An isolate may still hold what an earlier instance of this relay granted.
        Self { id, teller: random, last_sublease: u64::from(id) << 20, ..Self::default() }
    }

    /// Notices that the clock was set back, which would make every lease longer. If by up to [`TRAVEL_MS`],
    /// leases end earlier by as much; if by more, they are forgotten and so count as used. Says by how many
    /// milliseconds it was set back so far.
    pub fn notice(&mut self, now: Timestamp) -> i64 {
        let back = self.latest.0 - now.0;
        if back > i64::from(TRAVEL_MS) {
            let Self { id, set_back, last_sublease, unreported, teller, tallies, tells, .. } = *self;
            let (untold, tellers) = (std::mem::take(&mut self.untold), std::mem::take(&mut self.tellers));
            *self = Self {
                id,
                set_back,
                last_sublease,
                unreported,
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
        for lease_held in &mut self.leases_held {
            let RelayLease { begins, ends, last_use, singles, .. } = lease_held;
            for moment in [begins, ends, last_use].into_iter().chain(singles) {
                *moment = moment.plus(by);
            }
        }
        for moment in [confirmed, opens].into_iter().chain(full_until) {
            *moment = moment.plus(by);
        }
        tellers.shift(by);
    }

    /// Takes in what a call reports. Once for each call, before [`Relay::answer`].
    pub fn ingest(&mut self, take: &Acquire, now: Timestamp) {
        self.note(&take.refused, &take.leases, take.tally.as_ref(), now);
        self.expire(now);
        self.unreported = self.unreported.saturating_add(take.unreported);
        self.lease_length_ms = self.lease_length_ms.max(take.lease_length_ms);
        self.clients.note(take, now);
        if take.tally.is_none() {
            self.untold.accept(take.unreported.into(), now, now);
        }
    }

    /// Takes in what was counted, and what was used of leases. Usage of an older build is counted here.
    pub fn note(
        &mut self,
        refused: &RefusalCounts,
        leases: &[LeaseReport],
        tally: Option<&Tally>,
        now: Timestamp,
    ) {
        // With a clock that was set ahead it would forget tellers too soon.
        if now >= self.latest {
            self.tellers.follow(tally, self.latest, now);
        }
        self.notice(now);
        match tally {
            None => self.untold.refuse(refused, now, now),
            Some(tally) if self.tellers.ingest(tally, now) => self.untold.pass_on(tally, now),
            Some(_) => {}
        }
        for report in leases {
            let Some(sublease) = self.subleases.iter_mut().find(|sublease| sublease.id == report.id) else {
                continue;
            };
            let used = report.used.saturating_sub(sublease.used).min(sublease.open);
            let open = (sublease.open - used).min(report.open);
            let back = sublease.open - used - open;
            sublease.used += used;
            sublease.open = open;
            if let Some(lease_held) =
                self.leases_held.iter_mut().find(|lease_held| lease_held.lease.id == sublease.lease_held)
            {
                lease_held.left += back;
                if used > 0 {
                    let at = now.plus(-i64::from(report.age_ms));
                    lease_held.use_up(used, at);
                    if tally.is_none() {
                        self.untold.accept(used.into(), at, now);
                    }
                }
            }
        }
        self.subleases.retain(|sublease| sublease.open > 0);
    }

    /// The answer, as far as this relay can give it; `None` if the coordinator has to be asked first.
    pub fn answer(&mut self, take: &Acquire, now: Timestamp) -> Option<Acquired> {
        self.expire(now);
        // Half of what an isolate may believe is left for the isolate. Nothing from the future is believed.
        if self.confirmed > now || (now.0 - self.confirmed.0) * 2 >= i64::from(take.lease_length_ms) {
            return None;
        }
        if take.version != self.version {
            let record = self.record.clone().filter(|record| record.version > take.version);
            return record.map(|record| Acquired::Changed { record });
        }
        let within_ms = i64::from(take.within_ms);
        // A sublease is only worth granting if it lasts for a while.
        let needed = if take.immediate { within_ms } else { RETURN_MS + i64::from(FIRST_ANSWER_MS) };
        let usable = |lease_held: &&mut RelayLease| lease_held.left > 0 && lease_held.ends.0 - now.0 > needed;
        let via = RouteHint { relay: self.is_crowd, age_ms: age(self.confirmed, now) };
        if !take.immediate && take.wants == 0 {
            return Some(Acquired::Granted {
                windows: self.windows(now),
                delay_ms: 0,
                reservation: None,
                lease: None,
                via,
            });
        }
        let Some(lease_held) = self.leases_held.iter_mut().rev().find(usable) else {
            self.full_until.filter(|until| now < *until)?;
            let retry_after_ms = u64::try_from(self.opens.0 - now.0).unwrap_or_default().max(1);
            if take.immediate && take.tally.is_none() {
                self.untold.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now, now);
            }
            return Some(Acquired::Limited { windows: self.windows(now), retry_after_ms, via });
        };
        if take.immediate {
            lease_held.left -= 1;
            lease_held.singles.push(now.plus(within_ms));
            if take.tally.is_none() {
                self.untold.accept(1, now, now);
            }
        }
        // What is given back of it is known here before the lease itself ends.
        let life = (lease_held.ends.0 - now.0 - RETURN_MS).min(take.lease_length_ms.into());
        let proportional_share = self.clients.proportional_share(take, lease_held.left, now);
        let requests = take.wants.min(proportional_share).max(take.queued.min(lease_held.left));
        let mut lease = None;
        if requests > 0 && life > i64::from(FIRST_ANSWER_MS) {
            lease_held.left -= requests;
            self.last_sublease += 1;
            self.subleases.push(Sublease {
                id: self.last_sublease,
                lease_held: lease_held.lease.id,
                used: 0,
                open: requests,
            });
            let lease_length_ms = u32::try_from(life).unwrap_or_default();
            lease = Some(Lease { id: self.last_sublease, requests, lease_length_ms });
        }
        Some(Acquired::Granted { windows: self.windows(now), delay_ms: 0, reservation: None, lease, via })
    }

    /// Whether to call the coordinator now: for the next lease ahead of need, or to give back what is left of
    /// one.
    pub fn is_short(&self, now: Timestamp) -> bool {
        if self.leases_held.iter().any(|lease_held| !lease_held.returned && lease_held.is_ending(now)) {
            return true;
        }
        self.leases_held.last().is_some_and(|newest| {
            let few = newest.left <= newest.lease.requests / 4;
            // Its subleases get shorter as it ages.
            let old = (now.0 - newest.begins.0) * 2 >= newest.ends.0 - newest.begins.0;
            (few || old) && !newest.renewed
        })
    }

    /// Milliseconds until what is left of a lease is to be given back; once for each lease.
    pub fn returns_in(&mut self, now: Timestamp) -> Option<u32> {
        let lease_held = self.leases_held.iter_mut().find(|lease_held| !lease_held.watched)?;
        lease_held.watched = true;
        Some(age(now, lease_held.ends.plus(-RETURN_MS)))
    }

    /// What to ask the coordinator, for requests that were decided on this version, of which `queued` wait.
    pub fn ask(&mut self, version: u64, queued: u32, now: Timestamp) -> Acquire {
        self.expire(now);
        for lease_held in self.leases_held.iter_mut().filter(|lease_held| lease_held.is_ending(now)) {
            lease_held.returned = true;
            lease_held.left = 0;
        }
        if let Some(newest) = self.leases_held.last_mut() {
            newest.renewed = true;
        }
        let subleases = &self.subleases;
        let report = |lease_held: &RelayLease| {
            let given: u32 = subleases
                .iter()
                .filter(|sublease| sublease.lease_held == lease_held.lease.id)
                .map(|sublease| sublease.open)
                .sum();
            let singles = u32::try_from(lease_held.singles.len()).unwrap_or(u32::MAX);
            let open = lease_held.left.saturating_add(given).saturating_add(singles);
            LeaseReport {
                id: lease_held.lease.id,
                used: lease_held.used,
                age_ms: age(lease_held.last_use, now),
                open,
            }
        };
        let leases = self.leases_held.iter().map(report).collect();
        let tally = self.untold.begin(self.teller, &mut self.tallies, Grantor::Coordinator, now);
        let wants = u64::from(self.clients.total_wants(now)) * REQUESTED_PERCENT / 100;
        Acquire {
            version,
            immediate: false,
            within_ms: 0,
            wants: u32::try_from(wants).unwrap_or(u32::MAX),
            queued,
            lease_length_ms: self.lease_length_ms,
            client_id: self.id,
            leases,
            unreported: std::mem::take(&mut self.unreported),
            isolates: self.clients.isolates(now),
            refused: tally.refused(),
            tally: Some(tally),
            ..Acquire::default()
        }
    }

    /// Whether the caller is to deliver, from now on, what was counted.
    pub fn begins_to_tell(&mut self) -> bool {
        let begins = !self.tells && !self.untold.is_empty();
        self.tells |= begins;
        begins
    }

    /// Milliseconds until something is to be delivered; `None` if nothing is left.
    pub fn tells_in(&mut self, now: Timestamp) -> Option<i64> {
        self.tells = !self.untold.is_empty();
        self.untold.due_in(now).filter(|_| self.tells)
    }

    /// The task that delivers has ended.
    pub fn gives_up_telling(&mut self) {
        self.tells = false;
    }

    /// What to tell the coordinator now; `None` if another call carries it.
    pub fn tell(&mut self, now: Timestamp) -> Option<(Tally, CoordinatorCall)> {
        let tally = self.untold.begin(self.teller, &mut self.tallies, Grantor::Coordinator, now);
        let call = CoordinatorCall::Report {
            refused: tally.refused(),
            leases: Vec::new(),
            tally: Some(tally.clone()),
        };
        (!tally.is_empty()).then_some((tally, call))
    }

    /// It was taken in (`heard`), or nobody knows.
    pub fn told(&mut self, tally: &Tally, heard: bool, now: Timestamp) {
        self.untold.end(tally.number, heard, now);
    }

    /// What the coordinator, asked at `asked` by the clock as it is set now, has answered; `None` if no answer
    /// came.
    pub fn answered(&mut self, take: &Acquire, taken: Option<&Acquired>, asked: Timestamp, now: Timestamp) {
        if let Some(tally) = &take.tally {
            self.told(tally, taken.is_some(), now);
        }
        let Some(taken) = taken else {
            self.unreported = self.unreported.saturating_add(take.unreported);
            // Its last answer holds a little longer, as long as it can be true, so that not all isolates ask
            // the coordinator themselves.
            self.full_until = self.full_until.map(|_| now.plus(MAX_FULL_MS).min(self.opens));
            return;
        };
        match taken {
            Acquired::Granted { windows, lease, via, .. } => {
                self.confirm(take.version, asked);
                self.windows.clone_from(windows);
                self.is_crowd = via.relay;
                // Less than those that wait need: the rest is over the limit.
                let is_full = lease.is_some_and(|lease| lease.requests < take.queued);
                self.full_until = is_full.then(|| now.plus(DEFAULT_FULL_MS));
                self.opens = now.plus(DEFAULT_FULL_MS);
                if let Some(lease) = *lease {
                    // What is left of older leases goes back with the next call: the new one covers all
                    // predicted demand.
                    for lease_held in &mut self.leases_held {
                        lease_held.left = 0;
                    }
                    self.leases_held.push(RelayLease {
                        lease,
                        begins: asked,
                        ends: asked.plus(lease.lease_length_ms.into()),
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
            Acquired::Limited { windows, retry_after_ms, via } => {
                self.confirm(take.version, asked);
                self.windows.clone_from(windows);
                self.is_crowd = via.relay;
                let retry = i64::try_from(*retry_after_ms).unwrap_or(i64::MAX);
                // From now on, so that it answers everybody who waits.
                self.full_until = Some(now.plus(retry.min(MAX_FULL_MS)));
                self.opens = now.plus(retry);
            }
            Acquired::Changed { record } => {
                self.confirm(record.version, asked);
                self.record = Some(record.clone());
            }
            Acquired::Unknown | Acquired::Unreached { .. } => {}
        }
    }

    /// The coordinator, asked at this moment, holds this version.
    fn confirm(&mut self, version: u64, asked: Timestamp) {
        if version > self.version {
            // What an older version allowed, this one may not.
            for lease_held in &mut self.leases_held {
                lease_held.left = 0;
            }
            self.version = version;
            self.record = None;
            self.full_until = None;
        }
        self.confirmed = self.confirmed.max(asked);
    }

    /// Ends the leases that have ended, with all their subleases; counts single requests as used once they must
    /// have been admitted.
    fn expire(&mut self, now: Timestamp) {
        self.notice(now);
        let subleases = &mut self.subleases;
        for ended in self.leases_held.extract_if(.., |lease_held| lease_held.ends <= now) {
            subleases.retain(|sublease| sublease.lease_held != ended.lease.id);
        }
        for lease_held in &mut self.leases_held {
            for at in lease_held.singles.extract_if(.., |at| *at <= now).collect::<Vec<_>>() {
                lease_held.use_up(1, at);
            }
        }
    }

    fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = self.leases_held.iter().fold(0_u32, |sum, lease_held| sum.saturating_add(lease_held.left));
        let passed = u64::from(age(self.confirmed, now));
        let state = |state: &WindowState| WindowState {
            remaining: state.remaining.saturating_add(left).min(state.limit),
            reset_ms: state.reset_ms.saturating_sub(passed),
            ..*state
        };
        self.windows.iter().map(state).collect()
    }
}

impl RelayLease {
    fn is_ending(&self, now: Timestamp) -> bool {
        self.ends.0 - now.0 <= RETURN_MS
    }

    fn use_up(&mut self, requests: u32, last: Timestamp) {
        self.used = self.used.saturating_add(requests);
        self.last_use = self.last_use.max(last);
    }
}

/// Milliseconds from then till now; 0 if `then` is later.
fn age(then: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(now.0 - then.0).unwrap_or_default()
}
