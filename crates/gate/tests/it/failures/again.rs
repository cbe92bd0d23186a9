//! What fails again and again: how often it is asked, and what it costs others.

use keyward_core::time::MILLISECOND;
use keyward_gate::client_info::ClientInfo;
use keyward_limits::lease::Grantor;

use super::*;

/// Requests so far apart, for so long: what they got, and how long all of them waited together.
fn traffic(platform: &FakePlatform, key: &Secret, step: Span, span: Span) -> (Vec<Verdict>, Span) {
    let (mut verdicts, mut waited) = (Vec::new(), Span::ZERO);
    let end = platform.clock.now().plus(span);
    while platform.clock.now() < end {
        let (verdict, took) = check(platform, key);
        verdicts.push(verdict);
        waited += took;
        platform.pass_time(step);
    }
    (verdicts, waited)
}

#[test]
fn an_object_that_hangs_is_waited_for_three_times_and_then_once_in_five_seconds() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    platform.gate_fault.set(Some(Fault::Hangs));
    let (verdicts, waited) = traffic(&platform, &key, Span::from_ms(10), MINUTE);
    assert!(verdicts.len() > 3_000 && verdicts.iter().all(|verdict| *verdict == Verdict::Unavailable));
    // Three, then one that tries after each pause.
    let calls = platform.asked().iter().filter(|call| call.starts_with("Coordinator")).count();
    assert!((8..16).contains(&calls), "{calls} calls");
    assert!(waited <= *DEADLINE * calls as i64);
    platform.gate_fault.set(None);
    platform.pass_time(5 * SECOND);
    assert_eq!(check(&platform, &key), (Verdict::Pass, Span::ZERO));
    assert_eq!(check(&platform, &key), (Verdict::Pass, Span::ZERO));
}

#[test]
fn one_tenants_object_that_hangs_costs_no_other_key_anything() {
    // Of the second, a relay is asked first.
    for limit in [1_000, 100_000] {
        let platform = FakePlatform::new();
        let (hanging, other) = (platform.new_key(1), platform.new_key(2));
        let record = Record { limits: Limits { per_minute: Some(limit), ..Limits::default() }, ..record() };
        for key in [&hanging, &other] {
            platform.tell(key, &record);
            platform.publish(key, &record);
        }
        platform.faulty.borrow_mut().insert(platform.hash(&hanging));
        platform.gate_fault.set(Some(Fault::Hangs));
        for _ in 0..20 {
            assert_eq!(check(&platform, &hanging).0, Verdict::Unavailable, "{limit}");
            *platform.memory.borrow_mut() = {
                let mut fresh = Memory::default();
                std::mem::swap(&mut fresh.breakers, &mut platform.memory.borrow_mut().breakers);
                fresh
            };
            assert_eq!(check(&platform, &other), (Verdict::Pass, Span::ZERO), "{limit}");
        }
    }
}

#[test]
fn while_all_objects_hang_a_key_that_comes_for_the_first_time_is_answered_at_once() {
    let platform = FakePlatform::new();
    let keys: Vec<_> = (1..=30).map(|seed| platform.new_key(seed)).collect();
    for key in &keys {
        platform.tell(key, &record());
        platform.publish(key, &record());
    }
    platform.gate_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = keys.iter().map(|key| check(&platform, key)).collect();
    assert!(took.iter().all(|(verdict, _)| *verdict == Verdict::Unavailable));
    assert_eq!(took.iter().filter(|(_, took)| *took > Span::ZERO).count(), 4, "{took:?}");
    platform.gate_fault.set(None);
    platform.pass_time(SECOND);
    for key in &keys[4..] {
        assert_eq!(check(&platform, key), (Verdict::Pass, Span::ZERO));
    }
}

#[test]
fn kv_that_hangs_is_left_alone_and_objects_answer_at_once() {
    let platform = FakePlatform::new();
    platform.kv_fault.set(Some(Fault::Hangs));
    let mut waited = Vec::new();
    for seed in 1..=10 {
        let key = platform.new_key(seed);
        platform.tell(&key, &record());
        let (verdict, took) = check(&platform, &key);
        assert_eq!(verdict, Verdict::Pass);
        waited.push(took);
    }
    assert_eq!(waited, [1_000, 1_000, 1_000, 0, 0, 0, 0, 0, 0, 0].map(Span::from_ms));
}

