//! A relay at work. Single flight: one upstream call serves all calls that wait.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
};

use futures_util::future::{Either, LocalBoxFuture, select};

use super::Relay;
use crate::{
    timing::{FIRST_ANSWER_MS, RELAY_ANSWER_MS, TRAVEL_MS},
    wire::{Acquire, Acquired, CoordinatorCall, LeaseReport, RefusalCounts, Tally},
};
use keyward_core::{
    breaker::{Breaker, End, Leave, STORE},
    time::{SECOND, Timestamp},
    unavailable::Unavailable,
};

/// Least milliseconds between two calls of the coordinator: all relays of a key together leave it room for some
/// hundred new isolates a second.
const CALL_GAP_MS: i64 = 750;
/// Longest time that a call takes, in milliseconds, which tries whether the coordinator answers again.
const MAX_CALL_MS: u32 = RELAY_ANSWER_MS + CALL_GAP_MS as u32;

/// Most milliseconds between two looks while something is to be delivered …
const LOOK_MS: i64 = SECOND;
/// … and most looks before it gives up.
const LOOKS: u32 = 900;

/// What a relay asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Upstream {
    /// The coordinator's answer.
    async fn ask(&self, take: &Acquire) -> Result<Acquired, Unavailable>;
    /// Delivers what was counted to the coordinator.
    async fn tell(&self, report: &CoordinatorCall) -> Result<(), Unavailable>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, milliseconds: u32);
    /// Runs this beside all else, to its end.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
}

/// A relay with the calls that it answers.
pub struct RelayServer<U> {
    upstream: U,
    relay: RefCell<Relay>,
    /// The coordinator's.
    breaker: RefCell<Breaker>,
    queued: Cell<u32>,
    /// When the coordinator was last asked.
    asked: Cell<Timestamp>,
    /// The same while a call is in flight.
    sent: Cell<Option<Timestamp>>,
    /// Whether the last call failed.
    has_failed: Cell<bool>,
    /// Those that wait for the call in flight; `None` if there is none.
    queue: RefCell<Option<Vec<Waker>>>,
}

/// The requests of one call that wait for the coordinator, out of all that do.
struct Queued<'a>(u32, &'a Cell<u32>);

impl<'a> Queued<'a> {
    fn of(take: &Acquire, all: &'a Cell<u32>) -> Self {
        let requests = take.queued.saturating_add(take.immediate.into());
        all.set(all.get().saturating_add(requests));
        Self(requests, all)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get().saturating_sub(self.0));
    }
}

/// The call in flight. All that wait for it go on together when it ends, however it ends: nobody who came later
/// takes what was asked for somebody who was there before.
struct Asking<'a>(&'a RefCell<Option<Vec<Waker>>>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.take().into_iter().flatten().for_each(Waker::wake);
    }
}

