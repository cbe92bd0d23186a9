//! No old copy of a record has the last word.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;

use keyward_core::{
    record::{Limits, Record, Status},
    time::{MILLISECOND, SECOND, Timestamp},
};
use keyward_gate::denial::Denial;
use keyward_limits::timing::FIRST_ANSWER;
use keyward_policy::{Realm, Span};
use keyward_testing::{
    fake_platform::{CALLER, Fault, published},
    policy::POLICY,
    record,
};
use proptest::prelude::*;

#[test]
fn a_revoked_key_is_refused_by_the_very_next_request_though_memory_and_kv_hold_the_old_record() {
    let (platform, key) = published(&record());
    platform.check(&key).unwrap();
    platform.tell(&key, &Record { status: Status::Revoked, version: 2, ..record() });
    assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
}

#[test]
fn a_scope_that_an_edit_added_counts_within_the_freshness_bound_and_at_once_where_it_is_zero() {
    let narrow = Record { scopes: vec!["admin:read".into()], ..record() };
    let wide = Record { version: 2, ..record() };
    let (platform, key) = published(&narrow);
    assert!(matches!(platform.denial(&key), Denial::InsufficientScope { .. }));
    platform.tell(&key, &wide);
    platform.pass_time(POLICY.realms[0].freshness + MILLISECOND);
    assert!(platform.check(&key).is_ok());

    let strict = Realm { freshness: Span::ZERO, ..POLICY.realms[0] };
    let (platform, key) = published(&narrow);
    assert!(platform.check_in(&strict, &key, CALLER).is_err());
    platform.tell(&key, &wide);
    platform.pass_time(MILLISECOND);
    assert!(platform.check_in(&strict, &key, CALLER).is_ok());
}

#[test]
fn a_refused_key_asks_its_object_once_for_each_freshness_period() {
    let revoked = Record { status: Status::Revoked, ..record() };
    let (platform, key) = published(&revoked);
    for _ in 0..50 {
        assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
    }
    assert_eq!(platform.asked(), ["KV", "Coordinator take"]);
}

#[test]
fn a_strict_key_or_realm_asks_for_each_request_however_hot() {
    let strict_realm = Realm { freshness: Span::ZERO, ..POLICY.realms[0] };
    let limits = Limits { per_minute: Some(10_000), ..Limits::default() };
    for (realm, strict) in [(&strict_realm, false), (&POLICY.realms[0], true)] {
        let (platform, key) = published(&Record { strict, limits, ..record() });
        for _ in 0..500 {
            assert!(platform.check_in(realm, &key, CALLER).is_ok());
            platform.pass_time(Span::from_ms(5));
        }
        let asked = platform.asked();
        assert_eq!(asked.iter().filter(|call| *call == "Coordinator take").count(), 500);
        platform.tell(&key, &Record { status: Status::Revoked, version: 2, strict, limits, ..record() });
        assert!(platform.check_in(realm, &key, CALLER).is_err());
    }
}

#[test]
fn a_strict_key_whose_object_is_slow_is_waited_for() {
    let (platform, key) = published(&Record { strict: true, ..record() });
    let patient = Realm { decision_timeout: Span::from_secs(4), ..POLICY.realms[0] };
    platform.slow_answers.set(vec![2 * SECOND, FIRST_ANSWER + MILLISECOND]);
    assert!(platform.check_in(&patient, &key, CALLER).is_ok());
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
        freshness in prop_oneof![Just(Span::ZERO), Just(Span::from_secs(5))],
    ) {
        let realm = Realm { freshness, ..POLICY.realms[0] };
        let (platform, key) = published(&record());
        let mut holds = record();
        let mut history = vec![(platform.clock.now(), record())];
        let mut failed = Timestamp(i64::MIN);
        for (step, wait) in steps {
            platform.pass_time(Span::from_ms(wait));
            match step {
                0 | 1 => {
                    let scope = if step == 0 { "orders:read" } else { "admin:read" };
                    holds = Record { version: holds.version + 1, scopes: vec![scope.into()], ..holds };
                    platform.tell(&key, &holds);
                    history.push((platform.clock.now(), holds.clone()));
                }
                2 => platform.publish(&key, &holds),
                3 => *platform.memory.borrow_mut() = keyward_gate::memory::Memory::default(),
                4 => toggle(&platform.kv_fault),
                5 => toggle(&platform.gate_fault),
                _ => {}
            }
            if platform.gate_fault.get().is_some() {
                failed = platform.clock.now();
            }
            let bound = platform.clock.now() - freshness;
            // Whether a record that held within the bound allows, or does not allow, the request.
            let held = |allows: bool| {
                history.iter().enumerate().any(|(index, (_, record))| {
                    let recent = history.get(index + 1).is_none_or(|(end, _)| *end > bound);
                    recent && (record.scopes == ["orders:read"]) == allows
                })
            };
            match platform.check_in(&realm, &key, CALLER).map_err(|refused| refused.denial) {
                Ok(_) => prop_assert!(held(true)),
                Err(Denial::InsufficientScope { .. }) => prop_assert!(held(false)),
                Err(Denial::RateLimited { .. }) => prop_assert!(held(true)),
                // What is well again is shut out for 5 s at the most.
                Err(Denial::StoreUnavailable { .. }) => prop_assert!(platform.clock.now() - failed < 5 * SECOND),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
