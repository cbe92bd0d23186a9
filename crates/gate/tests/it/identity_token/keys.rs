//! The keys that sign: nothing passes without one, and all of them are published.

use super::*;

#[test]
fn without_a_key_that_is_fit_nothing_passes_and_nothing_is_asked() {
    for seed in [None, Some(""), Some("c2hvcnQ"), Some("not base64 at all, but long enough to be a seed....")]
    {
        let (platform, key) = deployment(&unlimited());
        platform.named_secrets.borrow_mut().remove("KEYWARD_IDENTITY_KEY");
        platform.named_secrets.borrow_mut().extend(seed.map(|seed| ("KEYWARD_IDENTITY_KEY", seed)));
        let bearer = format!("Bearer {}", key.expose());
        for (method, path) in [("GET", "/orders"), ("GET", "/status"), ("POST", "/hook")] {
            let url = format!("https://api.example.com{path}");
            let request =
                Request { method, url: &url, fields: &[("authorization", &bearer)], ..Request::default() };
            let answer = told(&platform, *POLICY, &request).unwrap_err();
            assert_eq!(answer.status, 503, "{seed:?} {path}");
            assert!(answer.body.contains("NOT_CONFIGURED"), "{}", answer.body);
        }
        assert_eq!(platform.asked(), [""; 0], "{seed:?}");
        let logged = platform.logged.take().join("\n");
        assert!(logged.contains("KEYWARD_IDENTITY_KEY"), "{logged}");
        assert!(seed.is_none_or(|seed| seed.is_empty() || !logged.contains(seed)), "{logged}");
        let found = now(ready::check(*POLICY, &platform, &RefCell::default()));
        assert_eq!(found.status(), 503);
        assert!(found.body(true).contains("KEYWARD_IDENTITY_KEY is not"), "{}", found.body(true));
    }
}

#[test]
fn a_key_that_is_only_published_and_not_fit_stops_nothing_and_is_named() {
    let (platform, key) = deployment(&unlimited());
    platform.named_secrets.borrow_mut().insert("KEYWARD_IDENTITY_KEY_NEXT", "c2hvcnQ");
    by_key(&platform, *POLICY, "/orders", &key);
    let found = now(ready::check(*POLICY, &platform, &RefCell::default()));
    assert!(found.body(true).contains("KEYWARD_IDENTITY_KEY_NEXT is not fit"), "{}", found.body(true));
    platform.named_secrets.borrow_mut().remove("KEYWARD_IDENTITY_KEY_NEXT");
    assert_eq!(now(ready::check(*POLICY, &platform, &RefCell::default())).status(), 200);
}

#[test]
fn a_request_whose_token_cannot_be_signed_does_not_pass_and_is_in_flight_no_more() {
    let limits = Limits { in_flight: Some(1), ..Limits::default() };
    let (platform, key) = deployment(&Record { limits, ..record() });
    platform.sign_fault.set(Some("no luck"));
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str())];
    let request = Request { url: "https://api.example.com/orders", fields: &fields, ..Request::default() };
    for _ in 0..3 {
        assert_eq!(told(&platform, *POLICY, &request).unwrap_err().status, 503);
    }
    platform.sign_fault.set(None);
    assert!(told(&platform, *POLICY, &request).unwrap().is_some());
    assert_eq!(told(&platform, *POLICY, &request).unwrap_err().status, 429);
}

fn keys_of(platform: &FakePlatform) -> Vec<Value> {
    let url = "https://api.example.com/.well-known/jwks.json";
    let answer = |method| {
        let request = Request { method, url, ..Request::default() };
        let Outcome::Builtin(builtin) = platform.handle(*POLICY, &request).outcome else { panic!("no keys") };
        let keyward_core::route::BuiltinRoute::Jwks(realm) = builtin.route else { panic!("no keys") };
        now(platform.gate(Some(*POLICY)).jwks(&request, realm, "id"))
    };
    assert_eq!(answer("POST").status, 405);
    let (got, head) = (answer("GET"), answer("HEAD"));
    assert_eq!((got.status, &got.headers), (head.status, &head.headers));
    assert_eq!((got.status, head.body.as_str()), (200, ""));
    let field = |name| got.headers.iter().find(|(own, _)| *own == name).unwrap().1.as_str();
    assert_eq!(field("Content-Type"), "application/jwk-set+json");
    assert_eq!(field("Cache-Control"), "public, max-age=300");
    let set: Value = serde_json::from_str(&got.body).unwrap();
    set["keys"].as_array().unwrap().clone()
}

