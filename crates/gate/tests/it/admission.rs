//! What a request must bring beside a key, and keys that need no store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{
    record::{KeyKind, Mode, Record},
    request_target::RequestTarget,
    secret::Secret,
};
use keyward_gate::{
    admission::Admission,
    client_info::ClientInfo,
    denial::{Denial, PublishableFault},
    gate::Identity,
    identity,
    pipeline::Accepted,
    transport,
};
use keyward_policy::{
    HostPattern, KeyRequirement, Policy, Proof, Realm, Requirement, Route, StaticKey, TestMode, TlsVersion,
    Transport,
};
use keyward_testing::{
    fake_platform::{CALLER, FakePlatform, Request},
    policy::POLICY,
    record,
};

const AGENT: StaticKey = StaticKey {
    id: "agent",
    // printf %s an-agents-own-key | sha256sum
    sha256: "739d2f15af454f80712637b9659295566e733d04af4435dfd8c0ee99c7c05490",
    scopes: &["orders:*"],
    tenant: Some("acme"),
    plan: Some("pro"),
};
const AGENTS_KEY: &str = "an-agents-own-key";

fn realm() -> Realm {
    Realm {
        static_keys: Box::leak(Box::new([AGENT])),
        session_id_header: Some("x-session-id"),
        ..POLICY.realms[0]
    }
}

fn route(requires: Requirement) -> Route {
    Route { requires, ..POLICY.realms[0].routes[0] }
}

fn needs(scopes: &'static [&'static str], plans: &'static [&'static str]) -> Route {
    route(Requirement::Key(KeyRequirement { scopes, plans, ..KeyRequirement::ANY_KEY }))
}

fn admit(
    platform: &FakePlatform,
    realm: &Realm,
    route: &Route,
    fields: &[(&str, &str)],
) -> Result<Accepted, Denial> {
    let request = Request { fields, ..Request::default() };
    match platform.authenticate(
        realm,
        route,
        RequestTarget::of("https://a.example/api/orders"),
        CALLER,
        &request,
    ) {
        Ok(Admission::Pass(accepted)) => Ok(accepted),
        Ok(Admission::Redirect(_)) => panic!("no link was followed"),
        Err(refused) => Err(refused.denial),
    }
}

fn forwarded(accepted: &Accepted) -> Vec<(&'static str, String)> {
    identity::headers(&POLICY.realms[0], &accepted.permit, "req-1")
}

#[test]
fn a_configured_key_is_checked_without_any_store() {
    let platform = FakePlatform::new();
    let bearer = format!("Bearer {AGENTS_KEY}");
    let accepted =
        admit(&platform, &realm(), &needs(&["orders:write"], &["pro"]), &[("authorization", &bearer)])
            .unwrap();
    assert_eq!(platform.asked(), Vec::<String>::new());
    assert!(accepted.windows.is_empty());
    let headers = forwarded(&accepted);
    for (name, value) in [
        ("Keyward-Key-Id", "agent"),
        ("Keyward-Tenant", "acme"),
        ("Keyward-Plan", "pro"),
        ("Keyward-Scopes", "orders:*"),
    ] {
        assert!(headers.contains(&(name, value.to_owned())), "{name}: {headers:?}");
    }
}

#[test]
fn a_configured_key_is_decided_on_like_any_other() {
    let platform = FakePlatform::new();
    let bearer = format!("Bearer {AGENTS_KEY}");
    let refused =
        |route: Route| admit(&platform, &realm(), &route, &[("authorization", &bearer)]).unwrap_err();
    assert_eq!(
        refused(needs(&["admin:read"], &[])),
        Denial::InsufficientScope { of: Proof::Key, required: &["admin:read"] }
    );
    assert_eq!(refused(needs(&[], &["enterprise"])), Denial::PlanRequired { plans: &["enterprise"] });
    let elsewhere = Realm { static_keys: &[], ..realm() };
    let unknown = admit(&platform, &elsewhere, &needs(&[], &[]), &[("authorization", &bearer)]).unwrap_err();
    assert!(matches!(unknown, Denial::MalformedKey { .. }));
}

