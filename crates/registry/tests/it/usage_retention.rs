//! How long usage is kept: by the hour, then by the day.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    sql::Sql,
    time::{DAY, HOUR, Timestamp},
};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::{NOON, registry_fixture::RegistryFixture};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::retention::{count, keep_up};

fn report(fixture: &RegistryFixture, key_id: &str, hour: Timestamp, accepted: u64, refused: u64) {
    let refused = [("TEST_MODE".to_owned(), refused)].into();
    let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, refused, ..UsageHour::default() }];
    let report = UsageReport { key_id: key_id.to_owned(), hours, ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

/// Totals by day, of two years and more.
fn days(fixture: &RegistryFixture, key_id: &str) -> BTreeMap<String, (u64, u64)> {
    let owner = fixture.sign_in("owner@example.com");
    let to = fixture.now.get().plus(DAY).floor(DAY);
    let query = format!("?step=1d&to={}&from={}", to.to_rfc3339(), to.plus(-900 * DAY).to_rfc3339());
    let answer = fixture.get(&owner, &format!("/api-keys/{key_id}/usage{query}")).expect(200);
    let points = answer.body["points"].as_array().unwrap().clone();
    let counts = |point: &Value| {
        (point["accepted"].as_u64().unwrap(), point["refused"]["TEST_MODE"].as_u64().unwrap_or_default())
    };
    let all = points.iter().map(|point| (point["time"].as_str().unwrap().to_owned(), counts(point)));
    all.filter(|(_, counts)| *counts != (0, 0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rolling_up_changes_no_total_of_a_day_in_whatever_steps_it_is_done(
        uses in prop::collection::vec((0i64..2_000, 1u64..50, 0u64..5), 1..300),
        turns in 0u32..12,
        later in 0i64..200,
    ) {
        let (fixture, owner) = RegistryFixture::open();
        let ids = [fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id()];
        for (n, (hours_ago, accepted, refused)) in uses.iter().enumerate() {
            report(&fixture, &ids[n % 2], NOON.plus(-hours_ago * HOUR), *accepted, *refused);
        }
        let before = ids.clone().map(|id| days(&fixture, &id));
        fixture.later(later * DAY);
        for _ in 0..turns {
            keep_up(&fixture);
        }
        let part = ids.clone().map(|id| days(&fixture, &id));
        prop_assert_eq!(&part, &before);
        for _ in 0..20 {
            keep_up(&fixture);
        }
        let all = ids.map(|id| days(&fixture, &id));
        prop_assert_eq!(&all, &before);
        let first = usage::retention::first_hour(fixture.now.get());
        let left = fixture.db.run("SELECT COUNT(*) AS n FROM usage WHERE hour < ?", &[first.into()]).unwrap();
        prop_assert_eq!(&left[0]["n"], 0);
    }
}

#[test]
fn hours_are_kept_for_90_days_and_days_for_two_years() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    for n in 0..1_000 {
        report(&fixture, &id, NOON.plus(-n * HOUR), 1, 0);
    }
    assert_eq!((count(&fixture, "usage"), count(&fixture, "usage_days")), (1_000, 0));
    fixture.later(91 * DAY);
    keep_up(&fixture);
    assert!(count(&fixture, "usage") >= 900 - 13, "a turn is bounded");
    for _ in 0..10 {
        keep_up(&fixture);
    }
    let hours = count(&fixture, "usage");
    assert!(hours < 24, "{hours}");
    assert!((41..=42).contains(&count(&fixture, "usage_days")));
    // What is reported late of a time that was rolled up would count twice, and is dropped.
    let before = days(&fixture, &id);
    report(&fixture, &id, NOON.plus(-500 * HOUR), 1, 0);
    assert_eq!(days(&fixture, &id), before);
    let owner = fixture.sign_in("owner@example.com");
    let from = NOON.plus(-10 * DAY).to_rfc3339();
    let path = format!("/api-keys/{id}/usage?from={from}&to={}", NOON.to_rfc3339());
    let refused = fixture.get(&owner, &path);
    assert!(refused.message("from").contains("step=1d"), "{}", refused.text);
    fixture.later(730 * DAY);
    for _ in 0..3 {
        keep_up(&fixture);
    }
    assert_eq!((count(&fixture, "usage"), count(&fixture, "usage_days")), (0, 0));
}

#[test]
fn what_was_taken_back_is_in_no_day_and_is_taken_back_without_room_too() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let told = |accepted: u64, taken_back: u64, hour: Timestamp, room: bool| {
        let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, taken_back, ..UsageHour::default() }];
        let report = UsageReport {
            key_id: id.clone(),
            hours,
            sent: Some(fixture.now.get()),
            ..UsageReport::default()
        };
        usage::apply(&fixture.db, &report, room, fixture.now.get()).unwrap()
    };
    told(5, 0, NOON, true);
    told(3, 2, NOON, false);
    told(9, 0, NOON.plus(-DAY), false);
    assert_eq!(told(7, 0, NOON.plus(DAY), false).early, [NOON.plus(DAY).floor(HOUR)]);
    let before = days(&fixture, &id);
    assert_eq!(before.values().collect::<Vec<_>>(), [&(3, 0)]);
    fixture.later(91 * DAY);
    keep_up(&fixture);
    assert_eq!((count(&fixture, "usage"), count(&fixture, "usage_days")), (0, 1));
    assert_eq!(days(&fixture, &id), before);
}

#[test]
fn a_tenant_has_so_many_hours_and_days_at_the_most_and_no_total_changes_by_that() {
    let (fixture, owner) = RegistryFixture::open();
    let ids = [fixture.key(&owner, json!({})).key_id(), fixture.key(&owner, json!({})).key_id()];
    for n in 0..120 {
        for id in &ids {
            report(&fixture, id, NOON.plus(-n * HOUR), 1, 1);
        }
    }
    let before = ids.clone().map(|id| days(&fixture, &id));
    let tenant = fixture.record(&ids[0]).tenant.id;
    let bound = |most: u32| {
        fixture.later(HOUR);
        for _ in 0..5 {
            let now = fixture.now.get();
            keyward_core::sql::transaction(&fixture.db, || {
                usage::retention::count(&fixture.db, &tenant, most, now)?;
                usage::retention::bound(&fixture.db, &tenant)
            })
            .unwrap();
        }
    };
    bound(60);
    let left = count(&fixture, "usage");
    assert!((58..=60).contains(&left), "{left}");
    assert_eq!(ids.clone().map(|id| days(&fixture, &id)), before);
    // What is told late of an hour that was rolled up would count twice, for whatever else there is room by then.
    fixture.db.run("DELETE FROM usage", &[]).unwrap();
    bound(60);
    let known = ids.clone().map(|id| days(&fixture, &id));
    report(&fixture, &ids[0], NOON.plus(-100 * HOUR), 1, 1);
    assert_eq!(ids.clone().map(|id| days(&fixture, &id)), known);
    let from = NOON.plus(-100 * HOUR).to_rfc3339();
    let refused =
        fixture.get(&owner, &format!("/api-keys/{}/usage?from={from}&to={}", ids[0], NOON.to_rfc3339()));
    assert!(refused.message("from").contains("step=1d"), "{}", refused.text);
    assert!(count(&fixture, "usage_days") >= 8);
    bound(4);
    assert!(count(&fixture, "usage_days") <= 4);
    // The hours of just now stay, however many there are.
    let now = fixture.now.get();
    for id in &ids {
        report(&fixture, id, now, 1, 1);
    }
    bound(1);
    assert_eq!(count(&fixture, "usage"), 2);
}
