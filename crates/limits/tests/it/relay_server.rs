//! A relay whose coordinator is slow, hangs or fails, and whose clients have little time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures::{FutureExt, executor::block_on, future::LocalBoxFuture};
use keyward_core::{
    record::Cost,
    time::{Span, Timestamp},
    unavailable::Unavailable,
};
use keyward_limits::{
    relay::server::{RelayServer, Served, Upstream},
    timing::RELAY_ANSWER,
    wire::{Acquire, Acquired, CoordinatorCall, Lease, RefusalCounts, RouteHint},
};
use keyward_testing::{NOON, clock::VirtualClock, record};

use crate::{
    common::{DAY, MINUTE, ms},
    relay::{granted, wish},
};

/// A coordinator that grants 100 requests after `takes` milliseconds, or never answers; and the relay's clock.
struct SlowCoordinator {
    clock: VirtualClock,
    takes: i64,
    /// By how many milliseconds the clock is set meanwhile.
    step: i64,
    hangs: bool,
    asked: Cell<u32>,
    under_way: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
}

impl SlowCoordinator {
    fn server(takes: i64, step: i64, hangs: bool) -> Rc<RelayServer<Self>> {
        let (clock, asked, under_way) = (VirtualClock::new(NOON), Cell::default(), RefCell::default());
        Rc::new(RelayServer::new(Self { clock, takes, step, hangs, asked, under_way }, 1))
    }
}

impl Upstream for SlowCoordinator {
    async fn ask(&self, _: &Acquire) -> Result<Acquired, Unavailable> {
        self.asked.set(self.asked.get() + 1);
        self.clock.advance(ms(self.takes + self.step));
        Ok(granted(100))
    }

    async fn report(&self, _: &CoordinatorCall) -> Result<(), Unavailable> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn wait(&self, span: Span) {
        self.clock.advance(span);
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        if self.hangs {
            self.under_way.borrow_mut().push(work);
        } else {
            work.now_or_never().unwrap();
        }
    }
}

#[test]
fn a_lease_that_was_asked_for_before_the_clock_was_set_back_lasts_no_longer() {
    for back in [400, 1_000, MINUTE, DAY] {
        let server = SlowCoordinator::server(300, -back, false);
        // By its clock the first answer may come before it was asked for.
        block_on(server.acquire(&wish()));
        let Acquired::Granted { lease: Some(part), via, .. } = block_on(server.acquire(&wish())) else {
            panic!("{back}")
        };
        assert_eq!(server.upstream().asked.get(), 1, "back by {back}");
        assert!(via.age >= ms(300), "back by {back}: {via:?}");
        assert!(part.length <= ms(4_750 - 300 - 1_000), "back by {back}: {part:?}");
        // Half of what may be believed has passed: the coordinator is asked again.
        server.upstream().clock.advance(ms(2_375 - 300));
        block_on(server.acquire(&wish()));
        assert_eq!(server.upstream().asked.get(), 2, "back by {back}");
    }
}

#[test]
fn a_call_is_answered_as_long_as_somebody_waits_for_it_however_little_time_it_has() {
    let single = |within| Acquire { immediate: true, wants: 0, within, ..wish() };
    // The coordinator's answer comes in the very moment up to which calls wait for it.
    let server = SlowCoordinator::server(1_250, 0, false);
    assert!(matches!(block_on(server.acquire(&single(RELAY_ANSWER))), Acquired::Granted { .. }));
    // What it already holds takes no time.
    assert!(matches!(block_on(server.acquire(&single(ms(100)))), Acquired::Granted { .. }));
    assert_eq!(server.upstream().asked.get(), 1);
    // After that nobody waits any more: a request would be used up for nothing.
    let server = SlowCoordinator::server(1_600, 0, false);
    assert_eq!(block_on(server.acquire(&single(RELAY_ANSWER))), Acquired::Unreached { slow: false });
}

#[test]
fn a_call_waits_for_a_coordinator_that_hangs_no_longer_than_its_client_waits_for_it() {
    for (immediate, within, waits) in [
        (true, ms(700), 450),
        (false, ms(700), 450),
        (false, RELAY_ANSWER, 1_250),
        // Older gates do not say.
        (false, ms(0), 1_250),
    ] {
        let server = SlowCoordinator::server(0, 0, true);
        let taken = block_on(server.acquire(&Acquire { immediate, within, ..wish() }));
        assert!(matches!(taken, Acquired::Unreached { .. }), "{taken:?}");
        assert_eq!(
            server.upstream().clock.now() - NOON,
            ms(waits),
            "immediate: {immediate}, within {within:?}"
        );
    }
}

