//! What Prometheus scrapes: what has happened, whatever comes again or late, at a cost that keys do not raise.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    sql::{self, Schema, Sql},
    time::{DAY, HOUR, MINUTE, SECOND, Timestamp},
};
use keyward_limits::{
    routes::OnRoutes,
    wire::{UNATTRIBUTED, UsageHour, UsageReport},
};
use keyward_policy::document;
use keyward_registry::{
    metrics::{Exposition, Kind, METRICS, Metric, counters},
    schema, usage,
};
use keyward_testing::{NOON, policy::POLICY, registry_fixture::RegistryFixture};
use proptest::prelude::*;
use serde_json::json;

use crate::retention::keep_up;

/// Samples by name and labels, as they are written.
type Samples = BTreeMap<String, u64>;

fn scrape(fixture: &RegistryFixture, token: &str) -> Samples {
    let answer = fixture.get(token, "/metrics").expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let lines = answer.text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn of(samples: &Samples, name: &str) -> Samples {
    samples.iter().filter(|(sample, _)| sample.starts_with(name)).map(|(n, v)| (n.clone(), *v)).collect()
}

fn told(hour: Timestamp, accepted: u64, taken_back: u64, refused: &[(&str, u64)]) -> UsageHour {
    let refused = refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    UsageHour { hour: hour.floor(HOUR), accepted, taken_back, refused, ..UsageHour::default() }
}

fn report(fixture: &RegistryFixture, key_id: &str, hour: UsageHour) {
    let report = UsageReport { key_id: key_id.to_owned(), hours: vec![hour], ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

#[test]
fn every_metric_is_shown_once_with_its_help_and_type_and_only_its_labels() {
    let (fixture, owner) = RegistryFixture::open();
    fixture.key(&owner, json!({}));
    let text = fixture.get(&owner, "/metrics").expect(200).text;
    for Metric { name, kind, help, labels } in METRICS {
        let head = format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
        assert_eq!(text.matches(&head).count(), 1, "{name}");
        assert_eq!(kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(!help.contains(['\\', '\n']), "{name}");
        for line in text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name)) {
            // Between the quotes stand names, each with what is before and after it.
            let between = line.split('"').step_by(2).filter_map(|it| it.strip_suffix('='));
            let named: Vec<&str> = between.filter_map(|it| it.rsplit(['{', ',']).next()).collect();
            assert_eq!(named, labels, "{line}");
        }
    }
    assert_eq!(text.matches("# TYPE ").count(), METRICS.len());
}

#[test]
fn only_people_and_keys_of_the_operators_tenant_that_may_read_are_shown_metrics() {
    let (fixture, owner) = RegistryFixture::open();
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let (other, _) = fixture.tenant(&owner, "other");
    let key =
        |token: &str, scope: &str| format!("key:{}", fixture.key(token, json!({"scopes": [scope]})).key_id());
    for token in [owner.clone(), viewer, key(&owner, "admin:read"), key(&owner, "admin:write")] {
        fixture.get(&token, "/metrics").expect(200);
    }
    for token in [other.clone(), key(&other, "admin:read"), key(&owner, "orders:read")] {
        fixture.get(&token, "/metrics").refused(403, "FORBIDDEN");
    }
    fixture.get("", "/metrics").refused(401, "UNAUTHENTICATED");
    assert_eq!(fixture.get(&owner, "/metrics?realm=default").fields(), ["realm"]);
}

#[test]
fn requests_are_counted_once_however_often_they_are_told_and_a_count_never_shrinks() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    let now = fixture.now.get();
    for (accepted, taken_back, limited) in [(7, 3, 1), (7, 3, 1), (10, 0, 2), (5, 0, 0), (9, 3, 2)] {
        report(&fixture, &key, told(now, accepted, taken_back, &[("RATE_LIMITED", limited)]));
    }
    report(&fixture, &key, told(now - HOUR, 100, 0, &[]));
    report(&fixture, UNATTRIBUTED, told(now, 0, 0, &[("default INVALID_API_KEY", 4), (" NO_REALM", 1)]));
    report(&fixture, UNATTRIBUTED, told(now, 0, 0, &[("default INVALID_API_KEY", 6)]));
    let expected: Samples = [
        ("keyward_requests_accepted_total{realm=\"default\"}", 112),
        ("keyward_requests_refused_total{realm=\"default\",code=\"RATE_LIMITED\"}", 2),
        ("keyward_requests_unattributed_total{realm=\"default\",code=\"INVALID_API_KEY\"}", 6),
        ("keyward_requests_unattributed_total{realm=\"\",code=\"NO_REALM\"}", 1),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into();
    assert_eq!(of(&scrape(&fixture, &owner), "keyward_requests_"), expected);
    // The hours become days, and days are removed.
    fixture.later(40 * DAY);
    for _ in 0..5 {
        keep_up(&fixture);
    }
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(of(&scrape(&fixture, &owner), "keyward_requests_"), expected);
}

#[test]
fn requests_are_counted_by_the_route_of_the_policy() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    let counts = |of: &[(&str, u64)]| of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let routes = |accepted: &[(&str, u64)], refused: &[(&str, u64)]| OnRoutes {
        accepted: counts(accepted),
        refused: counts(refused),
        ..OnRoutes::default()
    };
    let hour = |routes| UsageHour { routes, ..told(fixture.now.get(), 9, 0, &[]) };
    report(&fixture, &key, hour(routes(&[("default GET /api/a b", 2)], &[("default GET /api/a b", 1)])));
    report(&fixture, &key, hour(routes(&[("default GET /api/a b", 5), ("", 1)], &[])));
    report(&fixture, UNATTRIBUTED, hour(routes(&[], &[("default GET /api/a b", 3)])));
    let samples = scrape(&fixture, &owner);
    let route = "{realm=\"default\",method=\"GET\",path=\"/api/a b\"}";
    assert_eq!(samples[&format!("keyward_route_requests_accepted_total{route}")], 5);
    assert_eq!(samples[&format!("keyward_route_requests_refused_total{route}")], 4);
    let other = "{realm=\"\",method=\"\",path=\"other\"}";
    assert_eq!(samples[&format!("keyward_route_requests_accepted_total{other}")], 1);
}

#[test]
fn keys_and_tenants_are_counted_by_state_whatever_becomes_of_them() {
    let (fixture, owner) = RegistryFixture::open();
    let (_, tenant) = fixture.tenant(&owner, "other");
    fixture.tenant(&owner, "third");
    let keys: Vec<String> = (0..5).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    let act = |key: &str, what: &str| {
        fixture.post(&owner, &format!("/api-keys/{key}/{what}"), json!({})).expect(200);
    };
    act(&keys[0], "pause");
    act(&keys[1], "pause");
    act(&keys[1], "resume");
    act(&keys[2], "pause");
    act(&keys[2], "revoke");
    act(&keys[3], "revoke");
    fixture.patch(&owner, &format!("/tenants/{tenant}"), json!({"status": "INACTIVE"})).expect(200);
    let counted = || {
        let samples = scrape(&fixture, &owner);
        let key = |state: &str| samples[&format!("keyward_keys{{realm=\"default\",state=\"{state}\"}}")];
        let tenant = |state: &str| samples[&format!("keyward_tenants{{state=\"{state}\"}}")];
        let keys = ["active", "paused", "revoked"].map(key);
        (keys, ["active", "inactive"].map(tenant))
    };
    assert_eq!(counted(), ([2, 1, 2], [2, 1]));
    fixture.db.run("DELETE FROM keys WHERE status = 'REVOKED'", &[]).unwrap();
    assert_eq!(counted(), ([2, 1, 0], [2, 1]));
}

#[test]
fn keys_that_an_older_build_has_made_are_counted_when_the_counts_are_added() {
    let at = schema::ADDITIONS.iter().position(|addition| addition.name == "metrics").unwrap();
    let db = keyward_testing::Database::new();
    sql::migrate(&db, &Schema { migrations: schema::MIGRATIONS, additions: &schema::ADDITIONS[..at] })
        .unwrap();
    for (number, status, expires_at) in [(1, "ACTIVE", "NULL"), (2, "ACTIVE", "0"), (3, "REVOKED", "0")] {
        let key = format!(
            "INSERT INTO keys (id, tenant_id, realm, kind, mode, name, prefix, last4, hash, status, version, scopes,
                allowed_ips, allowed_origins, tags, metadata, search, created_at, created_by, updated_at, expires_at)
            VALUES ('key_{number}', 't', 'default', '', '', '', '', '', 'h{number}', '{status}', 1, '[]', '[]', '[]',
                '[]', '{{}}', '', 0, '{{}}', 0, {expires_at})"
        );
        db.run(&key, &[]).unwrap();
    }
    schema::migrate(&db).unwrap();
    let counts =
        db.run("SELECT state, count FROM state_counts WHERE what = 'key' ORDER BY state", &[]).unwrap();
    let expected = ["active", "paused", "revoked"].map(|state| json!({"state": state, "count": 1}));
    assert_eq!(counts, expected);
}

