//! Requests that count as in flight: when their key's object is asked, and what it hears of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    cell::RefCell,
    future::{poll_fn, ready},
    rc::Rc,
    task::Poll,
};

use keyward_core::{
    record::{Limits, Record},
    secret::Secret,
    time::{MILLISECOND, SECOND, Span},
};
use keyward_gate::{Open, Outcome, handle::Forward, refusal::Answer};
use keyward_limits::{
    timing::{FIRST_ANSWER, MAX_DELAY, TRAVEL},
    wire::CoordinatorCall,
};
use keyward_policy::{Policy, Realm};
use keyward_testing::{
    fake_platform::{FakePlatform, Fault, Request, now, published},
    policy::POLICY,
    record,
};

fn limited(in_flight: u32) -> (FakePlatform, Secret) {
    let limits = Limits { in_flight: Some(in_flight), ..Limits::default() };
    published(&Record { limits, ..record() })
}

fn ask(platform: &FakePlatform, key: &Secret) -> Result<Forward, Answer> {
    ask_under(&POLICY, platform, key)
}

fn ask_under(policy: &'static Policy, platform: &FakePlatform, key: &Secret) -> Result<Forward, Answer> {
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str()), ("cf-connecting-ip", "192.0.2.1")];
    let request = Request { url: URL, fields: &fields, ..Request::default() };
    match platform.handle(policy, &request).outcome {
        Outcome::Forward(forward) => Ok(forward),
        Outcome::Answer(answer) => Err(answer),
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

const URL: &str = "https://api.example/api/orders";

fn begun(platform: &FakePlatform, key: &Secret) -> Open {
    ask(platform, key).unwrap().open.unwrap()
}

/// Follows a request that ends after this time.
fn follow(platform: &FakePlatform, request: &Open, for_: Span) {
    let end = platform.clock.now() + for_;
    let ended = poll_fn(|_| if platform.clock.now() >= end { Poll::Ready(()) } else { Poll::Pending });
    now(platform.gate(Some(&POLICY)).follow(request, ready(None), ended));
}

/// How often the object has heard of requests in flight.
fn heard(platform: &FakePlatform) -> usize {
    platform.asked().iter().filter(|asked| *asked == "Coordinator inFlight").count()
}

#[test]
fn as_many_as_the_limit_pass_and_the_next_one_once_an_answer_has_ended() {
    let (platform, key) = limited(2);
    let (first, _) = (begun(&platform, &key), begun(&platform, &key));
    let refused = ask(&platform, &key).unwrap_err();
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("2 requests in flight") && refused.body.contains(r#"["in-flight"]"#));
    assert!(refused.headers.contains(&("Retry-After", "1".to_owned())));
    follow(&platform, &first, Span::ZERO);
    begun(&platform, &key);
    assert_eq!(ask(&platform, &key).unwrap_err().status, 429);
}

#[test]
fn every_request_of_such_a_key_asks_its_object_and_none_of_another_key_is_followed() {
    let (platform, key) = limited(9);
    platform.read_log();
    for _ in 0..9 {
        platform.asked();
        begun(&platform, &key);
        assert!(platform.asked().contains(&"Coordinator take".to_owned()));
    }
    let (platform, key) = published(&record());
    assert_eq!(ask(&platform, &key).unwrap().open, None);
}

#[test]
fn while_an_answer_goes_on_the_object_hears_of_it_in_time_and_once_of_its_end() {
    let (platform, key) = limited(1);
    let request = begun(&platform, &key);
    platform.asked();
    let ten_minutes = Span::from_mins(10);
    let hears = |platform: &FakePlatform| {
        // Nobody else may take its place meanwhile.
        assert_eq!(ask(platform, &key).unwrap_err().status, 429);
    };
    let began = platform.clock.now();
    let end = began + ten_minutes;
    let ended = poll_fn(|_| {
        hears(&platform);
        if platform.clock.now() >= end { Poll::Ready(()) } else { Poll::Pending }
    });
    now(platform.gate(Some(&POLICY)).follow(&request, ready(None), ended));
    assert_eq!(heard(&platform), 34 + 1);
    begun(&platform, &key);
}

#[test]
fn one_that_nobody_follows_is_forgotten_after_a_minute() {
    let (platform, key) = limited(1);
    let request = begun(&platform, &key);
    platform.pass_time(59 * SECOND);
    assert_eq!(ask(&platform, &key).unwrap_err().status, 429);
    platform.pass_time(SECOND);
    begun(&platform, &key);
    platform.asked();
    // It has no place any more, and takes none again.
    follow(&platform, &request, Span::from_mins(10));
    assert_eq!(heard(&platform), 1);
}

#[test]
fn an_object_that_does_not_answer_hears_of_the_end_later_or_does_without() {
    let (platform, key) = limited(1);
    let request = begun(&platform, &key);
    platform.asked();
    platform.gate_fault.set(Some(Fault::Fails));
    follow(&platform, &request, Span::ZERO);
    assert_eq!(heard(&platform), 3);
}

#[test]
fn an_object_of_an_older_build_admits_none_that_it_does_not_count() {
    let (platform, key) = limited(5);
    platform.gate_fault.set(Some(Fault::Says(
        r#"{"outcome":"granted","windows":[],"waitMs":0,"place":1900000000000,"lease":null,"via":{"relay":false,"ageMs":0}}"#,
    )));
    assert_eq!(ask(&platform, &key).unwrap_err().status, 503);
    platform.gate_fault.set(None);
    begun(&platform, &key);
}

#[test]
fn the_admin_api_takes_no_place() {
    let (platform, key) = limited(1);
    for _ in 0..3 {
        platform.check_anywhere(&POLICY, &key).unwrap();
    }
    begun(&platform, &key);
}

#[test]
fn what_names_a_request_is_read_as_it_was_written() {
    let (platform, key) = limited(1);
    let request = begun(&platform, &key);
    assert_eq!(Open::read(&request.to_text()), Some(request));
    for text in ["", "-", "-:0:0", "-:0:0 x y 1", "-:0:0 -1 y 1", "-:0:0 1 y", "x-used 1", "x-used:x:0 1 y 1"]
    {
        assert_eq!(Open::read(text), None);
    }
}

/// Its object is asked each time, but what that says is used no later than what any object says.
#[test]
fn a_second_answer_admits_within_the_realms_freshness() {
    let (platform, key) = limited(2);
    let within = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&within);
    *platform.meanwhile.borrow_mut() = Some(Box::new(move |_, call, _| {
        if let CoordinatorCall::Acquire(call) = call {
            seen.borrow_mut().push(call.within);
        }
    }));
    platform.slow_answers.set(vec![FIRST_ANSWER + MILLISECOND]);
    let realm = Realm { freshness: 2 * SECOND, ..POLICY.realms[0] };
    let policy = Policy { realms: vec![realm].leak(), ..*POLICY };
    ask_under(Box::leak(Box::new(policy)), &platform, &key).unwrap();
    // With a delay and on its way it arrives 2 s after it was asked for.
    assert_eq!(*within.borrow(), [FIRST_ANSWER, 2 * SECOND - TRAVEL - MAX_DELAY]);
}
