//! A relay at work: calls that it cannot answer wait while one of them asks the KeyGate for all.

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
    timing::{CROWDED, PROMPT, TRAVEL},
    wire::{KeyGateCall, LeaseReport, RefusalCounts, Take, Taken, Tally},
};
use keyward_core::{
    breaker::{Breaker, End, Leave, STORE},
    time::{SECOND, Timestamp},
    unavailable::Unavailable,
};

/// The KeyGate is asked at most once in so many milliseconds: all relays of a key together leave it room
/// for some hundred isolates a second that join.
const GAP: i64 = 750;
/// A call that tries whether it answers again has ended by then.
const LONGEST: u32 = CROWDED + GAP as u32;

/// When something is to be told, it looks again after so long at the latest …
const LOOK: i64 = SECOND;
/// … and gives up after so many.
const LOOKS: u32 = 900;

/// What a relay asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Upstream {
    /// The KeyGate's answer.
    async fn ask(&self, take: &Take) -> Result<Taken, Unavailable>;
    /// Has the KeyGate hear what was counted.
    async fn tell(&self, report: &KeyGateCall) -> Result<(), Unavailable>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    async fn wait(&self, milliseconds: u32);
    /// Does this beside all else, to its end.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);
}

/// A relay with what it waits for.
pub struct Desk<U> {
    upstream: U,
    relay: RefCell<Relay>,
    /// Of the KeyGate.
    breaker: RefCell<Breaker>,
    waiting: Cell<u32>,
    /// When the KeyGate was last asked.
    asked: Cell<Timestamp>,
    /// The same while it is asked.
    sent: Cell<Option<Timestamp>>,
    /// It did not answer then.
    has_failed: Cell<bool>,
    /// Those that wait for the end of the call that asks it now; `None` if none does.
    queue: RefCell<Option<Vec<Waker>>>,
}

/// So many requests that wait for an answer of the KeyGate's, out of all that do.
struct Waiting<'a>(u32, &'a Cell<u32>);

impl<'a> Waiting<'a> {
    fn of(take: &Take, all: &'a Cell<u32>) -> Self {
        let requests = take.waiting.saturating_add(take.at_hand.into());
        all.set(all.get().saturating_add(requests));
        Self(requests, all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get().saturating_sub(self.0));
    }
}

/// The call that asks the KeyGate. All that wait for it go on together when it ends, however it does: so
/// none that came later takes what was asked for one that was there before.
struct Asking<'a>(&'a RefCell<Option<Vec<Waker>>>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.take().into_iter().flatten().for_each(Waker::wake);
    }
}

