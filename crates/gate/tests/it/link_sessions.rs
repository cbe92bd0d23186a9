//! Links, and the sessions that they become, on their way through the gate.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    key,
    link::{Redeemed, Session},
    record::{Mode, TenantStatus},
    time::{MINUTE, SECOND, Span},
};
use keyward_gate::{
    admission::Admission,
    denial::Denial,
    forwarding::profile::{self, Profile},
    hint::Stray,
};
use keyward_policy::{HostPattern, Jwt, Proof, Realm, Requirement, Route};
use keyward_testing::{
    LINK, NOON, Seeded,
    call::{Call, DEADLINE, FAULTS, by, platform, realm},
    fake_platform::{FakePlatform, Fault},
    jose::{self, Key},
    record,
};

fn session() -> Session {
    Session {
        realm: "default".into(),
        tenant: record().tenant,
        subject: Some("cart-7".into()),
        session_id: Some("chat-1".into()),
        expires_at: NOON.plus(MINUTE),
    }
}

/// A platform in which the link of this token can be used once.
fn linked() -> (FakePlatform, String) {
    let platform = platform();
    let format = LINK.token();
    let token = key::generate(&format, "", Mode::Live, &platform.secrets, &mut Seeded::new(3));
    let hash = key::storage_hash(&format, &platform.secrets, token.expose());
    platform.links.borrow_mut().insert(hash, Redeemed::Granted(session()));
    (platform, token.expose().to_owned())
}

fn shop<'a>() -> Call<'a> {
    Call::of(realm(jose::PUBLIC), by(&[Proof::Session], &[]))
}

#[test]
fn a_link_becomes_a_session_and_the_url_loses_its_token() {
    let (platform, token) = linked();
    let url = format!("https://shop.example/checkout?a=1&token={token}");
    let Admission::Redirect(headers) = (Call { url: &url, ..shop() }).send(&platform).unwrap() else {
        panic!()
    };
    let header = |name| headers.iter().find(|(own, _)| *own == name).unwrap().1.as_str();
    assert_eq!(header("Location"), "https://shop.example/checkout?a=1");
    let (cookie, attributes) = header("Set-Cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax");
    let told = (Call { fields: vec![("cookie", cookie)], ..shop() }).told(&platform).unwrap();
    for (name, value) in
        [("Keyward-Subject", "cart-7"), ("Keyward-Tenant", "tenant-1"), ("Keyward-Session", "chat-1")]
    {
        assert!(told.contains(&(name, value.into())), "{name}: {told:?}");
    }
}

#[test]
fn a_link_is_exchanged_only_by_get_and_where_a_session_is_taken() {
    let (platform, token) = linked();
    let url = format!("https://shop.example/checkout?token={token}");
    for method in ["HEAD", "POST"] {
        assert_eq!(
            (Call { url: &url, method, ..shop() }).send(&platform).unwrap_err(),
            Denial::KeyInUrl,
            "{method}"
        );
    }
    let elsewhere = Call { route: by(&[Proof::Key], &[]), url: &url, ..shop() };
    assert_eq!(elsewhere.send(&platform).unwrap_err(), Denial::KeyInUrl);
    let own = "https://shop.example/orders?token=abc&token=def";
    let public = Route { requires: Requirement::Public, ..by(&[], &[]) };
    let passed = (Call { route: public, url: own, ..shop() }).send(&platform);
    assert!(matches!(passed, Ok(Admission::Pass(_))), "the origin has parameters of that name for itself");
    let twice = format!("{url}&token={token}");
    assert_eq!((Call { url: &twice, ..shop() }).send(&platform).unwrap_err(), Denial::RepeatedCredential);
    assert_eq!(platform.asked(), Vec::<String>::new());
    assert!(matches!((Call { url: &url, ..shop() }).send(&platform), Ok(Admission::Redirect(_))));
}

