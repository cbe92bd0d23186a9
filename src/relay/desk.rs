//! A relay at work: calls that it cannot answer wait while one of them asks the KeyGate for all.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    task::{Poll, Waker},
};

use futures_util::future::{Either, select};

use super::Relay;
use crate::{
    lease::CROWDED,
    pipeline::Unavailable,
    time::{SECOND, Timestamp},
    wire::{KeyGateCall, LeaseReport, RefusalCounts, Take, Taken, Tally},
};

/// The KeyGate is asked at most once in so many milliseconds: all relays of a key together leave it room
/// for some hundred isolates a second that join.
const GAP: i64 = 750;

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
}

/// A relay with what it waits for.
pub struct Desk<U> {
    upstream: U,
    relay: RefCell<Relay>,
    waiting: Cell<u32>,
    /// When the KeyGate was last asked.
    asked: Cell<Timestamp>,
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

impl<U: Upstream> Desk<U> {
    /// The relay with this random number.
    pub fn new(upstream: U, random: u64) -> Self {
        let (waiting, asked, queue) = Default::default();
        Self { upstream, relay: RefCell::new(Relay::new(random)), waiting, asked, queue }
    }

    /// What it asks of the platform.
    pub fn upstream(&self) -> &U {
        &self.upstream
    }

    /// Answers a gate.
    ///
    /// # Errors
    /// The KeyGate cannot be reached.
    pub async fn take(&self, take: &Take) -> Result<Taken, Unavailable> {
        let came = self.upstream.now();
        self.relay.borrow_mut().hear(take, came);
        let _waiting = Waiting::of(take, &self.waiting);
        // After that nobody waits for it any more: it would be used up in vain.
        while (0..i64::from(CROWDED)).contains(&(self.upstream.now().0 - came.0)) {
            let answer = self.relay.borrow_mut().answer(take, self.upstream.now());
            if let Some(taken) = answer {
                return Ok(taken);
            }
            // Whoever asks asks for all.
            if self.queue.borrow().is_some() {
                self.asking_ends().await;
            } else {
                self.ask(take.version).await;
            }
        }
        Err(Unavailable)
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
    pub async fn tend(&self) {
        loop {
            if self.relay.borrow().is_short(self.upstream.now()) && self.queue.borrow().is_none() {
                let version = self.relay.borrow().version;
                self.ask(version).await;
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

    async fn ask(&self, version: u64) {
        self.queue.replace(Some(Vec::new()));
        let _asking = Asking(&self.queue);
        let since = self.upstream.now().0 - self.asked.get().0;
        // A clock that was set back makes it no longer.
        if let Some(rest) = u32::try_from((GAP - since).min(GAP)).ok().filter(|rest| *rest > 0) {
            self.upstream.wait(rest).await;
        }
        let asked = self.upstream.now();
        self.asked.set(asked);
        let ask = self.relay.borrow_mut().ask(version, self.waiting.get(), asked);
        let (answer, patience) = (pin!(self.upstream.ask(&ask)), pin!(self.upstream.wait(CROWDED)));
        let known = match select(answer, patience).await {
            Either::Left((Ok(Taken::Unknown) | Err(Unavailable), _)) | Either::Right(_) => None,
            Either::Left((Ok(taken), _)) => Some(taken),
        };
        self.relay.borrow_mut().answered(&ask, known.as_ref(), asked, self.upstream.now());
    }
}