#[test]
fn failures_to_sign_in_are_counted_and_so_is_who_has_to_wait() {
    let (fixture, owner) = RegistryFixture::open();
    let wrong = || {
        let body = json!({"email": "owner@example.com", "password": "not this one"});
        fixture.post("", "/session", body).status
    };
    let counted = |owner: &str| {
        let samples = scrape(&fixture, owner);
        (samples["keyward_sign_in_failures_total"], samples["keyward_sign_in_waits"])
    };
    assert_eq!(counted(&owner), (0, 0));
    let statuses: Vec<u16> = (0..6).map(|_| wrong()).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    // The last one was not looked at.
    assert_eq!(counted(&owner), (5, 1));
    fixture.later(2 * SECOND);
    assert_eq!(counted(&owner), (5, 0));
}

#[test]
fn a_change_that_cannot_be_published_is_shown_with_how_long_it_has_been_waiting() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    fixture.pass_with_alarms(5 * MINUTE);
    let waiting = || {
        let samples = scrape(&fixture, &owner);
        (samples["keyward_outbox_entries"], samples["keyward_outbox_oldest_age_seconds"])
    };
    assert_eq!(waiting(), (0, 0));
    let due = fixture.now.get();
    let enqueue = "UPDATE keys SET version = version + 1, publish_due = ? WHERE id = ?";
    fixture.db.run(enqueue, &[due.into(), key.as_str().into()]).unwrap();
    assert_eq!(waiting(), (1, 0));
    // Each attempt fails.
    for _ in 0..12 {
        let next = fixture.next_due().unwrap();
        fixture.now.set(next);
        fixture.outbox().begin(&key, next).unwrap().unwrap();
        let since = (fixture.now.get() - due).ms().unsigned_abs() / 1_000;
        assert_eq!(waiting(), (1, since));
    }
    assert!(waiting().1 > 600);
}

