//! `Keyward-Identity`: what is signed for origins, for how long, and that nothing passes unsigned.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod claims;
mod keys;
mod life;

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
