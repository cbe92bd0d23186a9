//! A key or token of the realm is refused wherever it stands in a URL; what an origin has in its own URLs is not
//! taken for one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_core::{key, record::Mode, request_target::RequestTarget, secret::Secrets};
use keyward_gate::credential::{is_in_url, is_link_in_url};
use keyward_policy::{Alphabet, Hash, KeyFormat, Realm, StaticKey, TenantPart};
use keyward_testing::{
    IMPORTED, LINK, NOON, Seeded,
    jose::{self, Key},
    policy::POLICY,
    secrets,
};
use proptest::prelude::*;
use serde_json::json;

static KEYED: LazyLock<KeyFormat> = LazyLock::new(|| POLICY.realms[0].key);
/// Thirty-two random bytes in base64url and no check, as several providers have it.
const PLAIN: KeyFormat = KeyFormat {
    live_prefix: "sk_",
    test_prefix: None,
    random: 43,
    alphabet: Alphabet::Base64Url,
    checksum: 0,
    tenant: None,
    visible: 4,
    hash: Hash::Sha256,
};

fn realm(key: KeyFormat) -> Realm {
    Realm { key, forbidden_query_parameters: &[], ..POLICY.realms[0] }
}

fn found(realm: &Realm, path_and_query: &str) -> bool {
    is_in_url(realm, RequestTarget::of(&format!("https://gate.example{path_and_query}")), Some(&secrets()))
}

fn new_key(format: &KeyFormat, seed: u64) -> String {
    let part = match format.tenant {
        None => "",
        Some(TenantPart::Code) => "AB-12",
        Some(TenantPart::Id) => "019234ab",
    };
    key::generate(format, part, Mode::Live, &secrets(), &mut Seeded::new(seed)).expose().to_owned()
}

/// Every byte percent-encoded, this number of times.
fn encoded(text: &str, times: usize) -> String {
    let once: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    (1..times).fold(once, |text, _| text.replace('%', "%25"))
}

/// The same of what was encoded before, digits too.
fn each_encoded(text: &str, times: usize) -> String {
    (0..times).fold(text.to_owned(), |text, _| encoded(&text, 1))
}

fn any_format() -> impl Strategy<Value = KeyFormat> {
    let prefixes = [("kw_live_", Some("kw_test_")), ("sk_", None), ("aa", None), ("-_-", None), ("Z", None)];
    let parts = [None, Some(TenantPart::Code), Some(TenantPart::Id)];
    let alphabets = [Alphabet::Base62, Alphabet::Base64Url, Alphabet::Hex];
    let pick = (0..5_usize, 0..3_usize, 0..3_usize, 32..60_u8, prop_oneof![Just(0_u8), 4..=10_u8]);
    pick.prop_map(move |(prefix, part, alphabet, random, check)| {
        let (live_prefix, test_prefix) = prefixes[prefix];
        let alphabet = alphabets[alphabet];
        // No number of bytes has one more character than a multiple of four in base64url.
        let random = if alphabet == Alphabet::Base64Url { random / 4 * 4 } else { random };
        let check = if alphabet == Alphabet::Hex { 0 } else { check };
        KeyFormat {
            live_prefix,
            test_prefix,
            tenant: parts[part],
            alphabet,
            random,
            checksum: check,
            ..*KEYED
        }
    })
}

proptest! {
    #[test]
    fn a_key_of_any_format_is_found_wherever_it_stands(format in any_format(), seed: u64) {
        let key = new_key(&format, seed);
        let realm = realm(format);
        let basic = |text: String| STANDARD.encode(text).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for target in [
            format!("/{key}"),
            format!("/v1/{key}/x"),
            format!("/v1/{key}.json"),
            format!("/v1/x;k={key}"),
            format!("/v1/my-{key}"),
            format!("/v1?{key}"),
            format!("/v1?{key}=1&a=b"),
            format!("/v1?a=b&c={key}"),
            format!("/v1?c={key}&d=e"),
            format!("/v1?c=a,{key},b"),
            format!("/v1?c={key}%20and%20more"),
            format!("/v1?auth=Bearer%20{key}"),
            format!("/v1?auth=Bearer+{key}"),
            format!("/v1?u=https%3A%2F%2Fx.example%2F%3Fk%3D{key}"),
            format!("/v1?j=%7B%22key%22%3A%22{key}%22%7D"),
            format!("/v1?auth=Basic%20{}", basic(format!("{key}:"))),
            format!("/v1?auth=Basic%20{}", basic(format!("user:{key}"))),
            format!("/v1?{}", encoded(&key, 1)),
            format!("/v1?c={}", encoded(&key, 2)),
            format!("/v1?c={}", encoded(&key, 5)),
            format!("/v1/{}", encoded(&key, 1)),
            format!("/v1/{}", each_encoded(&key, 2)),
            format!("/v1?c={}", each_encoded(&key, 3)),
            format!("/v1?c=100%25{key}"),
            format!("/%ff/{key}?%zz=%"),
        ] {
            prop_assert!(found(&realm, &target), "{target}");
        }
    }

    #[test]
    fn a_key_with_a_check_is_found_in_the_middle_of_a_word_too(seed: u64, before in "[a-zA-Z0-9_-]{0,9}", after in "[a-zA-Z0-9_-]{0,9}") {
        let key = new_key(&KEYED, seed);
        let target = format!("/v1?c={before}{key}{after}");
        prop_assert!(found(&realm(*KEYED), &target), "{target}");
    }

    #[test]
    fn what_only_has_the_form_of_a_key_with_a_check_is_none(random in "[0-9A-Za-z]{36}") {
        let target = format!("/v1?c=kw_live_{random}");
        prop_assert!(!found(&realm(*KEYED), &target), "{target}");
    }
}

