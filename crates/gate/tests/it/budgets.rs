//! Requests with a budget: what they reserve, and what their answers settle.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{future::ready, rc::Rc, sync::LazyLock};

use keyward_core::{
    record::{Limits, Record, Tenant, pool_name},
    secret::{Secret, Secrets},
    time::{SECOND, Span},
    unavailable::Unavailable,
};
use keyward_gate::{Open, Outcome, admin::AdminCaller, handle::Forward, refusal::Answer};
use keyward_policy::{Policy, compile::compile};
use keyward_testing::{
    NOON,
    fake_platform::{CALLER, FakePlatform, Fault, Request, now, published},
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

[[realm.route]]
path = "/stream"
requires = { scopes = ["orders:read"] }
budget = { reserve = 400, call = true, within = "2m" }

[[realm.route]]
path = "/both"
requires = { scopes = ["orders:read"] }
budget = { reserve = 400, header = "X-Used", call = true, within = "2m" }
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
    ask_at("/chat", platform, key)
}

fn ask_at(path: &str, platform: &FakePlatform, key: &Secret) -> Result<Forward, Answer> {
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str()), ("cf-connecting-ip", "192.0.2.1")];
    let url = format!("https://api.example{path}");
    let request = Request { url: &url, fields: &fields, ..Request::default() };
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

/// The token that its origin gets.
fn token(forward: &Forward) -> String {
    forward.added.iter().find(|(name, _)| *name == "Keyward-Settle").unwrap().1.clone()
}

/// The origin says this by a call.
fn says(platform: &FakePlatform, token: &str, used: u32) -> Option<Result<bool, Unavailable>> {
    let client = CALLER;
    let caller = AdminCaller { client, request_id: "req-1", within: SECOND };
    now(platform.gate(Some(&POLICY)).settle(token, used, caller))
}

#[test]
fn the_origin_settles_by_a_call_once() {
    let (platform, key) = limited(Some(1_000));
    let begun = [ask_at("/stream", &platform, &key).unwrap(), ask_at("/stream", &platform, &key).unwrap()];
    // Where the origin fails, nothing is left to be settled.
    assert!(begun[0].open.as_ref().unwrap().to_text().starts_with("-:400:1 "));
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
    assert_eq!(says(&platform, &token(&begun[0]), 100), Some(Ok(true)));
    assert!(ask_at("/stream", &platform, &key).is_ok());
    for used in [0, 100, 400] {
        assert_eq!(says(&platform, &token(&begun[0]), used), Some(Ok(false)));
    }
    // 100 are used and 800 reserved.
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
}

#[test]
fn more_than_was_reserved_counts_in_full_by_a_call_as_well() {
    let (platform, key) = limited(Some(1_000));
    let begun = ask_at("/stream", &platform, &key).unwrap();
    assert_eq!(says(&platform, &token(&begun), 900), Some(Ok(true)));
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
}

#[test]
fn where_both_may_settle_the_first_does() {
    let (platform, key) = limited(Some(1_000));
    let begun = ask_at("/both", &platform, &key).unwrap();
    answers(&platform, &begun, None);
    assert_eq!(says(&platform, &token(&begun), 0), Some(Ok(true)), "the header said nothing");
    let begun = ask_at("/both", &platform, &key).unwrap();
    answers(&platform, &begun, Some("900"));
    assert_eq!(says(&platform, &token(&begun), 0), Some(Ok(false)));
    assert_eq!(ask_at("/both", &platform, &key).unwrap_err().status, 429);
}

#[test]
fn only_a_route_that_is_settled_by_a_call_sends_a_token() {
    let (platform, key) = limited(Some(1_000));
    let forward = ask(&platform, &key).unwrap();
    assert!(forward.added.iter().all(|(name, _)| *name != "Keyward-Settle"));
}

