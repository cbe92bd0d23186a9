//! Single requests that were granted a moment ago, so that one which did not pass after all can be taken back:
//! its answer came too late or was lost on the way. They are remembered for as long as somebody may say so, and
//! not stored: what is forgotten stays counted.

use std::collections::VecDeque;

use crate::tally::REMEMBERED_MS;
use keyward_core::time::Timestamp;

/// So many at most.
const MAX_REMEMBERED: usize = 8_192;

/// Calls of the last half hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleGrants {
    granted: VecDeque<Single>,
    /// Calls that were given up before they came.
    void: VecDeque<(u64, Timestamp)>,
}

/// A request that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// The call that asked for it.
    pub call: u64,
    /// When.
    pub at: Timestamp,
    /// Where it is counted; `None` once that was given back.
    pub reservation: Option<Timestamp>,
}

impl SingleGrants {
    /// A request was granted.
    pub fn grant(&mut self, call: u64, at: Timestamp, reservation: Timestamp) {
        if call != 0 {
            self.forget(at);
            self.granted.push_back(Single { call, at, reservation: Some(reservation) });
        }
    }

    /// The place of this call, to be given back: once.
    pub fn reservation_of(&mut self, call: u64) -> Option<Timestamp> {
        self.granted.iter_mut().find(|single| single.call == call)?.reservation.take()
    }

    /// What this call was granted did not pass; `None` if it was granted nothing that is remembered.
    pub fn take(&mut self, call: u64) -> Option<Single> {
        let reservation = self.granted.iter().position(|single| single.call == call)?;
        self.granted.remove(reservation)
    }

    /// If this call still comes, it is too late.
    pub fn give_up(&mut self, call: u64, now: Timestamp) {
        self.forget(now);
        self.void.push_back((call, now));
    }

    /// Whether this call was given up.
    pub fn is_void(&self, call: u64) -> bool {
        call != 0 && self.void.iter().any(|(void, _)| *void == call)
    }

    /// The clock was set: every moment is by so much less or more now.
    pub fn shift(&mut self, by: i64) {
        for single in &mut self.granted {
            single.at = single.at.plus(by);
            single.reservation = single.reservation.map(|reservation| reservation.plus(by));
        }
        for (_, at) in &mut self.void {
            *at = at.plus(by);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let is_old = |at: Timestamp| now.0 - at.0 >= REMEMBERED_MS;
        while self.granted.len() >= MAX_REMEMBERED
            || self.granted.front().is_some_and(|single| is_old(single.at))
        {
            self.granted.pop_front();
        }
        while self.void.len() >= MAX_REMEMBERED || self.void.front().is_some_and(|(_, at)| is_old(*at)) {
            self.void.pop_front();
        }
    }
}
