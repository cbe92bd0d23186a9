//! Requests with a budget: what they reserve, and what their answers settle.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{future::ready, sync::LazyLock};

use keyward_core::{
    record::{Limits, Record},
    secret::Secret,
    time::SECOND,
};
use keyward_gate::{Outcome, handle::Forward, refusal::Answer};
use keyward_policy::{Policy, compile::compile};
use keyward_testing::{
    fake_platform::{FakePlatform, Fault, Request, now, published},
    record,
};

const TEXT: &str = r#"
[[realm]]
id = "default"
hosts = ["*"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer" }]

[realm.scopes]
"orders:read" = "Read orders"

[[realm.route]]
path = "/chat"
requires = { scopes = ["orders:read"] }
budget = { reserve = 400, header = "X-Used", within = "2m" }
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let read = |_: &str| Ok(TEXT.to_owned());
    compile("keyward.toml", read).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))
});

fn limited(per_minute: Option<u32>) -> (FakePlatform, Secret) {
    let limits = Limits { per_minute, ..Limits::default() };
    published(&Record { limits, ..record() })
}

fn ask(platform: &FakePlatform, key: &Secret) -> Result<Forward, Answer> {
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str()), ("cf-connecting-ip", "192.0.2.1")];
    let request = Request { url: "https://api.example/chat", fields: &fields, ..Request::default() };
    match platform.handle(&POLICY, &request).outcome {
        Outcome::Forward(forward) => Ok(forward),
        Outcome::Answer(answer) => Err(answer),
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

/// Its answer says this.
fn answers(platform: &FakePlatform, forward: &Forward, used: Option<&str>) {
    let used = ready(used.map(str::to_owned));
    now(platform.gate(Some(&POLICY)).follow(forward.open.as_ref().unwrap(), used, ready(())));
}

#[test]
fn as_many_pass_as_their_reserves_fit_and_more_once_they_have_said_what_they_used() {
    let (platform, key) = limited(Some(1_000));
    let begun = [ask(&platform, &key).unwrap(), ask(&platform, &key).unwrap()];
    assert_eq!(ask(&platform, &key).unwrap_err().status, 429);
    answers(&platform, &begun[0], Some("100"));
    assert!(ask(&platform, &key).is_ok());
    // 100 are used and 800 reserved.
    assert_eq!(ask(&platform, &key).unwrap_err().status, 429);
}

#[test]
fn what_is_no_number_settles_nothing() {
    for said in
        [None, Some(""), Some("-1"), Some("1.5"), Some("1, 2"), Some(" 7"), Some("99999999999999999999")]
    {
        let (platform, key) = limited(Some(400));
        let forward = ask(&platform, &key).unwrap();
        platform.asked();
        answers(&platform, &forward, said);
        assert_eq!(platform.asked(), Vec::<String>::new(), "{said:?}");
        assert_eq!(ask(&platform, &key).unwrap_err().status, 429);
    }
}

#[test]
fn an_object_that_does_not_answer_is_told_again() {
    let (platform, key) = limited(Some(400));
    let forward = ask(&platform, &key).unwrap();
    platform.asked();
    platform.gate_fault.set(Some(Fault::Fails));
    answers(&platform, &forward, Some("0"));
    assert_eq!(platform.asked(), vec!["Coordinator settle"; 3]);
}

#[test]
fn an_object_that_knows_no_budgets_admits_none() {
    let (platform, key) = limited(Some(1_000));
    platform.gate_fault.set(Some(Fault::Says(
        r#"{"outcome":"granted","windows":[],"waitMs":0,"place":1900000000000,"cost":400,"lease":null,"via":{"relay":false,"ageMs":0}}"#,
    )));
    assert_eq!(ask(&platform, &key).unwrap_err().status, 503);
    platform.gate_fault.set(None);
    platform.pass_time(60 * SECOND);
    ask(&platform, &key).unwrap();
}

#[test]
fn of_a_key_without_limits_the_header_is_taken_from_the_answer_as_well() {
    let (platform, key) = limited(None);
    let forward = ask(&platform, &key).unwrap();
    assert_eq!(forward.open.unwrap().to_text().split(' ').next(), Some("x-used"));
}
