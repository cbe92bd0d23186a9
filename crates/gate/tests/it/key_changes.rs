//! Deciding by the change log: what it says of a record, for how long, and what happens where it cannot be read.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    changes::{Change, KV_LAG},
    record::{Limits, Record, Status, Tenant, TenantStatus},
    secret::Secret,
    time::{SECOND, Span},
};
use keyward_gate::denial::Denial;
use keyward_policy::Realm;
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Fault, READ, now, published},
    policy::POLICY,
    record,
};

/// For how long the log's word counts: the realm's 5 s without the way to the origin.
const COUNTS_FOR: Span = Span::from_ms(4_750);

fn unlimited() -> Record {
    Record { limits: Limits::default(), ..record() }
}

/// A platform with a log and a key with this record.
fn with_log(record: &Record) -> (FakePlatform, Secret) {
    let (platform, key) = published(record);
    platform.log.borrow_mut().get_or_insert_default();
    (platform, key)
}

fn key_change(platform: &FakePlatform, key: &Secret, version: u64, revoked: bool) -> Change {
    Change::Key { hash: platform.hash(key), version, revoked }
}

fn tenant_change(number: u64, status: TenantStatus) -> Change {
    Change::Tenant { number, tenant: Tenant { status, ..record().tenant } }
}

/// How often the log was asked since the last time.
fn reads(platform: &FakePlatform) -> usize {
    platform.asked().iter().filter(|asked| *asked == "changes").count()
}

#[test]
fn a_key_without_a_limit_asks_no_object_while_the_log_is_read() {
    let (platform, key) = with_log(&unlimited());
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["KV", "changes"], "at its first touch");
    for _ in 0..9 {
        platform.pass_time(Span::from_ms(475));
        platform.check(&key).unwrap();
    }
    assert_eq!(platform.asked(), [""; 0]);
    // The word is older than what it counts for: the next request waits for another one.
    platform.pass_time(Span::from_ms(475));
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["changes"]);
}

#[test]
fn the_log_is_read_on_behind_an_answer_before_anybody_waits_for_it() {
    let (platform, key) = with_log(&unlimited());
    let due = || platform.memory.borrow_mut().changes.due(platform.clock.now());
    platform.check(&key).unwrap();
    platform.check(&key).unwrap();
    assert_eq!(due(), None, "its word is young");
    platform.pass_time(COUNTS_FOR * 75 / 100);
    assert_eq!(reads(&platform), 1);
    platform.check(&key).unwrap();
    assert_eq!(reads(&platform), 0, "no request reads it");
    let gate = platform.gate(Some(&POLICY));
    let (one, other) = (gate.background(), gate.background());
    now(gate.run(other));
    assert_eq!(reads(&platform), 0, "one of two answers does");
    now(gate.run(one));
    assert_eq!(reads(&platform), 1);
    platform.pass_time(COUNTS_FOR * 75 / 100);
    assert_eq!(due(), None, "nobody has used it since");
}

#[test]
fn what_kv_says_is_refused_without_the_keys_object_where_the_log_knows_of_nothing_newer() {
    let (platform, key) = with_log(&Record { status: Status::Revoked, ..record() });
    assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
    assert_eq!(platform.asked(), ["KV", "changes"]);
}

#[test]
fn an_old_record_in_kv_decides_nothing_once_the_log_names_a_newer_one() {
    // A key without a limit may have so many users that a relay is asked for its object.
    for (record, asked) in [(unlimited(), "Relay take"), (record(), "Coordinator take")] {
        let (platform, key) = with_log(&record);
        platform.tell(&key, &Record { version: 2, scopes: Vec::new(), ..record });
        platform.log(key_change(&platform, &key, 2, false));
        assert!(matches!(platform.denial(&key), Denial::InsufficientScope { .. }));
        assert_eq!(platform.asked(), ["KV", "changes", asked], "its object has the newer one");
    }
}

#[test]
fn a_key_that_the_log_says_was_revoked_costs_no_object_even_if_its_object_was_not_told_yet() {
    for strict in [false, true] {
        let (platform, key) = with_log(&Record { strict, ..record() });
        platform.check(&key).unwrap();
        platform.log(key_change(&platform, &key, 2, true));
        platform.read_log();
        platform.asked();
        assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
        platform.pass_time(Span::from_hours(1));
        assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false }, "for good");
        assert_eq!(platform.asked(), [""; 0], "strict: {strict}");
    }
}

