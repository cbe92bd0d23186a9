//! Every dependency of a decision about a key fails, hangs, is slow, answers garbage or `{}`: what each request gets,
//! and that none waits longer than its deadline. `docs/failures.md` is the table.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod again;

use std::cell::Cell;
use std::sync::LazyLock;

use keyward_core::{
    record::{Limits, Record, Status, Tenant},
    secret::Secret,
    time::{MINUTE, SECOND},
};
use keyward_gate::{denial::Denial, memory::Memory};
use keyward_policy::{KeyRequirement, LimitsUnavailable, Realm, Span};
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Fault},
    policy::POLICY,
};

static REALM: LazyLock<Realm> = LazyLock::new(|| POLICY.realms[0]);
static DEADLINE: LazyLock<Span> = LazyLock::new(|| REALM.decision_timeout);

const FAULTS: [Fault; 8] = [
    Fault::Fails,
    Fault::Hangs,
    Fault::Slow(Span::from_ms(300)),
    Fault::Slow(Span::from_ms(1_200)),
    Fault::Slow(Span::from_secs(60)),
    Fault::Says("<html>out of order</html>"),
    Fault::Says("{}"),
    Fault::Says("null"),
];

/// A record whose limits are far away, and of which no relay is asked first.
fn record() -> Record {
    Record { limits: Limits { per_minute: Some(1_000), ..Limits::default() }, ..keyward_testing::record() }
}

/// What KV, an object or a relay is to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Kv,
    Coordinator,
    Relay,
    Limiter,
}

