//! How often the admin API may be called, and that waiting for what `Retry-After` says is enough.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{DAY, MILLISECOND, MINUTE, SECOND, Span, Timestamp};
use keyward_policy::{AdminRate, Policy};
use keyward_registry::{
    rates::{Kind, Rates, Subject, Weight},
    router,
};
use keyward_testing::NOON;
use keyward_testing::registry_fixture::{Answer, RegistryFixture, policy_with};
use proptest::prelude::*;
use serde_json::json;

const ONE: Weight = Weight { ends: false, cost: 1 };

fn policy(rate: AdminRate) -> &'static Policy {
    let mut policy = Policy { ..*policy_with(|_| {}) };
    policy.admin.rate = rate;
    Box::leak(Box::new(policy))
}

fn wait(answer: &Answer) -> i64 {
    assert_eq!((answer.status, answer.code()), (429, "RATE_LIMITED"), "{}", answer.text);
    answer.header("Retry-After").unwrap().parse::<i64>().unwrap() * 1_000
}

#[test]
fn a_principal_has_its_rate_and_nobody_else_pays_for_it() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 10, tenant: 1_000, network: 1_000 }));
    let (other, _) = fixture.member(&owner, "other@example.com", "viewer");
    fixture.later(60 * SECOND);
    for _ in 0..10 {
        fixture.get(&owner, "/session").expect(200);
    }
    let refused = fixture.get(&owner, "/session");
    let milliseconds = wait(&refused);
    assert_eq!(milliseconds, 6_000);
    assert!(refused.body["detail"].as_str().unwrap().contains("10 calls a minute of you"));
    fixture.get(&other, "/session").expect(200);
    // Another session of the same member is the same principal.
    let again = fixture.sign_in("owner@example.com");
    wait(&fixture.get(&again, "/session"));
    fixture.later(Span::from_ms(milliseconds) - SECOND);
    wait(&fixture.get(&owner, "/session"));
    fixture.later(SECOND);
    fixture.get(&owner, "/session").expect(200);
    wait(&fixture.get(&owner, "/session"));
}

#[test]
fn a_tenant_has_its_rate_whoever_of_it_calls() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 1_000, tenant: 10, network: 1_000 }));
    let (shop, _) = fixture.tenant(&owner, "shop");
    fixture.later(60 * SECOND);
    let (other, _) = fixture.member(&owner, "other@example.com", "viewer");
    fixture.later(60 * SECOND);
    for n in 0..10 {
        fixture.get(if n % 2 == 0 { &owner } else { &other }, "/session").expect(200);
    }
    assert!(fixture.get(&other, "/session").body["detail"].as_str().unwrap().contains("your tenant"));
    fixture.get(&shop, "/session").expect(200);
}

#[test]
fn revoking_is_not_held_up_by_other_calls_and_waits_for_one_call_at_the_most() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 30, tenant: 30, network: 1_000 }));
    let ids: Vec<String> = (0..3).map(|_| fixture.key(&owner, json!({})).key_id()).collect();
    while fixture.get(&owner, "/session").status == 200 {}
    for id in &ids {
        fixture.post(&owner, &format!("/api-keys/{id}/revoke"), json!({})).expect(200);
    }
    let path = format!("/api-keys/{}/revoke", ids[0]);
    let refused = loop {
        let answer = fixture.post(&owner, &path, json!({}));
        if answer.status != 200 {
            break answer;
        }
    };
    let milliseconds = wait(&refused);
    assert!(milliseconds <= 2_000);
    fixture.later(Span::from_ms(milliseconds));
    fixture.post(&owner, &path, json!({})).expect(200);
}

#[test]
fn a_network_that_shows_nothing_that_holds_has_its_rate_and_those_signed_in_do_not_pay_for_it() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 1_000, tenant: 1_000, network: 5 }));
    fixture.later(60 * SECOND);
    for _ in 0..5 {
        fixture.get("kws_made-up", "/session").refused(401, "UNAUTHENTICATED");
    }
    assert!(fixture.get("kws_made-up", "/session").body["detail"].as_str().unwrap().contains("your network"));
    let body = |email: &str| json!({"email": email, "password": keyward_testing::registry_fixture::PASSWORD});
    wait(&fixture.post("", "/session", body("nobody@example.com")));
    fixture.get(&owner, "/session").expect(200);
    fixture.post("", "/session", body("owner@example.com")).expect(201);
    *fixture.address.borrow_mut() = "198.51.100.7".into();
    fixture.post("", "/session", body("nobody@example.com")).refused(401, "INVALID_CREDENTIALS");
}

