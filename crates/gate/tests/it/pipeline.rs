//! Steps 5 to 8 as a whole, against stores that lag, fail or hold old copies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::Cell, rc::Rc};

use keyward_core::{
    record::{Limits, Record, Status},
    secret::Secret,
    time::{DAY, MINUTE, SECOND},
};
use keyward_gate::{client_info::ClientInfo, denial::Denial};
use keyward_limits::{
    lease,
    timing::FIRST_ANSWER_MS,
    wire::{CoordinatorCall, RefusalCounts},
};
use keyward_policy::{KeyRequirement, LimitsUnavailable, Policy, Realm};
use keyward_testing::{
    policy::POLICY,
    record,
    world::{CALLER, Fault, World},
};
use proptest::prelude::*;

fn published(record: &Record) -> (World, Secret) {
    let world = World::new();
    let key = world.new_key(1);
    world.tell(&key, record);
    world.publish(&key, record);
    (world, key)
}

fn denial(world: &World, key: &Secret) -> Denial {
    world.check(key).unwrap_err().denial
}

#[test]
fn a_malformed_key_costs_no_io_at_all() {
    let (world, key) = published(&record());
    let mut forged = key.expose().to_owned();
    forged.replace_range(10..11, if &forged[10..11] == "a" { "b" } else { "a" });
    for text in ["", "kw_live_", "x"] {
        assert!(matches!(denial(&world, &Secret::new(text)), Denial::MalformedKey { .. }), "{text}");
    }
    for text in [forged.as_str(), "kw_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert!(matches!(denial(&world, &Secret::new(text)), Denial::UnknownKey { .. }), "{text}");
    }
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn a_known_key_is_read_from_kv_once_and_then_from_memory() {
    let (world, key) = published(&record());
    world.check(&key).unwrap();
    assert_eq!(world.asked(), ["KV", "Coordinator take"]);
    world.check(&key).unwrap();
    assert_eq!(world.asked(), ["Coordinator take"]);
}

#[test]
fn a_new_key_works_before_kv_knows_it_even_if_it_was_asked_for_before() {
    let world = World::new();
    let key = world.new_key(1);
    assert_eq!(denial(&world, &key), Denial::UnknownKey { slip: None });
    world.pass_time(SECOND);
    world.tell(&key, &record());
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_key_that_was_unknown_a_moment_ago_works_as_soon_as_there_is_one() {
    let world = World::new();
    let key = world.new_key(1);
    for _ in 0..2 {
        assert_eq!(denial(&world, &key), Denial::UnknownKey { slip: None });
        assert_eq!(
            world.asked(),
            ["KV", "Coordinator find", "FAILURES"],
            "each try counts as a failure of its network"
        );
    }
    world.tell(&key, &record());
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_network_that_keeps_failing_is_told_to_wait_before_an_object_is_asked() {
    let (world, good) = published(&record());
    world.check(&good).unwrap();
    world.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert_eq!(denial(&world, &world.new_key(2)), Denial::UnknownKey { slip: None });
    world.asked();
    assert_eq!(denial(&world, &world.new_key(3)), Denial::TooManyFailures { retry_after_ms: 10_000 });
    assert_eq!(world.asked(), ["KV"]);
    assert!(world.check(&good).is_ok());
    world.pass_time(10 * SECOND);
    world.limited_addresses.borrow_mut().clear();
    assert_eq!(denial(&world, &world.new_key(3)), Denial::UnknownKey { slip: None });
}

#[test]
fn a_key_passes_from_a_network_whose_neighbours_keep_guessing_though_this_isolate_never_saw_it() {
    let (world, good) = published(&record());
    world.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    for guess in 2..30 {
        denial(&world, &world.new_key(guess));
    }
    assert!(world.check(&good).is_ok());
}

#[test]
fn a_network_that_keeps_failing_is_held_back_whatever_addresses_of_it_it_uses() {
    let world = World::new();
    world.limited_addresses.borrow_mut().insert("2001:db8:1:2::/64".into());
    let guess = |seed: u64, address: &str| {
        let caller = ClientInfo { address: Some(address), ..CALLER };
        world.check_in(&POLICY.realms[0], &world.new_key(seed), caller).unwrap_err().denial
    };
    assert_eq!(guess(1, "2001:db8:1:2::1"), Denial::UnknownKey { slip: None });
    assert_eq!(guess(2, "2001:db8:1:2:ffff::2"), Denial::TooManyFailures { retry_after_ms: 10_000 });
    assert_eq!(guess(3, "2001:db8:1:3::1"), Denial::UnknownKey { slip: None });
}

#[test]
fn a_revoked_key_is_refused_by_the_very_next_request_though_memory_and_kv_hold_the_old_record() {
    let (world, key) = published(&record());
    world.check(&key).unwrap();
    world.tell(&key, &Record { status: Status::Revoked, version: 2, ..record() });
    assert_eq!(denial(&world, &key), Denial::RevokedKey { replaced: false });
}

#[test]
fn a_scope_that_an_edit_added_counts_within_the_freshness_bound_and_at_once_where_it_is_zero() {
    let narrow = Record { scopes: vec!["admin:read".into()], ..record() };
    let wide = Record { version: 2, ..record() };
    let (world, key) = published(&narrow);
    assert!(matches!(denial(&world, &key), Denial::InsufficientScope { .. }));
    world.tell(&key, &wide);
    world.pass_time(i64::from(POLICY.realms[0].freshness_ms) + 1);
    assert!(world.check(&key).is_ok());

    let strict = Realm { freshness_ms: 0, ..POLICY.realms[0] };
    let (world, key) = published(&narrow);
    assert!(world.check_in(&strict, &key, CALLER).is_err());
    world.tell(&key, &wide);
    world.pass_time(1);
    assert!(world.check_in(&strict, &key, CALLER).is_ok());
}

#[test]
fn a_refused_key_asks_its_object_once_for_each_freshness_period() {
    let revoked = Record { status: Status::Revoked, ..record() };
    let (world, key) = published(&revoked);
    for _ in 0..50 {
        assert_eq!(denial(&world, &key), Denial::RevokedKey { replaced: false });
    }
    assert_eq!(world.asked(), ["KV", "Coordinator take"]);
}

#[test]
fn a_strict_key_or_realm_asks_for_each_request_however_hot() {
    let strict_realm = Realm { freshness_ms: 0, ..POLICY.realms[0] };
    let limits = Limits { per_minute: Some(10_000), per_day: None };
    for (realm, strict) in [(&strict_realm, false), (&POLICY.realms[0], true)] {
        let (world, key) = published(&Record { strict, limits, ..record() });
        for _ in 0..500 {
            assert!(world.check_in(realm, &key, CALLER).is_ok());
            world.pass_time(5);
        }
        let asked = world.asked();
        assert_eq!(asked.iter().filter(|call| *call == "Coordinator take").count(), 500);
        world.tell(&key, &Record { status: Status::Revoked, version: 2, strict, limits, ..record() });
        assert!(world.check_in(realm, &key, CALLER).is_err());
    }
}

#[test]
fn a_strict_key_whose_object_is_slow_is_waited_for() {
    let (world, key) = published(&Record { strict: true, ..record() });
    let patient = Realm { decision_timeout_ms: 4_000, ..POLICY.realms[0] };
    world.slow_answers.set(vec![2_000, i64::from(FIRST_ANSWER_MS) + 1]);
    assert!(world.check_in(&patient, &key, CALLER).is_ok());
}

#[test]
fn where_limits_may_be_local_each_isolate_lets_a_tenth_through_for_a_minute_then_nothing() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..POLICY.realms[0] };
    let limits = Limits { per_minute: Some(600), per_day: Some(300) };
    let (world, key) = published(&Record { limits, ..record() });
    world.gate_fault.set(Some(Fault::Fails));
    let admitted =
        |requests: u32| (0..requests).filter(|_| world.check_in(&local, &key, CALLER).is_ok()).count();
    assert_eq!(admitted(100), 30, "a tenth of the smaller limit");
    let refused = world.check_in(&local, &key, CALLER).unwrap_err();
    assert_eq!(refused.denial, Denial::StoreUnavailable { store: "KeyGate" });
    world.pass_time(MINUTE);
    assert_eq!(admitted(100), 0, "nor after a minute, though its window is empty");
    // What passed is counted as soon as somebody can be told.
    world.gate_fault.set(None);
    world.pass_time(5 * SECOND);
    let accepted = world.check_in(&local, &key, CALLER).unwrap();
    assert_eq!(accepted.windows[1].remaining, 300 - 31);
    // And the next outage begins anew.
    world.gate_fault.set(Some(Fault::Fails));
    assert_eq!(admitted(100), 30);
}

#[test]
fn where_limits_may_be_local_a_key_that_is_revoked_or_strict_is_refused_nevertheless() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..POLICY.realms[0] };
    for record in [Record { status: Status::Revoked, ..record() }, Record { strict: true, ..record() }] {
        let (world, key) = published(&record);
        world.gate_fault.set(Some(Fault::Fails));
        assert!(world.check_in(&local, &key, CALLER).is_err());
    }
}

