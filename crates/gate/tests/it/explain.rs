//! What the gate says of a request that nobody sent is what it answers to one that somebody sends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use keyward_core::{
    key,
    question::{Question, SupposedRequest},
    record::{KeyKind, Limits, Mode, Record, Status, TenantStatus},
    secret::Secret,
    time::MILLISECOND,
};
use keyward_gate::{Outcome, denial::step::Step};
use keyward_policy::{HostPattern, Policy, Realm, SourceKind, compile::compile};
use keyward_testing::{
    NOON, Seeded, denials,
    fake_platform::{FakePlatform, Request},
    record,
};
use proptest::{
    option,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

/// Realms that ask for something at each step.
const TEXT: &str = r#"
[[realm]]
id = "shop"
hosts = ["shop.example", "*.shop.example"]
paths = ["/api/*"]
origin = { binding = "ORIGIN" }
tls = "1.2"
credentials = [{ header = "Authorization", scheme = "Bearer" }]
session_id_header = "X-Session-Id"

[realm.key]
live_prefix = "shop_live_"
test_prefix = "shop_test_"

[realm.refusals]
style = "json"
codes = { IP_RESTRICTED = "IP_RESTRICTION", UNKNOWN_API_KEY = "NO_SUCH_KEY", MALFORMED_API_KEY = "NO_KEY" }

[[realm.configured_key]]
id = "cron"
hash = "sha256:4aa21f20107f69cb4e50a5c3ae1f6eba5a3ac15d2ba5ebbb7b5f4ae2d6f6b1f5"
scopes = ["orders:read"]
tenant = "tenant-1"

[realm.webhook.events]
scheme = "hmac"
secret = "EVENTS_SECRET"
header = "X-Signature"

[realm.scopes]
"orders:read" = "Read orders"
"orders:write" = { description = "Change orders", includes = ["orders:read"] }
"orders:purge" = { description = "For later", grant = "reserved" }
"files:read" = "Read files"

[[realm.route]]
path = "/api/public/*"
requires = "public"

[[realm.route]]
methods = ["POST"]
path = "/api/events"
requires = { webhook = "events" }

[[realm.route]]
methods = ["GET", "HEAD"]
path = "/api/orders*"
requires = { scopes = ["orders:read"], by = ["key", "publishable"] }

[[realm.route]]
methods = ["POST", "DELETE"]
path = "/api/orders*"
requires = { scopes = ["orders:write"] }

[[realm.route]]
methods = ["GET", "POST"]
path = "/api/both"
requires = { scopes = ["orders:read", "files:read"], plans = ["pro", "team"] }

[[realm.route]]
path = "/api/live"
requires = { live_only = true }

[[realm.route]]
methods = ["GET"]
path = "/api/pages"
requires = { by = ["publishable"] }

[[realm.route]]
path = "/api/chat/{id}"
requires = { session_id = true }

[[realm]]
id = "tenants"
hosts = ["{tenant}.tenants.example"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "X-API-Key" }]
secret_keys_from_pages = "refuse"
test_mode = "full"
plans = ["pro"]

[realm.key]
live_prefix = "tn_"
tenant = "code"
hash = "hmac-sha256"
random = 32
alphabet = "hex"

[[realm.route]]
methods = ["GET", "POST"]
path = "/things*"
requires = "key"

[[realm]]
id = "apps"
hosts = ["apps.example"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
credentials = [{ header = "Authorization", scheme = "Bearer", kind = "jwt" }]

[realm.key]
live_prefix = "app_"

[realm.jwt]
issuer = "https://issuer.example"
audience = "apps"
secret = "APPS_SECRET"

[[realm.route]]
path = "/*"
requires = { by = ["jwt"] }
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    compile("keyward.toml", |_| Ok(TEXT.to_owned())).unwrap_or_else(|mistakes| panic!("{mistakes:#}"))
});

fn policy() -> &'static Policy {
    &POLICY
}

/// The answer to a question, asked at this host.
fn ask(platform: &FakePlatform, question: &Question) -> Value {
    platform.gate(Some(policy())).answer(policy(), question, "admin.example")
}

/// A request to `shop`, at its usual host.
fn request(method: &str, path: &str) -> SupposedRequest {
    SupposedRequest {
        method: method.into(),
        path: path.into(),
        host: Some("shop.example".into()),
        address: None,
        origin: None,
        session_id: None,
    }
}

fn about(request: SupposedRequest, key: Option<&Secret>, record: Option<Record>) -> Question {
    Question {
        tenant: keyward_testing::record().tenant,
        realm: None,
        request: Some(request),
        key: key.map(|key| key.expose().to_owned()),
        record,
    }
}

