//! What slows those who guess passwords, and that it slows nobody else.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    secret::Secret,
    sql::Sql,
    time::{HOUR, MILLISECOND, MINUTE, SECOND},
};
use keyward_registry::{CallState, Progress};
use keyward_testing::{
    Seeded,
    registry_fixture::{Answer, PASSWORD, RegistryFixture, SETUP_TOKEN},
};
use serde_json::{Value, json};

pub const OWNER: &str = "owner@example.com";
pub const HOME: &str = "192.0.2.1";
pub const WRONG: &str = "a wrong password";

pub fn try_from(fixture: &RegistryFixture, address: &str, email: &str, password: &str) -> Answer {
    let before = fixture.address.replace(address.into());
    let answer = fixture.post("", "/session", json!({"email": email, "password": password}));
    fixture.address.replace(before);
    answer
}

fn wait_of(answer: &Answer) -> i64 {
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    answer.header("Retry-After").unwrap().parse().unwrap()
}

/// Fails from ever new networks until the address itself is held back.
pub fn flood(fixture: &RegistryFixture, email: &str) -> usize {
    (0..1000)
        .take_while(|n| {
            try_from(fixture, &format!("198.51.{}.{}", n / 250, n % 250), email, WRONG).status == 401
        })
        .count()
}

fn count(fixture: &RegistryFixture, table: &str) -> i64 {
    fixture.db.run(&format!("SELECT COUNT(*) AS n FROM {table}"), &[]).unwrap()[0]["n"].as_i64().unwrap()
}

fn my_path(fixture: &RegistryFixture, session: &str) -> String {
    let me = fixture.get(session, "/session").expect(200);
    format!("/members/{}", me.body["member"]["id"].as_str().unwrap())
}

#[test]
fn strangers_who_fail_with_an_address_neither_keep_its_owner_out_nor_touch_what_is_typed_in_a_session() {
    let (fixture, owner) = RegistryFixture::open();
    let me = my_path(&fixture, &owner);
    assert_eq!(flood(&fixture, OWNER), 30, "in all, from however many networks");
    for _ in 0..3 {
        assert_eq!(try_from(&fixture, HOME, OWNER, PASSWORD).status, 201);
        fixture.post(&owner, "/session/step-up", json!({"password": PASSWORD})).expect(204);
        let change = json!({"password": "another long passphrase", "currentPassword": PASSWORD});
        fixture.patch(&owner, &me, change).expect(200);
        let back = json!({"password": PASSWORD, "currentPassword": "another long passphrase"});
        fixture.patch(&owner, &me, back).expect(200);
        flood(&fixture, OWNER);
    }
}

#[test]
fn from_a_new_network_somebody_waits_while_strangers_guess_as_long_as_is_said() {
    let (fixture, _) = RegistryFixture::open();
    flood(&fixture, OWNER);
    let wait = wait_of(&try_from(&fixture, "203.0.113.9", OWNER, PASSWORD));
    assert_eq!(wait, 600);
    fixture.later((wait - 1) * SECOND);
    assert_eq!(wait_of(&try_from(&fixture, "203.0.113.9", OWNER, PASSWORD)), 1);
    fixture.later(SECOND);
    assert_eq!(try_from(&fixture, "203.0.113.9", OWNER, PASSWORD).status, 201);
    flood(&fixture, OWNER);
    assert_eq!(try_from(&fixture, "203.0.113.9", OWNER, PASSWORD).status, 201, "it is known by now");
}

