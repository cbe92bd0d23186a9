//! Routes that ask for a key and a token at once: neither passes without the other, and neither gains by it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{Record, Tenant},
    secret::Secret,
};
use keyward_gate::{admission::Admission, denial::Denial, hint::Stray, jwt::Error};
use keyward_policy::{HostPattern, Jwt, KeyRequirement, Proof, Realm, Requirement, Route};
use keyward_testing::{
    NOON,
    call::{Call, by, platform, realm},
    fake_platform::FakePlatform,
    jose::{self, Key},
    policy::POLICY,
    record,
};
use serde_json::{Value, json};

const BOTH: &[Proof] = &[Proof::Key, Proof::Jwt];

/// A route that asks for both, and for these scopes.
fn both(scopes: &'static [&'static str]) -> Route {
    let requires =
        Requirement::Key(KeyRequirement { by: BOTH, all: true, scopes, ..KeyRequirement::ANY_KEY });
    Route { requires, ..POLICY.realms[0].routes[0] }
}

/// A key of the tenant that the usual token names.
fn key(platform: &FakePlatform, scopes: &[&str]) -> Secret {
    let mut known = record();
    known.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    known_key(platform, &known)
}

fn known_key(platform: &FakePlatform, record: &Record) -> Secret {
    let key = platform.new_key(record.scopes.concat().bytes().map(u64::from).sum());
    platform.tell(&key, record);
    platform.publish(&key, record);
    key
}

fn token(claims: &Value) -> String {
    format!("Bearer {}", Key::Ec.token(claims))
}

fn call<'a>(route: Route, key: Option<&'a Secret>, token: Option<&'a str>) -> Call<'a> {
    let key = key.map(|key| ("x-api-key", key.expose()));
    let fields = key.into_iter().chain(token.map(|token| ("authorization", token))).collect();
    Call { fields, ..Call::of(realm(jose::PUBLIC), route) }
}

#[test]
fn a_key_and_a_token_pass_together_and_the_origin_learns_of_both() {
    let platform = platform();
    let key = key(&platform, &["orders:*"]);
    let token = token(&jose::claims(NOON));
    let told = call(both(&["orders:read"]), Some(&key), Some(&token)).told(&platform).unwrap();
    for (name, value) in [
        ("Keyward-Key-Id", "key_1"),
        ("Keyward-Subject", "user-17"),
        ("Keyward-Tenant", "tenant-1"),
        ("Keyward-Scopes", "orders:read orders:write"),
    ] {
        let values: Vec<_> =
            told.iter().filter(|(found, _)| *found == name).map(|(_, value)| value).collect();
        assert_eq!(values.len(), 1, "{name}: {told:?}");
        assert!(name == "Keyward-Key-Id" || values[0] == value, "{name}: {told:?}");
    }
}

#[test]
fn what_only_one_of_them_holds_neither_may_do() {
    let platform = platform();
    let held = |of: Proof| Denial::InsufficientScope { of, required: &["orders:write"] };
    let read_token = token(&jose::with("scope", json!("orders:read")));
    let all_token = token(&jose::claims(NOON));
    let all_key = key(&platform, &["*"]);
    let send = |key: &Secret, token: &str, scopes| call(both(scopes), Some(key), Some(token)).told(&platform);
    assert_eq!(send(&all_key, &read_token, &["orders:write"]).unwrap_err(), held(Proof::Jwt));
    let told = send(&all_key, &read_token, &["orders:read"]).unwrap();
    assert!(told.contains(&("Keyward-Scopes", "orders:read".into())), "{told:?}");

    let read_key = key(&platform, &["orders:read"]);
    assert_eq!(send(&read_key, &all_token, &["orders:write"]).unwrap_err(), held(Proof::Key));
    let told = send(&read_key, &all_token, &["orders:read"]).unwrap();
    assert!(told.contains(&("Keyward-Scopes", "orders:read".into())), "{told:?}");
}

#[test]
fn one_alone_is_refused_and_the_other_asked_for() {
    let platform = platform();
    let key = key(&platform, &["*"]);
    let token = token(&jose::claims(NOON));
    let missing = |by: &'static [Proof], stray| Denial::MissingCredential { by, stray };
    for (shows_key, shows_token, expected) in [
        (true, false, missing(&[Proof::Jwt], Some(Stray::Alone(Proof::Key)))),
        (false, true, missing(&[Proof::Key], Some(Stray::Alone(Proof::Jwt)))),
        (false, false, missing(&[Proof::Key], None)),
    ] {
        let call = call(both(&[]), shows_key.then_some(&key), shows_token.then_some(token.as_str()));
        assert_eq!(call.told(&platform).unwrap_err(), expected);
    }
    assert_eq!(platform.asked(), Vec::<String>::new(), "nothing is looked up for half of it");
}

