//! Usage by route: what the keys of a tenant have together, whatever comes again, late or out of order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    sql::Sql,
    time::{DAY, HOUR, Timestamp},
};
use keyward_limits::{
    routes::{OnRoutes, RouteCounts},
    wire::{UNATTRIBUTED, UsageHour, UsageReport},
};
use keyward_registry::usage;
use keyward_testing::{NOON, registry_fixture::RegistryFixture};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::retention::{count, keep_up};

fn report(fixture: &RegistryFixture, key_id: &str, hour: Timestamp, routes: OnRoutes) {
    let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted: 1, routes, ..UsageHour::default() }];
    let report = UsageReport { key_id: key_id.to_owned(), hours, ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

fn counts(of: &[(&str, u64)]) -> RouteCounts {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn accepted(of: &[(&str, u64)]) -> OnRoutes {
    OnRoutes { accepted: counts(of), ..OnRoutes::default() }
}

fn show(fixture: &RegistryFixture, token: &str, query: &str) -> Value {
    fixture.get(token, &format!("/usage/routes?{query}")).expect(200).body
}

/// Accepted and refused, by route, without those that have none.
type Sums = BTreeMap<String, (u64, u64)>;

fn sums(shown: &Value) -> Sums {
    let both = |of: &Value| (of["accepted"].as_u64().unwrap(), of["refused"].as_u64().unwrap());
    let name = |of: &Value| {
        let [realm, method, path] = ["realm", "method", "path"].map(|field| of[field].as_str().unwrap());
        format!("{realm} {method} {path}")
    };
    let routes = shown["routes"].as_array().unwrap().iter().map(|of| (name(of), both(of)));
    let others = shown["others"].as_object().map(|_| (String::new(), both(&shown["others"])));
    routes.chain(others).filter(|(_, both)| *both != (0, 0)).collect()
}

/// Totals of a key in an hour, some hours ago: accepted and refused of each of three routes, and how many of the
/// accepted ones did not pass.
#[derive(Clone, Debug)]
struct Told {
    key: usize,
    ago: i64,
    totals: [(u64, u64, u64); 3],
}

const NAMES: [&str; 3] = ["api GET /orders/{id}", "api POST /orders", ""];

fn told() -> impl Strategy<Value = Told> {
    let ago = prop_oneof![0i64..3, 0i64..60];
    let totals = prop::array::uniform3((0u64..50, 0u64..5, 0u64..3));
    (0usize..4, ago, totals).prop_map(|(key, ago, totals)| Told { key, ago, totals })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_route_has_what_its_keys_have_and_what_comes_again_or_late_counts_once(
        steps in prop::collection::vec((told(), 0u8..3), 1..80),
        later in prop::collection::vec(0usize..80, 0..4),
    ) {
        let (fixture, owner) = RegistryFixture::open();
        let (other, _) = fixture.tenant(&owner, "other");
        let ids: Vec<String> = (0..4)
            .map(|n| fixture.key(if n < 3 { &owner } else { &other }, json!({})).key_id())
            .collect();
        // Of each key, hour and route the largest of each number, as they only grow.
        let mut known = BTreeMap::<(usize, Timestamp, usize), [u64; 3]>::new();
        for (at, (Told { key, ago, totals }, repeats)) in steps.iter().enumerate() {
            if later.contains(&at) {
                fixture.later(7 * HOUR);
                keep_up(&fixture);
            }
            let hour = fixture.now.get().plus(-ago * HOUR).floor(HOUR);
            let mut routes = OnRoutes::default();
            for (n, (accepted, refused, taken_back)) in totals.iter().enumerate() {
                let name = || NAMES[n].to_owned();
                let told = [*accepted, *refused, (*accepted).min(*taken_back)];
                for (counts, count) in
                    [&mut routes.accepted, &mut routes.refused, &mut routes.taken_back].into_iter().zip(told)
                {
                    counts.insert(name(), count);
                }
                if hour >= fixture.now.get().plus(-DAY) {
                    let known = known.entry((*key, hour, n)).or_default();
                    *known = [0, 1, 2].map(|which| known[which].max(told[which]));
                }
            }
            for _ in 0..=*repeats {
                report(&fixture, &ids[*key], hour, routes.clone());
            }
        }
        let owner = fixture.sign_in("owner@example.com");
        let other = fixture.sign_in("owner@other.example");
        let today = fixture.now.get().floor(DAY);
        for days in [1, 2, 7, 30] {
            let expected = |keys: std::ops::Range<usize>| {
                let mut sums = Sums::new();
                for ((key, hour, n), [accepted, refused, taken_back]) in &known {
                    if keys.contains(key) && *hour >= today.plus(-(days - 1) * DAY) {
                        let sum = sums.entry(NAMES[*n].to_owned()).or_default();
                        *sum = (sum.0 + accepted - taken_back, sum.1 + refused);
                    }
                }
                sums.retain(|_, both| *both != (0, 0));
                sums
            };
            let shown = |token: &str, scope: &str| sums(&show(&fixture, token, &format!("days={days}{scope}")));
            prop_assert_eq!(shown(&owner, ""), expected(0..3));
            prop_assert_eq!(shown(&other, "&scope=tenant"), expected(3..4));
            prop_assert_eq!(shown(&owner, "&scope=deployment"), expected(0..4));
        }
    }
}

#[test]
fn the_operator_sees_on_each_route_the_refusals_that_belong_to_no_key() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let refused = |of| OnRoutes { refused: counts(of), ..OnRoutes::default() };
    report(
        &fixture,
        &id,
        NOON,
        OnRoutes { accepted: counts(&[("api GET /a", 3)]), ..refused(&[("api GET /a", 1)]) },
    );
    for _ in 0..2 {
        report(&fixture, UNATTRIBUTED, NOON, refused(&[("api GET /a", 5), ("api GET /b", 2)]));
    }
    let route = |path: &str, accepted, refused| json!({"realm": "api", "method": "GET", "path": path, "accepted": accepted, "refused": refused});
    let from = NOON.floor(DAY).to_rfc3339();
    assert_eq!(
        show(&fixture, &owner, "days=1"),
        json!({"from": from, "routes": [route("/a", 3, 1)], "others": null})
    );
    let (mut a, mut b) = (route("/a", 3, 1), route("/b", 0, 0));
    (a["unattributed"], b["unattributed"]) = (5.into(), 2.into());
    let all = show(&fixture, &owner, "days=1&scope=deployment");
    assert_eq!(all, json!({"from": from, "routes": [a, b], "others": null}));

    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    for token in [&other, &viewer] {
        fixture.get(token, "/usage/routes?scope=deployment").refused(403, "FORBIDDEN");
    }
    assert_eq!(show(&fixture, &viewer, "days=1")["routes"][0]["accepted"], 3);
    assert_eq!(show(&fixture, &other, "")["routes"], json!([]));
    for wrong in ["0", "31", "7d"] {
        let refused = fixture.get(&owner, &format!("/usage/routes?days={wrong}"));
        assert!(refused.message("days").contains("1 to 30"), "{}", refused.text);
    }
}

#[test]
fn routes_are_kept_for_30_days_and_a_day_has_500_of_them_and_the_rest_together() {
    let (fixture, owner) = RegistryFixture::open();
    let names: Vec<String> = (0..600).map(|n| format!("api GET /{n}")).collect();
    for names in names.chunks(30) {
        let id = fixture.key(&owner, json!({})).key_id();
        let of: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        report(&fixture, &id, NOON, accepted(&of));
    }
    let shown = show(&fixture, &owner, "");
    assert_eq!((shown["routes"].as_array().unwrap().len(), &shown["others"]["accepted"]), (500, &json!(100)));
    assert_eq!(count(&fixture, "usage_routes"), 2 * 501, "the tenant's, and the deployment's");
    let detailed = || count(&fixture, "usage WHERE routes IS NOT NULL");
    assert_eq!(detailed(), 20);
    fixture.later(3 * DAY);
    keep_up(&fixture);
    assert_eq!(detailed(), 0, "what may come again within a day is forgotten after two");
    fixture.later(26 * DAY);
    keep_up(&fixture);
    let owner = fixture.sign_in("owner@example.com");
    assert_eq!(sums(&show(&fixture, &owner, "days=30")).len(), 501);
    fixture.later(DAY);
    for _ in 0..11 {
        keep_up(&fixture);
    }
    assert_eq!(count(&fixture, "usage_routes"), 0);
}

#[test]
fn what_an_older_build_reports_or_takes_in_has_no_routes_and_spoils_none() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    report(&fixture, &id, NOON, OnRoutes::default());
    assert_eq!(show(&fixture, &owner, "")["routes"], json!([]));
    // A row that an older build has written, and one whose text is none.
    report(&fixture, &id, NOON, accepted(&[("api GET /a", 3)]));
    fixture.db.run("UPDATE usage SET routes = 'none'", &[]).unwrap();
    report(&fixture, &id, NOON.plus(-HOUR), accepted(&[("api GET /a", 2)]));
    assert_eq!(sums(&show(&fixture, &owner, "days=2"))["api GET /a"], (5, 0));
    // With the database as large as it may be, nothing is added.
    let hours = vec![UsageHour {
        hour: NOON.floor(HOUR),
        accepted: 9,
        routes: accepted(&[("api GET /c", 1)]),
        ..UsageHour::default()
    }];
    let full = UsageReport { key_id: id, hours, ..UsageReport::default() };
    usage::apply(&fixture.db, &full, false, fixture.now.get()).unwrap();
    assert_eq!(sums(&show(&fixture, &owner, "days=2")).len(), 1);
}
