//! What a refused client sees: each answer as a whole, and that the documentation knows every code.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::Span;
use keyward_gate::{
    denial::Denial,
    jwt,
    refusal::{Answer, mcp, rate_limit_headers, refuse},
};
use keyward_policy::{Cost, CredentialSource, Proof, Realm, RefusalStyle, Refusals, SourceKind, compile};
use keyward_testing::denials::{BY_KEY, all, in_a_mixed_realm, mixed, realm, windows};
use serde_json::Value;

fn answer(denial: &Denial) -> Answer {
    refuse(denial, Some(&realm()), "req-1")
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// An answer as it goes over the wire, its body laid out for reading.
fn shown(denial: &Denial, answer: &Answer) -> String {
    let fields: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let body = serde_json::to_string_pretty(&body(answer)).unwrap();
    format!("# {denial:?}\n{}\n{}\n{body}\n\n", answer.status, fields.concat())
}

#[test]
fn every_refusal_is_answered_with_exactly_this() {
    let mixed = mixed();
    let json = Realm { refusals: Refusals { style: RefusalStyle::Json, ..realm().refusals }, ..realm() };
    let in_style = [
        Denial::MissingCredential { by: BY_KEY, stray: None },
        Denial::RateLimited { windows: windows(), cost: Cost::ONE, retry_after: Span::from_ms(1_001) },
    ];
    let told: String = [
        all().iter().map(|denial| shown(denial, &answer(denial))).collect::<String>(),
        "## Where keys, tokens and sessions are taken\n\n".to_owned(),
        in_a_mixed_realm().iter().map(|it| shown(it, &refuse(it, Some(&mixed), "req-1"))).collect(),
        "## In the other style\n\n".to_owned(),
        in_style.iter().map(|it| shown(it, &refuse(it, Some(&json), "req-1"))).collect(),
        "## At the admin API, of no realm\n\n".to_owned(),
        shown(
            &Denial::MalformedKey { slip: None },
            &refuse(&Denial::MalformedKey { slip: None }, None, "req-1"),
        ),
    ]
    .concat();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/refusals.txt");
    if std::env::var_os("KEYWARD_GOLDEN").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let differs = told.lines().zip(golden.lines()).position(|(now, then)| now != then);
    assert!(
        told == golden,
        "tests/data/refusals.txt has another answer from line {:?} on; if the new one is meant, run this once with KEYWARD_GOLDEN=1",
        differs.map(|line| line + 1)
    );
}

#[test]
fn a_client_of_the_model_context_protocol_gets_an_error_of_json_rpc() {
    let both = Some("application/json, text/event-stream");
    assert!(mcp::is_asked_for("POST", both));
    assert!(mcp::is_asked_for("POST", Some("text/event-stream;q=0.5,Application/JSON")));
    for (method, accept) in [
        ("GET", both),
        ("POST", None),
        ("POST", Some("*/*")),
        ("POST", Some("application/json")),
        ("POST", Some("text/event-stream")),
        ("POST", Some("application/json, text/event-stream, application/problem+json")),
    ] {
        assert!(!mcp::is_asked_for(method, accept), "{method} {accept:?}");
    }
    for denial in all() {
        let plain = answer(&denial);
        let told = mcp::respond(plain.clone());
        assert_eq!(header(&told, "content-type"), Some("application/json"));
        let others = |answer: &Answer| {
            answer.headers.iter().filter(|(name, _)| *name != "Content-Type").cloned().collect::<Vec<_>>()
        };
        assert_eq!((told.status, others(&told)), (plain.status, others(&plain)));
        let (rpc, mut problem) = (body(&told), body(&plain));
        let message = problem["detail"].clone();
        problem.as_object_mut().unwrap().remove("error");
        let code = if told.status < 500 { -32_600 } else { -32_603 };
        let error = serde_json::json!({ "code": code, "message": message, "data": problem });
        assert_eq!(rpc, serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    }
    let json = Realm { refusals: Refusals { style: RefusalStyle::Json, ..realm().refusals }, ..realm() };
    let own = refuse(&Denial::NoRoute, Some(&json), "req-1");
    assert_eq!(mcp::respond(own.clone()), own, "a realm's own style stays");
}

#[test]
fn every_body_says_the_same_to_people_programs_and_client_libraries() {
    for denial in all() {
        let answer = answer(&denial);
        let body = body(&answer);
        assert_eq!(body["status"], answer.status);
        assert_eq!([&body["error"]["message"], &body["error"]["code"]], [&body["detail"], &body["code"]]);
        assert_eq!(body["code"], denial.public().code);
        let kind = match answer.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        assert_eq!(body["error"]["type"], kind);
        assert_eq!(body["requestId"], "req-1");
        assert_eq!(header(&answer, "x-request-id"), Some("req-1"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    }
}

#[test]
fn every_text_says_what_was_wrong_and_how_to_mend_it() {
    for denial in all() {
        let body = body(&answer(&denial));
        let detail = body["detail"].as_str().unwrap();
        let sentences = detail.split_inclusive(". ").filter(|part| part.len() > 3).count();
        assert!(sentences >= 2 && detail.len() < 200, "{detail}");
        assert!(detail.ends_with('.') || detail.ends_with('>'), "{detail}");
    }
}

#[test]
fn a_refusal_of_a_token_or_session_does_not_speak_of_api_keys() {
    let mut others = vec![
        Denial::MissingCredential { by: &[Proof::Jwt], stray: None },
        Denial::MissingCredential { by: &[Proof::Session], stray: None },
    ];
    others.extend(all().into_iter().filter(|denial| {
        use Denial::{InsufficientScope, StoreUnavailable};
        match denial {
            InsufficientScope { of, .. } => *of != Proof::Key,
            StoreUnavailable { store } => *store != "KV",
            Denial::InvalidToken(_)
            | Denial::TooManyFailures { .. }
            | Denial::InactiveTenant
            | Denial::PlanRequired { .. }
            | Denial::InvalidSession
            | Denial::InvalidLink
            | Denial::RepeatedCredential
            | Denial::KeyInUrl => true,
            _ => false,
        }
    }));
    assert!(others.len() > 10);
    for denial in others {
        let answer = refuse(&denial, Some(&mixed()), "req-1");
        assert!(!body(&answer)["detail"].as_str().unwrap().contains("API key"), "{}", answer.body);
    }
}

#[test]
fn every_challenge_is_for_a_way_that_the_realm_reads() {
    let keys_only: &'static [CredentialSource] = &mixed().credentials[..1];
    let keys_only = Realm { credentials: keys_only, link: None, ..mixed() };
    for denial in all() {
        let answer = refuse(&denial, Some(&keys_only), "req-1");
        let challenge = header(&answer, "www-authenticate").unwrap_or_default();
        assert!(!challenge.contains("Bearer"), "{denial:?}: {challenge}");
        let is_for_keys = matches!(
            denial,
            Denial::MissingCredential { .. }
                | Denial::MalformedKey { .. }
                | Denial::UnknownKey { .. }
                | Denial::RevokedKey { .. }
                | Denial::PausedKey
                | Denial::ExpiredKey { .. }
                | Denial::RepeatedCredential
                | Denial::KeyInUrl
        );
        assert!(
            !is_for_keys || challenge.starts_with("ApiKey realm=\"mixed\", header=\"X-API-Key\""),
            "{challenge}"
        );
    }
}

#[test]
fn every_401_has_a_challenge_and_every_429_and_503_says_when_to_come_back() {
    for denial in all() {
        let answer = answer(&denial);
        let challenge = header(&answer, "www-authenticate");
        assert!(answer.status != 401 || challenge.is_some_and(|it| it.contains("realm=")), "{denial:?}");
        assert_eq!(answer.status == 405, header(&answer, "allow").is_some());
        let retry = header(&answer, "retry-after").map(|value| value.parse::<u64>().unwrap());
        assert_eq!(
            matches!(answer.status, 429 | 503),
            retry.is_some_and(|seconds| seconds >= 1),
            "{denial:?}"
        );
        let is_long = retry.is_some_and(|seconds| seconds > 60);
        assert_eq!(header(&answer, "x-should-retry"), is_long.then_some("false"), "{denial:?}");
    }
}

#[test]
fn retry_after_is_rounded_up_and_at_least_one() {
    for (milliseconds, seconds) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60), (0, 1)] {
        let denial = Denial::RateLimited {
            windows: windows(),
            cost: Cost::ONE,
            retry_after: Span::from_ms(milliseconds),
        };
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
    let refusals = Refusals {
        style: RefusalStyle::Json,
        codes: &[("IP_RESTRICTED", "IP_RESTRICTION")],
        ..realm().refusals
    };
    let realm = Realm { refusals, ..realm() };
    let answer = refuse(&Denial::AddressRestricted { address: None }, Some(&realm), "req-1");
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
        statuses: &[],
    };
    let realm = Realm { refusals, ..realm() };
    let told = |denial| {
        let body: serde_json::Value =
            serde_json::from_str(&refuse(&denial, Some(&realm), "req-1").body).unwrap();
        [body["code"].as_str().unwrap().to_owned(), body["detail"].as_str().unwrap().to_owned()]
    };
    let unknown = Denial::UnknownKey { slip: None };
    let default = body(&answer(&unknown))["detail"].as_str().unwrap().to_owned();
    assert_eq!(told(Denial::MalformedKey { slip: None }), ["BAD_KEY", "Invalid API key format"]);
    assert_eq!(told(unknown), ["NO_SUCH_KEY", &default]);
    assert_eq!(
        told(Denial::RevokedKey { replaced: true }),
        ["REVOKED_API_KEY", "API key is revoked or expired"]
    );
}

#[test]
fn every_cause_that_a_realm_may_name_is_one_of_a_refusal() {
    let denials = all().into_iter().chain(TOKEN_ERRORS.map(Denial::InvalidToken));
    let mut causes: Vec<&str> =
        denials.map(|denial| denial.cause()).filter(|cause| !compile::CODES.contains(cause)).collect();
    causes.retain(|cause| *cause != "NO_REALM");
    causes.sort_unstable();
    causes.dedup();
    let mut named = compile::CAUSES.to_vec();
    named.sort_unstable();
    assert_eq!(causes, named);
}

#[test]
fn every_code_has_a_section_in_the_documentation_and_every_section_a_code() {
    let documented: Vec<&str> = include_str!("../../../../docs/errors.md")
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
    let source = include_str!("../../src/denial.rs");
    let variants = source.split("pub enum Denial {").nth(1).unwrap().split("\n}").next().unwrap();
    let count = variants
        .lines()
        .filter(|line| {
            line.starts_with("    ")
                && line.trim_start().starts_with(char::is_uppercase)
                && !line.starts_with("        ")
        })
        .count();
    let mut kinds: Vec<_> = all().iter().map(std::mem::discriminant).collect();
    kinds.dedup();
    assert_eq!(count, kinds.len());
}

/// One of each.
const TOKEN_ERRORS: [jwt::Error; 15] = [
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
    jwt::Error::RefusedCode,
    jwt::Error::Expired,
    jwt::Error::NotYetValid,
];

#[test]
fn the_refusal_of_a_token_says_in_general_what_is_wrong_speaks_of_no_key_and_shows_nothing_of_it() {
    for (error, cause, word) in TOKEN_ERRORS.into_iter().map(|error| match error {
        jwt::Error::TooLong | jwt::Error::Malformed(_) | jwt::Error::Critical => {
            (error, "MALFORMED_TOKEN", "copied whole")
        }
        jwt::Error::WrongAlgorithm
        | jwt::Error::UnknownKey
        | jwt::Error::BadSignature
        | jwt::Error::RefusedCode => (error, "UNTRUSTED_TOKEN", "not signed by the issuer"),
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
    let answer = answer(&Denial::IssuerUnavailable {
        reason: "answered 418".into(),
        retry_after: Span::from_ms(7_001),
    });
    assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("8")));
    assert!(answer.body.contains("The token cannot be checked") && !answer.body.contains("API key"));
    assert!(!answer.body.contains("418"), "why is for the log: {}", answer.body);
}

#[test]
fn a_realm_may_answer_with_statuses_of_its_own_and_a_401_has_a_challenge_all_the_same() {
    let refusals = Refusals {
        statuses: &[("UNKNOWN_API_KEY", 404), ("INSUFFICIENT_SCOPE", 401), ("INVALID_API_KEY", 403)],
        ..realm().refusals
    };
    let own = Realm { refusals, ..realm() };
    let scope = Denial::InsufficientScope { of: Proof::Key, required: &["orders:read"] };
    for (denial, status) in [
        (Denial::UnknownKey { slip: None }, 404),
        (Denial::MalformedKey { slip: None }, 403),
        (scope, 401),
        (Denial::PausedKey, refuse(&Denial::PausedKey, None, "r").status),
    ] {
        let answer = refuse(&denial, Some(&own), "r");
        assert_eq!(answer.status, status, "{denial:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["status"], status, "{denial:?}");
        let is_challenge = |(name, _): &(&str, String)| *name == "WWW-Authenticate";
        assert!(status != 401 || answer.headers.iter().any(is_challenge), "{denial:?}");
    }
}

#[test]
fn where_keys_stand_among_the_subprotocols_only_a_401_still_says_so_and_elsewhere_it_names_what_others_can_send()
 {
    const SUBPROTOCOL: CredentialSource = CredentialSource {
        header: CredentialSource::SUBPROTOCOLS,
        scheme: Some("key"),
        kind: SourceKind::Key,
        forward: false,
    };
    let missing = Denial::MissingCredential { by: &[Proof::Key], stray: None };
    let challenge = |credentials: &'static [CredentialSource], denial: &Denial| {
        let answer = refuse(denial, Some(&Realm { credentials, ..realm() }), "r");
        header(&answer, "www-authenticate").unwrap_or_default().to_owned()
    };
    let named = "ApiKey realm=\"default\", header=\"Sec-WebSocket-Protocol\"";
    for denial in [&missing, &Denial::RepeatedCredential, &Denial::UnknownKey { slip: None }] {
        assert!(challenge(&[SUBPROTOCOL], denial).starts_with(named), "{denial:?}");
    }
    const TOKEN: CredentialSource = CredentialSource {
        header: "authorization",
        scheme: Some("Bearer"),
        kind: SourceKind::Jwt,
        forward: false,
    };
    assert_eq!(challenge(&[SUBPROTOCOL, TOKEN], &missing), named, "no token does there");
    const KEY: CredentialSource = CredentialSource { kind: SourceKind::Key, ..TOKEN };
    assert_eq!(challenge(&[SUBPROTOCOL, KEY], &missing), "Bearer realm=\"default\"");
}
