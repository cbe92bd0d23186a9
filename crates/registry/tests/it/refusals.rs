//! The latest refusals: which are kept, for how long, and who sees them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{DAY, MINUTE};
use keyward_limits::wire::{UNATTRIBUTED, UsageReport};
use keyward_registry::usage;
use keyward_testing::registry_fixture::RegistryFixture;
use serde_json::{Value, json};

use crate::retention::{count, keep_up};

fn refusal(fixture: &RegistryFixture, id: &str, code: &str) -> Value {
    json!({
        "time": fixture.now.get().0, "requestId": id, "realm": "default", "method": "GET", "route": "/api/orders*",
        "code": code, "status": 403, "network": "192.0.2.1", "country": "CH"
    })
}

fn report(fixture: &RegistryFixture, key_id: &str, latest: &[Value], room: bool) {
    let report = UsageReport { key_id: key_id.to_owned(), latest: latest.to_vec(), ..UsageReport::default() };
    usage::apply(&fixture.db, &report, room, fixture.now.get()).unwrap();
}

fn ids(fixture: &RegistryFixture, token: &str, query: &str) -> Vec<String> {
    let shown = fixture.get(token, &format!("/refusals?{query}")).expect(200).body;
    let id = |refusal: &Value| refusal["requestId"].as_str().unwrap().to_owned();
    shown["refusals"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn refusals_are_shown_latest_first_once_each_and_found_by_key_request_and_code() {
    let (fixture, owner) = RegistryFixture::open();
    let [one, two] = [(); 2].map(|()| fixture.key(&owner, json!({})).key_id());
    let told = [refusal(&fixture, "r1", "TEST_MODE"), refusal(&fixture, "r2", "PLAN_REQUIRED")];
    report(&fixture, &one, &told, true);
    report(&fixture, &one, &told, true);
    report(&fixture, &two, &[refusal(&fixture, "r3", "TEST_MODE")], true);
    report(&fixture, &two, &[refusal(&fixture, "r4", "TEST_MODE")], false);
    assert_eq!(ids(&fixture, &owner, ""), ["r3", "r2", "r1"], "none is written without room");
    assert_eq!(ids(&fixture, &owner, &format!("keyId={one}")), ["r2", "r1"]);
    assert_eq!(ids(&fixture, &owner, "code=TEST_MODE"), ["r3", "r1"]);
    assert_eq!(ids(&fixture, &owner, "requestId=r2&code=PLAN_REQUIRED"), ["r2"]);
    let first = fixture.get(&owner, "/refusals?limit=2").expect(200).body;
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(ids(&fixture, &owner, &format!("limit=2&cursor={cursor}")), ["r1"]);
    let mut shown = refusal(&fixture, "r3", "TEST_MODE");
    shown["time"] = json!(fixture.now.get().to_rfc3339());
    shown["keyId"] = json!(two);
    assert_eq!(first["refusals"][0], shown);
    // As an older build described one.
    let mut older = refusal(&fixture, "r5", "TEST_MODE");
    older.as_object_mut().unwrap().remove("country");
    report(&fixture, &two, &[older], true);
    let shown = fixture.get(&owner, "/refusals?requestId=r5").expect(200).body;
    assert_eq!(shown["refusals"][0]["country"], Value::Null);
}

#[test]
fn nobody_sees_the_refusals_of_another_tenant_and_only_the_operator_those_of_no_key() {
    let (fixture, owner) = RegistryFixture::open();
    let (other, _) = fixture.tenant(&owner, "other");
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let key = fixture.key(&owner, json!({})).key_id();
    report(&fixture, &key, &[refusal(&fixture, "mine", "TEST_MODE")], true);
    report(&fixture, UNATTRIBUTED, &[refusal(&fixture, "none", "NO_ROUTE")], true);
    report(&fixture, "key_gone", &[refusal(&fixture, "gone", "TEST_MODE")], true);
    assert_eq!(ids(&fixture, &viewer, ""), ["mine"]);
    assert!(ids(&fixture, &other, "").is_empty());
    assert!(ids(&fixture, &other, &format!("keyId={key}")).is_empty());
    assert_eq!(ids(&fixture, &owner, "scope=deployment"), ["none"]);
    for token in [&other, &viewer] {
        fixture.get(token, "/refusals?scope=deployment").refused(403, "FORBIDDEN");
    }
    let first = fixture.get(&owner, "/refusals?scope=deployment").expect(200).body;
    assert_eq!(first["refusals"][0]["keyId"], json!(null));
}

#[test]
fn a_key_has_twenty_refusals_a_tenant_a_thousand_and_none_is_older_than_a_day() {
    let (fixture, owner) = RegistryFixture::open();
    let told = |n: usize| -> Vec<Value> {
        (0..10).map(|i| refusal(&fixture, &format!("{n}-{i}"), "TEST_MODE")).collect()
    };
    let key = fixture.key(&owner, json!({})).key_id();
    (0..4).for_each(|n| report(&fixture, &key, &told(n), true));
    assert_eq!(ids(&fixture, &owner, "limit=100").len(), 20);
    assert_eq!(ids(&fixture, &owner, "")[0], "3-9");
    for n in 4..65 {
        let key = fixture.key(&owner, json!({})).key_id();
        report(&fixture, &key, &told(2 * n), true);
        report(&fixture, &key, &told(2 * n + 1), true);
    }
    assert_eq!(count(&fixture, "refusals"), 1_000);
    let mut long = refusal(&fixture, "long", "TEST_MODE");
    long["method"] = json!("x".repeat(3_000));
    report(&fixture, &key, &[long], true);
    assert_eq!(count(&fixture, "refusals"), 1_000);
    fixture.later(DAY + MINUTE);
    for _ in 0..11 {
        keep_up(&fixture);
    }
    assert_eq!(count(&fixture, "refusals"), 0);
}
