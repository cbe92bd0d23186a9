//! A relay whose Registry is slow or fails, and whose clients are many.

use futures::{FutureExt, executor::block_on, future::join_all};
use keyward_changes::relay::Relay;
use keyward_core::{
    changes::{News, ReadChanges},
    time::{SECOND, Span},
    unavailable::Unavailable,
};

use crate::common::{Log, key};

const HALF: Span = Span::from_ms(500);

fn call(after: u64, max_age: Span) -> ReadChanges {
    ReadChanges { log: if after == 0 { String::new() } else { "log".to_owned() }, after, max_age }
}

#[test]
fn one_call_of_the_registry_serves_all_that_come_within_the_time_they_allow() {
    let relay = Relay::new(Log::default());
    relay.upstream().log.borrow_mut().write(key("h", 2));
    let calls: Vec<_> = (0..100).map(|_| call(0, HALF)).collect();
    let answers = block_on(join_all(calls.iter().map(|call| relay.read(call))));
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().changes == [key("h", 2)]));
    assert_eq!(relay.upstream().asked.get(), 1);
    relay.upstream().clock.advance(HALF);
    assert_eq!(block_on(relay.read(&call(1, HALF))).unwrap().age, HALF, "its age is told");
    assert_eq!(relay.upstream().asked.get(), 1);
    relay.upstream().clock.advance(Span::from_ms(1));
    assert_eq!(block_on(relay.read(&call(1, HALF))).unwrap().age, Span::ZERO);
    assert_eq!(relay.upstream().asked.get(), 2);
}

#[test]
fn what_counts_as_known_is_from_before_the_registry_was_asked() {
    let relay = Relay::new(Log::default());
    relay.upstream().takes.set(Span::from_ms(300));
    assert_eq!(block_on(relay.read(&call(0, HALF))).unwrap().age, Span::from_ms(300));
    // By its clock the answer came before it was asked for.
    relay.upstream().takes.set(Span::from_ms(-1_000));
    relay.upstream().clock.advance(SECOND);
    assert!(block_on(relay.read(&call(0, SECOND * 10))).unwrap().age >= SECOND);
}

#[test]
fn each_gets_what_it_lacks_and_a_long_log_in_parts() {
    let relay = Relay::new(Log::default());
    for number in 1..=2_500 {
        relay.upstream().log.borrow_mut().write(key(&format!("h{number}"), 2));
    }
    let mut known = News::default();
    let mut lengths = Vec::new();
    loop {
        known = block_on(relay.read(&ReadChanges { log: known.log, after: known.position, max_age: HALF }))
            .unwrap();
        lengths.push((known.changes.len(), known.is_anew));
        if !known.more {
            break;
        }
    }
    assert_eq!(lengths, [(1_000, true), (1_000, false), (500, false)]);
    assert_eq!(known.position, 2_500);
    assert_eq!(block_on(relay.read(&call(2_500, HALF))).unwrap().changes, []);
}

#[test]
fn whoever_lacks_more_than_the_relay_has_begins_anew() {
    let relay = Relay::new(Log::default());
    let log = relay.upstream();
    for number in 1..=3 {
        log.log.borrow_mut().write(key(&format!("h{number}"), 2));
    }
    log.log.borrow_mut().forget(2);
    block_on(relay.read(&call(0, HALF))).unwrap();
    for (after, is_anew) in [(1, true), (2, false), (3, false), (4, true)] {
        let news = block_on(relay.read(&call(after, HALF))).unwrap();
        assert_eq!(news.is_anew, is_anew, "{after}");
    }
}

#[test]
fn a_log_that_no_relay_can_hold_covers_nothing_until_most_of_it_is_forgotten() {
    let relay = Relay::new(Log::default());
    let log = relay.upstream();
    log.log.borrow_mut().changes =
        (1..=31_000).map(|number| (number, key(&format!("h{number}"), 2))).collect();
    log.log.borrow_mut().last = 31_000;
    let news = block_on(relay.read(&call(0, HALF))).unwrap();
    assert_eq!(news.covers, Span::ZERO);
    log.log.borrow_mut().forget(20_000);
    log.clock.advance(SECOND);
    assert!(block_on(relay.read(&call(0, HALF))).unwrap().covers > Span::ZERO);
}

#[test]
fn while_the_registry_fails_nobody_is_told_that_nothing_has_changed_and_it_is_not_asked_for_each() {
    let relay = Relay::new(Log::default());
    block_on(relay.read(&call(0, HALF))).unwrap();
    let log = relay.upstream();
    log.is_down.set(true);
    log.clock.advance(SECOND);
    let calls: Vec<_> = (0..100).map(|_| call(0, HALF)).collect();
    let answers = block_on(join_all(calls.iter().map(|call| relay.read(call))));
    assert!(answers.iter().all(|answer| *answer == Err(Unavailable)));
    log.is_down.set(false);
    assert!(relay.read(&call(0, HALF)).now_or_never().unwrap().is_ok());
}

#[test]
fn nobody_has_the_registry_asked_more_often_than_twice_a_second() {
    let relay = Relay::new(Log::default());
    for _ in 0..100 {
        block_on(relay.read(&call(0, Span::ZERO))).unwrap();
        relay.upstream().clock.advance(Span::from_ms(20));
    }
    assert_eq!(relay.upstream().asked.get(), 5, "in 2 s");
}

#[test]
fn a_key_that_changes_again_and_again_takes_no_more_room() {
    let relay = Relay::new(Log::default());
    let log = relay.upstream();
    log.log.borrow_mut().write(key("other", 2));
    for version in 2..1_500 {
        log.log.borrow_mut().write(key("h", version));
        log.clock.advance(SECOND);
        block_on(relay.read(&call(0, HALF))).unwrap();
    }
    assert_eq!(block_on(relay.read(&call(0, HALF))).unwrap().changes, [key("other", 2), key("h", 1_499)]);
}
