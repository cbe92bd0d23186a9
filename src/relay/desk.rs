//! A relay at work: calls that it cannot answer wait while one of them asks the KeyGate for all.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
};

use futures_util::{
    future::{Either, select},
    lock::Mutex,
};

use super::Relay;
use crate::{
    lease::CROWDED,
    pipeline::Unavailable,
    time::Timestamp,
    wire::{LeaseReport, RefusalCounts, Take, Taken},
};

/// The KeyGate is asked at most once in so many milliseconds: all relays of a key together stay below
/// 500 calls a second.
const GAP: i64 = 200;
/// One call asks so often for the same gate before it gives up.
const TRIES: usize = 3;

/// What a relay asks of the platform.
#[allow(async_fn_in_trait, reason = "a Worker has one thread: no future here is ever sent to another")]
pub trait Upstream {
    /// The KeyGate's answer.
    async fn ask(&self, take: &Take) -> Result<Taken, Unavailable>;
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
    /// Held by the call that asks; when the KeyGate was last asked.
    turn: Mutex<Timestamp>,
}

/// A call that waits for an answer of the KeyGate's.
struct Waiting<'a>(&'a Cell<u32>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl<U: Upstream> Desk<U> {
    /// The relay with this random number.
    pub fn new(upstream: U, id: u32) -> Self {
        let turn = Mutex::new(Timestamp::default());
        Self { upstream, relay: RefCell::new(Relay::new(id)), waiting: Cell::new(0), turn }
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
        if let Some(taken) = self.answer(take) {
            return Ok(taken);
        }
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(&self.waiting);
        let mut last_asked = self.turn.lock().await;
        for _ in 0..TRIES {
            // Nobody waits for it any more: it would be used up in vain.
            if self.upstream.now().0 - came.0 >= i64::from(CROWDED) {
                return Err(Unavailable);
            }
            // Whoever asked before may have asked for this one, too.
            if let Some(taken) = self.answer(take) {
                return Ok(taken);
            }
            self.ask(take.version, &mut last_asked).await?;
        }
        self.answer(take).ok_or(Unavailable)
    }

    /// Takes in a report.
    pub fn note(&self, refused: &RefusalCounts, leases: &[LeaseReport]) {
        self.relay.borrow_mut().note(refused, leases, self.upstream.now());
    }

    /// Whether to [`Desk::renew`] now, ahead of need.
    pub fn is_short(&self) -> bool {
        self.relay.borrow_mut().is_short(self.upstream.now())
    }

    /// Asks the KeyGate for more.
    pub async fn renew(&self) {
        let mut last_asked = self.turn.lock().await;
        let version = self.relay.borrow().version;
        // Whoever needs it will ask again.
        let _ = self.ask(version, &mut last_asked).await;
    }

    fn answer(&self, take: &Take) -> Option<Taken> {
        self.relay.borrow_mut().answer(take, self.upstream.now())
    }

    async fn ask(&self, version: u64, last_asked: &mut Timestamp) -> Result<(), Unavailable> {
        let since = self.upstream.now().0 - last_asked.0;
        if let Some(rest) = u32::try_from(GAP - since).ok().filter(|rest| *rest > 0) {
            self.upstream.wait(rest).await;
        }
        let asked = self.upstream.now();
        *last_asked = asked;
        let ask = self.relay.borrow_mut().ask(version, self.waiting.get(), asked);
        // Everybody waits for this one.
        let (answer, patience) = (pin!(self.upstream.ask(&ask)), pin!(self.upstream.wait(CROWDED)));
        let taken = match select(answer, patience).await {
            Either::Left((taken, _)) => taken,
            Either::Right(_) => Err(Unavailable),
        };
        let known = taken.as_ref().ok().filter(|taken| !matches!(taken, Taken::Unknown));
        self.relay.borrow_mut().answered(&ask, known, asked, self.upstream.now());
        taken.map(drop)
    }
}