#[test]
fn an_answer_that_comes_too_late_is_not_used_asked_for_again_and_given_back() {
    let (world, key) =
        published(&Record { limits: Limits { per_minute: Some(2), per_day: None }, ..record() });
    world.slow_answers.set(vec![i64::from(FIRST_ANSWER_MS) + 1]);
    assert!(world.check(&key).is_ok());
    assert_eq!(world.asked(), ["KV", "Coordinator take", "Coordinator take"]);
    assert!(world.check(&key).is_ok(), "one of two is left");
    assert!(matches!(denial(&world, &key), Denial::RateLimited { .. }));
}

#[test]
fn a_store_that_fails_is_503_and_never_a_verdict_about_the_key() {
    let (world, key) = published(&record());
    world.gate_fault.set(Some(Fault::Fails));
    assert_eq!(denial(&world, &key), Denial::StoreUnavailable { store: "KeyGate" });
    // Unknown to KV and the object cannot say: not a 401.
    assert_eq!(denial(&world, &world.new_key(9)), Denial::StoreUnavailable { store: "KeyGate" });
    world.kv_fault.set(Some(Fault::Fails));
    assert_eq!(denial(&world, &world.new_key(8)), Denial::StoreUnavailable { store: "KeyGate" });
    world.gate_fault.set(None);
    assert_eq!(denial(&world, &world.new_key(7)), Denial::StoreUnavailable { store: "KV" });
}

