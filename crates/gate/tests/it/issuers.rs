//! Realms with several issuers, and tokens in cookies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_gate::{denial::Denial, forwarding::profile, jwt::Error};
use keyward_policy::{Jwt, Proof, Realm};
use keyward_testing::{
    NOON,
    call::{Call, by, platform, realm},
    fake_platform::FakePlatform,
    jose::{self, Key},
};
use serde_json::{Value, json};

/// Signs with a secret; the realm's first one with public keys.
const OTHER: Jwt = Jwt { issuer: "https://other.example.com", ..jose::SHARED };

fn two() -> Realm {
    Realm { other_issuers: &[OTHER], ..realm(jose::PUBLIC) }
}

fn send(platform: &FakePlatform, token: &str) -> Result<(), Denial> {
    let bearer = format!("Bearer {token}");
    let call = Call { fields: vec![("authorization", &bearer)], ..Call::of(two(), by(&[Proof::Jwt], &[])) };
    call.told(platform).map(|_| ())
}

fn of(issuer: &str) -> Value {
    jose::with("iss", json!(issuer))
}

#[test]
fn a_token_of_each_issuer_passes_by_the_keys_of_its_own_and_no_other() {
    let platform = platform();
    assert_eq!(send(&platform, &Key::Ec.token(&jose::claims(NOON))), Ok(()));
    assert_eq!(send(&platform, &Key::Shared.token(&of(OTHER.issuer))), Ok(()));
    for token in [Key::Shared.token(&jose::claims(NOON)), Key::Ec.token(&of(OTHER.issuer))] {
        assert_eq!(send(&platform, &token), Err(Denial::InvalidToken(Error::WrongAlgorithm)));
    }
    let good = Key::Shared.token(&of(OTHER.issuer));
    let forged = &good[..good.len() - 3];
    assert!(matches!(send(&platform, forged), Err(Denial::InvalidToken(_))), "its signature counts");
}

#[test]
fn a_token_of_no_issuer_of_the_realm_is_refused_and_nothing_is_asked_for_it() {
    let platform = platform();
    let none = Error::MissingClaim(&["iss"]);
    for (token, expected) in [
        (Key::Ec.token(&of("https://evil.example")), Error::WrongIssuer),
        (Key::Ec.token(&of("https://other.example.com/")), Error::WrongIssuer),
        (Key::Ec.token(&jose::with("iss", Value::Null)), none),
        (Key::Ec.token(&jose::with("iss", json!(["https://id.example.com"]))), none),
        ("a.b.c".to_owned(), Error::Malformed("claims")),
        ("a".repeat(100_000), Error::TooLong),
    ] {
        assert_eq!(send(&platform, &token), Err(Denial::InvalidToken(expected)));
        let asked = platform.asked();
        assert!(!asked.iter().any(|asked| asked.contains("jwks")));
        assert!(
            asked.iter().any(|asked| asked == "FAILURES"),
            "nobody has signed it, so it counts: {expected:?}"
        );
    }
}

/// Takes tokens in the header and in a cookie.
fn with_cookie() -> Realm {
    Realm { jwt: Some(Jwt { cookie: Some("token"), ..jose::PUBLIC }), ..realm(jose::PUBLIC) }
}

fn shown(method: &str, origin: Option<&str>, fields: Vec<(&str, &str)>) -> Result<(), Denial> {
    let call = Call { method, origin, fields, ..Call::of(with_cookie(), by(&[Proof::Jwt, Proof::Key], &[])) };
    call.told(&platform()).map(|_| ())
}

#[test]
fn a_token_in_the_cookie_that_the_policy_names_is_one_and_in_no_other() {
    let token = Key::Ec.token(&jose::claims(NOON));
    let cookie = format!("a=b; token={token}");
    assert_eq!(shown("GET", None, vec![("cookie", &cookie)]), Ok(()));
    let other = format!("tokens={token}; Token={token}");
    assert!(matches!(shown("GET", None, vec![("cookie", &other)]), Err(Denial::MissingCredential { .. })));
    let bearer = format!("Bearer {token}");
    let twice = format!("token={token}; token={token}");
    assert_eq!(shown("GET", None, vec![("cookie", &twice)]), Err(Denial::RepeatedCredential));
    // Whoever sets a header means it, whatever the browser sends along.
    for cookie in [cookie.as_str(), "token=x", &twice] {
        assert_eq!(shown("POST", None, vec![("cookie", cookie), ("authorization", &bearer)]), Ok(()));
        let key = shown("GET", None, vec![("cookie", cookie), ("x-api-key", "kw_live_x")]);
        assert!(matches!(key, Err(Denial::UnknownKey { .. })), "{key:?}");
    }
}

#[test]
fn two_token_cookies_of_different_issuers_are_refused_as_repeated_and_not_looked_at_where_no_token_is_taken()
{
    let realm = || Realm { other_issuers: &[Jwt { cookie: Some("other"), ..OTHER }], ..with_cookie() };
    let send = |requires, cookies: &str| {
        let call = Call { fields: vec![("cookie", cookies)], ..Call::of(realm(), requires) };
        call.told(&platform()).map(|_| ())
    };
    let (one, other) = (Key::Ec.token(&jose::claims(NOON)), Key::Shared.token(&of(OTHER.issuer)));
    for alone in [format!("token={one}"), format!("other={other}")] {
        assert_eq!(send(by(&[Proof::Jwt], &[]), &alone), Ok(()));
    }
    for both in [format!("token={one}; other={other}"), format!("token={one}; token={one}")] {
        assert_eq!(send(by(&[Proof::Jwt], &[]), &both), Err(Denial::RepeatedCredential));
        let of_keys = send(by(&[Proof::Key], &[]), &both);
        assert!(matches!(of_keys, Err(Denial::MissingCredential { .. })), "{of_keys:?}");
    }
    // Each cookie holds tokens of the issuer only that names it.
    for elsewhere in [format!("other={one}"), format!("token={other}")] {
        let denied = send(by(&[Proof::Jwt], &[]), &elsewhere);
        assert_eq!(denied, Err(Denial::InvalidToken(Error::WrongIssuer)));
    }
}

#[test]
fn what_changes_something_by_a_cookie_has_to_come_from_its_own_site() {
    let token = Key::Ec.token(&jose::claims(NOON));
    let cookie = format!("token={token}");
    let post = |origin, site: Option<&str>| {
        let fields =
            [("cookie", cookie.as_str())].into_iter().chain(site.map(|site| ("sec-fetch-site", site)));
        shown("POST", origin, fields.collect())
    };
    for (origin, site) in [
        (None, None),
        (Some("https://evil.example"), None),
        (Some("null"), None),
        (None, Some("cross-site")),
        (None, Some("same-site")),
        (Some("https://evil.example"), Some("same-site")),
    ] {
        assert_eq!(post(origin, site), Err(Denial::CrossSite), "{origin:?} {site:?}");
    }
    assert_eq!(post(Some("https://shop.example"), None), Ok(()));
    assert_eq!(post(None, Some("same-origin")), Ok(()));
    let bearer = format!("Bearer {token}");
    assert_eq!(
        shown("POST", None, vec![("authorization", &bearer)]),
        Ok(()),
        "nobody sends a header unasked"
    );
}

#[test]
fn the_origin_does_not_get_a_tokens_cookie_and_may_set_it() {
    let realms = [with_cookie()];
    assert!(profile::removed_cookies(&realms).contains(&"token"));
    assert!(!profile::own_cookies(&realms).contains(&"token"));
    assert!(
        profile::own_cookies(&realms).iter().all(|name| profile::removed_cookies(&realms).contains(name))
    );
}
