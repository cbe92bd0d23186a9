//! Leases as the coordinator that grants them sees them: what may still be used, until when, and what was
//! reported.

use serde::{Deserialize, Serialize};

use crate::{
    timing::{MAX_LEASE_MS, TRAVEL_MS},
    wire::{Acquire, Lease, LeaseReport},
};
use keyward_core::time::{SECOND, Timestamp};

/// Most leases open at once: each is stored, and looked at by each call. Each of 64 relays may ask seven times
/// before its first lease ends.
const MAX_OPEN: usize = 512;
/// Most clients that are told apart.
const MAX_CLIENTS: usize = 1_024;
/// Crowd mode begins with this many isolates that make this many calls a second (one object answers several
/// hundred), and ends below half of the isolates: relays hide the rate. Many isolates that seldom ask are no
/// crowd.
const CROWD_ISOLATES: u32 = 64;
const CROWD_CALLS_PER_S: u32 = 80;
/// Milliseconds for which a client counts as recent. Recent clients share what is free …
const RECENT_MS: i64 = 5 * SECOND;
/// … each gets at most its even share divided by this, so that unused reservations do not keep others waiting,
/// and leases shrink to nothing near the limit.
const FRACTION_OF_SHARE: u64 = 2;

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
    /// Its length in milliseconds. Older builds do not store it.
    #[serde(rename = "lifeMs", default = "longest")]
    lease_length_ms: u32,
}

fn longest() -> u32 {
    MAX_LEASE_MS
}

/// Requests admitted under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How many.
    pub requests: u32,
    /// The latest moment at which the last of them can have reached the origin.
    pub latest: Timestamp,
    /// Whether they were reported; otherwise they are merely possible.
    pub is_known: bool,
}

impl Leases {
    /// Takes in a report: what was used since the last one. What is given back is free at once.
    pub fn report(&mut self, report: &LeaseReport, now: Timestamp) -> Option<Used> {
        let lease = self.open.iter_mut().find(|lease| lease.id == report.id)?;
        let requests = report.used.saturating_sub(lease.used).min(lease.open);
        lease.used += requests;
        lease.open = (lease.open - requests).min(report.open);
        // Its last use was before the report was sent, which took some time; and after the lease was granted,
        // however old it seems by a clock that was set ahead since.
        let latest = now.plus(i64::from(TRAVEL_MS) - i64::from(report.age_ms));
        let latest = latest.max(lease.latest.plus(-i64::from(lease.lease_length_ms))).min(lease.latest);
        Some(Used { requests, latest, is_known: true })
    }

    /// Ends the leases that can no longer be used: what nobody reported of them counts as used at the latest
    /// possible moment.
    pub fn end(&mut self, now: Timestamp) -> Vec<Used> {
        let has_ended = |lease: &mut Open| lease.latest <= now || lease.open == 0;
        let ended = self.open.extract_if(.., has_ended);
        ended.map(|lease| Used { requests: lease.open, latest: lease.latest, is_known: false }).collect()
    }

    /// Grants a lease of this size and length; `None` if too many are open.
    pub fn grant(&mut self, requests: u32, lease_length_ms: u32, now: Timestamp) -> Option<Lease> {
        if requests == 0 || lease_length_ms == 0 || self.open.len() >= MAX_OPEN {
            return None;
        }
        self.last_id += 1;
        let latest = now.plus(i64::from(lease_length_ms) + i64::from(TRAVEL_MS));
        self.open.push(Open { id: self.last_id, used: 0, open: requests, latest, lease_length_ms });
        Some(Lease { id: self.last_id, requests, lease_length_ms })
    }

    /// The clock was set: moves every moment by this many milliseconds.
    pub fn shift(&mut self, by: i64) {
        for lease in &mut self.open {
            lease.latest = lease.latest.plus(by);
        }
    }

    /// What may still be used, and until when.
    pub fn reserved(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        self.open.iter().map(|lease| (lease.latest, lease.open))
    }
}

/// Recent clients, and what they want. Only sizes of leases and the route of calls depend on it, so it is not
/// stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    asked: Vec<Client>,
    crowd: bool,
    /// The current second, and calls in it.
    second: i64,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Client {
    id: u32,
    at: Timestamp,
    wants: u32,
    isolates: u32,
}

impl Clients {
    /// A client asks.
    pub fn note(&mut self, take: &Acquire, now: Timestamp) {
        let recent = |other: &Client| (0..RECENT_MS).contains(&(now.0 - other.at.0));
        self.asked.retain(|other| other.id != take.client_id && recent(other));
        if self.asked.len() < MAX_CLIENTS {
            let wants = take.wants.saturating_add(take.immediate.into());
            let isolates = take.isolates.max(1);
            self.asked.push(Client { id: take.client_id, at: now, wants, isolates });
        }
        let second = now.0.div_euclid(SECOND);
        if second != self.second {
            (self.second, self.calls) = (second, 0);
        }
        self.calls += 1;
        // Hysteresis: enter with [`CROWD_ISOLATES`] and [`CROWD_CALLS_PER_S`], leave below half of the
        // isolates.
        let isolates = self.isolates(now);
        self.crowd = if self.crowd {
            isolates >= CROWD_ISOLATES / 2
        } else {
            isolates >= CROWD_ISOLATES && self.calls >= CROWD_CALLS_PER_S
        };
    }

    /// The most that this client may get of what is free.
    pub fn proportional_share(&self, take: &Acquire, free: u32, now: Timestamp) -> u32 {
        if self.asked.len() <= 1 {
            return free;
        }
        let isolates = u64::from(take.isolates.max(1));
        let proportional_share =
            u64::from(free) * isolates / (u64::from(self.isolates(now)) * FRACTION_OF_SHARE).max(1);
        u32::try_from(proportional_share).unwrap_or(free)
    }

    /// What all of them together want.
    pub fn total_wants(&self, now: Timestamp) -> u32 {
        self.sum(now, |client_id| client_id.wants)
    }

    /// How many isolates they are.
    pub fn isolates(&self, now: Timestamp) -> u32 {
        self.sum(now, |client_id| client_id.isolates)
    }

    fn sum(&self, now: Timestamp, what: impl Fn(&Client) -> u32) -> u32 {
        let recent = self.asked.iter().filter(|client_id| now.0 - client_id.at.0 < RECENT_MS);
        recent.fold(0, |sum, client_id| sum.saturating_add(what(client_id)))
    }

    /// Whether isolates are to ask relays instead.
    pub fn is_crowd(&self) -> bool {
        self.crowd
    }
}
