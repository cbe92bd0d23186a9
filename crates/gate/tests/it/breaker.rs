//! Circuit breakers: one call at a time tries, what answers is closed again, and what is well is not shut out for longer
//! than `docs/failures.md` says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    breaker::{Breaker, End, Leave, Rule},
    time::{Span, Timestamp},
};
use keyward_gate::breakers::{Breakers, Dependency, Owner};
use keyward_testing::NOON;
use proptest::prelude::*;

const RULE: Rule = Rule { failures: 3, first: Span::from_secs(1), longest: Span::from_secs(5) };
/// The longest that a call takes.
const CALL: Span = Span::from_secs(2);

fn at(milliseconds: i64) -> Timestamp {
    NOON + Span::from_ms(milliseconds)
}

/// A breaker that has opened at this moment.
fn open(milliseconds: i64) -> Breaker {
    let mut breaker = Breaker::default();
    for failure in 1..=3 {
        let opens = breaker.ended(RULE, Leave::Closed, End::Badly, at(milliseconds));
        assert_eq!(opens, failure == 3);
    }
    breaker
}

#[test]
fn three_failures_in_a_row_open_it_and_an_answer_between_them_begins_anew() {
    let mut breaker = Breaker::default();
    for end in [End::Badly, End::Badly, End::Well, End::Badly, End::Badly, End::Unclear] {
        assert_eq!(breaker.leave(at(0), CALL), Some(Leave::Closed));
        assert!(!breaker.ended(RULE, Leave::Closed, end, at(0)));
    }
    assert!(breaker.ended(RULE, Leave::Closed, End::Badly, at(0)));
    assert_eq!(breaker.leave(at(0), CALL), None);
}

#[test]
fn after_the_pause_one_call_tries_and_if_it_fails_the_pause_is_twice_as_long_up_to_the_longest() {
    let mut breaker = open(0);
    let mut now = 0;
    for pause in [1_000, 2_000, 4_000, 5_000, 5_000] {
        assert_eq!(breaker.leave(at(now + pause - 1), CALL), None);
        now += pause;
        let probe = breaker.leave(at(now), CALL).unwrap();
        assert_eq!(probe, Leave::Probe(at(now)));
        assert_eq!(breaker.leave(at(now), CALL), None, "a second one");
        assert!(breaker.ended(RULE, probe, End::Badly, at(now)));
    }
}

#[test]
fn a_call_that_tries_and_is_never_heard_of_again_makes_room_when_its_time_is_over() {
    let mut breaker = open(0);
    assert!(breaker.leave(at(1_000), CALL).is_some());
    assert_eq!(breaker.leave(at(2_999), CALL), None);
    let second = breaker.leave(at(3_000), CALL).unwrap();
    // The first one's end is not the second one's.
    assert!(!breaker.ended(RULE, Leave::Probe(at(1_000)), End::Badly, at(3_001)));
    assert_eq!(breaker.leave(at(3_002), CALL), None);
    breaker.ended(RULE, second, End::Unclear, at(3_010));
    assert!(breaker.leave(at(3_010), CALL).is_some(), "nothing was learned: the next one tries");
}

#[test]
fn calls_from_before_it_opened_close_it_by_an_answer_and_do_not_keep_it_open_by_failing() {
    let mut breaker = open(0);
    assert!(!breaker.ended(RULE, Leave::Closed, End::Badly, at(900)));
    assert!(breaker.is_closed(at(1_000)));
    assert!(!breaker.is_closed(at(999)));
    breaker.ended(RULE, Leave::Closed, End::Well, at(950));
    assert_eq!(breaker.leave(at(951), CALL), Some(Leave::Closed));
}

#[test]
fn a_clock_that_goes_back_shuts_nothing_out() {
    let mut breaker = open(0);
    assert!(breaker.leave(at(-3_600_000), CALL).is_some());
}

/// Calls with these keys one after the other, each ending so.
fn use_objects(breakers: &mut Breakers, calls: &[(&str, End)], now: Timestamp) -> Vec<bool> {
    let calls: Vec<_> = calls.iter().map(|(hash, end)| (*hash, Owner::Tenant("one"), *end)).collect();
    use_objects_of(breakers, &calls, now)
}

