//! What guesses cost, of every credential that a stranger may make up: the table in `docs/threat-model.md`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use keyward_core::{key, link::Redeemed, record::Mode, secret::Secret, time::Span};
use keyward_gate::{
    budget::{Allowance, Budget},
    client_info::ClientInfo,
    denial::Denial,
};
use keyward_policy::{
    KeyFormat, KeyRequirement, Policy, Proof, Realm, Requirement, Route, StaticKey, Webhook,
};
use keyward_testing::{
    IMPORTED, LINK, NOON, Seeded,
    call::{self, Call, by},
    fake_platform::{CALLER, FakePlatform},
    jose::{self, Key},
    policy::POLICY,
    record,
};

/// What the limiter allows a network; `wrangler.toml` says so.
const MOST_FAILURES: u32 = 20;
const GUESSES: u64 = 1_000;

/// Keys that a made-up one is not told apart from without a lookup.
static UNCHECKED: LazyLock<Realm> =
    LazyLock::new(|| Realm { key: KeyFormat { checksum: 0, ..POLICY.realms[0].key }, ..POLICY.realms[0] });

fn platform() -> FakePlatform {
    let platform = call::platform();
    platform.most_failures.set(Some(MOST_FAILURES));
    platform
}

fn unchecked_key(platform: &FakePlatform, seed: u64) -> Secret {
    key::generate(&UNCHECKED.key, "", Mode::Live, &platform.secrets, &mut Seeded::new(seed))
}

/// What a number of guesses at once has asked for, and how they were answered.
fn cost(
    platform: &FakePlatform,
    mut guess: impl FnMut(u64) -> Denial,
) -> (BTreeMap<String, usize>, BTreeMap<u16, usize>) {
    platform.asked();
    let (mut asked, mut answers) = (BTreeMap::new(), BTreeMap::new());
    for seed in 0..GUESSES {
        *answers.entry(guess(seed).public().status).or_default() += 1;
    }
    for what in platform.asked() {
        *asked.entry(what).or_default() += 1;
    }
    (asked, answers)
}

fn counts<K: Ord + Clone, T: Clone + Into<K>>(counts: &[(T, usize)]) -> BTreeMap<K, usize> {
    counts.iter().map(|(what, count)| (what.clone().into(), *count)).collect()
}

#[test]
fn keys_with_a_check_cost_nothing_that_is_asked() {
    let platform = platform();
    let (asked, answers) = cost(&platform, |seed| {
        let guess = format!("kw_live_{seed:036}");
        platform.check(&Secret::new(guess)).unwrap_err().denial
    });
    assert_eq!((asked, answers), (BTreeMap::new(), counts(&[(401_u16, 1_000)])));
}

/// 21 are looked up like any other; then KV is read a hundred times, and no object is asked.
fn lookups() -> BTreeMap<String, usize> {
    counts(&[("KV", 121), ("Coordinator find", 21), ("FAILURES", 21)])
}

#[test]
fn keys_without_a_check_cost_few_lookups_of_any_kind_of_key_and_also_at_the_admin_api() {
    let policy = Policy { realms: std::slice::from_ref(&*UNCHECKED), ..*POLICY };
    for origin in [None, Some("https://shop.example")] {
        let caller = ClientInfo { origin, ..CALLER };
        for at_admin_api in [false, true] {
            let platform = platform();
            let (asked, answers) = cost(&platform, |seed| {
                let guess = unchecked_key(&platform, seed);
                let checked = if at_admin_api {
                    platform.check_for_admin_api(&policy, &guess, caller)
                } else {
                    platform.check_in(&UNCHECKED, &guess, caller)
                };
                checked.unwrap_err().denial
            });
            assert_eq!((asked, answers), (lookups(), counts(&[(401_u16, 21), (429, 979)])));
        }
    }
}

#[test]
fn keys_that_were_made_elsewhere_cost_no_more_and_only_those_of_their_form_cost_anything() {
    let realm = Realm { imported: Some(IMPORTED), ..POLICY.realms[0] };
    let guess = |platform: &FakePlatform, text: String| {
        platform.check_in(&realm, &Secret::new(text), CALLER).unwrap_err().denial
    };
    let platform = platform();
    let (asked, answers) = cost(&platform, |seed| guess(&platform, format!("old_{seed:024}")));
    assert_eq!((asked, answers), (lookups(), counts(&[(401_u16, 21), (429, 979)])));
    let platform = self::platform();
    let other = |seed| [format!("old_{seed:023}"), format!("old_{seed:041}"), format!("new_{seed:024}")];
    let (asked, answers) =
        cost(&platform, |seed| guess(&platform, other(seed)[usize::try_from(seed % 3).unwrap()].clone()));
    assert_eq!((asked, answers), (BTreeMap::new(), counts(&[(401_u16, 1_000)])));
}

