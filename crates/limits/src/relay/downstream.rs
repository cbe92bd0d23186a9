//! Calls of isolates: taking in what they report, and answering them from the leases held.

use super::{
    Relay,
    lease::{RETURN, RelayLease, Sublease},
};
use crate::{
    limit::RATE_LIMITED,
    timing::{FIRST_ANSWER, age},
    wire::{Acquire, Acquired, Lease, LeaseReport, RefusalCounts, RouteHint, Tally},
};
use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
};

impl Relay {
    /// Takes in what a call reports: once for each call, before [`Relay::answer`].
    pub fn ingest(&mut self, call: &Acquire, now: Timestamp) {
        self.note(&call.refused, &call.leases, call.tally.as_ref(), now);
        self.expire(now);
        self.unreported = self.unreported.saturating_add(call.unreported);
        self.lease_length = self.lease_length.max(call.lease_length);
        self.clients.note(call, now);
        if call.tally.is_none() {
            self.undelivered.accept(call.unreported.into(), now, now);
        }
    }

    /// Takes in what was counted, and what was used of subleases. Older builds send no tally, so their usage is counted
    /// here.
    pub fn note(
        &mut self,
        refused: &RefusalCounts,
        leases: &[LeaseReport],
        tally: Option<&Tally>,
        now: Timestamp,
    ) {
        // Before it expires anything: by a clock that was set ahead, tellers would be forgotten too soon.
        if now >= self.latest {
            self.tellers.follow(tally, self.latest, now);
        }
        self.notice(now);
        match tally {
            None => self.undelivered.refuse(refused, now, now),
            Some(tally) if self.tellers.ingest(tally, now) => self.undelivered.pass_on(tally, now),
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
                    let at = now - report.age;
                    lease_held.use_up(used, at);
                    if tally.is_none() {
                        self.undelivered.accept(used.into(), at, now);
                    }
                }
            }
        }
        self.subleases.retain(|sublease| sublease.open > 0);
    }

    /// The answer; `None` if the coordinator has to be asked first.
    pub fn answer(&mut self, call: &Acquire, now: Timestamp) -> Option<Acquired> {
        self.expire(now);
        // Half of the lease length is left to the isolate. A confirmation from the future counts for nothing: the clock
        // was set back.
        if self.confirmed > now || (now - self.confirmed) * 2 >= call.lease_length {
            return None;
        }
        if call.version != self.version {
            let record = self.record.clone().filter(|record| record.version > call.version);
            return record.map(|record| Acquired::Changed { record });
        }
        // A sublease must last for a while to be worth granting.
        let needed = if call.immediate { call.within } else { RETURN + FIRST_ANSWER };
        let units = call.immediate_units();
        let usable =
            |lease_held: &&mut RelayLease| lease_held.left >= units.max(1) && lease_held.ends - now > needed;
        let via = RouteHint { relay: self.is_crowd, age: age(self.confirmed, now), hold: Span::ZERO };
        if !call.immediate && call.wants == 0 {
            return Some(Acquired::Granted {
                windows: self.windows(now),
                delay: Span::ZERO,
                reservation: None,
                cost: Cost::ONE,
                lease: None,
                via,
                open: false,
            });
        }
        let Some(lease_held) = self.leases_held.iter_mut().rev().find(usable) else {
            self.full_until.filter(|until| now < *until)?;
            let retry_after = (self.opens - now).max(Span::from_ms(1));
            if call.immediate && call.tally.is_none() {
                self.undelivered.refuse(&[(RATE_LIMITED.to_owned(), 1)].into(), now, now);
            }
            return Some(Acquired::Limited { windows: self.windows(now), retry_after, lease: None, via });
        };
        if call.immediate {
            lease_held.left -= units;
            lease_held.singles.push((now + call.within, units));
            if call.tally.is_none() {
                self.undelivered.accept(1, now, now);
            }
        }
        // It ends early enough for its report to arrive before the lease itself ends.
        let length = (lease_held.ends - now - RETURN).min(call.lease_length);
        let proportional_share = self.clients.proportional_share(call, lease_held.left, now);
        let requests = call.wants.min(proportional_share).max(call.queued.min(lease_held.left));
        let mut lease = None;
        if requests > 0 && length > FIRST_ANSWER {
            lease_held.left -= requests;
            self.last_sublease += 1;
            self.subleases.push(Sublease {
                id: self.last_sublease,
                lease_held: lease_held.lease.id,
                used: 0,
                open: requests,
            });
            lease = Some(Lease { id: self.last_sublease, requests, length, opens: Vec::new() });
        }
        Some(Acquired::Granted {
            windows: self.windows(now),
            delay: Span::ZERO,
            reservation: None,
            cost: if call.immediate { call.cost } else { Cost::ONE },
            lease,
            via,
            open: false,
        })
    }
}
