//! What a refused client sees, row by row of the design's table, and that the documentation knows
//! every code.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use keyward::{
    credential,
    denial::Denial,
    jwt, key,
    policy::{POLICY, Realm, RefusalStyle, Refusals, compile},
    record::Mode,
    refusal::{Answer, rate_limit_headers, refuse},
    route::Target,
    wire::{Window, WindowState},
};

fn realm() -> Realm {
    POLICY.realms[0]
}

fn answer(denial: &Denial) -> Answer {
    refuse(denial, Some(&realm()), "req-1")
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// One of each. A variant that is missing here fails `every_code_has_a_section…`, which compares the
/// codes of this list with those in the source.
fn all() -> Vec<Denial> {
    vec![
        Denial::NoRealm,
        Denial::NoRoute,
        Denial::AmbiguousPath,
        Denial::InvalidHost,
        Denial::MissingCredential,
        Denial::RepeatedCredential,
        Denial::KeyInUrl,
        Denial::MalformedKey,
        Denial::UnknownKey,
        Denial::RevokedKey,
        Denial::ExpiredKey,
        Denial::InactiveTenant,
        Denial::PlanRequired { plans: &["pro"] },
        Denial::AddressRestricted,
        Denial::OriginRestricted,
        Denial::SecretKeyFromPage,
        Denial::TestMode,
        Denial::InvalidToken(jwt::Error::Expired),
        Denial::InvalidSignature { reason: "too old".into() },
        Denial::InvalidLink,
        Denial::ExpiredLink,
        Denial::UsedLink,
        Denial::InvalidSession,
        Denial::InvalidSessionId,
        Denial::CrossSite,
        Denial::InsecureTransport,
        Denial::BodyTooLarge,
        Denial::InsufficientScope { required: &["orders:read", "orders:write"] },
        Denial::RateLimited { windows: windows(), retry_after_ms: 1_001 },
        Denial::TooManyFailures,
        Denial::StoreUnavailable { store: "KV" },
        Denial::IssuerUnavailable { reason: "answered 500".into(), retry_after_ms: 7_001 },
        Denial::UnfitSecret { secret: "ISSUER_SECRET", reason: "too short".into() },
        Denial::NotConfigured { what: "KEYWARD_SECRET" },
        Denial::BrokenBody,
        Denial::LengthRequired,
        Denial::OriginInvalid,
        Denial::OriginUnreachable,
        Denial::OriginTimeout,
        Denial::Internal,
    ]
}

fn windows() -> Vec<WindowState> {
    vec![
        WindowState { window: Window::Minute, limit: 600, remaining: 0, reset_ms: 1_001 },
        WindowState { window: Window::Day, limit: 10_000, remaining: 9_400, reset_ms: 86_000_000 },
    ]
}

#[test]
fn each_case_has_the_status_code_and_challenge_of_the_table() {
    let challenge = |error: &str| Some(format!("Bearer realm=\"default\"{error}"));
    let token = challenge(", error=\"invalid_token\"");
    let request = challenge(", error=\"invalid_request\"");
    let expected = [
        (404, "NO_REALM", None),
        (404, "NO_ROUTE", None),
        (400, "INVALID_REQUEST", None),
        (400, "INVALID_REQUEST", None),
        (401, "MISSING_AUTHORIZATION", challenge("")),
        (400, "INVALID_REQUEST", request.clone()),
        (400, "KEY_IN_URL", request),
        (401, "INVALID_API_KEY", token.clone()),
        (401, "INVALID_API_KEY", token.clone()),
        (401, "REVOKED_API_KEY", token.clone()),
        (401, "EXPIRED_API_KEY", token.clone()),
        (403, "INACTIVE_ORGANIZATION", None),
        (403, "PLAN_REQUIRED", None),
        (403, "IP_RESTRICTED", None),
        (403, "ORIGIN_RESTRICTED", None),
        (403, "ORIGIN_RESTRICTED", None),
        (403, "TEST_MODE", None),
        (401, "INVALID_TOKEN", token),
        (401, "INVALID_SIGNATURE", challenge("")),
        (401, "INVALID_LINK", challenge("")),
        (401, "INVALID_LINK", challenge("")),
        (401, "INVALID_LINK", challenge("")),
        (401, "INVALID_SESSION", challenge("")),
        (400, "INVALID_SESSION_ID", None),
        (403, "CROSS_SITE", None),
        (403, "INSECURE_TRANSPORT", None),
        (413, "BODY_TOO_LARGE", None),
        (
            403,
            "INSUFFICIENT_SCOPE",
            challenge(", error=\"insufficient_scope\", scope=\"orders:read orders:write\""),
        ),
        (429, "RATE_LIMITED", None),
        (429, "RATE_LIMITED", None),
        (503, "STORE_UNAVAILABLE", None),
        (503, "STORE_UNAVAILABLE", None),
        (503, "NOT_CONFIGURED", None),
        (503, "NOT_CONFIGURED", None),
        (400, "INVALID_REQUEST", None),
        (411, "LENGTH_REQUIRED", None),
        (502, "ORIGIN_INVALID", None),
        (502, "ORIGIN_UNREACHABLE", None),
        (504, "ORIGIN_TIMEOUT", None),
        (500, "INTERNAL_ERROR", None),
    ];
    for (denial, (status, code, challenge)) in all().iter().zip(expected) {
        let answer = answer(denial);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, body["code"].as_str().unwrap()), (status, code));
        assert_eq!(header(&answer, "www-authenticate"), challenge.as_deref(), "{denial:?}");
        assert_eq!(body["status"], status);
        assert_eq!(body["requestId"], "req-1");
        assert_eq!(header(&answer, "x-request-id"), Some("req-1"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
    }
}

#[test]
fn every_401_has_a_challenge_and_every_429_and_503_says_when_to_come_back() {
    for denial in all() {
        let answer = answer(&denial);
        assert!(answer.status != 401 || header(&answer, "www-authenticate").is_some(), "{denial:?}");
        let retry = header(&answer, "retry-after").map(|value| value.parse::<u64>().unwrap());
        assert_eq!(
            matches!(answer.status, 429 | 503),
            retry.is_some_and(|seconds| seconds >= 1),
            "{denial:?}"
        );
    }
}

#[test]
fn retry_after_is_rounded_up_and_at_least_one() {
    for (milliseconds, seconds) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60), (0, 1)] {
        let denial = Denial::RateLimited { windows: windows(), retry_after_ms: milliseconds };
        assert_eq!(denial.retry_after(), Some(seconds), "{milliseconds}");
    }
}

