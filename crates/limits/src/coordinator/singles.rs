//! Single requests that were granted recently. If an answer came too late or was lost, its request was not admitted, and can
//! be taken back here. They are remembered for as long as a tally may say so; they are not stored, and what is forgotten
//! stays counted.

use std::collections::VecDeque;

use crate::tally::REMEMBERED;
use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
};

/// Most grants, and most void calls, that are remembered.
const MAX_REMEMBERED: usize = 8_192;

/// Single requests granted in the last half hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleGrants {
    granted: VecDeque<Single>,
    /// Calls that were given up before they arrived.
    void: VecDeque<(u64, Timestamp)>,
}

/// A single request that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single {
    /// The call that asked for it.
    pub call: u64,
    /// When it was granted.
    pub at: Timestamp,
    /// The moment at which it counts; `None` once it was cancelled.
    pub reservation: Option<Timestamp>,
    /// What it counts as.
    pub cost: Cost,
    /// The route on which it was counted.
    pub route: Option<String>,
}

impl SingleGrants {
    /// A request was granted.
    pub fn grant(&mut self, single: Single) {
        if single.call != 0 {
            self.forget(single.at);
            self.granted.push_back(single);
        }
    }

    /// The reservation of this call, to be cancelled; `Some` only once.
    pub fn reservation_of(&mut self, call: u64) -> Option<(Timestamp, Cost)> {
        let single = self.granted.iter_mut().find(|single| single.call == call)?;
        Some((single.reservation.take()?, single.cost))
    }

    /// Forgets and returns what this call was granted; `None` if nothing is remembered of it.
    pub fn take(&mut self, call: u64) -> Option<Single> {
        let index = self.granted.iter().position(|single| single.call == call)?;
        self.granted.remove(index)
    }

    /// Nobody waits for this call any more. If it still arrives, it must be granted nothing.
    pub fn give_up(&mut self, call: u64, now: Timestamp) {
        self.forget(now);
        self.void.push_back((call, now));
    }

    /// Whether this call was given up.
    pub fn is_void(&self, call: u64) -> bool {
        call != 0 && self.void.iter().any(|(void, _)| *void == call)
    }

    /// The clock was set: moves every moment.
    pub fn shift(&mut self, by: Span) {
        for single in &mut self.granted {
            single.at = single.at + by;
            single.reservation = single.reservation.map(|reservation| reservation + by);
        }
        for (_, at) in &mut self.void {
            *at = *at + by;
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let is_old = |at: Timestamp| now - at >= REMEMBERED;
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
