//! `Keyward-Identity`: what is signed for origins, for how long, and that nothing passes unsigned.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{cell::RefCell, collections::BTreeMap, sync::LazyLock};

use keyward_core::{
    link::Session,
    record::{KeyKind, Limits, Mode, Record},
    secret::Secret,
    time::{MINUTE, SECOND, Span, Timestamp},
};
use keyward_gate::{
    Outcome,
    identity_token::{self, FIELD, remembered::Remembered},
    ready,
    refusal::Answer,
};
use keyward_policy::{Policy, Realm, TlsVersion, Transport, USUAL_TRAVEL, compile::compile};
use keyward_testing::{
    NOON,
    fake_platform::{FakePlatform, Request, now},
    jose::{self, Key},
    record,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const TEXT: &str = r#"
[[realm]]
id = "default"
hosts = ["*"]
paths = ["/*"]
origin = { binding = "ORIGIN" }
freshness = "FRESHNESS"
credentials = [
    { header = "Authorization", scheme = "Bearer" },
    { header = "X-Token", kind = "jwt" },
]

[realm.identity]
issuer = "https://api.example.com"
jwks_path = "/.well-known/jwks.json"
metadata = ["customer", "region"]

[realm.jwt]
issuer = "https://id.example.com"
audience = "https://api.example.com"
secret = "ISSUER_SECRET"
secret_form = "base64"
tenant_claim = ["app_metadata", "tenant_id"]

[realm.link]
parameter = "token"
prefix = "st_"
cookie = "__Host-shop"

LIMITS

[realm.webhook.shop]
scheme = "stripe"
secret = "SHOP_SECRET"

[realm.scopes]
"orders:read" = "Read orders"

[[realm.route]]
path = "/orders"
requires = { by = ["key", "publishable", "jwt"], scopes = ["orders:read"] }

[[realm.route]]
path = "/both"
requires = { all = ["key", "jwt"], scopes = ["orders:read"] }

[[realm.route]]
path = "/strict"
freshness = "0s"
requires = { scopes = ["orders:read"] }

[[realm.route]]
path = "/page"
requires = { by = ["session"] }

[[realm.route]]
methods = ["POST"]
path = "/hook"
requires = { webhook = "shop" }

[[realm.route]]
path = "/status"
requires = "public"
"#;

fn policy(freshness: Span, travel: Span) -> &'static Policy {
    let limits = format!("[realm.limits]\ntravel = \"{}ms\"", travel.ms());
    let text = TEXT
        .replace("FRESHNESS", &format!("{}ms", freshness.ms()))
        .replace("LIMITS", if travel == USUAL_TRAVEL { "" } else { &limits });
    let policy = compile("keyward.toml", |_| Ok(text.clone())).unwrap_or_else(|error| panic!("{error:#}"));
    Box::leak(Box::new(policy))
}

static POLICY: LazyLock<&Policy> = LazyLock::new(|| policy(Span::from_secs(10), Span::from_ms(250)));

/// Of RFC 8037, appendix A.1.
const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// Of its appendix A.3.
const KEY_ID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// An isolate of a deployment that lacks nothing, and a key with this record.
fn deployment(record: &Record) -> (FakePlatform, Secret) {
    let platform = FakePlatform::new();
    let key = platform.new_key(1);
    publish(&platform, &key, record);
    let secrets = [
        ("KEYWARD_IDENTITY_KEY", SEED),
        ("ISSUER_SECRET", jose::SECRET),
        ("SHOP_SECRET", "whsec_of_the_shop"),
        ("KEYWARD_SECRET", keyward_testing::SECRET),
    ];
    platform.named_secrets.borrow_mut().extend(secrets);
    (platform, key)
}

fn publish(platform: &FakePlatform, key: &Secret, record: &Record) {
    platform.tell(key, record);
    platform.publish(key, record);
}

fn unlimited() -> Record {
    Record { limits: Limits::default(), ..record() }
}

/// What the origin gets in this field.
fn told(
    platform: &FakePlatform,
    policy: &'static Policy,
    request: &Request<'_>,
) -> Result<Option<String>, Answer> {
    match platform.handle(policy, request).outcome {
        Outcome::Forward(forward) => {
            let fields: Vec<_> = forward.added.into_iter().filter(|(name, _)| *name == FIELD).collect();
            assert!(fields.len() <= 1);
            Ok(fields.into_iter().next().map(|(_, token)| token))
        }
        Outcome::Answer(answer) => Err(answer),
        Outcome::Builtin(_) => panic!("no realm's"),
    }
}