#[test]
fn whoever_fails_from_one_network_waits_longer_each_time_and_never_more_than_five_minutes() {
    let (fixture, _) = RegistryFixture::open();
    for _ in 0..5 {
        try_from(&fixture, HOME, OWNER, WRONG).refused(401, "INVALID_CREDENTIALS");
    }
    let mut waits = Vec::new();
    for _ in 0..12 {
        let before = fixture.derivations.get();
        let wait = wait_of(&try_from(&fixture, HOME, OWNER, PASSWORD));
        assert_eq!(fixture.derivations.get(), before, "a refused attempt costs nothing");
        fixture.later(wait * SECOND - MILLISECOND);
        wait_of(&try_from(&fixture, HOME, OWNER, PASSWORD));
        fixture.later(MILLISECOND);
        try_from(&fixture, HOME, OWNER, WRONG).refused(401, "INVALID_CREDENTIALS");
        waits.push(wait);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    fixture.later(300 * SECOND);
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    for _ in 0..5 {
        try_from(&fixture, HOME, OWNER, WRONG).refused(401, "INVALID_CREDENTIALS");
    }
}

#[test]
fn guesses_of_one_address_are_bounded_however_many_networks_they_come_from() {
    let (fixture, _) = RegistryFixture::open();
    let mut guesses = flood(&fixture, OWNER);
    for _ in 0..24 * 6 {
        fixture.later(10 * MINUTE);
        guesses += flood(&fixture, OWNER);
    }
    assert_eq!(guesses, 30 + 24 * 6, "in a day");
}

#[test]
fn what_neighbours_try_with_other_addresses_keeps_nobody_out_who_has_signed_in_from_there() {
    let (fixture, _) = RegistryFixture::open();
    let tried = (0..500)
        .take_while(|n| try_from(&fixture, HOME, &format!("n{n}@example.com"), WRONG).status == 401)
        .count();
    assert_eq!(tried, 100);
    assert_eq!(wait_of(&try_from(&fixture, HOME, "new@example.com", WRONG)), 10);
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    assert_eq!(
        try_from(&fixture, "198.51.100.1", "new@example.com", WRONG).status,
        401,
        "another network is not slowed"
    );
    fixture.address.replace("2001:db8:1:2::1".into());
    fixture.sign_in(OWNER);
    for n in 0..100 {
        try_from(&fixture, &format!("2001:db8:1:2:{n:x}::1"), &format!("n{n}@example.com"), WRONG);
    }
    wait_of(&try_from(&fixture, "2001:db8:1:2:ffff::1", "new@example.com", WRONG));
}

#[test]
fn no_answer_tells_whether_an_address_has_an_account_or_where_its_owner_signs_in() {
    let (fixture, _) = RegistryFixture::open();
    let told = |address: &str, email: &str| {
        let answer = try_from(&fixture, address, email, WRONG);
        let retry_after = answer.header("Retry-After").map(str::to_owned);
        (answer.status, retry_after, answer.body["detail"].as_str().unwrap().to_owned())
    };
    // Step by progress the same, from the owner's own network, from another, and when either counter is full.
    for _ in 0..9 {
        assert_eq!(told(HOME, OWNER), told(HOME, "nobody@example.com"));
        assert_eq!(told("198.51.100.1", OWNER), told("198.51.100.1", "nobody@example.com"));
        fixture.later(2 * SECOND);
    }
    assert_eq!(flood(&fixture, OWNER), flood(&fixture, "nobody@example.com"));
    for _ in 0..9 {
        assert_eq!(told(HOME, OWNER), told(HOME, "nobody@example.com"));
        fixture.later(SECOND);
    }
    fixture.later(24 * HOUR);
    for n in 0..200 {
        try_from(&fixture, HOME, &format!("n{n}@example.com"), WRONG);
    }
    for _ in 0..9 {
        assert_eq!(told(HOME, OWNER), told(HOME, "nobody@example.com"));
    }
}

#[test]
fn passwords_typed_in_a_session_are_guessed_no_faster_and_slow_no_other_session() {
    let (fixture, owner) = RegistryFixture::open();
    let (stolen, me) = (fixture.sign_in(OWNER), my_path(&fixture, &owner));
    let step_up = |session: &str, password: &str| {
        fixture.post(session, "/session/step-up", json!({"password": password}))
    };
    let change = json!({"password": "another long passphrase", "currentPassword": WRONG});
    for _ in 0..4 {
        step_up(&stolen, WRONG).refused(401, "INVALID_CREDENTIALS");
    }
    fixture.patch(&stolen, &me, change.clone()).refused(401, "INVALID_CREDENTIALS");
    assert_eq!(wait_of(&step_up(&stolen, PASSWORD)), 1);
    assert_eq!(
        wait_of(&fixture.patch(&stolen, &me, change)),
        1,
        "one counter for whatever asks for a password"
    );
    step_up(&owner, PASSWORD).expect(204);
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    fixture.later(SECOND);
    step_up(&stolen, PASSWORD).expect(204);
    for _ in 0..5 {
        step_up(&stolen, WRONG).refused(401, "INVALID_CREDENTIALS");
    }
}

#[test]
fn nobody_keeps_the_owner_from_setting_up() {
    let fixture = RegistryFixture::empty();
    let set_up = |token: &str| {
        fixture.post("", "/setup", json!({"token": token, "email": OWNER, "password": PASSWORD}))
    };
    for _ in 0..300 {
        set_up("wrong").refused(401, "INVALID_CREDENTIALS");
        fixture.get("setup:wrong", "/api-keys").refused(401, "UNAUTHENTICATED");
    }
    fixture.get(&format!("setup:{SETUP_TOKEN}"), "/api-keys").expect(200);
    set_up(SETUP_TOKEN).expect(201);
}

#[test]
fn a_set_up_token_that_can_be_guessed_sets_nothing_up() {
    let mut fixture = RegistryFixture::empty();
    for weak in ["short-but-random-9x", "passwordpassword1234", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        fixture.setup_token = Some(Secret::new(weak));
        let answer = fixture.post("", "/setup", json!({"token": weak, "email": OWNER, "password": PASSWORD}));
        answer.refused(503, "NOT_CONFIGURED");
        assert!(!answer.text.contains(weak));
        fixture.get(&format!("setup:{weak}"), "/api-keys").refused(503, "NOT_CONFIGURED");
    }
}

#[test]
fn attempts_at_the_same_moment_are_counted_before_any_is_checked() {
    let (fixture, owner) = RegistryFixture::open();
    let sign_in = fixture.call("POST", "", "/session", json!({"email": OWNER, "password": WRONG}));
    let step_up = fixture.call("POST", &owner, "/session/step-up", json!({"password": WRONG}));
    for call in [sign_in, step_up] {
        let derived = |_: &u32| {
            let progress = fixture.registry().handle(
                &call,
                &CallState::default(),
                fixture.now.get(),
                &mut Seeded::new(1),
            );
            matches!(progress, Progress::Derive(_))
        };
        assert_eq!((0..10).filter(derived).count(), 5);
    }
}

#[test]
fn a_flood_of_failures_pushes_out_neither_a_wait_nor_a_network_that_is_known() {
    let (fixture, _) = RegistryFixture::open();
    let elsewhere = "198.51.100.77";
    for _ in 0..8 {
        while try_from(&fixture, elsewhere, OWNER, WRONG).status == 401 {}
        fixture.later(30 * SECOND);
    }
    flood(&fixture, OWNER);
    while try_from(&fixture, elsewhere, "somebody@example.com", WRONG).status == 401 {}
    let waits = |email: &str| wait_of(&try_from(&fixture, elsewhere, email, WRONG));
    let (before, pair) = (waits(OWNER), waits("somebody@example.com"));
    // What as many attempts with made-up addresses from made-up networks leave: of each a pair, an address and a network,
    // all of them newer.
    let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40000)
        INSERT INTO guesses (subject, failures, at) SELECT kind || n, failures, ? + later FROM n,
        (SELECT 'pair:x' AS kind, 1 AS failures, 0 AS later UNION ALL SELECT 'email:x', 0, 600000
         UNION ALL SELECT 'network:x', 0, 10000)";
    fixture.db.run(many, &[fixture.now.get().into()]).unwrap();
    try_from(&fixture, HOME, "another@example.com", WRONG).refused(401, "INVALID_CREDENTIALS");
    assert!(count(&fixture, "guesses") <= 100_000);
    assert_eq!((waits(OWNER), waits("somebody@example.com")), (before, pair));
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    assert_eq!(count(&fixture, "known_networks"), 1);
    // Nor does one counter that is touched again and again.
    fixture
        .db
        .run("UPDATE guesses SET number = 900000 WHERE number = (SELECT MAX(number) FROM guesses)", &[])
        .unwrap();
    try_from(&fixture, HOME, "one-more@example.com", WRONG).refused(401, "INVALID_CREDENTIALS");
    assert!(count(&fixture, "guesses") > 90_000);
    assert_eq!((waits(OWNER), waits("somebody@example.com")), (before, pair));
}

