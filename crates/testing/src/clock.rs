//! Virtual time: it stands still while anything can go on, and only then moves on, at once.

use std::{
    cell::{Cell, RefCell},
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    future::poll_fn,
    task::{Poll, Waker},
};

use keyward_core::time::{Span, Timestamp};

/// A clock that tests move, and that those who wait for a moment are woken by.
pub struct VirtualClock {
    now: Cell<Timestamp>,
    timers: RefCell<BinaryHeap<Reverse<Timer>>>,
    timers_set: Cell<u64>,
}

struct Timer {
    at: Timestamp,
    /// Of those due at one moment, the one that was set first wakes first.
    number: u64,
    waker: Waker,
}

impl VirtualClock {
    /// Time begins at this moment.
    pub fn new(begin: Timestamp) -> Self {
        Self { now: Cell::new(begin), timers: RefCell::default(), timers_set: Cell::default() }
    }

    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Lets this much time pass. A negative span sets the clock back.
    pub fn advance(&self, span: Span) {
        self.set(self.now() + span);
    }

    /// Sets the clock, and wakes all whose time has come by it.
    pub fn set(&self, now: Timestamp) {
        self.now.set(now);
        let mut timers = self.timers.borrow_mut();
        while timers.peek().is_some_and(|Reverse(timer)| timer.at <= now) {
            if let Some(Reverse(timer)) = timers.pop() {
                timer.waker.wake();
            }
        }
    }

    /// Jumps to the next moment that somebody waits for; `false` if nobody waits.
    pub fn skip(&self) -> bool {
        let next = self.timers.borrow().peek().map(|Reverse(timer)| timer.at);
        next.into_iter().for_each(|next| self.set(next));
        next.is_some()
    }

    pub async fn sleep(&self, span: Span) {
        self.sleep_until(self.now() + span).await;
    }

    pub async fn sleep_until(&self, at: Timestamp) {
        poll_fn(|context| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            let number = self.timers_set.get();
            self.timers_set.set(number + 1);
            self.timers.borrow_mut().push(Reverse(Timer { at, number, waker: context.waker().clone() }));
            Poll::Pending
        })
        .await;
    }
}

impl Timer {
    fn order(&self) -> (Timestamp, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}
