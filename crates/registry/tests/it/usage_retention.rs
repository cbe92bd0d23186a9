//! How long usage is kept: by the hour, then by the day.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    sql::Sql,
    time::{DAY, HOUR, Timestamp},
};
use keyward_limits::wire::{UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::{NOON, office::Office};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::retention::{count, keep_up};

fn report(office: &Office, key_id: &str, hour: Timestamp, accepted: u64, refused: u64) {
    let refused = [("TEST_MODE".to_owned(), refused)].into();
    let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, refused, taken_back: 0 }];
    let report = UsageReport { key_id: key_id.to_owned(), last_used_at: None, hours, sent: None };
    usage::apply(&office.db, &report, true, office.now.get()).unwrap();
}

/// Totals by day, of two years and more.
fn days(office: &Office, key_id: &str) -> BTreeMap<String, (u64, u64)> {
    let owner = office.sign_in("owner@example.com");
    let to = office.now.get().plus(DAY).floor(DAY);
    let query = format!("?step=1d&to={}&from={}", to.to_rfc3339(), to.plus(-900 * DAY).to_rfc3339());
    let answer = office.get(&owner, &format!("/api-keys/{key_id}/usage{query}")).expect(200);
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
        let (office, owner) = Office::open();
        let ids = [office.key(&owner, json!({})).key_id(), office.key(&owner, json!({})).key_id()];
        for (n, (hours_ago, accepted, refused)) in uses.iter().enumerate() {
            report(&office, &ids[n % 2], NOON.plus(-hours_ago * HOUR), *accepted, *refused);
        }
        let before = ids.clone().map(|id| days(&office, &id));
        office.later(later * DAY);
        for _ in 0..turns {
            keep_up(&office);
        }
        let part = ids.clone().map(|id| days(&office, &id));
        prop_assert_eq!(&part, &before);
        for _ in 0..20 {
            keep_up(&office);
        }
        let all = ids.map(|id| days(&office, &id));
        prop_assert_eq!(&all, &before);
        let first = usage::retention::first_hour(office.now.get());
        let left = office.db.run("SELECT COUNT(*) AS n FROM usage WHERE hour < ?", &[first.into()]).unwrap();
        prop_assert_eq!(&left[0]["n"], 0);
    }
}

#[test]
fn hours_are_kept_for_90_days_and_days_for_two_years() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    for n in 0..1_000 {
        report(&office, &id, NOON.plus(-n * HOUR), 1, 0);
    }
    assert_eq!((count(&office, "usage"), count(&office, "usage_days")), (1_000, 0));
    office.later(91 * DAY);
    keep_up(&office);
    assert!(count(&office, "usage") >= 900 - 13, "a turn is bounded");
    for _ in 0..10 {
        keep_up(&office);
    }
    let hours = count(&office, "usage");
    assert!(hours < 24, "{hours}");
    assert!((41..=42).contains(&count(&office, "usage_days")));
    // What is reported late of a time that was rolled up would count twice, and is dropped.
    let before = days(&office, &id);
    report(&office, &id, NOON.plus(-500 * HOUR), 1, 0);
    assert_eq!(days(&office, &id), before);
    let owner = office.sign_in("owner@example.com");
    let from = NOON.plus(-10 * DAY).to_rfc3339();
    let path = format!("/api-keys/{id}/usage?from={from}&to={}", NOON.to_rfc3339());
    let refused = office.get(&owner, &path);
    assert!(refused.message("from").contains("step=1d"), "{}", refused.text);
    office.later(730 * DAY);
    for _ in 0..3 {
        keep_up(&office);
    }
    assert_eq!((count(&office, "usage"), count(&office, "usage_days")), (0, 0));
}

#[test]
fn what_was_taken_back_is_in_no_day_and_is_taken_back_without_room_too() {
    let (office, owner) = Office::open();
    let id = office.key(&owner, json!({})).key_id();
    let told = |accepted: u64, taken_back: u64, hour: Timestamp, room: bool| {
        let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, refused: [].into(), taken_back }];
        let report =
            UsageReport { key_id: id.clone(), last_used_at: None, hours, sent: Some(office.now.get()) };
        usage::apply(&office.db, &report, room, office.now.get()).unwrap()
    };
    told(5, 0, NOON, true);
    told(3, 2, NOON, false);
    told(9, 0, NOON.plus(-DAY), false);
    assert_eq!(told(7, 0, NOON.plus(DAY), false).early, [NOON.plus(DAY).floor(HOUR)]);
    let before = days(&office, &id);
    assert_eq!(before.values().collect::<Vec<_>>(), [&(3, 0)]);
    office.later(91 * DAY);
    keep_up(&office);
    assert_eq!((count(&office, "usage"), count(&office, "usage_days")), (0, 1));
    assert_eq!(days(&office, &id), before);
}

#[test]
fn a_tenant_has_so_many_hours_and_days_at_the_most_and_no_total_changes_by_that() {
    let (office, owner) = Office::open();
    let ids = [office.key(&owner, json!({})).key_id(), office.key(&owner, json!({})).key_id()];
    for n in 0..120 {
        for id in &ids {
            report(&office, id, NOON.plus(-n * HOUR), 1, 1);
        }
    }
    let before = ids.clone().map(|id| days(&office, &id));
    let tenant = office.record(&ids[0]).tenant.id;
    let bound = |most: u32| {
        office.later(HOUR);
        for _ in 0..5 {
            let now = office.now.get();
            keyward_core::sql::transaction(&office.db, || {
                usage::retention::count(&office.db, &tenant, most, now)?;
                usage::retention::bound(&office.db, &tenant)
            })
            .unwrap();
        }
    };
    bound(60);
    let left = count(&office, "usage");
    assert!((58..=60).contains(&left), "{left}");
    assert_eq!(ids.clone().map(|id| days(&office, &id)), before);
    // What is told late of an hour that was rolled up would count twice, for whatever else there is room by then.
    office.db.run("DELETE FROM usage", &[]).unwrap();
    bound(60);
    let known = ids.clone().map(|id| days(&office, &id));
    report(&office, &ids[0], NOON.plus(-100 * HOUR), 1, 1);
    assert_eq!(ids.clone().map(|id| days(&office, &id)), known);
    let from = NOON.plus(-100 * HOUR).to_rfc3339();
    let refused =
        office.get(&owner, &format!("/api-keys/{}/usage?from={from}&to={}", ids[0], NOON.to_rfc3339()));
    assert!(refused.message("from").contains("step=1d"), "{}", refused.text);
    assert!(count(&office, "usage_days") >= 8);
    bound(4);
    assert!(count(&office, "usage_days") <= 4);
    // The hours of just now stay, however many there are.
    let now = office.now.get();
    for id in &ids {
        report(&office, id, now, 1, 1);
    }
    bound(1);
    assert_eq!(count(&office, "usage"), 2);
}