#[test]
fn what_is_counted_and_remembered_is_bounded() {
    let (fixture, owner) = RegistryFixture::open();
    let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100500)
                INSERT INTO guesses (subject, failures, at) SELECT 'pair:' || n, 1, ? FROM n";
    fixture.db.run(many, &[fixture.now.get().into()]).unwrap();
    try_from(&fixture, HOME, OWNER, WRONG).refused(401, "INVALID_CREDENTIALS");
    assert!(count(&fixture, "guesses") <= 100_000);
    fixture.later(24 * HOUR + MILLISECOND);
    try_from(&fixture, HOME, OWNER, WRONG).refused(401, "INVALID_CREDENTIALS");
    assert!(count(&fixture, "guesses") <= 4, "forgotten after a day");

    for n in 0..30 {
        try_from(&fixture, &format!("198.51.100.{n}"), OWNER, PASSWORD).expect(201);
    }
    assert_eq!(count(&fixture, "known_networks"), 20);
    fixture.later(12 * HOUR);
    let _ = owner;
    for _ in 0..110 {
        fixture.sign_in(OWNER);
    }
    assert_eq!(count(&fixture, "sessions"), 100);
}

#[test]
fn another_password_makes_every_network_new() {
    let (fixture, owner) = RegistryFixture::open();
    let (member, id) = fixture.member(&owner, "member@example.com", "viewer");
    let _ = member;
    let body = json!({"password": "somebody chose another one"});
    fixture.patch(&owner, &format!("/members/{id}"), body).expect(200);
    flood(&fixture, "member@example.com");
    let answer = try_from(&fixture, HOME, "member@example.com", "somebody chose another one");
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    fixture.delete(&owner, &format!("/members/{id}")).expect(204);
    let left =
        fixture.db.run("SELECT 1 FROM known_networks WHERE member_id = ?", &[id.as_str().into()]).unwrap();
    assert_eq!(left, Vec::<Value>::new());
}