#[test]
fn a_limiter_that_hangs_is_left_alone() {
    let platform = FakePlatform::new();
    platform.limiter_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = (1..=6).map(|seed| check(&platform, &platform.new_key(seed))).collect();
    let (late, at_once) = ((Verdict::Unknown, Span::from_ms(500)), (Verdict::Unknown, Span::ZERO));
    assert_eq!(took, [late, late, at_once, at_once, at_once, at_once]);
}

#[test]
fn a_limiter_that_is_asked_of_a_network_and_of_its_site_is_waited_for_no_longer_than_of_one() {
    let caller = ClientInfo { address: Some("2001:db8:1:2::3"), ..CALLER };
    let (long, short) = (Span::from_ms(500), Span::from_ms(300));
    for (fault, deadline, longest) in [
        (Fault::Hangs, *DEADLINE, long),
        (Fault::Slow(Span::from_ms(300)), *DEADLINE, long),
        (Fault::Slow(Span::from_ms(200)), short, short),
    ] {
        let realm = Realm { decision_timeout: deadline, ..*REALM };
        let platform = FakePlatform::new();
        platform.limiter_fault.set(Some(fault));
        let mut most = Span::ZERO;
        // One failure in 16 counts for the site, too.
        for seed in 1..=32 {
            let came = platform.clock.now();
            let refused = platform.check_in(&realm, &platform.new_key(seed), caller).unwrap_err();
            assert!(matches!(refused.denial, Denial::UnknownKey { .. }), "{:?}", refused.denial);
            most = most.max(platform.clock.now() - came);
            platform.pass_time(2 * MINUTE);
        }
        assert_eq!(most, longest, "{fault:?}");
    }
}

#[test]
fn a_relay_that_hangs_is_asked_again_only_after_a_pause_however_often_the_object_says_to_ask_it() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    for fault in [Fault::Hangs, Fault::Fails, Fault::Says("{}")] {
        platform.relay_fault.set(Some(fault));
        platform.pass_time(2 * MINUTE);
        platform.asked();
        let mut longest = Span::ZERO;
        for _ in 0..60 {
            platform.gather(&key);
            let (verdict, took) = check(&platform, &key);
            assert_eq!(verdict, Verdict::Pass);
            longest = longest.max(took);
            platform.pass_time(SECOND);
        }
        let asked = platform.asked();
        let relays = asked.iter().filter(|call| call.starts_with("Relay")).count();
        assert!((2..=7).contains(&relays), "{fault:?}: {relays} calls to relays of {}", asked.len());
        assert!(longest <= *DEADLINE, "{longest:?}");
    }
    platform.relay_fault.set(None);
    platform.pass_time(30 * SECOND);
    for _ in 0..5 {
        platform.gather(&key);
        assert_eq!(check(&platform, &key).0, Verdict::Pass);
        platform.pass_time(SECOND);
    }
    assert!(
        platform.asked().iter().filter(|call| call.starts_with("Relay")).count() >= 3,
        "it is used again"
    );
}

