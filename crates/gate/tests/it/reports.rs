//! Signatures of reports of leaked keys: the example that GitHub's documentation published with its key, and what is not one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::time::{HOUR, MINUTE, Span};
use keyward_gate::{admin::AdminCaller, jwt::reports};
use keyward_policy::{AfterLeak, Leaks};
use keyward_testing::{
    call::platform,
    fake_platform::{CALLER, FakePlatform, now},
    policy::POLICY,
};
use serde_json::{Value, json};

const URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";
const LEAKS: Leaks = Leaks { then: AfterLeak::Tell, keys_url: URL };
const KEY_ID: &str = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a";
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq
kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==
-----END PUBLIC KEY-----
";
const BODY: &str = r#"[{"token":"some_token","type":"some_type","url":"some_url"}]"#;
const SIGNATURE: &str =
    "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=";

fn published() -> Value {
    json!({"public_keys": [
        {"key_identifier": "other", "key": "no key", "is_current": false},
        {"key_identifier": KEY_ID, "key": KEY, "is_current": true},
    ]})
}

fn verify(platform: &FakePlatform, id: &str, signature: &str, body: &str) -> Result<bool, u16> {
    let caller = AdminCaller { client: CALLER, request_id: "req-1", within: Span::from_secs(8) };
    let gate = platform.gate(Some(&*POLICY));
    now(gate.verify_report(&LEAKS, (id, signature), body.as_bytes(), caller)).map_err(|answer| answer.status)
}

fn with_keys() -> FakePlatform {
    let platform = platform();
    platform.web.borrow_mut().insert(URL.to_owned(), published().to_string());
    platform
}

#[test]
fn githubs_published_example_is_right_and_no_other_body_key_or_signature_is() {
    let platform = with_keys();
    assert_eq!(verify(&platform, KEY_ID, SIGNATURE, BODY), Ok(true));
    let flipped = SIGNATURE.replace("QY1Y", "QY1Z");
    for (id, signature, body) in [
        (KEY_ID, SIGNATURE, &*BODY.replace("some_token", "some_tokem")),
        (KEY_ID, SIGNATURE, &*format!("{BODY}\n")),
        (KEY_ID, SIGNATURE, ""),
        (KEY_ID, &*flipped, BODY),
        (KEY_ID, "", BODY),
        (KEY_ID, "MEUC", BODY),
        (KEY_ID, &*"A".repeat(10_000), BODY),
        ("other", SIGNATURE, BODY),
        ("", SIGNATURE, BODY),
        (&*"9".repeat(10_000), SIGNATURE, BODY),
    ] {
        assert_eq!(verify(&platform, id, signature, body), Ok(false), "{id:.80} {signature:.80}");
    }
}

#[test]
fn unknown_keys_are_asked_for_once_a_minute_and_known_ones_once_an_hour() {
    let platform = with_keys();
    let asked = || platform.asked.take().iter().filter(|asked| asked.ends_with(URL)).count();
    for _ in 0..20 {
        assert_eq!(verify(&platform, KEY_ID, SIGNATURE, BODY), Ok(true));
        assert_eq!(verify(&platform, "made up", SIGNATURE, BODY), Ok(false));
    }
    assert_eq!(asked(), 1);
    platform.clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(verify(&platform, "made up", SIGNATURE, BODY), Ok(false));
    }
    assert_eq!(asked(), 1);
    platform.clock.advance(HOUR);
    assert_eq!(verify(&platform, KEY_ID, SIGNATURE, BODY), Ok(true));
    assert_eq!(asked(), 1);
}

#[test]
fn while_the_keys_cannot_be_had_nothing_is_said_of_a_report() {
    let platform = platform();
    assert_eq!(verify(&platform, KEY_ID, SIGNATURE, BODY), Err(503));
    for wrong in ["", "[]", r#"{"keys": []}"#, r#"{"public_keys": [{"key_identifier": "a", "key": "b"}]}"#] {
        let platform = self::platform();
        platform.web.borrow_mut().insert(URL.to_owned(), wrong.to_owned());
        assert_eq!(verify(&platform, KEY_ID, SIGNATURE, BODY), Err(503), "{wrong}");
    }
}

#[test]
fn only_public_keys_of_p256_become_keys() {
    let set: Value = serde_json::from_str(&reports::as_jwk_set(&published().to_string())).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    assert_eq!(set["keys"][0]["kid"], KEY_ID);
}