#[test]
fn a_link_that_is_forged_used_or_over_is_told_apart() {
    let (platform, token) = linked();
    let hash = key::storage_hash(&LINK.token(), &platform.secrets, &token);
    let follow = |token: &str| {
        (Call { url: &format!("https://shop.example/checkout?token={token}"), ..shop() })
            .send(&platform)
            .unwrap_err()
    };
    for forged in ["", "st_abc123", &token[..token.len() - 1], &token.replace("st_", "ST_")] {
        assert_eq!(follow(forged), Denial::InvalidLink, "{forged}");
    }
    assert_eq!(platform.asked(), Vec::<String>::new(), "a forged one costs nothing");
    for (answer, denial) in [
        (Redeemed::Used, Denial::UsedLink),
        (Redeemed::Expired, Denial::ExpiredLink),
        (Redeemed::Unknown, Denial::InvalidLink),
    ] {
        platform.links.borrow_mut().insert(hash.clone(), answer);
        assert_eq!(follow(&token), denial);
        // That it is over is remembered for so long.
        platform.pass_time(MINUTE);
    }
    platform.links.borrow_mut().clear();
    assert_eq!(follow(&token), Denial::StoreUnavailable { store: "Registry" });
    let mut inactive = session();
    inactive.tenant.status = TenantStatus::Inactive;
    platform.links.borrow_mut().insert(hash, Redeemed::Granted(inactive));
    assert_eq!(follow(&token), Denial::InactiveTenant);
}

/// A link that is over, by its token.
fn over(platform: &FakePlatform, seed: u64, how: &Redeemed) -> String {
    let format = LINK.token();
    let token = key::generate(&format, "", Mode::Live, &platform.secrets, &mut Seeded::new(seed));
    let hash = key::storage_hash(&format, &platform.secrets, token.expose());
    platform.links.borrow_mut().insert(hash, how.clone());
    format!("https://shop.example/checkout?token={}", token.expose())
}

/// How often the Registry was asked since the last look.
fn asked_of_the_registry(platform: &FakePlatform) -> usize {
    platform.asked().iter().filter(|asked| *asked == "Registry redeem").count()
}

#[test]
fn a_network_that_follows_many_links_which_are_over_is_held_back_and_a_few_good_ones_pass_all_the_same() {
    for how in [Redeemed::Used, Redeemed::Expired, Redeemed::Unknown] {
        let (platform, token) = linked();
        platform.most_failures.set(Some(20));
        let follow = |url: &str| (Call { url, ..shop() }).send(&platform);
        let answers: Vec<_> =
            (100..200).map(|seed| follow(&over(&platform, seed, &how)).unwrap_err()).collect();
        let told = answers.iter().filter(|denial| denial.public().code == "INVALID_LINK").count();
        assert_eq!(told, 31, "{how:?}: 21 until it is held back, and 10 for the links of neighbours");
        assert_eq!(answers[31..], vec![Denial::TooManyFailures { retry_after: Span::from_ms(10_000) }; 69]);
        assert_eq!(asked_of_the_registry(&platform), 31);

        // Neither keys nor tokens of that network are, nor links of others.
        let by = format!("Bearer {}", Key::Ec.token(&jose::claims(NOON)));
        let by_token = Call {
            fields: vec![("authorization", by.as_str())],
            ..Call::of(realm(jose::PUBLIC), self::by(&[Proof::Jwt], &[]))
        };
        assert!(by_token.told(&platform).is_ok());
        let new = platform.new_key(1);
        assert_eq!(platform.check(&new).unwrap_err().denial, Denial::UnknownKey { slip: None });
        let url = |token: &str| format!("https://shop.example/checkout?token={token}");
        let elsewhere = Call { url: &over(&platform, 201, &how), address: "192.0.2.2", ..shop() };
        assert_eq!(elsewhere.send(&platform).unwrap_err().public().code, "INVALID_LINK");
        // A neighbour's good link passes a moment later, while it is held back.
        platform.pass_time(SECOND);
        assert!(matches!(follow(&url(&token)), Ok(Admission::Redirect(_))));
    }
}