#[test]
fn elsewhere_two_credentials_are_still_refused() {
    let platform = platform();
    let key = key(&platform, &["*"]);
    let token = token(&jose::claims(NOON));
    let told = call(by(BOTH, &[]), Some(&key), Some(&token)).told(&platform);
    assert_eq!(told.unwrap_err(), Denial::RepeatedCredential);
}

#[test]
fn a_forged_or_expired_token_beside_a_good_key_is_refused_before_the_key_is_charged() {
    let platform = platform();
    let key = key(&platform, &["*"]);
    let good = token(&jose::claims(NOON));
    for (token, expected) in [
        (good[..good.len() - 2].to_owned(), Error::BadSignature),
        (token(&jose::with("exp", json!(1))), Error::Expired),
    ] {
        let denial = call(both(&[]), Some(&key), Some(&token)).told(&platform).unwrap_err();
        assert!(matches!(denial, Denial::InvalidToken(_)), "{expected:?}: {denial:?}");
    }
    assert!(!platform.asked().iter().any(|asked| asked.contains("acquire")), "the key was charged");
}

#[test]
fn a_token_of_another_tenant_than_the_keys_is_refused() {
    let platform = platform();
    let mut elsewhere = record();
    elsewhere.tenant.id = "tenant-2".to_owned();
    let other = known_key(&platform, &elsewhere);
    let told = call(both(&[]), Some(&other), Some(&token(&jose::claims(NOON)))).told(&platform);
    assert_eq!(told.unwrap_err(), Denial::InvalidToken(Error::WrongTenant));
}

#[test]
fn where_both_are_optional_nothing_passes_as_nobodys_and_half_of_it_does_not() {
    let platform = platform();
    let key = key(&platform, &["*"]);
    let Requirement::Key(requirement) = both(&[]).requires else { panic!() };
    let route =
        Route { requires: Requirement::Key(KeyRequirement { optional: true, ..requirement }), ..both(&[]) };
    let nobody = call(route, None, None).send(&platform).unwrap();
    assert!(matches!(nobody, Admission::Pass(accepted) if accepted.permit.record().is_none()));
    assert!(call(route, Some(&key), None).send(&platform).is_err());
}

#[test]
fn on_a_tenants_host_the_token_names_the_keys_tenant_by_its_id_or_its_code() {
    let platform = platform();
    let key_of = |id: &str, code: &str| {
        let tenant = Tenant { id: id.into(), code: Some(code.into()), ..record().tenant };
        known_key(&platform, &Record { tenant, scopes: vec![id.into()], ..record() })
    };
    let (own, other) = (key_of("tenant-1", "acme"), key_of("tenant-2", "globex"));
    let hosts: &[HostPattern] = &[HostPattern::Tenant(".example")];
    let realm = Realm { hosts, ..realm(jose::PUBLIC) };
    let send = |key: &Secret, org: Value, host: &str| {
        let token = token(&jose::with("app_metadata", json!({"tenant_id": org})));
        let url = format!("https://{host}.example/api/orders");
        let fields = vec![("x-api-key", key.expose()), ("authorization", token.as_str())];
        Call { fields, url: &url, ..Call::of(realm, both(&[])) }.told(&platform).map(|_| ())
    };
    for org in ["tenant-1", "acme"] {
        assert_eq!(send(&own, json!(org), "acme"), Ok(()), "{org}");
        assert!(send(&own, json!(org), "globex").is_err(), "{org}");
        assert_eq!(
            send(&other, json!(org), "globex"),
            Err(Denial::InvalidToken(Error::WrongTenant)),
            "{org}"
        );
    }
    assert!(send(&own, json!(null), "acme").is_err());
}

#[test]
fn a_token_in_a_cookie_counts_beside_a_key_only_where_the_request_comes_from_the_own_site() {
    let platform = platform();
    let key = key(&platform, &["*"]);
    let cookie = format!("token={}", Key::Ec.token(&jose::claims(NOON)));
    let of_cookie =
        || Realm { jwt: Some(Jwt { cookie: Some("token"), ..jose::PUBLIC }), ..realm(jose::PUBLIC) };
    let post = |origin| {
        let fields = vec![("x-api-key", key.expose()), ("cookie", &cookie)];
        let call = Call { method: "POST", origin, fields, ..Call::of(of_cookie(), both(&[])) };
        call.told(&platform).map(|_| ())
    };
    assert_eq!(post(Some("https://shop.example")), Ok(()));
    for origin in [None, Some("https://evil.example")] {
        assert_eq!(post(origin), Err(Denial::CrossSite), "{origin:?}");
    }
}
