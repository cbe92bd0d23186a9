//! Leases as the KeyGate that grants them sees them: what may still come, until when, and what came of
//! it.

use serde::{Deserialize, Serialize};

use crate::{
    timing::{LONGEST, TRAVEL},
    wire::{Lease, LeaseReport, Take},
};
use keyward_core::time::{SECOND, Timestamp};

/// At most so many are open at once: each is stored, and looked at with each call. Each of 64 relays may
/// have asked seven times before the first of its leases ends.
const MOST_OPEN: usize = 512;
/// At most so many who ask are told apart.
const MOST_ASKERS: usize = 1_024;
/// So many isolates that make so many calls a second are a crowd: one object answers several hundred.
/// Many that ask seldom are none.
const CROWD: u32 = 64;
const BUSY: u32 = 80;
/// Isolates that have asked within this time share what is free …
const RECENTLY: i64 = 5 * SECOND;
/// … each gets at most this part of its even share, so that what is reserved and not used keeps nobody
/// else waiting, and leases shrink to nothing near the limit.
const PART: u64 = 2;

/// Leases that may still be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Leases {
    open: Vec<Open>,
    last_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    id: u64,
    used: u32,
    open: u32,
    /// The latest moment, by this side's clock, at which a request under it can reach the origin.
    latest: Timestamp,
    /// For how long it was granted, in milliseconds. Older builds store no such thing.
    #[serde(rename = "lifeMs", default = "longest")]
    life_ms: u32,
}

fn longest() -> u32 {
    LONGEST
}

/// Requests let through under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How many.
    pub requests: u32,
    /// The last of them has reached the origin by then.
    pub latest: Timestamp,
    /// Whether somebody said so; otherwise they merely can have come.
    pub is_known: bool,
}

impl Leases {
    /// Takes in a report: what was used since the last one. What is given back is free at once.
    pub fn report(&mut self, report: &LeaseReport, now: Timestamp) -> Option<Used> {
        let lease = self.open.iter_mut().find(|lease| lease.id == report.id)?;
        let requests = report.used.saturating_sub(lease.used).min(lease.open);
        lease.used += requests;
        lease.open = (lease.open - requests).min(report.open);
        // Its last use was before the report was sent, and the report took some time. It was after the lease was
        // granted, however old it is by a clock that was set ahead since.
        let latest = now.plus(i64::from(TRAVEL) - i64::from(report.age_ms));
        let latest = latest.max(lease.latest.plus(-i64::from(lease.life_ms))).min(lease.latest);
        Some(Used { requests, latest, is_known: true })
    }

    /// Ends the leases that can be used no more: what nobody reported of them counts as used at the
    /// latest moment that it could be.
    pub fn end(&mut self, now: Timestamp) -> Vec<Used> {
        let has_ended = |lease: &mut Open| lease.latest <= now || lease.open == 0;
        let ended = self.open.extract_if(.., has_ended);
        ended.map(|lease| Used { requests: lease.open, latest: lease.latest, is_known: false }).collect()
    }

    /// Grants a lease of this size, to be used for `life_ms`; `None` if there are too many already.
    pub fn grant(&mut self, requests: u32, life_ms: u32, now: Timestamp) -> Option<Lease> {
        if requests == 0 || life_ms == 0 || self.open.len() >= MOST_OPEN {
            return None;
        }
        self.last_id += 1;
        let latest = now.plus(i64::from(life_ms) + i64::from(TRAVEL));
        self.open.push(Open { id: self.last_id, used: 0, open: requests, latest, life_ms });
        Some(Lease { id: self.last_id, requests, life_ms })
    }

    /// The clock was set: every moment is by so much less or more now.
    pub fn shift(&mut self, by: i64) {
        for lease in &mut self.open {
            lease.latest = lease.latest.plus(by);
        }
    }

    /// What may still come, and until when.
    pub fn reserved(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.open.iter().map(|lease| (lease.latest, lease.open))
    }
}

/// Who has asked lately, and for how much. Only sizes of leases and the way that calls take depend on it,
/// so it is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Askers {
    asked: Vec<Asker>,
    crowd: bool,
    /// The present second, and calls in it.
    second: i64,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asker {
    id: u32,
    at: Timestamp,
    wish: u32,
    isolates: u32,
}

impl Askers {
    /// This one asks.
    pub fn note(&mut self, take: &Take, now: Timestamp) {
        let recent = |other: &Asker| (0..RECENTLY).contains(&(now.0 - other.at.0));
        self.asked.retain(|other| other.id != take.asker && recent(other));
        if self.asked.len() < MOST_ASKERS {
            let wish = take.expected.saturating_add(take.at_hand.into());
            let isolates = take.isolates.max(1);
            self.asked.push(Asker { id: take.asker, at: now, wish, isolates });
        }
        let second = now.0.div_euclid(SECOND);
        if second != self.second {
            (self.second, self.calls) = (second, 0);
        }
        self.calls += 1;
        // Not to and fro where there are about as many: relays keep calls away from here.
        let isolates = self.isolates(now);
        self.crowd = if self.crowd { isolates >= CROWD / 2 } else { isolates >= CROWD && self.calls >= BUSY };
    }

    /// The most that this one of them may get of what is free.
    pub fn share(&self, take: &Take, free: u32, now: Timestamp) -> u32 {
        if self.asked.len() <= 1 {
            return free;
        }
        let isolates = u64::from(take.isolates.max(1));
        let share = u64::from(free) * isolates / (u64::from(self.isolates(now)) * PART).max(1);
        u32::try_from(share).unwrap_or(free)
    }

    /// What all of them together asked for.
    pub fn wished(&self, now: Timestamp) -> u32 {
        self.sum(now, |asker| asker.wish)
    }

    /// How many isolates they are.
    pub fn isolates(&self, now: Timestamp) -> u32 {
        self.sum(now, |asker| asker.isolates)
    }

    fn sum(&self, now: Timestamp, what: impl Fn(&Asker) -> u32) -> u32 {
        let recent = self.asked.iter().filter(|asker| now.0 - asker.at.0 < RECENTLY);
        recent.fold(0, |sum, asker| sum.saturating_add(what(asker)))
    }

    /// Whether they are so many that they are to ask relays instead.
    pub fn are_crowd(&self) -> bool {
        self.crowd
    }
}