#[test]
fn the_rate_limit_fields_are_those_of_the_draft() {
    let fields = rate_limit_headers(&windows());
    assert_eq!(fields[0], ("RateLimit-Policy", "\"minute\";q=600;w=60, \"day\";q=10000;w=86400".to_owned()));
    assert_eq!(fields[1], ("RateLimit", "\"minute\";r=0;t=2, \"day\";r=9400;t=86000".to_owned()));
    assert_eq!(rate_limit_headers(&[]), []);
}

#[test]
fn a_realm_may_spell_codes_in_its_own_way_and_choose_the_json_style() {
    let refusals =
        Refusals { style: RefusalStyle::Json, codes: &[("IP_RESTRICTED", "IP_RESTRICTION")], messages: &[] };
    let realm = Realm { refusals, ..realm() };
    let answer = refuse(&Denial::AddressRestricted, Some(&realm), "req-1");
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"]["code"], "IP_RESTRICTION");
    assert_eq!(body["error"]["requestId"], "req-1");
}

#[test]
fn a_realm_may_tell_causes_that_share_a_code_apart_in_words_and_codes_of_its_own() {
    let refusals = Refusals {
        style: RefusalStyle::Problem,
        codes: &[("INVALID_API_KEY", "BAD_KEY"), ("UNKNOWN_API_KEY", "NO_SUCH_KEY")],
        messages: &[
            ("MALFORMED_API_KEY", "Invalid API key format"),
            ("REVOKED_API_KEY", "API key is revoked or expired"),
        ],
    };
    let realm = Realm { refusals, ..realm() };
    let told = |denial| {
        let body: serde_json::Value =
            serde_json::from_str(&refuse(&denial, Some(&realm), "req-1").body).unwrap();
        [body["code"].as_str().unwrap().to_owned(), body["detail"].as_str().unwrap().to_owned()]
    };
    assert_eq!(told(Denial::MalformedKey), ["BAD_KEY", "Invalid API key format"]);
    assert_eq!(told(Denial::UnknownKey), ["NO_SUCH_KEY", Denial::UnknownKey.public().detail]);
    assert_eq!(told(Denial::RevokedKey), ["REVOKED_API_KEY", "API key is revoked or expired"]);
}

#[test]
fn every_cause_that_a_realm_may_name_is_one_of_a_refusal() {
    let denials = all().into_iter().chain(TOKEN_ERRORS.map(Denial::InvalidToken));
    let mut causes: Vec<&str> =
        denials.map(|denial| denial.cause()).filter(|cause| !compile::CODES.contains(cause)).collect();
    causes.retain(|cause| *cause != "NO_REALM");
    let mut named = compile::CAUSES.to_vec();
    causes.sort_unstable();
    causes.dedup();
    named.sort_unstable();
    assert_eq!(causes, named);
}

/// One of each.
const TOKEN_ERRORS: [jwt::Error; 14] = [
    jwt::Error::TooLong,
    jwt::Error::Malformed("claims"),
    jwt::Error::Critical,
    jwt::Error::WrongType,
    jwt::Error::WrongAlgorithm,
    jwt::Error::UnknownKey,
    jwt::Error::BadSignature,
    jwt::Error::MissingClaim(&["sub"]),
    jwt::Error::InvalidClaim(&["sub"]),
    jwt::Error::WrongIssuer,
    jwt::Error::WrongAudience,
    jwt::Error::WrongTenant,
    jwt::Error::Expired,
    jwt::Error::NotYetValid,
];