#[test]
fn a_key_that_no_list_has_is_looked_for_in_the_stores() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    platform.tell(&key, &record());
    let bearer = format!("Bearer {}", key.expose());
    let accepted =
        admit(&platform, &realm(), &needs(&["orders:read"], &[]), &[("authorization", &bearer)]).unwrap();
    assert!(matches!(accepted.permit.identity(), Identity::Key(found) if found.id == record().id));
}

#[test]
fn the_sessions_id_is_checked_and_forwarded_and_required_where_the_route_says_so() {
    let platform = FakePlatform::new();
    let bearer = format!("Bearer {AGENTS_KEY}");
    let open = needs(&[], &[]);
    let strict = Route { session_id: true, ..open };
    let session = |route: &Route, id: Option<&str>| {
        let mut fields = vec![("authorization", bearer.as_str())];
        fields.extend(id.map(|id| ("x-session-id", id)));
        let headers = forwarded(&admit(&platform, &realm(), route, &fields)?);
        Ok(headers.into_iter().find(|(name, _)| *name == "Keyward-Session").map(|(_, value)| value))
    };
    assert_eq!(
        session(&strict, Some("unique_session_string_123")),
        Ok(Some("unique_session_string_123".into()))
    );
    assert_eq!(session(&strict, None), Err(Denial::InvalidSessionId));
    assert_eq!(session(&open, None), Ok(None));
    for bad in ["", "a b", "a, a", "a/b", "é", &"a".repeat(129)] {
        assert_eq!(session(&open, Some(bad)), Err(Denial::InvalidSessionId), "{bad}");
    }
    let without = admit(&platform, &realm(), &strict, &[]).unwrap_err();
    assert!(matches!(without, Denial::MissingCredential { .. }), "who asks is the first question");
}

#[test]
fn a_request_that_lacks_its_session_costs_no_quota() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    platform.tell(&key, &record());
    let strict = Route { session_id: true, ..needs(&[], &[]) };
    let bearer = format!("Bearer {}", key.expose());
    admit(&platform, &realm(), &strict, &[("authorization", &bearer)]).unwrap_err();
    assert_eq!(platform.asked(), Vec::<String>::new());
}

#[test]
fn on_a_tenants_host_its_own_keys_pass_and_no_others() {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    let mut own = record();
    own.tenant.code = Some("a".into());
    platform.tell(&key, &own);
    let bearer = format!("Bearer {}", key.expose());
    let on = |suffix: &'static str| {
        let realm = Realm { hosts: Box::leak(Box::new([HostPattern::Tenant(suffix)])), ..realm() };
        admit(&platform, &realm, &needs(&[], &[]), &[("authorization", &bearer)]).map(|_| ())
    };
    assert_eq!(on(".example"), Ok(()));
    let other = FakePlatform::new();
    own.tenant.code = Some("b".into());
    other.tell(&key, &own);
    let realm = Realm { hosts: &[HostPattern::Tenant(".example")], ..realm() };
    assert_eq!(
        admit(&other, &realm, &needs(&[], &[]), &[("authorization", &bearer)]).unwrap_err(),
        Denial::UnknownKey { slip: None }
    );
}

#[test]
fn beside_tenants_hosts_one_that_is_named_takes_every_tenants_keys_and_any_other_takes_none() {
    const TENANT: HostPattern = HostPattern::Tenant(".th.test");
    const NAMED: HostPattern = HostPattern::Exact("api.th.test");
    const ORDERS: [&[HostPattern]; 4] = [
        &[NAMED, TENANT],
        &[TENANT, NAMED],
        &[HostPattern::Any, TENANT, NAMED],
        &[NAMED, HostPattern::Below(".th.test"), TENANT],
    ];
    for hosts in ORDERS {
        let realm = Realm { hosts, ..realm() };
        for code in ["acme", "api"] {
            let platform = FakePlatform::new();
            let key = platform.new_key(1);
            let mut own = record();
            own.tenant.code = Some(code.into());
            platform.tell(&key, &own);
            let bearer = format!("Bearer {}", key.expose());
            let request = Request { fields: &[("authorization", &bearer)], ..Request::default() };
            let on = |host: &str| {
                let url = format!("https://{host}/api/orders");
                platform
                    .authenticate(&realm, &needs(&[], &[]), RequestTarget::of(&url), CALLER, &request)
                    .is_ok()
            };
            for host in ["api.th.test", "API.th.test.", "api.th.test:8443"] {
                assert!(on(host), "{hosts:?}: {code} on {host}");
            }
            assert_eq!(on("acme.th.test"), code == "acme", "{hosts:?}: {code}");
            for host in
                ["other.th.test", "x.acme.th.test", "x.api.th.test", "th.test", "192.0.2.1", "[2001:db8::1]"]
            {
                assert!(!on(host), "{hosts:?}: {code} on {host}");
            }
        }
    }
}

