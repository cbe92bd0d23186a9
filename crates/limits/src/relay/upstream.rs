//! Calls to the coordinator: when to make one, what to ask for and report, and what its answer changes.

use super::{
    Relay,
    lease::{RETURN, RelayLease},
};
use crate::{
    lease::Grantor,
    timing::age,
    wire::{Acquire, Acquired, CoordinatorCall, LeaseReport, Tally},
};
use keyward_core::time::{Span, Timestamp};

/// The coordinator's answer that a window is full is cached for at most this time …
const MAX_FULL: Span = Span::from_secs(1);
/// … and for this time if it did not say when the window opens.
const DEFAULT_FULL: Span = Span::from_ms(200);
/// Share of the total demand that is asked for, in per cent. Not all isolates return before the relay asks again, and each
/// has added a reserve of its own.
const REQUESTED_PERCENT: u64 = 75;

impl Relay {
    /// Whether to call the coordinator now: for the next lease, ahead of need, or to give back what is left of one.
    pub fn is_short(&self, now: Timestamp) -> bool {
        if self.leases_held.iter().any(|lease_held| !lease_held.returned && lease_held.is_ending(now)) {
            return true;
        }
        self.leases_held.last().is_some_and(|newest| {
            let few = newest.left <= newest.lease.requests / 4;
            // As a lease ages, its subleases get shorter.
            let old = (now - newest.begins) * 2 >= newest.ends - newest.begins;
            (few || old) && !newest.renewed
        })
    }

    /// The time until the relay should give back what is left of a lease; `Some` once for each lease.
    pub fn returns_in(&mut self, now: Timestamp) -> Option<Span> {
        let lease_held = self.leases_held.iter_mut().find(|lease_held| !lease_held.watched)?;
        lease_held.watched = true;
        Some((lease_held.ends - RETURN - now).max(Span::ZERO))
    }

    /// The next call to the coordinator, on behalf of requests decided on this version. `queued` of them wait.
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
            let singles = lease_held.singles.iter().map(|single| single.1);
            let open = singles.fold(lease_held.left.saturating_add(given), u32::saturating_add);
            LeaseReport {
                id: lease_held.lease.id,
                used: lease_held.used,
                age: age(lease_held.last_use, now),
                open,
            }
        };
        let leases = self.leases_held.iter().map(report).collect();
        let tally = self.undelivered.begin(self.teller, &mut self.tallies, Grantor::Coordinator, now);
        let wants = u64::from(self.clients.total_wants(now)) * REQUESTED_PERCENT / 100;
        Acquire {
            version,
            immediate: false,
            within: Span::ZERO,
            wants: u32::try_from(wants).unwrap_or(u32::MAX),
            queued,
            lease_length: self.lease_length,
            client_id: self.id,
            leases,
            unreported: std::mem::take(&mut self.unreported),
            isolates: self.clients.isolates(now),
            refused: tally.refused(),
            tally: Some(tally),
            ..Acquire::default()
        }
    }

    /// Whether the caller should deliver what was counted, from now on. Only one does at a time.
    pub fn begins_delivery(&mut self) -> bool {
        let begins = !self.delivers && !self.undelivered.is_empty();
        self.delivers |= begins;
        begins
    }

    /// The time until the next delivery is due; `None` if nothing is left to deliver.
    pub fn delivery_due_in(&mut self, now: Timestamp) -> Option<Span> {
        self.delivers = !self.undelivered.is_empty();
        self.undelivered.due_in(now).filter(|_| self.delivers)
    }

    /// The delivering task has given up.
    pub fn gives_up_delivery(&mut self) {
        self.delivers = false;
    }

    /// The delivery that is due now; `None` if another call carries it.
    pub fn begin_delivery(&mut self, now: Timestamp) -> Option<(Tally, CoordinatorCall)> {
        let tally = self.undelivered.begin(self.teller, &mut self.tallies, Grantor::Coordinator, now);
        let call = CoordinatorCall::Report {
            refused: tally.refused(),
            leases: Vec::new(),
            tally: Some(tally.clone()),
        };
        (!tally.is_empty()).then_some((tally, call))
    }

    /// A delivery has ended: the coordinator has it (`delivered`), or nobody knows.
    pub fn end_delivery(&mut self, tally: &Tally, delivered: bool, now: Timestamp) {
        self.undelivered.end(tally.number, delivered, now);
    }

    /// The coordinator's answer to a call; `None` if there was none. `asked` is when the call was sent, by the clock as it
    /// is set now.
    pub fn answered(&mut self, call: &Acquire, answer: Option<&Acquired>, asked: Timestamp, now: Timestamp) {
        if let Some(tally) = &call.tally {
            self.end_delivery(tally, answer.is_some(), now);
        }
        let Some(answer) = answer else {
            self.unreported = self.unreported.saturating_add(call.unreported);
            // The last answer holds a little longer, as long as it can be true, so that isolates do not all ask the
            // coordinator themselves.
            self.full_until = self.full_until.map(|_| (now + MAX_FULL).min(self.opens));
            return;
        };
        match answer {
            Acquired::Granted { windows, lease, via, .. } => {
                self.confirm(call.version, asked);
                self.windows.clone_from(windows);
                self.is_crowd = via.relay;
                // Fewer requests than wait: the rest is over the limit.
                let is_full = lease.as_ref().is_some_and(|lease| lease.requests < call.queued);
                self.full_until = is_full.then(|| now + DEFAULT_FULL);
                self.opens = now + DEFAULT_FULL;
                if let Some(lease) = lease {
                    // The new lease covers all predicted demand, so what is left of older ones goes back with the next
                    // call.
                    for lease_held in &mut self.leases_held {
                        lease_held.left = 0;
                    }
                    self.leases_held.push(RelayLease {
                        lease: lease.clone(),
                        begins: asked,
                        ends: asked + lease.length,
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
            Acquired::Limited { windows, retry_after, via, .. } => {
                self.confirm(call.version, asked);
                self.windows.clone_from(windows);
                self.is_crowd = via.relay;
                // Counted from now, so that it answers everybody who waits.
                self.full_until = Some(now + (*retry_after).min(MAX_FULL));
                self.opens = now + *retry_after;
            }
            Acquired::Changed { record } => {
                self.confirm(record.version, asked);
                self.record = Some(record.clone());
            }
            Acquired::Unknown | Acquired::Unreached { .. } | Acquired::Busy { .. } => {}
        }
    }

    /// The coordinator, asked at this moment, has this version.
    fn confirm(&mut self, version: u64, asked: Timestamp) {
        if version > self.version {
            // The new version may not allow what the old one did.
            for lease_held in &mut self.leases_held {
                lease_held.left = 0;
            }
            self.version = version;
            self.record = None;
            self.full_until = None;
        }
        self.confirmed = self.confirmed.max(asked);
    }
}