#[test]
fn where_only_kv_fails_the_keys_object_which_has_the_record_answers() {
    let (world, key) = published(&record());
    world.kv_fault.set(Some(Fault::Fails));
    assert!(world.check(&key).is_ok());
    assert_eq!(world.asked(), ["KV", "Coordinator find", "Coordinator take"]);
    world.check(&key).unwrap();
    let (revoked, key) = published(&Record { status: Status::Revoked, ..record() });
    revoked.kv_fault.set(Some(Fault::Fails));
    assert_eq!(denial(&revoked, &key), Denial::RevokedKey { replaced: false });
}

#[test]
fn a_network_that_guesses_while_kv_fails_has_few_objects_asked_and_its_neighbours_keys_are_not_refused() {
    let (world, good) = published(&record());
    world.check(&good).unwrap();
    world.kv_fault.set(Some(Fault::Fails));
    world.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert_eq!(denial(&world, &world.new_key(2)), Denial::StoreUnavailable { store: "KV" });
    world.asked();
    // Then so many objects are, for the keys of neighbours …
    let mut asked = 0;
    for guess in 3..60 {
        assert_eq!(denial(&world, &world.new_key(guess)), Denial::StoreUnavailable { store: "KV" });
        asked += world.asked().iter().filter(|asked| *asked == "Coordinator find").count();
    }
    assert_eq!(asked, 10);
    // … and no more; what they do not know is still no verdict, and a second later there is one more.
    let (key, other) = (world.new_key(1_000), world.new_key(1_001));
    world.tell(&key, &record());
    world.tell(&other, &record());
    assert_eq!(denial(&world, &key), Denial::StoreUnavailable { store: "KV" });
    world.pass_time(SECOND);
    assert!(world.check(&key).is_ok());
    assert_eq!(denial(&world, &other), Denial::StoreUnavailable { store: "KV" });
    assert!(world.check(&good).is_ok(), "what the isolate knows passes");
}