fn token(platform: &FakePlatform, policy: &'static Policy, path: &str, fields: &[(&str, &str)]) -> String {
    let url = format!("https://api.example{path}");
    let request = Request { url: &url, fields, ..Request::default() };
    told(platform, policy, &request).unwrap().unwrap()
}

fn by_key(platform: &FakePlatform, policy: &'static Policy, path: &str, key: &Secret) -> String {
    token(platform, policy, path, &[("authorization", &format!("Bearer {}", key.expose()))])
}

/// What a token says. Its signature is right, and made with the key of [`SEED`].
fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{token}") };
    let header: Value = serde_json::from_slice(&jose::decode(header)).unwrap();
    assert_eq!(header, json!({ "alg": "EdDSA", "typ": "JWT", "kid": KEY_ID }));
    let text = token.rsplit_once('.').unwrap().0.as_bytes();
    // There is one signature of a text (RFC 8032, section 5.1.6).
    assert_eq!(jose::decode(signature), Key::Ed.signature(text));
    serde_json::from_slice(&jose::decode(payload)).unwrap()
}

/// As [`claims`], without the times.
fn said(token: &str) -> Value {
    let mut claims = claims(token);
    let claims_of = claims.as_object_mut().unwrap();
    assert_eq!(claims_of.remove("iat"), Some(json!(NOON.0 / 1_000)));
    assert_eq!(claims_of.remove("exp"), Some(json!(NOON.0 / 1_000 + 10)));
    claims
}

#[test]
fn a_token_says_who_asks() {
    let metadata = Some(r#"{"customer":"c-7"}"#.to_owned());
    let (platform, key) = deployment(&Record { metadata, ..unlimited() });
    let of_key = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "key", "tenant": "tenant-1",
        "scope": "orders:read", "mode": "live", "metadata": { "customer": "c-7" },
    });
    assert_eq!(said(&by_key(&platform, *POLICY, "/orders", &key)), of_key);

    let mut page = Record {
        kind: KeyKind::Publishable,
        mode: Mode::Test,
        allowed_origins: vec!["https://shop.example".into()],
        version: 2,
        ..unlimited()
    };
    page.tenant.plan = Some("pro".into());
    let (platform, key) = deployment(&page);
    let bearer = format!("Bearer {}", key.expose());
    let fields = [("authorization", bearer.as_str()), ("origin", "https://shop.example")];
    let of_page = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "publishable", "tenant": "tenant-1",
        "plan": "pro", "scope": "orders:read", "mode": "test",
    });
    assert_eq!(said(&token(&platform, *POLICY, "/orders", &fields)), of_page);

    let of_person = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "user-17", "by": "jwt", "tenant": "tenant-1",
        "scope": "orders:read orders:write",
    });
    let theirs = Key::Shared.token(&jose::claims(NOON));
    assert_eq!(said(&token(&platform, *POLICY, "/orders", &[("x-token", &theirs)])), of_person);

    let session = Session {
        realm: "default".into(),
        tenant: page.tenant,
        subject: Some("cart-7".into()),
        session_id: Some("chat-1".into()),
        expires_at: NOON.plus(MINUTE),
    };
    let cookie = format!("__Host-shop={}", session.seal(&platform.secrets).expose());
    let of_session = json!({
        "iss": "https://api.example.com", "aud": "default", "sub": "cart-7", "by": "session", "tenant": "tenant-1",
        "plan": "pro",
    });
    assert_eq!(said(&token(&platform, *POLICY, "/page", &[("cookie", &cookie)])), of_session);
}

