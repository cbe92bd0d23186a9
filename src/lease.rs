//! A gate's side of leases: what one isolate may let through without asking, how much to ask for, and
//! what to say of it afterwards. The KeyGate's side, which counts, is [`crate::key_gate`]; why both
//! together never let too many through is in `docs/limits.md`.
//!
//! A lease lasts from *before* the call for it was sent, by this isolate's own clock, so clocks need
//! not agree: it has ended here before it has ended there. What is reported as given back is given up
//! here before the report is sent, whether or not it arrives.

use crate::{
    time::{SECOND, Timestamp},
    wire::{Lease, LeaseReport, WindowState},
};

/// A request that was let through reaches the origin within this time.
pub const TRAVEL: u32 = 250;
/// The request at hand is let through within this time of asking, or it asks again.
pub const PROMPT: u32 = 500;
/// A second answer may take this long: with what it may wait and travel, still less than a usual freshness.
pub const PATIENT: u32 = 3_500;
/// The same where a relay answers, which may have to ask, too.
pub const CROWDED: u32 = 1_500;

/// A lease is asked for with this much in reserve, in parts of a hundred.
const AMPLE: u64 = 125;
/// A lease costs a call to get and one to give back: fewer requests than this are not worth it.
const WORTHWHILE: u32 = 5;
/// Demand is what came in a whole period: one burst, whose requests ask each for itself, is none.
const PERIOD: i64 = SECOND / 5;

/// How long a lease may be used where a decision may be so old: what is let through at its very end
/// has reached the origin in time, too. 0 for no leases.
pub fn life(freshness_ms: u32) -> u32 {
    freshness_ms.saturating_sub(TRAVEL)
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
    /// The latest moment seen.
    latest: Timestamp,
}

/// Requests that came lately.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// When the present period began.
    began: Timestamp,
    present: u32,
    before: u32,
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
    /// What the KeyGate is known to know.
    reported: u32,
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
        // A clock that was set back would make every lease longer.
        if now.0 < self.latest.0 - i64::from(TRAVEL) {
            self.give_up();
        }
        self.latest = now;
        self.demand.count(now);
    }

    /// Lets one request through, if a lease allows it.
    pub fn spend(&mut self, now: Timestamp) -> Option<Spent> {
        let usable = |held: &&mut Held| held.left > 0 && held.begins <= now && now < held.ends;
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

    /// How many requests beyond those at hand to ask for, for a lease of this life: as many as the last
    /// period makes likely, and at most twice as many as there were, so that a few do not reserve many.
    /// In a crowd every call counts, and what came in the present period is enough.
    pub fn expect(&self, lessor: Lessor, life_ms: u32, now: Timestamp) -> u32 {
        let (before, present) = self.demand.recent(now);
        if lessor == Lessor::Relay {
            return (before + present).saturating_mul(2).max(WORTHWHILE);
        }
        let likely = u64::from(before) * u64::from(life_ms) * AMPLE / 100 / PERIOD.unsigned_abs();
        let expected = u32::try_from(likely).unwrap_or(u32::MAX).min((before + present).saturating_mul(2));
        if expected < WORTHWHILE { 0 } else { expected }
    }

    /// What to report of every lease of this lessor's. Those that have ended are given back.
    pub fn report(&mut self, lessor: Lessor, now: Timestamp) -> Vec<LeaseReport> {
        for held in &mut self.leases {
            if now >= held.ends {
                held.give_up();
            }
        }
        let its = self.leases.iter().filter(|held| held.lessor == lessor);
        its.map(|held| held.report(now)).collect()
    }

    /// The KeyGate, asked at this moment, has said what is left.
    pub fn told(&mut self, windows: &[WindowState], asked: Timestamp) {
        if asked >= self.asked {
            self.asked = asked;
            self.windows = windows.to_vec();
        }
    }

    /// A call sent at this moment has brought a lease.
    pub fn granted(&mut self, lessor: Lessor, lease: Lease, asked: Timestamp) {
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
            reported: 0,
            renewed: false,
        });
    }

    /// What to report of a lease that is about to end, which then ends; `None` when that is known.
    pub fn end(&mut self, lessor: Lessor, id: u64, now: Timestamp) -> Option<LeaseReport> {
        let held = self.leases.iter_mut().find(|held| held.is(lessor, id))?;
        held.give_up();
        Some(held.report(now))
    }

    /// The lessor has taken this report in.
    pub fn reported(&mut self, lessor: Lessor, reports: &[LeaseReport]) {
        for report in reports {
            if let Some(held) = self.leases.iter_mut().find(|held| held.is(lessor, report.id)) {
                held.reported = held.reported.max(report.used);
            }
        }
        let known = self.leases.extract_if(.., |held| held.left == 0 && held.reported >= held.used);
        let free = known.fold(0_u32, |sum, held| sum.saturating_add(held.unused));
        for state in &mut self.windows {
            state.remaining = state.remaining.saturating_add(free).min(state.limit);
        }
    }

    /// No lease is used any more; the next report gives back what is left.
    pub fn give_up(&mut self) {
        for held in &mut self.leases {
            held.give_up();
        }
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
}

impl Demand {
    fn count(&mut self, now: Timestamp) {
        let since = now.0 - self.began.0;
        if !(0..2 * PERIOD).contains(&since) {
            *self = Self { began: now, present: 0, before: 0 };
        } else if since >= PERIOD {
            *self = Self { began: self.began.plus(PERIOD), present: 0, before: self.present };
        }
        self.present = self.present.saturating_add(1);
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