#[test]
fn whoever_reloads_a_link_that_is_over_is_told_so_at_the_cost_of_one_call_a_minute() {
    for (how, denial) in [(Redeemed::Used, Denial::UsedLink), (Redeemed::Expired, Denial::ExpiredLink)] {
        let (platform, token) = linked();
        platform.most_failures.set(Some(20));
        let url = over(&platform, 100, &how);
        for _ in 0..100 {
            assert_eq!((Call { url: &url, ..shop() }).send(&platform).unwrap_err(), denial);
        }
        assert_eq!(asked_of_the_registry(&platform), 1);
        let good = format!("https://shop.example/checkout?token={token}");
        assert!(matches!((Call { url: &good, ..shop() }).send(&platform), Ok(Admission::Redirect(_))));
        asked_of_the_registry(&platform);
        platform.pass_time(MINUTE);
        assert_eq!((Call { url: &url, ..shop() }).send(&platform).unwrap_err(), denial);
        assert_eq!(asked_of_the_registry(&platform), 1, "it is asked again");
    }
    // What is unknown now may be good the next moment: its tenant may be made active again.
    let (platform, _) = linked();
    let url = over(&platform, 100, &Redeemed::Unknown);
    for _ in 0..3 {
        assert_eq!((Call { url: &url, ..shop() }).send(&platform).unwrap_err(), Denial::InvalidLink);
        assert_eq!(asked_of_the_registry(&platform), 1);
    }
}

#[test]
fn keys_that_are_guessed_keep_nobody_from_following_a_link() {
    let (platform, token) = linked();
    platform.most_failures.set(Some(20));
    for seed in 0..50 {
        platform.check(&platform.new_key(seed)).unwrap_err();
    }
    let url = format!("https://shop.example/checkout?token={token}");
    assert!(matches!((Call { url: &url, ..shop() }).send(&platform), Ok(Admission::Redirect(_))));
}

#[test]
fn a_session_is_none_after_its_end_in_another_realm_or_forged_and_two_are_refused() {
    let platform = platform();
    let sealed = |session: Session| format!("__Host-shop={}", session.seal(&platform.secrets).expose());
    let send =
        |cookie: &str| (Call { fields: vec![("cookie", cookie)], ..shop() }).told(&platform).map(|_| ());
    let good = sealed(session());
    assert_eq!(send(&good), Ok(()));
    for bad in [
        sealed(Session { expires_at: NOON, ..session() }),
        sealed(Session { realm: "other".into(), ..session() }),
        good.replace("kw_session_", "kw_session_A"),
    ] {
        assert_eq!(send(&bad), Err(Denial::InvalidSession), "{bad}");
    }
    assert_eq!(send(&format!("{good}; {good}")), Err(Denial::RepeatedCredential));
    assert_eq!(send("other=1"), Err(Denial::MissingCredential { by: &[Proof::Session], stray: None }));
}

#[test]
fn a_session_changes_something_only_from_its_own_site() {
    let platform = platform();
    let cookie = format!("__Host-shop={}", session().seal(&platform.secrets).expose());
    let send = |method, origin, site: Option<&str>| {
        let mut fields = vec![("cookie", cookie.as_str())];
        fields.extend(site.map(|site| ("sec-fetch-site", site)));
        (Call { method, origin, fields, ..shop() }).told(&platform).map(|_| ())
    };
    assert_eq!(send("GET", Some("https://evil.example"), Some("cross-site")), Ok(()));
    assert_eq!(send("POST", Some("https://shop.example"), None), Ok(()));
    assert_eq!(send("POST", None, Some("same-origin")), Ok(()));
    for (origin, site) in [
        (None, None),
        (Some("https://evil.example"), Some("cross-site")),
        (Some("null"), None),
        (None, Some("same-site")),
    ] {
        assert_eq!(send("POST", origin, site), Err(Denial::CrossSite), "{origin:?} {site:?}");
    }
}

#[test]
fn on_a_tenants_host_a_session_of_another_tenant_is_none() {
    let platform = platform();
    let mut own = session();
    own.tenant.code = Some("shop".into());
    let cookie = format!("__Host-shop={}", own.seal(&platform.secrets).expose());
    let on = |suffix| {
        let realm = Realm { hosts: suffix, ..realm(jose::PUBLIC) };
        (Call { realm, fields: vec![("cookie", &cookie)], ..shop() }).told(&platform).map(|_| ())
    };
    assert_eq!(on(&[HostPattern::Tenant(".example")]), Ok(()));
    own.tenant.code = Some("other".into());
    let cookie = format!("__Host-shop={}", own.seal(&platform.secrets).expose());
    let realm = Realm { hosts: &[HostPattern::Tenant(".example")], ..realm(jose::PUBLIC) };
    let other = Call { realm, fields: vec![("cookie", &cookie)], ..shop() };
    assert_eq!(other.told(&platform).unwrap_err(), Denial::InvalidSession);
}

