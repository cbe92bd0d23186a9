//! Keys while stores fail, lag or say what cannot be read.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Limits, Record, Status},
    time::{MILLISECOND, MINUTE, SECOND},
};
use keyward_gate::denial::Denial;
use keyward_limits::timing::FIRST_ANSWER;
use keyward_policy::{LimitsUnavailable, Realm};
use keyward_testing::{
    fake_platform::{CALLER, Fault, published},
    policy::POLICY,
    record,
};

#[test]
fn where_limits_may_be_local_each_isolate_lets_a_tenth_through_for_a_minute_then_nothing() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..POLICY.realms[0] };
    let limits = Limits { per_minute: Some(600), per_day: Some(300), ..Limits::default() };
    let (platform, key) = published(&Record { limits, ..record() });
    platform.gate_fault.set(Some(Fault::Fails));
    let admitted =
        |requests: u32| (0..requests).filter(|_| platform.check_in(&local, &key, CALLER).is_ok()).count();
    assert_eq!(admitted(100), 30, "a tenth of the smaller limit");
    let refused = platform.check_in(&local, &key, CALLER).unwrap_err();
    assert_eq!(refused.denial, Denial::StoreUnavailable { store: "KeyGate" });
    platform.pass_time(MINUTE);
    assert_eq!(admitted(100), 0, "nor after a minute, though its window is empty");
    // What passed is counted as soon as somebody can be told.
    platform.gate_fault.set(None);
    platform.pass_time(5 * SECOND);
    let accepted = platform.check_in(&local, &key, CALLER).unwrap();
    assert_eq!(accepted.windows[1].remaining, 300 - 31);
    // And the next outage begins anew.
    platform.gate_fault.set(Some(Fault::Fails));
    assert_eq!(admitted(100), 30);
}

#[test]
fn where_limits_may_be_local_a_key_that_is_revoked_or_strict_is_refused_nevertheless() {
    let local = Realm { limits_unavailable: LimitsUnavailable::AllowLocal, ..POLICY.realms[0] };
    for record in [Record { status: Status::Revoked, ..record() }, Record { strict: true, ..record() }] {
        let (platform, key) = published(&record);
        platform.gate_fault.set(Some(Fault::Fails));
        assert!(platform.check_in(&local, &key, CALLER).is_err());
    }
}

#[test]
fn an_answer_that_comes_too_late_is_not_used_asked_for_again_and_given_back() {
    let (platform, key) =
        published(&Record { limits: Limits { per_minute: Some(2), ..Limits::default() }, ..record() });
    platform.slow_answers.set(vec![FIRST_ANSWER + MILLISECOND]);
    assert!(platform.check(&key).is_ok());
    assert_eq!(platform.asked(), ["KV", "Coordinator take", "Coordinator take"]);
    assert!(platform.check(&key).is_ok(), "one of two is left");
    assert!(matches!(platform.denial(&key), Denial::RateLimited { .. }));
}

#[test]
fn a_store_that_fails_is_503_and_never_a_verdict_about_the_key() {
    let (platform, key) = published(&record());
    platform.gate_fault.set(Some(Fault::Fails));
    assert_eq!(platform.denial(&key), Denial::StoreUnavailable { store: "KeyGate" });
    // Unknown to KV and the object cannot say: not a 401.
    assert_eq!(platform.denial(&platform.new_key(9)), Denial::StoreUnavailable { store: "KeyGate" });
    platform.kv_fault.set(Some(Fault::Fails));
    assert_eq!(platform.denial(&platform.new_key(8)), Denial::StoreUnavailable { store: "KeyGate" });
    platform.gate_fault.set(None);
    assert_eq!(platform.denial(&platform.new_key(7)), Denial::StoreUnavailable { store: "KV" });
}

#[test]
fn where_only_kv_fails_the_keys_object_which_has_the_record_answers() {
    let (platform, key) = published(&record());
    platform.kv_fault.set(Some(Fault::Fails));
    assert!(platform.check(&key).is_ok());
    assert_eq!(platform.asked(), ["KV", "Coordinator find", "Coordinator take"]);
    platform.check(&key).unwrap();
    let (revoked, key) = published(&Record { status: Status::Revoked, ..record() });
    revoked.kv_fault.set(Some(Fault::Fails));
    assert_eq!(revoked.denial(&key), Denial::RevokedKey { replaced: false });
}

#[test]
fn kv_that_fails_does_not_stop_a_key_that_memory_knows() {
    let (platform, key) = published(&record());
    platform.check(&key).unwrap();
    platform.kv_fault.set(Some(Fault::Fails));
    platform.pass_time(10 * MINUTE);
    assert!(platform.check(&key).is_ok());
}

#[test]
fn a_record_that_this_build_cannot_read_is_503_unless_the_keys_object_has_one_that_it_can() {
    let (platform, key) = published(&record());
    let newer = serde_json::to_string(&record()).unwrap().replace("\"v\":\"1\"", "\"v\":\"2\"");
    platform.kv.borrow_mut().values_mut().for_each(|value| value.clone_from(&newer));
    platform.gate_fault.set(Some(Fault::Says(format!("{{\"record\":{newer}}}").leak())));
    assert_eq!(platform.denial(&key), Denial::StoreUnavailable { store: "KeyGate" });
    platform.gate_fault.set(None);
    assert!(platform.check(&key).is_ok());
}