#[test]
fn without_secrets_the_form_decides() {
    let key = new_key(&KEYED, 1);
    let found =
        |target: &str| is_in_url(&realm(*KEYED), RequestTarget::of(&format!("https://a{target}")), None);
    assert!(found(&format!("/v1?c={key}")) && found(&format!("/v1?c={}x", &key[..key.len() - 1])));
    assert!(!found(&format!("/v1?c={key}x").replace(&key, &key.to_lowercase())));
}

#[test]
fn keys_made_under_a_previous_secret_are_found() {
    let old = Secrets::new("first-secret-0123456789012345678901234567", None);
    let key = key::generate(&KEYED, "", Mode::Live, &old, &mut Seeded::new(7));
    let url = format!("https://a/v1?c={}", key.expose());
    let rotated = Secrets::new(keyward_testing::SECRET, Some("first-secret-0123456789012345678901234567"));
    assert!(is_in_url(&realm(*KEYED), RequestTarget::of(&url), Some(&rotated)));
    assert!(!is_in_url(&realm(*KEYED), RequestTarget::of(&url), Some(&secrets())), "it is no key any more");
}

/// URLs of real applications that have something in common with keys.
const ORDINARY: &[&str] = &[
    "/v1/task_management",
    "/v1/task_management/2024-01-01T00:00:00Z/items",
    "/v1?fields=disk_utilization",
    "/v1/desk_reservations/7",
    "/v1/bulk_operations",
    "/v1/bulk_operations_for_everybody_who_has_a_very_long_name_in_it/8f14e45f-ceea-467f-a8d8-3f4d0d6bb0a1",
    "/risk_assessments_of_the_second_quarter_and_of_the_third_quarter_too",
    "/v1/sk_/x",
    "/v1/sk_management",
    "/v1/sk_0123456789",
    "/v1/sk_a-page-about-something-with-a-title-so-long-that-it-never-ends-at-all",
    "/v1/lk_a-page-about-something-with-a-title-so-long-that-it-never-ends-at-all",
    "/v1/ask_live_show",
    "/?q=what+is+kw_live_key",
    "/?q=kw_live_&page=2",
    "/?q=kw_live_0123456789",
    "/?key=name&token=abc&page_token=CAUQAA&cursor=eyJpZCI6MTIzfQ",
    "/?token=abc&token=def",
    "/?key=AIzaSyA-0123456789abcdefghijklmnopqrstu&callback=initMap",
    "/?X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
    "/?X-Amz-Security-Token=IQoJb3JpZ2luX2VjEKX%2F%2F%2F%2F%2F%2F%2F%2F%2F%2FwEaCXVzLWVhc3QtMSJHMEUCIQD",
    "/?sv=2022-11-02&sig=Z%2FRHIX5Xcg0Mq2rqI3OlWTjEg2tYkboXr1P9ZUXDtkk%3D",
    "/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "/commit/da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "/a%2520b/c%252e?x=%E2%9C%93&y=100%",
    "/?state=eyJhbGciOiJub25lIn0.eyJpc3MiOiJhbm90aGVyIn0.",
    "/a.b.c/d.e.f?x=1.2.3&y=e30.e30.e30",
    "/",
    "/?",
    "/?=&&=",
];

