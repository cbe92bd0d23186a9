//! Taking the credential from a request, and what is seen of one that is no good.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::{key, record::Mode, request_target::RequestTarget};
use keyward_gate::{
    credential,
    denial::Denial,
    hint::{Slip, Stray, slip, stray},
};
use keyward_policy::{CredentialSource, Proof, Realm, SourceKind};
use keyward_testing::policy::POLICY;

fn realm() -> Realm {
    POLICY.realms[0]
}

fn take(path: &str, query: &str, fields: &[(&str, &str)]) -> Result<Option<String>, Denial> {
    let header =
        |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
    let url = format!("https://gate.example{path}?{query}");
    credential::take(&realm(), RequestTarget::of(&url), Some(&keyward_testing::secrets()), None, header)
        .map(|mut found| found.pop().map(|found| found.text.expose().to_owned()))
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
    let key = key::generate(
        &realm().key,
        "",
        Mode::Live,
        &keyward_testing::secrets(),
        &mut keyward_testing::Seeded::new(1),
    );
    for query in ["api_key=1", "a=b&ACCESS_TOKEN=x", &format!("x={}", key.expose())] {
        assert_eq!(take("/api/orders", query, &[]), Err(Denial::KeyInUrl), "{query}");
    }
    assert_eq!(take("/api/orders", "key=name&token=abc", &[]), Ok(None));
}

/// A key by its looks: 30 characters of the alphabet and 6 of a check.
const KEY: &str = "kw_live_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R";

#[test]
fn what_people_send_instead_of_a_key_is_told_apart() {
    let told = |text: &str| slip(&realm().key, text);
    let of = |text: &str| text.replace("KEY", KEY);
    for text in [
        "YOUR_API_KEY",
        "your-api-key-here",
        "<key>",
        "<YOUR_KEY>",
        "sk_test_...",
        "kw_live_...",
        "kw_live_…",
        "$API_KEY",
        "${API_KEY}",
        "{{apiKey}}",
        "{api_key}",
        "%API_KEY%",
        "undefined",
        "null",
        "None",
        "[object Object]",
        "xxxxxxxx",
        "kw_live_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "kw_live_YOUR_KEY",
        "kw_live_****",
        "\"$API_KEY\"",
        "REPLACE_ME",
        "kw_live_0a1B…6q7R",
        "api_key",
        "example",
        "process.env.API_KEY",
        "[REDACTED]",
    ] {
        assert_eq!(told(text), Some(Slip::Placeholder), "{text}");
    }
    for text in ["\"KEY\"", "'KEY'", "`KEY`", "“KEY”", "\"KEY", "KEY\"", "«KEY»"] {
        assert_eq!(told(&of(text)), Some(Slip::Quoted), "{text}");
    }
    for text in [
        "Bearer KEY",
        "bearer KEY",
        "Token KEY",
        "Bearer:KEY",
        "Bearer=KEY",
        "X-API-Key: KEY",
        "Authorization: Bearer KEY",
    ] {
        assert_eq!(told(&of(text)), Some(Slip::Scheme), "{text}");
    }
    for text in [
        "KEY x",
        "kw_live_0a1B 2c3D",
        "KEY\\n",
        "KEY%0A",
        "KEY%20",
        "\u{feff}KEY",
        "KEY\u{200b}",
        "KEY\u{a0}",
        "KEY\tx",
    ] {
        assert_eq!(told(&of(text)), Some(Slip::Whitespace), "{text:?}");
    }
    assert_eq!(told("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), Some(Slip::Token));
    for text in ["kw_live_", "kw_live_0a1B2c3D", "kw_test_0", &KEY[..KEY.len() - 1]] {
        assert_eq!(told(text), Some(Slip::Short), "{text}");
    }
    assert_eq!(told(&of("KEYx")), Some(Slip::Long));
    for text in [KEY, "x", "sk_live_0a1B2c3D4e5F", "KW_LIVE_0a1B2c3D", ""] {
        assert_eq!(told(text), None, "{text}");
    }
}

/// Takes keys as `X-API-Key`, and tokens as `Authorization: Bearer`.
fn mixed() -> Realm {
    let source = |header, scheme, kind| CredentialSource { header, scheme, kind, forward: false };
    let credentials = vec![
        source("x-api-key", None, SourceKind::Key),
        source("authorization", Some("Bearer"), SourceKind::Jwt),
    ];
    Realm { credentials: credentials.leak(), ..realm() }
}

#[test]
fn a_credential_in_the_wrong_place_is_seen_there() {
    let seen = |realm: &Realm, by: &[Proof], fields: &[(&str, &str)]| {
        stray(realm, by, |name| {
            fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let by_key = |fields: &[(&str, &str)]| seen(&realm(), &[Proof::Key], fields);
    let scheme = Some(Stray::Scheme { header: "authorization", scheme: "Bearer" });
    assert_eq!(by_key(&[]), None);
    assert_eq!(by_key(&[("accept", "text/html"), ("x-api-key", " ")]), None);
    for value in [KEY, "Token x", "ApiKey x", "Basic a2V5Og==", "Bearer:x", "Bearer\tx", "Bearerx"] {
        assert_eq!(by_key(&[("authorization", value)]), scheme, "{value}");
    }
    for value in ["", "Bearer", "bearer "] {
        assert_eq!(by_key(&[("authorization", value)]), Some(Stray::Empty("authorization")), "{value}");
    }
    for header in ["x-api-key", "api-key", "x-auth-token", "x-goog-api-key"] {
        assert_eq!(by_key(&[(header, KEY)]), Some(Stray::Header(header)), "{header}");
    }
    let bearer = format!("Bearer {KEY}");
    let bearer = &[("authorization", bearer.as_str())];
    assert_eq!(seen(&mixed(), &[Proof::Key], bearer), Some(Stray::Header("authorization")));
    assert_eq!(seen(&mixed(), &[Proof::Jwt], &[("x-api-key", KEY)]), Some(Stray::Header("x-api-key")));
    assert_eq!(seen(&mixed(), &[Proof::Key], &[("api-key", KEY)]), Some(Stray::Header("api-key")));
    assert_eq!(seen(&mixed(), &[Proof::Key, Proof::Jwt], &[("authorization", KEY)]), scheme);
}
