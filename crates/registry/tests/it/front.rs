//! What the admin API's front decides about HTTP before the Registry is asked.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use keyward_core::{secret::Secret, sign_in_token::Shown, time::Span};
use keyward_policy::SignIn;
use keyward_registry::{
    admin_call::AdminCredential,
    error::Code,
    front::{self, BodyForm, Credential, Head, MOST_BYTES},
    router::{self, Open},
};

const OWN: &str = "https://api.example.com";
pub const ISSUER: SignIn = SignIn {
    name: "Acme \"Access\"",
    password: false,
    header: Some("cf-access-jwt-assertion"),
    code: None,
    jwt: crate::token_sign_in::ISSUER,
};
const COOKIE: &str = "__Host-keyward-session=kws_abc";

fn head(change: impl FnOnce(&mut Head)) -> Head {
    let mut head = Head::default();
    change(&mut head);
    head
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn a_write_with_the_cookie_needs_the_browsers_word_that_it_is_the_pages_own() {
    let judge = |origin: Option<&str>, site: Option<&str>| {
        let head = Head {
            cookie: text(COOKIE),
            origin: origin.map(str::to_owned),
            fetch_site: site.map(str::to_owned),
            ..Head::default()
        };
        front::require_same_origin("POST", OWN, &head).map_err(|refusal| refusal.code)
    };
    for (origin, site) in [(Some(OWN), None), (None, Some("same-origin")), (Some(OWN), Some("same-origin"))] {
        assert_eq!(judge(origin, site), Ok(()));
    }
    let empty = Head { authorization: text(" "), cookie: text(COOKIE), ..Head::default() };
    assert!(front::require_same_origin("POST", OWN, &empty).is_err(), "an empty Authorization is none");
    for (origin, site) in [
        (None, None),
        (Some("https://evil.example"), None),
        (Some("null"), None),
        (Some("https://api.example.com.evil.example"), None),
        (Some("http://api.example.com"), None),
        (Some("https://api.example.com:8443"), None),
        (None, Some("cross-site")),
        (None, Some("same-site")),
        (None, Some("none")),
        (Some("https://evil.example"), Some("cross-site")),
    ] {
        assert_eq!(judge(origin, site), Err(Code::CrossSite), "{origin:?} {site:?}");
    }
}

#[test]
fn reads_and_writes_of_scripts_need_no_word_of_a_browser() {
    let cookie = head(|head| head.cookie = text(COOKIE));
    for method in ["GET", "HEAD"] {
        assert!(front::require_same_origin(method, OWN, &cookie).is_ok());
    }
    let script = head(|head| head.authorization = text("Bearer kws_abc"));
    for method in ["POST", "PATCH", "DELETE"] {
        assert!(front::require_same_origin(method, OWN, &script).is_ok());
        assert!(front::require_same_origin(method, OWN, &Head::default()).is_ok());
    }
}

#[test]
fn signing_in_from_another_site_is_refused_when_the_browser_says_so() {
    for (origin, site) in
        [(Some("https://evil.example"), None), (None, Some("cross-site")), (None, Some("same-site"))]
    {
        let head = Head {
            origin: origin.map(str::to_owned),
            fetch_site: site.map(str::to_owned),
            ..Head::default()
        };
        assert_eq!(front::require_same_origin("POST", OWN, &head).unwrap_err().code, Code::CrossSite);
    }
}

#[test]
fn the_credential_is_a_session_or_a_key() {
    let shown = |authorization: Option<&str>, cookie: Option<&str>| {
        let head = Head {
            authorization: authorization.map(str::to_owned),
            cookie: cookie.map(str::to_owned),
            ..Head::default()
        };
        match front::credential(&head) {
            Ok(Credential::None) => "nothing".to_owned(),
            Ok(Credential::Session(token)) => format!("session {}", token.expose()),
            Ok(Credential::SetUp(token)) => format!("set-up {}", token.expose()),
            Ok(Credential::Key(key)) => format!("key {}", key.expose()),
            Err(refusal) => {
                assert_eq!(refusal.code, Code::InvalidRequest);
                assert!(!format!("{refusal:?}").contains("kws_abc"), "no credential in a refusal");
                "wrong".to_owned()
            }
        }
    };
    assert_eq!(shown(None, None), "nothing");
    assert_eq!(shown(None, Some("a=b; c")), "nothing");
    assert_eq!(shown(None, Some("__Host-keyward-session=")), "nothing");
    assert_eq!(shown(None, Some(&format!("a=b; {COOKIE}; c=d"))), "session kws_abc");
    assert_eq!(shown(Some("bearer kws_abc"), Some(COOKIE)), "session kws_abc");
    assert_eq!(shown(Some("Bearer kw_live_x"), None), "key kw_live_x");
    assert_eq!(shown(Some("Setup abc"), None), "set-up abc");
    for (authorization, cookie) in [
        (Some("Setup abc"), Some(COOKIE.to_owned())),
        (Some("Setup"), None),
        (Some("Bearer kws_other"), Some(COOKIE.to_owned())),
        (Some("Bearer kw_live_x"), Some(COOKIE.to_owned())),
        (Some("Bearer kw_live_x"), Some("__Host-keyward-session=kw_live_x".to_owned())),
        (None, Some(format!("{COOKIE}; {COOKIE}"))),
        (Some("Bearer"), None),
        (Some("Bearer "), None),
        (Some("Basic a3dzX2FiYw=="), None),
        (Some("Bearer kws_abc, Bearer kws_abc"), None),
        (Some("Bearer a b"), None),
        (Some("kws_abc"), None),
        (Some("Bearer kws_\u{e9}"), None),
    ] {
        assert_eq!(shown(authorization, cookie.as_deref()), "wrong", "{authorization:?} {cookie:?}");
    }
}

#[test]
fn an_api_key_from_a_web_page_of_another_origin_does_nothing_here_not_even_reads() {
    let judge = |method: &str, token: &str, origin: Option<&str>, site: Option<&str>| {
        let head = Head {
            authorization: Some(format!("Bearer {token}")),
            origin: origin.map(str::to_owned),
            fetch_site: site.map(str::to_owned),
            ..Head::default()
        };
        front::judge(method, OWN, &head, MOST_BYTES).map(|_| ()).map_err(|refusal| refusal.code)
    };
    for method in ["GET", "HEAD", "POST", "PATCH", "DELETE"] {
        for (origin, site) in
            [(None, None), (Some(OWN), None), (Some(OWN), Some("same-origin")), (None, Some("none"))]
        {
            assert_eq!(judge(method, "kw_live_x", origin, site), Ok(()), "{method} {origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("https://shop.example"), None),
            (Some("https://shop.example"), Some("same-origin")),
            (Some("https://shop.example"), Some("none")),
            (Some("null"), None),
            (Some(""), None),
            (Some("http://api.example.com"), Some("same-origin")),
            (Some("https://api.example.com:8443"), None),
            (Some("https://api.example.com, https://shop.example"), Some("same-origin")),
            (Some(OWN), Some("cross-site")),
            (Some(OWN), Some("same-origin, cross-site")),
            (None, Some("same-site")),
            (None, Some("cross-site")),
            (None, Some("")),
        ] {
            let refused = Err(Code::CrossSite);
            assert_eq!(judge(method, "kw_live_x", origin, site), refused, "{method} {origin:?} {site:?}");
        }
    }
    // A person's session behind a proxy that the gate does not know of: there the browser's own word counts.
    let proxied = Some("https://console.example");
    assert_eq!(judge("POST", "kws_x", proxied, Some("same-origin")), Ok(()));
}

#[test]
fn what_is_malformed_counts_as_a_failure_where_nobody_needs_to_be_signed_in() {
    const OPEN: &[u16] = &[400, 401, 409, 413, 415, 429];
    for (open, asked, failures) in
        [(true, true, OPEN), (true, false, OPEN), (false, true, &[401]), (false, false, &[])]
    {
        for status in [200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 503] {
            let is_one = front::is_failure(open, asked, status);
            assert_eq!(is_one, failures.contains(&status), "{open} {asked} {status}");
        }
    }
    assert_eq!(router::open("POST", "/session"), Some(Open::SignIn));
    assert_eq!(router::open("POST", "/setup"), Some(Open::SetUp));
    for (method, path) in [
        ("GET", "/session"),
        ("DELETE", "/session"),
        ("POST", "/session/step-up"),
        ("POST", "/api-keys"),
        ("POST", "/x"),
    ] {
        assert_eq!(router::open(method, path), None, "{method} {path}");
    }
}

#[test]
fn a_body_must_be_json_of_at_most_64_kib_or_where_it_is_lines_of_json_a_megabyte() {
    let json = BodyForm::of("POST", "/api-keys");
    let lines = BodyForm::of("POST", "/api-keys/import");
    assert_eq!(BodyForm::of("GET", "/api-keys/import"), json);
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(front::body_text(json, Some(kind), b"{}".to_vec()).unwrap(), "{}");
        let refused = front::body_text(lines, Some(kind), b"{}".to_vec()).unwrap_err();
        assert!(refused.detail.contains("application/x-ndjson"), "{}", refused.detail);
    }
    assert_eq!(front::body_text(lines, Some("application/x-ndjson"), b"{}\n".to_vec()).unwrap(), "{}\n");
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "application/x-ndjson"]
    {
        assert_eq!(
            front::body_text(json, Some(kind), b"{}".to_vec()).unwrap_err().code,
            Code::UnsupportedMediaType
        );
    }
    assert_eq!(front::body_text(json, None, Vec::new()).unwrap(), "", "no body, no type");
    let binary = front::body_text(json, Some("application/json"), vec![0xff, 0xfe]);
    assert_eq!(binary.unwrap_err().code, Code::MalformedJson);

    for (form, most) in [(json, MOST_BYTES), (lines, 1_000_000)] {
        let declared = |length: usize| {
            let head = head(|head| head.content_length = text(&length.to_string()));
            front::require_declared_size(&head, form.most)
        };
        assert!(declared(most).is_ok());
        assert_eq!(declared(most + 1).unwrap_err().code, Code::BodyTooLarge);
    }
    assert_eq!(front::too_large(1).reply("r").status, 413);
}

