//! Usage of a whole tenant and of the deployment: what its keys have together.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keyward_core::{
    sql::Sql,
    time::{DAY, HOUR, Timestamp},
};
use keyward_limits::wire::{UNATTRIBUTED, UsageHour, UsageReport};
use keyward_registry::usage;
use keyward_testing::{NOON, registry_fixture::RegistryFixture};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::retention::keep_up;

fn report(fixture: &RegistryFixture, key_id: &str, hour: Timestamp, accepted: u64, refused: &[(&str, u64)]) {
    let refused = refused.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    let hours = vec![UsageHour { hour: hour.floor(HOUR), accepted, refused, ..UsageHour::default() }];
    let report = UsageReport { key_id: key_id.to_owned(), hours, ..UsageReport::default() };
    usage::apply(&fixture.db, &report, true, fixture.now.get()).unwrap();
}

type Sums = BTreeMap<(String, String), u64>;

/// What a path shows, by time and code, added to `sums`.
fn add(fixture: &RegistryFixture, token: &str, path: &str, sums: &mut Sums) {
    for point in fixture.get(token, path).expect(200).body["points"].as_array().unwrap() {
        let mut count = |code: &str, count: &Value| {
            let count = count.as_u64().unwrap();
            if count > 0 {
                let time = point["time"].as_str().unwrap().to_owned();
                *sums.entry((time, code.to_owned())).or_default() += count;
            }
        };
        count("accepted", &point["accepted"]);
        for (code, counted) in point["refused"].as_object().unwrap() {
            count(code, counted);
        }
    }
}

/// The database as a build has left it that kept no sums.
fn forget_sums(fixture: &RegistryFixture) {
    fixture.db.run("DELETE FROM usage_totals", &[]).unwrap();
    let last = "UPDATE unsummed SET usage = (SELECT COALESCE(MAX(rowid), 0) FROM usage),
        usage_days = (SELECT COALESCE(MAX(number), 0) FROM usage_days)";
    fixture.db.run(last, &[]).unwrap();
}

fn left_to_sum(fixture: &RegistryFixture) -> bool {
    !fixture.db.run("SELECT 1 FROM unsummed WHERE usage > 0 OR usage_days > 0", &[]).unwrap().is_empty()
}

#[derive(Clone, Debug)]
enum Step {
    /// Of a key, some hours ago: a total so far.
    Report(usize, i64, u64, u64),
    KeepUp,
    ForgetSums,
    Later(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0usize..4, prop_oneof![0i64..30, 0i64..3_000], 0u64..50, 0u64..5)
            .prop_map(|(key, ago, accepted, refused)| Step::Report(key, ago, accepted, refused)),
        4 => Just(Step::KeepUp),
        1 => Just(Step::ForgetSums),
        1 => (1i64..60).prop_map(Step::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_tenant_has_what_its_keys_have_and_the_deployment_what_all_have(
        steps in prop::collection::vec(step(), 1..250),
        forgets in any::<bool>(),
    ) {
        let (fixture, owner) = RegistryFixture::open();
        let (other, _) = fixture.tenant(&owner, "other");
        let ids: Vec<String> = (0..4)
            .map(|n| fixture.key(if n < 3 { &owner } else { &other }, json!({})).key_id())
            .collect();
        for step in &steps {
            match *step {
                Step::Report(key, ago, accepted, refused) => {
                    let hour = fixture.now.get().plus(-ago * HOUR);
                    report(&fixture, &ids[key], hour, accepted, &[("TEST_MODE", refused)]);
                }
                Step::KeepUp => keep_up(&fixture),
                Step::ForgetSums => forget_sums(&fixture),
                Step::Later(days) => fixture.later(days * DAY),
            }
        }
        if forgets {
            forget_sums(&fixture);
        }
        while left_to_sum(&fixture) {
            keep_up(&fixture);
        }
        let owner = fixture.sign_in("owner@example.com");
        let other = fixture.sign_in("owner@other.example");
        let to = fixture.now.get().plus(DAY).floor(DAY);
        for (step, from) in [("1d", to.plus(-1_000 * DAY)), ("1h", to.plus(-1_000 * HOUR))] {
            let query = format!("step={step}&from={}&to={}", from.to_rfc3339(), to.to_rfc3339());
            let of_keys = |token: &str, ids: &[String]| {
                let mut sums = Sums::new();
                for id in ids {
                    add(&fixture, token, &format!("/api-keys/{id}/usage?{query}"), &mut sums);
                }
                sums
            };
            let shown = |token: &str, scope: &str| {
                let mut sums = Sums::new();
                add(&fixture, token, &format!("/usage?{query}{scope}"), &mut sums);
                sums
            };
            let (first, second) = (of_keys(&owner, &ids[..3]), of_keys(&other, &ids[3..]));
            prop_assert_eq!(&shown(&owner, ""), &first);
            prop_assert_eq!(&shown(&other, "&scope=tenant"), &second);
            let mut all = first;
            for (at, count) in second {
                *all.entry(at).or_default() += count;
            }
            prop_assert_eq!(&shown(&owner, "&scope=deployment"), &all);
        }
    }
}

#[test]
fn usage_of_the_deployment_is_for_owners_of_the_operators_tenant() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    for token in [&owner, &other, &viewer] {
        fixture.get(token, "/usage").expect(200);
    }
    fixture.get(&owner, "/usage?scope=deployment").expect(200);
    for token in [&other, &viewer] {
        fixture.get(token, "/usage?scope=deployment").refused(403, "FORBIDDEN");
    }
    let refused = fixture.get(&owner, "/usage?scope=all");
    assert!(refused.message("scope").contains("one of tenant, deployment"), "{}", refused.text);
}