#[test]
fn the_gates_own_cookies_never_reach_the_origin_and_caches_tell_sessions_apart() {
    let platform = platform();
    let cookie = format!("__Host-shop={}", session().seal(&platform.secrets).expose());
    let call = Call { fields: vec![("cookie", &cookie)], ..shop() };
    let Admission::Pass(accepted) = call.send(&platform).unwrap() else { panic!() };
    assert_eq!(
        profile::removed_cookies(&[call.realm]),
        ["__Host-shop", "__Host-keyward-session", "CF_Authorization"]
    );
    assert_eq!(
        Profile::of(&call.realm, &accepted.permit, false).vary(),
        ["x-api-key", "authorization", "cookie"]
    );
}
#[test]
fn whatever_the_registry_does_a_link_is_told_by_the_deadline_and_never_called_invalid() {
    for fault in FAULTS {
        let (platform, token) = linked();
        platform.registry_fault.set(Some(fault));
        let url = format!("https://shop.example/checkout?token={token}");
        let mut times = Vec::new();
        for _ in 0..5 {
            let came = platform.clock.now();
            let sent = (Call { url: &url, ..shop() }).send(&platform);
            times.push(platform.clock.now() - came);
            if fault == Fault::Slow(Span::from_ms(1_500)) {
                assert!(matches!(sent, Ok(Admission::Redirect(_))));
                break;
            }
            assert_eq!(sent.unwrap_err(), Denial::StoreUnavailable { store: "Registry" }, "{fault:?}");
        }
        assert!(times.iter().all(|took| *took <= *DEADLINE), "{fault:?}: {times:?}");
        assert!(times.iter().skip(3).all(|took| *took == Span::ZERO), "{fault:?}: {times:?}");
    }
}

/// Whoever has a token in a cookie and follows a link has both cookies from then on.
#[test]
fn of_a_session_and_a_token_in_cookies_each_route_takes_its_own_and_the_token_first() {
    let platform = platform();
    let sealed = |session: Session| format!("__Host-shop={}", session.seal(&platform.secrets).expose());
    let token = jose::Key::Ec.token(&jose::claims(NOON));
    let realm = || Realm { jwt: Some(Jwt { cookie: Some("token"), ..jose::PUBLIC }), ..realm(jose::PUBLIC) };
    let send = |requires: Route, cookies: &str| {
        let call = Call { fields: vec![("cookie", cookies)], ..Call::of(realm(), requires) };
        call.told(&platform)
            .map(|told| told.into_iter().find(|(name, _)| *name == "Keyward-Subject").unwrap().1)
    };
    let (good, expired) = (sealed(session()), sealed(Session { expires_at: NOON, ..session() }));
    for session in [&good, &expired] {
        for cookies in [format!("{session}; token={token}"), format!("token={token}; {session}; {session}")] {
            assert_eq!(send(by(&[Proof::Jwt], &[]), &cookies), Ok("user-17".into()));
            assert_eq!(send(by(&[Proof::Jwt, Proof::Session], &[]), &cookies), Ok("user-17".into()));
            let none = Call {
                fields: vec![("cookie", &cookies)],
                ..Call::of(realm(), Route { requires: Requirement::Public, ..by(&[], &[]) })
            };
            assert!(none.told(&platform).is_ok(), "a public route asks for neither");
            let of_keys = send(by(&[Proof::Key], &[]), &cookies);
            assert_eq!(
                of_keys,
                Err(Denial::MissingCredential { by: &[Proof::Key], stray: Some(Stray::Kind(Proof::Jwt)) })
            );
        }
    }
    for token in [token.as_str(), "x", "x; token=y"] {
        let cookies = format!("token={token}; {good}");
        assert_eq!(send(by(&[Proof::Session], &[]), &cookies), Ok("cart-7".into()));
    }
}