fn fault_of(platform: &FakePlatform, of: Asked) -> &Cell<Option<Fault>> {
    match of {
        Asked::Kv => &platform.kv_fault,
        Asked::Coordinator => &platform.gate_fault,
        Asked::Relay => &platform.relay_fault,
        Asked::Limiter => &platform.limiter_fault,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Pass,
    Revoked,
    Limited,
    Unavailable,
    Unknown,
}

/// The verdict, and how long it took.
fn check_in(platform: &FakePlatform, realm: &Realm, key: &Secret) -> (Verdict, Span) {
    let came = platform.clock.now();
    let verdict = match platform.check_in(realm, key, CALLER).map_err(|refused| refused.denial) {
        Ok(_) => Verdict::Pass,
        Err(Denial::RevokedKey { .. }) => Verdict::Revoked,
        Err(Denial::RateLimited { .. }) => Verdict::Limited,
        Err(Denial::StoreUnavailable { .. }) => Verdict::Unavailable,
        Err(Denial::UnknownKey { .. }) => Verdict::Unknown,
        Err(other) => panic!("{other:?}"),
    };
    (verdict, platform.clock.now() - came)
}

fn check(platform: &FakePlatform, key: &Secret) -> (Verdict, Span) {
    check_in(platform, &REALM, key)
}

/// A key in one of the states that there are, and what happens to a request with it where all is well.
struct Case {
    name: &'static str,
    platform: FakePlatform,
    key: Secret,
    usual: Verdict,
    /// Nobody is asked.
    in_hand: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, record: &Record, is_known: bool, usual| {
        let platform = FakePlatform::new();
        let key = platform.new_key(1);
        platform.tell(&key, record);
        platform.publish(&key, record);
        if is_known {
            let _ = platform.check(&key);
            platform.pass_time(10 * SECOND);
        }
        Case { name, platform, key, usual, in_hand: false }
    };
    let revoked = Record { status: Status::Revoked, version: 2, ..record() };
    let one = Record { limits: Limits { per_minute: Some(1), ..Limits::default() }, ..record() };
    let strict = Record { strict: true, ..record() };
    // So high a limit that a crowd may use it: a relay is asked first.
    let high = Limits { per_minute: Some(100_000), ..Limits::default() };
    let of_many = Record { limits: high, ..record() };
    let of_many_revoked = Record { limits: high, ..revoked.clone() };
    let unlimited = Record { limits: Limits::default(), ..record() };
    let mut cases = vec![
        case("cold", &record(), false, Verdict::Pass),
        case("known", &record(), true, Verdict::Pass),
        case("cold, revoked", &revoked, false, Verdict::Revoked),
        case("known, revoked since", &record(), true, Verdict::Revoked),
        case("known, revoked then", &revoked, true, Verdict::Revoked),
        case("known, limited", &one, true, Verdict::Limited),
        case("cold, limited", &one, true, Verdict::Limited),
        case("cold, strict", &strict, false, Verdict::Pass),
        case("known, strict", &strict, true, Verdict::Pass),
        case("cold, of many", &of_many, false, Verdict::Pass),
        case("known, of many", &of_many, true, Verdict::Pass),
        case("cold, of many, revoked", &of_many_revoked, false, Verdict::Revoked),
        case("known, of many, revoked since", &of_many, true, Verdict::Revoked),
        case("cold, unlimited", &unlimited, false, Verdict::Pass),
        case("with a lease", &record(), true, Verdict::Pass),
    ];
    let named = |name| cases.iter().find(|case| case.name == name).unwrap();
    let since = named("known, revoked since");
    since.platform.tell(&since.key, &revoked);
    let since = named("known, of many, revoked since");
    since.platform.tell(&since.key, &of_many_revoked);
    *named("cold, limited").platform.memory.borrow_mut() = Memory::default();
    let leased = cases.last_mut().unwrap();
    for _ in 0..60 {
        leased.platform.check(&leased.key).unwrap();
        leased.platform.pass_time(Span::from_ms(20));
    }
    leased.platform.asked();
    leased.platform.check(&leased.key).unwrap();
    leased.in_hand = leased.platform.asked().is_empty();
    assert!(leased.in_hand);
    cases
}

/// What a request gets while something it may need suffers from this.
fn expected(case: &Case, of: Asked, fault: Fault) -> Verdict {
    match (of, fault) {
        _ if case.in_hand => case.usual,
        // Slow is not failing, unless nobody could wait for it.
        (_, Fault::Slow(span)) if span < *DEADLINE => case.usual,
        (Asked::Coordinator, _) => Verdict::Unavailable,
        // Its object has the record; the object itself answers; guesses only are counted.
        (Asked::Kv | Asked::Relay | Asked::Limiter, _) => case.usual,
    }
}

#[test]
fn whatever_a_dependency_does_the_verdict_is_right_and_there_by_the_deadline() {
    for of in [Asked::Kv, Asked::Coordinator, Asked::Relay, Asked::Limiter] {
        for fault in FAULTS {
            for case in cases() {
                let Case { name, platform, key, .. } = &case;
                if of == Asked::Relay {
                    platform.gather(key);
                    // It learns of the crowd with its next call, so the one after goes to a relay.
                    check(platform, key);
                    platform.gather(key);
                }
                fault_of(platform, of).set(Some(fault));
                for round in 0..4 {
                    let (verdict, took) = check(platform, key);
                    let what = format!("{of:?} {fault:?}, {name}, round {round}: {:?}", platform.asked());
                    assert!(took <= *DEADLINE, "{took:?}: {what}");
                    let expected = expected(&case, of, fault);
                    // A slow object: its second answer, if any, may be too late.
                    let is_late =
                        fault == Fault::Slow(Span::from_ms(1_200)) && verdict == Verdict::Unavailable;
                    assert!(verdict == expected || is_late, "{verdict:?}, not {expected:?}: {what}");
                }
            }
        }
    }
}

#[test]
fn a_key_that_nobody_knows_is_401_only_where_both_that_should_know_have_said_so() {
    for of in [Asked::Kv, Asked::Coordinator, Asked::Limiter] {
        for fault in FAULTS {
            let platform = FakePlatform::new();
            fault_of(&platform, of).set(Some(fault));
            let is_slow = matches!(fault, Fault::Slow(span) if span < *DEADLINE / 2);
            for seed in 1..6 {
                let (verdict, took) = check(&platform, &platform.new_key(seed));
                assert!(took <= *DEADLINE, "{of:?} {fault:?}: {took:?}");
                let is_told = of == Asked::Limiter || is_slow || verdict == Verdict::Unknown;
                let slow_object = of == Asked::Coordinator && fault == Fault::Slow(Span::from_ms(1_200));
                let expected = if is_told && (of == Asked::Limiter || is_slow || slow_object) {
                    Verdict::Unknown
                } else {
                    Verdict::Unavailable
                };
                assert_eq!(verdict, expected, "{of:?} {fault:?}");
            }
        }
    }
}

#[test]
fn the_deadline_is_the_realms() {
    for decision_timeout in [1, 5, 30].map(Span::from_secs) {
        let realm = Realm { decision_timeout, ..*REALM };
        let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
        platform.tell(&key, &record());
        platform.kv_fault.set(Some(Fault::Hangs));
        platform.gate_fault.set(Some(Fault::Hangs));
        assert_eq!(check_in(&platform, &realm, &key), (Verdict::Unavailable, decision_timeout));
    }
}

#[test]
fn where_limits_may_be_local_a_request_passes_before_the_deadline_although_the_object_hangs() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..*REALM };
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    platform.gate_fault.set(Some(Fault::Hangs));
    for round in 0..5 {
        let (verdict, took) = check_in(&platform, &local, &key);
        assert_eq!(verdict, Verdict::Pass);
        assert!(if round < 3 { took < *DEADLINE } else { took == Span::ZERO }, "{took:?} in round {round}");
    }
}