#[test]
fn a_token_to_sign_in_with_is_the_bodys_else_the_headers_unless_something_else_is_shown() {
    let head = head(|head| {
        head.assertion = text("of the header");
        head.fetch_site = text("same-origin");
    });
    let shown = |path: &str, body: &str| {
        let token = front::token("POST", path, body, OWN, None, &head).unwrap();
        token.map(|token| match token {
            Shown::Token(token) => token.expose().to_owned(),
            Shown::Grant { .. } => panic!("no code was shown"),
        })
    };
    let (header, body) = (text("of the header"), text("of the body"));
    for (path, field) in
        [("/session", "token"), ("/session/step-up", "token"), ("/invitations/accept", "idToken")]
    {
        assert_eq!(shown(path, ""), header, "{path}");
        assert_eq!(shown(path, "{}"), header, "{path}");
        assert_eq!(shown(path, &format!(r#"{{"{field}": "of the body"}}"#)), body, "{path}");
        for none in [
            r#"{"password": "x"}"#,
            r#"{"code": "c", "state": "s"}"#,
            r#"{"passkey": {}}"#,
            &format!(r#"{{"{field}": 1}}"#),
            "{",
            "[]",
        ] {
            assert_eq!(shown(path, none), None, "{path} {none}");
        }
    }
    assert_eq!(shown("/invitations/accept", r#"{"token": "of the link"}"#), header);
    for path in ["/setup", "/recover", "/api-keys", "/members"] {
        assert_eq!(shown(path, ""), None, "{path}");
    }
}

#[test]
fn a_proxys_header_signs_nobody_in_unless_the_browser_says_that_the_page_asks() {
    let judge = |origin: Option<&str>, site: Option<&str>, body: &str| {
        let head = Head {
            assertion: text("of the header"),
            origin: origin.map(str::to_owned),
            fetch_site: site.map(str::to_owned),
            ..Head::default()
        };
        front::token("POST", "/session", body, OWN, None, &head)
            .map(|token| token.is_some())
            .map_err(|it| it.code)
    };
    for (origin, site) in [(Some(OWN), None), (None, Some("same-origin"))] {
        assert_eq!(judge(origin, site, ""), Ok(true));
    }
    for (origin, site) in
        [(None, None), (None, Some("none")), (None, Some("cross-site")), (Some("https://evil.example"), None)]
    {
        assert_eq!(judge(origin, site, ""), Err(Code::CrossSite), "{origin:?} {site:?}");
    }
    // A script behind the proxy signs in as everywhere.
    assert_eq!(judge(None, None, r#"{"email": "a@example.com", "password": "x"}"#), Ok(false));
    assert_eq!(judge(None, None, r#"{"token": "x"}"#), Ok(true));
}

#[test]
fn a_call_with_a_token_is_as_whole_as_one_with_a_password() {
    let subject = |open: Open, body: &str| {
        let failures =
            front::failures_of_open(open, Some(body), "192.0.2.1", "r", false, |token| token == "right");
        failures.map(|it| it.held_back)
    };
    let guess = text("open 192.0.2.1");
    for body in ["", "{}", r#"{"token": "x"}"#] {
        assert_eq!(subject(Open::SignIn, body), guess, "{body}");
    }
    assert_eq!(subject(Open::Accept, r#"{"token": "wrong"}"#), guess);
    assert_eq!(subject(Open::Accept, r#"{"token": "right"}"#), None);
    assert_eq!(subject(Open::SetUp, r#"{"token": "right", "email": "a@example.com"}"#), None);
    for (open, body) in [(Open::SignIn, "{"), (Open::Accept, ""), (Open::SetUp, r#"{"token": "right"}"#)] {
        assert_eq!(subject(open, body), text("malformed 192.0.2.1"), "{body}");
    }
}

#[test]
fn every_code_has_a_section_in_the_documentation_and_every_section_a_code() {
    let (_, sections) = include_str!("../../../../docs/errors.md").split_once("## At the admin API").unwrap();
    let mut documented: Vec<&str> = sections.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut codes: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let (status, name) = code.facts();
            assert!((400..600).contains(&status));
            format!("{name} ({status})")
        })
        .collect();
    documented.sort_unstable();
    codes.sort_unstable();
    assert_eq!(documented, codes);
    // The list of codes is whole: as many as the source has.
    let source = include_str!("../../src/error.rs");
    let variants = source.split("pub enum Code {").nth(1).unwrap().split("\n}").next().unwrap();
    assert_eq!(variants.lines().filter(|line| line.ends_with(',')).count(), Code::ALL.len());
}

#[test]
fn at_the_edge_a_network_holds_back_what_may_be_a_guess_and_nothing_that_proves_it_is_none() {
    let (secrets, setup) = (keyward_testing::secrets(), Secret::new("the-set-up-token-of-this-deployment"));
    let of = |credential: AdminCredential| {
        front::failures_of_shown(&credential, "2001:db8:1:2::7", Some(&secrets), Some(&setup))
    };
    assert_eq!(of(AdminCredential::Key { record: keyward_testing::record() }), None);
    assert_eq!(of(AdminCredential::SetUp { token: setup.expose().into() }), None);
    let junk = of(AdminCredential::Session { token: "kws_made-up".into() }).unwrap();
    assert_eq!((junk.counted.as_str(), &junk.held_back), ("admin 2001:db8:1:2::/64", &junk.counted));
    assert_eq!(junk.site.as_deref(), Some("admin 2001:db8:1::/48"), "ever new networks of one site are one");
    assert_eq!(of(AdminCredential::SetUp { token: "wrong".into() }), Some(junk));

    let open = |open: Open, body: Option<&str>, id: &str| {
        front::failures_of_open(open, body, "192.0.2.1", id, true, |token| setup.equals(token))
            .map(|it| (it.counted, it.held_back))
    };
    let set_up =
        |token: &str| format!(r#"{{"token": "{token}", "email": "a@example.com", "password": "x"}}"#);
    assert_eq!(open(Open::SetUp, Some(&set_up(setup.expose())), "r"), None);
    // What people type is counted in parts, apart from what nobody does.
    let sign_in = r#"{"email": "a@example.com", "password": "x"}"#;
    let parts: BTreeSet<_> =
        (0..500).map(|n| open(Open::SignIn, Some(sign_in), &format!("req-{n}")).unwrap()).collect();
    assert_eq!(parts.len(), 16);
    assert!(parts.iter().all(|(_, held_back)| held_back == "open 192.0.2.1"));
    assert_eq!(open(Open::SetUp, Some(&set_up("wrong")), "r").unwrap().1, "open 192.0.2.1");
    let joins = |token: &str| format!(r#"{{"token": "{token}", "password": "x"}}"#);
    assert_eq!(open(Open::Accept, Some(&joins(setup.expose())), "r"), None, "no address is asked for");
    assert_eq!(open(Open::Accept, Some(&joins("wrong")), "r").unwrap().1, "open 192.0.2.1");
    assert_eq!(open(Open::Accept, Some(r#"{"password": "x"}"#), "r").unwrap().1, "malformed 192.0.2.1");
    assert_eq!(open(Open::SignIn, Some(r#"{"passkey": {}}"#), "r").unwrap().1, "open 192.0.2.1");
    assert_eq!(open(Open::SetUp, Some(r#"{"passkey": {}}"#), "r").unwrap().1, "malformed 192.0.2.1");
    assert_eq!(open(Open::Options, Some(""), "r").unwrap().1, "open 192.0.2.1", "it needs nothing");
    for malformed in [
        None,
        Some(r#"{"passkey": 1}"#),
        Some("{"),
        Some("{}"),
        Some(r#"{"email": "a@example.com"}"#),
        Some(r#"{"email": 1, "password": "x"}"#),
    ] {
        let subject = "malformed 192.0.2.1".to_owned();
        assert_eq!(open(Open::SignIn, malformed, "r"), Some((subject.clone(), subject)), "{malformed:?}");
    }
}

#[test]
fn a_refusal_to_sign_in_takes_as_long_whatever_was_looked_at() {
    let at = |milliseconds| {
        let end = keyward_testing::NOON + Span::from_ms(milliseconds);
        front::keep_back(Open::SignIn, 429, keyward_testing::NOON, end).ms()
    };
    assert_eq!([at(0), at(150), at(1_000), at(9_000), at(-5)], [1_000, 850, 0, 0, 1_000]);
    assert_eq!(front::keep_back(Open::SignIn, 401, keyward_testing::NOON, keyward_testing::NOON).ms(), 0);
    assert_eq!(front::keep_back(Open::SetUp, 429, keyward_testing::NOON, keyward_testing::NOON).ms(), 0);
}

#[test]
fn only_a_session_that_we_made_or_the_set_up_token_is_asked_about_as_an_operators() {
    let ours = {
        let random = [7; 24];
        let check = keyward_testing::secrets().mac("keyward session check 1", &[&random]);
        let bytes: Vec<u8> = random.iter().chain(&check[..8]).copied().collect();
        format!("kws_{}", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes))
    };
    let secrets = keyward_testing::secrets();
    let asked = |shown, secrets| front::of_operator(shown, secrets).is_some();
    assert!(asked(Credential::Session(Secret::new(&*ours)), Some(&secrets)));
    assert!(asked(Credential::SetUp(Secret::new("x")), None));
    assert!(!asked(Credential::Session(Secret::new(ours)), None), "nothing can be said of it");
    assert!(!asked(Credential::Session(Secret::new(format!("kws_{}", "A".repeat(43)))), Some(&secrets)));
    assert!(!asked(Credential::Key(Secret::new("kw_live_x")), Some(&secrets)), "a key is nobody");
    assert!(!asked(Credential::None, Some(&secrets)));
}
