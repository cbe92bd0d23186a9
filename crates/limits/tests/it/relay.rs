//! A relay whose clock is set, whose coordinator fails, and whose callers have little time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::{FutureExt, executor::block_on, future::LocalBoxFuture};
use keyward_core::{
    time::{DAY, MINUTE, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    relay::{Relay, RelayServer, Upstream},
    timing::RELAY_ANSWER_MS,
    wire::{Acquire, Acquired, CoordinatorCall, Lease, RouteHint},
};
use keyward_testing::NOON;

fn granted(requests: u32) -> Acquired {
    let lease = Some(Lease { id: 1, requests, lease_length_ms: 4_750 });
    let via = RouteHint { relay: true, age_ms: 0 };
    Acquired::Granted { windows: Vec::new(), delay_ms: 0, reservation: None, lease, via }
}

/// A coordinator that grants a hundred requests after so many milliseconds, or never answers; and the relay's clock.
struct Up {
    clock: Cell<Timestamp>,
    takes: i64,
    /// By how much the clock is set meanwhile.
    step: i64,
    hangs: bool,
    asked: Cell<u32>,
    under_way: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
}

impl Up {
    fn server(takes: i64, step: i64, hangs: bool) -> Rc<RelayServer<Self>> {
        let (clock, asked, under_way) = (Cell::new(NOON), Cell::default(), RefCell::default());
        Rc::new(RelayServer::new(Self { clock, takes, step, hangs, asked, under_way }, 1))
    }

    fn pass(&self, milliseconds: i64) {
        self.clock.set(self.clock.get().plus(milliseconds));
    }
}

impl Upstream for Up {
    async fn ask(&self, _: &Acquire) -> Result<Acquired, Unavailable> {
        self.asked.set(self.asked.get() + 1);
        self.pass(self.takes + self.step);
        Ok(granted(100))
    }

    async fn tell(&self, _: &CoordinatorCall) -> Result<(), Unavailable> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.clock.get()
    }

    async fn wait(&self, milliseconds: u32) {
        self.pass(milliseconds.into());
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        if self.hangs {
            self.under_way.borrow_mut().push(work);
        } else {
            work.now_or_never().unwrap();
        }
    }
}

fn wish() -> Acquire {
    Acquire {
        version: 1,
        wants: 10,
        lease_length_ms: 4_750,
        within_ms: RELAY_ANSWER_MS,
        ..Acquire::default()
    }
}

#[test]
fn a_lease_that_was_asked_for_before_the_clock_was_set_back_lasts_no_longer() {
    for back in [400, 1_000, MINUTE, DAY] {
        let server = Up::server(300, -back, false);
        // By its clock the first answer may come before it was asked for.
        block_on(server.acquire(&wish()));
        let Acquired::Granted { lease: Some(part), via, .. } = block_on(server.acquire(&wish())) else {
            panic!("{back}")
        };
        assert_eq!(server.upstream().asked.get(), 1, "back by {back}");
        assert!(via.age_ms >= 300, "back by {back}: {via:?}");
        assert!(part.lease_length_ms <= 4_750 - 300 - 1_000, "back by {back}: {part:?}");
        // Half of what may be believed has passed: the coordinator is asked again.
        server.upstream().pass(2_375 - 300);
        block_on(server.acquire(&wish()));
        assert_eq!(server.upstream().asked.get(), 2, "back by {back}");
    }
}

#[test]
fn nothing_is_believed_that_is_of_the_future() {
    let mut relay = Relay::new(1);
    relay.ingest(&wish(), NOON);
    let ask = relay.ask(1, 0, NOON);
    relay.answered(&ask, Some(&granted(100)), NOON.plus(1), NOON);
    assert_eq!(relay.answer(&wish(), NOON), None);
    assert!(relay.answer(&wish(), NOON.plus(1)).is_some());
}

#[test]
fn a_call_is_answered_as_long_as_somebody_waits_for_it_however_little_time_it_has() {
    let single = |within_ms| Acquire { immediate: true, wants: 0, within_ms, ..wish() };
    // The coordinator's answer comes in the very moment up to which calls wait for it.
    let server = Up::server(1_250, 0, false);
    assert!(matches!(block_on(server.acquire(&single(RELAY_ANSWER_MS))), Acquired::Granted { .. }));
    // What it has at hand takes no time.
    assert!(matches!(block_on(server.acquire(&single(100))), Acquired::Granted { .. }));
    assert_eq!(server.upstream().asked.get(), 1);
    // After that nobody waits any more: it would be used up in vain.
    let server = Up::server(1_600, 0, false);
    assert_eq!(block_on(server.acquire(&single(RELAY_ANSWER_MS))), Acquired::Unreached { slow: false });
}

#[test]
fn a_call_waits_for_a_key_gate_that_hangs_no_longer_than_its_gate_waits_for_it() {
    for (immediate, within_ms, waits) in [
        (true, 700, 450),
        (false, 700, 450),
        (false, RELAY_ANSWER_MS, 1_250),
        // Older gates do not say.
        (false, 0, 1_250),
    ] {
        let server = Up::server(0, 0, true);
        let taken = block_on(server.acquire(&Acquire { immediate, within_ms, ..wish() }));
        assert!(matches!(taken, Acquired::Unreached { .. }), "{taken:?}");
        assert_eq!(
            server.upstream().clock.get().0 - NOON.0,
            waits,
            "at hand: {immediate}, within {within_ms}"
        );
    }
}

#[test]
fn when_the_key_gate_fails_a_window_is_believed_to_be_full_only_until_a_request_fits_again() {
    for (retry_after_ms, failed, asked, limited) in [
        // So long ago that it says nothing.
        (300, 1_200, 1_300, false),
        (1_400, 900, 1_390, true),
        (1_400, 900, 1_400, false),
        (5_000, 900, 1_890, true),
        (5_000, 900, 1_910, false),
    ] {
        let single = Acquire { immediate: true, ..wish() };
        let at = |milliseconds| NOON.plus(milliseconds);
        let mut relay = Relay::new(1);
        relay.ingest(&single, NOON);
        let ask = relay.ask(1, 1, NOON);
        let full = Acquired::Limited {
            windows: Vec::new(),
            retry_after_ms,
            via: RouteHint { relay: true, age_ms: 0 },
        };
        relay.answered(&ask, Some(&full), NOON, NOON);
        let ask = relay.ask(1, 1, at(failed));
        relay.answered(&ask, None, at(failed), at(failed));
        match relay.answer(&single, at(asked)) {
            Some(Acquired::Limited { retry_after_ms: told, .. }) => {
                assert!(limited, "{retry_after_ms} at {asked}");
                assert_eq!(told, retry_after_ms - asked as u64);
            }
            other => assert!(!limited && other.is_none(), "{retry_after_ms} at {asked}: {other:?}"),
        }
    }
}