#[test]
fn the_refusal_of_a_token_says_in_general_what_is_wrong_speaks_of_no_key_and_shows_nothing_of_it() {
    for (error, cause, word) in TOKEN_ERRORS.into_iter().map(|error| match error {
        jwt::Error::TooLong | jwt::Error::Malformed(_) | jwt::Error::Critical => {
            (error, "MALFORMED_TOKEN", "copied whole")
        }
        jwt::Error::WrongAlgorithm | jwt::Error::UnknownKey | jwt::Error::BadSignature => {
            (error, "UNTRUSTED_TOKEN", "not signed by the issuer")
        }
        jwt::Error::WrongType
        | jwt::Error::WrongIssuer
        | jwt::Error::WrongAudience
        | jwt::Error::WrongTenant => (error, "FOREIGN_TOKEN", "not meant for this API"),
        jwt::Error::MissingClaim(_) | jwt::Error::InvalidClaim(_) => (error, "INCOMPLETE_TOKEN", "claim"),
        jwt::Error::Expired => (error, "EXPIRED_TOKEN", "has expired"),
        jwt::Error::NotYetValid => (error, "EARLY_TOKEN", "not valid yet"),
    }) {
        let denial = Denial::InvalidToken(error);
        let body = answer(&denial).body;
        assert_eq!(denial.cause(), cause, "{error}");
        assert!(body.contains("INVALID_TOKEN") && body.contains(word), "{error}: {body}");
        assert!(!body.contains("API key") && !body.contains("claims") && !body.contains("sub"), "{body}");
    }
}

#[test]
fn when_an_issuers_keys_cannot_be_had_the_answer_speaks_of_tokens_and_says_how_long_to_wait() {
    let answer = answer(&Denial::IssuerUnavailable { reason: "answered 418".into(), retry_after_ms: 7_001 });
    assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("8")));
    assert!(answer.body.contains("The token cannot be checked") && !answer.body.contains("API key"));
    assert!(!answer.body.contains("418"), "why is for the log: {}", answer.body);
}

#[test]
fn every_code_has_a_section_in_the_documentation_and_every_section_a_code() {
    let documented: Vec<&str> = include_str!("../docs/errors.md")
        .split("## At the gate")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|title| title.split_once(" (").map_or(title, |(code, _)| code))
        .collect();
    let mut codes: Vec<_> = all().iter().map(|denial| denial.public().code).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut sections = documented.clone();
    sections.sort_unstable();
    assert_eq!(sections, codes);
    // The list above is whole: as many variants as the source has.
    let source = include_str!("../src/denial.rs");
    let variants = source.split("pub enum Denial {").nth(1).unwrap().split("\n}").next().unwrap();
    let count = variants
        .lines()
        .filter(|line| {
            line.starts_with("    ")
                && line.trim_start().starts_with(char::is_uppercase)
                && !line.starts_with("        ")
        })
        .count();
    assert_eq!(count, all().len());
}

fn take(path: &str, query: &str, fields: &[(&str, &str)]) -> Result<Option<String>, Denial> {
    let header =
        |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
    let url = format!("https://gate.example{path}?{query}");
    credential::take(&realm(), Target::of(&url), Some(&support::secrets()), header)
        .map(|found| found.map(|found| found.text.expose().to_owned()))
}

#[test]
fn a_bearer_credential_is_taken_whatever_the_case_of_the_scheme() {
    for value in ["Bearer abc", "bearer abc", "BEARER  abc ", "\tBearer abc\t"] {
        assert_eq!(take("/api/orders", "", &[("authorization", value)]), Ok(Some("abc".into())), "{value:?}");
    }
}

#[test]
fn no_credential_another_scheme_or_an_empty_one_is_none() {
    for fields in [
        vec![],
        vec![("authorization", "Basic dTpw")],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("x-api-key", "abc")],
    ] {
        assert_eq!(take("/api/orders", "", &fields), Ok(None), "{fields:?}");
    }
}

#[test]
fn a_scheme_that_has_commas_of_its_own_is_no_credential_and_not_a_repeat() {
    for value in [r#"Digest username="u", realm="r""#, "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b"] {
        assert_eq!(take("/api/public/x", "", &[("authorization", value)]), Ok(None), "{value}");
    }
}

#[test]
fn a_repeated_header_is_refused() {
    for value in ["Bearer abc, Bearer abc", "Bearer abc,def", ", Bearer abc", "Basic x, Bearer abc"] {
        assert_eq!(
            take("/api/orders", "", &[("authorization", value)]),
            Err(Denial::RepeatedCredential),
            "{value:?}"
        );
    }
}

#[test]
fn a_credential_in_the_url_is_refused() {
    let key = key::generate(&realm().key, "", Mode::Live, &support::secrets(), &mut support::Seeded::new(1));
    for query in ["api_key=1", "a=b&ACCESS_TOKEN=x", &format!("x={}", key.expose())] {
        assert_eq!(take("/api/orders", query, &[]), Err(Denial::KeyInUrl), "{query}");
    }
    assert_eq!(take("/api/orders", "key=name&token=abc", &[]), Ok(None));
}
