//! What a policy means: the default one, and fields that are left out.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_policy::{compile::compile, *};

fn policy(text: &str) -> Policy {
    compile("keyward.toml", |_| Ok(text.to_owned())).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn default_realm() -> &'static Realm {
    policy(include_str!("../../../../keyward.toml")).realms.first().unwrap()
}

/// A policy with only what must be there, and this after the realm's own fields.
fn least(more: &str) -> &'static Realm {
    let token = if more.contains("realm.jwt") { ", { header = \"X-Token\", kind = \"jwt\" }" } else { "" };
    let credentials = format!("credentials = [{{ header = \"X-Api-Key\" }}{token}]");
    let text = format!(
        r#"
[[realm]]
id = "least"
hosts = ["api.example.com", "*.Example.org"]
paths = ["/*"]
origin = {{ url = "https://Origin.example.com:443/" }}
{credentials}
{more}
[[realm.route]]
path = "/*"
requires = "key"
"#
    );
    policy(&text).realms.first().unwrap()
}

/// What the default policy asks of a request: `None` is a refusal.
fn asked(method: &str, path: &str) -> Option<Requirement> {
    default_realm().route_for(method, path).map(|route| route.requires)
}

#[test]
fn the_default_policy_protects_the_api_as_documented() {
    let policy = policy(include_str!("../../../../keyward.toml"));
    assert_eq!((policy.admin.api, policy.admin.page), ("/api/admin", "/admin"));
    assert_eq!(policy.realm_for("any.example", "/api/orders").map(|realm| realm.id), Some("default"));
    for outside in ["/", "/api", "/apis/x", "/other"] {
        assert_eq!(policy.realm_for("any.example", outside), None, "{outside}");
    }

    for path in ["/api/orders", "/api/orders/1", "/api/orders.csv"] {
        for (method, scope) in [
            ("GET", "orders:read"),
            ("HEAD", "orders:read"),
            ("POST", "orders:write"),
            ("PUT", "orders:write"),
            ("PATCH", "orders:write"),
            ("DELETE", "orders:write"),
        ] {
            let Some(Requirement::Key(key)) = asked(method, path) else { panic!("{method} {path}") };
            assert_eq!(key.scopes, [scope], "{method} {path}");
        }
        assert_eq!(asked("PROPFIND", path), None);
    }
    assert_eq!(asked("POST", "/api/public/x"), Some(Requirement::Public));
    for path in ["/api/", "/api/other", "/api/public", "/api/Orders"] {
        assert_eq!(asked("GET", path), None, "{path}");
    }

    let realm = default_realm();
    assert!(scope::holds(realm.scopes, &["orders:write"], "orders:read"), "write includes read");
    assert!(!scope::holds(realm.scopes, &["orders:read"], "orders:write"));
    assert_eq!(
        realm.credentials,
        [CredentialSource {
            header: "authorization",
            scheme: Some("Bearer"),
            kind: SourceKind::Key,
            forward: false
        }]
    );
    assert_eq!(realm.freshness, Span::from_secs(5));
    assert_eq!(realm.origin, Origin::Binding("ORIGIN"));
    assert_eq!((realm.key.live_prefix, realm.key.test_prefix), ("kw_live_", Some("kw_test_")));
    assert_eq!((realm.key.random, realm.key.checksum, realm.key.alphabet), (30, 6, Alphabet::Base62));
    let grant = |name| realm.scopes.iter().find(|scope| scope.name == name).map(|scope| scope.grant);
    assert_eq!([grant("admin:read"), grant("admin:write")], [Some(Grant::Admin); 2]);
}