#[test]
fn a_tenant_that_was_deactivated_stops_every_key_that_is_remembered_or_read_with_one_change() {
    let (platform, key) = with_log(&record());
    let other = platform.new_key(2);
    let in_kv = Record { id: "key_2".into(), ..unlimited() };
    platform.publish(&other, &in_kv);
    platform.tell(&other, &in_kv);
    platform.check(&key).unwrap();
    platform.log(tenant_change(1, TenantStatus::Inactive));
    platform.read_log();
    // Nobody has told an object, and KV has the old records.
    for key in [&key, &other] {
        assert_eq!(platform.denial(key), Denial::InactiveTenant);
    }
    // Active again: another number. A record that has it says so itself, before the log is read again.
    platform.log(tenant_change(2, TenantStatus::Active));
    platform.tell(&key, &Record { version: 2, tenant_change: 2, ..record() });
    let strict = Realm { freshness: Span::ZERO, ..POLICY.realms[0] };
    assert!(platform.check_in(&strict, &key, CALLER).is_ok());
    assert_eq!(platform.denial(&other), Denial::InactiveTenant, "within the bound");
    platform.read_log();
    assert!(platform.check(&other).is_ok());
}

#[test]
fn a_tenants_deactivation_holds_for_a_key_with_a_limit_whose_object_was_not_told_however_seldom_it_is_used() {
    let (platform, key) = with_log(&record());
    platform.check(&key).unwrap();
    platform.pass_time(SECOND * 10);
    platform.log(tenant_change(1, TenantStatus::Inactive));
    platform.asked();
    assert_eq!(platform.denial(&key), Denial::InactiveTenant);
    assert_eq!(platform.asked(), ["changes"], "before anything is charged");
    platform.log(tenant_change(2, TenantStatus::Active));
    platform.read_log();
    for _ in 1..5 {
        platform.check(&key).unwrap();
    }
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
}

#[test]
fn a_request_under_a_lease_waits_for_a_log_that_answers_and_of_one_that_fails_one_in_a_while_tries_it() {
    let limits = Limits { per_minute: Some(1_000), ..Limits::default() };
    let (platform, key) = with_log(&Record { limits, ..record() });
    loop {
        platform.check(&key).unwrap();
        if platform.asked().is_empty() {
            break;
        }
        platform.pass_time(Span::from_ms(20));
    }
    // Under a lease. Now nothing is known of the log.
    let forget = || platform.memory.borrow_mut().changes.set_back(SECOND, Span::ZERO);
    forget();
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["changes"]);
    forget();
    platform.log_fault.set(Some(Fault::Fails));
    for _ in 0..4 {
        platform.check(&key).unwrap();
    }
    assert_eq!(platform.asked(), ["changes"; 3]);
    platform.log_fault.set(Some(Fault::Hangs));
    platform.pass_time(SECOND);
    let mut waited = Vec::new();
    for _ in 0..2 {
        let began = platform.clock.now();
        platform.check(&key).unwrap();
        waited.push(platform.clock.now() - began);
    }
    assert_eq!(waited, [500, 0].map(Span::from_ms));
    assert_eq!(platform.asked(), ["changes"]);
    platform.log_fault.set(None);
    platform.pass_time(2 * SECOND);
    platform.log(tenant_change(1, TenantStatus::Inactive));
    platform.read_log();
    assert_eq!(platform.denial(&key), Denial::InactiveTenant);
}

#[test]
fn however_long_the_log_takes_the_object_is_asked_once_and_after_it() {
    for (fault, asked) in [
        (Fault::Slow(Span::from_ms(450)), &["changes", "Coordinator take"][..]),
        (Fault::Hangs, &["changes", "changes", "Coordinator take"]),
    ] {
        let (platform, key) = with_log(&record());
        platform.check(&key).unwrap();
        // Whatever it has got of a lease is over.
        platform.pass_time(Span::from_mins(10));
        platform.asked();
        platform.log_fault.set(Some(fault));
        platform.check(&key).unwrap();
        assert_eq!(platform.asked(), asked, "{fault:?}");
        for _ in 1..5 {
            platform.check(&key).unwrap();
        }
        assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }), "{fault:?}");
    }
}