#[test]
fn the_keys_are_not_told_over_a_connection_that_the_realm_does_not_take() {
    let (platform, _) = deployment(&unlimited());
    let realms: Vec<_> = POLICY
        .realms
        .iter()
        .map(|realm| {
            let transport = Transport { least_tls: Some(TlsVersion::V1_2), local_http: false };
            Realm { transport, ..*realm }
        })
        .collect();
    let policy: &'static Policy = Box::leak(Box::new(Policy { realms: realms.leak(), ..**POLICY }));
    let asked = |scheme: &str| {
        let url = format!("{scheme}://api.example.com/.well-known/jwks.json");
        let request = Request { url: &url, ..Request::default() };
        let Outcome::Builtin(builtin) = platform.handle(policy, &request).outcome else { panic!("no keys") };
        let keyward_core::route::BuiltinRoute::Jwks(realm) = builtin.route else { panic!("no keys") };
        now(platform.gate(Some(policy)).jwks(&request, realm, "id"))
    };
    assert_eq!(asked("https").status, 200);
    let refused = asked("http");
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(
        refused.body.contains("INSECURE_TRANSPORT") && !refused.body.contains("\"keys\""),
        "{}",
        refused.body
    );
}

#[test]
fn the_keys_are_published_the_next_one_and_the_one_before_too_and_one_signs() {
    let (platform, key) = deployment(&unlimited());
    let mut own = Key::Ed.jwk();
    own["kid"] = json!(KEY_ID);
    own["use"] = json!("sig");
    own["alg"] = json!("EdDSA");
    assert_eq!(keys_of(&platform), [own.clone()]);

    let (platform, _) = (deployment(&unlimited()).0, key);
    let others = [
        ("KEYWARD_IDENTITY_KEY_NEXT", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"),
        ("KEYWARD_IDENTITY_KEY_PREVIOUS", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="),
    ];
    platform.named_secrets.borrow_mut().extend(others);
    let keys = keys_of(&platform);
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], own);
    assert!(keys.iter().all(|key| key.get("d").is_none()), "no private key");
    // Whatever is there twice is published once.
    let (platform, _) = deployment(&unlimited());
    platform.named_secrets.borrow_mut().insert("KEYWARD_IDENTITY_KEY_NEXT", SEED);
    assert_eq!(keys_of(&platform), [own]);
}

#[test]
fn the_keys_are_there_on_the_realms_hosts_only() {
    let text = TEXT.replace("FRESHNESS", "5s").replace("LIMITS", "");
    let text = text.replace(r#"hosts = ["*"]"#, r#"hosts = ["api.example.com"]"#);
    let policy: &Policy = Box::leak(Box::new(compile("keyward.toml", |_| Ok(text.clone())).unwrap()));
    let (platform, _) = deployment(&unlimited());
    for (url, is_there) in [
        ("https://api.example.com/.well-known/jwks.json", true),
        ("https://api.example.com/.well-known/jwks.json?v=2", true),
        ("https://api.example.com/.well-known/JWKS.json", false),
        ("https://api.example.com/.well-known/jwks.json/", false),
        ("https://other.example/.well-known/jwks.json", false),
    ] {
        let request = Request { url, ..Request::default() };
        let outcome = platform.handle(policy, &request).outcome;
        assert_eq!(matches!(outcome, Outcome::Builtin(_)), is_there, "{url}: {outcome:?}");
    }
}