#[test]
fn a_token_that_was_not_made_here_asks_no_object() {
    let (platform, key) = limited(Some(1_000));
    let token = token(&ask_at("/stream", &platform, &key).unwrap());
    let mut wrong = vec![
        String::new(),
        "kwb_".into(),
        "kwb_.".into(),
        token[4..].to_owned(),
        format!("{token}="),
        format!("{token}A"),
        format!("{token}.{token}"),
        token.split_once('.').unwrap().0.to_owned(),
        format!("{}.{}", token.split_once('.').unwrap().0, "A".repeat(43)),
        token.to_uppercase(),
        "é".repeat(300),
        format!("kwb_{}.{}", "A".repeat(100_000), "A".repeat(43)),
    ];
    // A change of any character.
    wrong.extend((0..token.len()).map(|at| {
        let other = if token.as_bytes()[at] == b'x' { "y" } else { "x" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    // Another deployment's, and something else that this one has sealed.
    let other = Secrets::new("the secret of some other deployment than this", None);
    let end = NOON + Span::from_mins(2);
    wrong.push(Open::read("-:0:0 1 sha256:00 0").unwrap().token(end, &other));
    wrong.push(platform.secrets.seal("keyward link session 1", "kwb_", "1999999999999 1 sha256:00 0"));
    wrong.push(platform.secrets.seal("keyward settlement 1", "kwb_", &["1"; 400].join(" ")));
    platform.asked();
    for wrong in &wrong {
        assert_eq!(says(&platform, wrong, 0), None, "{wrong}");
    }
    assert_eq!(platform.asked(), Vec::<String>::new());
    assert_eq!(says(&platform, &token, 0), Some(Ok(true)));
}

#[test]
fn a_token_made_under_a_previous_secret_settles() {
    let (mut platform, key) = limited(Some(1_000));
    let token = token(&ask_at("/stream", &platform, &key).unwrap());
    let newer = "a newer secret of this deployment than before";
    platform.secrets = Rc::new(Secrets::new(newer, None));
    assert_eq!(says(&platform, &token, 0), None);
    platform.secrets = Rc::new(Secrets::new(newer, Some(keyward_testing::SECRET)));
    assert_eq!(says(&platform, &token, 0), Some(Ok(true)));
}

#[test]
fn after_its_time_a_token_settles_nothing_and_asks_no_object() {
    let (platform, key) = limited(Some(400));
    let token = token(&ask_at("/stream", &platform, &key).unwrap());
    platform.pass_time(Span::from_mins(2));
    platform.asked();
    assert_eq!(says(&platform, &token, 0), Some(Ok(false)));
    assert_eq!(platform.asked(), Vec::<String>::new());
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
}

#[test]
fn an_object_that_does_not_answer_is_said_so_and_the_same_call_settles_later() {
    let (platform, key) = limited(Some(1_000));
    let token = token(&ask_at("/stream", &platform, &key).unwrap());
    platform.gate_fault.set(Some(Fault::Fails));
    assert_eq!(says(&platform, &token, 0), Some(Err(Unavailable)));
    platform.gate_fault.set(None);
    platform.pass_time(10 * SECOND);
    assert_eq!(says(&platform, &token, 0), Some(Ok(true)));
}

#[test]
fn a_caller_without_limits_has_a_token_that_settles_nothing_and_is_answered_alike() {
    let (platform, key) = limited(None);
    // Of such a key no object is asked where the log says that its record holds.
    platform.log.borrow_mut().get_or_insert_default();
    platform.read_log();
    let forward = ask_at("/stream", &platform, &key).unwrap();
    platform.asked();
    assert_eq!(says(&platform, &token(&forward), 7), Some(Ok(true)));
    assert_eq!(platform.asked(), Vec::<String>::new());
    platform.pass_time(Span::from_mins(2));
    assert_eq!(says(&platform, &token(&forward), 7), Some(Ok(false)));
}

#[test]
fn the_pool_of_the_tenant_is_settled_by_the_same_call() {
    let platform = FakePlatform::new();
    platform.log.borrow_mut().get_or_insert_default();
    let limits = |limit| Limits { per_minute: Some(limit), ..Limits::default() };
    let tenant = Tenant { pool: Some(limits(500)), ..record().tenant };
    let pool = Record::of_pool(&record().tenant, limits(500), 0);
    platform.gates.borrow_mut().entry(pool_name(&tenant.id)).or_default().put(pool);
    let record = Record { tenant, limits: limits(10_000), ..record() };
    let key = platform.new_key(1);
    platform.tell(&key, &record);
    platform.publish(&key, &record);
    let begun = ask_at("/stream", &platform, &key).unwrap();
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
    // The pool's object is told when it can be reached, whatever the key's was told before.
    platform.faulty.borrow_mut().insert(pool_name("tenant-1"));
    platform.gate_fault.set(Some(Fault::Fails));
    assert_eq!(says(&platform, &token(&begun), 100), Some(Err(Unavailable)));
    platform.gate_fault.set(None);
    platform.pass_time(10 * SECOND);
    assert_eq!(says(&platform, &token(&begun), 100), Some(Ok(true)));
    assert_eq!(says(&platform, &token(&begun), 100), Some(Ok(false)));
    assert!(ask_at("/stream", &platform, &key).is_ok());
    assert_eq!(ask_at("/stream", &platform, &key).unwrap_err().status, 429);
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
    assert_eq!(forward.open.unwrap().to_text().split([' ', ':']).next(), Some("x-used"));
}