#[test]
fn a_relay_that_cannot_reach_the_object_says_so_and_nobody_asks_the_object_instead() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    platform.gather(&key);
    check(&platform, &key);
    platform.asked();
    platform.relay_fault.set(Some(Fault::Says(r#"{"outcome":"unreached","slow":true}"#)));
    for _ in 0..10 {
        assert_eq!(check(&platform, &key), (Verdict::Unavailable, Span::ZERO));
        platform.pass_time(Span::from_ms(20));
    }
    assert_eq!(platform.asked(), ["Relay take"; 10], "it answers, so it is asked again, and nobody else");
    // What would be refused on the record at hand is not refused without the object's word either.
    let write = KeyRequirement { scopes: &["orders:write"], ..KeyRequirement::ANY_KEY };
    platform.pass_time(10 * SECOND);
    let refused = platform.check_for(&REALM, &write, &key, CALLER).unwrap_err().denial;
    assert!(matches!(refused, Denial::StoreUnavailable { .. }), "{refused:?}");
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..*REALM };
    assert_eq!(check_in(&platform, &local, &key), (Verdict::Pass, Span::ZERO));
    platform.relay_fault.set(None);
    assert_eq!(check(&platform, &key).0, Verdict::Pass);
    // Where there was merely too little time, the object itself is asked; the relay is well all the same.
    platform.relay_fault.set(Some(Fault::Says(r#"{"outcome":"unreached","slow":false}"#)));
    platform.pass_time(10 * SECOND);
    platform.gather(&key);
    check(&platform, &key);
    platform.asked();
    for _ in 0..3 {
        platform.gather(&key);
        assert_eq!(check(&platform, &key), (Verdict::Pass, Span::ZERO));
        platform.pass_time(SECOND);
    }
    assert_eq!(platform.asked(), ["Relay take", "Coordinator take"].repeat(3));
}

#[test]
fn a_record_that_a_relay_has_refreshed_is_as_old_as_the_coordinators_word_may_be() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    platform.gather(&key);
    check(&platform, &key);
    platform.pass_time(10 * SECOND);
    let newer = serde_json::to_string(&Record { version: 2, ..record() }).unwrap();
    let changed = format!(r#"{{"outcome":"changed","record":{newer}}}"#);
    platform.relay_fault.set(Some(Fault::Says(changed.leak())));
    let write = KeyRequirement { scopes: &["orders:write"], ..KeyRequirement::ANY_KEY };
    let asked = || {
        platform.asked();
        let refused = platform.check_for(&REALM, &write, &key, CALLER).unwrap_err().denial;
        assert!(matches!(refused, Denial::InsufficientScope { .. }), "{refused:?}");
        platform.asked()
    };
    assert_eq!(asked(), ["Relay take"]);
    // The relay may have had it for half of a lease of 4.75 s, and it may be 5 s old.
    platform.pass_time(Span::from_ms(5_000 - 2_375 - 1));
    assert_eq!(asked(), [""; 0], "it is young enough to refuse on");
    platform.pass_time(MILLISECOND);
    assert_eq!(asked(), ["Relay take"], "and no longer is");
}

#[test]
fn a_record_that_a_relay_sends_with_a_lease_that_is_renewed_is_as_old_as_the_coordinators_word_may_be() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    let unlimited = Record { limits: Limits::default(), ..record() };
    platform.tell(&key, &unlimited);
    platform.publish(&key, &unlimited);
    let accepted = loop {
        platform.pass_time(Span::from_ms(10));
        let accepted = platform.check(&key).unwrap();
        if format!("{:?}", accepted.background).contains("Renew") {
            break accepted;
        }
    };
    let hash = platform.hash(&key);
    platform.memory.borrow_mut().set_grantor(&hash, Grantor::Relay);
    let newer = serde_json::to_string(&Record { version: 2, ..unlimited }).unwrap();
    let changed = format!(r#"{{"outcome":"changed","record":{newer}}}"#);
    platform.relay_fault.set(Some(Fault::Says(changed.leak())));
    platform.asked();
    platform.pass_time(10 * SECOND);
    platform.do_chores(&accepted);
    assert_eq!(platform.asked(), ["Relay take"]);
    let (record, validated) = platform.memory.borrow_mut().record(&hash).unwrap();
    assert_eq!((record.version, validated), (2, platform.clock.now().plus(Span::from_ms(-2_375))));
}

/// A key of this tenant.
fn key_of(platform: &FakePlatform, tenant: &str, seed: u64) -> Secret {
    key_with(platform, tenant, seed, 1_000)
}

/// The same with this limit.
fn key_with(platform: &FakePlatform, tenant: &str, seed: u64, limit: u32) -> Secret {
    let tenant = Tenant { id: tenant.to_owned(), ..record().tenant };
    let limits = Limits { per_minute: Some(limit), ..Limits::default() };
    let (key, record) = (platform.new_key(seed), Record { tenant, limits, ..record() });
    platform.tell(&key, &record);
    platform.publish(&key, &record);
    key
}

#[test]
fn objects_of_one_tenant_that_hang_keep_no_other_tenant_out_however_many_they_are() {
    for limit in [1_000, 100_000] {
        let platform = FakePlatform::new();
        platform.gate_fault.set(Some(Fault::Hangs));
        let mut waited = 0;
        for seed in 1..=60 {
            let hanging = key_with(&platform, "a", seed, limit);
            platform.faulty.borrow_mut().insert(platform.hash(&hanging));
            let (verdict, took) = check(&platform, &hanging);
            assert_eq!(verdict, Verdict::Unavailable);
            waited += i64::from(took > Span::ZERO);
            // One that this isolate meets for the first time.
            if seed % 4 == 0 {
                for limit in [1_000, 100_000] {
                    let other = key_with(&platform, "b", seed + u64::from(limit), limit);
                    assert_eq!(check(&platform, &other), (Verdict::Pass, Span::ZERO), "after {seed}");
                }
            }
        }
        // A relay that is asked first waits for its own object.
        assert!(waited <= 12 || limit > 1_000, "{waited} waited");
    }
}

#[test]
fn nor_do_made_up_keys_of_a_network_of_which_the_objects_hang() {
    let platform = FakePlatform::new();
    platform.gate_fault.set(Some(Fault::Hangs));
    for seed in 1..=60 {
        let (known, made_up) = (key_of(&platform, "b", 1_000 + seed), platform.new_key(seed));
        platform.faulty.borrow_mut().insert(platform.hash(&made_up));
        assert_eq!(check(&platform, &made_up).0, Verdict::Unavailable);
        if seed % 6 == 0 {
            assert_eq!(check(&platform, &known), (Verdict::Pass, Span::ZERO), "after {seed}");
        }
    }
}

#[test]
fn while_the_objects_of_all_tenants_hang_one_that_comes_for_the_first_time_is_answered_at_once() {
    let platform = FakePlatform::new();
    let keys: Vec<_> = (1..=30).map(|seed| key_of(&platform, &seed.to_string(), seed)).collect();
    platform.gate_fault.set(Some(Fault::Hangs));
    let took: Vec<_> = keys.iter().map(|key| check(&platform, key)).collect();
    assert_eq!(took.iter().filter(|(_, took)| *took > Span::ZERO).count(), 4, "{took:?}");
    platform.gate_fault.set(None);
    platform.pass_time(SECOND);
    assert_eq!(check(&platform, &keys[20]), (Verdict::Pass, Span::ZERO));
}

#[test]
fn whoever_is_given_less_time_than_a_usual_answer_may_take_says_nothing_of_what_is_well() {
    // An object that takes as long as answers may, and requests to which their deadline leaves less.
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    platform.tell(&key, &record());
    platform.publish(&key, &record());
    let short = Realm { decision_timeout: Span::from_ms(450), ..*REALM };
    platform.gate_fault.set(Some(Fault::Slow(Span::from_ms(480))));
    for _ in 0..10 {
        assert_eq!(check_in(&platform, &short, &key).0, Verdict::Unavailable);
    }
    assert_eq!(check(&platform, &key).0, Verdict::Pass);
}

#[test]
fn a_place_that_came_too_late_for_its_request_is_given_back_with_the_next_call() {
    let (platform, key) = (FakePlatform::new(), FakePlatform::new().new_key(1));
    let record = Record { limits: Limits { per_minute: Some(3), ..Limits::default() }, ..record() };
    platform.tell(&key, &record);
    platform.publish(&key, &record);
    // Twice too late: nothing is left of the deadline.
    platform.slow_answers.set([1_401, 600].map(Span::from_ms).to_vec());
    assert_eq!(check(&platform, &key), (Verdict::Unavailable, 2 * SECOND));
    assert_eq!(check(&platform, &key).0, Verdict::Pass);
    assert_eq!(platform.asked().len(), 4, "KV, two calls in vain, one more");
    // So is what a call may have got that brought no answer: it has a name.
    assert_eq!(check(&platform, &key).0, Verdict::Pass);
    assert_eq!(check(&platform, &key).0, Verdict::Pass);
    assert_eq!(check(&platform, &key).0, Verdict::Limited);
}
