//! What the gate says of a request that nobody sent is what it answers to one that somebody sends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod agreement;
mod both;
mod routes;

use std::sync::LazyLock;

use keyward_core::{
    key,
    question::{Question, SupposedRequest},
    record::{KeyKind, Limits, Mode, PAUSED, Record, Status, TenantStatus},
    secret::Secret,
    time::MILLISECOND,
};
use keyward_gate::{Outcome, denial::step::Step};
use keyward_policy::{HostPattern, Policy, Realm, SourceKind, StaticKey, compile::compile};
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
cost = 7

[[realm.route]]
methods = ["GET"]
path = "/api/pages"
requires = { by = ["publishable"] }

[[realm.route]]
path = "/api/chat/{id}"
requires = { session_id = true }

[[realm.route]]
methods = ["GET", "HEAD"]
path = "/api/catalog*"
requires = { scopes = ["orders:read"], optional = true }
limit_by_network = { binding = "ANYBODY" }

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

fn explained(answer: &Value) -> Option<(u16, String)> {
    let status = answer["status"].as_u64()?;
    Some((status.try_into().unwrap(), answer["code"].as_str().unwrap().to_owned()))
}

fn steps(answer: &Value) -> Vec<&str> {
    answer["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[test]
fn each_step_is_told_with_what_holds_as_far_as_the_decision_came() {
    let platform = FakePlatform::new();
    let mut record = shop_record();
    record.tenant.plan = Some("pro".into());
    record.scopes = vec!["orders:write".into(), "files:*".into()];
    record.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    record.expires_at = Some(NOON.plus(MILLISECOND));
    record.limits = Limits { per_minute: Some(60), per_day: Some(1_000), ..Limits::default() };
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
fn what_keyward_itself_answers_no_realm_is_said_to_decide() {
    let platform = FakePlatform::new();
    // A realm that has every path.
    let at = |path: &str| SupposedRequest { host: Some("apps.example".into()), ..request("GET", path) };
    for path in ["/healthz", "/readyz", "/api/admin", "/api/admin/api-keys?limit=1", "/admin/", "/admin/x"] {
        let answer = ask(&platform, &about(at(path), None, None));
        assert_eq!((&answer["allowed"], &answer["status"]), (&json!(false), &Value::Null), "{path}");
        assert_eq!(steps(&answer), ["url", "realm"], "{path}");
    }
    for path in ["/healthy", "/administrators"] {
        let answer = ask(&platform, &about(at(path), None, None));
        assert_eq!(explained(&answer), Some((401, "MISSING_AUTHORIZATION".into())), "{path}");
    }
}

#[test]
fn a_key_of_the_policy_is_known_to_its_own_tenant_only() {
    let platform = FakePlatform::new();
    let key = Secret::new("a-key-of-a-cron-job-that-stands-in-the-policy");
    let asked = |id: &str, tenant: Option<&'static str>| {
        let mut realm = policy().realms[0];
        let hash = key::storage_hash(&realm.key, &platform.secrets, key.expose());
        let cron =
            StaticKey { sha256: Box::leak(hash[7..].to_owned().into()), tenant, ..realm.static_keys[0] };
        realm.static_keys = Box::leak(Box::new([cron]));
        let policy: &'static Policy =
            Box::leak(Box::new(Policy { realms: Box::leak(Box::new([realm])), ..*policy() }));
        let mut question = about(request("GET", "/api/orders"), Some(&key), None);
        question.tenant.id = id.into();
        explained(&platform.gate(Some(policy)).answer(policy, &question, "admin.example"))
    };
    assert_eq!(asked("tenant-1", Some("tenant-1")), None, "it passes");
    assert_eq!(asked("tenant-2", Some("tenant-1")), Some((401, "NO_KEY".into())), "as if there were none");
    assert_eq!(asked("tenant-2", None), None, "one without a tenant is everybody's");
}

#[test]
fn a_limit_that_a_request_can_never_fit_into_denies_it_and_one_without_its_limiter_is_not_configured() {
    let platform = FakePlatform::new();
    let of = |per_minute: u32| Record {
        limits: Limits { per_minute: Some(per_minute), ..Limits::default() },
        ..shop_record()
    };
    let live = |per_minute| ask(&platform, &about(request("GET", "/api/live"), None, Some(of(per_minute))));
    assert_eq!(explained(&live(7)), None, "it costs 7");
    let denied = live(6);
    assert_eq!(explained(&denied), Some((429, "RATE_LIMITED".into())));
    assert_eq!(steps(&denied).last(), Some(&"limit"));

    let anybody = about(request("GET", "/api/catalog"), None, None);
    assert_eq!(explained(&ask(&platform, &anybody)), None);
    platform.unbound.borrow_mut().insert("ANYBODY".to_owned());
    assert_eq!(explained(&ask(&platform, &anybody)).unwrap().0, 503);
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
