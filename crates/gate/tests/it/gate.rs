//! The decision: each reason, and which of two reasons is told first.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::rc::Rc;

use keyward_core::{
    record::{KeyKind, Mode, Record, Status, TenantStatus},
    time::{MILLISECOND, Timestamp},
};
use keyward_gate::{
    denial::{Denial, PublishableFault, step::Step},
    gate::{RequestContext, decide, pass_without_key},
    hint::Stray,
};
use keyward_policy::{KeyRequirement, PageKeys, Proof, Realm, Requirement, TestMode};
use keyward_testing::{NOON, policy::POLICY, record};
use proptest::prelude::*;

const READ: KeyRequirement = KeyRequirement { scopes: &["orders:read"], ..KeyRequirement::ANY_KEY };

fn realm() -> Realm {
    POLICY.realms[0]
}

fn get() -> RequestContext<'static> {
    RequestContext {
        method: "GET",
        upgrades: false,
        address: None,
        origin: None,
        tenant: None,
        token: None,
        now: NOON,
    }
}

fn outcome(requirement: &KeyRequirement, record: Record, context: RequestContext<'_>) -> Option<Denial> {
    decide(&realm(), requirement, &Rc::new(record), context).err()
}

#[test]
fn passes_a_key_that_is_in_order() {
    let permit = decide(&realm(), &READ, &Rc::new(record()), get()).unwrap();
    assert_eq!(permit.record(), Some(&Rc::new(record())));
}

#[test]
fn only_a_route_that_asks_for_nothing_is_passed_without_a_key() {
    assert!(pass_without_key(&Requirement::Public).is_some_and(|permit| permit.record().is_none()));
    assert!(pass_without_key(&Requirement::Key(READ)).is_none());
}

#[test]
fn refuses_a_key_of_another_realm_as_unknown() {
    let other = Record { realm: "other".into(), ..record() };
    assert_eq!(outcome(&READ, other, get()), Some(Denial::UnknownKey { slip: None }));
}

#[test]
fn refuses_from_the_very_moment_of_expiry_and_not_before() {
    let expiring = Record { expires_at: Some(NOON), ..record() };
    let at = |now| outcome(&READ, expiring.clone(), RequestContext { now, ..get() });
    assert_eq!(at(Timestamp(NOON.0 - 1)), None);
    assert_eq!(at(NOON), Some(Denial::ExpiredKey { replaced: false }));
    assert_eq!(at(NOON.plus(MILLISECOND)), Some(Denial::ExpiredKey { replaced: false }));
}

#[test]
fn a_publishable_key_passes_only_where_the_route_allows_it_and_from_an_origin_it_lists() {
    let publishable = Record {
        kind: KeyKind::Publishable,
        allowed_origins: vec!["https://shop.example".into()],
        ..record()
    };
    let open = KeyRequirement { by: &[Proof::Key, Proof::Publishable], ..READ };
    let from = |origin| RequestContext { origin, ..get() };
    assert_eq!(outcome(&open, publishable.clone(), from(Some("https://shop.example"))), None);
    for origin in [
        Some("null"),
        Some("https://shop.example.evil"),
        Some("http://shop.example"),
        Some("https://shop.example/"),
    ] {
        assert_eq!(
            outcome(&open, publishable.clone(), from(origin)),
            Some(Denial::OriginRestricted(PublishableFault::OtherOrigin)),
            "{origin:?}"
        );
    }
    assert_eq!(
        outcome(&open, publishable.clone(), from(None)),
        Some(Denial::OriginRestricted(PublishableFault::NoOrigin))
    );
    assert_eq!(
        outcome(&READ, publishable, from(Some("https://shop.example"))),
        Some(Denial::OriginRestricted(PublishableFault::Route))
    );
}

#[test]
fn a_secret_key_passes_only_where_the_route_takes_one() {
    let pages_only = KeyRequirement { by: &[Proof::Publishable], ..READ };
    let stray = Some(Stray::Kind(Proof::Key));
    let missing = Denial::MissingCredential { by: &[Proof::Publishable], stray };
    assert_eq!(outcome(&pages_only, record(), get()), Some(missing));
}

#[test]
fn a_realm_may_refuse_secret_keys_that_a_web_page_sends() {
    let strict = Realm { secret_keys_from_pages: PageKeys::Refuse, ..realm() };
    let decide =
        |origin| decide(&strict, &READ, &Rc::new(record()), RequestContext { origin, ..get() }).err();
    assert_eq!(decide(Some("https://shop.example")), Some(Denial::SecretKeyFromPage));
    assert_eq!(decide(Some("null")), Some(Denial::SecretKeyFromPage));
    assert_eq!(decide(None), None);
    assert_eq!(
        outcome(&READ, record(), RequestContext { origin: Some("https://shop.example"), ..get() }),
        None
    );
}

#[test]
fn on_a_tenants_host_every_other_tenants_key_is_unknown() {
    let on = |host, code: Option<&str>| {
        let mut record = record();
        record.tenant.code = code.map(str::to_owned);
        outcome(&READ, record, RequestContext { tenant: host, ..get() })
    };
    assert_eq!(on(Some("store-a"), Some("Store-A")), None, "hosts are compared without case");
    assert_eq!(on(Some("store-b"), Some("store-a")), Some(Denial::UnknownKey { slip: None }));
    assert_eq!(on(Some("store-a"), None), Some(Denial::UnknownKey { slip: None }));
    assert_eq!(on(None, None), None, "where hosts are nobody's own");
}

