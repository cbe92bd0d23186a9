//! A gate's side of leases: what one isolate may let through without asking, how much to ask for, and
//! what to say of it afterwards. The KeyGate's side, which counts, is [`crate::key_gate`]; why both
//! together never let too many through is in `docs/limits.md`.
//!
//! A lease lasts from *before* the call for it was sent, by this isolate's own clock, so clocks need
//! not agree: it has ended here before it has ended there. What is reported as given back is given up
//! here before the report is sent, whether or not it arrives.

use crate::{
    limit::WindowState,
    timing::{CROWDED, LONGEST, PATIENT, TRAVEL, WORTHWHILE},
    wire::{Lease, LeaseReport, Take},
};
use keyward_core::time::{MINUTE, SECOND, Timestamp};

/// For at least so many milliseconds a window is believed to be full that the KeyGate says is. Where places
/// become free one by one, each request would ask otherwise. At most the second to which `Retry-After` is
/// rounded up.
pub const FULL_AT_KEY_GATE: u64 = 250;
/// For so many one that a relay says is, which others may empty at any time.
pub const FULL_AT_RELAY: u64 = 1_000;

/// So many calls of one isolate for one key may be under way before further requests wait for what they
/// bring, looking every so many milliseconds: for [`PATIENT`] at most, and for each call for [`CROWDED`].
const MOST_CALLS: usize = 4;
/// See [`MOST_CALLS`].
pub const LOOK: u32 = 20;

/// A lease is asked for with this much in reserve, in parts of a hundred.
const AMPLE: u64 = 125;
/// Demand is what came in a whole period: one short burst is none.
const PERIOD: i64 = SECOND / 5;

/// How long a lease may be used where a decision may be so old: what is let through at its very end
/// has reached the origin in time, too. 0 for no leases.
pub fn life(freshness_ms: u32) -> u32 {
    freshness_ms.saturating_sub(TRAVEL).min(LONGEST)
}

/// Who grants leases of a key, and is told what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lessor {
    /// The key's object.
    KeyGate,
    /// One of its relays.
    Relay,
}

/// What one isolate holds of one key.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    leases: Vec<Held>,
    /// What the KeyGate said was left beside the leases, and when it was asked.
    windows: Vec<WindowState>,
    asked: Timestamp,
    demand: Demand,
    /// Calls that are under way.
    calls: Vec<Call>,
    /// When each request came that waits for what those calls bring.
    waiting: Vec<Timestamp>,
    /// Whether a window was full when the lessor was last asked.
    full: bool,
    /// The last moment seen.
    latest: Timestamp,
}

/// A call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    asked: Timestamp,
    for_lease: bool,
}

/// Requests that came lately.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// When the present period began.
    began: Timestamp,
    present: u32,
    before: u32,
    /// Since the lessor was last asked.
    since_asked: u32,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    lessor: Lessor,
    id: u64,
    granted: u32,
    used: u32,
    last_use: Timestamp,
    left: u32,
    /// Given up, and not known to be free again.
    unused: u32,
    begins: Timestamp,
    ends: Timestamp,
    /// When the KeyGate was asked whether the record holds.
    confirmed: Timestamp,
    /// More was asked for, ahead of this one's end.
    renewed: bool,
}

/// One request that passes under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What a client may know is left.
    pub windows: Vec<WindowState>,
    /// Whether to ask for more now, ahead of need.
    pub renew: bool,
}

impl Holder {
    /// A request comes that will need a place.
    pub fn arrives(&mut self, now: Timestamp) {
        self.notice(now);
        self.demand.count(now);
    }

    /// A clock that was set back would make every lease longer. By a little, they end earlier by as much; by more, they
    /// are given up.
    pub fn notice(&mut self, now: Timestamp) {
        let back = self.latest.0 - now.0;
        if back > i64::from(TRAVEL) {
            self.give_up();
        } else if back > 0 {
            for held in &mut self.leases {
                let Held { begins, ends, confirmed, last_use, .. } = held;
                for moment in [begins, ends, confirmed, last_use] {
                    *moment = moment.plus(-back);
                }
            }
        }
        self.latest = now;
    }

    /// Lets one request through, if a lease allows it that is not older than this life: a route's may be
    /// shorter than that of the one that asked.
    pub fn spend(&mut self, life_ms: u32, now: Timestamp) -> Option<Spent> {
        self.notice(now);
        let usable = |held: &&mut Held| {
            let is_fresh = now.0 - held.confirmed.0 < i64::from(life_ms);
            held.left > 0 && held.begins <= now && now < held.ends && is_fresh
        };
        let held = self.leases.iter_mut().find(usable)?;
        held.left -= 1;
        held.used += 1;
        held.last_use = now;
        // When a quarter is left of the newest lease, in requests or in time.
        let newest = self.leases.last_mut()?;
        let few = newest.left <= newest.granted / 4;
        let late = (newest.ends.0 - now.0) * 4 <= newest.ends.0 - newest.begins.0;
        let renew = (few || late) && !newest.renewed;
        newest.renewed |= renew;
        Some(Spent { windows: self.windows(now), renew })
    }