/// A coordinator that grants what is asked for, and how many requests were waiting for that.
#[derive(Default)]
struct GenerousCoordinator(Cell<u32>);

impl Upstream for GenerousCoordinator {
    async fn ask(&self, take: &Acquire) -> Result<Acquired, Unavailable> {
        self.0.set(take.queued);
        let lease =
            Some(Lease { id: 1, requests: take.queued, length: take.lease_length, ..Lease::default() });
        Ok(Acquired::Granted {
            windows: Vec::new(),
            delay: Span::ZERO,
            reservation: None,
            cost: Cost::ONE,
            lease,
            via: RouteHint::default(),
            open: false,
        })
    }

    async fn report(&self, _: &CoordinatorCall) -> Result<(), Unavailable> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        NOON
    }

    async fn wait(&self, _: Span) {}

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        work.now_or_never().unwrap();
    }
}

#[test]
fn a_relay_asks_for_all_requests_that_wait_and_not_only_for_calls() {
    let server = Rc::new(RelayServer::new(GenerousCoordinator::default(), 1));
    let take = Acquire {
        version: 1,
        immediate: true,
        within: RELAY_ANSWER,
        wants: 6,
        queued: 6,
        lease_length: ms(4_750),
        ..Acquire::default()
    };
    let taken = futures::executor::block_on(server.acquire(&take));
    assert_eq!(server.upstream().0.get(), 7);
    let Acquired::Granted { lease: Some(part), .. } = taken else { panic!() };
    assert_eq!(part.requests, 6);
}

/// A coordinator that grants one lease, and what it was asked and told.
struct OneLease {
    clock: VirtualClock,
    asked: RefCell<Vec<Acquire>>,
    told: RefCell<Vec<CoordinatorCall>>,
}

impl Upstream for OneLease {
    async fn ask(&self, call: &Acquire) -> Result<Acquired, Unavailable> {
        self.asked.borrow_mut().push(call.clone());
        Ok(if self.asked.borrow().len() == 1 { granted(100) } else { Acquired::Unknown })
    }

    async fn report(&self, report: &CoordinatorCall) -> Result<(), Unavailable> {
        self.told.borrow_mut().push(report.clone());
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn wait(&self, span: Span) {
        self.clock.advance(span);
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        work.now_or_never().unwrap();
    }
}

#[test]
fn a_relay_answers_isolates_and_gives_back_and_delivers_afterwards_and_leaves_records_to_the_coordinator() {
    let (clock, asked, told) = (VirtualClock::new(NOON), RefCell::default(), RefCell::default());
    let server = Rc::new(RelayServer::new(OneLease { clock, asked, told }, 1));
    let serve = |call| block_on(server.serve(call)).unwrap();
    let Served { answer, afterwards } = serve(CoordinatorCall::Acquire(wish())).unwrap();
    let acquired = serde_json::from_str(&answer).unwrap();
    assert!(matches!(acquired, Acquired::Granted { lease: Some(_), .. }), "{acquired:?}");
    assert!(server.upstream().asked.borrow().iter().all(|call| call.leases.is_empty()));
    block_on(afterwards);
    assert_eq!(server.upstream().asked.borrow().last().unwrap().leases[0].id, 1, "it is given back");

    let refused: RefusalCounts = [("TEST_MODE".to_owned(), 1)].into();
    let report = CoordinatorCall::Report { refused: refused.clone(), leases: Vec::new(), tally: None };
    let Served { answer, afterwards } = serve(report).unwrap();
    assert_eq!(answer, "{}");
    assert!(server.upstream().told.borrow().is_empty());
    block_on(afterwards);
    let told = server.upstream().told.borrow();
    assert!(
        matches!(&told[..], [CoordinatorCall::Report { refused: told, .. }] if *told == refused),
        "{told:?}"
    );

    for call in [CoordinatorCall::Get, CoordinatorCall::Put { record: record() }] {
        assert!(serve(call.clone()).is_none(), "{call:?}");
    }
}