#[test]
fn ordinary_urls_are_never_refused() {
    let hex = KeyFormat { live_prefix: "lk_", random: 32, alphabet: Alphabet::Hex, ..PLAIN };
    for format in [*KEYED, PLAIN, hex, KeyFormat { live_prefix: "lk_", ..PLAIN }] {
        for jwt in [None, Some(jose::PUBLIC)] {
            let realm = Realm { jwt, ..realm(format) };
            for target in ORDINARY {
                assert!(!found(&realm, target), "{target}");
            }
        }
    }
    let realm = POLICY.realms[0];
    for target in ORDINARY {
        assert!(!found(&realm, target), "in the default realm: {target}");
    }
}

#[test]
fn a_parameter_is_refused_by_its_name_where_the_policy_says_so() {
    let realm = Realm { forbidden_query_parameters: &["api_key", "sid"], ..realm(*KEYED) };
    for target in ["/?api_key=1", "/?a=b&API_Key=x", "/?api%5Fkey=1", "/?api%255fkey=1", "/?sid=1"] {
        assert!(found(&realm, target), "{target}");
    }
    for target in ["/?api_key=", "/?api_key", "/api_key=1", "/?monkey=1&my_api_key=2", "/?key=1&token=2"] {
        assert!(!found(&realm, target), "{target}");
    }
}

#[test]
fn a_token_of_the_realms_issuer_is_found_and_no_other() {
    let realm = Realm { jwt: Some(jose::PUBLIC), ..realm(*KEYED) };
    for (name, value) in
        [("sub", json!("user-17")), ("exp", json!(1)), ("iss", json!("https://other.example"))]
    {
        for signer in Key::ALL {
            let token = signer.token(&jose::with(name, value.clone()));
            for target in [
                format!("/?x={token}"),
                format!("/{token}/x"),
                format!("/?auth=Bearer%20{token}"),
                format!("/?x=a.{token}.b"),
                format!("/?{}", encoded(&token, 2)),
            ] {
                assert_eq!(found(&realm, &target), name != "iss", "{target}");
                assert!(!found(&Realm { jwt: None, ..realm }, &target), "the realm takes no tokens");
            }
        }
    }
    let padded = Key::Ec.sign_text(" { \"alg\": \"ES256\" }", &format!("  {}", jose::claims(NOON)));
    assert!(found(&realm, &format!("/?x={padded}")));
}

#[test]
fn a_configured_key_is_found_as_a_word() {
    // printf %s agent-key.of-any.form | sha256sum
    const SHA256: &str = "b5457e85a1bc76c977733c097496965a32b0320de67055a306b7a42b813807f8";
    const CONFIGURED: StaticKey =
        StaticKey { id: "agent", sha256: SHA256, scopes: &[], tenant: None, plan: None };
    let realm = Realm { static_keys: &[CONFIGURED], ..realm(*KEYED) };
    for target in
        ["/agent-key.of-any.form", "/?k=agent-key.of-any.form&x", "/?a=Bearer%20agent-key.of-any.form"]
    {
        assert!(found(&realm, target), "{target}");
    }
    assert!(!found(&realm, "/?k=agent-key.of-another.form"));
}

#[test]
fn a_key_that_was_made_elsewhere_is_found_by_its_prefix() {
    let imported = Realm { imported: Some(IMPORTED), ..realm(*KEYED) };
    let key = "old_0123456789abcdefGHIJKLMN-x";
    let basic = STANDARD.encode(format!("user:{key}"));
    for target in [format!("/{key}"), format!("/?k={key}"), format!("/?x={basic}"), format!("/a/{key}/b")] {
        assert!(found(&imported, &target), "{target}");
        assert!(!found(&realm(*KEYED), &target), "{target}");
    }
    for target in ["/old_and-other-stories-for-children", "/cold_0123456789abcdefGHIJKLMN", "/old_0123"] {
        assert!(!found(&imported, target), "{target}");
    }
}

#[test]
fn a_links_token_is_found_where_none_is_exchanged_and_another_parameter_of_its_name_is_not() {
    let token = key::generate(&LINK.token(), "", Mode::Live, &secrets(), &mut Seeded::new(1));
    let found = |target: &str| {
        is_link_in_url(&LINK, RequestTarget::of(&format!("https://a{target}")), Some(&secrets()))
    };
    assert!(found(&format!("/?token={}", token.expose())) && found(&format!("/{}", token.expose())));
    for target in ["/?token=abc", "/?token=st_abc", "/?token=st_0123456789012345678901234567890123456789"] {
        assert!(!found(target), "{target}");
    }
}

#[test]
fn a_url_that_would_cost_thousands_of_keyed_checks_is_refused_after_some() {
    let one_letter = KeyFormat { live_prefix: "k", test_prefix: None, ..*KEYED };
    assert!(found(&realm(one_letter), &format!("/?x={}", "k".repeat(10_000))));
    assert!(!found(&realm(one_letter), &format!("/?x={}", "k".repeat(100))));
}
