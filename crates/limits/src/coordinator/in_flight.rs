//! Requests of a key that are in flight, as far as anybody says so: each ends when its isolate says that it has, or once nobody
//! has said for some time that it goes on.

use serde::{Deserialize, Serialize};

use crate::timing::IN_FLIGHT;
use keyward_core::{
    record::MOST_IN_FLIGHT,
    time::{Span, Timestamp},
};

/// The requests in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InFlight(Vec<Request>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    /// The call that began it.
    call: u64,
    /// It has ended by then if nobody says that it goes on.
    until: Timestamp,
}

impl InFlight {
    /// Whether there is room under this limit for the request of this call, which may have begun already.
    pub fn has_room(&self, call: u64, limit: u32) -> bool {
        self.0.len() < limit.min(MOST_IN_FLIGHT) as usize || self.0.iter().any(|request| request.call == call)
    }

    /// The request of this call begins.
    pub fn begin(&mut self, call: u64, until: Timestamp) {
        if !self.goes_on(call, until) {
            self.0.push(Request { call, until });
        }
    }

    /// The request of this call goes on until then at the latest; false if it has ended.
    pub fn goes_on(&mut self, call: u64, until: Timestamp) -> bool {
        let request = self.0.iter_mut().find(|request| request.call == call);
        request.map(|request| request.until = request.until.max(until)).is_some()
    }

    /// The request of this call has ended; false if it had before.
    pub fn end(&mut self, call: u64) -> bool {
        self.0.extract_if(.., |request| request.call == call).count() > 0
    }

    /// Forgets those that have ended by now. A build that does not know them does not move them with its clock: then they may
    /// seem to last for longer than any does.
    pub fn expire(&mut self, now: Timestamp) {
        self.0.retain(|request| request.until > now);
        for request in &mut self.0 {
            request.until = request.until.min(now + IN_FLIGHT);
        }
    }

    /// The clock was set: moves every moment.
    pub fn shift(&mut self, by: Span) {
        for request in &mut self.0 {
            request.until = request.until + by;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