#[test]
fn whoever_has_a_site_full_of_networks_is_held_back_too_and_its_neighbours_keys_pass() {
    let site = |seed: u64| format!("2001:db8:7:{seed:x}::{seed:x}");
    let check = |platform: &FakePlatform, key: &Secret, address: &str| {
        let caller = ClientInfo { address: Some(address), ..CALLER };
        platform.check_in(&UNCHECKED, key, caller).map(|_| ()).map_err(|it| it.denial)
    };
    let platform = platform();
    let neighbours = unchecked_key(&platform, 2_000);
    let hash = key::storage_hash(&UNCHECKED.key, &platform.secrets, neighbours.expose());
    platform.gates.borrow_mut().entry(hash.clone()).or_default().put(record());
    platform.kv.borrow_mut().insert(key::kv_key(&hash), serde_json::to_string(&record()).unwrap());
    let (asked, answers) =
        cost(&platform, |seed| check(&platform, &unchecked_key(&platform, seed), &site(seed)).unwrap_err());
    // Sixteen times as many as of one network.
    let lookups = counts(&[("KV", 436), ("Coordinator find", 336), ("FAILURES", 357)]);
    assert_eq!((asked, answers), (lookups, counts(&[(401_u16, 336), (429, 664)])));
    platform.pass_time(Span::from_ms(50));
    assert_eq!(check(&platform, &neighbours, &site(5_000)), Ok(()));
    let guess = unchecked_key(&platform, 1);
    assert_eq!(check(&platform, &guess, "2001:db8:8::1"), Err(Denial::UnknownKey { slip: None }));

    let platform = self::platform();
    let (_, answers) = cost(&platform, |seed| {
        let (address, fields) = (site(seed), vec![("authorization", "Bearer x.y.z")]);
        let call = Call::of(call::realm(jose::PUBLIC), by(&[Proof::Jwt], &[]));
        Call { fields, address: &address, ..call }.told(&platform).unwrap_err()
    });
    assert_eq!(answers, counts(&[(401_u16, 336), (429, 664)]), "tokens");
}

#[test]
fn a_neighbour_whose_key_kv_knows_waits_at_the_most_for_a_read_and_one_that_the_isolate_knows_not_at_all() {
    let platform = platform();
    let [known, neighbours] = [2_000, 2_001].map(|seed| unchecked_key(&platform, seed));
    for key in [&known, &neighbours] {
        let hash = key::storage_hash(&UNCHECKED.key, &platform.secrets, key.expose());
        platform.gates.borrow_mut().entry(hash.clone()).or_default().put(record());
        platform.kv.borrow_mut().insert(key::kv_key(&hash), serde_json::to_string(&record()).unwrap());
    }
    let check = |key: &Secret| platform.check_in(&UNCHECKED, key, CALLER).map(|_| ()).map_err(|it| it.denial);
    assert_eq!(check(&known), Ok(()));
    for seed in 0..100 {
        check(&unchecked_key(&platform, seed)).unwrap_err();
    }
    assert_eq!(check(&neighbours), Ok(()), "guesses by the dozen keep nobody out");

    let other = self::platform();
    other.kv.replace(platform.kv.take());
    other.gates.replace(platform.gates.take());
    let check = |key: &Secret| other.check_in(&UNCHECKED, key, CALLER).map(|_| ()).map_err(|it| it.denial);
    assert_eq!(check(&known), Ok(()));
    cost(&other, |seed| check(&unchecked_key(&other, seed)).unwrap_err());
    assert_eq!(check(&known), Ok(()));
    assert!(matches!(check(&neighbours), Err(Denial::TooManyFailures { .. })));
    other.pass_time(Span::from_ms(50));
    assert_eq!(check(&neighbours), Ok(()), "guesses that go on: there is a read every 50 ms");
}

#[test]
fn keys_that_the_policy_lists_cost_nothing_that_is_asked() {
    const AGENT: StaticKey = StaticKey {
        id: "agent",
        sha256: "739d2f15af454f80712637b9659295566e733d04af4435dfd8c0ee99c7c05490",
        scopes: &[],
        tenant: None,
        plan: None,
    };
    let platform = platform();
    let realm = Realm { static_keys: &[AGENT], ..POLICY.realms[0] };
    let (asked, answers) = cost(&platform, |seed| {
        let guess = Secret::new(format!("an-agents-key-{seed}"));
        platform.check_in(&realm, &guess, CALLER).unwrap_err().denial
    });
    assert_eq!((asked, answers), (BTreeMap::new(), counts(&[(401_u16, 1_000)])));
}

#[test]
fn tokens_cost_one_fetch_a_minute_whatever_they_name() {
    for made_up_id in [false, true] {
        let platform = platform();
        let (asked, answers) = cost(&platform, |seed| {
            let mut header = serde_json::json!({ "alg": Key::Ec.algorithm() });
            if made_up_id {
                header["kid"] = seed.to_string().into();
            }
            let token = format!("Bearer {}.AAAA", Key::Ec.sign(&header, &jose::claims(NOON)));
            let (token, _) = token.rsplit_once('.').unwrap();
            let (token, _) = token.rsplit_once('.').unwrap();
            let token = format!("{token}.AAAA");
            let call = Call {
                fields: vec![("authorization", &token)],
                ..Call::of(call::realm(jose::PUBLIC), by(&[Proof::Jwt], &[]))
            };
            call.told(&platform).unwrap_err()
        });
        let expected = counts(&[("GET https://id.example.com/jwks.json", 1), ("FAILURES", 21)]);
        assert_eq!((asked, answers), (expected, counts(&[(401_u16, 21), (429, 979)])), "{made_up_id}");
    }
}

