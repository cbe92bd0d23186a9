//! A turn is written whole or not at all: each single statement of each call of the admin API fails once, and of
//! whatever else writes to the Registry's database.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fmt::Debug};

use keyward_core::{
    key,
    link::Redeem,
    sql::{self, Schema, Sql, SqlError},
    time::{DAY, MINUTE},
};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_policy::jwk::software;
use keyward_registry::{
    self, CallState, Outcome, Progress, admin_call::AdminCall, freshness::Telling, keys::delivery, links,
    publisher, router::ROUTES, schema, usage,
};
use keyward_testing::{
    Database, LINK, NOON, Seeded,
    registry_fixture::{RegistryFixture, policy_with},
};
use serde_json::{Value, json};

use crate::turn_cases::{CASES, Stage, of_key, policy};

/// Runs a call's turns. One that fails has changed nothing, but that a key which it made before is cancelled.
fn turns(fixture: &RegistryFixture, call: &AdminCall, seed: u64) -> Outcome {
    let (mut state, mut entropy) = (CallState::default(), Seeded::new(seed));
    loop {
        let before = fixture.dump();
        match fixture.registry().handle(call, &state, fixture.now.get(), &mut entropy) {
            Progress::Done(outcome) => {
                if outcome.fault.is_some() && state.introduced.is_none() {
                    assert_eq!(fixture.dump(), before, "{} {}", call.method, call.path);
                }
                return outcome;
            }
            Progress::Derive(job) => {
                state.derived.push(job.done(keyward_testing::fake_registry_platform::derive(&job)))
            }
            Progress::Verify(job) => state.verified = Some(software::verify(job.signed()).unwrap_or(false)),
            Progress::Wait(rate_limited) => {
                (state.waits, state.rate_limited) = (state.waits + 1, rate_limited)
            }
            Progress::Tell(created) => {
                let told = fixture
                    .run(fixture.publisher.tell_all(std::slice::from_ref(&created.id), publisher::PATIENCE))
                    .pending
                    == 0;
                state.introduced = Some(created.introduced(told));
            }
        }
    }
}