#[test]
fn a_token_tells_no_metadata_that_the_policy_does_not_name_and_no_tenant_where_there_is_none() {
    let mut record = Record { metadata: Some(r#"{"customer":"c-1"}"#.into()), ..unlimited() };
    record.tenant.id = String::new();
    let (platform, key) = deployment(&record);
    let named = said(&by_key(&platform, *POLICY, "/orders", &key));
    assert_eq!((named.get("tenant"), &named["metadata"]["customer"]), (None, &json!("c-1")));
    let text = TEXT.replace("FRESHNESS", "10s").replace("LIMITS", "");
    let text = text.replace("metadata = [\"customer\", \"region\"]\n", "");
    let policy = compile("keyward.toml", |_| Ok(text.clone())).unwrap_or_else(|error| panic!("{error:#}"));
    let unnamed = said(&by_key(&platform, Box::leak(Box::new(policy)), "/orders", &key));
    assert_eq!(unnamed.get("metadata"), None);
}

#[test]
fn a_key_and_a_token_are_both_told_and_only_the_scopes_that_both_hold() {
    let (platform, key) = deployment(&Record { scopes: vec!["*".into()], ..unlimited() });
    let bearer = format!("Bearer {}", key.expose());
    let of_both = |user: &str| {
        let mut shown = jose::claims(NOON);
        shown["sub"] = json!(user);
        let shown = Key::Shared.token(&shown);
        said(&token(&platform, *POLICY, "/both", &[("authorization", &bearer), ("x-token", &shown)]))
    };
    // Beside a key that may do everything, each token says what its own user may, also while the other's is remembered.
    for user in ["user-17", "user-18"] {
        let expected = json!({
            "iss": "https://api.example.com", "aud": "default", "sub": "key_1", "by": "key", "user": user,
            "tenant": "tenant-1", "scope": "orders:read", "mode": "live",
        });
        assert_eq!(of_both(user), expected);
    }
}

#[test]
fn a_request_of_nobodys_has_a_token_that_names_nobody() {
    let (platform, _) = deployment(&unlimited());
    let of_nobody = json!({ "iss": "https://api.example.com", "aud": "default" });
    assert_eq!(said(&token(&platform, *POLICY, "/status", &[])), of_nobody);

    let seconds = NOON.0 / 1_000;
    let mac = jose::mac(b"whsec_of_the_shop", format!("{seconds}.{{}}").as_bytes());
    let signature = format!("t={seconds},v1={}", keyward_core::key::hex(&mac));
    let request = Request {
        method: "POST",
        url: "https://api.example.com/hook",
        fields: &[("stripe-signature", &signature), ("content-length", "2")],
        body: b"{}",
        ..Request::default()
    };
    let of_sender = json!({ "iss": "https://api.example.com", "aud": "default", "by": "webhook" });
    assert_eq!(said(&told(&platform, *POLICY, &request).unwrap().unwrap()), of_sender);
}

/// Origins read it: what is in it now stays.
#[test]
fn the_token_of_a_fixed_key_and_time() {
    let (platform, key) = deployment(&unlimited());
    // {"iss":"https://api.example.com","aud":"default","sub":"key_1","by":"key","tenant":"tenant-1","scope":"orders:read",
    //  "mode":"live","iat":1900000000,"exp":1900000010}
    let parts = [
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImtQcktfcW14VldhWVZBOXd3QkY2SXVvM3ZWeno3VHhIQ1R3WEJ5Z3JTNGsiLCJ0eXAiOiJKV1QifQ",
        "eyJpc3MiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbSIsImF1ZCI6ImRlZmF1bHQiLCJzdWIiOiJrZXlfMSIsImJ5Ijoia2V5IiwidGVuYW50IjoidGVuYW50LTEiLCJzY29wZSI6Im9yZGVyczpyZWFkIiwibW9kZSI6ImxpdmUiLCJpYXQiOjE5MDAwMDAwMDAsImV4cCI6MTkwMDAwMDAxMH0",
        "g_eZ_Y291hSRD7-OAiPYTUWmdeLcxnO18l1f69hnkkb8cy1p-7toMWAw4tR4uuXMfZPf-Va0jx-6pUK81xzrCQ",
    ];
    assert_eq!(by_key(&platform, *POLICY, "/orders", &key), parts.join("."));
}

#[test]
fn a_realm_that_asks_for_none_has_none() {
    let (platform, key) = deployment(&unlimited());
    let url = "https://api.example.com/api/orders";
    let bearer = format!("Bearer {}", key.expose());
    let request = Request { url, fields: &[("authorization", &bearer)], ..Request::default() };
    assert_eq!(told(&platform, &keyward_testing::policy::POLICY, &request).unwrap(), None);
}

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

#[test]
fn what_a_key_may_do_is_signed_anew_as_soon_as_it_changes() {
    let (platform, key) = deployment(&unlimited());
    by_key(&platform, *POLICY, "/strict", &key);
    let changed = Record { scopes: vec!["orders:*".into()], version: 2, ..unlimited() };
    publish(&platform, &key, &changed);
    assert_eq!(claims(&by_key(&platform, *POLICY, "/strict", &key))["scope"], "orders:*");
    // And back: an older token is as good as a new one that says the same.
    publish(&platform, &key, &Record { version: 3, ..unlimited() });
    assert_eq!(claims(&by_key(&platform, *POLICY, "/strict", &key))["scope"], "orders:read");
}

#[test]
fn a_strict_route_and_a_strict_key_have_tokens_of_five_seconds() {
    let life = |token: &str| {
        let claims = claims(token);
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    let (platform, key) = deployment(&unlimited());
    assert_eq!(life(&by_key(&platform, *POLICY, "/orders", &key)), 10);
    assert_eq!(life(&by_key(&platform, *POLICY, "/strict", &key)), 5);
    let (platform, key) = deployment(&Record { strict: true, ..unlimited() });
    assert_eq!(life(&by_key(&platform, *POLICY, "/orders", &key)), 5);
    let slow = policy(Span::from_secs(5), Span::from_secs(3));
    assert_eq!(life(&by_key(&deployment(&unlimited()).0, slow, "/orders", &key)), 10, "5 s and twice 2.75 s");
}

#[test]
fn an_isolate_remembers_tokens_up_to_a_bound_and_forgets_the_oldest() {
    let mut remembered = Remembered::default();
    let (life, token) = (Span::from_secs(10), "t".repeat(700));
    let claims = |number: usize| format!("{{\"sub\":\"{number}\",\"x\":\"{}\"}}", "x".repeat(300));
    for number in 0..10_000 {
        remembered.remember(&claims(number), life, NOON, &token);
    }
    let kept = (0..10_000).filter(|number| remembered.token(&claims(*number), life, NOON).is_some());
    let kept: Vec<_> = kept.collect();
    assert!((3_000..4_096).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last(), Some(&9_999));
    // The same again and again is one.
    for _ in 0..10_000 {
        remembered.remember(&claims(9_999), life, NOON, &token);
    }
    assert!(remembered.token(&claims(9_998), life, NOON).is_some());
}

/// What happens in a deployment, one thing after the other.
#[derive(Clone, Debug)]
enum Step {
    /// This many milliseconds pass; if negative, the clock is set back.
    Passes(i64),
    /// The key is edited, and everybody is told.
    Edit,
    /// The key is used, on the strict route or another one.
    Use { strict: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_000_i64).prop_map(Step::Passes),
        1 => (0..70_000_i64).prop_map(Step::Passes),
        1 => (-20_000..0_i64).prop_map(Step::Passes),
        1 => Just(Step::Edit),
        8 => any::<bool>().prop_map(|strict| Step::Use { strict }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Never older than promised: what is sent was signed at most half a life ago, ends within a life of that, is still good
    /// when it arrives, and says what was decided just now. And nothing is signed twice within half a life.
    #[test]
    fn what_is_signed_is_never_older_than_promised(
        (freshness, travel) in prop_oneof![
            (0..60_000_i64).prop_map(|freshness| (freshness, 250)),
            (1_250..60_000_i64, 0..100_i64).prop_map(|(freshness, part)| (freshness, (freshness - 1_250) * part / 100)),
        ],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let travel = travel.min(10_000);
        let policy = policy(Span::from_ms(freshness), Span::from_ms(travel));
        let (platform, key) = deployment(&unlimited());
        let mut present = unlimited();
        let mut signed: BTreeMap<(String, Span), Timestamp> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Passes(ms) => {
                    platform.pass_time(Span::from_ms(ms));
                    if ms < 0 {
                        signed.clear();
                    }
                }
                Step::Edit => {
                    present.version += 1;
                    present.scopes = vec!["orders:read".into(), format!("orders:v{}", present.version)];
                    publish(&platform, &key, &present);
                }
                Step::Use { strict } => {
                    let path = if strict { "/strict" } else { "/orders" };
                    let life = identity_token::life(
                        &policy.realms[0],
                        if strict { Span::ZERO } else { policy.realms[0].freshness },
                    );
                    platform.asked();
                    let token = by_key(&platform, policy, path, &key);
                    let at = platform.clock.now();
                    let claims = claims(&token);
                    let time = |name: &str| Timestamp(claims[name].as_i64().unwrap() * 1_000);
                    let (iat, exp) = (time("iat"), time("exp"));
                    prop_assert!(iat <= at && at - iat < life / 2 + SECOND, "signed at {iat:?}, sent at {at:?}");
                    prop_assert!(exp <= at + life, "ends at {exp:?}");
                    prop_assert!(exp > at + Span::from_ms(travel), "{exp:?} has passed when it arrives");
                    if strict {
                        prop_assert_eq!(&claims["scope"], &present.scopes.join(" "));
                    }
                    let is_signed = platform.asked().iter().any(|call| call == "signature");
                    if is_signed && let Some(before) = signed.insert((claims["scope"].to_string(), life), at) {
                        prop_assert!(at - before >= life / 2, "signed at {before:?} and again at {at:?}");
                    }
                }
            }
        }
    }
}
