//! What counting a request costs: under a lease, and in the key's object.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use keyward_core::{
    record::{Cost, Limits, Record},
    time::Span,
};
use keyward_limits::{
    coordinator::Coordinator,
    lease::{self, Grantor, Lessee},
    timing::FIRST_ANSWER,
    wire::{Acquire, Acquired, Lease, RouteHint},
};
use keyward_testing::{NOON, record};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let limits = Limits { per_minute: Some(1_000_000), per_day: Some(100_000_000), ..Limits::default() };
    let mut coordinator = Coordinator::default();
    coordinator.put(Record { limits, ..record() });
    let lease_length = lease::longest(Span::from_secs(5), true);
    let call = Acquire {
        version: 1,
        immediate: true,
        within: FIRST_ANSWER,
        wants: 1_000,
        lease_length,
        client_id: 7,
        ..Acquire::default()
    };
    let Acquired::Granted { lease: Some(granted), .. } = coordinator.acquire(&call, NOON) else { return };

    let lessee = |lease: &Lease| {
        let mut lessee = Lessee::default();
        lessee.add_lease(Grantor::Coordinator, lease, RouteHint::default(), NOON, NOON);
        lessee
    };
    let later = NOON + Span::from_secs(1);
    assert!(lessee(&granted).consume(Cost::ONE, later).is_some(), "the lease covers a request");
    criterion.bench_function("lease: a request that one covers", |bencher| {
        let consume = |lessee: &mut Lessee| {
            lessee.note_arrival(Cost::ONE, later);
            lessee.consume(Cost::ONE, later)
        };
        bencher.iter_batched_ref(|| lessee(&granted), consume, BatchSize::SmallInput);
    });
    criterion.bench_function("coordinator: a request and a lease", |bencher| {
        bencher.iter_batched_ref(
            || coordinator.clone(),
            |coordinator| coordinator.acquire(black_box(&call), later),
            BatchSize::SmallInput,
        );
    });
    criterion.final_summary();
}