/// The same with keys of several tenants.
fn use_objects_of(breakers: &mut Breakers, calls: &[(&str, Owner<'_>, End)], now: Timestamp) -> Vec<bool> {
    let mut call = |(hash, owner, end): &(&str, Owner<'_>, End)| {
        let of = Dependency::Coordinator { hash, owner: *owner };
        let Some(leave) = breakers.leave(of, now, CALL) else { return false };
        breakers.ended(of, leave, *end, now);
        true
    };
    calls.iter().map(&mut call).collect()
}

#[test]
fn who_follows_links_who_signs_in_and_who_is_signed_in_keep_nobody_else_from_the_registry() {
    let all = [Dependency::Registry, Dependency::SignIn, Dependency::Links];
    for fails in all {
        let mut breakers = Breakers::default();
        for _ in 0..3 {
            breakers.ended(fails, Leave::Closed, End::Badly, at(0));
        }
        for of in all {
            assert_eq!(breakers.leave(of, at(1), CALL).is_none(), of == fails, "{fails:?} {of:?}");
        }
    }
}

#[test]
fn one_object_that_fails_is_left_alone_and_no_other_suffers() {
    let mut breakers = Breakers::default();
    let failing = [("a", End::Badly); 5];
    assert_eq!(use_objects(&mut breakers, &failing, at(0)), [true, true, true, false, false]);
    assert_eq!(use_objects(&mut breakers, &[("b", End::Well), ("a", End::Well)], at(0)), [true, false]);
    assert_eq!(use_objects(&mut breakers, &[("a", End::Well); 3], at(1_000)), [true; 3]);
}

#[test]
fn objects_of_four_keys_that_fail_in_a_row_are_the_tenant_and_one_that_answers_is_enough_to_end_that() {
    let mut breakers = Breakers::default();
    let fail = |key| (key, End::Badly);
    let failing = ["a", "b", "c", "a", "b", "c"].map(fail);
    assert_eq!(use_objects(&mut breakers, &failing, at(0)), [true; 6], "three keys are not the tenant");
    assert_eq!(use_objects(&mut breakers, &[fail("d"), ("e", End::Well)], at(0)), [true, false]);
    // What has failed before is no judge of the others: it neither tries for them nor keeps them out.
    assert_eq!(use_objects(&mut breakers, &[fail("d"), fail("e")], at(1_000)), [true, true]);
    assert_eq!(use_objects(&mut breakers, &[("f", End::Well)], at(2_999)), [false]);
    assert_eq!(use_objects(&mut breakers, &[("f", End::Well), ("g", End::Well)], at(3_000)), [true, true]);
}

#[test]
fn objects_of_four_tenants_that_fail_in_a_row_are_all_and_one_that_answers_is_enough_to_end_that() {
    let mut breakers = Breakers::default();
    let (fail, works) = (End::Badly, End::Well);
    let of = Owner::Tenant;
    let failing = [("a", of("1"), fail), ("b", of("1"), fail), ("c", of("2"), fail), ("d", of("3"), fail)];
    assert_eq!(use_objects_of(&mut breakers, &failing, at(0)), [true; 4]);
    let fifth = [("e", of("3"), fail), ("f", of("4"), fail), ("g", of("5"), works), ("h", of("1"), fail)];
    assert_eq!(use_objects_of(&mut breakers, &fifth, at(0)), [true, true, false, true]);
    // A tenant of which one has failed neither tries for the others nor keeps them out.
    assert_eq!(use_objects_of(&mut breakers, &[("i", of("2"), fail)], at(1_000)), [true]);
    assert_eq!(
        use_objects_of(&mut breakers, &[("g", of("5"), works), ("j", of("6"), works)], at(1_000)),
        [true; 2]
    );
}

#[test]
fn networks_whose_made_up_keys_fail_are_never_all_and_a_call_of_theirs_that_tries_leaves_it_as_it_is() {
    let mut breakers = Breakers::default();
    let (fail, works) = (End::Badly, End::Well);
    let networks: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for network in &networks {
        let key = [(network.as_str(), Owner::Network(network), fail)];
        assert_eq!(use_objects_of(&mut breakers, &key, at(0)), [true]);
    }
    assert_eq!(use_objects_of(&mut breakers, &[("a", Owner::Tenant("1"), works)], at(0)), [true]);
    for tenant in ["2", "3", "4", "5"] {
        let hash = format!("of {tenant}");
        use_objects_of(&mut breakers, &[(&hash, Owner::Tenant(tenant), fail)], at(0));
    }
    let strangers = Owner::Network("192.0.2.0/24");
    assert_eq!(use_objects_of(&mut breakers, &[("b", strangers, fail)], at(999)), [false]);
    assert_eq!(use_objects_of(&mut breakers, &[("b", strangers, fail)], at(1_000)), [true]);
    assert_eq!(use_objects_of(&mut breakers, &[("c", Owner::Tenant("6"), works)], at(1_000)), [true]);
}

#[test]
fn what_is_remembered_of_objects_is_bounded_and_what_works_takes_no_room() {
    let mut breakers = Breakers::default();
    let empty = format!("{breakers:?}").len();
    for number in 0..10_000 {
        let hash = number.to_string();
        use_objects(&mut breakers, &[(&hash, End::Well)], at(0));
    }
    assert_eq!(format!("{breakers:?}").len(), empty);
    for number in 0..10_000_i64 {
        let hash = number.to_string();
        use_objects(&mut breakers, &[(&hash, End::Badly)], at(number * 10_000));
    }
    for number in 0..10_000_i64 {
        let (hash, tenant) = (number.to_string(), format!("tenant {number}"));
        use_objects_of(&mut breakers, &[(&hash, Owner::Tenant(&tenant), End::Badly)], at(number * 10_000));
        use_objects_of(&mut breakers, &[(&hash, Owner::Network(&tenant), End::Badly)], at(number * 10_000));
    }
    assert!(format!("{breakers:?}").len() < 2_000_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Calls come at any pace and take any time, some are never heard of again, and what they ask is well or not.
    #[test]
    fn one_call_tries_at_a_time_and_what_is_well_is_not_shut_out_for_longer_than_a_pause_and_a_call(
        steps in prop::collection::vec((0_i64..1_500, 1..CALL.ms(), any::<bool>(), 0_u8..8), 1..200),
    ) {
        let mut breaker = Breaker::default();
        let mut now = 0;
        let mut under_way: Vec<(i64, Leave, bool)> = Vec::new();
        let mut probe_until = i64::MIN;
        // Since when all calls would have been answered, and since when none was allowed.
        let (mut well_since, mut shut_since): (Option<i64>, Option<i64>) = (None, None);
        for (pause, takes_ms, is_well, lost) in steps {
            now += pause;
            let takes = Span::from_ms(takes_ms);
            for (ends, leave, well) in under_way.extract_if(.., |call| call.0 <= now) {
                let end = if well { End::Well } else { End::Badly };
                let opens = breaker.ended(RULE, leave, end, at(ends));
                prop_assert!(!(well && opens));
                if well {
                    prop_assert_eq!(breaker.leave(at(ends), takes), Some(Leave::Closed), "it answered");
                }
                if matches!(leave, Leave::Probe(_)) {
                    probe_until = i64::MIN;
                }
            }
            well_since = if is_well { well_since.or(Some(now)) } else { None };
            match breaker.leave(at(now), takes) {
                Some(leave) => {
                    shut_since = None;
                    if leave != Leave::Closed {
                        prop_assert!(probe_until <= now, "two at a time");
                        probe_until = now + takes_ms;
                    }
                    if lost > 0 {
                        under_way.push((now + takes_ms, leave, is_well));
                    }
                }
                None => {
                    let since = *shut_since.get_or_insert(now);
                    if let Some(well) = well_since {
                        let bound = (RULE.longest + CALL).ms();
                        // A call from before it was well may still fail, and then the pause begins.
                        prop_assert!(now - well.max(since) <= bound + CALL.ms());
                    }
                }
            }
        }
    }
}