#[test]
fn fields_that_are_left_out_have_the_strict_defaults() {
    let realm = least("");
    assert_eq!(realm.hosts, [HostPattern::Exact("api.example.com"), HostPattern::Below(".example.org")]);
    assert_eq!(realm.origin, Origin::Url("https://origin.example.com"));
    assert_eq!((realm.origin_timeout, realm.freshness), (Span::from_secs(30), Span::from_secs(5)));
    assert_eq!(realm.client_timeout, Span::from_secs(30));
    assert_eq!(realm.decision_timeout, Span::from_secs(2));
    assert_eq!(realm.limits_unavailable, LimitsUnavailable::Refuse);
    assert_eq!(
        realm.forbidden_query_parameters,
        ["api_key", "apikey", "api-key", "x-api-key", "access_token"]
    );
    assert_eq!(realm.test_mode, TestMode::ReadOnly);
    assert_eq!(realm.key, default_realm().key);
    assert_eq!(realm.limits, default_realm().limits);
    assert_eq!(realm.cors, None);
    assert_eq!(
        realm.refusals,
        Refusals { style: RefusalStyle::Problem, codes: &[], messages: &[], statuses: &[] }
    );
    assert!(realm.scopes.is_empty() && realm.step_up.is_empty() && realm.owner_only.is_empty());
    assert_eq!(realm.transport, Transport { least_tls: None, local_http: false });
    assert_eq!((realm.rotation, realm.secret_keys_from_pages), (Rotation::KeepOld, PageKeys::Pass));
    assert!(realm.jwt.is_none() && realm.link.is_none() && realm.static_keys.is_empty());
    assert_eq!((realm.session_id_header, realm.key.tenant), (None, None));
    let route = realm.routes[0];
    assert!(!route.session_id && route.freshness.is_none());
    let admin = policy(include_str!("../../../../keyward.toml")).admin;
    assert!(admin.step_up_roles);
    assert_eq!((admin.storage, admin.audit_retention), (8_000_000_000, None));
    assert_eq!((admin.quotas.keys, admin.quotas.key_bytes, admin.rate.network), (10_000, 100_000_000, 600));
    let Some(Requirement::Key(key)) = realm.routes.first().map(|route| route.requires) else { panic!() };
    assert_eq!(key, KeyRequirement::ANY_KEY);
}

#[test]
fn a_hex_key_has_128_bits_and_no_check_by_default_and_a_short_key_shows_nothing() {
    let key = least("[realm.key]\nlive_prefix = \"sk_\"\nalphabet = \"hex\"").key;
    assert_eq!((key.random, key.checksum, key.visible, key.test_prefix), (32, 0, 0, None));
    let key =
        least("[realm.key]\nlive_prefix = \"sk_\"\nalphabet = \"base64url\"\nrandom = 43\ncheck = 0").key;
    assert_eq!((key.random, key.checksum, key.visible), (43, 0, 4));
}

#[test]
fn a_key_with_a_tenants_part_shows_no_random_characters_by_default() {
    let key = least("[realm.key]\nlive_prefix = \"sk_\"\ntenant = \"id\"").key;
    assert_eq!((key.tenant, key.visible), (Some(TenantPart::Id), 0));
}

#[test]
fn routes_that_name_no_plan_have_the_realms() {
    let plans = |route: usize| {
        let realm =
            least("plans = [\"pro\"]\n[[realm.route]]\npath = \"/free/*\"\nrequires = { plans = [] }");
        let Requirement::Key(key) = realm.routes[route].requires else { panic!() };
        key.plans
    };
    assert_eq!((plans(0), plans(1)), (&[][..], &["pro"][..]));
}

#[test]
fn a_realm_takes_tokens_by_the_rules_that_it_names() {
    let realm = least(
        r#"
[[realm.route]]
path = "/people"
requires = { by = ["jwt"] }
freshness = "1s"
[realm.jwt]
issuer = "https://id.example"
audience = "a"
secret = "JWT_SECRET"
subject_claim = ["app", "user"]
skew = "1m"
"#,
    );
    let jwt = realm.jwt.unwrap();
    assert_eq!(
        (jwt.keys, jwt.audiences, jwt.skew),
        (JwtKeys::Secret { name: "JWT_SECRET", form: SecretForm::Text }, &["a"][..], Span::from_mins(1))
    );
    assert_eq!(jwt.claims, Claims { subject: &["app", "user"], tenant: None, scopes: None });
    assert_eq!(realm.routes[0].freshness, Some(Span::from_secs(1)));
}