#[test]
fn kv_that_fails_does_not_stop_a_key_that_memory_knows() {
    let (world, key) = published(&record());
    world.check(&key).unwrap();
    world.kv_fault.set(Some(Fault::Fails));
    world.pass_time(10 * MINUTE);
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_record_that_this_build_cannot_read_is_503_unless_the_keys_object_has_one_that_it_can() {
    let (world, key) = published(&record());
    let newer = serde_json::to_string(&record()).unwrap().replace("\"v\":\"1\"", "\"v\":\"2\"");
    world.kv.borrow_mut().values_mut().for_each(|value| value.clone_from(&newer));
    world.gate_fault.set(Some(Fault::Says(format!("{{\"record\":{newer}}}").leak())));
    assert_eq!(denial(&world, &key), Denial::StoreUnavailable { store: "KeyGate" });
    world.gate_fault.set(None);
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_refusal_other_than_of_a_limit_costs_no_quota() {
    let limited = Record { limits: Limits { per_minute: Some(1), per_day: None }, ..record() };
    let (world, key) = published(&Record { scopes: vec!["admin:read".into()], ..limited.clone() });
    for _ in 0..10 {
        assert!(matches!(denial(&world, &key), Denial::InsufficientScope { .. }));
    }
    world.tell(&key, &Record { version: 2, ..limited });
    world.pass_time(6 * SECOND);
    assert!(world.check(&key).is_ok());
    assert!(matches!(denial(&world, &key), Denial::RateLimited { .. }));
}

#[test]
fn refusals_of_a_key_reach_its_object_with_the_next_request_that_asks_it() {
    let (world, key) = published(&Record { scopes: vec!["admin:read".into()], ..record() });
    for _ in 0..3 {
        assert!(world.check(&key).is_err());
    }
    world.tell(&key, &Record { version: 2, ..record() });
    world.pass_time(6 * SECOND);
    world.check(&key).unwrap();
    let gates = world.gates.borrow();
    let report = gates[&world.hash(&key)].report(world.clock.get()).unwrap();
    let refused: RefusalCounts = [("INSUFFICIENT_SCOPE".to_owned(), 3)].into();
    assert_eq!((report.hours[0].accepted, &report.hours[0].refused), (1, &refused));
    assert_eq!(report.last_used_at, Some(world.clock.get()));
}

#[test]
fn a_full_window_is_remembered_so_that_hammering_costs_nothing_and_still_ends_on_time() {
    let limited = Record { limits: Limits { per_minute: Some(1), per_day: None }, ..record() };
    let (world, key) = published(&limited);
    world.check(&key).unwrap();
    let Denial::RateLimited { retry_after_ms: first, .. } = denial(&world, &key) else { panic!() };
    world.asked();
    world.pass_time(1_000);
    let Denial::RateLimited { retry_after_ms, windows } = denial(&world, &key) else { panic!() };
    assert_eq!((retry_after_ms, windows[0].reset_ms), (first - 1_000, first - 1_000));
    assert_eq!(world.asked(), Vec::<String>::new());
    let hold = lease::FULL_BY_COORDINATOR_MS as i64;
    world.pass_time(first as i64 - 1_000 - hold);
    assert!(matches!(denial(&world, &key), Denial::RateLimited { .. }));
    world.pass_time(hold);
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_higher_limit_ends_a_remembered_refusal_within_the_freshness_bound() {
    let limited = Record { limits: Limits { per_minute: Some(1), per_day: None }, ..record() };
    let (world, key) = published(&limited);
    world.check(&key).unwrap();
    assert!(matches!(denial(&world, &key), Denial::RateLimited { .. }));
    world.tell(&key, &Record { version: 2, ..record() });
    world.pass_time(i64::from(POLICY.realms[0].freshness_ms));
    assert!(world.check(&key).is_ok());
}

#[test]
fn a_key_is_found_in_its_own_realm_whichever_realm_it_is_shown_to_first() {
    let realms: &'static [Realm] = Vec::leak(vec![
        Realm { id: "first", ..POLICY.realms[0] },
        Realm { id: "second", ..POLICY.realms[0] },
    ]);
    let policy = Policy { realms, ..*POLICY };
    let (world, key) = published(&Record { realm: "second".into(), ..record() });
    let accepted = world.check_anywhere(&policy, &key).unwrap();
    assert_eq!(accepted.permit.record().unwrap().realm, "second");
    let stranger = world.check_anywhere(&policy, &world.new_key(5)).unwrap_err();
    assert_eq!(stranger.denial, Denial::UnknownKey { slip: None });
    assert_eq!(
        world.check_anywhere(&policy, &Secret::new("x")).unwrap_err().denial,
        Denial::MalformedKey { slip: None }
    );
    let revoked = Record { realm: "second".into(), status: Status::Revoked, version: 2, ..record() };
    world.tell(&key, &revoked);
    assert_eq!(
        world.check_anywhere(&policy, &key).unwrap_err().denial,
        Denial::RevokedKey { replaced: false }
    );
}

fn toggle(fault: &Cell<Option<Fault>>) {
    fault.set(if fault.get().is_some() { None } else { Some(Fault::Fails) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Edits, revocations, publications that come late or never, evicted memory, failing stores: a
    /// request passes, or is refused for a reason of the key, only if a record that held within the
    /// freshness bound says so. Where freshness is 0, that is the one that holds.
    #[test]
    fn whatever_happens_no_old_copy_has_the_last_word(
        steps in proptest::collection::vec((0_u8..7, 0_i64..4_000), 1..80),
        freshness_ms in prop_oneof![Just(0_u32), Just(5_000)],
    ) {
        let realm = Realm { freshness_ms, ..POLICY.realms[0] };
        let (world, key) = published(&record());
        let mut holds = record();
        let mut history = vec![(world.clock.get(), record())];
        let mut failed = i64::MIN;
        for (step, wait) in steps {
            world.pass_time(wait);
            match step {
                0 | 1 => {
                    let scope = if step == 0 { "orders:read" } else { "admin:read" };
                    holds = Record { version: holds.version + 1, scopes: vec![scope.into()], ..holds };
                    world.tell(&key, &holds);
                    history.push((world.clock.get(), holds.clone()));
                }
                2 => world.publish(&key, &holds),
                3 => *world.memory.borrow_mut() = keyward_gate::memory::Memory::default(),
                4 => toggle(&world.kv_fault),
                5 => toggle(&world.gate_fault),
                _ => {}
            }
            if world.gate_fault.get().is_some() {
                failed = world.clock.get().0;
            }
            let bound = world.clock.get().plus(-i64::from(freshness_ms));
            // Whether a record that held within the bound allows, or does not allow, the request.
            let held = |allows: bool| {
                history.iter().enumerate().any(|(index, (_, record))| {
                    let recent = history.get(index + 1).is_none_or(|(end, _)| *end > bound);
                    recent && (record.scopes == ["orders:read"]) == allows
                })
            };
            match world.check_in(&realm, &key, CALLER).map_err(|refused| refused.denial) {
                Ok(_) => prop_assert!(held(true)),
                Err(Denial::InsufficientScope { .. }) => prop_assert!(held(false)),
                Err(Denial::RateLimited { .. }) => prop_assert!(held(true)),
                // What is well again is shut out for 5 s at the most.
                Err(Denial::StoreUnavailable { .. }) => prop_assert!(world.clock.get().0 - failed < 5 * SECOND),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

#[test]
fn an_isolate_whose_clock_was_a_day_ahead_believes_nothing_of_what_it_noted_then() {
    let world = World::new();
    let (key, narrow) = (world.new_key(1), world.new_key(2));
    let scopes = vec!["admin:read".into()];
    let unfit = Record { scopes, ..record() };
    world.tell(&narrow, &unfit);
    world.publish(&narrow, &unfit);
    world.pass_time(DAY);
    // A refusal, an unknown key, a network that is held back.
    world.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert!(matches!(denial(&world, &narrow), Denial::InsufficientScope { .. }));
    assert!(matches!(denial(&world, &key), Denial::UnknownKey { .. }));
    world.limited_addresses.borrow_mut().clear();
    world.pass_time(-DAY);
    world.tell(&key, &record());
    world.check(&key).unwrap();
    world.tell(&narrow, &Record { version: 2, ..record() });
    world.check(&narrow).unwrap();
}

#[test]
fn a_lease_of_a_record_that_was_forgotten_and_known_again_meanwhile_lasts_no_longer() {
    let record = Record { limits: Limits::default(), ..record() };
    let (world, key) = published(&record);
    // Set back by 6 s all in all.
    for _ in 0..30 {
        world.check(&key).unwrap();
        world.pass_time(-200);
    }
    let (hash, record) = (world.hash(&key), Rc::new(record));
    let large = Rc::new(Record { scopes: vec!["x".repeat(1 << 20)], ..(*record).clone() });
    let was_forgotten = Rc::new(Cell::new(false));
    let is_forgotten = Rc::clone(&was_forgotten);
    *world.meanwhile.borrow_mut() = Some(Box::new(move |world, call, _| {
        if matches!(call, CoordinatorCall::Acquire(take) if take.wants > 0) && !is_forgotten.replace(true) {
            let mut memory = world.memory.borrow_mut();
            for number in 0..40 {
                memory.keep(&format!("sha256:{number}"), &large);
            }
            assert!(memory.peek(&hash).is_none());
            memory.keep(&hash, &record);
        }
    }));
    while !was_forgotten.get() {
        world.pass_time(10);
        world.check(&key).unwrap();
    }
    world.asked();
    world.check(&key).unwrap();
    assert_eq!(world.asked(), Vec::<String>::new(), "there is a lease");
    world.pass_time(7 * SECOND);
    world.check(&key).unwrap();
    assert_eq!(world.asked(), ["Coordinator take"]);
}

#[test]
fn who_asks_for_a_lease_or_whether_a_record_holds_says_how_long_it_waits() {
    let (world, key) = published(&Record { limits: Limits::default(), ..record() });
    let seen = Rc::new(Cell::new(0));
    let seen_there = Rc::clone(&seen);
    *world.meanwhile.borrow_mut() = Some(Box::new(move |_, call, waits| {
        if let CoordinatorCall::Acquire(take) = call
            && !take.immediate
        {
            assert_eq!(take.within_ms, waits);
            seen_there.set(seen_there.get() + 1);
        }
    }));
    for _ in 0..100 {
        world.pass_time(10);
        let accepted = world.check(&key).unwrap();
        if format!("{:?}", accepted.background).contains("Renew") {
            world.do_chores(&accepted);
        }
    }
    assert!(seen.get() > 0, "a lease was asked for");
    seen.set(0);
    let write = KeyRequirement { scopes: &["orders:write"], ..KeyRequirement::ANY_KEY };
    world.pass_time(10 * SECOND);
    assert!(world.check_for(&POLICY.realms[0], &write, &key, CALLER).is_err());
    assert_eq!(seen.get(), 1);
}