fn shop_record() -> Record {
    Record { realm: "shop".into(), limits: Limits::default(), ..record() }
}

/// A key of the record's realm, as the Registry makes it.
fn key_of(platform: &FakePlatform, record: &Record) -> Secret {
    let format = &policy().realm(&record.realm).unwrap().key;
    let part = key::tenant_part(format, &record.tenant.id, record.tenant.code.as_deref()).unwrap_or("none");
    key::generate(format, part, record.mode, &platform.secrets, &mut Seeded::new(9))
}

/// What the gate itself answers: its status and code, or that it forwards.
fn answered(
    platform: &FakePlatform,
    supposed: &SupposedRequest,
    key: Option<&Secret>,
) -> Option<(u16, String)> {
    let host = supposed.host.as_deref().unwrap();
    let url = format!("https://{host}{}", supposed.path);
    let mut fields = Vec::new();
    let key = key.map(Secret::expose).unwrap_or_default();
    let bearer = format!("Bearer {key}");
    match host {
        _ if key.is_empty() => {}
        host if host.ends_with("tenants.example") => fields.push(("x-api-key", key)),
        _ => fields.push(("authorization", bearer.as_str())),
    }
    for (name, value) in [
        ("cf-connecting-ip", &supposed.address),
        ("origin", &supposed.origin),
        ("x-session-id", &supposed.session_id),
    ] {
        fields.extend(value.as_deref().map(|value| (name, value)));
    }
    let request = Request { method: &supposed.method, url: &url, fields: &fields, ..Request::default() };
    match platform.handle(policy(), &request).outcome {
        Outcome::Forward(_) => None,
        Outcome::Answer(answer) => {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            let code = body["code"].as_str().or(body["error"]["code"].as_str()).unwrap();
            Some((answer.status, code.to_owned()))
        }
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

fn explained(answer: &Value) -> Option<(u16, String)> {
    let status = answer["status"].as_u64()?;
    Some((status.try_into().unwrap(), answer["code"].as_str().unwrap().to_owned()))
}

fn steps(answer: &Value) -> Vec<&str> {
    answer["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

fn records() -> impl Strategy<Value = Record> {
    let whose = (
        select(vec!["shop", "shop", "shop", "tenants"]),
        select(vec![Some("ABC"), Some("XYZ"), None]),
        select(vec![None, Some("pro"), Some("free")]),
        prop::bool::weighted(0.9),
    );
    let what = (
        select(vec![KeyKind::Secret, KeyKind::Secret, KeyKind::Publishable]),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        select(vec![None, None, Some(NOON), Some(NOON.plus(MILLISECOND))]),
    );
    let bounds = (
        subsequence(vec!["orders:read", "orders:write", "files:*", "*"], 0..3),
        subsequence(vec!["192.0.2.0/24", "2001:db8::/32"], 0..2),
        subsequence(vec!["https://app.example", "https://other.example"], 0..2),
    );
    (whose, what, bounds).prop_map(|(whose, what, bounds)| {
        let mut record = Record { realm: whose.0.into(), kind: what.0, expires_at: what.3, ..shop_record() };
        record.tenant.code = whose.1.map(str::to_owned);
        record.tenant.plan = whose.2.map(str::to_owned);
        record.tenant.status = if whose.3 { TenantStatus::Active } else { TenantStatus::Inactive };
        record.mode = if what.1 { Mode::Live } else { Mode::Test };
        record.status = if what.2 { Status::Active } else { Status::Revoked };
        record.scopes = bounds.0.into_iter().map(str::to_owned).collect();
        record.allowed_ips = bounds.1.into_iter().map(|range| range.parse().unwrap()).collect();
        record.allowed_origins = bounds.2.into_iter().map(str::to_owned).collect();
        record
    })
}

fn requests() -> impl Strategy<Value = SupposedRequest> {
    let methods = select(vec!["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY"]);
    let paths = select(vec![
        "/api/orders",
        "/api/orders/7?limit=5",
        "/api/public/x",
        "/api/both",
        "/api/live",
        "/api/pages",
        "/api/chat/7",
        "/api/events",
        "/api/nothing",
        "/elsewhere",
        "/things",
        "/",
        "/api/a%2Fb",
        "/api/orders//7",
        "/api/orders?api_key=x",
        "/api/orders?k=shop_live_abc",
    ]);
    let hosts = select(vec![
        "shop.example",
        "shop.example",
        "a.shop.example:8443",
        "abc.tenants.example",
        "xyz.tenants.example",
        "apps.example",
        "nobody.example",
    ]);
    let addresses = option::of(select(vec!["192.0.2.7", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.7"]));
    let origins = option::weighted(0.3, select(vec!["https://app.example", "https://evil.example", "null"]));
    let sessions = option::of(select(vec!["chat-7", "not fit"]));
    (methods, paths, hosts, addresses, origins, sessions).prop_map(
        |(method, path, host, address, origin, session_id)| SupposedRequest {
            method: method.into(),
            path: path.into(),
            host: Some(host.into()),
            address: address.map(str::to_owned),
            origin: origin.map(str::to_owned),
            session_id: session_id.map(str::to_owned),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_is_explained_is_what_the_gate_answers(
        record in records(),
        request in requests(),
        shown in select(vec!["its text", "its id", "its id", "unknown", "made up", "foreign", "twice", "nothing"]),
    ) {
        let platform = FakePlatform::new();
        platform.named_secrets.borrow_mut().insert("EVENTS_SECRET", "events-secret-0123456789-0123456789");
        let real = key_of(&platform, &record);
        let format = &policy().realm(&record.realm).unwrap().key;
        for hash in key::storage_hashes(format, &platform.secrets, real.expose()) {
            platform.gates.borrow_mut().entry(hash).or_default().put(record.clone());
        }
        let other = match shown {
            "unknown" => Some(key::generate(format, "ABC", Mode::Live, &platform.secrets, &mut Seeded::new(10))),
            "made up" => Some(Secret::new(format!("{}x", real.expose()))),
            "foreign" => Some(Secret::new("sk_live_something")),
            "twice" => Some(Secret::new(format!("{0},{0}", real.expose()))),
            _ => None,
        };
        let (sent, question) = match shown {
            "nothing" => (None, about(request.clone(), None, None)),
            "its text" => (Some(&real), about(request.clone(), Some(&real), Some(record))),
            "its id" => (Some(&real), about(request.clone(), None, Some(record))),
            _ => (other.as_ref(), about(request.clone(), other.as_ref(), None)),
        };
        let answer = ask(&platform, &question);
        prop_assert_eq!(platform.asked(), Vec::<String>::new(), "it asks nobody");
        prop_assert!(platform.logged.borrow().is_empty());
        prop_assert_eq!(explained(&answer), answered(&platform, &request, sent), "{}", answer);
        // The last step, and only that, is not passed where it is refused.
        let failed = answer["steps"].as_array().unwrap().iter().position(|step| step["ok"] == false);
        let last = steps(&answer).len() - 1;
        prop_assert_eq!(failed, explained(&answer).map(|_| last));
        prop_assert_eq!(answer["allowed"].as_bool(), Some(failed.is_none()));
    }
}

#[test]
fn each_step_is_told_with_what_holds_as_far_as_the_decision_came() {
    let platform = FakePlatform::new();
    let mut record = shop_record();
    record.tenant.plan = Some("pro".into());
    record.scopes = vec!["orders:write".into(), "files:*".into()];
    record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    record.expires_at = Some(NOON.plus(MILLISECOND));
    record.limits = Limits { per_minute: Some(60), per_day: Some(1_000) };
    let from =
        |address: &str| SupposedRequest { address: Some(address.into()), ..request("GET", "/api/both") };
    let step = |name: &str, ok: bool, detail: Value| json!({ "step": name, "ok": ok, "detail": detail });
    let mut expected = vec![
        step("url", true, Value::Null),
        step("realm", true, json!("shop")),
        step("route", true, json!("GET, POST /api/both")),
        step("credential", true, json!("API key")),
        step("key", true, json!("key_1")),
        step("status", true, Value::Null),
        step("expiry", true, json!(NOON.plus(MILLISECOND).to_rfc3339())),
        step("tenant", true, Value::Null),
        step("plan", true, json!("pro")),
        step("address", true, json!("192.0.2.0/24")),
        step("kind", true, json!("secret")),
        step("origin", true, Value::Null),
        step("mode", true, json!("live")),
        step("scopes", true, json!("orders:read files:read")),
        step("limit", true, json!("60 a minute, 1000 a day")),
    ];
    let answer = ask(&platform, &about(from("192.0.2.1"), None, Some(record.clone())));
    let whole = json!({
        "allowed": true, "status": null, "code": null, "realm": "shop",
        "route": { "methods": ["GET", "POST"], "path": "/api/both" }, "steps": expected,
    });
    assert_eq!(answer, whole);

    let answer = ask(&platform, &about(from("198.51.100.1"), None, Some(record)));
    expected.truncate(9);
    let detail = &answer["steps"][9]["detail"];
    assert!(detail.as_str().unwrap().contains("198.51.100.1"), "{detail}");
    expected.push(step("address", false, detail.clone()));
    let refused = json!({
        "allowed": false, "status": 403, "code": "IP_RESTRICTION", "realm": "shop",
        "route": { "methods": ["GET", "POST"], "path": "/api/both" }, "steps": expected,
    });
    assert_eq!(answer, refused);
}

#[test]
fn without_a_host_a_request_goes_to_one_of_the_realm_that_is_named_or_of_the_keys() {
    let platform = FakePlatform::new();
    let at = |realm: Option<&str>, record: Option<Record>, code: Option<&str>| {
        let request = SupposedRequest { host: None, ..request("GET", "/things") };
        let mut question = Question { realm: realm.map(str::to_owned), ..about(request, None, record) };
        question.tenant.code = code.map(str::to_owned);
        ask(&platform, &question)["realm"].clone()
    };
    let mut of_tenant = Record { realm: "tenants".into(), ..record() };
    of_tenant.tenant.code = Some("ABC".into());
    assert_eq!(at(None, None, Some("ABC")), Value::Null, "the host that the question came to has no realm");
    assert_eq!(at(Some("apps"), None, None), "apps");
    assert_eq!(at(Some("tenants"), None, Some("ABC")), "tenants");
    assert_eq!(at(None, Some(of_tenant.clone()), Some("ABC")), "tenants");
    assert_eq!(at(Some("apps"), Some(of_tenant), Some("ABC")), "apps");
    assert!(policy().realms[1].hosts.iter().all(|host| matches!(host, HostPattern::Tenant(_))));
}

#[test]
fn a_key_of_the_policy_is_known_to_its_own_tenant_only() {
    let platform = FakePlatform::new();
    let mut realm = policy().realms[0];
    let key = Secret::new("a-key-of-a-cron-job-that-stands-in-the-policy");
    let mut cron = realm.static_keys[0];
    cron.sha256 =
        Box::leak(key::storage_hash(&realm.key, &platform.secrets, key.expose())[7..].to_owned().into());
    realm.static_keys = Box::leak(Box::new([cron]));
    let policy: &'static Policy =
        Box::leak(Box::new(Policy { realms: Box::leak(Box::new([realm])), ..*policy() }));
    let of = |id: &str| {
        let mut question = about(request("GET", "/api/orders"), Some(&key), None);
        question.tenant.id = id.into();
        platform.gate(Some(policy)).answer(policy, &question, "admin.example")
    };
    assert_eq!(explained(&of("tenant-1")), None, "it passes");
    assert_eq!(explained(&of("tenant-2")), Some((401, "NO_KEY".into())), "as if there were none");
}

#[test]
fn a_link_is_not_used_up_and_nothing_of_a_key_is_told() {
    let platform = FakePlatform::new();
    let key = key_of(&platform, &shop_record());
    for record in [None, Some(shop_record())] {
        let answer = ask(&platform, &about(request("GET", "/api/orders"), Some(&key), record));
        assert!(!answer.to_string().contains(&key.expose()[10..]));
    }
    let realm = Realm { link: Some(keyward_testing::LINK), ..keyward_testing::policy::POLICY.realms[0] };
    let by_session = keyward_testing::call::by(&[keyward_policy::Proof::Session], &[]);
    let realm = Realm { routes: keyward_policy::Routes::new(Box::leak(Box::new([by_session]))), ..realm };
    let policy: &'static Policy =
        Box::leak(Box::new(Policy { realms: Box::leak(Box::new([realm])), ..*policy() }));
    let token =
        key::generate(&keyward_testing::LINK.token(), "", Mode::Live, &platform.secrets, &mut Seeded::new(3));
    let path = format!("{}?token={}", by_session.path.source.replace('*', "x"), token.expose());
    let answer =
        platform.gate(Some(policy)).answer(policy, &about(request("GET", &path), None, None), "a.example");
    assert_eq!((&answer["allowed"], &answer["status"]), (&json!(false), &Value::Null));
    assert_eq!(steps(&answer).last(), Some(&"link"));
    assert!(!answer.to_string().contains(token.expose()));
    assert_eq!(platform.asked(), Vec::<String>::new());
}

#[test]
fn every_denial_is_made_at_a_step_and_those_of_a_key_at_one_of_the_decision() {
    for denial in denials::all() {
        assert!(!denial.step().name().is_empty());
        if [
            "RevokedKey",
            "ExpiredKey",
            "InactiveTenant",
            "PlanRequired",
            "AddressRestricted",
            "OriginRestricted",
            "TestMode",
            "InsufficientScope",
            "UnknownKey",
        ]
        .iter()
        .any(|name| format!("{denial:?}").starts_with(name))
        {
            assert!(Step::OF_KEY.contains(&denial.step()), "{denial:?}");
        }
    }
}

fn routes(question: Question) -> Vec<Value> {
    let answer = ask(&FakePlatform::new(), &question);
    answer["routes"].as_array().unwrap().clone()
}

fn every_route() -> Question {
    Question { request: None, ..about(request("GET", "/"), None, None) }
}

#[test]
fn every_route_is_listed_in_the_order_of_the_policy_with_what_it_needs() {
    let listed = routes(every_route());
    let of_policy = policy()
        .realms
        .iter()
        .flat_map(|realm| realm.routes.iter().map(|route| (realm.id, route.path.source)));
    let found: Vec<_> =
        listed.iter().map(|it| (it["realm"].as_str().unwrap(), it["path"].as_str().unwrap())).collect();
    assert_eq!(found, of_policy.collect::<Vec<_>>());
    let needs = |by: Value, scopes: Value, held_by: Value| json!({ "by": by, "scopes": scopes, "heldBy": held_by, "plans": [], "testKeys": "read", "sessionId": false });
    let orders = json!({ "orders:read": ["*", "orders:read", "orders:*", "orders:write"] });
    let expected = json!({
        "realm": "shop", "methods": ["GET", "HEAD"], "path": "/api/orders*", "freshnessSeconds": 5,
        "needs": needs(json!(["key", "publishable"]), json!(["orders:read"]), orders), "mayCall": null, "code": null,
    });
    assert_eq!(listed[2], expected);
    assert_eq!(listed[0]["needs"], needs(json!([]), json!([]), json!({})));
    assert_eq!(listed[1]["needs"]["by"], json!(["webhook"]));
    assert_eq!(listed[5]["needs"]["testKeys"], "none");
    assert_eq!(listed[4]["needs"]["plans"], json!(["pro", "team"]));
    assert_eq!(listed[7]["needs"]["sessionId"], true);
    let of_realm = routes(Question { realm: Some("apps".into()), ..every_route() });
    assert_eq!(of_realm, listed[9..]);
}

#[test]
fn which_methods_of_a_route_a_key_may_call_is_what_the_gate_decides() {
    let may = |record: Record| -> Vec<(Value, Value)> {
        let listed = routes(Question { record: Some(record), ..every_route() });
        listed.iter().map(|route| (route["mayCall"].clone(), route["code"].clone())).collect()
    };
    let none = || json!([]);
    let of_test_key = may(Record {
        mode: Mode::Test,
        allowed_ips: vec!["192.0.2.0/24".parse().unwrap()],
        scopes: vec!["orders:write".into()],
        ..shop_record()
    });
    assert_eq!(of_test_key[0].0.as_array().unwrap().len(), 7, "nothing is asked for");
    assert_eq!(of_test_key[1], (none(), json!("NOT_CONFIGURED")), "no key is a sender's signature");
    assert_eq!(of_test_key[2], (json!(["GET", "HEAD"]), Value::Null), "from one of its addresses");
    assert_eq!(of_test_key[3], (none(), json!("TEST_MODE")));
    assert_eq!(of_test_key[4], (none(), json!("PLAN_REQUIRED")));
    assert_eq!(of_test_key[7].0, json!(["GET", "HEAD", "OPTIONS"]), "in a session; a part of its methods");
    assert_eq!(of_test_key[7].1, "TEST_MODE");
    assert_eq!(of_test_key[8], (none(), json!("INVALID_API_KEY")), "of another realm");
    assert_eq!(of_test_key[9], (none(), json!("INVALID_TOKEN")));
    let of_page = may(Record {
        kind: KeyKind::Publishable,
        allowed_origins: vec!["https://app.example".into()],
        ..shop_record()
    });
    assert_eq!(of_page[2].0, json!(["GET", "HEAD"]), "from one of its pages");
    assert_eq!(of_page[3], (none(), json!("ORIGIN_RESTRICTED")));
    assert_eq!(of_page[6].0, json!(["GET"]));
    // One that nobody has is of each realm.
    let supposed = Record { realm: String::new(), scopes: vec!["files:read".into()], ..record() };
    assert_eq!(may(supposed.clone())[2], (none(), json!("INSUFFICIENT_SCOPE")));
    assert_eq!(may(supposed)[8], (none(), json!("PLAN_REQUIRED")));
    assert!(policy().realms[2].credentials.iter().all(|source| source.kind == SourceKind::Jwt));
}