#[test]
fn the_latest_change_the_storage_and_the_policy_are_shown() {
    let (fixture, owner) = RegistryFixture::open();
    let before = scrape(&fixture, &owner);
    let key = fixture.key(&owner, json!({})).key_id();
    fixture.post(&owner, &format!("/api-keys/{key}/pause"), json!({})).expect(200);
    let samples = scrape(&fixture, &owner);
    assert_eq!(samples["keyward_changes_total"], before["keyward_changes_total"] + 1);
    assert_eq!(samples["keyward_last_change_timestamp_seconds"], NOON.0.unsigned_abs() / 1_000);
    assert_eq!(samples["keyward_storage_bytes"], fixture.db.size().unwrap());
    assert_eq!(samples["keyward_storage_limit_bytes"], fixture.policy.admin.storage);
    assert_eq!(samples["keyward_usage_taken"], 1);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(samples[&format!("keyward_build_info{{version=\"{version}\"}}")], 1);
    let text = document::write(&POLICY).unwrap();
    let read = document::read(&text).unwrap();
    assert!(text.contains(&format!("\"sha256\":\"{}\"", read.sha256.0)) && read.sha256.0.len() == 64);
}

#[test]
fn a_scrape_costs_the_same_however_many_keys_there_are() {
    let (fixture, owner) = RegistryFixture::open();
    let (key, other) = (fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id());
    let work = || {
        let before = fixture.db.work();
        scrape(&fixture, &owner);
        fixture.db.work() - before
    };
    crate::many_keys::fill(&fixture, &key, 100);
    let few = work();
    crate::many_keys::fill(&fixture, &other, 5_000);
    let samples = scrape(&fixture, &owner);
    assert!(samples["keyward_keys{realm=\"default\",state=\"active\"}"] > 5_000);
    assert!(work() < few + few / 2, "{} steps of SQLite, {few} with a fiftieth of the keys", work());
}

