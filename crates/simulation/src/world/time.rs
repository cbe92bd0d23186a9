//! Virtual time: everything that can go on goes on, then time jumps to the next moment that something
//! waits for. The same for the same seed.

use std::{
    cell::{Cell, RefCell},
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    future::{Future, poll_fn},
    rc::Rc,
    task::{Poll, Waker},
};

use futures::{
    executor::{LocalPool, LocalSpawner},
    task::LocalSpawnExt,
};

/// What lets tasks run and time pass.
pub struct Executor {
    pool: RefCell<LocalPool>,
    clock: Rc<Clock>,
}

/// The time, and who waits for when.
pub struct Clock {
    now: Cell<i64>,
    spawner: LocalSpawner,
    timers: RefCell<BinaryHeap<Reverse<Timer>>>,
    timers_set: Cell<u64>,
}

struct Timer {
    at: i64,
    number: u64,
    waker: Waker,
}

impl Timer {
    fn order(&self) -> (i64, u64) {
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

impl Executor {
    /// Time begins at this moment.
    pub fn new(begin: i64) -> Self {
        let pool = LocalPool::new();
        let clock = Clock {
            now: Cell::new(begin),
            spawner: pool.spawner(),
            timers: RefCell::default(),
            timers_set: Cell::default(),
        };
        Self { pool: RefCell::new(pool), clock: Rc::new(clock) }
    }

    pub fn clock(&self) -> Rc<Clock> {
        Rc::clone(&self.clock)
    }

    /// Lets time pass until nothing is left to do.
    pub fn run(&self) {
        let mut pool = self.pool.borrow_mut();
        loop {
            pool.run_until_stalled();
            let mut timers = self.clock.timers.borrow_mut();
            let Some(Reverse(first)) = timers.pop() else { return };
            self.clock.now.set(first.at);
            first.waker.wake();
            while timers.peek().is_some_and(|Reverse(timer)| timer.at <= first.at) {
                if let Some(Reverse(timer)) = timers.pop() {
                    timer.waker.wake();
                }
            }
        }
    }
}

impl Clock {
    pub fn now(&self) -> i64 {
        self.now.get()
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let spawned = self.spawner.spawn_local(future);
        assert!(spawned.is_ok(), "the pool outlives the world");
    }

    pub async fn sleep(&self, milliseconds: i64) {
        self.sleep_until(self.now() + milliseconds).await;
    }

    pub async fn sleep_until(&self, at: i64) {
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