#[test]
fn a_sign_in_is_one_call_however_often_it_is_gone_through() {
    let (fixture, _) =
        RegistryFixture::open_over(policy(AdminRate { principal: 1_000, tenant: 1_000, network: 2 }));
    fixture.later(60 * SECOND);
    *fixture.address.borrow_mut() = "198.51.100.7".into();
    let sign_in = |email: &str| {
        fixture.post(
            "",
            "/session",
            json!({"email": email, "password": keyward_testing::registry_fixture::PASSWORD}),
        )
    };
    sign_in("owner@example.com").expect(201);
    sign_in("nobody@example.com").refused(401, "INVALID_CREDENTIALS");
    wait(&sign_in("nobody@example.com"));
}

#[test]
fn some_hundreds_of_calls_a_minute_do_not_meet_the_default() {
    let (fixture, owner) = RegistryFixture::open();
    for _ in 0..5 {
        for _ in 0..1_000 {
            fixture.get(&owner, "/session").expect(200);
        }
        fixture.later(60 * SECOND);
    }
}

#[test]
fn what_is_remembered_of_callers_is_bounded_and_a_clock_set_back_holds_nobody_up_for_longer() {
    let rates = Rates::default();
    for n in 0..25_000 {
        let id = format!("2001:db8:{n:x}::/64");
        let subject = Subject { kind: Kind::Network, id: &id, rate: 1 };
        rates.count(&[subject], ONE, NOON + Span::from_ms(n)).unwrap();
    }
    assert_eq!(rates.known(), 10_000);
    let newest = Subject { kind: Kind::Network, id: "2001:db8:61a7::/64", rate: 1 };
    let wait = |at| rates.count(&[newest], ONE, at).map_err(|(_, wait)| wait);
    assert_eq!(wait(NOON + 25 * SECOND), Err(Span::from_ms(59_999)), "whoever called last is still known");
    assert_eq!(wait(NOON - DAY), Err(Span::from_ms(59_999)));
    assert_eq!(wait(NOON - DAY + MINUTE), Ok(()));
}

#[test]
fn what_goes_through_all_of_a_tenant_or_derives_counts_as_many_calls_however_it_is_spelt() {
    for (method, path, query, cost) in [
        ("GET", "/session", "", 1),
        ("GET", "/api-keys", "", 1),
        ("GET", "/api-keys", "limit=100&cursor=x", 1),
        ("GET", "/api-keys/key_1", "q=x", 1),
        ("GET", "/api-keys", "q=x", 10),
        ("HEAD", "/api-keys", "limit=1&%71=x", 10),
        ("GET", "/api-keys", "%75nused%44ays=1", 10),
        ("GET", "/api-keys", "status=REVOKED", 10),
        ("GET", "/api-keys", "realm=default", 10),
        ("GET", "/api-keys/key_1/usage", "", 5),
        ("GET", "/quotas", "", 5),
        ("GET", "/tenants/1", "", 5),
        ("GET", "/tenants", "", 1),
        ("GET", "/audit", "", 1),
        ("GET", "/audit/verify", "", 20),
        ("HEAD", "/audit/verify", "from=5", 20),
        ("POST", "/session", "", 1),
        ("POST", "/api-keys", "", 2),
        ("POST", "/api-keys/key_1/rotate", "", 2),
        ("POST", "/session/step-up", "", 10),
        ("POST", "/members", "", 10),
        ("PATCH", "/members/mem_1", "", 10),
        ("POST", "/tenants", "", 10),
        ("PATCH", "/tenants/1", "", 20),
        ("POST", "/api-keys/key_1/revoke", "", 1),
        ("DELETE", "/members/mem_1", "", 1),
    ] {
        assert_eq!(router::find(method, path).unwrap().weight(query).cost, cost, "{method} {path}?{query}");
    }
}

#[test]
fn what_is_malformed_or_not_there_counts_as_one_call_however_much_it_would_have_cost() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 60, tenant: 1_000, network: 1_000 }));
    fixture.later(60 * SECOND);
    for _ in 0..20 {
        fixture.post(&owner, "/members", json!({ "email": "no address" })).expect(400);
        fixture.patch(&owner, "/members/usr_nobody", json!({ "role": "admin" })).expect(404);
    }
    for _ in 0..20 {
        fixture.get(&owner, "/session").expect(200);
    }
    assert_eq!(fixture.get(&owner, "/session").status, 429, "and as no less");
}