#[test]
fn there_are_never_more_series_than_the_bound_whatever_is_reported() {
    let (fixture, owner) = RegistryFixture::open();
    let key = fixture.key(&owner, json!({})).key_id();
    let codes: Vec<String> = (0..3_000).map(|number| format!("CODE_{number}")).collect();
    let refused: Vec<(&str, u64)> = codes.iter().map(|code| (code.as_str(), 2)).collect();
    report(&fixture, &key, told(fixture.now.get(), 0, 0, &refused));
    report(&fixture, UNATTRIBUTED, told(fixture.now.get(), 0, 0, &refused[..3]));
    let samples = scrape(&fixture, &owner);
    let shown = of(&samples, "keyward_requests_refused_total");
    assert!(shown.len() <= counters::MOST as usize + 1, "{}", shown.len());
    assert_eq!(shown.values().sum::<u64>(), 6_000, "none is lost");
    assert_eq!(samples["keyward_requests_unattributed_total{realm=\"\",code=\"other\"}"], 6);
    // What has not grown for long makes room.
    fixture.later(100 * DAY);
    for _ in 0..40 {
        keep_up(&fixture);
    }
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(of(&scrape(&fixture, &owner), "keyward_requests_refused_total"), Samples::new());
}

/// Reads the samples of a text as the format says: names, labels and values.
fn read(text: &str) -> Vec<(Vec<String>, u64)> {
    let mut read = Vec::new();
    for line in text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mut values, mut rest) = (Vec::new(), line.split_once('{').unwrap().1);
        while let Some((_, quoted)) = rest.split_once("=\"") {
            let (mut value, mut characters) = (String::new(), quoted.char_indices());
            rest = loop {
                match characters.next().unwrap() {
                    (at, '"') => break &quoted[at + 1..],
                    (_, '\\') => match characters.next().unwrap().1 {
                        'n' => value.push('\n'),
                        escaped @ ('\\' | '"') => value.push(escaped),
                        other => panic!("\\{other} is no escape"),
                    },
                    (_, other) => value.push(other),
                }
            };
            values.push(value);
        }
        read.push((values, rest.strip_prefix("} ").unwrap().parse().unwrap()));
    }
    read
}

proptest! {
    #[test]
    fn whatever_a_label_holds_a_reader_of_the_format_reads_it_back(
        samples in proptest::collection::vec((r#"([\\"\n{},= ]|\PC){0,8}"#, r#"([\\"\nn]){0,6}"#, any::<u64>()), 0..5)
    ) {
        const METRIC: Metric = Metric { name: "m", kind: Kind::Gauge, help: "h", labels: &["a", "b"] };
        let mut text = Exposition::default();
        text.add(&METRIC, samples.iter().map(|(a, b, value)| (vec![a.as_str(), b.as_str()], *value)));
        let expected: Vec<(Vec<String>, u64)> =
            samples.iter().map(|(a, b, value)| (vec![a.clone(), b.clone()], *value)).collect();
        prop_assert_eq!(read(&text.into_text()), expected);
    }
}