    /// Whether so many calls are under way that a request is to wait for what they bring: a lease, or
    /// that a window is full. Otherwise each of those that come before the first answer would make a call.
    pub fn has_asked(&self, now: Timestamp) -> bool {
        // One will do where nothing is known yet, or that there is nothing to get; and one that asks for
        // those that wait.
        let is_one_enough = self.full || self.asked == Timestamp::default();
        let most = if is_one_enough { 1 } else { MOST_CALLS };
        self.under_way(now).any(|call| call.for_lease) || self.under_way(now).count() >= most
    }

    /// Whether so many are that one more is too many also for a request that has waited for long.
    pub fn is_busy(&self, now: Timestamp) -> bool {
        self.under_way(now).count() >= MOST_CALLS
    }

    fn under_way(&self, now: Timestamp) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| is_within(CROWDED, call.asked, now))
    }

    /// A request that came at this moment begins to wait.
    pub fn stands_by(&mut self, came: Timestamp) {
        self.waiting.push(came);
    }

    /// It waits no more.
    pub fn goes_on(&mut self, came: Timestamp) {
        if let Some(place) = self.waiting.iter().position(|other| *other == came) {
            self.waiting.swap_remove(place);
        }
    }

    /// A call is made: how many requests beyond the one at hand to ask for, for a lease of this life, and
    /// how many of them wait. Calls at the same time would each ask for all of them: only the first does.
    pub fn asks(&mut self, lessor: Lessor, life_ms: u32, now: Timestamp) -> (u32, u32) {
        // What was never answered, or never went on: a request may end at any time without a word.
        self.calls.retain(|call| is_within(CROWDED, call.asked, now));
        self.waiting.retain(|came| is_within(PATIENT, *came, now));
        let is_first = !self.calls.iter().any(|call| call.for_lease);
        let waiting = if is_first && life_ms > 0 { self.waiting.len() } else { 0 };
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_sub(self.left(now));
        let likely = match lessor {
            _ if !is_first => 0,
            Lessor::KeyGate => self.likely(life_ms, now),
            Lessor::Relay => self.likely_in_a_crowd(life_ms, now),
        };
        let expected = likely.max(waiting);
        self.calls.push(Call { asked: now, for_lease: expected > 0 });
        (expected, waiting)
    }

    /// As many as the last period makes likely, and at most twice as many as there were lately or under
    /// the newest lease, so that a few do not reserve many.
    fn likely(&self, life_ms: u32, now: Timestamp) -> u32 {
        let (before, present) = self.demand.recent(now);
        let there_were = (before + present).max(self.leases.last().map_or(0, |newest| newest.used));
        let expected = within(life_ms, before, PERIOD).min(there_were.saturating_mul(2));
        if expected < WORTHWHILE { 0 } else { expected }
    }

    /// In a crowd every call counts, so that few requests are asked for, too: as many as came since the
    /// lessor was asked last make likely.
    fn likely_in_a_crowd(&self, life_ms: u32, now: Timestamp) -> u32 {
        within(life_ms, self.demand.since_asked, (now.0 - self.asked.0).max(PERIOD))
    }

    /// What to report of every lease of this lessor's. Those that have ended are given back.
    pub fn report(&mut self, lessor: Lessor, now: Timestamp) -> Vec<LeaseReport> {
        self.notice(now);
        for held in &mut self.leases {
            if now >= held.ends {
                held.give_up();
            }
        }
        let its = self.leases.iter().filter(|held| held.lessor == lessor);
        its.map(|held| held.report(now)).collect()
    }

    /// This call, sent at this moment, is over: a window is full, or none is known to be.
    pub fn answered(&mut self, asked: Timestamp, take: &Take, full: bool) {
        self.full = full;
        let call = Call { asked, for_lease: take.expected > 0 };
        if let Some(place) = self.calls.iter().position(|other| *other == call) {
            self.calls.swap_remove(place);
        }
    }

    /// The KeyGate, asked at this moment, has said what is left.
    pub fn told(&mut self, windows: &[WindowState], asked: Timestamp) {
        // Answers may overtake each other, but not by so much: the clock was set back.
        if asked >= self.asked || self.asked.0 - asked.0 > MINUTE {
            self.asked = asked;
            self.demand.since_asked = 0;
            self.windows = windows.to_vec();
        }
    }

    /// A call sent at this moment has brought a lease, on a word that was so old by then.
    pub fn granted(&mut self, lessor: Lessor, lease: Lease, age_ms: u32, asked: Timestamp) {
        self.leases.push(Held {
            lessor,
            id: lease.id,
            granted: lease.requests,
            used: 0,
            last_use: asked,
            left: lease.requests,
            unused: 0,
            begins: asked,
            ends: asked.plus(lease.life_ms.into()),
            confirmed: asked.plus(-i64::from(age_ms)),
            renewed: false,
        });
    }

    /// What to report of a lease that is about to end, which then ends; `None` when that is known.
    pub fn end(&mut self, lessor: Lessor, id: u64, now: Timestamp) -> Option<LeaseReport> {
        self.notice(now);
        let held = self.leases.iter_mut().find(|held| held.is(lessor, id))?;
        held.give_up();
        Some(held.report(now))
    }

    /// The lessor has taken this report in.
    pub fn reported(&mut self, lessor: Lessor, reports: &[LeaseReport]) {
        let known = self.leases.extract_if(.., |held| {
            let is_it = |report: &LeaseReport| held.is(lessor, report.id) && report.used == held.used;
            reports.iter().any(|report| is_it(report) && report.open == 0)
        });
        let free = known.fold(0_u32, |sum, held| sum.saturating_add(held.unused));
        for state in &mut self.windows {
            state.remaining = state.remaining.saturating_add(free).min(state.limit);
        }
    }

    /// No lease is used any more; the next report gives back what is left.
    fn give_up(&mut self) {
        for held in &mut self.leases {
            held.give_up();
        }
    }

    /// Another version of the record holds: leases of the older one are given up, and neither its calls
    /// nor what waits for them concern this one.
    pub fn starts_over(&mut self) {
        self.give_up();
        self.calls.clear();
        self.waiting.clear();
        self.full = false;
    }

    /// What a client may know is left.
    pub fn windows(&self, now: Timestamp) -> Vec<WindowState> {
        let left = |sum: u32, held: &Held| sum.saturating_add(held.left).saturating_add(held.unused);
        let left = self.leases.iter().fold(0, left);
        let passed = (now.0 - self.asked.0).max(0).unsigned_abs();
        let mut windows = self.windows.clone();
        for state in &mut windows {
            state.remaining = state.remaining.saturating_add(left).min(state.limit);
            state.reset_ms = state.reset_ms.saturating_sub(passed);
        }
        windows
    }

    /// Requests that may still be let through.
    fn left(&self, now: Timestamp) -> u32 {
        let usable = self.leases.iter().filter(|held| now < held.ends);
        usable.fold(0, |sum, held| sum.saturating_add(held.left))
    }
}

