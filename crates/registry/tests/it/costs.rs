//! A key is given no limit under which a route that it may call never fits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{Cost, Policy, Requirement, Routes};
use keyward_testing::registry_fixture::{RegistryFixture, policy_with};
use serde_json::json;

/// Writing orders costs 20.
fn policy() -> &'static Policy {
    policy_with(|realm| {
        let mut routes = realm.routes.to_vec();
        for route in &mut routes {
            if let Requirement::Key(key) = &mut route.requires
                && key.scopes == ["orders:write"]
            {
                key.cost = Cost::new(20);
            }
        }
        realm.routes = Routes::new(routes.leak());
    })
}

#[test]
fn a_limit_below_what_a_route_costs_that_the_scopes_open_is_refused_with_the_number() {
    let (fixture, owner) = RegistryFixture::open_over(policy());
    let create = |scope: &str, limit: u32| {
        let body =
            json!({"name": "k", "scopes": [scope], "rateLimit": {"perMinute": limit, "perDay": 5_000}});
        fixture.post(&owner, "/api-keys", body)
    };
    let refused = create("orders:*", 19).expect(400);
    assert_eq!(
        refused.body["errors"],
        json!([{
            "field": "rateLimit.perMinute",
            "message": "must be null or at least 20, the cost of the most expensive route that the scopes open",
        }])
    );
    create("orders:write", 20).expect(201);
    create("orders:read", 1).expect(201);
}

#[test]
fn a_key_that_has_less_already_is_edited_as_before_unless_its_limit_is_set_anew() {
    let (mut fixture, owner) = RegistryFixture::open();
    let id = fixture.key(&owner, json!({"scopes": ["orders:*"], "rateLimit": {"perMinute": 5}})).key_id();
    fixture.restart(policy());
    let path = format!("/api-keys/{id}");
    fixture.patch(&owner, &path, json!({"name": "other"})).expect(200);
    fixture.patch(&owner, &path, json!({"rateLimit": {"perMinute": 6}})).expect(400);
    fixture.patch(&owner, &path, json!({"scopes": ["orders:write"]})).expect(400);
    fixture
        .patch(&owner, &path, json!({"rateLimit": {"perMinute": 6}, "scopes": ["orders:read"]}))
        .expect(200);
    // Nor does it gain a scope for which that is too little.
    fixture.patch(&owner, &path, json!({"scopes": ["orders:*"]})).expect(400);
}