/// The database makes an event's id at random.
fn without_event_ids(text: &str) -> String {
    let mut parts = text.split("evt_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "evt_" + part.get(32..).unwrap_or_default())
}

/// What is stored.
fn stored(fixture: &RegistryFixture) -> String {
    without_event_ids(&fixture.dump())
}

/// What is stored but for attempts, which count however they end.
fn kept(fixture: &RegistryFixture) -> String {
    let dump = fixture.dump();
    let kept = dump.lines().filter(|line| !line.starts_with("guesses "));
    kept.map(|line| format!("{}\n", without_event_ids(line))).collect()
}

/// The keys that pass, how many that nobody was shown among them, and what each was replaced by.
fn live(fixture: &RegistryFixture) -> Vec<Value> {
    let live = "SELECT status, expires_at, rotated_to IS NULL AS unreplaced, deliver_by IS NULL AS shown
        FROM keys WHERE status = 'ACTIVE' ORDER BY number";
    fixture.db.run(live, &[]).unwrap()
}

fn answer(outcome: Outcome) -> (u16, String, bool) {
    let reply = outcome.reply(Telling { at: NOON, pending: 0 }, "req-1");
    (
        reply.status,
        without_event_ids(&reply.body),
        reply.headers.iter().any(|(name, _)| name == "Retry-After"),
    )
}

#[test]
fn every_statement_of_every_route_may_fail_and_the_turn_leaves_nothing_and_can_be_repeated() {
    for (method, route, stage, call) in CASES {
        let twin = stage();
        let expected = turns(&twin.fixture, &call(&twin), 99);
        assert!(expected.fault.is_none(), "{method} {route}");
        let (expected_publish, expected) = (expected.publish.clone(), answer(expected));
        for steps in 0.. {
            let what = format!("{method} {route}, failing after {steps}");
            let stage = stage();
            let (fixture, call) = (&stage.fixture, call(&stage));
            let (before, live_before) = (kept(fixture), live(fixture));
            fixture.db.fail_after(steps);
            let outcome = turns(fixture, &call, 99);
            if fixture.db.has_not_failed() {
                assert_eq!(
                    (&outcome.publish.clone(), answer(outcome)),
                    (&expected_publish, expected.clone()),
                    "{what}"
                );
                assert_eq!(kept(fixture), kept(&twin.fixture), "{what}");
                // It needs nothing of the database.
                assert!(
                    steps > 2
                        || matches!(
                            *route,
                            "/session/passkey/options" | "/session/code/options" | "/settlements"
                        ),
                    "{what}: what did fail?"
                );
                break;
            }
            assert_eq!(outcome.publish, Vec::<String>::new(), "{what}");
            let (status, body, may_be_repeated) = answer(outcome);
            assert_eq!((status, may_be_repeated), (503, true), "{what}: {body}");
            let left = kept(fixture) != before;
            if left {
                // A key that it made before: revoked, or kept for a repeat.
                let shown = |keys: Vec<Value>| -> Vec<Value> {
                    keys.into_iter().filter(|key| key["shown"] == 1).collect()
                };
                assert_eq!(
                    shown(live(fixture)),
                    live_before,
                    "{what}: the old key goes on, no other is live"
                );
                if call.idempotency_key.is_none() {
                    assert_eq!(live(fixture), live_before, "{what}");
                }
            }
            let outcome = turns(fixture, &call, if left { 100 } else { 99 });
            assert!(outcome.fault.is_none(), "{what}, repeated");
            let (status, body, _) = answer(outcome);
            assert_eq!(status, expected.0, "{what}, repeated: {body}");
            if left {
                assert_eq!(live(fixture), live(&twin.fixture), "{what}, repeated");
            } else {
                assert_eq!(
                    (body, kept(fixture)),
                    (expected.1.clone(), kept(&twin.fixture)),
                    "{what}, repeated"
                );
            }
        }
    }
}

#[test]
fn every_route_has_a_case_here() {
    let cases: BTreeSet<(&str, &str)> = CASES.iter().map(|(method, route, ..)| (*method, *route)).collect();
    assert_eq!(cases, ROUTES.iter().map(|route| (route.method, route.path)).collect());
}

/// Whatever writes beside calls: each of its statements fails once, and all of it can be repeated.
fn whole<T: Debug + PartialEq>(
    what: &str,
    stage: fn() -> Stage,
    act: impl Fn(&Stage) -> Result<T, SqlError>,
) {
    let twin = stage();
    let expected = act(&twin).unwrap();
    for steps in 0.. {
        let stage = stage();
        let fixture = &stage.fixture;
        let before = fixture.dump();
        fixture.db.fail_after(steps);
        let result = act(&stage);
        if fixture.db.has_not_failed() {
            assert_eq!((result.unwrap(), stored(fixture)), (expected, stored(&twin.fixture)), "{what}");
            assert!(steps > 0, "{what}");
            return;
        }
        assert!(result.is_err(), "{what} after {steps}");
        assert_eq!(fixture.dump(), before, "{what} after {steps}");
        assert_eq!(act(&stage).unwrap(), expected, "{what} after {steps}, repeated");
        assert_eq!(stored(fixture), stored(&twin.fixture), "{what} after {steps}, repeated");
    }
}

/// With a change of the key in the outbox.
fn changed() -> Stage {
    let stage = Stage::open();
    stage.fixture.step(&of_key(&stage, "PATCH", "", json!({"name": "other"})));
    stage
}

/// With a key that was made, and no more of the call that made it.
fn unshown() -> Stage {
    let stage = Stage::open();
    let call = stage.call("POST", "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
    let progress = stage.fixture.registry().handle(&call, &CallState::default(), NOON, &mut Seeded::new(5));
    assert!(matches!(progress, Progress::Tell(_)));
    stage
}

#[test]
fn using_up_a_link_is_one_turn() {
    whole("redeem", Stage::open, |stage| {
        let hash = key::storage_hash(&LINK.token(), &stage.fixture.secrets, &stage.link_token);
        links::redeem(&stage.fixture.db, policy(), &Redeem { hash, realm: "default".into() }, NOON)
    });
}

#[test]
fn taking_in_a_report_of_usage_is_one_turn() {
    whole("usage", Stage::open, |stage| {
        let hour = |hour: i64, accepted: u64| UsageHour {
            hour: NOON.plus(hour * 60 * MINUTE),
            accepted,
            refused: [("TEST_MODE".to_owned(), 1)].into(),
            ..UsageHour::default()
        };
        let hours = vec![hour(0, 3), hour(1, 4)];
        let report = UsageReport {
            key_id: stage.key.clone(),
            last_used_at: Some(NOON),
            hours,
            ..UsageReport::default()
        };
        usage::apply(&stage.fixture.db, &report, true, stage.fixture.now.get()).map(drop)
    });
}

#[test]
fn adopting_a_policy_is_one_turn() {
    whole("adopt", Stage::open, |stage| {
        let other = policy_with(|realm| realm.limits.maximum.per_minute = Some(7));
        keyward_registry::adopt(&stage.fixture.db, other, NOON)
    });
}

#[test]
fn each_step_of_the_outbox_is_one_turn() {
    let later = NOON.plus(MINUTE);
    whole("begin", changed, |stage| Ok(stage.fixture.outbox().begin(&stage.key, later)?.unwrap().record));
    whole("told", changed, |stage| stage.fixture.outbox().told(&stage.key, 2, later));
    whole("published", changed, |stage| stage.fixture.outbox().published(&stage.key, 2, later));
    whole("overtaken", changed, |stage| stage.fixture.outbox().published(&stage.key, 1, later));
    whole("publish again", changed, |stage| stage.fixture.outbox().publish_again(&stage.key, later));
    whole("cancel", unshown, |stage| delivery::cancel_overdue(&stage.fixture.db, NOON.plus(DAY), 400));
}

#[test]
fn each_step_of_the_schema_is_one_turn_with_the_row_that_remembers_it() {
    let dump_of = |migrations: &'static [&'static str], additions| {
        let db = Database::new();
        sql::migrate(&db, &Schema { migrations, additions }).unwrap();
        db
    };
    let mut whole = BTreeSet::from([Database::new().dump()]);
    for some in 0..=schema::MIGRATIONS.len() {
        whole.insert(dump_of(&schema::MIGRATIONS[..some], &[]).dump());
    }
    let all = dump_of(schema::MIGRATIONS, &[]);
    all.run("CREATE TABLE IF NOT EXISTS additions (name TEXT PRIMARY KEY) STRICT", &[]).unwrap();
    whole.insert(all.dump());
    for some in 1..=schema::ADDITIONS.len() {
        whole.insert(dump_of(schema::MIGRATIONS, &schema::ADDITIONS[..some]).dump());
    }
    for steps in 0.. {
        let db = Database::new();
        db.fail_after(steps);
        let result = keyward_registry::migrate(&db);
        if db.has_not_failed() {
            break;
        }
        assert!(result.is_err());
        assert!(whole.contains(&db.dump()), "half a step after {steps}: {}", db.dump());
        keyward_registry::migrate(&db).unwrap();
        assert_eq!(db.dump(), dump_of(schema::MIGRATIONS, schema::ADDITIONS).dump());
    }
}

#[test]
fn a_refusal_undoes_what_its_call_wrote_before_it() {
    let stage = Stage::open();
    stage.fixture.later(2 * DAY);
    let owner = stage.fixture.sign_in("owner@example.com");
    // Or what is done after whatever call would be seen, too.
    for _ in 0..3 {
        stage.fixture.publisher.keep_up(&stage.fixture.secrets);
    }
    let mut call = stage.fixture.call("POST", &owner, "/api-keys", json!({}));
    call.idempotency_key = Some("new".into());
    let before = stage.fixture.dump();
    assert!(before.contains("\nidempotency {"), "some are to be deleted with the next such call");
    stage.fixture.send(call).refused(400, "VALIDATION_FAILED");
    assert_eq!(stage.fixture.dump(), before);
}