impl Demand {
    fn count(&mut self, now: Timestamp) {
        let since = now.0 - self.began.0;
        if !(0..2 * PERIOD).contains(&since) {
            *self = Self { began: now, present: 0, before: 0, ..*self };
        } else if since >= PERIOD {
            *self = Self { began: self.began.plus(PERIOD), present: 0, before: self.present, ..*self };
        }
        self.present = self.present.saturating_add(1);
        self.since_asked = self.since_asked.saturating_add(1);
    }

    /// Requests of the last whole period, and of the present one.
    fn recent(&self, now: Timestamp) -> (u32, u32) {
        match now.0 - self.began.0 {
            since if since < PERIOD => (self.before, self.present),
            since if since < 2 * PERIOD => (self.present, 0),
            _ => (0, 0),
        }
    }
}

/// Whether this was less than so many milliseconds ago.
fn is_within(milliseconds: u32, then: Timestamp, now: Timestamp) -> bool {
    (0..milliseconds.into()).contains(&(now.0 - then.0))
}

/// How many are likely within a life, with some in reserve, where so many came within a span.
fn within(life_ms: u32, came: u32, span: i64) -> u32 {
    let likely = u64::from(came) * u64::from(life_ms) * AMPLE / 100 / span.unsigned_abs().max(1);
    u32::try_from(likely).unwrap_or(u32::MAX)
}

impl Held {
    fn give_up(&mut self) {
        self.unused += std::mem::take(&mut self.left);
    }

    fn is(&self, lessor: Lessor, id: u64) -> bool {
        self.lessor == lessor && self.id == id
    }

    fn report(&self, now: Timestamp) -> LeaseReport {
        let age_ms = u32::try_from(now.0 - self.last_use.0).unwrap_or_default();
        LeaseReport { id: self.id, used: self.used, age_ms, open: self.left }
    }
}