impl<U: Upstream + 'static> RelayServer<U> {
    /// The relay with this random number.
    pub fn new(upstream: U, random: u64) -> Self {
        let (breaker, queued, asked, sent, has_failed, queue) = Default::default();
        let relay = RefCell::new(Relay::new(random));
        Self { upstream, relay, breaker, queued, asked, sent, has_failed, queue }
    }

    /// What it asks of the platform.
    pub fn upstream(&self) -> &U {
        &self.upstream
    }

    /// Answers a gate.
    pub async fn acquire(self: &Rc<Self>, take: &Acquire) -> Acquired {
        let came = self.upstream.now();
        self.relay.borrow_mut().ingest(take, came);
        let _waiting = Queued::of(take, &self.queued);
        // Later nobody waits for the answer any more: it would be used up in vain. An older gate without an
        // immediate request does not say for how long it waits.
        let within = if take.within_ms > 0 { take.within_ms.min(RELAY_ANSWER_MS) } else { RELAY_ANSWER_MS };
        loop {
            let now = self.upstream.now();
            let passed = u32::try_from(now.0 - came.0).unwrap_or(u32::MAX);
            let answer = (passed < within).then(|| self.relay.borrow_mut().answer(take, now)).flatten();
            if let Some(taken) = answer {
                return taken;
            }
            // The gate learns of it before it gives this relay up.
            let left = within.saturating_sub(TRAVEL_MS).saturating_sub(passed);
            if left == 0 {
                return Acquired::Unreached { slow: self.is_slow(now) };
            }
            if !self.asks(take.version) {
                return Acquired::Unreached { slow: true };
            }
            select(pin!(self.asking_ends()), pin!(self.upstream.wait(left))).await;
        }
    }

    /// Takes in a report.
    pub fn note(&self, refused: &RefusalCounts, leases: &[LeaseReport], tally: Option<&Tally>) {
        self.relay.borrow_mut().note(refused, leases, tally, self.upstream.now());
    }

    /// Delivers what was counted to the coordinator where no other call carries it. To be called after each
    /// answer; returns at once where nothing is to be done.
    pub async fn tell(&self) {
        if !self.relay.borrow_mut().begins_to_tell() {
            return;
        }
        for _ in 0..LOOKS {
            let Some(due) = self.relay.borrow_mut().tells_in(self.upstream.now()) else { return };
            if due > 0 {
                self.upstream.wait(u32::try_from(due.min(LOOK_MS)).unwrap_or_default()).await;
                continue;
            }
            let told = self.relay.borrow_mut().tell(self.upstream.now());
            if let Some((tally, report)) = told {
                let heard = self.upstream.tell(&report).await.is_ok();
                self.relay.borrow_mut().told(&tally, heard, self.upstream.now());
            }
        }
        self.relay.borrow_mut().gives_up_telling();
    }

    /// Asks the coordinator for the next lease ahead of need, and gives back what is left of each lease before
    /// its end. To be called after each answer; returns at once where nothing is to be done.
    pub async fn maintain(self: &Rc<Self>) {
        loop {
            if self.relay.borrow().is_short(self.upstream.now()) && self.queue.borrow().is_none() {
                let version = self.relay.borrow().version;
                if self.asks(version) {
                    self.asking_ends().await;
                }
            }
            let returns_in = self.relay.borrow_mut().returns_in(self.upstream.now());
            let Some(returns_in) = returns_in else { return };
            self.upstream.wait(returns_in).await;
        }
    }

    /// Waits for the call in flight.
    async fn asking_ends(&self) {
        let mut is_queued = false;
        poll_fn(|context| match self.queue.borrow_mut().as_mut() {
            Some(queue) if !is_queued => {
                is_queued = true;
                queue.push(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Whether the coordinator takes longer than usual, or did not answer last time.
    fn is_slow(&self, now: Timestamp) -> bool {
        self.has_failed.get()
            || self.sent.get().is_some_and(|sent| now.0 - sent.0 >= i64::from(FIRST_ANSWER_MS))
    }

    /// Single flight: makes sure that a call is in flight, which serves all. `false` while the breaker is open.
    fn asks(self: &Rc<Self>, version: u64) -> bool {
        if self.queue.borrow().is_some() {
            return true;
        }
        let Some(leave) = self.breaker.borrow_mut().leave(self.upstream.now(), MAX_CALL_MS) else {
            return false;
        };
        self.queue.replace(Some(Vec::new()));
        let server = Rc::clone(self);
        // Not as part of the call that it is made for, which may end first.
        self.upstream.spawn(Box::pin(async move { server.ask(version, leave).await }));
        true
    }

    async fn ask(&self, version: u64, leave: Leave) {
        let _asking = Asking(&self.queue);
        let since = self.upstream.now().0 - self.asked.get().0;
        // A clock that was set back makes it no longer.
        if let Some(rest) =
            u32::try_from((CALL_GAP_MS - since).min(CALL_GAP_MS)).ok().filter(|rest| *rest > 0)
        {
            self.upstream.wait(rest).await;
        }
        let asked = self.upstream.now();
        self.asked.set(asked);
        self.sent.set(Some(asked));
        let ask = self.relay.borrow_mut().ask(version, self.queued.get(), asked);
        let before = self.relay.borrow_mut().notice(asked);
        let (answer, patience) = (pin!(self.upstream.ask(&ask)), pin!(self.upstream.wait(RELAY_ANSWER_MS)));
        let answer = match select(answer, patience).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Unavailable),
        };
        let now = self.upstream.now();
        self.sent.set(None);
        self.has_failed.set(answer.is_err());
        let end = if answer.is_ok() { End::Well } else { End::Badly };
        self.breaker.borrow_mut().ended(STORE, leave, end, now);
        let known = answer.ok().filter(|taken| *taken != Acquired::Unknown);
        let mut relay = self.relay.borrow_mut();
        // A lease counts from before the call, and so ends earlier by as much as the clock was set back
        // meanwhile. The part of that which the passing time hides is at most as long as the answer was waited
        // for.
        let set_back = relay.notice(now) - before;
        let asked = if set_back > 0 {
            asked.plus(-set_back).min(now.plus(-i64::from(RELAY_ANSWER_MS)))
        } else {
            asked
        };
        relay.answered(&ask, known.as_ref(), asked, now);
    }
}