#[test]
fn usage_of_a_tenant_costs_the_same_however_many_keys_it_has() {
    let (fixture, owner) = RegistryFixture::open();
    let cost = |keys: usize| {
        for _ in 0..keys {
            let id = fixture.key(&owner, json!({})).key_id();
            report(&fixture, &id, NOON, 3, &[("TEST_MODE", 1)]);
        }
        let before = fixture.db.work();
        let points = fixture.get(&owner, "/usage").expect(200).body;
        (fixture.db.work() - before, points["points"][24]["accepted"].as_u64().unwrap())
    };
    let ((_, one), (few, two), (many, all)) = (cost(1), cost(1), cost(60));
    assert_eq!((one, two, all), (3, 6, 186));
    assert!(many < few + 100, "{few} steps of SQLite, and with 62 keys {many}");
}

#[test]
fn sums_of_hours_are_kept_for_90_days_and_of_days_for_two_years() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    for n in 0..300 {
        report(&fixture, &id, NOON.plus(-n * HOUR), 1, &[]);
    }
    let rows = |step: i64| {
        let count = "SELECT COUNT(*) AS n FROM usage_totals WHERE step = ?";
        fixture.db.run(count, &[step.into()]).unwrap()[0]["n"].as_u64().unwrap()
    };
    assert_eq!((rows(HOUR.ms()), rows(DAY.ms())), (600, 26), "the tenant's, and the deployment's");
    fixture.later(105 * DAY);
    for _ in 0..7 {
        keep_up(&fixture);
    }
    assert_eq!((rows(HOUR.ms()), rows(DAY.ms())), (0, 26));
    fixture.later(730 * DAY);
    keep_up(&fixture);
    assert_eq!(rows(DAY.ms()), 0);
}

#[test]
fn refusals_that_belong_to_no_key_are_shown_to_the_operator_beside_what_belongs_to_keys() {
    let (fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({})).key_id();
    let unattributed = [("shop NO_ROUTE", 2), ("till NO_ROUTE", 3), (" NO_REALM", 1)];
    // Totals, as a key's: a repeat changes nothing.
    for _ in 0..2 {
        report(&fixture, UNATTRIBUTED, NOON, 0, &unattributed);
        report(&fixture, &id, NOON, 5, &[("NO_ROUTE", 1)]);
    }
    let last =
        |query: &str| fixture.get(&owner, &format!("/usage{query}")).expect(200).body["points"][24].clone();
    let time = NOON.floor(HOUR).to_rfc3339();
    let own = json!({"time": time, "accepted": 5, "refused": {"NO_ROUTE": 1}});
    assert_eq!(last(""), own);
    let mut all = own;
    all["unattributed"] = json!({"NO_ROUTE": 5, "NO_REALM": 1});
    assert_eq!(last("?scope=deployment"), all);
    for _ in 0..3 {
        fixture.later(50 * DAY);
        keep_up(&fixture);
    }
    let kept = fixture.db.run("SELECT * FROM usage WHERE key_id = 'unattributed'", &[]).unwrap();
    assert!(kept.is_empty(), "as long as a key's");
}