#[test]
fn a_call_that_costs_much_uses_up_the_rate_sooner_and_waits_as_long_as_is_told() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 60, tenant: 1_000, network: 1_000 }));
    fixture.later(60 * SECOND);
    for _ in 0..3 {
        fixture.get(&owner, "/audit/verify").expect(200);
    }
    let refused = fixture.get(&owner, "/audit/verify");
    assert!(refused.body["detail"].as_str().unwrap().contains("this one counts as 20"), "{}", refused.text);
    assert_eq!(wait(&refused), 1_000);
    fixture.later(SECOND);
    fixture.get(&owner, "/audit/verify").expect(200);
    assert_eq!(wait(&fixture.get(&owner, "/session")), 20_000, "what it cost is owed");
    fixture.later(20 * SECOND);
    fixture.get(&owner, "/session").expect(200);
    // What costs more than a minute's calls uses up a minute's.
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 6, tenant: 6, network: 1_000 }));
    fixture.later(60 * SECOND);
    fixture.get(&owner, "/audit/verify").expect(200);
    assert_eq!(wait(&fixture.get(&owner, "/audit/verify")), 10_000);
}

#[test]
fn calls_that_cost_one_keep_none_that_costs_more_out_for_longer_than_it_is_told() {
    let rates = Rates::default();
    let count = |id: &str, cost: u32, at: i64| {
        let subjects = [
            Subject { kind: Kind::Principal, id, rate: 30 },
            Subject { kind: Kind::Tenant, id: "t", rate: 60 },
        ];
        rates
            .count(&subjects, Weight { ends: false, cost }, NOON + Span::from_ms(at))
            .map_err(|(_, wait)| wait.ms())
    };
    // Three who use up what the tenant has, as soon as there is any of it.
    let (mut passed, mut due) = (0, 60_000);
    for at in 0..600_000 {
        if at == due {
            match count("owner", 20, at) {
                Ok(()) => (passed, due) = (passed + 1, at + 60_000),
                Err(wait) => due = at + wait,
            }
        }
        let _ = count(["a", "b", "c"][at as usize % 3], 1, at);
    }
    assert!(passed >= 5, "{passed}");
}

#[test]
fn calls_that_nobody_has_a_right_to_are_their_principals_alone() {
    let (fixture, owner) =
        RegistryFixture::open_over(policy(AdminRate { principal: 50, tenant: 60, network: 1_000 }));
    let (viewer, _) = fixture.member(&owner, "viewer@example.com", "viewer");
    let keys: Vec<String> =
        (0..3).map(|_| format!("key:{}", fixture.key(&owner, json!({})).key_id())).collect();
    fixture.later(120 * SECOND);
    for token in keys.iter().chain([&viewer]) {
        for (method, path) in [("POST", "/api-keys"), ("POST", "/members"), ("PATCH", "/tenants/ten_1")] {
            let mut held_back = false;
            for _ in 0..60 {
                let answer = fixture.send(fixture.call(method, token, path, json!({})));
                held_back |= answer.status == 429;
                assert!(answer.status == 403 || answer.body["detail"].as_str().unwrap().contains("of you"));
            }
            assert!(held_back);
        }
    }
    for _ in 0..40 {
        fixture.get(&owner, "/session").expect(200);
    }
}

proptest! {
    #[test]
    fn in_no_minute_pass_more_than_twice_the_rate_and_each_wait_is_exact(
        rate in 1u32..50,
        gaps in prop::collection::vec((0i64..5_000, 1u32..30), 1..200),
        dear in any::<bool>(),
    ) {
        let rates = Rates::default();
        let subject = Subject { kind: Kind::Tenant, id: "t", rate };
        let mut now = NOON;
        let mut passed: Vec<(Timestamp, u32)> = Vec::new();
        for (gap, cost) in gaps {
            now = now + Span::from_ms(gap);
            let weight = if dear { Weight { ends: false, cost } } else { ONE };
            let cost = weight.cost.min(rate);
            match rates.count(&[subject], weight, now) {
                Ok(()) => passed.push((now, cost)),
                Err((_, wait)) => {
                    prop_assert!(wait >= MILLISECOND);
                    // A millisecond before it is not enough; at it, it is.
                    prop_assert!(wait == MILLISECOND || rates.count(&[subject], weight, now + (wait - MILLISECOND)).is_err());
                    now = now + wait;
                    prop_assert!(rates.count(&[subject], weight, now).is_ok());
                    passed.push((now, cost));
                }
            }
        }
        // One that costs much may pass with one call's room left.
        let most = if dear { 3 * rate - 1 } else { 2 * rate };
        for (index, (from, _)) in passed.iter().enumerate() {
            let within = passed[index..].iter().filter(|(at, _)| at.0 < from.0 + 60_000);
            let within: u32 = within.map(|(_, cost)| cost).sum();
            prop_assert!(within <= most, "{within}");
        }
    }
}