#[test]
fn webhooks_whose_headers_are_in_order_cost_few_bodies() {
    const STRIPE: Webhook = Webhook::stripe("STRIPE_SECRET");
    let platform = platform();
    let route = Route { requires: Requirement::Webhook(&STRIPE), ..POLICY.realms[0].routes[0] };
    let forged = format!("t={},v1={}", NOON.0 / 1_000, "0".repeat(64));
    let (asked, answers) = cost(&platform, |_| {
        let fields = vec![("stripe-signature", forged.as_str())];
        Call { method: "POST", fields, body: b"{}", ..Call::of(call::realm(jose::PUBLIC), route) }
            .told(&platform)
            .unwrap_err()
    });
    assert_eq!((asked, answers), (counts(&[("FAILURES", 21)]), counts(&[(401_u16, 21), (429, 979)])));
}

#[test]
fn links_cost_nothing_that_is_asked_and_those_that_are_over_the_registry_a_few_times() {
    let platform = platform();
    let follow = |token: &str| {
        let url = format!("https://shop.example/checkout?token={token}");
        Call { url: &url, ..Call::of(call::realm(jose::PUBLIC), by(&[Proof::Session], &[])) }
            .send(&platform)
            .unwrap_err()
    };
    let (asked, answers) = cost(&platform, |seed| follow(&format!("st_{seed:036}")));
    assert_eq!((asked, answers), (BTreeMap::new(), counts(&[(401_u16, 1_000)])));
    let used = |seed: u64| {
        let token = key::generate(&LINK.token(), "", Mode::Live, &platform.secrets, &mut Seeded::new(seed));
        let hash = key::storage_hash(&LINK.token(), &platform.secrets, token.expose());
        platform.links.borrow_mut().insert(hash, Redeemed::Used);
        token
    };
    let one = used(0);
    let (asked, answers) = cost(&platform, |_| follow(one.expose()));
    let expected = counts(&[("Registry redeem", 1), ("FAILURES", 1)]);
    assert_eq!((asked, answers), (expected, counts(&[(401_u16, 1_000)])));
    let (asked, answers) = cost(&platform, |seed| follow(used(1 + seed).expose()));
    let expected = counts(&[("Registry redeem", 30), ("FAILURES", 30)]);
    assert_eq!((asked, answers), (expected, counts(&[(401_u16, 30), (429, 970)])));
}

#[test]
fn cookies_of_sessions_cost_nothing_that_is_asked() {
    let platform = platform();
    let (asked, answers) = cost(&platform, |seed| {
        let cookie = format!("__Host-shop=kw_session_e30.{seed:043}");
        Call {
            fields: vec![("cookie", &cookie)],
            ..Call::of(call::realm(jose::PUBLIC), by(&[Proof::Session], &[]))
        }
        .told(&platform)
        .unwrap_err()
    });
    assert_eq!((asked, answers), (BTreeMap::new(), counts(&[(401_u16, 1_000)])));
}

#[test]
fn a_budget_comes_back_bit_by_bit_up_to_the_whole_and_whatever_its_clock_does() {
    const TWO: Allowance = Allowance { at_once: 2, every: Span::from_ms(100) };
    let mut budget = Budget::default();
    let mut spend = |at: i64| budget.spend(TWO, NOON + Span::from_ms(at));
    assert_eq!([0, 0, 0, 99].map(&mut spend), [true, true, false, false]);
    assert_eq!([100, 100, 200].map(&mut spend), [true, false, true]);
    assert_eq!([10_000, 10_000, 10_000].map(&mut spend), [true, true, false]);
    // Set back by an hour: nothing at once, and again one each time.
    assert_eq!([-3_600_000, -3_599_900, -3_599_900].map(&mut spend), [false, true, false]);
}

#[test]
fn a_route_that_takes_keys_is_no_way_round() {
    // The same guesses where a route takes several kinds of credential.
    let platform = platform();
    let requirement = KeyRequirement {
        by: &[Proof::Key, Proof::Publishable, Proof::Jwt, Proof::Session],
        ..KeyRequirement::ANY_KEY
    };
    let route = Route { requires: Requirement::Key(requirement), ..POLICY.realms[0].routes[0] };
    let realm = Realm { key: UNCHECKED.key, ..call::realm(jose::PUBLIC) };
    let (asked, _) = cost(&platform, |seed| {
        let guess = unchecked_key(&platform, seed);
        Call { fields: vec![("x-api-key", guess.expose())], ..Call::of(realm, route) }
            .told(&platform)
            .unwrap_err()
    });
    assert_eq!(asked, lookups());
}
