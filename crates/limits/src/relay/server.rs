//! A relay at work: one call to the coordinator serves all calls that wait for it (single flight).

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
};

use futures_util::{
    FutureExt as _,
    future::{Either, LocalBoxFuture, join, select},
};

use super::Relay;
use crate::{
    timing::{FIRST_ANSWER, RELAY_ANSWER, TRAVEL},
    wire::{Acquire, Acquired, CoordinatorCall, LeaseReport, RefusalCounts, ReportAck, Tally},
};
use keyward_core::{
    breaker::{Breaker, End, Leave, STORE},
    single_flight::SingleFlight,
    time::{Span, Timestamp},
    unavailable::Unavailable,
};

/// Minimum time between two calls to the coordinator, so that the 64 relays of a key leave it room for some
/// hundred new isolates a second.
const CALL_GAP: Span = Span::from_ms(550);
/// Longest time that a call takes, with the gap before it. The circuit breaker lets the next one try after that.
const MAX_CALL: Span = RELAY_ANSWER.plus(CALL_GAP);

/// Maximum time between two checks whether a delivery is due …
const CHECK: Span = Span::from_secs(1);
/// … and maximum checks before the task gives up: 15 minutes.
const MAX_CHECKS: u32 = 900;

/// What a relay asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Upstream {
    /// Asks the coordinator.
    async fn ask(&self, call: &Acquire) -> Result<Acquired, Unavailable>;
    /// Delivers what was counted to the coordinator.
    async fn report(&self, report: &CoordinatorCall) -> Result<(), Unavailable>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, span: Span);
    /// Runs this to its end, beside everything else.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
}

/// A relay with its calls.
pub struct RelayServer<U> {
    upstream: U,
    relay: RefCell<Relay>,
    /// The circuit breaker of the coordinator.
    breaker: RefCell<Breaker>,
    /// Units that wait for the coordinator.
    queued: Cell<u32>,
    /// Units that were needed since it was last asked.
    arrived: Cell<u32>,
    /// When the coordinator was last asked.
    asked: Cell<Timestamp>,
    /// When the call in flight was sent.
    sent: Cell<Option<Timestamp>>,
    /// Whether the last call failed.
    has_failed: Cell<bool>,
    /// The call of the coordinator.
    flight: SingleFlight,
}

/// A relay's answer, and what it does after that.
pub struct Served {
    /// The answer, as JSON.
    pub answer: String,
    /// To be run to its end once there is an answer, whether or not anybody still waits for that.
    pub afterwards: LocalBoxFuture<'static, ()>,
}

/// The units of one call that wait for the coordinator, and the count of all that do.
struct Queued<'a>(u32, &'a Cell<u32>);

impl<'a> Queued<'a> {
    fn of(call: &Acquire, all: &'a Cell<u32>) -> Self {
        let units = call.queued.saturating_add(call.immediate_units());
        all.set(all.get().saturating_add(units));
        Self(units, all)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get().saturating_sub(self.0));
    }
}