#[test]
fn what_was_granted_while_the_logs_word_became_too_old_is_given_back_and_the_log_read_on_first() {
    for (is_known, is_deactivated) in [(false, false), (false, true), (true, false), (true, true)] {
        let (platform, key) = with_log(&record());
        if is_known {
            platform.check(&key).unwrap();
            platform.pass_time(Span::from_mins(10));
        }
        platform.read_log();
        platform.pass_time(COUNTS_FOR - Span::from_ms(100));
        if is_deactivated {
            // Its object was not told.
            platform.log(tenant_change(1, TenantStatus::Inactive));
        }
        platform.asked();
        platform.slow_answers.set(vec![Span::from_ms(200)]);
        let verdict = platform.check(&key).map_err(|refused| refused.denial);
        let asked = platform.asked();
        let what = format!("known: {is_known}, deactivated: {is_deactivated}, {asked:?}");
        let first = asked.iter().skip_while(|asked| *asked == "KV").take(2).collect::<Vec<_>>();
        assert_eq!(first, ["Coordinator take", "changes"], "{what}");
        if is_deactivated {
            assert_eq!(verdict.err(), Some(Denial::InactiveTenant), "{what}");
            platform.log(tenant_change(2, TenantStatus::Active));
            platform.read_log();
        } else {
            assert!(verdict.is_ok(), "{what}");
        }
        for _ in u32::from(!is_deactivated)..5 {
            platform.check(&key).unwrap();
        }
        assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }), "{what}");
    }
}

#[test]
fn that_a_tenant_was_deactivated_is_not_forgotten_while_the_log_cannot_be_read() {
    let (platform, key) = with_log(&record());
    platform.check(&key).unwrap();
    platform.log(tenant_change(1, TenantStatus::Inactive));
    platform.read_log();
    platform.log_fault.set(Some(Fault::Fails));
    platform.pass_time(SECOND * 10);
    // Its object was not told yet.
    assert_eq!(platform.denial(&key), Denial::InactiveTenant);
    // Nor was that of a key that KV does not know.
    let new = platform.new_key(2);
    platform.tell(&new, &Record { id: "key_2".into(), ..record() });
    assert_eq!(platform.denial(&new), Denial::InactiveTenant);
    // A record that was made later is right.
    platform.tell(&key, &Record { version: 2, tenant_change: 2, ..record() });
    platform.pass_time(SECOND * 10);
    platform.check(&key).unwrap();
}

#[test]
fn a_limit_that_a_tenant_was_given_counts_for_a_remembered_key_that_had_none() {
    let (platform, key) = with_log(&unlimited());
    platform.check(&key).unwrap();
    platform.log(tenant_change(1, TenantStatus::Active));
    let limits = Limits { per_minute: Some(1), ..Limits::default() };
    platform.tell(&key, &Record { version: 2, tenant_change: 1, limits, ..unlimited() });
    platform.pass_time(COUNTS_FOR);
    assert!(platform.check(&key).is_ok());
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
}

#[test]
fn an_old_word_of_a_tenant_covers_no_newer_record() {
    let (platform, key) = with_log(&Record { strict: true, ..record() });
    platform.log(tenant_change(1, TenantStatus::Active));
    platform.read_log();
    platform.check(&key).unwrap();
    // As an older build of the Registry writes it, which names no change.
    let inactive = Tenant { status: TenantStatus::Inactive, ..record().tenant };
    platform.tell(&key, &Record { version: 2, strict: true, tenant: inactive.clone(), ..record() });
    assert_eq!(platform.denial(&key), Denial::InactiveTenant);
    let (platform, key) = with_log(&unlimited());
    platform.log(tenant_change(1, TenantStatus::Active));
    platform.check(&key).unwrap();
    platform.log_fault.set(Some(Fault::Answers(404)));
    platform.tell(&key, &Record { version: 2, tenant: inactive, ..unlimited() });
    platform.pass_time(COUNTS_FOR);
    assert_eq!(platform.denial(&key), Denial::InactiveTenant);
}

#[test]
fn without_the_log_the_keys_object_decides_and_without_both_the_answer_is_503() {
    let faults =
        [Fault::Fails, Fault::Hangs, Fault::Says("{}"), Fault::Answers(404), Fault::Slow(SECOND * 2)];
    for fault in faults {
        let (platform, key) = with_log(&unlimited());
        platform.log_fault.set(Some(fault));
        let began = platform.clock.now();
        platform.check(&key).unwrap();
        // A message may have been lost: there is time for another one.
        let reads = if matches!(fault, Fault::Hangs | Fault::Slow(_)) { 2 } else { 1 };
        let asked = [&["KV"][..], &["changes"].repeat(reads), &["Relay take"]].concat();
        assert_eq!(platform.asked(), asked, "{fault:?}");
        assert!(
            platform.clock.now() - began <= SECOND,
            "half of the decision's time is its object's: {fault:?}"
        );
        platform.tell(&key, &Record { version: 2, status: Status::Revoked, ..unlimited() });
        platform.pass_time(COUNTS_FOR);
        assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false }, "{fault:?}");
        platform.gate_fault.set(Some(Fault::Fails));
        let (platform, key) = with_log(&unlimited());
        platform.log_fault.set(Some(fault));
        platform.gate_fault.set(Some(Fault::Fails));
        assert!(matches!(platform.denial(&key), Denial::StoreUnavailable { .. }), "{fault:?}");
    }
}