/// The network has made as many calls as it may: one more is refused.
pub fn crowd(fixture: &RegistryFixture) {
    let junk =
        (0..5_000).map(|_| fixture.post("", "/session", json!({"email": "x"})).code() == "RATE_LIMITED");
    assert!(junk.take_while(|refused| !refused).count() < 2_000);
}

#[test]
fn neighbours_who_call_too_often_keep_nobody_out_who_has_signed_in_from_there_and_learn_nothing_of_it() {
    let (fixture, _) = RegistryFixture::open();
    crowd(&fixture);
    let told = |email: &str| {
        let answer = try_from(&fixture, HOME, email, WRONG);
        answer.refused(429, "RATE_LIMITED");
        let retry_after = answer.header("Retry-After").map(str::to_owned);
        (retry_after, answer.body["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(told(OWNER), told("nobody@example.com"));
    try_from(&fixture, HOME, OWNER, PASSWORD).expect(201);
    try_from(&fixture, "198.51.100.1", OWNER, PASSWORD).expect(201);
    crowd(&fixture);
    let derivations = fixture.derivations.get();
    for _ in 0..100 {
        assert_eq!(told(OWNER), told("nobody@example.com"));
    }
    assert_eq!(fixture.derivations.get() - derivations, 5, "nor do they guess any faster");
}

#[test]
fn whoever_is_known_is_let_in_beside_a_crowd_as_often_as_a_network_may_call_and_no_more() {
    let (fixture, _) = RegistryFixture::open();
    crowd(&fixture);
    let signed_in =
        (0..2_000).take_while(|_| try_from(&fixture, HOME, OWNER, PASSWORD).status == 201).count();
    assert_eq!(signed_in, fixture.policy.admin.rate.network as usize);
}

#[test]
fn a_site_of_many_ipv6_networks_has_a_thousand_guesses_and_then_one_a_second() {
    let (fixture, _) = RegistryFixture::open();
    let guess = |n: u32| {
        let address = format!("2001:db8:7:{n:x}::1");
        try_from(&fixture, &address, &format!("n{n}@example.com"), WRONG).status
    };
    assert_eq!((0..1_500).take_while(|n| guess(*n) == 401).count(), 1_000);
    assert_eq!(wait_of(&try_from(&fixture, "2001:db8:7:ffff::1", "new@example.com", WRONG)), 1);
    assert_eq!(try_from(&fixture, "2001:db8:8::1", "new@example.com", WRONG).status, 401, "another site");
    assert_eq!(try_from(&fixture, "::ffff:192.0.2.9", "new@example.com", WRONG).status, 401, "IPv4");
    fixture.later(SECOND);
    assert_eq!((guess(2_000), guess(2_001)), (401, 429));
    fixture.later(SECOND);
    try_from(&fixture, "2001:db8:7:aaaa::1", OWNER, PASSWORD).expect(201);
    // Known from then on.
    guess(2_002);
    try_from(&fixture, "2001:db8:7:aaaa::2", OWNER, PASSWORD).expect(201);
}

#[test]
fn an_address_is_counted_as_one_however_it_is_spelled() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.member(&owner, "zoë.k@example.com", "viewer");
    let spellings = [
        "zoë.k@example.com",
        "zoe\u{308}.k@example.com",
        "ZOË.K@EXAMPLE.COM",
        "Zoe\u{308}.\u{212a}@example.com",
        " zoë.k@example.com\u{feff}",
    ];
    for spelling in spellings {
        try_from(&fixture, "203.0.113.9", spelling, WRONG).refused(401, "INVALID_CREDENTIALS");
    }
    for spelling in spellings {
        wait_of(&try_from(&fixture, "203.0.113.9", spelling, PASSWORD));
    }
}

#[test]
fn nothing_that_takes_long_is_done_before_the_set_up_token_is_right() {
    let fixture = RegistryFixture::empty();
    let set_up = |token: &str| {
        fixture.post("", "/setup", json!({"token": token, "email": OWNER, "password": "password1234"}))
    };
    set_up("wrong").refused(401, "INVALID_CREDENTIALS");
    assert_eq!(set_up(SETUP_TOKEN).expect(400).fields(), ["password"]);
    assert_eq!(fixture.derivations.get(), 0);
}
