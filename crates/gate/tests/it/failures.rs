//! Every dependency of a decision about a key fails, hangs, is slow, answers garbage or `{}`: what each request gets,
//! and that none waits longer than its deadline. `docs/failures.md` is the table.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::sync::LazyLock;

use keyward_core::{
    record::{Limits, Record, Status, Tenant},
    secret::Secret,
    time::{MINUTE, SECOND},
};
use keyward_gate::{denial::Denial, memory::Memory};
use keyward_policy::{KeyRequirement, LimitsUnavailable, Realm};
use keyward_testing::{
    policy::POLICY,
    world::{CALLER, Fault, World},
};

static REALM: LazyLock<Realm> = LazyLock::new(|| POLICY.realms[0]);
static DEADLINE: LazyLock<i64> = LazyLock::new(|| REALM.decision_timeout_ms.into());

const FAULTS: [Fault; 8] = [
    Fault::Fails,
    Fault::Hangs,
    Fault::Slow(300),
    Fault::Slow(1_200),
    Fault::Slow(60_000),
    Fault::Says("<html>out of order</html>"),
    Fault::Says("{}"),
    Fault::Says("null"),
];

/// A record whose limits are far away.
fn record() -> Record {
    Record { limits: Limits { per_minute: Some(100_000), per_day: None }, ..keyward_testing::record() }
}

/// What KV, an object or a relay is to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Kv,
    Coordinator,
    Relay,
    Limiter,
}