#[test]
fn cors_always_allows_the_headers_that_a_key_may_stand_in() {
    let cors = |more: &str| {
        least(&format!("[realm.cors]\norigins = [\"https://App.example.com:443\"]\n{more}")).cors.unwrap()
    };
    let default = cors("");
    assert_eq!(default.origins, ["https://app.example.com"]);
    assert_eq!(default.methods, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
    assert_eq!(default.headers, ["authorization", "content-type", "idempotency-key", "x-api-key"]);
    assert_eq!(default.max_age, Span::from_mins(10));
    assert_eq!(cors("headers = [\"X-Trace\"]").headers, ["x-trace", "x-api-key"]);
}

#[test]
fn includes_reach_through_any_number_of_steps_and_through_circles() {
    let scopes = least(
        r#"[realm.scopes]
"a:one" = { description = "1", includes = ["a:two"] }
"a:two" = { description = "2", includes = ["a:three"] }
"a:three" = { description = "3", includes = ["a:one", "b:four"] }
"b:four" = "4""#,
    )
    .scopes;
    let includes: Vec<_> = scopes.iter().map(|scope| (scope.name, scope.includes)).collect();
    assert_eq!(
        includes,
        [
            ("a:one", &["a:three", "a:two", "b:four"][..]),
            ("a:two", &["a:one", "a:three", "b:four"]),
            ("a:three", &["a:one", "a:two", "b:four"]),
            ("b:four", &[]),
        ]
    );
}

#[test]
fn a_local_origin_may_be_plain_http() {
    for url in ["http://localhost:8788", "http://127.0.0.1", "http://[::1]:80", "http://shop.localhost"] {
        let text =
            include_str!("mistakes/right.toml").replace("binding = \"ORIGIN\"", &format!("url = \"{url}\""));
        let Origin::Url(origin) = policy(&text).realms[0].origin else { panic!() };
        assert_eq!(origin, url.trim_end_matches(":80"));
    }
}

#[test]
fn a_realm_that_shares_only_some_hosts_or_paths_with_an_earlier_one_is_reached() {
    let right = include_str!("mistakes/right.toml");
    let second = |hosts: &str, paths: &str| {
        format!(
            "{right}\n[[realm]]\nid = \"second\"\nhosts = [{hosts}]\npaths = [{paths}]\norigin = {{ binding = \"O\" }}\n\
             credentials = [{{ header = \"X-Key\" }}]\n[[realm.route]]\npath = \"/*\"\nrequires = \"key\"\n"
        )
    };
    for (hosts, paths) in [
        ("\"api.example.com\", \"b.example.com\"", "\"/api/*\""),
        ("\"api.example.com\"", "\"/api/*\", \"/v2/*\""),
        ("\"*\"", "\"/api/*\""),
        ("\"api.example.com\"", "\"/*\""),
    ] {
        assert_eq!(policy(&second(hosts, paths)).realms.len(), 2, "{hosts} {paths}");
    }
}

#[test]
fn hosts_and_ports_of_an_origin_are_checked_by_their_form() {
    let right = include_str!("mistakes/right.toml");
    let with = |authority: &str| {
        let url = format!("url = \"https://{authority}\"");
        compile("keyward.toml", |_| Ok(right.replace("binding = \"ORIGIN\"", &url))).is_ok()
    };
    for good in [
        "a.example",
        "a-b.example:1",
        "192.0.2.1:65535",
        "[2001:db8::1]",
        "[2001:db8::1]:8443",
        "xn--bcher-kva.example",
        "my_app:3000",
    ] {
        assert!(with(good), "{good}");
    }
    let long = "a".repeat(64);
    for bad in [
        "",
        "a..b",
        "-a.example",
        "a-.example",
        "a b",
        "1.2.3",
        "a:",
        "a:0",
        "a:+1",
        "a:65536",
        "a:b",
        "[::g]",
        "é.example",
        &long,
    ] {
        assert!(!with(bad), "{bad}");
    }
}

#[test]
fn words_that_only_resemble_keys_are_no_keys() {
    let right = include_str!("mistakes/right.toml");
    for comment in [
        "kw_live_ and kw_test_ are the default prefixes, sk_live_ is ours",
        "kw_live_<30 random characters>",
        "ask_live_show_with_a_rather_long_word_in_it_that_is_not_a_key",
    ] {
        policy(&format!("# {comment}\n{right}"));
    }
}

#[test]
fn a_size_may_be_written_in_powers_of_a_thousand_and_of_1024() {
    let right = include_str!("mistakes/right.toml");
    for (written, bytes) in [("25MB", 25_000_000), ("25MiB", 25 * 1024 * 1024), ("1MiB", 1024 * 1024)] {
        let webhook = format!(
            "[[realm.route]]\npath = \"/api/hook\"\nrequires = {{ webhook = \"own\" }}\n\
             [realm.webhook.own]\nscheme = \"github\"\nsecret = \"OWN_SECRET\"\nmax_body = \"{written}\"\n"
        );
        let policy = policy(&format!("{right}\n{webhook}"));
        let webhook = policy.realms[0].routes.iter().find_map(|route| match route.requires {
            Requirement::Webhook(webhook) => Some(webhook),
            _ => None,
        });
        assert_eq!(webhook.unwrap().max_body, Some(bytes), "{written}");
    }
}

#[test]
fn a_byte_order_mark_at_the_beginning_of_a_file_says_nothing() {
    let right = include_str!("mistakes/right.toml");
    assert_eq!(policy(&format!("\u{feff}{right}")), policy(right));
    let included = compile("a.toml", |file| {
        Ok(if file == "a.toml" {
            "\u{feff}include = [\"b.toml\"]".into()
        } else {
            format!("\u{feff}{right}")
        })
    });
    assert_eq!(included.unwrap().realms, policy(right).realms);
    let wrong = format!("\u{feff}{}", right.replace("id = \"shop\"", "id = \"The Shop\""));
    assert_eq!(compile("a.toml", |_| Ok(wrong.clone())).unwrap_err().list[0].line, 6);
}

#[test]
fn plain_http_to_another_host_passes_where_the_policy_says_so() {
    let right = include_str!("mistakes/right.toml");
    for (url, origin) in [
        ("http://app:3000", "http://app:3000"),
        ("http://my_app:80", "http://my_app"),
        ("HTTP://192.168.0.7:8080/", "http://192.168.0.7:8080"),
        ("http://[fd00::1]", "http://[fd00::1]"),
        ("http://localhost:3000", "http://localhost:3000"),
    ] {
        let text = right.replace("binding = \"ORIGIN\"", &format!("url = \"{url}\", plain_http = true"));
        assert_eq!(policy(&text).realms[0].origin, Origin::Url(origin), "{url}");
    }
}

#[test]
fn a_slow_origin_may_take_a_quarter_of_an_hour() {
    let text =
        include_str!("mistakes/right.toml").replace("origin_timeout = \"30s\"", "origin_timeout = \"15m\"");
    assert_eq!(policy(&text).realms[0].origin_timeout, Span::from_mins(15));
}

#[test]
fn a_host_that_is_named_in_full_is_no_tenants_and_one_that_a_wildcard_takes_is_of_none_there_is() {
    let right = include_str!("mistakes/right.toml");
    let realm = |hosts: &str| policy(&right.replace("\"api.example.com\"", hosts)).realms[0];
    for hosts in [
        "\"api.th.test\", \"{tenant}.th.test\"",
        "\"{tenant}.th.test\", \"api.th.test\"",
        "\"{tenant}.th.test\", \"API.th.test\", \"*.th.test\"",
        "\"*\", \"{tenant}.TH.test\", \"api.th.test\"",
        "\"[2001:DB8:0::1]\", \"{tenant}.th.test\", \"api.th.test\"",
    ] {
        let realm = realm(hosts);
        for host in ["api.th.test", "API.TH.test", "api.th.test."] {
            assert_eq!(realm.tenant_of(host), None, "{hosts}: {host}");
        }
        for (host, code) in [
            ("acme.th.test", "acme"),
            ("ACME.TH.TEST.", "ACME"),
            ("apis.th.test", "apis"),
            ("xn--bcher-kva.th.test", "xn--bcher-kva"),
        ] {
            assert_eq!(realm.tenant_of(host), Some(code), "{hosts}: {host}");
        }
        for host in [
            "api.acme.th.test",
            "th.test",
            "th.test.evil.example",
            "acme.th.test..",
            "192.0.2.1",
            "[::1]",
            "",
        ] {
            assert_eq!(realm.tenant_of(host), Some(""), "{hosts}: {host}");
        }
    }
    assert_eq!(realm("\"[2001:DB8:0::1]\", \"{tenant}.th.test\"").tenant_of("[2001:db8::1]"), None);
    // Where hosts are nobody's own, tenants have none.
    for hosts in ["\"*\"", "\"*.th.test\"", "\"api.th.test\""] {
        for host in ["api.th.test", "acme.th.test", "a.b.th.test"] {
            assert_eq!(realm(hosts).tenant_of(host), None, "{hosts}: {host}");
        }
    }
}

#[test]
fn an_address_among_the_hosts_has_the_form_that_requests_have() {
    let right = include_str!("mistakes/right.toml");
    for (written, kept) in [
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"),
        ("192.0.2.1", "192.0.2.1"),
    ] {
        let realm = policy(&right.replace("api.example.com", written)).realms[0];
        assert_eq!(realm.hosts, [HostPattern::Exact(kept)], "{written}");
    }
}

#[test]
fn the_admin_side_takes_as_much_as_it_says() {
    let text = include_str!("../../../../keyward.toml").replace(
        "[admin]\n",
        "[admin]\nstorage = \"500MB\"\naudit_retention = \"400d\"\nrate = { tenant = 7 }\n\
         quotas = { keys = 5, key_bytes = \"2MB\" }\n",
    );
    let admin = policy(&text).admin;
    assert_eq!((admin.storage, admin.audit_retention), (500_000_000, Some(Span::from_days(400))));
    assert_eq!((admin.quotas.keys, admin.quotas.key_bytes, admin.quotas.links), (5, 2_000_000, 10_000));
    assert_eq!((admin.rate.tenant, admin.rate.principal), (7, 1_200));
}
