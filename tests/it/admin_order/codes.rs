//! Codes to sign in with: the issuer is asked before the Registry, and not for whoever guesses.

use super::*;

#[test]
fn a_code_is_exchanged_before_the_registry_is_asked_and_one_of_another_browser_is_not_and_counts_as_a_guess()
{
    // Derived from the cookie (`crates/registry/tests/it/golden.rs`).
    const COOKIE: &str = "__Host-keyward-code=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
    const OWN: &str = r#"{"code": "c", "state": "3YBbUh-qY_uMeTI6bUSKq9jPakfCr1sywIBrUjBeVf4"}"#;
    const ANOTHER: &str = r#"{"code": "c", "state": "another"}"#;
    for (body, status, expected, cleared) in [
        (OWN, Some(201), &["exchange", "ask as nobody"][..], true),
        (OWN, Some(401), &["exchange", "ask as nobody", "count open 192.0.2.1"], true),
        (OWN, None, &["exchange", "ask as nobody"], false),
        (ANOTHER, Some(201), &["count open 192.0.2.1"], false),
    ] {
        let gate = FakeGate { status, body: Ok(body), ..FakeGate::new() };
        let (secrets, setup_token) = (secrets(), Secret::new(SETUP_TOKEN));
        let head = Head { cookie: Some(COOKIE.into()), origin: Some(ORIGIN.into()), ..json() };
        let request = AdminRequest {
            sign_in: Some(&ISSUER),
            ..request("POST", "/session", head, &secrets, &setup_token)
        };
        let reply = block_on(answer::answer(&request, &gate));
        assert_eq!(gate.asked.take()[1..], *expected, "{status:?} {body}");
        let clears = "__Host-keyward-code=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict";
        assert_eq!(reply.headers.iter().any(|(_, value)| value == clears), cleared, "{status:?} {body}");
    }
}

#[test]
fn who_is_signed_in_has_the_issuer_asked_for_codes_only_until_too_many_were_wrong() {
    const COOKIE: &str = "__Host-keyward-code=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
    const OWN: &str = r#"{"code": "c", "state": "3YBbUh-qY_uMeTI6bUSKq9jPakfCr1sywIBrUjBeVf4"}"#;
    let send = |held_back: &[&'static str], issuer_fails: bool| {
        let (status, body) = (Some(401), Ok(OWN));
        let held_back = RefCell::new(held_back.to_vec());
        let gate = FakeGate { status, body, held_back, issuer_fails, ..FakeGate::new() };
        let (secrets, setup_token) = (secrets(), Secret::new(SETUP_TOKEN));
        let head = Head { cookie: Some(COOKIE.into()), origin: Some(ORIGIN.into()), ..bearer(&our_token()) };
        let head = Head { content_type: json().content_type, ..head };
        let request = AdminRequest {
            sign_in: Some(&ISSUER),
            ..request("POST", "/session/step-up", head, &secrets, &setup_token)
        };
        (block_on(answer::answer(&request, &gate)).status, gate.asked.take()[1..].to_vec())
    };
    let counted = "count code 192.0.2.1".to_owned();
    assert_eq!(
        send(&[], false),
        (401, vec!["exchange".into(), "ask as session, proved".into(), counted.clone()])
    );
    assert_eq!(send(&[], true), (503, vec!["exchange".into(), counted]), "an issuer that fails, too");
    assert_eq!(send(&["code 192.0.2.1"], false), (429, Vec::new()));
}