#[test]
fn a_log_that_fails_again_and_again_is_not_asked_for_a_while() {
    let (platform, key) = with_log(&unlimited());
    platform.log_fault.set(Some(Fault::Fails));
    for _ in 0..6 {
        platform.check(&key).unwrap();
    }
    assert_eq!(reads(&platform), 3);
    // Nor does anybody wait for one that an answer was to have made.
    assert!(platform.memory.borrow_mut().changes.due(platform.clock.now()).is_some());
    platform.read_log();
    let began = platform.clock.now();
    platform.check(&key).unwrap();
    assert_eq!((reads(&platform), platform.clock.now()), (0, began));
    platform.log_fault.set(None);
    platform.pass_time(SECOND);
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["changes"]);
}

#[test]
fn a_log_that_does_not_cover_what_kv_may_lack_decides_nothing() {
    let (platform, key) = with_log(&unlimited());
    platform.log.borrow_mut().as_mut().unwrap().covers = KV_LAG - SECOND;
    platform.tell(&key, &Record { version: 2, status: Status::Revoked, ..unlimited() });
    assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
    assert_eq!(platform.asked(), ["KV", "changes", "Relay take"]);
}

#[test]
fn whoever_may_have_missed_a_change_reads_its_records_again() {
    let (platform, key) = with_log(&unlimited());
    platform.check(&key).unwrap();
    platform.log(key_change(&platform, &key, 2, true));
    // The isolate slept for so long that the log has forgotten that.
    platform.log.borrow_mut().as_mut().unwrap().forget(1);
    let revoked = Record { version: 2, status: Status::Revoked, ..unlimited() };
    platform.tell(&key, &revoked);
    platform.publish(&key, &revoked);
    platform.pass_time(KV_LAG * 2);
    platform.asked();
    assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
    assert_eq!(
        platform.asked(),
        ["changes", "Coordinator take"],
        "the request had the old record in its hands"
    );
    assert_eq!(platform.denial(&key), Denial::RevokedKey { replaced: false });
}

#[test]
fn a_strict_realm_or_key_never_passes_by_the_log() {
    let strict_realm = Realm { freshness: Span::ZERO, ..POLICY.realms[0] };
    for (realm, strict) in [(&strict_realm, false), (&POLICY.realms[0], true)] {
        let (platform, key) = with_log(&Record { strict, ..unlimited() });
        platform.read_log();
        platform.asked();
        platform.check_in(realm, &key, CALLER).unwrap();
        platform.check_in(realm, &key, CALLER).unwrap();
        assert_eq!(platform.asked(), ["KV", "Coordinator take", "Coordinator take"], "{strict}");
    }
}

#[test]
fn a_route_that_is_fresher_than_its_realm_uses_a_younger_word() {
    let (platform, key) = with_log(&unlimited());
    platform.check(&key).unwrap();
    platform.pass_time(SECOND);
    platform.asked();
    let fresher = Realm { freshness: SECOND, ..POLICY.realms[0] };
    platform.check_for(&fresher, &READ, &key, CALLER).unwrap();
    assert_eq!(platform.asked(), ["changes"]);
}

#[test]
fn a_clock_that_is_set_back_makes_no_word_younger() {
    for back in [Span::from_ms(200), SECOND] {
        let (platform, key) = with_log(&unlimited());
        platform.check(&key).unwrap();
        platform.pass_time(COUNTS_FOR - Span::from_ms(100));
        platform.check(&key).unwrap();
        platform.clock.advance(-back);
        platform.check(&key).unwrap();
        platform.asked();
        platform.pass_time(Span::from_ms(100));
        platform.check(&key).unwrap();
        let expected: &[&str] = if back > Span::from_ms(250) { &[] } else { &["changes"] };
        assert_eq!(platform.asked(), expected, "a large step was followed by another word at once");
    }
}