fn known(record: &Record) -> (FakePlatform, Secret) {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    platform.tell(&key, record);
    (platform, key)
}

#[test]
fn at_the_admin_api_a_test_key_only_reads_and_keys_of_pages_and_of_the_policy_are_none() {
    for test_mode in [TestMode::ReadOnly, TestMode::Full] {
        let realm = Realm { test_mode, ..realm() };
        let policy = Policy { realms: Box::leak(Box::new([realm])), ..*POLICY };
        let (platform, key) = known(&Record { mode: Mode::Test, ..record() });
        for (method, expected) in [
            ("GET", Ok(())),
            ("HEAD", Ok(())),
            ("POST", Err(Denial::TestMode { live_only: false })),
            ("PATCH", Err(Denial::TestMode { live_only: false })),
            ("DELETE", Err(Denial::TestMode { live_only: false })),
        ] {
            let checked = platform.check_for_admin_api(&policy, &key, ClientInfo { method, ..CALLER });
            assert_eq!(checked.map(|_| ()).map_err(|refused| refused.denial), expected, "{method}");
        }
        let agent = Secret::new(AGENTS_KEY);
        let denied = platform.check_for_admin_api(&policy, &agent, CALLER).unwrap_err().denial;
        assert_eq!(denied, Denial::MalformedKey { slip: None });

        let page = Record {
            kind: KeyKind::Publishable,
            allowed_origins: vec!["https://shop.example".into()],
            scopes: vec!["*".into()],
            ..record()
        };
        let (platform, key) = known(&page);
        for origin in [None, Some("https://shop.example"), Some("https://other.example")] {
            let denied = platform
                .check_for_admin_api(&policy, &key, ClientInfo { origin, ..CALLER })
                .unwrap_err()
                .denial;
            assert_eq!(denied, Denial::OriginRestricted(PublishableFault::Route), "{origin:?}");
        }
    }
}

#[test]
fn a_realm_for_tls_takes_nothing_older_and_no_plain_http_but_from_this_machine() {
    let check = |local_http, scheme: &str, tls: Option<&str>, address| {
        let realm = Transport { least_tls: Some(TlsVersion::V1_2), local_http };
        transport::check(&realm, scheme, Some(address), || tls.map(str::to_owned))
    };
    let far = "192.0.2.1";
    for good in ["TLSv1.2", "TLSv1.3"] {
        assert_eq!(check(false, "https", Some(good), far), Ok(()), "{good}");
    }
    for bad in [None, Some(""), Some("TLSv1"), Some("TLSv1.1"), Some("TLSv1.4"), Some("SSLv3")] {
        assert_eq!(check(true, "https", bad, far), Err(Denial::InsecureTransport), "{bad:?}");
    }
    assert_eq!(check(true, "http", Some("TLSv1.3"), far), Err(Denial::InsecureTransport));
    for (local, near) in [(true, "127.0.0.1"), (true, "::1"), (true, "::ffff:127.0.0.1")] {
        assert_eq!(check(local, "http", None, near), Ok(()), "{near}");
        assert_eq!(check(false, "http", None, near), Err(Denial::InsecureTransport), "{near}");
    }
    let any = Transport { least_tls: None, local_http: false };
    assert_eq!(transport::check(&any, "http", Some(far), || panic!("not asked for")), Ok(()));
}