impl<U: Upstream + 'static> Desk<U> {
    /// The relay with this random number.
    pub fn new(upstream: U, random: u64) -> Self {
        let (breaker, waiting, asked, sent, has_failed, queue) = Default::default();
        let relay = RefCell::new(Relay::new(random));
        Self { upstream, relay, breaker, waiting, asked, sent, has_failed, queue }
    }

    /// What it asks of the platform.
    pub fn upstream(&self) -> &U {
        &self.upstream
    }

    /// Answers a gate.
    pub async fn take(self: &Rc<Self>, take: &Take) -> Taken {
        let came = self.upstream.now();
        self.relay.borrow_mut().hear(take, came);
        let _waiting = Waiting::of(take, &self.waiting);
        // After that nobody waits for it any more: it would be used up in vain. An older gate that has no request at
        // hand does not say for how long it waits.
        let within = if take.within_ms > 0 { take.within_ms.min(CROWDED) } else { CROWDED };
        loop {
            let now = self.upstream.now();
            let passed = u32::try_from(now.0 - came.0).unwrap_or(u32::MAX);
            let answer = (passed < within).then(|| self.relay.borrow_mut().answer(take, now)).flatten();
            if let Some(taken) = answer {
                return taken;
            }
            // The gate hears of it before it gives this relay up.
            let left = within.saturating_sub(TRAVEL).saturating_sub(passed);
            if left == 0 {
                return Taken::Unreached { slow: self.is_slow(now) };
            }
            if !self.asks(take.version) {
                return Taken::Unreached { slow: true };
            }
            select(pin!(self.asking_ends()), pin!(self.upstream.wait(left))).await;
        }
    }

    /// Takes in a report.
    pub fn note(&self, refused: &RefusalCounts, leases: &[LeaseReport], tally: Option<&Tally>) {
        self.relay.borrow_mut().note(refused, leases, tally, self.upstream.now());
    }

    /// Has the KeyGate hear what was counted, where no call is made that takes it along. To be called after each
    /// answer; returns at once where nothing is to be done.
    pub async fn tell(&self) {
        if !self.relay.borrow_mut().begins_to_tell() {
            return;
        }
        for _ in 0..LOOKS {
            let Some(due) = self.relay.borrow_mut().tells_in(self.upstream.now()) else { return };
            if due > 0 {
                self.upstream.wait(u32::try_from(due.min(LOOK)).unwrap_or_default()).await;
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

    /// Asks the KeyGate for more ahead of need, and gives back what is left of each lease before it ends.
    /// To be called after each answer; returns at once where nothing is to be done.
    pub async fn tend(self: &Rc<Self>) {
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

    /// Waits for the call that asks the KeyGate.
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

    /// Whether the KeyGate takes longer than it usually may, or did not answer when it was asked last.
    fn is_slow(&self, now: Timestamp) -> bool {
        self.has_failed.get() || self.sent.get().is_some_and(|sent| now.0 - sent.0 >= i64::from(PROMPT))
    }

    /// Whether the KeyGate is being asked from now on: whoever asks asks for all. Not so while it fails again and again.
    fn asks(self: &Rc<Self>, version: u64) -> bool {
        if self.queue.borrow().is_some() {
            return true;
        }
        let Some(leave) = self.breaker.borrow_mut().leave(self.upstream.now(), LONGEST) else { return false };
        self.queue.replace(Some(Vec::new()));
        let desk = Rc::clone(self);
        // Not as a part of the call that it is for, which may end before.
        self.upstream.spawn(Box::pin(async move { desk.ask(version, leave).await }));
        true
    }

    async fn ask(&self, version: u64, leave: Leave) {
        let _asking = Asking(&self.queue);
        let since = self.upstream.now().0 - self.asked.get().0;
        // A clock that was set back makes it no longer.
        if let Some(rest) = u32::try_from((GAP - since).min(GAP)).ok().filter(|rest| *rest > 0) {
            self.upstream.wait(rest).await;
        }
        let asked = self.upstream.now();
        self.asked.set(asked);
        self.sent.set(Some(asked));
        let ask = self.relay.borrow_mut().ask(version, self.waiting.get(), asked);
        let before = self.relay.borrow_mut().notice(asked);
        let (answer, patience) = (pin!(self.upstream.ask(&ask)), pin!(self.upstream.wait(CROWDED)));
        let answer = match select(answer, patience).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Unavailable),
        };
        let now = self.upstream.now();
        self.sent.set(None);
        self.has_failed.set(answer.is_err());
        let end = if answer.is_ok() { End::Well } else { End::Badly };
        self.breaker.borrow_mut().ended(STORE, leave, end, now);
        let known = answer.ok().filter(|taken| *taken != Taken::Unknown);
        let mut relay = self.relay.borrow_mut();
        // A lease is counted from the call on: like all others, earlier by as much as the clock was set back meanwhile.
        // Of that, what is hidden by the time that has passed is no more than the answer was waited for.
        let set_back = relay.notice(now) - before;
        let asked =
            if set_back > 0 { asked.plus(-set_back).min(now.plus(-i64::from(CROWDED))) } else { asked };
        relay.answered(&ask, known.as_ref(), asked, now);
    }
}
