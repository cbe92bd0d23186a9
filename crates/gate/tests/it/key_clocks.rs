//! Keys where a clock was wrong, and what an isolate says of its leases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::rc::Rc;

use keyward_core::{
    record::{Limits, Record},
    time::{DAY, SECOND, Span},
};
use keyward_gate::denial::Denial;
use keyward_limits::wire::CoordinatorCall;
use keyward_policy::KeyRequirement;
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, published},
    policy::POLICY,
    record,
};

#[test]
fn an_isolate_whose_clock_was_a_day_ahead_believes_nothing_of_what_it_noted_then() {
    let platform = FakePlatform::new();
    let (key, narrow) = (platform.new_key(1), platform.new_key(2));
    let scopes = vec!["admin:read".into()];
    let unfit = Record { scopes, ..record() };
    platform.tell(&narrow, &unfit);
    platform.publish(&narrow, &unfit);
    platform.pass_time(DAY);
    // A refusal, an unknown key, a network that is held back.
    platform.limited_addresses.borrow_mut().insert("192.0.2.1".into());
    assert!(matches!(platform.denial(&narrow), Denial::InsufficientScope { .. }));
    assert!(matches!(platform.denial(&key), Denial::UnknownKey { .. }));
    platform.limited_addresses.borrow_mut().clear();
    platform.pass_time(-DAY);
    platform.tell(&key, &record());
    platform.check(&key).unwrap();
    platform.tell(&narrow, &Record { version: 2, ..record() });
    platform.check(&narrow).unwrap();
}

#[test]
fn a_record_counts_as_confirmed_for_no_longer_because_the_clock_was_set_back_since() {
    let ms = Span::from_ms;
    // By how much; then from there until the edit, and from the edit to a request that must hear of it.
    for (step, before, after) in [(ms(200), ms(0), ms(5_001)), (30 * SECOND, 25 * SECOND, 6 * SECOND)] {
        let narrow = Record { scopes: vec!["admin:read".into()], ..record() };
        let (platform, key) = published(&narrow);
        assert!(matches!(platform.denial(&key), Denial::InsufficientScope { .. }));
        platform.pass_time(-step);
        assert!(matches!(platform.denial(&key), Denial::InsufficientScope { .. }));
        platform.pass_time(before);
        platform.tell(&key, &Record { version: 2, ..record() });
        platform.pass_time(after);
        assert!(platform.check(&key).is_ok(), "{step:?}");
    }
}

#[test]
fn a_full_window_counts_for_no_longer_because_the_clock_was_set_back_since() {
    let (platform, key) =
        published(&Record { limits: Limits { per_minute: Some(1), ..Limits::default() }, ..record() });
    let is_limited = || matches!(platform.denial(&key), Denial::RateLimited { .. });
    platform.check(&key).unwrap();
    assert!(is_limited());
    platform.pass_time(Span::from_ms(-200));
    platform.asked();
    assert!(is_limited());
    assert_eq!(platform.asked(), Vec::<String>::new(), "it is at hand");
    // The coordinator's word counts for 250 ms at the least, and then until a request fits.
    platform.tell(&key, &Record { version: 2, limits: Limits::default(), ..record() });
    platform.pass_time(Span::from_ms(5_001));
    platform.check(&key).unwrap();
}

#[test]
fn a_lease_of_a_record_that_was_forgotten_and_known_again_meanwhile_lasts_no_longer() {
    let record = Record { limits: Limits::default(), ..record() };
    let (platform, key) = published(&record);
    // Set back by 6 s all in all.
    for _ in 0..30 {
        platform.check(&key).unwrap();
        platform.pass_time(Span::from_ms(-200));
    }
    let (hash, record) = (platform.hash(&key), Rc::new(record));
    let large = Rc::new(Record { scopes: vec!["x".repeat(1 << 20)], ..(*record).clone() });
    let was_forgotten = Rc::new(Cell::new(false));
    let is_forgotten = Rc::clone(&was_forgotten);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |platform, call, _| {
        if matches!(call, CoordinatorCall::Acquire(take) if take.wants > 0) && !is_forgotten.replace(true) {
            let mut memory = platform.memory.borrow_mut();
            for number in 0..40 {
                memory.keep(&format!("sha256:{number}"), &large);
            }
            assert!(memory.peek(&hash).is_none());
            memory.keep(&hash, &record);
        }
    }));
    while !was_forgotten.get() {
        platform.pass_time(Span::from_ms(10));
        platform.check(&key).unwrap();
    }
    platform.asked();
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), Vec::<String>::new(), "there is a lease");
    platform.pass_time(7 * SECOND);
    platform.check(&key).unwrap();
    assert_eq!(platform.asked(), ["Coordinator take"]);
}

#[test]
fn who_asks_for_a_lease_or_whether_a_record_holds_says_how_long_it_waits() {
    let (platform, key) = published(&Record { limits: Limits::default(), ..record() });
    let seen = Rc::new(Cell::new(0));
    let seen_there = Rc::clone(&seen);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, waits| {
        if let CoordinatorCall::Acquire(take) = call
            && !take.immediate
        {
            assert_eq!(take.within, waits);
            seen_there.set(seen_there.get() + 1);
        }
    }));
    for _ in 0..100 {
        platform.pass_time(Span::from_ms(10));
        let accepted = platform.check(&key).unwrap();
        if format!("{:?}", accepted.background).contains("Renew") {
            platform.do_chores(&accepted);
        }
    }
    assert!(seen.get() > 0, "a lease was asked for");
    seen.set(0);
    let write = KeyRequirement { scopes: &["orders:write"], ..KeyRequirement::ANY_KEY };
    platform.pass_time(10 * SECOND);
    assert!(platform.check_for(&POLICY.realms[0], &write, &key, CALLER).is_err());
    assert_eq!(seen.get(), 1);
}