#[test]
fn a_route_for_live_keys_refuses_test_keys_even_to_read() {
    let live = KeyRequirement { live_only: true, ..READ };
    assert_eq!(
        outcome(&live, Record { mode: Mode::Test, ..record() }, get()),
        Some(Denial::TestMode { live_only: true })
    );
    assert_eq!(outcome(&live, record(), get()), None);
}

#[test]
fn a_test_key_reads_and_never_writes_whatever_its_scopes() {
    let test = Record { mode: Mode::Test, scopes: vec!["*".into()], ..record() };
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(outcome(&READ, test.clone(), RequestContext { method, ..get() }), None, "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"] {
        assert_eq!(
            outcome(&READ, test.clone(), RequestContext { method, ..get() }),
            Some(Denial::TestMode { live_only: false }),
            "{method}"
        );
    }
    let full = Realm { test_mode: TestMode::Full, ..realm() };
    let post = RequestContext { method: "POST", ..get() };
    assert!(decide(&full, &READ, &Rc::new(test), post).is_ok());
}

#[test]
fn a_route_for_certain_plans_refuses_every_other_plan_and_none() {
    let needs = KeyRequirement { plans: &["pro", "enterprise"], ..READ };
    let with = |plan: Option<&str>| {
        let mut record = record();
        record.tenant.plan = plan.map(str::to_owned);
        outcome(&needs, record, get())
    };
    assert_eq!(with(Some("pro")), None);
    assert_eq!(with(Some("Pro")), Some(Denial::PlanRequired { plans: needs.plans }));
    assert_eq!(with(None), Some(Denial::PlanRequired { plans: needs.plans }));
}

#[test]
fn every_scope_of_the_route_is_needed() {
    let both = KeyRequirement { scopes: &["orders:read", "admin:read"], ..READ };
    assert_eq!(
        outcome(&both, record(), get()),
        Some(Denial::InsufficientScope { of: Proof::Key, required: both.scopes })
    );
    let holder = Record { scopes: vec!["orders:write".into(), "admin:*".into()], ..record() };
    assert_eq!(outcome(&both, holder, get()), None);
}

/// What spoils a record, and what is then told.
type Fault = (fn(&mut Record), Denial);

/// Everything that can be wrong, in the order in which it is told.
fn faults() -> Vec<Fault> {
    vec![
        (|record| record.realm = "other".into(), Denial::UnknownKey { slip: None }),
        (|record| record.status = Status::Revoked, Denial::RevokedKey { replaced: false }),
        (|record| record.paused = true, Denial::PausedKey),
        (|record| record.expires_at = Some(NOON), Denial::ExpiredKey { replaced: false }),
        (|record| record.tenant.status = TenantStatus::Inactive, Denial::InactiveTenant),
        (|record| record.tenant.plan = None, Denial::PlanRequired { plans: &["pro"] }),
        (
            |record| record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()],
            Denial::AddressRestricted { address: None },
        ),
        (|record| record.kind = KeyKind::Publishable, Denial::OriginRestricted(PublishableFault::Route)),
        (|record| record.mode = Mode::Test, Denial::TestMode { live_only: false }),
        (
            |record| record.scopes.clear(),
            Denial::InsufficientScope { of: Proof::Key, required: &["orders:read"] },
        ),
    ]
}

proptest! {
    #[test]
    fn of_several_faults_the_first_in_the_documented_order_is_told(chosen in proptest::collection::vec(any::<bool>(), 10)) {
        let mut record = record();
        record.tenant.plan = Some("pro".into());
        let requirement = KeyRequirement { plans: &["pro"], ..READ };
        let mut first = None;
        for ((spoil, denial), chosen) in faults().into_iter().zip(chosen) {
            if chosen {
                spoil(&mut record);
                first = first.or(Some(denial));
            }
        }
        let post = RequestContext { method: "POST", ..get() };
        prop_assert_eq!(outcome(&requirement, record, post), first);
    }
}

#[test]
fn the_steps_that_are_told_are_in_the_order_of_the_decision() {
    let mut denials: Vec<_> = faults().into_iter().map(|(_, denial)| denial).collect();
    denials.insert(8, Denial::OriginRestricted(PublishableFault::NoOrigin));
    let mut steps: Vec<_> = denials.iter().map(Denial::step).collect();
    steps.dedup();
    assert_eq!(steps, Step::OF_KEY);
}

#[test]
fn a_websocket_is_no_read_for_a_test_key() {
    let key = Record { mode: Mode::Test, ..record() };
    assert_eq!(outcome(&READ, key.clone(), get()), None);
    let opens = RequestContext { upgrades: true, ..get() };
    assert_eq!(outcome(&READ, key, opens), Some(Denial::TestMode { live_only: false }));
    assert_eq!(outcome(&READ, record(), opens), None, "a live key opens one");
}