impl<U: Upstream + 'static> RelayServer<U> {
    /// A relay with a random number.
    pub fn new(upstream: U, random: u64) -> Self {
        let (breaker, queued, arrived, asked, sent, has_failed, flight) = Default::default();
        let relay = RefCell::new(Relay::new(random));
        Self { upstream, relay, breaker, queued, arrived, asked, sent, has_failed, flight }
    }

    /// Its platform.
    pub fn upstream(&self) -> &U {
        &self.upstream
    }

    /// Answers a call of an isolate; `None` for those that only the coordinator answers: a relay stores no record.
    ///
    /// # Errors
    /// None in practice: everything here can be written as JSON.
    pub async fn serve(self: &Rc<Self>, call: CoordinatorCall) -> serde_json::Result<Option<Served>> {
        let server = Rc::clone(self);
        let served = match call {
            CoordinatorCall::Acquire(call) => Served {
                answer: serde_json::to_string(&self.acquire(&call).await)?,
                afterwards: async move { join(server.deliver(), server.maintain()).map(drop).await }
                    .boxed_local(),
            },
            CoordinatorCall::Report { refused, leases, tally } => {
                self.note(&refused, &leases, tally.as_ref());
                let answer = serde_json::to_string(&ReportAck {})?;
                Served { answer, afterwards: async move { server.deliver().await }.boxed_local() }
            }
            CoordinatorCall::Put { .. }
            | CoordinatorCall::Get
            | CoordinatorCall::InFlight { .. }
            | CoordinatorCall::Settle { .. } => {
                return Ok(None);
            }
        };
        Ok(Some(served))
    }

    /// Answers an isolate.
    pub async fn acquire(self: &Rc<Self>, call: &Acquire) -> Acquired {
        let came = self.upstream.now();
        self.relay.borrow_mut().ingest(call, came);
        let waiting = Queued::of(call, &self.queued);
        self.arrived.set(self.arrived.get().saturating_add(waiting.0));
        // After this time the isolate has given up, and a request granted to it would be wasted. Older builds do not say
        // how long they wait unless a request is immediate.
        let within = if call.within > Span::ZERO { call.within.min(RELAY_ANSWER) } else { RELAY_ANSWER };
        loop {
            let now = self.upstream.now();
            let passed = now - came;
            let is_in_time = came.is_within(within, now);
            let answer = is_in_time.then(|| self.relay.borrow_mut().answer(call, now)).flatten();
            if let Some(acquired) = answer {
                return acquired;
            }
            // The isolate must hear of it before it gives this relay up.
            let left = within - TRAVEL - passed;
            if passed < Span::ZERO || left <= Span::ZERO {
                return Acquired::Unreached { slow: self.is_slow(now) };
            }
            if !self.asks(call.version) {
                return Acquired::Unreached { slow: true };
            }
            select(pin!(self.flight.ends()), pin!(self.upstream.wait(left))).await;
        }
    }

    /// Takes in a report.
    fn note(&self, refused: &RefusalCounts, leases: &[LeaseReport], tally: Option<&Tally>) {
        self.relay.borrow_mut().note(refused, leases, tally, self.upstream.now());
    }

    /// Delivers what was counted to the coordinator, unless another call carries it. Returns at once if there is nothing
    /// to deliver.
    async fn deliver(&self) {
        if !self.relay.borrow_mut().begins_delivery() {
            return;
        }
        for _ in 0..MAX_CHECKS {
            let Some(due) = self.relay.borrow_mut().delivery_due_in(self.upstream.now()) else { return };
            if due > Span::ZERO {
                self.upstream.wait(due.min(CHECK)).await;
                continue;
            }
            let delivery = self.relay.borrow_mut().begin_delivery(self.upstream.now());
            if let Some((tally, report)) = delivery {
                let delivered = self.upstream.report(&report).await.is_ok();
                self.relay.borrow_mut().end_delivery(&tally, delivered, self.upstream.now());
            }
        }
        self.relay.borrow_mut().gives_up_delivery();
    }

    /// Asks for the next lease ahead of need, and gives back what is left of each lease before its end. Returns at once if
    /// there is nothing to do.
    async fn maintain(self: &Rc<Self>) {
        loop {
            if self.relay.borrow().is_short(self.upstream.now()) && !self.flight.is_under_way() {
                let version = self.relay.borrow().version;
                if self.asks(version) {
                    self.flight.ends().await;
                }
            }
            let returns_in = self.relay.borrow_mut().returns_in(self.upstream.now());
            let Some(returns_in) = returns_in else { return };
            self.upstream.wait(returns_in).await;
        }
    }

    /// If requests wait: how many there are, or will be until the coordinator can be asked again. A lease for those alone that wait
    /// would leave the next ones waiting for longer than they can.
    fn needed(&self, since_asked: Span) -> u32 {
        let (queued, arrived) = (self.queued.get(), self.arrived.get());
        let until_next = u64::from(arrived) * u64::from(CALL_GAP.timer_ms())
            / u64::from(since_asked.max(CALL_GAP).timer_ms());
        if queued == 0 { 0 } else { queued.max(u32::try_from(until_next).unwrap_or(u32::MAX)) }
    }

    /// Whether the coordinator takes longer than usual, or failed last time.
    fn is_slow(&self, now: Timestamp) -> bool {
        self.has_failed.get() || self.sent.get().is_some_and(|sent| now - sent >= FIRST_ANSWER)
    }

    /// Makes sure that a call is in flight (single flight). `false` while the circuit breaker is open.
    fn asks(self: &Rc<Self>, version: u64) -> bool {
        if self.flight.is_under_way() {
            return true;
        }
        let Some(leave) = self.breaker.borrow_mut().leave(self.upstream.now(), MAX_CALL) else {
            return false;
        };
        self.flight.begin();
        let server = Rc::clone(self);
        // As a task of its own: the call that started it may end first.
        self.upstream.spawn(Box::pin(async move { server.ask(version, leave).await }));
        true
    }

    async fn ask(&self, version: u64, leave: Leave) {
        let _guard = self.flight.guard();
        let since = self.upstream.now() - self.asked.get();
        // No longer than the gap, even if the clock was set back.
        let rest = (CALL_GAP - since).min(CALL_GAP);
        if rest > Span::ZERO {
            self.upstream.wait(rest).await;
        }
        let asked = self.upstream.now();
        let queued = self.needed(asked - self.asked.get());
        self.asked.set(asked);
        self.arrived.set(0);
        self.sent.set(Some(asked));
        let ask = self.relay.borrow_mut().ask(version, queued, asked);
        let before = self.relay.borrow_mut().notice(asked);
        let (answer, timeout) = (pin!(self.upstream.ask(&ask)), pin!(self.upstream.wait(RELAY_ANSWER)));
        let answer = match select(answer, timeout).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Unavailable),
        };
        let now = self.upstream.now();
        self.sent.set(None);
        self.has_failed.set(answer.is_err());
        let end = if answer.is_ok() { End::Well } else { End::Badly };
        self.breaker.borrow_mut().ended(STORE, leave, end, now);
        let known = answer.ok().filter(|acquired| *acquired != Acquired::Unknown);
        let mut relay = self.relay.borrow_mut();
        // A lease counts from before the call, so it ends earlier by as much as the clock was set back meanwhile. Of
        // that, the time that passed hides at most [`RELAY_ANSWER`].
        let set_back = relay.notice(now) - before;
        let asked = if set_back > Span::ZERO { (asked - set_back).min(now - RELAY_ANSWER) } else { asked };
        relay.answered(&ask, known.as_ref(), asked, now);
    }
}
