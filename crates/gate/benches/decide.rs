//! What the decision about a key costs.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{hint::black_box, rc::Rc};

use criterion::Criterion;
use keyward_core::{
    record::{Record, Status},
    request_target::RequestTarget,
};
use keyward_gate::{
    credential,
    gate::{RequestContext, decide},
};
use keyward_policy::KeyRequirement;
use keyward_testing::{NOON, policy::POLICY, record, secrets};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let realm = POLICY.realms.first().unwrap();
    let requirement = KeyRequirement { scopes: &["orders:read"], ..KeyRequirement::ANY_KEY };
    let context = RequestContext {
        method: "GET",
        upgrades: false,
        address: None,
        origin: None,
        tenant: None,
        token: None,
        now: NOON,
    };
    let decided = |record: &Rc<Record>| decide(realm, &requirement, black_box(record), context);
    let good = Rc::new(record());
    assert!(decided(&good).is_ok());
    criterion.bench_function("decide: a key that passes", |bencher| bencher.iter(|| decided(&good)));
    let revoked = Rc::new(Record { status: Status::Revoked, ..record() });
    assert!(decided(&revoked).is_err());
    criterion.bench_function("decide: a revoked key", |bencher| bencher.iter(|| decided(&revoked)));

    let (secrets, url) =
        (secrets(), "https://api.example.com/api/orders/4711?page=2&sort=created&fields=id,total");
    let target = RequestTarget::of(url);
    let is_in_url = || credential::is_in_url(realm, black_box(target), Some(&secrets));
    assert!(!is_in_url());
    criterion.bench_function("url: no credential in it", |bencher| bencher.iter(is_in_url));
    criterion.final_summary();
}