fn fault_of(world: &World, of: Asked) -> &Cell<Option<Fault>> {
    match of {
        Asked::Kv => &world.kv_fault,
        Asked::Coordinator => &world.gate_fault,
        Asked::Relay => &world.relay_fault,
        Asked::Limiter => &world.limiter_fault,
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
fn check_in(world: &World, realm: &Realm, key: &Secret) -> (Verdict, i64) {
    let came = world.clock.get();
    let verdict = match world.check_in(realm, key, CALLER).map_err(|refused| refused.denial) {
        Ok(_) => Verdict::Pass,
        Err(Denial::RevokedKey { .. }) => Verdict::Revoked,
        Err(Denial::RateLimited { .. }) => Verdict::Limited,
        Err(Denial::StoreUnavailable { .. }) => Verdict::Unavailable,
        Err(Denial::UnknownKey { .. }) => Verdict::Unknown,
        Err(other) => panic!("{other:?}"),
    };
    (verdict, world.clock.get().0 - came.0)
}

fn check(world: &World, key: &Secret) -> (Verdict, i64) {
    check_in(world, &REALM, key)
}

/// A key in one of the states that there are, and what happens to a request with it where all is well.
struct Case {
    name: &'static str,
    world: World,
    key: Secret,
    usual: Verdict,
    /// Nobody is asked.
    in_hand: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, record: &Record, is_known: bool, usual| {
        let world = World::new();
        let key = world.new_key(1);
        world.tell(&key, record);
        world.publish(&key, record);
        if is_known {
            let _ = world.check(&key);
            world.pass_time(10 * SECOND);
        }
        Case { name, world, key, usual, in_hand: false }
    };
    let revoked = Record { status: Status::Revoked, version: 2, ..record() };
    let one = Record { limits: Limits { per_minute: Some(1), per_day: None }, ..record() };
    let strict = Record { strict: true, ..record() };
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
        case("with a lease", &record(), true, Verdict::Pass),
    ];
    cases[3].world.tell(&cases[3].key, &revoked);
    *cases[6].world.memory.borrow_mut() = Memory::default();
    let leased = cases.last_mut().unwrap();
    for _ in 0..60 {
        leased.world.check(&leased.key).unwrap();
        leased.world.pass_time(20);
    }
    leased.world.asked();
    leased.world.check(&leased.key).unwrap();
    leased.in_hand = leased.world.asked().is_empty();
    assert!(leased.in_hand);
    cases
}

/// What a request gets while something it may need suffers from this.
fn expected(case: &Case, of: Asked, fault: Fault) -> Verdict {
    match (of, fault) {
        _ if case.in_hand => case.usual,
        // Slow is not failing, unless nobody could wait for it.
        (_, Fault::Slow(milliseconds)) if milliseconds < *DEADLINE => case.usual,
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
                let Case { name, world, key, .. } = &case;
                if of == Asked::Relay {
                    world.gather(key);
                    // It learns of the crowd with its next call, so the one after goes to a relay.
                    check(world, key);
                    world.gather(key);
                }
                fault_of(world, of).set(Some(fault));
                for round in 0..4 {
                    let (verdict, took) = check(world, key);
                    let what = format!("{of:?} {fault:?}, {name}, round {round}: {:?}", world.asked());
                    assert!(took <= *DEADLINE, "{took} ms: {what}");
                    let expected = expected(&case, of, fault);
                    // A slow object: its second answer, if any, may be too late.
                    let is_late = fault == Fault::Slow(1_200) && verdict == Verdict::Unavailable;
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
            let world = World::new();
            fault_of(&world, of).set(Some(fault));
            let is_slow = matches!(fault, Fault::Slow(milliseconds) if milliseconds < *DEADLINE / 2);
            for seed in 1..6 {
                let (verdict, took) = check(&world, &world.new_key(seed));
                assert!(took <= *DEADLINE, "{of:?} {fault:?}: {took} ms");
                let is_told = of == Asked::Limiter || is_slow || verdict == Verdict::Unknown;
                let slow_object = of == Asked::Coordinator && fault == Fault::Slow(1_200);
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
    for decision_timeout_ms in [1_000, 5_000, 30_000] {
        let realm = Realm { decision_timeout_ms, ..*REALM };
        let (world, key) = (World::new(), World::new().new_key(1));
        world.tell(&key, &record());
        world.kv_fault.set(Some(Fault::Hangs));
        world.gate_fault.set(Some(Fault::Hangs));
        assert_eq!(check_in(&world, &realm, &key), (Verdict::Unavailable, decision_timeout_ms.into()));
    }
}

#[test]
fn where_limits_may_be_local_a_request_passes_before_the_deadline_although_the_object_hangs() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..*REALM };
    let (world, key) = (World::new(), World::new().new_key(1));
    world.tell(&key, &record());
    world.publish(&key, &record());
    world.gate_fault.set(Some(Fault::Hangs));
    for round in 0..5 {
        let (verdict, took) = check_in(&world, &local, &key);
        assert_eq!(verdict, Verdict::Pass);
        assert!(if round < 3 { took < *DEADLINE } else { took == 0 }, "{took} ms in round {round}");
    }
}

/// Requests so far apart, for so long: what they got, and how long all of them waited together.
fn traffic(world: &World, key: &Secret, step: i64, span: i64) -> (Vec<Verdict>, i64) {
    let (mut verdicts, mut waited) = (Vec::new(), 0);
    let end = world.clock.get().plus(span);
    while world.clock.get() < end {
        let (verdict, took) = check(world, key);
        verdicts.push(verdict);
        waited += took;
        world.pass_time(step);
    }
    (verdicts, waited)
}

#[test]
fn an_object_that_hangs_is_waited_for_three_times_and_then_once_in_five_seconds() {
    let (world, key) = (World::new(), World::new().new_key(1));
    world.tell(&key, &record());
    world.publish(&key, &record());
    world.gate_fault.set(Some(Fault::Hangs));
    let (verdicts, waited) = traffic(&world, &key, 10, MINUTE);
    assert!(verdicts.len() > 3_000 && verdicts.iter().all(|verdict| *verdict == Verdict::Unavailable));
    // Three, then one that tries after each pause.
    let calls = world.asked().iter().filter(|call| call.starts_with("Coordinator")).count();
    assert!((8..16).contains(&calls), "{calls} calls");
    assert!(waited <= calls as i64 * *DEADLINE);
    world.gate_fault.set(None);
    world.pass_time(5 * SECOND);
    assert_eq!(check(&world, &key), (Verdict::Pass, 0));
    assert_eq!(check(&world, &key), (Verdict::Pass, 0));
}

#[test]
fn one_tenants_object_that_hangs_costs_no_other_key_anything() {
    let world = World::new();
    let (hanging, other) = (world.new_key(1), world.new_key(2));
    for key in [&hanging, &other] {
        world.tell(key, &record());
        world.publish(key, &record());
    }
    world.faulty.borrow_mut().insert(world.hash(&hanging));
    world.gate_fault.set(Some(Fault::Hangs));
    for _ in 0..20 {
        assert_eq!(check(&world, &hanging).0, Verdict::Unavailable);
        *world.memory.borrow_mut() = {
            let mut fresh = Memory::default();
            std::mem::swap(&mut fresh.breakers, &mut world.memory.borrow_mut().breakers);
            fresh
        };
        assert_eq!(check(&world, &other), (Verdict::Pass, 0));
    }
}

#[test]
fn while_all_objects_hang_a_key_that_comes_for_the_first_time_is_answered_at_once() {
    let world = World::new();
    let keys: Vec<_> = (1..=30).map(|seed| world.new_key(seed)).collect();
    for key in &keys {
        world.tell(key, &record());
        world.publish(key, &record());
    }
    world.gate_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = keys.iter().map(|key| check(&world, key)).collect();
    assert!(took.iter().all(|(verdict, _)| *verdict == Verdict::Unavailable));
    assert_eq!(took.iter().filter(|(_, took)| *took > 0).count(), 4, "{took:?}");
    world.gate_fault.set(None);
    world.pass_time(SECOND);
    for key in &keys[4..] {
        assert_eq!(check(&world, key), (Verdict::Pass, 0));
    }
}

#[test]
fn kv_that_hangs_is_left_alone_and_objects_answer_at_once() {
    let world = World::new();
    world.kv_fault.set(Some(Fault::Hangs));
    let mut waited = Vec::new();
    for seed in 1..=10 {
        let key = world.new_key(seed);
        world.tell(&key, &record());
        let (verdict, took) = check(&world, &key);
        assert_eq!(verdict, Verdict::Pass);
        waited.push(took);
    }
    assert_eq!(waited, [1_000, 1_000, 1_000, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_limiter_that_hangs_is_left_alone() {
    let world = World::new();
    world.limiter_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = (1..=6).map(|seed| check(&world, &world.new_key(seed))).collect();
    let (late, at_once) = ((Verdict::Unknown, 500), (Verdict::Unknown, 0));
    assert_eq!(took, [late, late, at_once, at_once, at_once, at_once]);
}

#[test]
fn a_relay_that_hangs_is_asked_again_only_after_a_pause_however_often_the_object_says_to_ask_it() {
    let (world, key) = (World::new(), World::new().new_key(1));
    world.tell(&key, &record());
    world.publish(&key, &record());
    for fault in [Fault::Hangs, Fault::Fails, Fault::Says("{}")] {
        world.relay_fault.set(Some(fault));
        world.pass_time(2 * MINUTE);
        world.asked();
        let mut longest = 0;
        for _ in 0..60 {
            world.gather(&key);
            let (verdict, took) = check(&world, &key);
            assert_eq!(verdict, Verdict::Pass);
            longest = longest.max(took);
            world.pass_time(SECOND);
        }
        let asked = world.asked();
        let relays = asked.iter().filter(|call| call.starts_with("Relay")).count();
        assert!((2..=7).contains(&relays), "{fault:?}: {relays} calls to relays of {}", asked.len());
        assert!(longest <= *DEADLINE, "{longest} ms");
    }
    world.relay_fault.set(None);
    world.pass_time(30 * SECOND);
    for _ in 0..5 {
        world.gather(&key);
        assert_eq!(check(&world, &key).0, Verdict::Pass);
        world.pass_time(SECOND);
    }
    assert!(world.asked().iter().filter(|call| call.starts_with("Relay")).count() >= 3, "it is used again");
}

#[test]
fn a_relay_that_cannot_reach_the_object_says_so_and_nobody_asks_the_object_instead() {
    let (world, key) = (World::new(), World::new().new_key(1));
    world.tell(&key, &record());
    world.publish(&key, &record());
    world.gather(&key);
    check(&world, &key);
    world.asked();
    world.relay_fault.set(Some(Fault::Says(r#"{"outcome":"unreached","slow":true}"#)));
    for _ in 0..10 {
        assert_eq!(check(&world, &key), (Verdict::Unavailable, 0));
        world.pass_time(20);
    }
    assert_eq!(world.asked(), ["Relay take"; 10], "it answers, so it is asked again, and nobody else");
    // What would be refused on the record at hand is not refused without the object's word either.
    let write = KeyRequirement { scopes: &["orders:write"], ..KeyRequirement::ANY_KEY };
    world.pass_time(10 * SECOND);
    let refused = world.check_for(&REALM, &write, &key, CALLER).unwrap_err().denial;
    assert!(matches!(refused, Denial::StoreUnavailable { .. }), "{refused:?}");
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..*REALM };
    assert_eq!(check_in(&world, &local, &key), (Verdict::Pass, 0));
    world.relay_fault.set(None);
    assert_eq!(check(&world, &key).0, Verdict::Pass);
    // Where there was merely too little time, the object itself is asked; the relay is well all the same.
    world.relay_fault.set(Some(Fault::Says(r#"{"outcome":"unreached","slow":false}"#)));
    world.pass_time(10 * SECOND);
    world.gather(&key);
    check(&world, &key);
    world.asked();
    for _ in 0..3 {
        world.gather(&key);
        assert_eq!(check(&world, &key), (Verdict::Pass, 0));
        world.pass_time(SECOND);
    }
    assert_eq!(world.asked(), ["Relay take", "Coordinator take"].repeat(3));
}

/// A key of this tenant.
fn key_of(world: &World, tenant: &str, seed: u64) -> Secret {
    let tenant = Tenant { id: tenant.to_owned(), ..record().tenant };
    let (key, record) = (world.new_key(seed), Record { tenant, ..record() });
    world.tell(&key, &record);
    world.publish(&key, &record);
    key
}

#[test]
fn objects_of_one_tenant_that_hang_keep_no_other_tenant_out_however_many_they_are() {
    let world = World::new();
    world.gate_fault.set(Some(Fault::Hangs));
    let mut waited = 0;
    for seed in 1..=60 {
        let hanging = key_of(&world, "a", seed);
        world.faulty.borrow_mut().insert(world.hash(&hanging));
        let (verdict, took) = check(&world, &hanging);
        assert_eq!(verdict, Verdict::Unavailable);
        waited += i64::from(took > 0);
        // One that this isolate meets for the first time.
        if seed % 4 == 0 {
            let other = key_of(&world, "b", 1_000 + seed);
            assert_eq!(check(&world, &other), (Verdict::Pass, 0), "after {seed}");
        }
    }
    assert!(waited <= 12, "{waited} waited");
}

#[test]
fn nor_do_made_up_keys_of_a_network_of_which_the_objects_hang() {
    let world = World::new();
    world.gate_fault.set(Some(Fault::Hangs));
    for seed in 1..=60 {
        let (known, made_up) = (key_of(&world, "b", 1_000 + seed), world.new_key(seed));
        world.faulty.borrow_mut().insert(world.hash(&made_up));
        assert_eq!(check(&world, &made_up).0, Verdict::Unavailable);
        if seed % 6 == 0 {
            assert_eq!(check(&world, &known), (Verdict::Pass, 0), "after {seed}");
        }
    }
}

#[test]
fn while_the_objects_of_all_tenants_hang_one_that_comes_for_the_first_time_is_answered_at_once() {
    let world = World::new();
    let keys: Vec<_> = (1..=30).map(|seed| key_of(&world, &seed.to_string(), seed)).collect();
    world.gate_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = keys.iter().map(|key| check(&world, key)).collect();
    assert_eq!(took.iter().filter(|(_, took)| *took > 0).count(), 4, "{took:?}");
    world.gate_fault.set(None);
    world.pass_time(SECOND);
    assert_eq!(check(&world, &keys[20]), (Verdict::Pass, 0));
}

#[test]
fn whoever_is_given_less_time_than_a_usual_answer_may_take_says_nothing_of_what_is_well() {
    // An object that takes as long as answers may, and requests to which their deadline leaves less.
    let (world, key) = (World::new(), World::new().new_key(1));
    world.tell(&key, &record());
    world.publish(&key, &record());
    let short = Realm { decision_timeout_ms: 450, ..*REALM };
    world.gate_fault.set(Some(Fault::Slow(480)));
    for _ in 0..10 {
        assert_eq!(check_in(&world, &short, &key).0, Verdict::Unavailable);
    }
    assert_eq!(check(&world, &key).0, Verdict::Pass);
}

#[test]
fn a_place_that_came_too_late_for_its_request_is_given_back_with_the_next_call() {
    let (world, key) = (World::new(), World::new().new_key(1));
    let record = Record { limits: Limits { per_minute: Some(2), per_day: None }, ..record() };
    world.tell(&key, &record);
    world.publish(&key, &record);
    // Twice too late: nothing is left of the deadline.
    world.slow_answers.set(vec![1_401, 600]);
    assert_eq!(check(&world, &key), (Verdict::Unavailable, 2_000));
    assert_eq!(check(&world, &key).0, Verdict::Pass);
    assert_eq!(world.asked().len(), 4, "KV, two calls in vain, one more");
    // So is what a call may have got that brought no answer: it has a name.
    assert_eq!(check(&world, &key).0, Verdict::Pass);
    assert_eq!(check(&world, &key).0, Verdict::Limited);
}
